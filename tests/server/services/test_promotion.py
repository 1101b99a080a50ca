"""Shadow, promotion gate and probation: what decides whether a version may serve."""

from __future__ import annotations

import asyncio
import json
import math
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from statistics import pstdev

import onnx
import pytest
from onnx import numpy_helper

from audotics.bundle.store import BundleStore
from audotics.server.errors import NotFoundError, RefusedModelError
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.history import Cause, ModelEvent, Origin
from audotics.server.repository.registry import Registry
from audotics.server.services.models import ModelService
from audotics.server.services.probation import Probation, ProbationLimits
from audotics.server.services.promotion import PromotionGate, PromotionLimits
from audotics.server.services.recommend import RecommendService
from audotics.server.services.shadow import Shadow
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.types import ModelSelector, RecommendQuery, Subject, TrackFilter


class House:
    """The services that decide about versions, around one registry."""

    def __init__(self, registry, models, shadow, recommend, golden, told) -> None:
        self.told = told
        self.registry, self.models, self.shadow, self.recommend = registry, models, shadow, recommend
        self.golden: Path = golden

    async def answer(self, user_id: str):
        answer = await self.recommend.recommend(RecommendQuery(Subject("user", user_id=user_id), limit=10))
        await self.shadow.finished()
        return answer


def shorten_table(bundle: Path, sign_again) -> None:
    """Let a model's table end after the recorded inputs' rows, which only other rows can tell."""
    model = onnx.load(bundle / "model.onnx")
    (table,) = [constant for constant in model.graph.initializer if constant.name == "table"]
    table.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(table)[-10:], "table"))
    onnx.save(model, bundle / "model.onnx")
    sign_again(bundle)


@pytest.fixture
def open_house(repository, listeners, uninterrupted: Uninterrupted):
    """`open_house(**limits)`: every request is compared, and `limits` are those of the gate."""

    @asynccontextmanager
    async def opened(**limits):
        golden = repository.path / "golden.json"
        told = []
        with ThreadPoolExecutor(2) as serving, ThreadPoolExecutor(1) as trying:
            async with (
                Registry(BundleStore(repository.path), executor=serving, on_changed=told.extend) as registry,
                Recommender(executor=serving) as recommender,
                Recommender(executor=trying) as other,
                Shadow(registry=registry, recommender=other, share=1.0) as shadow,
            ):
                await registry.start()
                gate = PromotionGate(
                    registry=registry,
                    recommender=other,
                    listeners=listeners,
                    shadow=shadow,
                    executor=trying,
                    golden=golden,
                    limits=PromotionLimits(**limits),
                )
                models = ModelService(registry=registry, uninterrupted=uninterrupted, gate=gate, shadow=shadow)
                recommend = RecommendService(
                    registry=registry, listeners=listeners, recommender=recommender, shadow=shadow
                )
                yield House(registry, models, shadow, recommend, golden, told)

    return opened


async def test_a_shadow_is_compared_and_callers_see_nothing_of_it(repository, make_repository, open_house):
    make_repository(repository.path, seed=8)
    async with open_house() as house:
        await house.models.set_label("hybrid", "stable", 1)
        assert house.models.shadow_report() is None
        plain = await house.answer("u00")
        await house.models.set_label("hybrid", "shadow", 2)
        for user in range(10):
            answer = await house.answer(f"u{user:02d}")
            assert dict(answer.model_versions)["hybrid"] == 1
        report = house.models.shadow_report()
        assert report.versions == (("hybrid", 2),)
        assert (report.request_count, report.failure_count, report.k) == (10, 0, 10)
        # Both hybrids know the tastes, but their parts have other noise: lists differ, and are not strangers.
        assert 0.0 < report.overlap_at_k < 1.0
        assert abs(report.score_drift) < 10
        assert report.served_s > 0
        assert report.shadow_s > 0
        again = await house.answer("u00")
        assert [track.track_id for track in again.tracks] == [track.track_id for track in plain.tracks]
        await house.models.set_label("hybrid", "shadow", None)
        assert house.models.shadow_report() is None


async def test_a_shadow_that_cannot_answer_is_told_once_and_counted(repository, open_house, caplog):
    async with open_house() as house:
        (repository.path / "hybrid" / "labels.json").write_text('{"shadow": 2}')
        await house.registry.follow()
        for user in range(5):
            await house.answer(f"u{user:02d}")
        assert house.shadow.report().failure_count == 5
        (line,) = [record.message for record in caplog.records if "shadow" in record.message]
        assert line.startswith("the shadow cannot answer: model version not found: 'hybrid/2'")


