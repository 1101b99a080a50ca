"""Validation: each defect is found under its name and grade, and sound data, real ones too, have no errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audotics.data.dataset import DataError, Dataset, Interactions
from audotics.data.loaders import load
from audotics.data.splits import leave_one_out
from audotics.data.synthetic import synthetic
from audotics.data.validation import ValidationReport, validate, validate_split
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.tracks import TagSets, TrackColumns

NOW_S = 1_800_000_000.0

RealData = Callable[[str], Path]


@pytest.fixture(scope="module")
def sound() -> Dataset:
    """A generated catalogue in which no title comes up twice."""
    dataset = synthetic(n_tracks=300, n_users=80, seed=1)
    titles = [f"{title} {row}" for row, title in enumerate(dataset.tracks.titles)]
    return with_tracks(dataset, titles=np.asarray(titles, object))


def checks(report: ValidationReport) -> set[tuple[str, str]]:
    return {(finding.grade, finding.check) for finding in report.findings}


def with_tracks(dataset: Dataset, **columns: Any) -> Dataset:
    return replace(dataset, tracks=replace(dataset.tracks, **columns))


def with_pairs(dataset: Dataset, **columns: Any) -> Dataset:
    return replace(dataset, interactions=replace(dataset.interactions, **columns))


def changed(column: np.ndarray, row: int, value: object) -> np.ndarray:
    copy = column.copy()
    copy[row] = value
    return copy


def feature(dataset: Dataset, name: str, values: object) -> Dataset:
    audio = dataset.tracks.audio.copy()
    audio[:, AUDIO_FEATURES.index(name)] = values
    return with_tracks(dataset, audio=audio)


def test_sound_data_have_no_findings(sound: Dataset) -> None:
    report = validate(sound, now_s=NOW_S)

    assert report.findings == ()
    assert report.to_json() == {"errors": [], "warnings": []}
    report.refuse_errors("synthetic")


@pytest.mark.parametrize(
    ("defect", "check", "said"),
    [
        (lambda d: with_tracks(d, ids=changed(d.tracks.ids, 0, "")), "blank-ids", "1 track ids are blank"),
        (lambda d: replace(d, user_ids=changed(d.user_ids, 0, "u00007")), "repeated-ids", "1 listener ids .*: u00007"),
        (lambda d: with_pairs(d, tracks=changed(d.interactions.tracks, 5, 300)), "unknown-tracks", "1 interactions"),
        (lambda d: with_pairs(d, users=changed(d.interactions.users, -1, 80)), "unknown-listeners", "not listed"),
        (
            lambda d: with_pairs(d, tracks=changed(d.interactions.tracks, 1, d.interactions.tracks[0])),
            "repeated-pairs",
            "1 pairs",
        ),
        (lambda d: with_pairs(d, weights=changed(d.interactions.weights, 0, np.nan)), "weights-not-numbers", "1 inter"),
        (lambda d: with_pairs(d, weights=changed(d.interactions.weights, 0, -1)), "negative-weights", "1 interactions"),
        (
            lambda d: feature(d, "danceability", changed(d.tracks.audio[:, 0], 3, 1.7)),
            "features-out-of-range",
            r"danceability of 1 tracks is outside 0 \.\. 1, for example 1\.7",
        ),
        (lambda d: feature(d, "loudness", np.inf), "features-out-of-range", "loudness of 300 tracks"),
        (
            lambda d: with_tracks(d, popularity=changed(d.tracks.popularity, 0, 60)),
            "features-out-of-range",
            "popularity of 1 tracks",
        ),
        (lambda d: feature(d, "tempo", d.tracks.plays), "leaking-columns", "tempo is the number of plays"),
        (lambda d: feature(d, "energy", np.log1p(d.tracks.plays) / 9), "leaking-columns", "energy is the number"),
    ],
)
def test_an_error_makes_training_refuse(
    sound: Dataset, defect: Callable[[Dataset], Dataset], check: str, said: str
) -> None:
    report = validate(defect(sound), now_s=NOW_S)

    assert ("error", check) in checks(report)
    assert [finding["check"] for finding in report.to_json()["errors"]] == [check]
    with pytest.raises(DataError, match=rf"^synthetic: cannot be trained on: .*{said}.*\. Repair the data"):
        report.refuse_errors("synthetic")


@pytest.mark.parametrize(
    ("defect", "check", "said"),
    [
        (lambda d: feature(d, "key", np.nan), "empty-columns", "unknown for every track: key"),
        (lambda d: feature(d, "valence", 0.5), "constant-columns", "valence is 0.5 for every track"),
        (lambda d: with_pairs(d, weights=changed(d.interactions.weights, 0, 0)), "zero-weights", "1 interactions"),
        (lambda d: with_pairs(d, timestamps=d.interactions.timestamps * 0), "equal-times", "avoid --split last"),
        (
            lambda d: with_pairs(d, timestamps=d.interactions.timestamps * 1000),
            "times-in-milliseconds",
            "read as seconds",
        ),
        (
            lambda d: with_pairs(d, timestamps=changed(d.interactions.timestamps, 0, int(NOW_S) + 100_000)),
            "future-times",
            "1 interactions lie in the future",
        ),
        (lambda d: with_pairs(d, timestamps=changed(d.interactions.timestamps, 0, -1)), "early-times", "before 1970"),
        (lambda d: with_tracks(d, artists=changed(d.tracks.artists, slice(0, 90), "")), "missing-artists", "30%"),
        (lambda d: with_tracks(d, release_years=changed(d.tracks.release_years, 0, 1066)), "odd-years", "1 tracks"),
        (
            lambda d: with_tracks(
                d,
                artists=changed(d.tracks.artists, 0, d.tracks.artists[9].upper()),
                titles=changed(d.tracks.titles, 0, d.tracks.titles[9]),
            ),
            "twin-tracks",
            "1 tracks have artist and title of another",
        ),
        (lambda d: with_tracks(d, popularity=d.tracks.plays / 1000), "leaking-columns", "popularity is the number"),
        (
            lambda d: with_tracks(d, audio=np.full_like(d.tracks.audio, np.nan), tags=TagSets.empty(300)),
            "no-features",
            "content has next to nothing to learn from",
        ),
    ],
)
def test_a_warning_lets_training_go_on(
    sound: Dataset, defect: Callable[[Dataset], Dataset], check: str, said: str
) -> None:
    report = validate(defect(sound), now_s=NOW_S)

    assert checks(report) == {("warning", check)}
    assert said in report.warnings[0].message
    report.refuse_errors("synthetic")


def test_a_listener_who_is_hardly_one_person(sound: Dataset) -> None:
    tracks = TrackColumns.build([f"t{i}" for i in range(1_500)], artists=["a"] * 1_500)
    robot = np.arange(1_500)
    users = np.concatenate([np.zeros(1_500, np.int32), np.repeat(np.arange(1, 80), 5)])
    pairs = Interactions.build(users, np.concatenate([robot, np.tile(robot[:5], 79)]))
    report = validate(replace(sound, tracks=tracks, interactions=pairs), now_s=NOW_S)

    assert ("warning", "busy-listeners") in checks(report)
    assert f"1 listeners have 1,500 tracks or more, against a median of 5: {sound.user_ids[0]}" in str(report.warnings)


def test_no_interactions(sound: Dataset) -> None:
    nothing = sound.interactions.take(np.zeros(0, np.int64))

    assert checks(validate(replace(sound, interactions=nothing), now_s=NOW_S)) == {("error", "no-interactions")}


def test_positions_are_no_times(sound: Dataset) -> None:
    positions = np.arange(len(sound.interactions))

    assert validate(with_pairs(sound, timestamps=positions), now_s=NOW_S).findings == ()


def test_a_split_that_leaks(sound: Dataset) -> None:
    split = leave_one_out(sound.interactions, sound.n_users, seed=0)
    assert validate_split(split).findings == ()
    leaking = replace(split, train=sound.interactions)

    assert checks(validate_split(leaking)) == {("error", "leaking-split")}
    assert validate_split(leaking).errors[0].message.startswith(f"{len(split.test_users)} held-out pairs")


@pytest.mark.parametrize("name", ["yes-playlists-small", "hetrec2011-lastfm-2k", "spotify-songs", "ml-1m-ncf"])
def test_real_data_have_no_errors(real_data: RealData, name: str) -> None:
    assert validate(load(real_data(name))).errors == ()
