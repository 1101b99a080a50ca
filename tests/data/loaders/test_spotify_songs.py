"""The Spotify songs CSV: columns, joined rows, missing names, broken rows and counts."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audotics.data.dataset import DataError
from audotics.data.loaders import load
from audotics.features.audio import AUDIO_FEATURES

WriteFiles = Callable[[dict[str, str]], Path]

ROW: dict[str, object] = {
    "track_id": "t1",
    "track_name": "Song, with a comma",
    "track_artist": "A",
    "track_popularity": 66,
    "track_album_id": "al",
    "track_album_name": "Al\nbum",
    "track_album_release_date": "2019-06-14",
    "playlist_name": "P",
    "playlist_id": "p1",
    "playlist_genre": "pop",
    "playlist_subgenre": "dance pop",
    **dict(zip(AUDIO_FEATURES, (0.7, 0.9, 6, -2.6, 1, 0.05, 0.1, 0, 0.06, 0.5, 122), strict=True)),
    "duration_ms": 194754,
}


def spotify_csv(*changes: dict[str, object]) -> str:
    """A CSV file with a row for each set of changes to ROW."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ROW)
    writer.writeheader()
    writer.writerows(ROW | change for change in changes)
    return text.getvalue()


def test_playlists_are_users_and_rows_of_a_track_are_joined(write_files: WriteFiles) -> None:
    text = spotify_csv(
        {},
        {"track_id": "t2", "playlist_id": "p2", "track_album_release_date": "1999"},
        {"playlist_genre": "rock", "playlist_subgenre": "hard rock"},
        {"playlist_id": "p2", "playlist_genre": "rock", "playlist_subgenre": "hard rock"},
    )
    dataset = load(write_files({"spotify_songs.csv": text}))
    assert list(dataset.tracks.ids) == ["t1", "t2"]
    assert list(dataset.user_ids) == ["p1", "p2"]
    assert [history.tolist() for history in dataset.interactions.histories(2)] == [[0], [1, 0]]
    assert dataset.interactions.weights.tolist() == [1, 1, 1]
    assert dataset.report.dropped == {"repeats of a track in a playlist, joined": 1}
    assert dataset.tracks.tags.row(0) == ["pop", "dance pop", "rock", "hard rock"]
    assert dataset.tracks.titles[0] == "Song, with a comma"
    assert dataset.tracks.albums[0] == "Al\nbum"
    assert dataset.tracks.release_years.tolist() == [2019, 1999]
    assert dataset.tracks.popularity[0] == np.float32(0.66)
    assert dataset.tracks.durations_ms[0] == 194_754
    assert dataset.tracks.audio[0].tolist() == [np.float32(ROW[feature]) for feature in AUDIO_FEATURES]


def test_na_in_all_names_is_unknown_but_alone_is_a_name(write_files: WriteFiles) -> None:
    nothing = {"track_name": "NA", "track_artist": "NA", "track_album_name": "NA"}
    dataset = load(write_files({"spotify_songs.csv": spotify_csv(nothing, {"track_id": "t2", "track_name": "NA"})}))
    assert list(dataset.tracks.titles) == ["", "NA"]
    assert list(dataset.tracks.artists) == ["", "A"]


def test_the_file_itself_can_be_named(write_files: WriteFiles) -> None:
    folder = write_files({"spotify_songs.csv": spotify_csv({})})
    assert load(folder / "spotify_songs.csv").report.read["rows"] == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"energy": "loud"}, "energy is not a number: 'loud'"),
        ({"tempo": 900}, "tempo is out of range: 900 is outside 0 .. 500"),
        ({"track_popularity": 101}, "track_popularity is out of range: 101 is outside 0 .. 100"),
        ({"playlist_id": " "}, "playlist_id is missing: the cell is blank"),
    ],
)
def test_a_broken_row_is_named_by_the_line_it_starts_on(
    write_files: WriteFiles, change: dict[str, object], reason: str
) -> None:
    folder = write_files({"spotify_songs.csv": spotify_csv({}, {"track_id": "t2"} | change, {"track_id": "t3"})})
    with pytest.raises(DataError) as caught:
        load(folder)
    # Each row takes two lines: the album's name holds a line end.
    assert str(caught.value).startswith(f"{folder / 'spotify_songs.csv'}:4: {reason}; ")
    dataset = load(folder, skip_bad_rows=True)
    assert list(dataset.tracks.ids) == ["t1", "t3"]
    assert dataset.report.dropped == {f"rows of spotify_songs.csv: {reason.partition(':')[0]}": 1}


def test_text_that_is_not_utf_8_is_a_broken_row(write_files: WriteFiles) -> None:
    folder = write_files({})
    text = spotify_csv({}, {"track_id": "t2", "track_artist": "Beyoncé"})
    (folder / "spotify_songs.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r":4: track_artist is not UTF-8: b'Beyonc\\xe9'"):
        load(folder)
    assert load(folder, skip_bad_rows=True).n_tracks == 1


def test_real_counts(real_data: Callable[[str], Path]) -> None:
    dataset = load(real_data("spotify-songs"))
    assert dataset.report.read["rows"] == 32_833
    assert (dataset.n_users, dataset.n_tracks, len(dataset.interactions)) == (471, 28_356, 32_251)
    assert len(set(dataset.tracks.artists) - {""}) == 10_692
    assert len(dataset.tracks.tags.names) <= 6 + 24
    assert (dataset.tracks.release_years >= 1950).all()