async def test_what_was_asked_of_other_versions_is_not_compared(open_house):
    async with open_house() as house:
        await house.models.set_label("hybrid", "shadow", 1)
        query = RecommendQuery(
            Subject("user", user_id="u00"), limit=10, models=ModelSelector(versions=(("hybrid", 1),))
        )
        await house.recommend.recommend(query)
        await house.answer("u01")
        assert house.shadow.report().request_count == 1


async def test_one_request_is_compared_at_a_time_and_leaving_ends_it(repository, listeners):
    class Busy(ThreadPoolExecutor):
        """Has no thread for what it is given until it is let go."""

        def __init__(self) -> None:
            super().__init__(1)
            self.free, self.given = threading.Event(), asyncio.Event()
            super().submit(self.free.wait)

        def submit(self, *arguments, **options):
            self.given.set()
            return super().submit(*arguments, **options)

    before = asyncio.all_tasks()
    with ThreadPoolExecutor(2) as serving, Busy() as busy:
        try:
            async with (
                Registry(BundleStore(repository.path), executor=serving) as registry,
                Recommender(executor=serving) as recommender,
                Recommender(executor=busy) as other,
            ):
                await registry.start()
                await registry.set_label("hybrid", "shadow", 1)
                async with Shadow(registry=registry, recommender=other, share=1.0) as shadow:
                    service = RecommendService(
                        registry=registry, listeners=listeners, recommender=recommender, shadow=shadow
                    )
                    for user in range(3):
                        query = RecommendQuery(Subject("user", user_id=f"u{user:02d}"), limit=10)
                        assert len((await service.recommend(query)).tracks) == 10
                    await asyncio.wait_for(busy.given.wait(), 20)
                assert asyncio.all_tasks() == before
                report = shadow.report()
                assert (report.request_count, report.skipped_count) == (0, 2)
                busy.free.set()
        finally:
            busy.free.set()


@pytest.fixture
def open_shadow(repository, listeners):
    """`open_shadow(share)`: a function that says that an answer was served, and gives the report of the comparison.

    `trying` is the executor of the shadow.
    """

    @asynccontextmanager
    async def opened(share=1.0, trying=None):
        with ThreadPoolExecutor(2) as executor:
            async with (
                Registry(BundleStore(repository.path), executor=executor) as registry,
                Recommender(executor=executor) as recommender,
                Recommender(executor=executor if trying is None else trying) as other,
                Shadow(registry=registry, recommender=other, share=share, sample=random.Random(3)) as shadow,
            ):
                await registry.start()
                await registry.set_label("hybrid", "shadow", 1)
                query = RecommendQuery(Subject("user", user_id="u00"), limit=20)
                listener, _ = await listeners.resolve(query.subject, registry.snapshot.catalog)

                async def compared(change=lambda answer: answer, **asked):
                    answer = await recommender.recommend(registry.snapshot, listener, query, degraded=())
                    shadow.offer(replace(query, **asked), listener, (), change(answer), elapsed_s=5.0)
                    await shadow.finished()
                    return shadow.report()

                yield compared

    return opened


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
async def test_a_share_of_the_requests_is_compared(open_shadow, share):
    twin = random.Random(3)
    expected = sum(twin.random() < share for _ in range(40))
    async with open_shadow(share) as compared:
        reports = [await compared() for _ in range(40)]
    assert reports[-1].request_count == expected


async def test_a_comparison_shows_what_both_have_and_how_scores_moved(open_shadow):
    async with open_shadow() as compared:
        report = await compared(lambda answer: replace(answer, tracks=answer.tracks[:10]))
        assert (report.overlap_at_k, report.score_drift) == (1.0, 0.0)  # the first ten are compared
        assert report.served_s == 5.0
        assert 0 < report.shadow_s < 5
    for change, overlap in ((slice(4), 0.4), (slice(6, None), 0.4), (slice(1), 0.1), (slice(0), 0.0)):
        async with open_shadow() as compared:
            report = await compared(lambda answer, change=change: replace(answer, tracks=answer.tracks[change]))
            assert report.overlap_at_k == overlap
            assert math.isfinite(report.score_drift)
    nothing = TrackFilter(artists=("nobody",))
    for change, overlap in ((slice(10), 0.0), (slice(0), 1.0)):
        async with open_shadow() as compared:
            report = await compared(
                lambda answer, change=change: replace(answer, tracks=answer.tracks[change]), filter=nothing
            )
            assert (report.request_count, report.overlap_at_k, report.score_drift) == (1, overlap, 0.0)

    def raised(answer):
        spread = pstdev(track.score for track in answer.tracks[:10])
        return replace(answer, tracks=tuple(replace(track, score=track.score + spread) for track in answer.tracks))

    async with open_shadow() as compared:
        assert (await compared(raised)).score_drift == pytest.approx(-1.0, abs=1e-4)
        assert (await compared()).score_drift == pytest.approx(-0.5, abs=1e-4)  # on the average


