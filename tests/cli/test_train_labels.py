"""`audotics train` and `export` on tracks that are labelled, printed as tables."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from audotics.bundle.store import BundleStore
from audotics.data.loaders.gtzan import CLIP_FEATURES, GTZAN_FILE


def write_clips(path: Path, *, each: int = 15) -> None:
    """Clips of two genres, which differ in every feature by a standard deviation."""
    rng = np.random.default_rng(0)
    with (path / GTZAN_FILE).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "length", *CLIP_FEATURES, "label"])
        for row in range(2 * each):
            values = rng.normal(row % 2, 1.0, len(CLIP_FEATURES)).round(4).tolist()
            writer.writerow([f"clip{row}.au", 661794, *values, ("blues", "metal")[row % 2]])


def test_a_genre_classifier_is_trained_and_exported(audotics, tmp_path):
    write_clips(tmp_path)
    run, repository = tmp_path / "run", tmp_path / "repository"

    trained = audotics("train", "all", "--data", str(tmp_path), "--output", str(run))
    assert trained.exit_code == 0, trained.output
    (row,) = [line for line in trained.stdout.splitlines() if line.strip().startswith("genre ")]
    assert "accuracy" in row
    assert "closed form" in row

    exported = audotics("export", str(run), "--repository", str(repository), "--formats", "onnx")
    assert exported.exit_code == 0, exported.output
    assert BundleStore(repository).versions("genre") == [1]
