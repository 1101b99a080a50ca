"""From a CSV file to recommendations, with the commands that the README names, each in a process of its own."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from audotics.client import FeedbackEvent, Mood, RecommenderClient, Track
from audotics.data.dataset import Dataset
from audotics.data.synthetic import synthetic
from audotics.training.kinds import WEIGHED

COMMAND = (sys.executable, "-m", "audotics.cli.main")

pytestmark = pytest.mark.timeout(400)  # every kind is trained, TensorFlow's among them: long where others work too


def audotics(*arguments: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    finished = subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert not check or finished.returncode == 0, finished.stderr
    return finished


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return synthetic(n_tracks=300, n_users=150, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Path:
    """A working folder in which train, evaluate and export have run."""
    folder = tmp_path_factory.mktemp("journey")
    (folder / "data").mkdir()
    with (folder / "data" / "interactions.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["user", "track", "timestamp"])
        pairs = dataset.interactions
        for user, track, time in zip(pairs.users, pairs.tracks, pairs.timestamps, strict=True):
            writer.writerow([dataset.user_ids[user], dataset.tracks.ids[track], time])
    with (folder / "data" / "tracks.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "title", "artist", "tags", "energy", "valence", "tempo"])
        tracks = dataset.tracks
        for row in range(len(tracks)):
            audio = [tracks.audio[row, column] for column in (1, 9, 10)]
            writer.writerow(
                [tracks.ids[row], tracks.titles[row], tracks.artists[row], "|".join(tracks.tags.row(row)), *audio]
            )
    audotics("train", "all", "--data", "data", "--output", "run", "--epochs", "3", cwd=folder)
    audotics("export", "run", "--repository", "repository", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [*COMMAND, "serve", "--repository", "repository", "--port", "0"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        banner = process.stdout.readline()
        found = re.search(r"Serving (\S+) tracks with (.+) on (\S+) \(ready", banner)
        assert found, banner
        assert {part.split("/")[0] for part in found[2].split(", ")} == {*WEIGHED, "hybrid"}
        yield found[3]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert process.stdout is not None
        process.stdout.close()


def test_evaluation_has_every_model_and_baseline(folder: Path) -> None:
    value = json.loads(audotics("evaluate", "run", "--json", cwd=folder).stdout)

    models = [row["model"] for row in value["rows"]]
    assert models == ["popularity", "item k-NN", "EASE", *WEIGHED, "hybrid", "deep", "text"]
    assert all(0 <= row["metrics"][name] <= 1 for row in value["rows"] for name in ("hr@10", "ndcg@10"))
    assert value["protocol"]["listeners"] > 0


def test_a_listener_of_the_data_gets_titles_they_have_not_heard(folder: Path, server: str, dataset: Dataset) -> None:
    answer = json.loads(audotics("recommend", "u00003", "-n", "20", "--json", "--server", server, cwd=folder).stdout)

    user = int((dataset.user_ids == "u00003").nonzero()[0][0])
    heard = {str(dataset.tracks.ids[track]) for track in dataset.interactions.histories(dataset.n_users)[user]}
    listed = [track["track_id"] for track in answer["tracks"]]
    assert len(set(listed)) == 20
    assert not heard & set(listed)
    assert all(track["title"] and track["artist"] for track in answer["tracks"])
    assert answer["degraded"] == []


def test_explanations_add_up(folder: Path, server: str) -> None:
    shown = audotics("recommend", "u00003", "-n", "3", "--explain", "--server", server, cwd=folder).stdout

    sums = re.findall(r"^\s+(-?[\d.]+) = (.+)$", shown, flags=re.MULTILINE)
    assert len(sums) == 3
    for score, terms in sums:
        parts = [re.search(r"(-?[\d.]+) × (-?[\d.]+)", term) for term in terms.split(" + ")]
        total = sum(float(part[1]) * float(part[2]) for part in parts if part)
        assert total == pytest.approx(float(score), abs=0.2)  # weights are shown with two digits


def test_similar_tracks_are_shown_with_artists(folder: Path, server: str, dataset: Dataset) -> None:
    shown = audotics("similar", "t0000005", "-n", "4", "--server", server, cwd=folder).stdout

    assert sum(str(artist) in shown for artist in set(dataset.tracks.artists)) >= 1
    assert "t0000005" not in shown


def test_feedback_moves_the_next_list(server: str) -> None:
    with RecommenderClient(server) as client:
        before = [track.track_id for track in client.recommend("newcomer", limit=10).tracks]
        client.record_feedback([FeedbackEvent("newcomer", track, "like") for track in before[:5]])
        after = client.recommend("newcomer", limit=10)

    assert not set(before[:5]) & {track.track_id for track in after.tracks}
    assert after.degraded == ()


def test_a_new_track_can_be_found_at_once(server: str, dataset: Dataset) -> None:
    twin = next(row for row in range(len(dataset.tracks)) if dataset.tracks.tags.row(row))
    track = Track(
        "brand-new",
        title="Brand New",
        artist=str(dataset.tracks.artists[twin]),
        tags=tuple(dataset.tracks.tags.row(twin)),
    )
    with RecommenderClient(server) as client:
        client.upsert_tracks([track])
        listed = client.similar_tracks(str(dataset.tracks.ids[twin]), limit=150).tracks
        client.delete_tracks(["brand-new"])
        gone = client.similar_tracks(str(dataset.tracks.ids[twin]), limit=150).tracks

    assert "brand-new" in {found.track_id for found in listed}
    assert "brand-new" not in {found.track_id for found in gone}


def test_a_mood_moves_the_list_towards_it(server: str, dataset: Dataset) -> None:
    energy = {str(track): value for track, value in zip(dataset.tracks.ids, dataset.tracks.audio[:, 1], strict=True)}
    with RecommenderClient(server) as client:
        mean = {
            mood: sum(energy[track.track_id] for track in client.recommend("u00003", limit=15, mood=mood).tracks) / 15
            for mood in (Mood.CHILL, Mood.WORKOUT)
        }

    assert mean[Mood.CHILL] < mean[Mood.WORKOUT]


def test_an_empty_repository_says_which_command_fills_it(tmp_path: Path) -> None:
    finished = audotics("serve", "--repository", "nothing", "--port", "0", cwd=tmp_path, check=False)

    assert finished.returncode == 1
    assert "audotics export" in finished.stderr
    assert "Traceback" not in finished.stderr
