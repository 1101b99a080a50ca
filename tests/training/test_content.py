"""The content embedding: trained on two tastes, resumed, saved, and given too little."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pytest

from audotics.data.dataset import DataError
from audotics.features.content import ContentEncoder, ContentInputs, Embeddings
from audotics.features.tracks import TagSets, TrackColumns
from audotics.models.content import Blend, ContentOptions, blended, build, encode, load, save, start
from audotics.models.content_map import ContentMapOptions, fit_content_map, listening_factors
from audotics.training.checkpoints import CheckpointError
from audotics.training.content import RIDGE_STRENGTHS, ContentFit, draw_pairs, train_content
from audotics.training.content_trial import ContentTrial
from audotics.training.progress import Quiet

OPTIONS = ContentOptions(
    embedding_size=8, epochs=4, batch_size=64, learning_rate=0.02, temperature=0.2, patience=4, dropout=0.1
)


@dataclass(frozen=True)
class Content:
    """What `train_content` takes, and where it keeps its checkpoints."""

    encoder: ContentEncoder
    inputs: ContentInputs
    histories: list[np.ndarray]
    folder: Path

    def train(self, options: ContentOptions, *, name: str, resume: bool = False) -> tuple[keras.Model, ContentFit]:
        return train_content(
            self.encoder,
            self.inputs,
            self.histories,
            options,
            seed=0,
            checkpoints=self.folder / name,
            resume=resume,
            progress=Quiet(),
        )


@pytest.fixture(scope="module")
def content(two_tastes: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Content:
    """Tracks 0..19 carry tags of one kind, 20..39 of another; a common tag says nothing, and there is no audio."""
    rng = np.random.default_rng(0)
    kinds = [["folk", "acoustic", "calm"], ["metal", "loud", "fast"]]
    tags = [[*rng.choice(kinds[row // 20], 2, replace=False), "seen live"] for row in range(40)]
    tracks = TrackColumns.build([f"t{row}" for row in range(40)], tags=TagSets.from_lists(tags))
    encoder = ContentEncoder.fit(tracks, artist_buckets=16)
    return Content(encoder, encoder.encode(tracks), two_tastes, tmp_path_factory.mktemp("content"))


@pytest.fixture(scope="module")
def trained(content: Content) -> tuple[keras.Model, ContentFit]:
    return content.train(OPTIONS, name="whole")


def test_vectors_have_unit_length(content: Content, trained: tuple[keras.Model, ContentFit]) -> None:
    embeddings = encode(trained[0], content.inputs)

    assert embeddings.vectors.shape == (40, 8)
    np.testing.assert_allclose(np.linalg.norm(embeddings.vectors, axis=1), 1, atol=1e-5)
    assert embeddings.lengths.shape == (40,)
    assert embeddings.lengths.min() > 0


def test_tracks_of_one_taste_point_the_same_way(content: Content, trained: tuple[keras.Model, ContentFit]) -> None:
    network, result = trained
    vectors = encode(network, content.inputs).vectors
    cosines = vectors @ vectors.T
    same = np.equal.outer(np.arange(40) < 20, np.arange(40) < 20)

    assert result.losses[-1] < result.losses[0]
    assert cosines[same].mean() > cosines[~same].mean() + 0.5


def test_a_new_track_lands_among_its_like(content: Content, trained: tuple[keras.Model, ContentFit]) -> None:
    new = TrackColumns.build(["new"], tags=TagSets.from_lists([["metal", "fast", "never seen before"]]))
    vector = encode(trained[0], content.encoder.encode(new)).vectors[0]
    cosines = encode(trained[0], content.inputs).vectors @ vector

    assert cosines[20:].mean() > cosines[:20].mean() + 0.5


def test_a_saved_network_comes_back_equal(
    content: Content, trained: tuple[keras.Model, ContentFit], tmp_path: Path
) -> None:
    save(trained[0], tmp_path)

    loaded, source = encode(load(tmp_path), content.inputs), encode(trained[0], content.inputs)
    np.testing.assert_array_equal(loaded.vectors, source.vectors)
    np.testing.assert_array_equal(loaded.lengths, source.lengths)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    content: Content, trained: tuple[keras.Model, ContentFit]
) -> None:
    _, before = content.train(replace(OPTIONS, epochs=2), name="parts")
    network, after = content.train(OPTIONS, name="parts", resume=True)

    assert before.losses == pytest.approx(trained[1].losses[:2], rel=1e-4)
    assert after.losses == pytest.approx(trained[1].losses, rel=1e-4)
    assert after.scores == pytest.approx(trained[1].scores, rel=1e-4)
    np.testing.assert_allclose(
        encode(network, content.inputs).vectors, encode(trained[0], content.inputs).vectors, atol=1e-3
    )


def test_training_anew_forgets_what_was(content: Content, trained: tuple[keras.Model, ContentFit]) -> None:
    content.train(replace(OPTIONS, epochs=2), name="anew")
    _, result = content.train(replace(OPTIONS, epochs=1), name="anew")

    assert result.losses == pytest.approx(trained[1].losses[:1], rel=1e-4)
    assert sorted(path.name for path in (content.folder / "anew" / "selection").iterdir()) == [
        "epoch-001.weights.h5",
        "losses.json",
    ]


def test_only_the_best_and_the_last_weights_are_kept(content: Content, trained: tuple[keras.Model, ContentFit]) -> None:
    kept = {path.name for path in (content.folder / "whole" / "selection").iterdir()}
    best = 1 + int(np.argmax(trained[1].scores))

    assert kept == {"losses.json", f"epoch-{best:03d}.weights.h5", "epoch-004.weights.h5"}


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("losses.json", r"losses\.json: is not a record of losses"),
        ("epoch-004.weights.h5", r"epoch-004\.weights\.h5: is missing or damaged"),
    ],
)
@pytest.mark.parametrize("size", [0, 15])
def test_a_damaged_checkpoint_is_named(
    content: Content, trained: tuple[keras.Model, ContentFit], file: str, message: str, size: int
) -> None:
    folder = content.folder / f"damaged {file} {size}"
    shutil.copytree(content.folder / "whole", folder)
    damaged = folder / "selection" / file
    damaged.write_bytes(damaged.read_bytes()[:size])

    with pytest.raises(CheckpointError, match=f"{message}; train without --resume"):
        content.train(OPTIONS, name=folder.name, resume=True)


def test_a_missing_checkpoint_is_named(content: Content, trained: tuple[keras.Model, ContentFit]) -> None:
    folder = content.folder / "missing"
    shutil.copytree(content.folder / "whole", folder)
    (folder / "selection" / "epoch-004.weights.h5").unlink()

    with pytest.raises(CheckpointError, match=r"epoch-004\.weights\.h5: is missing or damaged"):
        content.train(OPTIONS, name="missing", resume=True)


def test_a_checkpoint_of_another_shape_is_refused(content: Content, trained: tuple[keras.Model, ContentFit]) -> None:
    with pytest.raises(CheckpointError, match=r"selection: .*another shape.*without --resume"):
        content.train(replace(OPTIONS, embedding_size=6), name="whole", resume=True)


def test_too_few_listeners_are_refused(content: Content) -> None:
    lonely = replace(content, histories=[np.asarray([1, 2, 3]), np.asarray([4]), np.asarray([], np.int32)])

    with pytest.raises(DataError, match=r"two listeners .*but there are 1; lower --k-core"):
        lonely.train(OPTIONS, name="lonely")


def test_two_listeners_are_enough(content: Content) -> None:
    pair = replace(content, histories=content.histories[:2])
    _, result = pair.train(replace(OPTIONS, epochs=1, validation_split=0.9), name="pair")

    assert np.isfinite([*result.losses, *result.scores]).all()


def test_what_no_epoch_improves_stays_in_its_closed_form(content: Content) -> None:
    network, result = content.train(replace(OPTIONS, epochs=1, learning_rate=0.0), name="still")
    heard = np.zeros(40, np.bool_)
    heard[np.concatenate(content.histories)] = True
    options = ContentMapOptions(l2=result.l2)
    factors = listening_factors(content.histories, 40, 8, damping=options.damping)
    expected = fit_content_map(content.inputs, factors, heard, buckets=16, options=options).factors(content.inputs)

    assert (result.best_epoch, len(result.scores)) == (0, 1)
    assert result.start >= result.scores[0]
    lengths = np.linalg.norm(expected, axis=1)
    embeddings = encode(network, content.inputs)
    np.testing.assert_allclose(embeddings.vectors, expected / lengths[:, None], atol=1e-4)
    np.testing.assert_allclose(embeddings.lengths, (lengths / lengths.mean()) ** result.exponent, atol=1e-4)


def test_the_closed_form_already_finds_tracks_of_the_same_taste(content: Content) -> None:
    trial = ContentTrial.draw(content.histories, 40, 0.2, seed=0)
    shuffled = Embeddings(np.eye(40, dtype=np.float32), np.ones(40, np.float32))
    _, result = content.train(replace(OPTIONS, epochs=1), name="start")

    assert result.start > trial.score(shuffled) * 1.2


def test_a_trial_holds_out_tracks_from_all_and_one_more_from_some(content: Content) -> None:
    trial = ContentTrial.draw(content.histories, 40, 0.2, seed=0)

    assert trial.held_out.sum() == 8
    assert not trial.held_out[np.concatenate(trial.known)].any()
    assert not trial.held_out[trial.heard.targets].any()
    whole = {frozenset(history[~trial.held_out[history]].tolist()) for history in content.histories}
    for history, target in zip(trial.heard.histories, trial.heard.targets, strict=True):
        assert target not in history
        assert {*history.tolist(), int(target)} in whole
    assert len(trial.heard.targets) >= 10


def test_a_trial_of_a_blend_takes_the_best_of_both_ends(content: Content) -> None:
    """The one end knows nothing, the other the tastes."""
    trial = ContentTrial.draw(content.histories, 40, 0.2, seed=0)
    rng = np.random.default_rng(0)
    nothing = rng.normal(size=(40, 4)).astype(np.float32)
    tastes = np.repeat(np.eye(2, 4, dtype=np.float32), 20, axis=0) + rng.normal(0, 0.01, (40, 4)).astype(np.float32)

    assert trial.best(nothing, tastes)[1].share >= 0.75
    assert trial.best(nothing, tastes)[0] >= trial.score(Blend(1.0, 1.0).of(nothing, tastes))
    assert trial.best(tastes)[0] > trial.best(nothing)[0]
    assert trial.best(tastes)[1].share == 0.0


def test_a_blended_network_gives_the_embeddings_that_were_judged(
    content: Content, trained: tuple[keras.Model, ContentFit]
) -> None:
    """Up to one factor, which lets lengths stay near 1."""
    options = replace(OPTIONS, embedding_size=8)
    factors = listening_factors(content.histories, 40, 8, damping=3.0)
    heard = np.ones(40, np.bool_)
    content_map = fit_content_map(content.inputs, factors, heard, buckets=16, options=ContentMapOptions())
    begun, ended = build(content.encoder, options), build(content.encoder, options)
    for network in (begun, ended):
        start(network, content_map, content.inputs)
    rng = np.random.default_rng(0)
    for layer in ended.layers:
        layer.set_weights([value + rng.normal(0, 0.3, value.shape) for value in layer.get_weights()])
    ends = [encode(network, content.inputs) for network in (begun, ended)]
    blend = Blend(0.5, 0.5)
    expected = blend.of(*(each.vectors * each.lengths[:, None] for each in ends))
    found = encode(blended(ended, content_map, content.encoder, content.inputs, options, blend), content.inputs)

    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-4)
    ratios = found.lengths / expected.lengths
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-4)
    assert (found.lengths**2).mean() == pytest.approx(1.0, rel=1e-4)


def test_the_record_of_a_fit_tells_where_it_started(trained: tuple[keras.Model, ContentFit]) -> None:
    record = trained[1].to_json()

    assert record["start"] == trained[1].start
    assert record["l2"] in RIDGE_STRENGTHS
    assert len(record["losses"]) == 4


def test_pairs_join_two_places_of_one_history() -> None:
    histories = [np.asarray([1, 2, 3], np.int32), np.asarray([10, 20], np.int32)]
    pairs = draw_pairs(histories, 1000, batch_size=64, rng=np.random.default_rng(0))

    assert pairs.shape == (960, 2)
    drawn = {tuple(pair) for pair in pairs.tolist()}
    assert drawn == {(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2), (10, 20), (20, 10)}
    assert (pairs < 10).mean() == pytest.approx(3 / 5, abs=0.06)


def test_less_than_a_batch_of_pairs_is_one_batch() -> None:
    assert len(draw_pairs([np.asarray([1, 2], np.int32)], 5, batch_size=64, rng=np.random.default_rng(0))) == 5
