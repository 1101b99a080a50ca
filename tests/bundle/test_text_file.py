"""Small text files are read where they are plain files of a fair size, and nothing else holds up who reads them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from audotics.bundle.errors import BundleCorruptError
from audotics.bundle.text_file import read_text_file


def test_text_comes_out_whatever_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_bytes("ключ ".encode() + b"\xff")
    assert read_text_file(tmp_path / "labels.json", where="ncf") == "ключ �"


def test_nothing_there_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_text_file(tmp_path / "labels.json", where="ncf")


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    path.with_name("elsewhere").write_text("{}")
    path.symlink_to(path.with_name("elsewhere"))


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def too_large(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(100 * 1024 * 1024)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (folder, r"cannot be read \(it is no plain file\)"),
        (pipe, r"cannot be read \(it is no plain file\)"),
        (link, "is a symbolic link; put the file itself there"),
        (link_to_nothing, "is a symbolic link"),
        (too_large, "has more than 1,000 bytes"),
    ],
)
def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None], reason: str) -> None:
    make(tmp_path / "labels.json")
    with pytest.raises(BundleCorruptError, match=f"^ncf: labels.json {reason}"):
        read_text_file(tmp_path / "labels.json", where="ncf", most_bytes=1000)
