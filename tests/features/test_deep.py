"""Side features of the deep model: columns, holes, and tags that count."""

from __future__ import annotations

import numpy as np

from audotics.features.deep import SideFeatures
from audotics.features.tracks import TagSets, TrackColumns

AUDIO = np.full((3, 11), np.nan, np.float32)
AUDIO[0] = np.arange(11)
AUDIO[1, 4] = 0.5
TRACKS = TrackColumns.build(["a", "b", "c"], audio=AUDIO, tags=TagSets.from_lists([["x", "y"], ["y", "x"], ["y", "z"]]))


def test_columns_are_audio_whether_there_is_any_and_shared_tags() -> None:
    features = SideFeatures.fit(TRACKS)
    columns = features.encode(TRACKS)

    assert features.names[10:] == ("tempo", "audio known", "tag y", "tag x")
    assert columns.shape == (3, len(features.names))
    assert columns.dtype == np.float32
    np.testing.assert_array_equal(columns[:, :11], AUDIO)
    np.testing.assert_array_equal(columns[:, 11:], [[1, 1, 1], [1, 1, 1], [0, 1, 0]])


def test_only_the_most_frequent_tags_are_taken() -> None:
    assert SideFeatures.fit(TRACKS, max_tags=1).tag_vocabulary == ("y",)


def test_it_comes_back_from_json() -> None:
    features = SideFeatures.fit(TRACKS)

    assert SideFeatures.from_json(features.to_json()) == features
