"""The sequence model in service: it scores, finds and explains tracks, and nobody misses it where there is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from audotics.bundle.catalog import write_ids
from audotics.bundle.manifest import Manifest, TensorSpec
from audotics.bundle.runtime import RuntimeChoice
from audotics.exporters.graphs.sequence import sequence_graph
from audotics.features.hybrid import COMPONENTS
from audotics.models.sequence import SequenceModel, SequenceOptions, count_transitions
from audotics.server.pipeline.explanation import Explainer
from audotics.server.pipeline.neighbourhood import SearchDepth, search
from audotics.server.pipeline.slate import Slate
from audotics.server.pipeline.taste import Taste
from audotics.server.repository.loader import Loader
from audotics.server.repository.parts import SequencePart
from audotics.server.repository.rows import RowMap
from audotics.server.runtime.onnx import OnnxModel
from audotics.server.runtime.opening import RuntimeOpener
from audotics.server.types import Context, Contribution, DegradationReason, Subject

SEQUENCE = COMPONENTS.index("sequence")


def publish(repository, *, lacking: int = 0, wrong_ids: int = 0) -> SequenceModel:
    """A model of the catalogue's first tracks; whoever hears u02's last track hears the last one of these next."""
    rows, offsets = repository.histories.rows, repository.histories.offsets
    size = len(repository.tracks) - lacking
    heard = [rows[start:end] for start, end in pairwise(offsets)]
    heard = [history[history < size] for history in heard]
    pairs = [np.asarray([repository.history("u02")[-1], size - 1])] * 40
    model = count_transitions([*heard, *pairs], size, SequenceOptions(smoothing=1.0))
    known = repository.tracks.take(np.arange(size))
    manifest = Manifest(
        name="sequence",
        kind="sequence",
        version=repository.store.next_version("sequence"),
        framework="numpy",
        created_at=datetime.now(UTC).isoformat(),
        catalog_fingerprint=known.fingerprint(),
        inputs=(TensorSpec("history", "int64", (-1, -1)),),
        outputs=(TensorSpec("scores", "float32", (-1, size)),),
    )

    def write(path: Path) -> None:
        sequence_graph(model).save(path / "model.onnx")
        np.savez(path / "warmup.npz", history=np.asarray([[0, 1, -1]], np.int64))
        write_ids(path, known.ids[: size - wrong_ids])

    with repository.store.write(manifest) as path:
        write(path)
    return model


def signals(stage, user_id: str, rows: np.ndarray):
    snapshot = stage.snapshot
    taste = Taste.read(snapshot, stage.listener(user_id).history)
    return Slate.measure(snapshot, taste, Context(), rows=rows).signals.inputs(None)


@pytest.mark.parametrize("lacking", [0, 20])
async def test_rows_are_scored_as_by_the_model(repository, open_stage, lacking):
    model = publish(repository, lacking=lacking)
    async with open_stage(repository.path) as stage:
        rows = np.asarray([199, 3, 150, 0, 42])
        inputs = signals(stage, "u02", rows)

        assert ("sequence", 1) in stage.snapshot.model_versions
        known = rows < 200 - lacking
        assert inputs.available[:, SEQUENCE].tolist() == known.astype(float).tolist()
        history = repository.history("u02")
        (expected,) = model.scores([history[history < 200 - lacking]])
        np.testing.assert_allclose(inputs.components[known, SEQUENCE], expected[rows[known]], atol=1e-5)


async def test_what_comes_next_is_among_the_candidates(repository, open_stage):
    publish(repository)
    async with open_stage(repository.path) as stage:
        snapshot = stage.snapshot
        taste = Taste.read(snapshot, stage.listener("u02").history)
        depth = SearchDepth(40, 40, 1)

        assert 199 in search(snapshot, taste, depth)
        without = replace(snapshot, sequence=None)
        assert 199 not in search(without, Taste.read(without, taste.history), depth)


async def test_it_explains_by_the_last_track(repository, open_stage):
    publish(repository)
    async with open_stage(repository.path) as stage:
        catalog, taste = stage.snapshot.catalog, Taste.read(stage.snapshot, stage.listener("u02").history)
        explainer = Explainer(catalog, taste, context=Context(), subject=Subject("user", user_id="u02"))

        (reason,) = explainer.reasons(199, [Contribution("sequence", 0.5, 0.4)], None)
        assert reason == f"Often comes soon after “Title {taste.history[-1]:03d}”, which you played"


async def test_a_new_listener_has_nothing_that_comes_next(repository, open_stage):
    publish(repository)
    async with open_stage(repository.path) as stage:
        assert not signals(stage, "nobody", np.arange(10)).available[:, SEQUENCE].any()
        assert (await stage.recommend("nobody", 5)).degraded == ()


async def test_nobody_misses_it(repository, open_stage):
    async with open_stage(repository.path) as stage:
        assert stage.snapshot.sequence is None
        assert (await stage.recommend("u02", 5)).degraded == ()


async def test_tracks_that_are_new_in_the_catalogue_have_no_score(repository, open_stage):
    publish(repository)
    async with open_stage(repository.path) as stage:
        record = stage.snapshot.catalog.record(3)
        await stage.registry.apply_tracks(upserts=[type(record)("debut", title="Debut")])

        assert signals(stage, "u02", np.asarray([199, 200])).available[:, SEQUENCE].tolist() == [1, 0]


async def test_a_model_that_scores_other_tracks_than_it_names_is_refused(repository, open_stage):
    publish(repository, lacking=20, wrong_ids=1)
    async with open_stage(repository.path) as stage:
        assert stage.snapshot.sequence is None
        (version,) = (await stage.registry.model("sequence")).versions
        assert "export again" in version.reason


async def test_a_model_that_fails_is_left_out_and_named(repository, open_stage):
    publish(repository, lacking=100)
    async with open_stage(repository.path) as stage:
        model = stage.snapshot.sequence.model
        broken = replace(stage.snapshot, sequence=SequencePart(1, model, RowMap(200)))  # the model has 100 rows
        taste = Taste.read(broken, np.asarray([3, 150]))

        assert taste.next_tracks is None
        assert [(entry.part, entry.reason) for entry in taste.degraded] == [("sequence", DegradationReason.FAILED)]


class Widthless(OnnxModel):
    """As TensorFlow describes a SavedModel: nobody says how many tracks it scores."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.outputs = tuple(replace(spec, shape=(-1, -1)) for spec in self.outputs)


def test_a_runtime_that_does_not_know_how_many_tracks_are_scored_is_taken_at_its_word(repository):
    publish(repository)
    path = repository.store.open("sequence", 1).file("model.onnx")
    runtimes = RuntimeOpener(default=RuntimeChoice("v2"), remotes={"v2": lambda *_: Widthless(path)})
    loaded = Loader(repository.store, runtimes=runtimes).model("sequence", 1)
    (scores,) = loaded.model.run({"history": np.asarray([[0, 1]])}, ["scores"])
    assert scores.shape == (1, 200)
