"""Indexes on disk: what is written is what is opened, and what does not fit is refused with the reason."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audotics.bundle.errors import BundleCorruptError
from audotics.bundle.indexes.building import build_index
from audotics.bundle.indexes.settings import IndexKind, IndexSettings, Metric, Recall, read_settings, write_settings
from audotics.bundle.indexes.stored import StoredIndex, unit_length

SETTINGS = [
    IndexSettings(),
    IndexSettings(metric=Metric.COSINE),
    IndexSettings(IndexKind.IVF_FLAT, lists=12, probes=5),
    IndexSettings(IndexKind.IVF_FLAT, lists=12, probes=5, head_rows=30),
    IndexSettings(IndexKind.IVF_PQ, lists=12, probes=5, head_rows=30, code_parts=8, rescored=120),
    IndexSettings(IndexKind.HNSW, links=8, width=40),
]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    random = np.random.default_rng(0)
    return (random.normal(size=(900, 8)) * np.exp(random.normal(size=(900, 1)))).astype(np.float32)


@pytest.fixture
def saved(vectors, tmp_path) -> Callable[[IndexSettings], Path]:
    def save(settings: IndexSettings) -> Path:
        folder = tmp_path / "content" / "3"
        folder.mkdir(parents=True)
        index = build_index(vectors, settings, threads=1)
        queries = np.ascontiguousarray(vectors[:6])
        replace(index, recall=Recall(100, 0.95, 0.97, 6), queries=queries).save(folder)
        return folder

    return save


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.label)
def test_what_is_saved_is_opened(saved, vectors, settings):
    built = build_index(vectors, settings, threads=1)

    opened = StoredIndex.open(saved(settings))

    assert opened.settings == settings
    assert opened.recall == Recall(100, 0.95, 0.97, 6)
    np.testing.assert_array_equal(opened.queries, vectors[:6])
    np.testing.assert_array_equal(opened.vectors, built.vectors)
    assert not opened.vectors.flags.writeable
    np.testing.assert_array_equal(opened.search(vectors[:20], 30)[1], built.search(vectors[:20], 30)[1])


@pytest.mark.parametrize("settings", SETTINGS[2:5], ids=lambda settings: settings.label)
def test_what_was_trained_can_be_taken_over(saved, vectors, settings):
    opened = StoredIndex.open(saved(settings))

    again = build_index(vectors, settings, threads=1, trained=opened)

    np.testing.assert_array_equal(again.search(vectors[:20], 30)[1], opened.search(vectors[:20], 30)[1])


def no_settings(folder: Path) -> None:
    (folder / "index.json").write_text("{")


def unknown_format(folder: Path) -> None:
    (folder / "index.json").write_text(json.dumps({"format": 9}))


def other_kind(folder: Path) -> None:
    write_settings(folder, IndexSettings(IndexKind.HNSW, links=8, width=9), Recall(100, 0.9, 0.9, 5))


def settings_beyond_reason(folder: Path) -> None:
    value = json.loads((folder / "index.json").read_text())
    value["settings"]["probes"] = 0
    (folder / "index.json").write_text(json.dumps(value))


def recall_beyond_reason(folder: Path) -> None:
    value = json.loads((folder / "index.json").read_text())
    value["recall"]["measured"] = 1.5
    (folder / "index.json").write_text(json.dumps(value))


def head_of_other_rows(folder: Path) -> None:
    np.save(folder / "head.npy", np.arange(900, 930))


def head_out_of_order(folder: Path) -> None:
    np.save(folder / "head.npy", np.load(folder / "head.npy")[::-1].copy())


def head_too_short(folder: Path) -> None:
    np.save(folder / "head.npy", np.load(folder / "head.npy")[1:])


def no_head(folder: Path) -> None:
    (folder / "head.npy").unlink()


def queries_of_another_dimension(folder: Path) -> None:
    np.save(folder / "queries.npy", np.zeros((4, 5), np.float32))


def pickled_head(folder: Path) -> None:
    np.save(folder / "head.npy", np.asarray([{}], object), allow_pickle=True)


def settings_without_end(folder: Path) -> None:
    (folder / "index.json").write_text("[" * 200_000)


def settings_that_are_no_text(folder: Path) -> None:
    (folder / "index.json").write_bytes(b"\xff\xfe")


def recall_without_end(folder: Path) -> None:
    value = json.loads((folder / "index.json").read_text())
    value["recall"]["k"] = float("inf")
    (folder / "index.json").write_text(json.dumps(value))


def settings_beyond_integers(folder: Path) -> None:
    value = json.loads((folder / "index.json").read_text())
    value["settings"]["probes"] = 2**40
    (folder / "index.json").write_text(json.dumps(value))


def nan_vectors(folder: Path) -> None:
    vectors = np.load(folder / "vectors.npy")
    vectors[-1, 3] = np.nan
    np.save(folder / "vectors.npy", vectors)


def long_vectors(folder: Path) -> None:
    vectors = np.load(folder / "vectors.npy")
    vectors[7, 3] = 1e30
    np.save(folder / "vectors.npy", vectors)


def header_without_end(folder: Path) -> None:
    data = (folder / "vectors.npy").read_bytes()
    (folder / "vectors.npy").write_bytes(data.replace(b"(900, 8), }", b"(900, 8    "))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (settings_without_end, r"index\.json cannot be used"),
        (settings_that_are_no_text, r"index\.json cannot be used"),
        (recall_without_end, r"index\.json cannot be used"),
        (settings_beyond_integers, r"'probes' is 1099511627776"),
        (nan_vectors, r"vectors\.npy has numbers that are none"),
        (long_vectors, r"vectors\.npy has numbers that are none, or too large to compare"),
        (header_without_end, r"cannot be read"),
        (no_settings, r"index\.json cannot be used"),
        (unknown_format, r"format 9 is not 1"),
        (other_kind, r"900 vectors|holds 870 vectors|not what its settings say"),
        (settings_beyond_reason, r"'probes' is 0, a ivf_pq index needs a whole number above 0"),
        (recall_beyond_reason, r"out of range"),
        (head_of_other_rows, r"not what its settings say"),
        (head_out_of_order, r"not what its settings say"),
        (head_too_short, r"holds 870 vectors of 8, vectors\.npy is float32 of \(900, 8\)"),
        (no_head, r"cannot be read"),
        (queries_of_another_dimension, r"not what its settings say"),
        (pickled_head, r"cannot be read"),
    ],
)
def test_files_that_do_not_fit_are_refused_with_the_reason(saved, tmp_path, damage, reason):
    folder = saved(SETTINGS[4])
    damage(folder)
    with pytest.raises(BundleCorruptError, match=f"^content/3: .*({reason})") as refusal:
        StoredIndex.open(folder)
    assert str(tmp_path) not in str(refusal.value)


def test_no_settings_are_none(tmp_path):
    assert read_settings(tmp_path) is None


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (IndexSettings(IndexKind.HNSW, links=8, width=9, head_rows=5), "'head_rows' is 5; a hnsw index has no head"),
        (IndexSettings(IndexKind.IVF_FLAT, lists=901, probes=1), "900 vectors are too few"),
        (
            IndexSettings(IndexKind.IVF_PQ, lists=8, probes=1, code_parts=3, rescored=9),
            "vectors of 8 cannot be cut into 3 equal parts",
        ),
    ],
)
def test_settings_that_do_not_fit_the_vectors_are_refused(vectors, settings, reason):
    with pytest.raises(ValueError, match=reason):
        build_index(vectors, settings, threads=1)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
def test_serving_takes_little_more_memory_than_the_vectors(tmp_path):
    """Fifteen megabytes of vectors, all of them touched, in a process that has searched before."""
    vectors = np.random.default_rng(0).normal(size=(60_000, 64)).astype(np.float32)
    settings = IndexSettings(IndexKind.IVF_PQ, lists=16, probes=4, code_parts=32, rescored=200)
    for name, rows in (("small", 1000), ("large", 60_000)):
        (tmp_path / name).mkdir()
        index = build_index(vectors[:rows], settings, threads=1)
        replace(index, recall=Recall(100, 0.95, 0.95, 50), queries=vectors[:50]).save(tmp_path / name)
    script = """
