"""What the pipeline does when models are missing, fail, or have no time: a list all the same, and the reason."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from audotics.server.errors import DeadlineError
from audotics.server.pipeline.list_memory import ListMemory, Place
from audotics.server.types import DegradationReason, Listener, RankQuery, RecommendQuery, SimilarQuery, Subject
from tests.server.pipeline.conftest import Stage

MODELS = ("collaborative", "content", "ncf", "hybrid")


def accept_four_rows_only(bundle: Path, inputs: set[str]) -> None:
    """Make a model that passes its warm-up of four rows and fails on any other number."""
    model = onnx.load(bundle / "model.onnx")
    for tensor in model.graph.input:
        if tensor.name in inputs:
            dimension = tensor.type.tensor_type.shape.dim[0]
            dimension.ClearField("dim_param")
            dimension.dim_value = 4
    onnx.save(model, bundle / "model.onnx")


def repository_ids(stage: Stage, taste: int) -> set[str]:
    """Tracks of a taste: those of the artists that a listener of it has heard."""
    columns = stage.snapshot.catalog.columns
    return {
        track_id for track_id, artist in zip(columns.ids, columns.artists, strict=True) if int(artist[-2:]) % 4 == taste
    }


def reasons(answer) -> dict[str, DegradationReason]:
    return {entry.part: entry.reason for entry in answer.degraded}


@pytest.mark.parametrize("present", [(), ("collaborative",), ("content",), ("collaborative", "ncf"), ("ncf", "hybrid")])
async def test_missing_models_are_named_and_the_rest_answers(tmp_path, make_repository, open_stage, present):
    files = make_repository(tmp_path / "repository", kinds=("catalog", *present))
    async with open_stage(files.path) as stage:
        answer = await stage.recommend("u01", 10, explain=True)
        missing = [model for model in MODELS if model not in present]
        assert reasons(answer) == dict.fromkeys(missing, DegradationReason.UNAVAILABLE)
        assert {model for model, _ in answer.model_versions} == set(present)
        assert len(answer.tracks) == 10
        explained = {part.model for track in answer.tracks for part in track.contributions}
        assert explained >= {"collaborative", "content", "ncf"} & set(present)
        for track in answer.tracks:
            assert sum(part.contribution for part in track.contributions) == pytest.approx(track.score, abs=1e-5)
            assert "hybrid" in present or track.confidence == 0.0
        if set(present) & {"collaborative", "content", "ncf"}:
            of_taste = {track.track_id for track in answer.tracks} & files.ids_of_taste(1)
            assert len(of_taste) >= 7  # of ten; by chance it would be two or three
        else:
            plays = files.tracks.plays[stage.snapshot.catalog.rows_of([t.track_id for t in answer.tracks])]
            assert plays.min() > np.median(files.tracks.plays)


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        ("hybrid", {"components", "available", "context"}),
        ("ncf", {"user_index", "track"}),
        ("collaborative", {"history"}),
    ],
)
async def test_a_model_that_fails_is_left_out_of_that_list(repository, open_stage, sign_again, model, inputs):
    bundle = repository.path / model / "1"
    if model == "collaborative":
        np.savez(bundle / "warmup.npz", history=np.zeros((4, 2), np.int64))
    accept_four_rows_only(bundle, inputs)
    sign_again(bundle)
    async with open_stage(repository.path) as stage:
        assert stage.snapshot.degraded == ()
        answer = await stage.recommend("u01", 10, explain=True)
        assert reasons(answer) == {model: DegradationReason.FAILED}
        assert model not in dict(answer.model_versions)
        assert model not in {part.model for track in answer.tracks for part in track.contributions}
        assert {track.track_id for track in answer.tracks} <= repository.ids_of_taste(1)


async def test_requests_at_once_each_lose_only_the_model_that_failed(repository, open_stage, sign_again):
    accept_four_rows_only(repository.path / "hybrid" / "1", {"components", "available", "context"})
    sign_again(repository.path / "hybrid" / "1")
    async with open_stage(repository.path) as stage:
        users = [f"u{number:02d}" for number in range(8)]
        for user, answer in zip(users, await asyncio.gather(*(map(stage.recommend, users))), strict=True):
            assert reasons(answer) == {"hybrid": DegradationReason.FAILED}
            taste = int(repository.taste[repository.history(user)[0]])
            assert {track.track_id for track in answer.tracks} <= repository.ids_of_taste(taste)


async def test_a_deadline_that_is_near_leaves_the_neural_models_out(repository, open_stage):
    async with open_stage(repository.path, deadline_reserve_s=3600.0) as stage:
        deadline = time.monotonic() + 60.0
        alone = await stage.recommend("u01", 10, deadline=deadline)
        together = await asyncio.gather(*(stage.recommend("u01", 10, deadline=deadline) for _ in range(3)))
        for answer in (alone, *together):
            assert reasons(answer) == {"ncf": DegradationReason.DEADLINE, "hybrid": DegradationReason.DEADLINE}
            assert {track.track_id for track in answer.tracks} <= repository.ids_of_taste(1)
        assert (await stage.recommend("u01", 10)).degraded == ()  # nothing less was remembered


@contextmanager
def busy(stage: Stage) -> Iterator[None]:
    """Every thread has something else to do until the block ends."""
    over = threading.Event()
    for _ in range(2):
        stage.executor.submit(over.wait)
    try:
        yield
    finally:
        over.set()


def soon() -> float:
    return time.monotonic() + 0.25


async def test_when_time_runs_out_the_answer_is_the_earlier_list_without_what_was_heard_since(stage):
    earlier = await stage.recommend("u01", 10)
    heard, excluded = earlier.tracks[0].track_id, earlier.tracks[1].track_id
    listener = stage.listener("u01")
    seen = np.append(listener.seen, stage.snapshot.catalog.row_of(heard))
    since = Listener(history=seen, seen=seen)
    with busy(stage):
        query = RecommendQuery(Subject("user", "u01"), 10, excluded=(excluded,), deadline=soon())
        answer = await stage.recommender.recommend(stage.snapshot, since, query)
    assert reasons(answer) == {"list": DegradationReason.DEADLINE}
    assert re.search(r"no time for a new list; this one was made \d+ s ago", answer.degraded[0].detail)
    assert answer.model_versions == earlier.model_versions
    ids = [track.track_id for track in answer.tracks]
    assert not {heard, excluded} & set(ids)
    assert set(ids) <= repository_ids(stage, 1)
    assert {track.track_id for track in earlier.tracks[2:]} <= set(ids)


async def test_when_time_runs_out_a_listener_without_an_earlier_list_gets_popular_tracks(stage):
    history = stage.listener("u01").history
    popular = stage.snapshot.catalog.signals.popular_order[:5]
    listener = Listener(history, np.concatenate([history, popular]))
    with busy(stage):
        query = RecommendQuery(Subject("user", "u01"), 10, explain=True, deadline=soon())
        answer = await stage.recommender.recommend(stage.snapshot, listener, query)
    assert reasons(answer) == dict.fromkeys(("list", *dict(stage.snapshot.model_versions)), DegradationReason.DEADLINE)
    assert "these are popular tracks" in answer.degraded[0].detail
    assert answer.model_versions == ()
    catalog = stage.snapshot.catalog
    rows = catalog.rows_of([track.track_id for track in answer.tracks])
    assert not np.isin(rows, listener.seen).any()
    unseen = [row for row in catalog.signals.popular_order if row not in listener.seen]
    assert set(rows) <= set(unseen[:40])
    assert {part.model for track in answer.tracks for part in track.contributions} == {"popularity"}


async def test_a_long_list_of_popular_tracks_is_as_long_as_asked(stage):
    with busy(stage):
        answer = await stage.recommend("u01", 150, deadline=soon())
    assert "these are popular tracks" in answer.degraded[0].detail
    assert len(answer.tracks) == 150


async def test_when_hardly_anything_is_left_of_the_earlier_list_the_answer_is_popular_tracks(stage):
    await stage.recommend("u01", 10)
    columns = stage.snapshot.catalog.columns
    shortlist = columns.ids[stage.made[0].shortlist.rows]
    with busy(stage):
        answer = await stage.recommend("u01", 10, excluded=tuple(shortlist[:-9]), deadline=soon())
    assert "these are popular tracks" in answer.degraded[0].detail
    assert len(answer.tracks) == 10
    with busy(stage):
        answer = await stage.recommend("u01", 10, excluded=tuple(shortlist[:-10]), deadline=soon())
    assert {track.track_id for track in answer.tracks} == set(shortlist[-10:])


async def test_a_list_that_came_too_late_is_there_the_next_time(repository, open_stage):
    memory = ListMemory()
    async with open_stage(repository.path, memory=memory, fallback_reserve_s=59.9) as stage:
        with busy(stage):
            late = await stage.recommend("u01", 10, deadline=time.monotonic() + 60.0)
            assert reasons(late)["list"] is DegradationReason.DEADLINE
        place = Place.of(stage.snapshot, stage.listener("u01"), RecommendQuery(Subject("user", "u01"), 10))
    remembered = memory.recall(place)
    assert remembered is not None
    assert remembered.answers(place)
    assert remembered.shortlist.degraded == ()


@pytest.mark.parametrize("others", [(), ("content",)])
async def test_when_every_model_of_taste_fails_the_earlier_list_answers(
    tmp_path, make_repository, open_stage, sign_again, others
):
    files = make_repository(tmp_path / "repository", kinds=("catalog", "collaborative", *others))
    bundle = files.path / "collaborative" / "1"
    np.savez(bundle / "warmup.npz", history=np.zeros((1, 12), np.int64))
    model = onnx.load(bundle / "model.onnx")
    length = model.graph.input[0].type.tensor_type.shape.dim[1]
    length.ClearField("dim_param")
    length.dim_value = 12  # as long as the histories of the training data
    onnx.save(model, bundle / "model.onnx")
    sign_again(bundle)
    async with open_stage(files.path) as stage:
        earlier = await stage.recommend("u01", 10)
        assert "collaborative" not in reasons(earlier)
        rows = stage.listener("u01").history
        longer = Listener(history=np.append(rows, 0), seen=np.append(rows, 0))
        query = RecommendQuery(Subject("user", "u01"), 10)
        answer = await stage.recommender.recommend(stage.snapshot, longer, query)
        if others:  # a list of one model of taste is better than an earlier one
            assert reasons(answer)["collaborative"] is DegradationReason.FAILED
            assert "list" not in reasons(answer)
            return
        assert reasons(answer)["list"] is DegradationReason.FAILED
        assert answer.degraded[0].detail.startswith("the models failed for a new list; this one was made ")
        assert [track.track_id for track in answer.tracks] == [track.track_id for track in earlier.tracks]
        stranger = Listener(history=np.asarray([0]), seen=np.asarray([0]))
        popular = await stage.recommender.recommend(
            stage.snapshot, stranger, replace(query, subject=Subject("user", "x"))
        )
        assert reasons(popular)["collaborative"] is DegradationReason.FAILED
        assert len(popular.tracks) == 10


async def test_a_deadline_that_has_passed_is_an_error(stage):
    passed = time.monotonic() - 1.0
    subject = Subject("user", "u01")
    with pytest.raises(DeadlineError):
        await stage.recommend("u01", 10, deadline=passed)
    await stage.recommend("u01", 10)
    with pytest.raises(DeadlineError):  # though there is a list
        await stage.recommend("u01", 10, deadline=passed)
    query = RankQuery(subject, ("t001",), deadline=passed)
    with pytest.raises(DeadlineError):
        await stage.recommender.rank(stage.snapshot, stage.listener("u01"), np.asarray([1]), query)
    with pytest.raises(DeadlineError):
        await stage.recommender.similar(stage.snapshot, SimilarQuery(3, track_id="t001", deadline=passed))
