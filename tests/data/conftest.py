"""Fixtures of the data tests: real data sets where they are present, and small files written for one test."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

RealData = Callable[[str], Path]
WriteFiles = Callable[[dict[str, str]], Path]


@pytest.fixture(scope="session")
def real_data() -> RealData:
    """Return the folder of a real data set by name, or skip the test."""
    default = Path(__file__).parents[2] / "data"
    root = Path(os.environ.get("AUDOTICS_DATA_DIR", default))

    def folder(name: str) -> Path:
        if not (root / name).is_dir():
            pytest.skip(f"no data set {name} in {root}; set AUDOTICS_DATA_DIR to the folder that holds it")
        return root / name

    return folder


@pytest.fixture
def write_files(tmp_path: Path) -> WriteFiles:
    """Write files by name into a fresh folder and return the folder."""

    def write(files: dict[str, str]) -> Path:
        folder = tmp_path / "some-data"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8", newline="")
        return folder

    return write