import os, sys
from pathlib import Path
import numpy as np
from audotics.bundle.indexes.stored import StoredIndex, unit_length

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def serve(folder):
    index = StoredIndex.open(folder)
    index.search(index.queries, 100)
    sum(float(index.vectors[start : start + 1000].sum()) for start in range(0, index.size, 1000))
    return index

small = serve(Path(sys.argv[1]) / "small")
before = resident()
large = serve(Path(sys.argv[1]) / "large")
print((resident() - before) / large.vectors.nbytes)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )

    assert 1.0 <= float(done.stdout) < 1.5, done.stdout


@pytest.mark.parametrize("settings", [SETTINGS[0], SETTINGS[4], SETTINGS[5]], ids=lambda settings: settings.label)
def test_vectors_outlive_the_index_that_they_came_from(saved, vectors, settings):
    """Where FAISS holds the vectors they are a view of its memory."""
    kept = StoredIndex.open(saved(settings)).vectors
    gc.collect()

    np.testing.assert_array_equal(kept, vectors)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.label)
def test_an_index_outlives_files_that_are_overwritten(saved, vectors, settings):
    """In place, which would end a process that has them mapped."""
    folder = saved(settings)
    expected = StoredIndex.open(folder).search(vectors[:20], 10)[1]
    opened = StoredIndex.open(folder)
    held = opened.vectors.copy()
    for name in ("index.faiss", "vectors.npy"):
        (folder / name).write_bytes(b"")

    np.testing.assert_array_equal(opened.search(vectors[:20], 10)[1], expected)
    np.testing.assert_array_equal(opened.vectors, held)


def test_what_is_mapped_is_read_only_and_may_be_replaced_and_deleted(tmp_path):
    """Whoever writes into it in place would change answers, or end the process."""
    vectors = np.random.default_rng(0).normal(size=(140_000, 64)).astype(np.float32)  # 72 MB with the index
    index = build_index(vectors, IndexSettings(), threads=1)
    for _ in range(2):
        index.save(tmp_path)
        assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("index.faiss", "vectors.npy")] == [0o444] * 2
    opened = StoredIndex.open(tmp_path)
    expected = opened.search(vectors[:5], 10)[1]
    build_index(vectors[:100], IndexSettings(), threads=1).save(tmp_path)
    assert StoredIndex.open(tmp_path).size == 100
    shutil.rmtree(tmp_path)
    np.testing.assert_array_equal(opened.search(vectors[:5], 10)[1], expected)
    np.testing.assert_array_equal(opened.vectors[::1000], vectors[::1000])


def test_what_is_read_may_be_written_to(saved):
    folder = saved(SETTINGS[0])
    for name in ("index.faiss", "vectors.npy"):
        assert (folder / name).stat().st_mode & 0o200


def test_unit_length_knows_no_vector_too_long_or_too_short():
    """Their squares lie beyond float32."""
    numbers = np.asarray([3e38, 1e20, 1, 1e-39, 1e-45, 0], np.float32)
    found = unit_length(np.repeat(numbers[:, None], 4, axis=1))
    np.testing.assert_allclose(found, np.repeat([[0.5]] * 5 + [[0.0]], 4, axis=1))
    assert found.dtype == np.float32
