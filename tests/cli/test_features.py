"""`audotics features extract` on files made for the test."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A folder with three seconds of a tone, and a file that is no music."""
    folder = tmp_path / "music"
    folder.mkdir()
    tone = np.sin(2 * np.pi * 440 * np.arange(3 * 22_050) / 22_050)
    soundfile.write(folder / "tone.wav", 0.3 * tone, 22_050)
    (folder / "words.mp3").write_text("not a song")
    return folder


def test_a_folder_becomes_a_table_and_what_is_broken_is_named(audotics, music, tmp_path):
    command = ("features", "extract", str(music), "--output", str(tmp_path / "out" / "tracks.csv"), "--workers", "1")
    done = audotics(*command)

    assert done.exit_code == 0, done.output
    assert f"Wrote {tmp_path / 'out' / 'tracks.csv'}: 1 tracks; 1 files skipped" in done.stdout
    assert f"skipped {music / 'words.mp3'}: cannot be read: " in done.stderr
    assert "features: 2/2" in done.stderr
    with (tmp_path / "out" / "tracks.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["id"], row["duration_ms"], row["key"]) == ("tone", "3000", "9")
    assert len(row) == 68

    strict = audotics(*command, "--strict", "--json")
    assert strict.exit_code == 1
    assert json.loads(strict.stdout)["tracks"] == 1
    assert list(json.loads(strict.stdout)["skipped"]) == [str(music / "words.mp3")]


def test_nothing_to_write_is_an_error(audotics, music, tmp_path):
    output = tmp_path / "tracks.parquet"
    done = audotics("features", "extract", str(music / "words.mp3"), "--output", str(output), "--workers", "1")

    assert done.exit_code == 1
    assert "error: none of 1 files gives features; nothing is written" in done.stderr
    assert not output.exists()


def test_mistakes_are_told_before_any_work(audotics, music, tmp_path):
    no_table = audotics("features", "extract", str(music), "--output", "tracks.xlsx")
    no_file = audotics("features", "extract", str(tmp_path / "nowhere"))

    assert no_table.exit_code == no_file.exit_code == 1
    assert "tracks.xlsx: is no table; end the name in .csv or .parquet" in no_table.stderr
    assert f"{tmp_path / 'nowhere'}: there is no such file or folder" in no_file.stderr
