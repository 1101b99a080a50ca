"""Situations as mixtures of moods, and the tables of rules they come from."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.hybrid import context_scores
from audotics.features.moods import MOODS
from audotics.features.rules import ACTIVITY_MOODS, DAY_PARTS, GENRE_TAGS, MOOD_WEIGHTS
from audotics.features.situation import mood_mixture, part_of_day


def test_the_tables_name_what_there_is() -> None:
    assert len(MOOD_WEIGHTS) == 8
    assert len(GENRE_TAGS) == 10
    assert {feature for weights in MOOD_WEIGHTS.values() for feature in weights} <= set(AUDIO_FEATURES)
    mixtures = [*ACTIVITY_MOODS.values(), *(shares for _, _, shares in DAY_PARTS)]
    for shares in mixtures:
        assert set(shares) <= set(MOODS)
        assert sum(shares.values()) == pytest.approx(1.0)
    starts = [start for start, _, _ in DAY_PARTS]
    assert starts[0] == 0
    assert starts == sorted(set(starts))


@pytest.mark.parametrize(("hour", "name"), [(0, "night"), (4, "night"), (5, "morning"), (13, "midday"), (23, "late")])
def test_an_hour_is_in_a_part_of_the_day(hour: int, name: str) -> None:
    assert part_of_day(hour) == name


def test_a_situation_is_the_sum_of_what_is_said_of_it() -> None:
    mixture = mood_mixture(mood="chill", activity="studying", day_part="night")
    assert mixture is not None
    expected = {"chill": 1.0 + 0.2 + 0.25 * 0.6, "focused": 0.8, "melancholic": 0.25 * 0.4}
    np.testing.assert_allclose(mixture, [expected.get(mood, 0.0) for mood in MOODS], atol=1e-6)
    assert mood_mixture(mood=None, activity=None, day_part=None) is None


def test_context_scores_follow_the_situation() -> None:
    moods = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    genres = np.zeros((20, 10), np.bool_)
    plain = context_scores(moods, genres, mood="happy", wanted_genres=())
    np.testing.assert_array_equal(plain, moods[:, MOODS.index("happy")])
    doing = context_scores(moods, genres, mood=None, wanted_genres=(), activity="partying")
    np.testing.assert_allclose(doing, 0.8 * moods[:, MOODS.index("party")] + 0.2 * plain, rtol=1e-5)
    assert np.isnan(context_scores(moods, genres, mood=None, wanted_genres=())).all()
