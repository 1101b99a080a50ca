"""`audotics index build`: the cheapest index for a file of vectors or for a published model."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from audotics.bundle.indexes.stored import StoredIndex
from audotics.bundle.manifest import Manifest
from audotics.bundle.store import BundleStore
from audotics.cli.index import app
from audotics.exporters.index import write_tuned
from audotics.exporters.indexing.goal import Goal
from audotics.exporters.indexing.tuning import tune
from audotics.training.progress import Quiet


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["build", "--threads", "1", *(str(argument) for argument in arguments)])


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    random = np.random.default_rng(0)
    centres = random.normal(size=(20, 8))
    return (centres[random.integers(0, 20, 2000)] + 0.4 * random.normal(size=(2000, 8))).astype(np.float32)


@pytest.fixture
def file(tmp_path, vectors) -> Path:
    np.save(tmp_path / "tracks.npy", vectors)
    return tmp_path / "tracks.npy"


@pytest.fixture
def repository(tmp_path, vectors) -> Path:
    store = BundleStore(tmp_path / "repository")
    manifest = Manifest(
        "content", "content", 1, "none", datetime.now(UTC).isoformat(), "f", metrics={"recall@100": 1.0, "ndcg@10": 0.5}
    )
    with store.write(manifest) as folder:
        (folder / "model.onnx").write_bytes(b"a model")
        (folder / "assets").mkdir()
        (folder / "assets" / "words.txt").write_text("kept")
        write_tuned(folder, tune(vectors, vectors[:30], Goal(), progress=Quiet(), title="content"))
    return store.root


def test_a_file_of_vectors_gets_an_index(file, tmp_path, vectors):
    done = run("--vectors", file, "--output", tmp_path / "out", "--kinds", "flat,ivf_flat", "--recall", 0.9, "--k", 10)

    assert done.exit_code == 0, done.output
    assert "2,000 vectors of 8" in done.output
    assert "recall@10" in done.output
    assert "chosen" in done.output
    index = StoredIndex.open(tmp_path / "out")
    assert index.recall.measured >= 0.9
    assert (index.recall.k, index.recall.target) == (10, 0.9)
    assert index.search(vectors[:3], 10)[1].shape == (3, 10)


def test_held_out_queries_and_json(file, tmp_path, vectors):
    np.save(tmp_path / "queries.npy", -vectors[:40])
    done = run(
        "--vectors", file, "--queries", tmp_path / "queries.npy", "--output", tmp_path / "out",
        "--kinds", "ivf_pq", "--metric", "cosine", "--recall", 0.8, "--k", 10, "--json",
    )  # fmt: skip

    assert done.exit_code == 0, done.output
    value = json.loads(done.stdout)
    assert value["path"] == str(tmp_path / "out")
    assert value["settings"]["kind"] == "ivf_pq"
    assert value["settings"]["metric"] == "cosine"
    assert value["recall"]["queries"] == 20
    assert [trial["outcome"] for trial in value["trials"]].count("chosen") == 1
    np.testing.assert_allclose(np.linalg.norm(StoredIndex.open(tmp_path / "out").vectors, axis=1), 1, rtol=1e-4)


@pytest.mark.parametrize("version", [[], ["1"]])
def test_a_model_gets_its_next_version(repository, version):
    done = run(repository.joinpath("content", *version), "--kinds", "ivf_flat", "--k", 20)

    assert done.exit_code == 0, done.output
    store = BundleStore(repository)
    assert store.versions("content") == [1, 2]
    old, new = store.open("content", 1), store.open("content", 2)
    assert set(new.manifest.files) - {"head.npy"} == set(old.manifest.files)
    assert new.file("model.onnx").read_bytes() == b"a model"
    assert new.file("assets/words.txt").read_text() == "kept"
    assert sorted(new.manifest.metrics) == ["ndcg@10", "recall@20"]
    index = StoredIndex.open(new.path)
    assert index.settings.kind == "ivf_flat"
    np.testing.assert_array_equal(index.vectors, StoredIndex.open(old.path).vectors)


def test_a_version_gets_the_metric_of_the_one_it_is_made_of(repository):
    for version, metric, expected in (
        ([], ["--metric", "cosine"], "cosine"),
        ([], [], "cosine"),
        (["1"], [], "inner_product"),
    ):
        done = run(repository.joinpath("content", *version), *metric, "--kinds", "flat", "--k", 10, "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["settings"]["metric"] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name either a model, as REPOSITORY/MODEL, or a file of vectors"),
        (["{repository}/content", "--vectors", "{file}"], "name either a model"),
        (["{repository}/ncf"], "has no model 'ncf'; it has: content"),
        (["{repository}/content/7"], "content/7: no such version"),
        (["--vectors", "{repository}/nothing.npy"], "nothing.npy: cannot be read as a .npy file"),
        (["--vectors", "{file}", "--kinds", "tree"], "'tree' is not a valid IndexKind; kinds are flat, ivf_flat"),
        (["--vectors", "{file}", "--metric", "l2"], "'l2' is not a valid Metric"),
        (["--vectors", "{file}", "--output", "{file}"], "tracks.npy: cannot be written to as a folder (File exists)"),
        (["--vectors", "{file}", "--kinds", "hnsw", "--k", "2000", "--recall", "1.0"], "no index of hnsw reaches"),
    ],
)
def test_mistakes_are_said_in_one_line(repository, file, arguments, message):
    done = run(*(argument.format(repository=repository, file=file) for argument in arguments))

    assert done.exit_code == 1
    assert message in done.stderr
    assert BundleStore(repository).versions("content") == [1]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4)), "float64 of (3, 4); expected float32"),
        (np.zeros(4, np.float32), "float32 of (4,)"),
        (np.full((3, 4), np.nan, np.float32), "a vector has a value that is not finite"),
    ],
)
def test_vectors_of_another_shape_are_refused(tmp_path, array, message):
    np.save(tmp_path / "x.npy", array)
    done = run("--vectors", tmp_path / "x.npy", "--output", tmp_path / "out")

    assert done.exit_code == 1
    assert message in done.stderr