async def test_a_shadow_has_more_time_than_the_caller(open_shadow):
    async with open_shadow() as compared:
        report = await compared(deadline=time.monotonic() - 1)
    assert (report.request_count, report.failure_count, report.overlap_at_k) == (1, 0, 1.0)


async def test_a_shadow_that_breaks_down_is_logged_and_counted(open_shadow, caplog):
    trying = ThreadPoolExecutor(1)
    trying.shutdown()
    async with open_shadow(trying=trying) as compared:
        report = await compared()
    assert (report.request_count, report.failure_count) == (0, 1)
    assert "the shadow failed" in caplog.text


async def test_another_shadow_is_compared_anew(repository, make_repository, open_house):
    make_repository(repository.path)
    async with open_house() as house:
        for version in (1, 2):
            await house.models.set_label("hybrid", "shadow", version)
            assert house.shadow.report().request_count == 0
            await house.answer("u00")
            assert (house.shadow.report().versions, house.shadow.report().request_count) == ((("hybrid", version),), 1)


async def test_a_shadow_whose_model_fails_is_not_promoted(repository, make_repository, open_house, sign_again):
    make_repository(repository.path)
    shorten_table(repository.path / "ncf" / "2", sign_again)
    async with open_house() as house:
        await house.models.set_label("hybrid", "stable", 1)
        await house.models.set_label("hybrid", "shadow", 2)
        for user in range(20):
            await house.answer(f"u{user:02d}")
        report = house.shadow.report()
        assert report.failure_count > 0
        assert report.request_count + report.failure_count == 20
        with pytest.raises(RefusedModelError, match=f"as a shadow it failed on {report.failure_count} of 20 requests"):
            await house.models.set_label("hybrid", "stable", 2)


async def test_a_shadow_of_itself_agrees_in_full(open_house):
    async with open_house() as house:
        await house.models.set_label("hybrid", "shadow", 1)
        for user in range(5):
            await house.answer(f"u{user:02d}")
        report = house.models.shadow_report()
        assert (report.request_count, report.overlap_at_k, report.score_drift) == (5, 1.0, 0.0)


async def test_a_version_that_answers_as_it_should_is_promoted(repository, make_repository, open_house):
    make_repository(repository.path)
    async with open_house() as house:
        await house.models.set_label("hybrid", "stable", 1)
        heard = [f"t{row:03d}" for row in (0, 4, 8)]
        rock = [str(track_id) for track_id in sorted(repository.ids_of_taste(0))]
        house.golden.write_text(
            json.dumps(
                [
                    {"session_tracks": heard, "expected": rock, "least": 5},
                    {"user_id": "u00", "expected": rock, "least": 5},
                ]
            )
        )
        status = await house.models.set_label("hybrid", "stable", 2)
        assert status.labels == {"stable": 2}
        assert dict(house.registry.snapshot.model_versions)["hybrid"] == 2


async def test_what_speaks_against_a_version_is_said_and_can_be_passed_over(
    repository, make_repository, open_house, sign_again
):
    make_repository(repository.path)
    sign_again(repository.path / "hybrid" / "2", parity={"max_abs_diff": 0.5, "limit": 1e-4})
    async with open_house(shadow_requests=30) as house:
        await house.models.set_label("hybrid", "stable", 1, force=True)
        house.golden.write_text(json.dumps([{"user_id": "u00", "expected": ["t001"], "limit": 5}]))
        with pytest.raises(RefusedModelError) as refused:
            await house.models.set_label("hybrid", "stable", 2)
        for reason in (
            "hybrid/2 does not pass the promotion gate",
            "differs from what was trained by 0.5, and 0.0001 is allowed",
            "golden request 0 holds 0 of the expected tracks, not 1",
            "it has not been a shadow, and 30 comparisons are asked for",
            "--force",
        ):
            assert reason in str(refused.value)
        assert dict(house.registry.snapshot.model_versions)["hybrid"] == 1
        assert (await house.registry.model("hybrid")).labels == {"stable": 1}
        await house.models.set_label("hybrid", "shadow", 2)
        await house.answer("u00")
        with pytest.raises(RefusedModelError, match="1 requests have been compared with it, and 30 are asked for"):
            await house.models.set_label("hybrid", "stable", 2)
        await house.models.set_label("hybrid", "stable", 2, force=True)
        assert dict(house.registry.snapshot.model_versions)["hybrid"] == 2


