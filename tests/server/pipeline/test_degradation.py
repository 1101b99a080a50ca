"""What the pipeline does when models are missing, fail, or have no time: a list all the same, and the reason."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

from audotics.server.errors import DeadlineError
from audotics.server.types import DegradationReason, RankQuery, SimilarQuery, Subject

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


async def test_a_deadline_that_has_passed_is_an_error(stage):
    passed = time.monotonic() - 1.0
    subject = Subject("user", "u01")
    with pytest.raises(DeadlineError):
        await stage.recommend("u01", 10, deadline=passed)
    query = RankQuery(subject, ("t001",), deadline=passed)
    with pytest.raises(DeadlineError):
        await stage.recommender.rank(stage.snapshot, stage.listener("u01"), np.asarray([1]), query)
    with pytest.raises(DeadlineError):
        await stage.recommender.similar(stage.snapshot, SimilarQuery(3, track_id="t001", deadline=passed))
