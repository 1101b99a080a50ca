"""Inputs of the content embedding: vocabulary, artists, and the way through a manifest."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.content import ContentEncoder, artist_bucket
from audotics.features.tracks import TagSets, TrackColumns


@pytest.fixture
def tracks() -> TrackColumns:
    return TrackColumns.build(
        ["a", "b", "c", "d"],
        artists=["Can", "Neu!", "", "can "],
        tags=TagSets.from_lists([["krautrock", "rock"], ["krautrock", "once"], [], ["rock", "krautrock", "live"]]),
        audio=np.random.default_rng(0).random((4, len(AUDIO_FEATURES))),
    )


def test_the_vocabulary_holds_frequent_tags_first_and_none_that_stands_once(tracks: TrackColumns) -> None:
    assert ContentEncoder.fit(tracks).tag_vocabulary == ("krautrock", "rock")
    assert ContentEncoder.fit(tracks, max_tags=1).tag_vocabulary == ("krautrock",)


def test_each_of_many_tags_weighs_less_and_unknown_ones_are_left_out(tracks: TrackColumns) -> None:
    inputs = ContentEncoder.fit(tracks).encode(tracks)

    of_two = 2**-0.25
    np.testing.assert_allclose(inputs.tags, [[of_two, of_two], [1, 0], [0, 0], [of_two, of_two]], atol=1e-6)


def test_feeds_have_the_shapes_of_the_signature(tracks: TrackColumns) -> None:
    inputs = ContentEncoder.fit(tracks, artist_buckets=100).encode(tracks)

    assert len(inputs) == 4
    assert {name: (value.shape, value.dtype.name) for name, value in inputs.feeds().items()} == {
        "audio": ((4, 22), "float32"),
        "tags": ((4, 2), "float32"),
        "artist": ((4,), "int64"),
    }


def test_a_track_is_encoded_alone_as_in_company(tracks: TrackColumns) -> None:
    encoder = ContentEncoder.fit(tracks)
    whole, alone = encoder.encode(tracks), encoder.encode(tracks.take(np.asarray([3])))

    for name, value in alone.feeds().items():
        np.testing.assert_array_equal(value[0], whole.feeds()[name][3])


def test_json_gives_the_same_encoder_back(tracks: TrackColumns) -> None:
    encoder = ContentEncoder.fit(tracks, artist_buckets=100)
    back = ContentEncoder.from_json(json.loads(json.dumps(encoder.to_json())))

    assert (back.tag_vocabulary, back.artist_buckets) == (encoder.tag_vocabulary, 100)
    for name, value in back.encode(tracks).feeds().items():
        np.testing.assert_array_equal(value, encoder.encode(tracks).feeds()[name])


@given(st.lists(st.text(max_size=8)), st.integers(2, 50))
def test_every_artist_has_a_bucket_and_only_the_unknown_one_has_the_first(artists: list[str], buckets: int) -> None:
    result = artist_bucket(artists, buckets)

    assert ((result >= 0) & (result < buckets)).all()
    assert (result == 0).tolist() == [artist == "" for artist in artists]


def test_spelling_of_an_artist_does_not_matter() -> None:
    buckets = artist_bucket(["Björk", " BJÖRK ", "Sigur Rós"], 16_384)

    assert buckets[0] == buckets[1] != buckets[2]