async def test_a_shadow_that_serves_something_else_is_not_promoted(repository, make_repository, open_house):
    make_repository(repository.path, seed=8)
    async with open_house(min_overlap=1.0) as house:
        await house.models.set_label("hybrid", "stable", 1)
        await house.models.set_label("hybrid", "shadow", 2)
        for user in range(25):
            await house.answer(f"u{user:02d}")
        with pytest.raises(RefusedModelError, match=r"as a shadow it shared 0\.\d\d of the first 10 tracks"):
            await house.models.set_label("hybrid", "stable", 2)


@pytest.mark.parametrize(
    ("golden", "problem"),
    [
        ("{", "cannot be read"),
        ("{}", "is not a list"),
        ("[1]", "request 0 is wrong"),
        ('[{"user_id": "u", "seed_tracks": ["t"], "expected": ["t"]}]', "give exactly one of"),
        ('[{"user_id": "u"}]', "request 0 is wrong"),
        ('[{"user_id": "u", "expected": ["t"], "least": 2}]', "'least' 1 to"),
    ],
)
async def test_wrong_golden_requests_stop_a_promotion(open_house, golden, problem):
    async with open_house() as house:
        house.golden.write_text(golden)
        with pytest.raises(RefusedModelError, match=f"golden.json.*{problem}"):
            await house.models.set_label("hybrid", "stable", 1)


async def test_a_golden_request_with_tracks_that_are_gone_is_a_problem(open_house):
    async with open_house() as house:
        house.golden.write_text(json.dumps([{"seed_tracks": ["nope"], "expected": ["t001"]}]))
        with pytest.raises(RefusedModelError, match="golden request 0 is not answered: track not found: 'nope'"):
            await house.models.set_label("hybrid", "stable", 1)


async def test_a_version_that_fails_for_training_listeners_is_not_promoted(
    repository, make_repository, open_house, sign_again
):
    make_repository(repository.path)
    shorten_table(repository.path / "ncf" / "2", sign_again)
    async with open_house() as house:
        await house.registry.set_label("hybrid", "stable", 1)
        with pytest.raises(RefusedModelError, match=r"listener 'u\d\d' gets no list: ncf/2: the model failed"):
            await house.models.set_label("hybrid", "stable", 2)


async def test_a_golden_request_may_be_met_by_some_of_what_is_expected(repository, make_repository, open_house):
    make_repository(repository.path)
    async with open_house() as house:
        await house.registry.set_label("hybrid", "stable", 1)
        answer = await house.answer("u00")
        expected = [*[track.track_id for track in answer.tracks[:3]], "t001", "t002"]
        for least, passes in ((4, False), (3, True)):
            golden = {"user_id": "u00", "expected": expected, "least": least}
            house.golden.write_text(json.dumps([{"seed_tracks": ["nope"], "expected": ["t001"]}, golden]))
            with pytest.raises(RefusedModelError, match="golden request 0 is not answered") as refused:
                await house.models.set_label("hybrid", "stable", 1)
            assert ("golden request 1 holds 3 of the expected tracks, not 4" in str(refused.value)) is not passes


async def test_what_is_not_there_is_not_found(open_house):
    async with open_house() as house:
        with pytest.raises(NotFoundError, match="model version not found: 'hybrid/7'"):
            await house.models.set_label("hybrid", "stable", 7)
        with pytest.raises(NotFoundError, match="model not found: 'nonsense'"):
            await house.models.set_label("nonsense", "stable", 1)


async def test_a_catalogue_has_nothing_that_the_gate_could_check(repository, make_repository, open_house):
    make_repository(repository.path, kinds=("catalog",), n_tracks=220)
    async with open_house() as house:
        await house.models.set_label("catalog", "stable", 1)
        assert len(house.registry.snapshot.catalog) == 200


