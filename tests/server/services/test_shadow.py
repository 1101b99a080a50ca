"""Shadows: what they compare, off the path of requests, and what is said of it."""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from statistics import pstdev

import pytest

from audotics.bundle.store import BundleStore
from audotics.server.pipeline.recommender import Recommender
from audotics.server.repository.registry import Registry
from audotics.server.services.recommend import RecommendService
from audotics.server.services.shadow import Shadow
from audotics.server.types import ModelSelector, RecommendQuery, Subject, TrackFilter


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


async def test_a_shadow_of_itself_agrees_in_full(open_house):
    async with open_house() as house:
        await house.models.set_label("hybrid", "shadow", 1)
        for user in range(5):
            await house.answer(f"u{user:02d}")
        report = house.models.shadow_report()
        assert (report.request_count, report.overlap_at_k, report.score_drift) == (5, 1.0, 0.0)
