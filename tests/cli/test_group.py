"""`audotics group`, `session` and `taste` against a whole server that serves a small repository."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from audotics.cli.commands import app
from audotics.client import Arm, ExperimentPlan, FeedbackEvent, RecommenderClient
from audotics.server.app import open_app
from audotics.server.settings import load_settings
from tests.small_repository import write_repository

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server in a thread of its own."""
    folder = tmp_path_factory.mktemp("serving")
    files = write_repository(folder / "repository")
    settings = load_settings(repository=files.path, port=0, state_dir=folder / "state", threads=2)
    ready, addresses = threading.Event(), []
    loop, stopped = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with open_app(settings) as running:
            addresses.append(running.address)
            ready.set()
            await stopped.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(60)
    yield addresses[0]
    loop.call_soon_threadsafe(stopped.set)
    thread.join()
    loop.close()


@pytest.fixture
def run(address: str) -> Run:
    return lambda *arguments: CliRunner().invoke(
        app, [*arguments, "--server", address], env={"COLUMNS": "160", "NO_COLOR": "1"}
    )


def test_a_list_for_several(run: Run) -> None:
    result = run("group", "recommend", "u00", "u01=3", "--strategy", "fairness", "-n", "4", "--explain")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert lines[0] == ["#", "track", "title", "artist", "score", "for"]
    assert {line[-1] for line in lines[2:6]} <= {"u00", "u01"}
    assert any(line[:2] == ["u01", "75%"] for line in lines)
    assert "Worth most to" in result.stdout
    assert "fairness, by" in result.stdout


def test_json_is_the_answer_whole(run: Run) -> None:
    answer: Any = json.loads(run("group", "recommend", "u00", "u04", "-n", "3", "--json").stdout)
    assert len(answer["tracks"]) == 3
    assert [member["user_id"] for member in answer["members"]] == ["u00", "u04"]


def test_the_arm_of_an_experiment_is_named(run: Run, address: str) -> None:
    plan = ExperimentPlan("shown", (Arm("a"), Arm("b", diversity=0.9)), overrides={"u02": "b"})
    with RecommenderClient(address) as client:
        client.create_experiment(plan)
        try:
            assert "in experiment shown, arm b\n" in run("recommend", "u02").stdout
            of_group = run("group", "recommend", "u02", "u03").stdout
            (line,) = [line for line in of_group.splitlines() if line.startswith("in experiment")]
            assert line in ("in experiment shown, arm a", "in experiment shown, arm b")
        finally:
            client.stop_experiment("shown")
    assert "in experiment" not in run("group", "recommend", "u02", "u03").stdout


@pytest.mark.parametrize("arguments", [("recommend",), ("recommend", "u00", "--session", "s"), ("watch",)])
def test_either_listeners_or_a_session_are_needed(run: Run, arguments: tuple[str, ...]) -> None:
    result = run("group", *arguments)
    assert result.exit_code == 2
    assert "give USERs or a --session" in result.stderr


@pytest.mark.parametrize("command", [("group", "recommend", "u00"), ("session", "create", "u00")])
def test_a_strategy_that_only_newer_servers_know_cannot_be_asked_for(run: Run, command: tuple[str, ...]) -> None:
    result = run(*command, "--strategy", "unknown")
    assert result.exit_code == 2
    assert "'unknown' is no strategy; there are average, least_misery" in " ".join(result.stderr.split())


def test_a_wrong_member_is_one_line(run: Run) -> None:
    result = run("group", "recommend", "u00", "u00")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: members[1].user_id: repeats members[0].user_id; send each member once\n"


def test_compatibility(run: Run) -> None:
    result = run("group", "compatibility", "u00", "u04", "u01")
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert lines[0] == ["u00", "u04", "u01"]
    assert lines[2][:2] == ["u00", "1.00"]
    assert "What divides them" in result.stdout
    assert "together 0." in result.stdout


def test_a_session_from_beginning_to_end(run: Run) -> None:
    assert (
        "sessions/evening: fairness, floor 10%, plays nothing"
        in run(
            "session", "create", "u00", "u01=2", "--id", "evening", "--strategy", "fairness", "--floor", "0.1"
        ).stdout
    )
    assert "t100: 1 for, 0 against" in run("session", "vote", "evening", "u00", "t100", "up").stdout
    assert "u02" in run("session", "join", "sessions/evening", "u02").stdout
    assert "u02" not in run("session", "leave", "evening", "u02").stdout
    assert "plays t001" in run("session", "play", "evening", "t001").stdout
    assert "played t001, skipped" in run("session", "skip", "evening", "t001").stdout
    listed = run("group", "recommend", "--session", "evening", "-n", "20")
    assert "t100" in listed.stdout
    assert "fairness, by" in listed.stdout
    watched = run("group", "watch", "--session", "evening", "-n", "20", "--count", "1")
    assert watched.exit_code == 0
    assert [line.split()[1] for line in watched.stdout.splitlines()[3:23]] == [
        line.split()[1] for line in listed.stdout.splitlines()[3:23]
    ]
    shown: Any = json.loads(run("session", "show", "evening", "--json").stdout)
    assert shown["plays"][0]["skipped"] is True
    assert "ended" in run("session", "end", "evening").stdout
    refused = run("session", "join", "evening", "u02")
    assert refused.stderr == "error: name: sessions/evening has ended; create another session\n"


def test_taste(run: Run, address: str) -> None:
    with RecommenderClient(address) as client:
        client.record_feedback([FeedbackEvent("u05", f"t{row:03d}", "like") for row in (1, 5, 9)])
    result = run("taste", "u05")
    assert result.exit_code == 0
    assert "genres   jazz 100% (diversity 0.00)" in result.stdout
    assert "3 plays, UTC where not known better" in result.stdout
    assert "Jazz tracks are 100%, 4.0 times the catalogue's 25%." in result.stdout
    answer: Any = json.loads(run("taste", "u05", "--json").stdout)
    assert answer["pattern"]["event_count"] == 3
    assert "u99: 0 tracks" in run("taste", "u99").stdout
