"""The door to labelled tracks, and the product genres of the Spotify songs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audotics.data.dataset import DataError
from audotics.data.loaders.labels import load_labelled
from audotics.data.loaders.product_genres import GENRE_OF_SUBGENRE, NOT_LEARNT
from audotics.features.audio import AUDIO_FEATURES
from audotics.features.genres import GENRES

WriteFiles = Callable[[dict[str, str]], Path]


def songs_csv(*tracks: tuple[str, str, str]) -> str:
    """Rows of (track id, artist, sub-genre)."""
    text = io.StringIO()
    names = ["track_id", "track_name", "track_artist", "track_popularity", "track_album_name"]
    names += ["track_album_release_date", "playlist_id", "playlist_genre", "playlist_subgenre", "duration_ms"]
    writer = csv.writer(text)
    writer.writerow([*names, *AUDIO_FEATURES])
    for number, (track_id, artist, subgenre) in enumerate(tracks):
        known = [track_id, "song", artist, 50, "album", "2011-01-01", subgenre, "", subgenre, 180_000 + number]
        writer.writerow([*known, 0.5, 0.5, 1, -5, 1, 0.1, 0.1, 0, 0.1, 0.5, 100])
    return text.getvalue()


def five(name: str, subgenre: str) -> list[tuple[str, str, str]]:
    return [(f"{name}{number}", f"{name}'s artist {number}", subgenre) for number in range(5)]


def test_sub_genres_name_product_genres(write_files: WriteFiles) -> None:
    tracks = [*five("a", "permanent wave"), *five("b", "trap"), ("c", "C", "reggaeton")]
    data = load_labelled(write_files({"spotify_songs.csv": songs_csv(*tracks)}), "genre")

    assert data.counts == {"alternative": 5, "hip-hop": 5}
    assert data.report.dropped["tracks of no product genre"] == 1


def test_a_track_of_two_genres_is_left_out_and_one_of_two_sub_genres_is_not(write_files: WriteFiles) -> None:
    tracks = [*five("a", "hard rock"), *five("b", "trap"), ("a0", "A", "classic rock"), ("b0", "B", "dance pop")]
    with pytest.raises(DataError, match=r"class 'hip-hop' has 4 tracks"):
        load_labelled(write_files({"spotify_songs.csv": songs_csv(*tracks)}), "genre")
    data = load_labelled(write_files({"spotify_songs.csv": songs_csv(*tracks, ("b9", "B", "trap"))}), "genre")

    assert data.counts == {"hip-hop": 5, "rock": 5}
    assert data.report.dropped["tracks of two product genres"] == 1


def test_tracks_of_an_artist_belong_together_and_those_of_nobody_do_not(write_files: WriteFiles) -> None:
    tracks = [*five("a", "trap"), *five("b", "hard rock"), ("x", "same", "trap"), ("y", "same", "hard rock")]
    data = load_labelled(
        write_files({"spotify_songs.csv": songs_csv(*tracks, ("z1", "", "trap"), ("z2", "", "trap"))}), "genre"
    )
    group = dict(zip(data.ids.tolist(), data.groups.tolist(), strict=True))

    assert group["x"] == group["y"]
    assert len(set(group.values())) == len(group) - 1


def test_genres_that_cannot_be_learnt_are_said() -> None:
    assert NOT_LEARNT == ("jazz", "classical", "country")
    assert set(GENRE_OF_SUBGENRE.values()) <= set(GENRES)


@pytest.mark.parametrize(
    ("kind", "name", "looked_for"),
    [("genre", "data_moods.csv", r"features_30_sec\.csv or spotify_songs\.csv"), ("mood", "a.csv", r"data_moods\.csv")],
)
def test_what_was_looked_for_is_said(write_files: WriteFiles, kind: str, name: str, looked_for: str) -> None:
    with pytest.raises(DataError, match=rf"no tracks labelled with a {kind}\. Looked for: {looked_for}"):
        load_labelled(write_files({name: "id\n"}), kind)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: there is no such file or folder"):
        load_labelled(tmp_path / "nowhere", "mood")


def test_real_product_genres(real_data: Callable[[str], Path]) -> None:
    data = load_labelled(real_data("spotify-songs"), "genre")

    assert sum(data.counts.values()) == len(data) == 23_026
    assert set(data.class_names) == set(GENRES) - set(NOT_LEARNT)
    assert not np.isnan(data.x[:, 0]).any()
