"""`audotics data validate`: findings for people and scripts, and an exit code that says whether training refuses."""

from __future__ import annotations

import json
from pathlib import Path


def write(tmp_path: Path, rows: list[str], tracks: str = "") -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "interactions.csv").write_text("\n".join(["user_id,track_id,played_at", *rows]) + "\n")
    if tracks:
        (folder / "tracks.csv").write_text(tracks)
    return folder


def test_findings_are_shown_and_counted(audotics, tmp_path):
    folder = write(tmp_path, ["a,x,1700000000", "b,y,1700000001"], "id,artist,energy\nx,Ex,0.5\ny,,0.5\n")
    done = audotics("data", "validate", str(folder))

    assert done.exit_code == 0, done.output
    assert "  warning: energy is 0.5 for every track" in done.stdout
    assert "  warning: 50% of the tracks name no artist" in done.stdout
    assert "0 errors," in done.stdout


def test_what_training_refuses_ends_with_1(audotics, tmp_path):
    plays = [f"u{user},t{track},{1_700_000_000 + user}" for track in range(30) for user in range(track + 1)]
    tracks = "\n".join(["id,artist,tempo", *(f"t{track},a,{track + 1}" for track in range(30))])
    folder = write(tmp_path, plays, tracks)
    done = audotics("data", "validate", str(folder), "--json")

    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert [finding["check"] for finding in document["errors"]] == ["leaking-columns"]
    assert document["read"]["users"] == 30
    trained = audotics("train", "collaborative", "--data", str(folder), "--output", str(tmp_path / "run"), "--json")
    assert trained.exit_code == 1
    assert "cannot be trained on: tempo is the number of plays in another form" in trained.stderr
    assert not (tmp_path / "run").exists()


def test_columns_are_mapped_and_broken_rows_left_out(audotics, tmp_path):
    path = tmp_path / "plays.csv"
    path.write_text("who,track_id\na,x\nb\n")

    assert f"{path}:3:" in audotics("data", "validate", str(path), "--column", "user=who").stderr
    done = audotics("data", "validate", str(path), "--column", "user=who", "--skip-bad-rows")
    assert done.exit_code == 0, done.output
    assert "left out: 1 rows of plays.csv" in done.stdout
