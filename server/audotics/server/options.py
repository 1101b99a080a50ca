"""What settings say, in the words of the floors: settings go in, the options of each part come out."""

from __future__ import annotations

from audotics.server.batching.batcher import BatchLimits
from audotics.server.learning.proposal import StepLimits
from audotics.server.pipeline.options import PipelineOptions
from audotics.server.retrieval.backends.gpu import Placement, Spread
from audotics.server.services.learning import LearningLimits
from audotics.server.services.probation import ProbationLimits
from audotics.server.services.promotion import PromotionLimits
from audotics.server.settings import Settings
from audotics.server.transport.server import ServerOptions


def promotion_limits(settings: Settings) -> PromotionLimits:
    return PromotionLimits(
        shadow_requests=settings.promotion_shadow_requests,
        min_overlap=settings.promotion_min_overlap,
        list_s=settings.run_limit_s,
    )


def learning_limits(settings: Settings) -> LearningLimits:
    return LearningLimits(
        step=StepLimits(exploration=settings.learning_exploration, max_step=settings.learning_max_step),
        interval_s=settings.learning_interval_s,
        window_s=settings.learning_window_s,
        min_decisions=settings.learning_min_decisions,
    )


def pipeline_options(settings: Settings) -> PipelineOptions:
    return PipelineOptions(batching=batch_limits(settings))


def gpu_placement(settings: Settings) -> Placement:
    named = () if settings.retrieval_gpus == "all" else settings.retrieval_gpus.split(",")
    return Placement(tuple(dict.fromkeys(int(number) for number in named)), Spread(settings.retrieval_spread))


def batch_limits(settings: Settings) -> BatchLimits:
    return BatchLimits(
        batch_rows=settings.batch_rows,
        queue_rows=settings.queue_rows,
        concurrency=concurrency(settings),
        window_s=settings.batch_window_ms / 1000,
    )


def concurrency(settings: Settings) -> int:
    """Half of the threads: retrieval runs on the same ones, and must not wait for scoring."""
    return max(1, settings.threads // 2)


def server_options(settings: Settings) -> ServerOptions:
    return ServerOptions(
        host=settings.host,
        port=settings.port,
        drain_s=settings.drain_s,
        max_connection_age_s=settings.max_connection_age_s,
        max_concurrent_requests=settings.max_concurrent_requests,
        max_message_bytes=settings.max_message_mib * 1024 * 1024,
        gzip_answers=settings.gzip_answers,
    )


def probation_limits(settings: Settings) -> ProbationLimits:
    return ProbationLimits(
        duration_s=settings.probation_s,
        error_share=settings.rollback_error_share,
        time_ratio=settings.rollback_time_ratio,
    )
