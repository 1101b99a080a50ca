"""`audotics train` and `audotics evaluate` on files written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from audotics.features.hybrid import COMPONENTS, CONTEXT_FEATURES


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Keep PyTorch on one thread: on a model as small as here, more of them mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    """40 listeners of two tastes, each with 8 of 12 tracks."""
    rng = np.random.default_rng(0)
    heard = [rng.choice(12, 8, replace=False) + 12 * (user % 2) for user in range(40)]
    rows = [f"u{user},t{track}" for user, tracks in enumerate(heard) for track in tracks]
    path = tmp_path / "plays.csv"
    path.write_text("\n".join(["user_id,track_id", *rows]) + "\n")
    return path


def test_train_and_evaluate_print_json_for_scripts(audotics, csv, tmp_path):
    run = tmp_path / "run"
    trained = audotics("train", "collaborative", "--data", str(csv), "--output", str(run), "--seed", "3", "--json")

    assert trained.exit_code == 0, trained.output
    document = json.loads(trained.stdout)
    assert document["run"] == str(run)
    assert document["counts"]["listeners"] == 40
    assert document["counts"]["core_tracks"] == 24
    assert 0 < document["kinds"]["collaborative"]["validation"]["ndcg@10"] <= 1

    evaluated = audotics("evaluate", str(run), "--json")

    assert evaluated.exit_code == 0, evaluated.output
    document = json.loads(evaluated.stdout)
    assert document["protocol"]["listeners"] == 40
    assert document["protocol"]["split"] == "leave one out (random), 5-core, seed 3"
    assert [row["model"] for row in document["rows"]] == ["popularity", "item k-NN", "EASE", "collaborative"]
    ndcg = {row["model"]: row["metrics"]["ndcg@10"] for row in document["rows"]}
    assert ndcg["collaborative"] > ndcg["popularity"]


def test_train_and_evaluate_print_tables_for_people(audotics, csv, tmp_path):
    run = tmp_path / "run"
    trained = audotics("train", "collaborative", "--data", str(csv), "--output", str(run))

    assert trained.exit_code == 0, trained.output
    assert f"Read {csv}: 320 rows" in trained.stdout
    assert "collaborative" in trained.stdout
    assert "closed form" in trained.stdout
    assert f"Next: audotics evaluate {run}" in trained.stdout
    assert "collaborative: done in" in trained.stderr

    evaluated = audotics("evaluate", str(run))

    assert evaluated.exit_code == 0, evaluated.output
    lines = [line.split() for line in evaluated.stdout.splitlines()]
    assert ["model", "HR@10", "NDCG@10"] in [line[:3] for line in lines]
    assert [line[0] for line in lines if line and line[0] in {"popularity", "EASE", "collaborative"}] == [
        "popularity",
        "EASE",
        "collaborative",
    ]
    assert "*" in evaluated.stdout
    assert "dataset: plays" in evaluated.stdout


def test_ncf_takes_the_flags_and_resumes(audotics, csv, tmp_path):
    command = ("train", "ncf", "--data", str(csv), "--output", str(tmp_path / "run"), "--embedding-size", "4", "--json")

    first = audotics(*command, "--epochs", "2", "--batch-size", "64", "--learning-rate", "0.01")
    again = audotics(*command, "--epochs", "2", "--batch-size", "64", "--learning-rate", "0.01", "--resume")

    assert first.exit_code == again.exit_code == 0, first.output + again.output
    record = json.loads(first.stdout)["kinds"]["ncf"]
    options = {name: record["options"][name] for name in ("embedding_size", "epochs", "batch_size", "learning_rate")}
    assert options == {"embedding_size": 4, "epochs": 2, "batch_size": 64, "learning_rate": 0.01}
    assert len(record["fit"]["losses"]) == 2
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert "ncf: kept, it was finished with the same options" in again.stderr


def only_error(result) -> str:
    """The single line on stderr of a command that failed as it should."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_a_broken_row_is_shown_with_file_line_and_way_out(audotics, tmp_path):
    path = tmp_path / "plays.csv"
    path.write_text("user_id,track_id,plays\nann,x,1\nbob,y,many\n")

    line = only_error(audotics("train", "collaborative", "--data", str(path), "--output", str(tmp_path / "run")))

    assert f"{path}:3:" in line
    assert "many" in line
    assert "--skip-bad-rows" in line
    assert not (tmp_path / "run").exists()


def test_broken_rows_can_be_skipped_and_are_counted(audotics, csv, tmp_path):
    csv.write_text(csv.read_text() + "only-a-user\n")

    command = ("train", "collaborative", "--data", str(csv), "--output", str(tmp_path / "run"))
    assert "--skip-bad-rows" in only_error(audotics(*command))
    skipped = audotics(*command, "--skip-bad-rows")

    assert skipped.exit_code == 0, skipped.output
    assert "left out: 1 rows of plays.csv" in skipped.stdout


