"""Attributes: what tracks share, by artist, genre and tag."""

from __future__ import annotations

import numpy as np

from audotics.features.tracks import TagSets, TrackColumns
from audotics.models.attributes import MAX_TAGS, Attributes


def by_name(attributes: Attributes, track: int) -> dict[str, float]:
    rows = slice(attributes.offsets[track], attributes.offsets[track + 1])
    return {
        attributes.names[code]: round(float(weight), 4)
        for code, weight in zip(attributes.codes[rows], attributes.weights[rows], strict=True)
    }


def test_tracks_share_artists_genres_and_tags() -> None:
    tracks = TrackColumns.build(
        list("abcd"),
        artists=["Nina", "Nina", "", "Solo"],
        tags=TagSets.from_lists([["soft rock", "live"], ["hard rock", "live", "1970s"], ["1970s"], []]),
    )

    attributes = Attributes.of(tracks)

    assert by_name(attributes, 0) == {"artist:Nina": 1.0, "genre:rock": 1.0, "tag:live": 1.0}
    assert by_name(attributes, 1) == {"artist:Nina": 1.0, "genre:rock": 1.0, "tag:live": 0.7071, "tag:1970s": 0.7071}
    assert by_name(attributes, 2) == {"tag:1970s": 1.0}
    assert by_name(attributes, 3) == {}
    assert len(attributes) == 4


def test_a_catalogue_that_says_nothing_shares_nothing() -> None:
    attributes = Attributes.of(TrackColumns.build(list("abc")))

    assert len(attributes) == 0
    assert attributes.offsets.tolist() == [0, 0, 0, 0]


def test_rare_tags_do_not_count() -> None:
    names = [f"tag {number:04d}" for number in range(MAX_TAGS + 50)]
    tags = TagSets.from_lists([names, names, names[50:]])

    attributes = Attributes.of(TrackColumns.build(list("abc"), tags=tags))

    assert len(attributes) == MAX_TAGS
    assert attributes.names[0] == "tag:tag 0050"
    assert np.allclose(attributes.weights, MAX_TAGS**-0.5)
