"""Recognition of formats: what cannot be loaded is named, with what was looked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from audotics.data.dataset import DataError
from audotics.data.loaders import load

WriteFiles = Callable[[dict[str, str]], Path]


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: there is no such file or folder"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("files", [{}, {"train.txt": "1 2 3\n"}, {"notes.md": "hello"}])
def test_an_unknown_folder_lists_what_was_looked_for(write_files: WriteFiles, files: dict[str, str]) -> None:
    folder = write_files(files)
    with pytest.raises(DataError) as caught:
        load(folder)
    for looked_for in ("song_hash.txt", "user_artists.dat", "*.train.rating", "spotify_songs.csv", "interactions.(csv"):
        assert looked_for in str(caught.value)


def test_an_unknown_file_is_refused(write_files: WriteFiles) -> None:
    folder = write_files({"notes.md": "hello"})
    with pytest.raises(DataError, match=r"notes\.md: the format is not recognised"):
        load(folder / "notes.md")


def test_columns_are_for_plain_tables_only(write_files: WriteFiles) -> None:
    folder = write_files({"x.train.rating": "0\t1\t1\t0\n"})
    with pytest.raises(DataError, match="a column mapping is for plain CSV, TSV and Parquet files"):
        load(folder, columns={"user": "who"})
