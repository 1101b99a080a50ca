"""`audotics export` from its arguments to its table, JSON or error."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from audotics.bundle.store import BundleStore
from audotics.cli.commands import app


@pytest.fixture
def audotics():
    return lambda *arguments: CliRunner().invoke(app, arguments, env={"COLUMNS": "120", "NO_COLOR": "1"})


def test_what_was_published_is_shown(make_run, tmp_path, audotics):
    run, repository = make_run(("collaborative", "hybrid")), tmp_path / "repository"

    result = audotics("export", str(run.path), "--repository", str(repository))

    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.split()}
    assert rows["collaborative"][1:3] == ["1", "numpy"]
    assert rows["collaborative"][-1] == "100.0%"
    assert rows["hybrid"][1:3] == ["1", "pytorch"]
    assert rows["hybrid"][-1] == rows["catalog"][-1] == "–"
    assert f"audotics serve --repository {repository}" in result.stdout
    assert "ncf: left out" in result.stderr
    assert "export: done in" in result.stderr
    assert BundleStore(repository).versions("hybrid") == [1]


def test_json_holds_the_measurements(make_run, tmp_path, audotics):
    run, repository = make_run(("collaborative",)), tmp_path / "repository"

    result = audotics("export", str(run.path), "--repository", str(repository), "--json")

    assert result.exit_code == 0, result.output
    catalog, collaborative = json.loads(result.stdout)
    assert catalog["model"] == "catalog"
    assert collaborative["version"] == 1
    assert collaborative["path"] == str(repository / "collaborative" / "1")
    assert collaborative["metrics"] == {"hr@10": 0.4, "ndcg@10": 0.25, "recall@100": 1.0}
    assert collaborative["parity"]["max_abs_diff"] <= collaborative["parity"]["limit"]
    assert collaborative["size_bytes"] > 1000


def test_precision_is_measured_and_shown(make_run, tmp_path, audotics):
    run, repository = make_run(("collaborative",)), tmp_path / "repository"

    arguments = ("--repository", str(repository), "--formats", "onnx", "--precision", "float16", "--json")
    result = audotics("export", str(run.path), *arguments)

    assert result.exit_code == 0, result.output
    collaborative = json.loads(result.stdout)[1]
    assert collaborative["precision"] == "float16"
    assert collaborative["metrics"]["ndcg@10_float32"] >= 0
    assert "collaborative: NDCG@10 is " in result.stderr
    assert not (repository / "collaborative" / "1" / "saved_model.pb").exists()


def test_a_format_that_is_not_known_ends_with_one_line(make_run, tmp_path, audotics):
    run = make_run(("collaborative",))
    result = audotics("export", str(run.path), "--repository", str(tmp_path / "repository"), "--formats", "onnx,tflite")

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "unknown format 'tflite'; known formats: onnx, saved-model" in line
    assert not (tmp_path / "repository").exists()


def test_a_folder_that_is_no_run_ends_with_one_line(tmp_path, audotics):
    result = audotics("export", str(tmp_path / "missing"), "--repository", str(tmp_path / "repository"))

    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert "audotics train all" in line
    assert not (tmp_path / "repository").exists()


def test_an_untrained_run_ends_with_one_line(make_run, tmp_path, audotics):
    result = audotics("export", str(make_run(()).path), "--repository", str(tmp_path / "repository"))

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "nothing is trained" in line
