"""The text embedding: fitted in closed form, looked through by words, saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audotics.data.dataset import DataError
from audotics.features.text import TokenBags
from audotics.features.tracks import TagSets, TrackColumns
from audotics.models.text import TextModel, TextOptions
from audotics.training.progress import Quiet
from audotics.training.text import train_text

TAGS = [["folk", "acoustic", "calm"], ["metal", "loud", "fast"]]


@pytest.fixture(scope="module")
def tracks() -> TrackColumns:
    """Rows 0..19 have tags of one kind, 20..39 of another, the last row has nothing; one artist has rows 0 and 39."""
    rng = np.random.default_rng(0)
    tags = [[*rng.choice(TAGS[row // 20], 2, replace=False), "seen live"] for row in range(40)]
    artists = [f"artist {row % 10}" for row in range(40)]
    artists[0] = artists[39] = "The Both"
    return TrackColumns.build(
        [f"t{row}" for row in range(41)], artists=[*artists, ""], tags=TagSets.from_lists([*tags, []])
    )


@pytest.fixture(scope="module")
def model(tracks: TrackColumns) -> TextModel:
    return train_text(tracks, TextOptions(embedding_size=8), seed=0, progress=Quiet())


def test_vectors_have_unit_length_or_none(model: TextModel, tracks: TrackColumns) -> None:
    lengths = np.linalg.norm(model.vectors(tracks), axis=1)

    np.testing.assert_allclose(lengths[:40], 1, atol=1e-6)
    assert lengths[40] == 0


def test_tracks_of_one_kind_point_the_same_way(model: TextModel, tracks: TrackColumns) -> None:
    vectors = model.vectors(tracks)[:40]
    same = np.equal.outer(np.arange(40) < 20, np.arange(40) < 20)
    cosines = vectors @ vectors.T

    assert cosines[same].mean() > cosines[~same].mean() + 0.3


def test_it_is_latent_semantic_analysis_of_tfidf(tracks: TrackColumns) -> None:
    """With as many dimensions as the words span, cosines are those of TF-IDF itself."""
    model = train_text(tracks, TextOptions(embedding_size=500), seed=0, progress=Quiet())
    rows, codes, weights = model.encoder.tfidf(model.encoder.encode(tracks))
    tfidf = np.zeros((41, len(model.encoder.vocabulary)))
    tfidf[rows, codes] = weights
    vectors = model.vectors(tracks)

    np.testing.assert_allclose(vectors @ vectors.T, tfidf @ tfidf.T, atol=1e-5)


def test_words_find_tracks(tracks: TrackColumns) -> None:
    model = train_text(tracks, TextOptions(embedding_size=500), seed=0, progress=Quiet())
    found = model.embed(model.encoder.encode_texts(["something by The Both"]))[0]

    assert set(np.argsort(-(model.vectors(tracks) @ found))[:2].tolist()) == {0, 39}


def test_rare_tokens_are_left_out(model: TextModel, tracks: TrackColumns) -> None:
    once = train_text(tracks, TextOptions(min_tracks=1, embedding_size=4), seed=0, progress=Quiet())
    few = train_text(tracks, TextOptions(min_tracks=10, embedding_size=4, max_tokens=5), seed=0, progress=Quiet())

    assert "the both" in model.encoder.vocabulary
    assert set(once.encoder.vocabulary) >= set(model.encoder.vocabulary)
    assert len(few.encoder.vocabulary) == 5
    assert "the both" not in few.encoder.vocabulary


def test_an_empty_bag_is_zero(model: TextModel) -> None:
    assert not model.embed(TokenBags(np.asarray([0, 0]), np.zeros(0, np.int64))).any()


def test_no_track_is_no_row(model: TextModel, tracks: TrackColumns) -> None:
    assert model.vectors(tracks.take(np.zeros(0, np.int64))).shape == (0, 8)


def test_it_comes_back_from_disk(model: TextModel, tracks: TrackColumns, tmp_path: Path) -> None:
    model.save(tmp_path)

    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".npy"}
    np.testing.assert_array_equal(TextModel.load(tmp_path).vectors(tracks), model.vectors(tracks))


@pytest.mark.parametrize("rows", [[], [40], [0, 40]])
def test_tracks_without_a_shared_word_are_refused(tracks: TrackColumns, rows: list[int]) -> None:
    few = tracks.take(np.asarray(rows, np.int64))

    with pytest.raises(DataError, match=rf"no 2 of the {len(rows)} tracks share a word .*bring a catalogue"):
        train_text(few, TextOptions(), seed=0, progress=Quiet())
