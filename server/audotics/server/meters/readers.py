"""All that is measured: the parts of a running server go in, one reader for each of them comes out."""

from __future__ import annotations

from functools import partial

from audotics.server.meters.retrieval import read_indexes
from audotics.server.meters.serving import Batching, read_batchers, read_models
from audotics.server.meters.state import read_caches, read_database, read_feedback, read_model_records, read_receipts
from audotics.server.meters.trials import read_experiments, read_learning, read_probation, read_shadow
from audotics.server.pipeline.list_memory import ListMemory
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.runtime.counted import ModelRuns
from audotics.server.services.assigner import Assigner
from audotics.server.services.changes import Changes
from audotics.server.services.event_log import EventLog
from audotics.server.services.experiment_watch import ExperimentWatch
from audotics.server.services.feedback import FeedbackService
from audotics.server.services.indexes import IndexService
from audotics.server.services.inference import InferenceService
from audotics.server.services.learning import Learning
from audotics.server.services.model_records import ModelRecords
from audotics.server.services.probation import Probation
from audotics.server.services.receipt_writer import ReceiptWriter
from audotics.server.services.shadow import Shadow
from audotics.server.storage.cache.redis import RedisCache
from audotics.server.storage.database import Database
from audotics.server.telemetry.metrics import Reader
from audotics.server.telemetry.requests import RequestCounts


def readers(
    *,
    requests: RequestCounts,
    registry: Registry,
    runs: ModelRuns,
    inference: InferenceService,
    recommender: Recommender,
    trying: Recommender,
    indexes: IndexService,
    database: Database,
    memory: ListMemory,
    shared: RedisCache | None,
    feedback: FeedbackService,
    log: EventLog,
    changes: Changes,
    receipts: ReceiptWriter,
    records: ModelRecords,
    assigner: Assigner,
    experiment_watch: ExperimentWatch,
    learning: Learning | None,
    shadow: Shadow,
    probation: Probation | None,
) -> list[Reader]:
    """`trying` makes the lists of the shadow and of the promotion gate. What is None is switched off."""
    batchers: dict[str, Batching] = {
        "recommend": recommender.batcher,
        "infer": inference.batcher,
        "far": inference.far,
        "trial": trying.batcher,
    }
    return [
        requests.read,
        partial(read_models, registry, runs, inference.statistics),
        partial(read_batchers, batchers),
        partial(read_indexes, indexes),
        partial(read_database, database),
        partial(read_caches, memory, shared),
        partial(read_feedback, feedback, log, changes),
        partial(read_receipts, receipts),
        partial(read_model_records, records),
        partial(read_experiments, assigner, experiment_watch),
        *([] if learning is None else [partial(read_learning, learning)]),
        partial(read_shadow, shadow),
        *([] if probation is None else [partial(read_probation, probation)]),
    ]
