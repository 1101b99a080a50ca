"""Yes playlists: the folder's format, its counts, and what happens to broken lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audotics.data.dataset import DataError
from audotics.data.loaders import load
from audotics.data.splits import k_core
from audotics.features.audio import AUDIO_FEATURES

WriteFiles = Callable[[dict[str, str]], Path]

AUDIO_HEADER = "song_id,title,artist,sid,src," + ",".join(AUDIO_FEATURES)
FILES = {
    "song_hash.txt": '0\tOne (w\\/ Two)\tA\\/C\n1\tHe Said "No"\tB\n2\tThird\tC\n',
    "train.txt": "7 8 9\n3 2 1\n2 0 2 \n\n1 \n0 1 2 \n",
    "tags.txt": "1 0\n#\n0\n",
    "tag_hash.txt": "0, rock\n1, classic, indeed",
    "song_audio_features.csv": AUDIO_HEADER
    + '\n2,"Third, really",C,x,y,0.5,0.6,,-7.5,1.0,0.1,0.2,0.0,0.1,0.4,120.5\n'
    + "77,Stranger,S,x,y,0.5,0.6,1,-7.5,1.0,0.1,0.2,0.0,0.1,0.4,120.5\n",
}


def test_reads_songs_playlists_tags_and_audio(write_files: WriteFiles) -> None:
    dataset = load(write_files(FILES))
    assert dataset.name == "some-data"
    assert list(dataset.tracks.ids) == ["0", "1", "2"]
    assert list(dataset.tracks.titles) == ["One (w/ Two)", 'He Said "No"', "Third"]
    assert list(dataset.tracks.artists) == ["A/C", "B", "C"]
    assert [dataset.tracks.tags.row(row) for row in range(3)] == [["classic, indeed", "rock"], [], ["rock"]]
    assert np.isnan(dataset.tracks.audio[:2]).all()
    assert np.isnan(dataset.tracks.audio[2]).tolist() == [feature == "key" for feature in AUDIO_FEATURES]
    assert dataset.tracks.audio[2, AUDIO_FEATURES.index("tempo")] == np.float32(120.5)


def test_users_are_data_lines_and_order_is_time(write_files: WriteFiles) -> None:
    dataset = load(write_files(FILES))
    assert list(dataset.user_ids) == ["0", "2", "3"]
    assert [history.tolist() for history in dataset.interactions.histories(3)] == [[2, 0], [1], [0, 1, 2]]
    assert dataset.interactions.weights.tolist() == [2, 1, 1, 1, 1, 1]
    assert dataset.interactions.timestamps.tolist() == [0, 1, 0, 0, 1, 2]
    assert dataset.tracks.plays.tolist() == [2, 2, 2]


def test_reports_what_was_read_and_dropped(write_files: WriteFiles) -> None:
    report = load(write_files(FILES)).report
    assert report.read == {
        "songs": 3,
        "tags": 2,
        "playlists": 4,
        "users": 3,
        "tracks": 3,
        "pairs": 6,
        "tracks with audio features": 1,
        "tracks with tags": 2,
    }
    assert report.dropped == {
        "playlists without a known song": 1,
        "repeats of a song in a playlist, joined": 1,
        "audio features of unknown songs": 1,
    }


@pytest.mark.parametrize(
    ("file", "text", "line", "reason"),
    [
        ("train.txt", "7\n3\n0 1\n0 9 1\n", 4, "songs that song_hash.txt lacks: '9'"),
        ("train.txt", "7\n3\n0 x 1\n", 3, "song ids that are no numbers: 'x'"),
        ("song_hash.txt", "0\tOne\tA\n1\tTwo\n2\tThree\tC\n", 2, "wrong number of fields: expected 3, found 2"),
        ("song_hash.txt", "0\tOne\tA\n1\tTwo\tB\nc\tThree\tC\n", 3, "song id is not an integer: 'c'"),
        ("tags.txt", "0\n5\n#\n", 2, "unknown tag id: '5'"),
        ("tag_hash.txt", "0, rock\nclassic\n1, pop\n", 2, "not a tag id, a comma and a name: 'classic'"),
        (
            "song_audio_features.csv",
            AUDIO_HEADER + "\n2,T,C,x,y,1.5,0.6,,-7.5,1.0,0.1,0.2,0.0,0.1,0.4,120.5\n",
            2,
            "danceability is out of range: 1.5 is outside 0 .. 1",
        ),
    ],
)
def test_a_broken_line_is_named_or_skipped(
    write_files: WriteFiles, file: str, text: str, line: int, reason: str
) -> None:
    folder = write_files(FILES | {"train.txt": "7\n3\n0 0\n"} | {file: text})
    with pytest.raises(DataError) as caught:
        load(folder)
    assert str(caught.value).startswith(f"{folder / file}:{line}: {reason}; repair the row, or")
    assert "--skip-bad-rows" in str(caught.value)
    assert (caught.value.path, caught.value.line) == (folder / file, line)
    report = load(folder, skip_bad_rows=True).report
    assert report.dropped[f"rows of {file}: {reason.partition(':')[0]}"] == 1


def test_skipping_drops_unknown_songs_and_playlists_left_empty(write_files: WriteFiles) -> None:
    dataset = load(write_files(FILES | {"train.txt": "7\n3\n8 9\n9 1 0\n"}), skip_bad_rows=True)
    assert list(dataset.user_ids) == ["1"]
    assert dataset.interactions.tracks.tolist() == [1, 0]
    assert dataset.report.dropped["playlists without a known song"] == 1
    assert dataset.report.dropped["rows of train.txt: songs that song_hash.txt lacks"] == 3


def test_playlists_alone_are_enough(write_files: WriteFiles) -> None:
    dataset = load(write_files({name: FILES[name] for name in ("song_hash.txt", "train.txt")}))
    assert np.isnan(dataset.tracks.audio).all()
    assert dataset.tracks.tags.counts().sum() == 0


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"song_hash.txt": ""}, "is empty"),
        ({"train.txt": "7\n3\n"}, "holds no playlists"),
        ({"train.txt": "7\n3\n\n"}, "no usable interactions; dropped: .*1 playlists without a known song"),
        ({"tags.txt": "#\n"}, "has 1 lines, but song_hash.txt goes up to song 2"),
        ({"song_hash.txt": "0\tOne\tA\n0\tTwo\tB\n"}, "a song id stands there twice"),
    ],
)
def test_files_that_cannot_be_used_at_all(write_files: WriteFiles, files: dict[str, str], message: str) -> None:
    folder = write_files(FILES | files)
    with pytest.raises(DataError, match=message):
        load(folder, skip_bad_rows=True)


def test_real_counts(real_data: Callable[[str], Path]) -> None:
    dataset = load(real_data("yes-playlists-small"))
    assert (dataset.n_users, dataset.n_tracks, len(dataset.interactions)) == (41_480, 3_168, 171_227)
    assert dataset.report.read["tracks with audio features"] == 2_035
    core = k_core(dataset, 5)
    assert (core.n_users, core.n_tracks, len(core.interactions)) == (9_810, 2_604, 112_820)
    assert "\\/" not in "".join(dataset.tracks.titles)
