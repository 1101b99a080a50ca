"""HetRec Last.fm: the folder's format, tag agreement, encodings and counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audotics.data.dataset import DataError
from audotics.data.loaders import load
from audotics.data.loaders.hetrec import MAX_TAGS
from audotics.data.splits import k_core
from audotics.features.audio import AUDIO_FEATURES

WriteFiles = Callable[[dict[str, str]], Path]

FILES = {
    "user_artists.dat": "userID\tartistID\tweight\r\n2\t51\t13883\r\n2\t50\t11\r\n4\t51\t7\r\n",
    "artists.dat": 'id\tname\turl\tpictureURL\n50\tBjörk\tu\tp\n51\t"Weird Al" Yankovic\tu\tp\n60\tUnplayed\tu\tp\n',
    "tags.dat": "tagID\ttagValue\r\n1\tPop\r\n2\ttropicália\r\n3\trare\r\n",
    "user_taggedartists.dat": "userID\tartistID\ttagID\tday\tmonth\tyear\r\n"
    "2\t50\t1\t1\t4\t2009\r\n4\t50\t2\t1\t4\t2009\r\n2\t50\t2\t1\t4\t2009\r\n5\t50\t3\t1\t4\t2009\r\n"
    "2\t51\t3\t1\t4\t2009\r\n2\t51\t1\t1\t4\t2009\r\n2\t60\t1\t1\t4\t2009\r\n2\t51\t9\t1\t4\t2009\r\n",
    "artist_audio_features.csv": f"id,name,{','.join(AUDIO_FEATURES)},n_tracks\n"
    "50,Björk,0.5,0.6,6.5,-7.5,0.25,0.1,0.2,0.0,0.1,0.4,0.0,4.0\n",
}


def test_artists_are_tracks_with_play_counts(write_files: WriteFiles) -> None:
    dataset = load(write_files(FILES))
    assert list(dataset.tracks.ids) == ["50", "51"]
    assert list(dataset.tracks.titles) == list(dataset.tracks.artists) == ["Björk", '"Weird Al" Yankovic']
    assert list(dataset.user_ids) == ["2", "4"]
    assert [history.tolist() for history in dataset.interactions.histories(2)] == [[1, 0], [1]]
    assert dataset.interactions.weights.tolist() == [13883, 11, 7]
    assert dataset.tracks.plays.tolist() == [1, 2]
    assert dataset.report.dropped["artists whom nobody played"] == 1


def test_tags_assigned_twice_stay_unless_there_are_none(write_files: WriteFiles) -> None:
    dataset = load(write_files(FILES))
    assert dataset.tracks.tags.row(0) == ["tropicália"]
    assert dataset.tracks.tags.row(1) == ["pop", "rare"]
    assert dataset.report.read["tag assignments"] == 8
    assert dataset.report.dropped["tag assignments to artists whom nobody played"] == 1
    assert dataset.report.dropped["tag assignments with an unknown tag"] == 1


def test_an_artist_keeps_at_most_thirty_tags(write_files: WriteFiles) -> None:
    tags = "tagID\ttagValue\n" + "".join(f"{tag}\ttag {tag}\n" for tag in range(40))
    header = "userID\tartistID\ttagID\tday\tmonth\tyear\n"
    once = "".join(f"1\t50\t{tag}\t1\t1\t2009\n" for tag in range(40))
    dataset = load(write_files(FILES | {"tags.dat": tags, "user_taggedartists.dat": header + once}))
    assert len(dataset.tracks.tags.row(0)) == MAX_TAGS


def test_latin_1_tags_beside_utf_8(write_files: WriteFiles) -> None:
    folder = write_files(FILES)
    (folder / "tags.dat").write_bytes(b"tagID\ttagValue\r\n1\tcaf\xc3\xa9\r\n2\ttropic\xe1lia\r\n3\trare\r\n")
    dataset = load(folder)
    assert dataset.tracks.tags.row(0) == ["tropicália"]
    assert dataset.tracks.tags.row(1) == ["café", "rare"]


def test_mean_key_and_mode_are_fractions_and_tempo_0_is_unknown(write_files: WriteFiles) -> None:
    audio = dict(zip(AUDIO_FEATURES, load(write_files(FILES)).tracks.audio[0].tolist(), strict=True))
    assert (audio["key"], audio["mode"]) == (6.5, 0.25)
    assert np.isnan(audio["tempo"])


def test_an_artist_without_a_name_stays(write_files: WriteFiles) -> None:
    plays = FILES["user_artists.dat"] + "4\t99\t3\r\n"
    dataset = load(write_files(FILES | {"user_artists.dat": plays}))
    assert list(dataset.tracks.ids) == ["50", "51", "99"]
    assert dataset.tracks.titles[2] == ""


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2\t51\tmany\r\n", "weight is not a number: 'many'"),
        ("2\t51\t-4\r\n", "weight is out of range: -4 is outside 0 .. inf"),
        ("2\t51\tinf\r\n", "weight is not a number: 'inf'"),
        ("\t51\t4\r\n", "userID is missing: the cell is blank"),
        ("2\t51\r\n", "wrong number of fields: expected 3, found 2"),
    ],
)
def test_a_broken_row_is_named_or_skipped(write_files: WriteFiles, row: str, reason: str) -> None:
    folder = write_files(FILES | {"user_artists.dat": FILES["user_artists.dat"] + row + "5\t50\t1\r\n"})
    with pytest.raises(DataError) as caught:
        load(folder)
    assert str(caught.value).startswith(f"{folder / 'user_artists.dat'}:5: {reason}; ")
    dataset = load(folder, skip_bad_rows=True)
    assert list(dataset.user_ids) == ["2", "4", "5"]
    assert dataset.report.dropped[f"rows of user_artists.dat: {reason.partition(':')[0]}"] == 1


def test_a_missing_column_and_a_missing_file(write_files: WriteFiles) -> None:
    folder = write_files(FILES | {"user_artists.dat": "userID\tartistID\n2\t51\n"})
    with pytest.raises(DataError, match="has no column 'weight'; its columns are userID, artistID"):
        load(folder)
    folder = write_files(FILES)
    (folder / "artists.dat").unlink()
    with pytest.raises(DataError, match="cannot be read: No such file") as caught:
        load(folder)
    assert caught.value.path == folder / "artists.dat"


def test_real_counts(real_data: Callable[[str], Path]) -> None:
    dataset = load(real_data("hetrec2011-lastfm-2k"))
    assert (dataset.n_users, dataset.n_tracks, len(dataset.interactions)) == (1_892, 17_632, 92_834)
    assert dataset.report.read["tag assignments"] == 186_479
    assert dataset.report.read["tracks with audio features"] == 4_772
    assert dataset.report.dropped["tag assignments to artists whom nobody played"] == 1_538
    assert "tropicália" in dataset.tracks.tags.names
    assert np.diff(dataset.tracks.tags.offsets).max() <= MAX_TAGS
    assert k_core(dataset, 5).n_tracks == 2_823
