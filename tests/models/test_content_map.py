"""The closed form from content to listening factors: ridge by hand, tracks nobody heard, artists of one track."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.features.content import ContentEncoder, ContentInputs
from audotics.features.tracks import TagSets, TrackColumns
from audotics.models.content_map import (
    ContentMapOptions,
    fit_content_map,
    listening_factors,
    shared_artists,
)


@pytest.fixture
def inputs() -> ContentInputs:
    rng = np.random.default_rng(0)
    tracks = TrackColumns.build(
        [f"t{row}" for row in range(30)],
        artists=[f"artist {row // 3}" if row % 5 else "" for row in range(30)],
        tags=TagSets.from_lists([list(rng.choice(["a", "b", "c", "d"], 2, replace=False)) for _ in range(30)]),
        audio=rng.random((30, 11)),
    )
    return ContentEncoder.fit(tracks, artist_buckets=64).encode(tracks)


def test_it_is_the_ridge_regression_of_the_normal_equations(inputs: ContentInputs) -> None:
    rng = np.random.default_rng(1)
    factors, heard = rng.normal(size=(30, 5)), rng.random(30) < 0.8
    options = ContentMapOptions(l2=2.0)
    artist = shared_artists(inputs.artist, heard)
    members = np.eye(64)[artist]
    members[:, 0] = 0.0
    features = np.hstack(
        [
            options.audio_weight * inputs.audio,
            options.tag_weight * inputs.tags,
            options.artist_weight * members,
            np.full((30, 1), options.constant),
        ]
    )
    known = features[heard]
    expected = features @ np.linalg.solve(known.T @ known + 2.0 * np.eye(features.shape[1]), known.T @ factors[heard])

    content_map = fit_content_map(inputs, factors, heard, buckets=64, options=options)

    np.testing.assert_allclose(content_map.factors(inputs), expected, atol=1e-4)


def test_artists_of_one_track_are_nobody() -> None:
    artist = np.asarray([5, 5, 7, 0, 7, 9])
    heard = np.asarray([True, True, True, True, False, True])

    assert shared_artists(artist, heard).tolist() == [5, 5, 0, 0, 0, 0]


def test_factors_know_who_is_heard_together() -> None:
    rng = np.random.default_rng(0)
    histories = [rng.choice(8, 4, replace=False) + 8 * (user % 2) for user in range(40)]
    factors = listening_factors(histories, 17, 2, damping=1.0)
    products = factors @ factors.T

    assert products[:8, :8].mean() > 5 * abs(products[:8, 8:16].mean())
    assert (factors[16] == 0).all()


def test_more_factors_than_the_data_have_are_zero() -> None:
    factors = listening_factors([np.asarray([0, 1]), np.asarray([1, 2]), np.asarray([0, 2])], 3, 8, damping=1.0)

    assert factors.shape == (3, 8)
    assert not factors[:, 2:].any()
    assert factors[:, :2].any()
