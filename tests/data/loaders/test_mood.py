"""Tracks with a mood: columns and units, what is unknown, and counts."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audotics.data.dataset import DataError
from audotics.data.loaders.mood import MOOD_FILE, load_mood
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.descriptors import DESCRIPTORS

WriteFiles = Callable[[dict[str, str]], Path]

FEATURES = [name for name in AUDIO_FEATURES if name != "mode"]


def mood_csv(*changes: dict[str, object]) -> str:
    """Ten tracks, half sad and half happy, the first ones changed by `changes`."""
    rows = [
        {"name": "N", "id": f"t{row}", "release_date": "1999-02-03", "popularity": 40 + row, "length": 200_000}
        | dict(zip(FEATURES, (0.5, 0.1 * row, 5, -6.0, 0.1, 0.2, 0.0, 0.1, 0.3, 120), strict=True))
        | {"mood": "Sad" if row < 5 else "Happy", "genre": "pop"}
        for row in range(10)
    ]
    for row, change in zip(rows, changes, strict=False):
        row |= change
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def test_features_are_those_of_the_catalogue_in_its_units(write_files: WriteFiles) -> None:
    data = load_mood(write_files({MOOD_FILE: mood_csv()}))
    row = dict(zip(data.feature_names, data.x[2].tolist(), strict=True))

    assert data.feature_names == DESCRIPTORS
    assert data.class_names == ("Happy", "Sad")
    assert row["energy"] == pytest.approx(0.2)
    assert (row["duration_ms"], row["release_year"]) == (200_000, 1999)
    assert row["popularity"] == pytest.approx(0.42)
    assert np.isnan(row["mode"])


def test_what_the_source_does_not_know_is_unknown(write_files: WriteFiles) -> None:
    change = {"tempo": 0, "length": 0, "popularity": "", "release_date": "", "valence": "NA"}
    data = load_mood(write_files({MOOD_FILE: mood_csv(change)}))
    unknown = [name for name, value in zip(DESCRIPTORS, data.x[0], strict=True) if np.isnan(value)]

    assert unknown == ["mode", "valence", "tempo", "duration_ms", "popularity", "release_year"]


def test_a_value_out_of_range_is_named(write_files: WriteFiles) -> None:
    with pytest.raises(DataError, match=r"data_moods\.csv:2: popularity is out of range: 140"):
        load_mood(write_files({MOOD_FILE: mood_csv({"popularity": 140})}))


def test_real_counts(real_data: Callable[[str], Path]) -> None:
    data = load_mood(real_data("mood"))

    assert data.counts == {"Calm": 195, "Energetic": 154, "Happy": 140, "Sad": 197}
    assert np.isnan(data.x).all(axis=0).tolist() == [name == "mode" for name in DESCRIPTORS]
    assert len(np.unique(data.groups)) == 686
