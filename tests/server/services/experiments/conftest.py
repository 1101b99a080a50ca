"""Servers that run experiments on one database, with a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.services.assigner import Assigner
from audotics.server.services.clock import SteadyClock
from audotics.server.services.event_log import EventLog
from audotics.server.services.experiment_report import ReportService
from audotics.server.services.experiment_watch import ExperimentWatch
from audotics.server.services.experiments import ExperimentService
from audotics.server.services.listeners import Listeners
from audotics.server.services.models import ModelService
from audotics.server.services.receipt_writer import ReceiptWriter
from audotics.server.services.recommend import RecommendService
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.storage.database import Database
from audotics.server.storage.experiments import ExperimentStore
from audotics.server.storage.exposures import ExposureStore
from tests.server.services.experiments.one_server import Clock, Server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(
    registry: Registry,
    database: Database,
    log: EventLog,
    executor: ThreadPoolExecutor,
    uninterrupted: Uninterrupted,
    listeners: Listeners,
    recommender: Recommender,
    receipts: ReceiptWriter,
    clock: Clock,
) -> Callable[[], Server]:
    def starting() -> Server:
        assigner, steady = Assigner(), SteadyClock(clock)
        experiments = ExperimentService(
            registry=registry,
            models=ModelService(registry=registry, uninterrupted=uninterrupted),
            store=ExperimentStore(database),
            log=log,
            assigner=assigner,
            executor=executor,
            uninterrupted=uninterrupted,
            now=steady,
            draw_salt=lambda: "the same in every run",
        )
        exposures = ExposureStore(database)
        return Server(
            assigner,
            experiments,
            ReportService(
                experiments=experiments,
                assigner=assigner,
                exposures=exposures,
                writer=receipts,
                executor=executor,
                now=steady,
            ),
            ExperimentWatch(
                experiments=experiments, assigner=assigner, exposures=exposures, executor=executor, interval_s=60.0
            ),
            RecommendService(registry=registry, listeners=listeners, recommender=recommender, assigner=assigner),
        )

    return starting


@pytest.fixture
def server(start: Callable[[], Server]) -> Server:
    return start()
