"""From events in a server's database to new versions in service: `audotics refresh`, in processes of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from audotics.client import FeedbackEvent, RecommenderClient, Track
from audotics.training.tasks import open_run

COMMAND = (sys.executable, "-m", "audotics.cli.main")
N_TRACKS, N_LISTENERS, HEARD = 48, 60, 8

pytestmark = pytest.mark.timeout(300)  # a dozen processes, each of which imports much


def environment(folder: Path) -> dict[str, str]:
    own = {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "AUDOTICS_STATE_DIR": str(folder / "state")}
    return {name: value for name, value in os.environ.items() if not name.startswith("AUDOTICS_")} | own


def audotics(*arguments: str, folder: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    finished = subprocess.run(
        [*COMMAND, *arguments], cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    assert finished.returncode == code, finished.stdout + finished.stderr
    return finished


def serve(folder: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [*COMMAND, "serve", "--repository", "repository", "--port", "0"],
        cwd=folder,
        env=environment(folder) | {"AUDOTICS_SHADOW_SHARE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:  # what is left out stands before the address
        said += line
        if found := re.search(r" on (127\.0\.0\.1:\d+) ", line):
            return process, found[1]
    process.wait()
    process.stdout.close()
    pytest.fail(f"the server did not start: {said}")


def stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained run and a repository, of two tastes that share nothing. Not to be altered."""
    folder = tmp_path_factory.mktemp("refresh")
    random = np.random.default_rng(0)
    rows = ["user_id,track_id,timestamp"]
    for user in range(N_LISTENERS):
        tracks = random.choice(N_TRACKS // 2, HEARD, replace=False) + N_TRACKS // 2 * (user % 2)
        rows += [f"u{user},t{track},{place}" for place, track in enumerate(tracks)]
    (folder / "data").mkdir()
    (folder / "data" / "interactions.csv").write_text("\n".join(rows) + "\n")
    audotics("train", "collaborative", "--data", "data", "--output", "run", "--k-core", "2", folder=folder)
    audotics("export", "run", "--repository", "repository", "--formats", "onnx", folder=folder)
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    """A copy of the template, for one test to use and alter."""
    return shutil.copytree(template, tmp_path / "work")


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    process, address = serve(folder)
    yield address
    if process.poll() is None:
        stop(process)


def in_service(client: RecommenderClient, name: str) -> list[int]:
    return [one.version for one in client.get_model(name).versions if one.state == "in_service"]


def refresh(folder: Path, address: str, *more: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    arguments = ("refresh", "run", "--repository", "repository", "--server", address, "--formats", "onnx", *more)
    return audotics(*arguments, folder=folder, code=code)


def test_events_become_versions_in_service(folder: Path, server: str) -> None:
    quickly = ("--shadow-requests", "0", "--json")
    with RecommenderClient(server) as client:
        client.upsert_tracks([Track("new", title="New", tags=["rock"])])
        events = [FeedbackEvent("nobody before", f"t{track}", "like") for track in range(10)]
        events += [FeedbackEvent(f"u{user}", "new", "complete") for user in range(0, 40, 2)]
        events += [FeedbackEvent("u1", "t30", "skip"), FeedbackEvent("u1", "t31", "impression")]
        results = client.record_feedback(events)
        assert {result.status for result in results} == {"accepted"}

        assert json.loads(refresh(folder, server, *quickly).stdout) == {
            "events": 32,
            "trained": ["collaborative"],
            "exported": ["catalog/2", "collaborative/2"],
            "promoted": ["collaborative/2", "catalog/2"],
        }
        assert (in_service(client, "collaborative"), in_service(client, "catalog")) == ([2], [2])
        assert client.get_model("collaborative").labels == {"stable": 2}
        run = json.loads((folder / "run" / "run.json").read_text())
        assert run["updates"][0]["new"] == {"tracks": 1, "listeners": 1, "interactions": 30}

        # Nothing is done twice.
        assert json.loads(refresh(folder, server, *quickly).stdout) == {
            "events": 32,
            "trained": [],
            "exported": [],
            "promoted": [],
        }

        # Too little is new; then the same is worth an update, is exported, and waits.
        client.record_feedback([FeedbackEvent("u3", "t20", "save")])
        said = refresh(folder, server, "--min-new", "50").stdout
        assert said == "nothing new: collaborative/2, catalog/2\n"
        exported = json.loads(refresh(folder, server, "--no-promote", "--json").stdout)
        assert exported["exported"] == ["catalog/3", "collaborative/3"]
        assert in_service(client, "collaborative") == [2]

        # Shadows that nobody asks anything end it with 4, and a later call goes on from there.
        waited = refresh(folder, server, "--shadow-requests", "3", "--shadow-timeout", "0", code=4)
        assert "was compared on 0 of 3 requests" in waited.stderr
        assert client.get_model("collaborative").labels == {"stable": 2, "shadow": 3}
        waiting = subprocess.Popen(
            [*COMMAND, "refresh", "run", "--repository", "repository", "--server", server, "--shadow-requests", "3"],
            cwd=folder,
            env=environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while waiting.poll() is None:
            client.recommend("u1", limit=3)
        said, problem = waiting.communicate()
        assert waiting.returncode == 0, problem
        assert said.endswith("in service now: collaborative/3, catalog/3\n")
        assert client.get_model("collaborative").labels == {"stable": 3}

        # The gate says no.
        golden = [{"session_tracks": ["t1"], "limit": 3, "expected": ["t47"], "least": 1}]
        (folder / "repository" / "golden.json").write_text(json.dumps(golden))
        client.record_feedback([FeedbackEvent("u3", "t19", "save")])
        refused = refresh(folder, server, *quickly, code=5)
        assert "golden request 0 holds 0 of the expected tracks" in refused.stderr
        assert in_service(client, "collaborative") == [3]


def test_what_stands_in_the_way_has_a_code_and_a_reason(folder: Path, server: str) -> None:
    nowhere = refresh(folder, "127.0.0.1:1", code=3)
    assert "cannot reach a server at 127.0.0.1:1, so nothing was begun" in nowhere.stderr
    assert "is not a run" in audotics("refresh", "data", "--server", server, folder=folder, code=1).stderr
    with (folder / "run" / ".refresh.lock").open("w") as lock:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another refresh is at work there" in refresh(folder, server, code=1).stderr


def test_a_refresh_that_was_killed_is_finished_by_the_next_one(folder: Path, server: str) -> None:
    with RecommenderClient(server) as client:
        client.record_feedback([FeedbackEvent("u1", f"t{track}", "like") for track in range(10)])
        begun = subprocess.Popen(
            [*COMMAND, "refresh", "run", "--repository", "repository", "--server", server],
            cwd=folder,
            env=environment(folder),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert begun.stderr is not None
        for line in begun.stderr:
            if "interactions are new" in line or "collaborative" in line:
                break
        begun.kill()
        begun.wait()
        begun.stderr.close()
        refresh(folder, server, "--shadow-requests", "0")
        (version,) = in_service(client, "collaborative")
        assert version >= 2
        assert client.get_model("catalog").labels == {"stable": version}
    run = json.loads((folder / "run" / "run.json").read_text())
    assert (len(run["updates"]), run["outdated"]) == (1, {})


def test_a_training_anew_leaves_deleted_listeners_out(folder: Path, server: str) -> None:
    with RecommenderClient(server) as client:
        client.record_feedback([FeedbackEvent("somebody", f"t{track}", "like") for track in range(8)])
        client.delete_user("u1")
        said = refresh(folder, server, "--shadow-requests", "0").stderr
        assert "1 deleted listeners are still in the data of run" in said
    collected = audotics("data", "collect", "run", "--output", "collected", folder=folder).stdout
    assert f"{N_LISTENERS * HEARD:,} interactions, {N_LISTENERS * HEARD + 8:,} before; 1 deleted" in collected
    counts = json.loads((folder / "collected" / "run.json").read_text())["counts"]
    assert counts["listeners"] == N_LISTENERS
    assert open_run(folder / "collected").options == open_run(folder / "run").options
