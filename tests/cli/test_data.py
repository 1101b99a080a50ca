"""`audotics data`: findings for people and scripts, and runs that are prepared in one step and trained in another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


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


def plays(tmp_path: Path) -> Path:
    """40 listeners of two tastes, each with 8 of 12 tracks."""
    rng = np.random.default_rng(0)
    heard = [rng.choice(12, 8, replace=False) + 12 * (user % 2) for user in range(40)]
    path = tmp_path / "plays.csv"
    rows = [f"u{user},t{track}" for user, tracks in enumerate(heard) for track in tracks]
    path.write_text("\n".join(["user_id,track_id", *rows]) + "\n")
    return path


def test_what_was_prepared_is_trained_measured_and_left_as_it_was(audotics, tmp_path):
    prepared, run, evaluation = tmp_path / "prepared", tmp_path / "run", tmp_path / "evaluation.json"
    done = audotics("data", "prepare", str(plays(tmp_path)), "--output", str(prepared), "--k-core", "4", "--json")

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["options"] == {"seed": 0, "k_core": 4, "split": "random"}
    before = (prepared / "run.json").read_bytes()
    trained = audotics("train", "collaborative", "--data", str(prepared), "--output", str(run))
    assert trained.exit_code == 0, trained.output
    assert f"Prepared {prepared}: 24 tracks, 40 listeners" in trained.stdout
    record = (run / "run.json").read_bytes()
    evaluated = audotics("evaluate", str(run), "--evaluation", str(evaluation), "--json")

    assert evaluated.exit_code == 0, evaluated.output
    assert "4-core" in json.loads(evaluated.stdout)["protocol"]["split"]
    assert 0 < json.loads(evaluation.read_text())["collaborative"]["ndcg@10"] <= 1
    assert not (run / "evaluation.json").exists()
    assert (run / "run.json").read_bytes() == record
    assert (prepared / "run.json").read_bytes() == before
    assert json.loads(before)["kinds"] == {}
    command = ("export", str(run), "--evaluation", str(evaluation), "--formats", "onnx", "--json")
    exported = audotics(*command, "--repository", str(tmp_path / "repository"))
    assert exported.exit_code == 0, exported.output
    (bundle,) = [bundle for bundle in json.loads(exported.stdout) if bundle["model"] == "collaborative"]
    assert bundle["metrics"]["ndcg@10"] == json.loads(evaluation.read_text())["collaborative"]["ndcg@10"]


def test_options_that_a_prepared_run_does_not_have_are_refused(audotics, tmp_path):
    prepared = tmp_path / "prepared"
    assert audotics("data", "prepare", str(plays(tmp_path)), "--output", str(prepared)).exit_code == 0
    command = ("train", "collaborative", "--data", str(prepared), "--output", str(tmp_path / "run"), "--json")

    other = audotics(*command, "--k-core", "2")
    grown = audotics(*command, "--update")

    assert other.exit_code == grown.exit_code == 1
    assert "was prepared with {'seed': 0, 'k_core': 5, 'split': 'random'}" in other.stderr
    assert not (tmp_path / "run").exists()


def test_labelled_tracks_need_no_preparing(audotics, tmp_path):
    (tmp_path / "set").mkdir()
    header = "danceability,acousticness,energy,instrumentalness,liveness,valence,loudness,speechiness,tempo"
    columns = f"name,album,artist,id,release_date,popularity,length,{header},key,time_signature,mood"
    rows = [f"n{row},a,b,i{row},2000-01-01,1,1,{','.join(['0.5'] * 8)},{row},1,4,{'Calm' if row % 2 else 'Sad'}"
            for row in range(20)]  # fmt: skip
    (tmp_path / "set" / "data_moods.csv").write_text("\n".join([columns, *rows]) + "\n")

    done = audotics("data", "prepare", str(tmp_path / "set"), "--output", str(tmp_path / "run"))

    assert done.exit_code == 1
    assert "holds labelled tracks, which need no preparing" in done.stderr