def test_data_that_are_not_there_are_named(audotics, tmp_path):
    missing = tmp_path / "nowhere"

    assert str(missing) in only_error(audotics("train", "ncf", "--data", str(missing)))


def test_too_little_data_is_one_line(audotics, tmp_path):
    path = tmp_path / "plays.csv"
    path.write_text("user_id,track_id\nann,x\nbob,y\n")

    line = only_error(audotics("train", "ncf", "--data", str(path), "--output", str(tmp_path / "run"), "--json"))

    assert "5-core" in line
    assert "smaller k" in line


def test_the_hybrid_alone_says_what_to_train_first(audotics, csv, tmp_path):
    result = audotics("train", "hybrid", "--data", str(csv), "--output", str(tmp_path / "run"), "--json")

    assert "collaborative, sequence, content, ncf" in only_error(result)


def test_evaluating_what_is_no_run_says_how_to_make_one(audotics, tmp_path):
    line = only_error(audotics("evaluate", str(tmp_path / "absent")))

    assert f"{tmp_path / 'absent'}: is not a run" in line
    assert "audotics train all" in line


@pytest.mark.parametrize("column", ["user", "user=", "=user_id"])
def test_a_column_mapping_that_is_none_is_a_usage_error(audotics, csv, column):
    result = audotics("train", "ncf", "--data", str(csv), "--column", column)

    assert result.exit_code == 2
    assert "--column" in result.stderr
    assert "NAME=COLUMN" in result.stderr


def test_columns_of_other_names_can_be_mapped(audotics, csv, tmp_path):
    csv.write_text(csv.read_text().replace("user_id,track_id", "who,what"))
    command = ("train", "collaborative", "--data", str(csv), "--output", str(tmp_path / "run"), "--json")

    result = audotics(*command, "--column", "user=who", "--column", "track=what")

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["counts"]["interactions"] == 320


def test_no_data_names_both_ways(audotics):
    result = audotics("train", "ncf")
    words = " ".join(result.stderr.replace("│", " ").split())

    assert result.exit_code == 2
    assert "name a folder, a file or a database with --data, or train on a generated catalogue with --syn" in words


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--data", "x.csv", "--synthetic"), "--data and --synthetic exclude each other"),
        (("--data", "x.csv", "--tracks", "300"), "sizes of the generated catalogue"),
        (("--synthetic", "--column", "user=who"), "--column and --skip-bad-rows are for --data"),
    ],
)
def test_flags_that_do_not_go_together(audotics, flags, said):
    result = audotics("train", "ncf", *flags)

    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_a_generated_catalogue_where_there_are_no_data(audotics, tmp_path):
    result = audotics(
        "train",
        "collaborative",
        "--synthetic",
        *("--tracks", "300", "--listeners", "120", "--seed", "5", "--output", str(tmp_path / "run"), "--json"),
    )

    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["counts"]["tracks"] == 300
    assert document["counts"]["listeners"] == 120
    assert document["validation"]["errors"] == []


def test_an_unknown_kind_lists_the_known_ones(audotics):
    result = audotics("train", "ncv", "--synthetic")

    assert result.exit_code == 2
    assert "'ncv' is none of all, collaborative, sequence, content, ncf, hybrid, deep," in " ".join(
        result.stderr.replace("│", " ").split()
    )


def test_what_validation_warns_of_is_shown(audotics, csv, tmp_path):
    result = audotics("train", "collaborative", "--data", str(csv), "--output", str(tmp_path / "run"))

    assert result.exit_code == 0, result.output
    assert "  warning: no track has audio features or tags" in result.stdout


def test_a_database_that_does_not_answer_is_one_line(audotics, tmp_path):
    url = f"postgresql://ann:hush@/music?host={tmp_path}"
    line = only_error(audotics("train", "content", "--data", url))

    assert "no server answers" in line
    assert "--synthetic" in line
    assert "hush" not in line


def test_all_leaves_out_what_the_data_are_too_poor_for(audotics, csv, tmp_path):
    result = audotics("train", "all", "--data", str(csv), "--output", str(tmp_path / "run"), "--epochs", "1", "--json")

    assert result.exit_code == 0, result.output
    assert list(json.loads(result.stdout)["kinds"]) == ["collaborative", "sequence", "content", "ncf", "hybrid"]
    said = [line for line in result.stderr.splitlines() if "left out" in line]
    assert [line.partition(":")[0] for line in said] == ["deep", "text"]
    assert said[1] == (
        "text: left out: no 2 of the 24 tracks share a word in title, artist or tags, and text learns from these; "
        "bring a catalogue with such columns"
    )

    refined = audotics(
        *("train", "hybrid", "--data", str(csv), "--output", str(tmp_path / "run"), "--epochs", "1", "--resume"),
        *("--rewards", str(logged(tmp_path / "rewards.parquet"))),
    )

    assert refined.exit_code == 0, refined.output
    assert "hybrid: kept, it was finished with the same options" in refined.stderr
    lines = {line.split()[0]: line for line in refined.stdout.splitlines() if line.split()}
    assert lines["SNIPS"].count("(") == lines["doubly"].count("(") == 2
    rewards = json.loads((tmp_path / "run" / "run.json").read_text())["kinds"]["hybrid"]["rewards"]
    assert rewards["decisions"] == 80
    said = "kept" if rewards["kept"] else "dropped, since an estimate's lower bound fell"
    assert f"refined on 80 logged decisions: {said}" in refined.stdout


