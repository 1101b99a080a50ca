"""`audotics models` against a server on loopback."""

from __future__ import annotations

import json


def test_list_shows_every_version(audotics):
    result = audotics("models", "list")

    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert rows[0] == ["model", "version", "state", "framework", "created", "(UTC)", "size"]
    assert rows[2] == ["ncf", "2", "refused", "0", "B"]
    assert rows[3] == ["ncf", "1", "in", "service", "pytorch", "2023-11-14", "22:13", "4.1", "kB"]
    assert "ncf/2: model.onnx is altered; export it again" in result.stdout


def test_show_adds_signature_metrics_and_parity(audotics):
    output = audotics("models", "show", "ncf").stdout

    assert "inputs: user float32[any, 64]" in output
    assert "outputs: score float32[any]" in output
    assert "ndcg@10 0.2500" in output
    assert "exported and trained model differ by 2.0e-07 at most" in output


def test_list_and_show_as_json(audotics):
    (listed,) = json.loads(audotics("models", "list", "--json").stdout)
    shown = json.loads(audotics("models", "show", "ncf", "--json").stdout)

    assert listed == shown
    assert shown["versions"][1]["state"] == "in_service"
    assert shown["versions"][1]["created_at"] == "2023-11-14T22:13:20+00:00"
    assert shown["versions"][0]["created_at"] is None


def test_unload_and_load(audotics):
    assert audotics("models", "unload", "ncf", "1").stdout == "ncf/1 is on disk\n"
    assert audotics("models", "load", "ncf", "1").stdout == "ncf/1 is in service\n"
    loaded = json.loads(audotics("models", "load", "ncf", "1", "--json").stdout)
    assert loaded["versions"][1]["state"] == "in_service"


def test_a_refused_version_is_one_line(audotics):
    result = audotics("models", "load", "ncf", "2")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: ncf/2 is refused: model.onnx is altered\n"


def test_an_unknown_model_is_one_line(audotics):
    result = audotics("models", "show", "elo")

    assert (result.exit_code, result.stderr) == (1, "error: model not found: 'elo'\n")
