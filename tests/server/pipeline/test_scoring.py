"""The scoring workload: batched and split jobs give each row what it gets alone."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from audotics.features.history import MAX_HISTORY
from audotics.server.batching.workload import work_on
from audotics.server.pipeline.scoring import NeuralScoring, ScoredRows, ScoringJob
from audotics.server.pipeline.slate import Slate
from audotics.server.pipeline.taste import Taste
from audotics.server.types import Context, Degradation, DegradationReason


@pytest.fixture
def scoring() -> NeuralScoring:
    return NeuralScoring()


def job(stage, user_id: str, rows: np.ndarray) -> ScoringJob:
    snapshot = stage.snapshot
    taste = Taste.read(snapshot, stage.listener(user_id).history)
    return ScoringJob.of(snapshot, Slate.measure(snapshot, taste, Context(mood="chill"), rows=rows))


def assert_same(one: ScoredRows, other: ScoredRows) -> None:
    np.testing.assert_array_equal(one.inputs.available, other.inputs.available)
    np.testing.assert_allclose(one.inputs.components, other.inputs.components, atol=1e-5)
    np.testing.assert_allclose(one.weighing.weights, other.weighing.weights, atol=1e-5)
    np.testing.assert_allclose(one.weighing.score, other.weighing.score, atol=1e-5)
    np.testing.assert_allclose(one.weighing.confidence, other.weighing.confidence, atol=1e-5)


async def test_a_batch_gives_each_job_what_it_gets_alone(stage, scoring):
    random = np.random.default_rng(0)
    users = ["u00", "nobody", "u07", "u13"]
    jobs = [job(stage, user, random.permutation(200)[: 5 + 10 * number]) for number, user in enumerate(users)]
    for one, together in zip(jobs, work_on(scoring, jobs), strict=True):
        assert_same(work_on(scoring, [one])[0], together)


async def test_pieces_of_a_job_join_to_the_whole(stage, scoring):
    whole = job(stage, "u05", np.arange(150))
    pieces = scoring.split(whole, 64)
    assert [scoring.rows(piece) for piece in pieces] == [64, 64, 22]
    assert {scoring.key(piece) for piece in pieces} == {scoring.key(whole)}
    assert_same(scoring.join([work_on(scoring, [piece])[0] for piece in pieces]), work_on(scoring, [whole])[0])


async def test_a_piece_without_the_hybrid_leaves_it_out_of_all(stage, scoring):
    first, second = scoring.split(job(stage, "u05", np.arange(100)), 50)
    without = ScoredRows(work_on(scoring, [second])[0].inputs, None)
    joined = scoring.join([work_on(scoring, [first])[0], without])
    assert joined.weighing is None
    assert len(joined.inputs.components) == 100


async def test_of_a_long_history_the_latest_tracks_count_and_its_length(stage):
    history = np.concatenate([np.full(50, 3), np.arange(200).repeat(MAX_HISTORY // 200 + 1)])
    taste = Taste.read(stage.snapshot, history)
    assert taste.history.tolist() == history[-MAX_HISTORY:].tolist()
    assert len(taste.sounds) == MAX_HISTORY
    slate = Slate.measure(stage.snapshot, taste, Context(), rows=np.arange(5))
    assert slate.signals.history_length == len(history)


async def test_the_hour_alone_moves_scores_a_little(stage):
    taste = Taste.read(stage.snapshot, stage.listener("u05").history)
    signals = [
        Slate.measure(stage.snapshot, taste, context, rows=np.arange(5)).signals.context
        for context in (Context(), Context(day_part="night"))
    ]
    assert signals[0] is None
    assert signals[1] is not None


async def test_what_was_left_out_of_several_pieces_is_said_once(stage, scoring):
    first, second = scoring.split(job(stage, "u05", np.arange(100)), 50)
    late = (Degradation.late("ncf"),)
    pieces = [replace(work_on(scoring, [piece])[0], degraded=late) for piece in (first, second)]
    assert scoring.join(pieces).degraded == late


async def test_models_run_as_long_as_anybody_waits(stage, scoring):
    """Jobs of one batch run together, so that who has no more time gets what the others wait for."""
    one, other = job(stage, "u05", np.arange(10)), job(stage, "u06", np.arange(10))
    passed, later = time.monotonic() - 1, time.monotonic() + 3600
    for deadlines in ((passed, None), (None, passed), (passed, later), (later, passed)):
        jobs = [replace(each, deadline=deadline) for each, deadline in zip((one, other), deadlines, strict=True)]
        assert [scored.degraded for scored in work_on(scoring, jobs)] == [(), ()]
    late = [scored.degraded for scored in work_on(scoring, [replace(each, deadline=passed) for each in (one, other)])]
    assert [[(part.part, part.reason) for part in degraded] for degraded in late] == [
        [("ncf", DegradationReason.DEADLINE), ("hybrid", DegradationReason.DEADLINE)]
    ] * 2


async def test_a_listener_without_history_has_no_neural_score(stage, scoring):
    (scored,) = work_on(scoring, [job(stage, "nobody", np.arange(10))])
    assert scored.inputs.available.tolist() == [[0, 0, 0, 1, 1, 0]] * 10


async def test_jobs_of_other_models_do_not_share_a_batch(stage, scoring):
    before = job(stage, "u01", np.arange(10))
    await stage.registry.unload_version("ncf", 1)
    after = job(stage, "u01", np.arange(10))
    await stage.registry.load_version("ncf", 1)
    again = job(stage, "u01", np.arange(10))
    assert len({scoring.key(before), scoring.key(after), scoring.key(again)}) == 3