def logged(path: Path) -> Path:
    """80 decisions of three candidates each, of which a random one was shown; the higher it ranked, the better."""
    rng = np.random.default_rng(0)
    scores, shown = rng.random((80, 3)), rng.integers(0, 3, 80)
    columns: dict[str, object] = {
        "decision": np.repeat(np.arange(80), 3),
        "shown": (np.arange(3) == shown[:, None]).ravel(),
        "propensity": np.full(240, 1 / 3),
        "reward": np.repeat(scores[np.arange(80), shown], 3),
        **{name: scores.ravel() for name in COMPONENTS},
        **{name: np.zeros(240) for name in CONTEXT_FEATURES},
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_rewards_are_for_the_hybrid_and_read_before_any_work(audotics, csv, tmp_path):
    command = ("--data", str(csv), "--output", str(tmp_path / "run"), "--rewards", str(tmp_path / "none.parquet"))

    wrong = audotics("train", "ncf", *command)
    absent = audotics("train", "hybrid", *command, "--json")

    assert wrong.exit_code == 2
    assert "rewards refine the hybrid" in " ".join(wrong.stderr.replace("│", " ").split())
    assert "none.parquet: cannot be read as Parquet" in only_error(absent)
    assert not (tmp_path / "run").exists()


def test_more_data_update_a_run(audotics, csv, tmp_path):
    rows = csv.read_text().splitlines(keepends=True)
    csv.write_text("".join(rows[:-60]))
    command = ("--data", str(csv), "--output", str(tmp_path / "run"), "--json")
    flags = ("--epochs", "1", "--embedding-size", "4")
    assert audotics("train", "ncf", *command, *flags).exit_code == 0
    assert audotics("train", "collaborative", *command).exit_code == 0
    csv.write_text("".join(rows))

    refused = audotics("train", "ncf", *command)
    updated = audotics("train", "ncf", *command, "--update")

    assert "choose another --output" in only_error(refused)
    assert updated.exit_code == 0, updated.output
    assert "new are 0 tracks, 7 listeners, 60 interactions" in updated.stderr
    assert "collaborative: outdated now; `audotics train collaborative --update` brings it up" in updated.stderr
    document = json.loads(updated.stdout)
    assert document["kinds"]["ncf"]["updated"]["changed_listeners"] >= 7
    assert [noted["new"]["interactions"] for noted in document["updates"]] == [60]
    rest = audotics("train", "all", *command, "--update")

    assert list(json.loads(rest.stdout)["kinds"]) == ["collaborative", "ncf"]
    assert "has these data already" in rest.stderr
    assert "ncf: kept, nothing is new since it was trained" in rest.stderr
    evaluated = audotics("evaluate", str(tmp_path / "run"), "--json")
    assert {"collaborative", "ncf"} <= {row["model"] for row in json.loads(evaluated.stdout)["rows"]}
    assert "no sequence to update" in only_error(audotics("train", "sequence", *command, "--update"))
    assert audotics("train", "ncf", *command, "--update", "--resume").exit_code == 2
    bare = ("--data", str(csv), "--output", str(tmp_path / "bare"))
    assert audotics("data", "prepare", str(csv), "--output", str(tmp_path / "bare")).exit_code == 0
    assert "has nothing trained that could be updated" in only_error(
        audotics("train", "all", *bare, "--json", "--update")
    )


def test_a_kind_by_name_fails_where_all_leaves_it_out(audotics, csv, tmp_path):
    result = audotics("train", "text", "--data", str(csv), "--output", str(tmp_path / "run"), "--json")

    assert only_error(result).startswith("error: no 2 of the 24 tracks share a word")


@pytest.mark.parametrize(
    ("file", "kind", "said"),
    [
        ("features_30_sec.csv", "ncf", "holds tracks labelled with a genre, which train genre only, not ncf"),
        ("data_moods.csv", "genre", "holds tracks labelled with a mood, which train mood only, not genre"),
        ("groupMember.txt", "hybrid", "holds groups, which train group only, not hybrid"),
        (
            "plays.csv",
            "mood",
            "holds no tracks labelled with a mood. Looked for: data_moods.csv. Other data train other",
        ),
    ],
)
def test_data_that_suit_other_kinds_say_which(audotics, tmp_path, file, kind, said):
    (tmp_path / file).write_text("")

    line = only_error(audotics("train", kind, "--data", str(tmp_path), "--output", str(tmp_path / "run")))

    assert f"{tmp_path}: {said}" in line
    assert not (tmp_path / "run").exists()