async def test_what_is_loaded_for_the_gate_is_told_as_such(repository, make_repository, open_house):
    async with open_house() as house:
        make_repository(repository.path)
        await house.models.set_label("hybrid", "stable", 2, cause=Cause(Origin.OPERATOR, "somebody", "at last"))
        loaded = {(change.model, change.reason) for change in house.told if change.event is ModelEvent.LOADED}
        assert ("hybrid", "for the promotion gate") in loaded
        promoted = next(change for change in house.told if change.event is ModelEvent.LABELLED)
        assert (promoted.version, promoted.cause.caller, promoted.reason) == (2, "somebody", "at last")


async def test_a_refusal_by_the_gate_is_told_with_the_bundle(repository, make_repository, open_house, sign_again):
    make_repository(repository.path)
    sign_again(repository.path / "hybrid" / "2", parity={"max_abs_diff": float("nan"), "limit": 1e-4})
    async with open_house() as house:
        await house.registry.set_label("hybrid", "stable", 1)
        with pytest.raises(RefusedModelError, match=r"differs from what was trained by nan, and 0\.0001 is allowed"):
            await house.models.set_label("hybrid", "stable", 2)
        (refusal,) = [change for change in house.told if change.event is ModelEvent.REFUSED]
        digest = house.registry.loaded("hybrid", version=2).bundle.manifest.digest
        assert (refusal.model, refusal.version, refusal.digest) == ("hybrid", 2, digest)


OLD, NEW = (("hybrid", 1), ("ncf", 1)), (("hybrid", 2), ("ncf", 2))


class Rollbacks:
    def __init__(self) -> None:
        self.names: list[str] = []
        self.causes: list[Cause] = []

    async def __call__(self, name: str, *, cause: Cause) -> None:
        self.names.append(name)
        self.causes.append(cause)
        await asyncio.sleep(0)


@pytest.fixture
def watch():
    """A probation with small limits, on a clock that stands still, and what it rolled back."""
    rollbacks, clock = Rollbacks(), [0.0]
    limits = ProbationLimits(min_requests=20, settling=5, duration_s=60)
    return Probation(rollbacks, limits=limits, now=lambda: clock[0]), rollbacks, clock


async def feed(probation, versions, n, *, elapsed_s=0.01, failures=0):
    every = n // failures if failures else n + 1
    for number in range(n):
        probation.observe(versions, elapsed_s=elapsed_s, failed=number % every == every - 1)
    await probation.settled()


async def test_a_version_that_fails_is_rolled_back_once(watch):
    probation, rollbacks, _ = watch
    await feed(probation, OLD, 100)
    await feed(probation, NEW, 40, failures=10)
    assert rollbacks.names == ["hybrid"]  # and its parts with it
    assert rollbacks.causes == [Cause(Origin.PROBATION, reason="25% of requests fail, where 0% did before")]
    assert probation.rollbacks == {"hybrid": 1}
    await feed(probation, OLD, 100)
    await feed(probation, NEW, 40, failures=10)  # somebody insists
    assert rollbacks.names == ["hybrid"]


async def test_what_was_under_way_at_a_rollback_does_not_become_the_measure(watch):
    """The next version, which fails as well, is compared with the one that did not."""
    probation, rollbacks, _ = watch
    await feed(probation, OLD, 100)
    await feed(probation, NEW, 40, failures=10)
    await feed(probation, OLD, 10)
    await feed(probation, NEW, 3, failures=1)  # the last of those that were under way
    await feed(probation, OLD, 50)
    await feed(probation, (("hybrid", 3), ("ncf", 3)), 40, failures=10)
    assert rollbacks.names == ["hybrid", "hybrid"]


async def test_without_a_new_hybrid_each_changed_model_goes_back(watch):
    probation, rollbacks, _ = watch
    await feed(probation, OLD, 100)
    await feed(probation, (("hybrid", 1), ("ncf", 2)), 40, failures=10)
    assert rollbacks.names == ["ncf"]


async def test_a_version_that_is_slow_is_rolled_back(watch):
    probation, rollbacks, _ = watch
    await feed(probation, OLD, 100)
    await feed(probation, NEW, 60, elapsed_s=0.049)
    assert rollbacks.names == []
    await feed(probation, (("hybrid", 3), ("ncf", 3)), 60, elapsed_s=0.06)
    assert rollbacks.names == ["hybrid"]


async def test_a_version_that_is_slow_for_one_in_ten_is_rolled_back(watch):
    probation, rollbacks, _ = watch
    await feed(probation, OLD, 100)
    for number in range(45):
        probation.observe(NEW, elapsed_s=0.2 if number % 10 == 0 else 0.01, failed=False)
    await probation.settled()
    assert rollbacks.names == ["hybrid"]
    assert rollbacks.causes[0].reason.startswith("the 95th percentile of times is ")


