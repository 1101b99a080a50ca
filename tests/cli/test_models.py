"""`audotics models` against a server on loopback."""

from __future__ import annotations

import json

import pytest


def test_list_shows_every_version(audotics):
    result = audotics("models", "list")

    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert rows[0] == ["version", "state", "labels", "framework", "device", "created", "(UTC)", "size"]
    assert rows[2] == ["ncf/2", "refused", "0", "B"]
    assert rows[3] == ["ncf/1", "in", "service", "pytorch", "cuda:0", "2023-11-14", "22:13", "4.1", "kB"]
    assert result.stdout.splitlines()[-1] == "ncf/2: model.onnx is altered; export it again"


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


def test_promote_and_unlabel(audotics):
    assert audotics("models", "promote", "ncf", "1").stdout == "ncf/1 is in service\n"
    assert audotics("models", "promote", "ncf", "1", "--label", "canary").exit_code == 0
    other, listed = [
        line for line in audotics("models", "list").stdout.splitlines() if line.lstrip().startswith("ncf/")
    ][:2]
    assert listed.split()[3:5] == ["canary,", "stable"]
    assert other.split() == ["ncf/2", "refused", "0", "B"]
    assert audotics("models", "unlabel", "ncf", "canary").stdout == "ncf: stable is 1\n"
    assert audotics("models", "unlabel", "ncf", "stable").stdout == "ncf: no labels\n"


def test_the_gate_can_be_passed_over(audotics):
    result = audotics("models", "promote", "ncf", "2")

    assert (result.exit_code, result.stderr) == (1, "error: ncf/2 does not pass the promotion gate\n")
    forced = audotics("models", "promote", "ncf", "2", "--force", "--json")
    assert json.loads(forced.stdout)["labels"] == {"stable": 2}


def test_rollback_says_what_serves(audotics):
    assert audotics("models", "rollback", "ncf").stdout == "ncf/1 is in service\n"
    assert json.loads(audotics("models", "rollback", "ncf", "--json").stdout)["labels"] == {"stable": 1}


def test_the_shadow_is_reported(audotics):
    assert "no version is a shadow" in audotics("models", "shadow").stdout
    audotics("models", "promote", "ncf", "1", "--label", "shadow")
    shown = audotics("models", "shadow").stdout
    assert "ncf/1: 40 requests compared, 0 failed" in shown
    assert "overlap of the first 10: 0.75" in shown
    assert json.loads(audotics("models", "shadow", "--json").stdout)["score_drift"] == -0.5


def test_of_a_shadow_without_requests_no_overlap_is_made_up(audotics):
    audotics("models", "promote", "ncf", "2", "--label", "shadow", "--force")
    assert audotics("models", "shadow").stdout == "ncf/2: 0 requests compared, 0 failed\n"


@pytest.mark.parametrize("version", ["0", "1000000000000000000", "99999999999999999999", "1.5"])
@pytest.mark.parametrize("command", ["load", "unload", "promote"])
def test_what_is_no_version_changes_nothing(audotics, command, version):
    """On the wire, version 0 takes a label away."""
    audotics("models", "promote", "ncf", "1")
    before = json.loads(audotics("models", "list", "--json").stdout)

    result = audotics("models", command, "ncf", version)

    assert result.exit_code == 2
    assert "Invalid value for 'version'" in result.stderr
    assert json.loads(audotics("models", "list", "--json").stdout) == before


def test_a_refused_version_is_one_line(audotics):
    result = audotics("models", "load", "ncf", "2")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: ncf/2 is refused: model.onnx is altered\n"


def test_an_unknown_model_is_one_line(audotics):
    result = audotics("models", "show", "elo")

    assert (result.exit_code, result.stderr) == (1, "error: model not found: 'elo'\n")


def rows_of(output):
    return [line.split() for line in output.splitlines() if line.lstrip().startswith("2023")]


def test_history_says_what_happened_who_caused_it_and_why(audotics):
    output = audotics("models", "history").stdout
    assert output.startswith("on s1 ")
    assert rows_of(output) == [
        ["2023-11-14", "22:13:22", "ncf/2", "is", "stable", "operator", "10.0.0.1"],
        ["2023-11-14", "22:13:21", "ncf/2", "in", "service", "in", "place", "of", "1", "operator", "10.0.0.1"],
        ["2023-11-14", "22:13:20", "ncf/1", "in", "service", "start", "why"],
    ]


def test_history_is_of_one_model_up_to_a_time_and_says_when_there_is_more(audotics):
    assert audotics("models", "history", "content").stdout == "nothing is recorded of content\n"
    assert len(rows_of(audotics("models", "history", "ncf", "--before", "2023-11-14T22:13:21").stdout)) == 1
    *rows, more = audotics("models", "history", "--limit", "2").stdout.splitlines()
    assert more == "there are more; --limit 4 shows some of them"
    assert len(rows_of("\n".join(rows))) == 2
    listed = json.loads(audotics("models", "history", "--json").stdout)
    assert [record["event"] for record in listed] == ["labelled", "in_service", "in_service"]
    assert listed[0]["occurred_at"] == "2023-11-14T22:13:22+00:00"