async def test_what_was_not_there_before_does_not_go_back(watch):
    probation, rollbacks, _ = watch
    await feed(probation, (("ncf", 1),), 100)
    await feed(probation, (("ncf", 2), ("sequence", 1)), 40, failures=10)
    assert rollbacks.names == ["ncf"]


async def test_a_version_that_does_no_worse_becomes_the_measure(watch):
    probation, rollbacks, clock = watch
    await feed(probation, OLD, 100, failures=10)
    await feed(probation, NEW, 100, failures=10, elapsed_s=0.03)
    clock[0] = 61.0
    await feed(probation, NEW, 1)
    await feed(probation, NEW, 1000, failures=500)
    assert rollbacks.names == []


async def test_a_few_requests_prove_nothing(watch):
    probation, rollbacks, _ = watch
    await feed(probation, OLD, 100)
    await feed(probation, NEW, 10, failures=10)
    assert rollbacks.names == []


async def test_a_version_before_that_hardly_served_proves_nothing_either(watch):
    probation, rollbacks, _ = watch
    await feed(probation, OLD, 20)  # the first five do not count
    await feed(probation, NEW, 40, failures=10)
    assert rollbacks.names == []


async def test_leaving_waits_for_a_rollback_under_way():
    rollbacks = Rollbacks()
    async with Probation(rollbacks, limits=ProbationLimits(min_requests=20, settling=0)) as probation:
        for versions, failed in ((OLD, False), (NEW, True)):
            for _ in range(20):
                probation.observe(versions, elapsed_s=0.01, failed=failed)
        assert rollbacks.names == []
    assert rollbacks.names == ["hybrid"]
    assert probation.rollbacks == {"hybrid": 1}


async def test_a_rollback_that_is_refused_is_said_and_the_others_go_back(watch, caplog):
    class Refusing(Rollbacks):
        async def __call__(self, name, *, cause):
            if name == "content":
                raise RefusedModelError("content: there is no version to go back to")
            await super().__call__(name, cause=cause)

    rollbacks = Refusing()
    probation = Probation(rollbacks, limits=ProbationLimits(min_requests=20, settling=0))
    await feed(probation, (("content", 1), ("ncf", 1)), 40)
    await feed(probation, (("content", 2), ("ncf", 2)), 40, failures=10)
    assert rollbacks.names == ["ncf"]
    assert probation.rollbacks == {"ncf": 1}
    assert "content cannot be rolled back: content: there is no version" in caplog.text


async def test_what_failed_long_ago_counts_no_more(watch):
    rollbacks = Rollbacks()
    probation = Probation(rollbacks, limits=ProbationLimits(min_requests=20, settling=0, window=50))
    await feed(probation, OLD, 50, failures=50)
    await feed(probation, OLD, 50)
    await feed(probation, NEW, 40, failures=10)
    assert rollbacks.causes == [Cause(Origin.PROBATION, reason="25% of requests fail, where 0% did before")]


async def test_versions_that_fail_on_live_requests_are_rolled_back(repository, make_repository, listeners, sign_again):
    make_repository(repository.path)
    shorten_table(repository.path / "ncf" / "2", sign_again)
    limits, told = ProbationLimits(min_requests=10, settling=0), []
    with ThreadPoolExecutor(2) as executor:
        async with (
            Registry(BundleStore(repository.path), executor=executor, on_changed=told.extend) as registry,
            Recommender(executor=executor) as recommender,
            Probation(registry.rollback, limits=limits) as probation,
        ):
            await registry.start()
            await registry.load_version("hybrid", 1)
            service = RecommendService(
                registry=registry, listeners=listeners, recommender=recommender, probation=probation
            )
            for number in range(20):
                await service.recommend(RecommendQuery(Subject("user", user_id=f"u{number:02d}"), limit=10))
            await registry.load_version("hybrid", 2)
            for number in range(20):
                answer = await service.recommend(RecommendQuery(Subject("user", user_id=f"u{number:02d}"), limit=10))
                assert len(answer.tracks) == 10  # degraded perhaps, but answered
                await probation.settled()
            assert dict(registry.snapshot.model_versions)["hybrid"] == 1
            assert answer.degraded == ()
            assert (await registry.model("hybrid")).labels == {"stable": 1}
            back = next(change for change in told if change.event is ModelEvent.BACK_IN_SERVICE)
            assert (back.cause.origin, back.version, back.replaced) == (Origin.PROBATION, 1, 2)
            assert "of requests fail, where 0% did before" in back.reason
