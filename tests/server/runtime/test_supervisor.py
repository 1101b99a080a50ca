"""Runs that would never end are ended, by real graphs of ONNX Runtime that loop for ever."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from audotics.server.runtime.bounded import within
from audotics.server.runtime.counted import CountedModel, RunCounts
from audotics.server.runtime.model import InferenceError, UnfinishedRunError
from audotics.server.runtime.onnx import OnnxModel
from audotics.server.runtime.supervisor import Endable, RunSupervisor
from tests.counting_model import FOR_EVER, numbers, write_counting_graph


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "counting" / "1" / "model.onnx"
    write_counting_graph(path)
    return path


def check(model: OnnxModel | CountedModel) -> None:
    (counted,) = model.run(numbers(3, 1), ["counted"])
    assert counted.tolist() == [3, 1]


@pytest.mark.parametrize("bound", [False, True])
def test_a_run_that_takes_too_long_is_ended_and_the_model_goes_on(
    path: Path, bound: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with RunSupervisor(limit_s=0.2) as supervisor:
        model = OnnxModel(path, supervisor=supervisor, bound=bound)
        for _ in range(2):
            with pytest.raises(UnfinishedRunError, match=r"^counting/1: the model did not finish within 0\.\d s$"):
                model.run(numbers(FOR_EVER), ["counted"])
            check(model)
    assert caplog.text.count("counting/1: the model did not finish within 0.") == 2


def test_a_run_that_nobody_waits_for_is_ended(path: Path) -> None:
    with RunSupervisor(limit_s=3600) as supervisor:
        model = OnnxModel(path, supervisor=supervisor)
        with pytest.raises(UnfinishedRunError, match="did not finish within"):
            model.run(numbers(FOR_EVER), ["counted"], deadline=time.monotonic() + 0.05)
        check(model)


def test_one_that_ends_soon_after_its_deadline_is_finished(path: Path) -> None:
    """A list that comes too late is remembered for the next time."""
    with RunSupervisor(limit_s=3600) as supervisor:
        model = OnnxModel(path, supervisor=supervisor)
        rounds, elapsed_s = 1000, 0.0
        while elapsed_s < 0.05:
            rounds *= 2
            started = time.monotonic()
            model.run(numbers(rounds), ["counted"])
            elapsed_s = time.monotonic() - started
        (counted,) = model.run(numbers(rounds), ["counted"], deadline=time.monotonic() + 0.001)
        assert counted.tolist() == [rounds]


def test_the_event_loop_is_held_for_a_moment_only(path: Path) -> None:
    with RunSupervisor(limit_s=3600, loop_thread=threading.get_ident()) as supervisor:
        model = OnnxModel(path, supervisor=supervisor)
        with pytest.raises(UnfinishedRunError):
            model.run(numbers(FOR_EVER), ["counted"])
        check(model)


def test_a_server_that_stops_ends_what_runs_and_what_begins(path: Path) -> None:
    with RunSupervisor(limit_s=3600) as supervisor, ThreadPoolExecutor(2) as threads:
        model = OnnxModel(path, supervisor=supervisor)
        runs = [threads.submit(model.run, numbers(FOR_EVER), ["counted"]) for _ in range(2)]
        supervisor.hurry()
        for run in runs:
            assert isinstance(run.exception(), UnfinishedRunError)


def test_no_run_is_watched_once_it_is_over(path: Path) -> None:
    class Noting(RunSupervisor):
        begun = over = 0

        def begin(self, run: Endable, deadline: float | None) -> None:
            self.begun += 1
            super().begin(run, deadline)

        def done(self, run: Endable) -> None:
            super().done(run)
            self.over += 1

    with Noting(limit_s=0.2) as supervisor:
        model = OnnxModel(path, supervisor=supervisor)
        check(model)
        for wrong in (numbers(FOR_EVER), {}):
            with pytest.raises(InferenceError):
                model.run(wrong, ["counted"])
    assert (supervisor.begun, supervisor.over) == (3, 3)


def test_what_begins_while_a_server_stops_is_ended_soon(path: Path) -> None:
    with RunSupervisor(limit_s=3600) as supervisor:
        model = OnnxModel(path, supervisor=supervisor)
        supervisor.hurry()
        check(model)
        with pytest.raises(UnfinishedRunError):
            model.run(numbers(FOR_EVER), ["counted"])


def test_runs_side_by_side_are_ended_each_at_its_time(path: Path) -> None:
    with RunSupervisor(limit_s=0.3) as supervisor, ThreadPoolExecutor(3) as threads:
        model = OnnxModel(path, supervisor=supervisor)
        endless = [threads.submit(model.run, numbers(FOR_EVER), ["counted"]) for _ in range(2)]
        while not all(run.done() for run in endless):
            check(model)
        assert all(isinstance(run.exception(), UnfinishedRunError) for run in endless)


class Watched:
    terminate = False


def test_what_is_over_is_not_ended() -> None:
    over, endless = Watched(), Watched()
    with RunSupervisor(limit_s=0.01) as supervisor:
        supervisor.begin(over, None)
        supervisor.done(over)
        supervisor.begin(endless, None)
        while not endless.terminate:
            time.sleep(0.01)
        supervisor.done(endless)
    assert not over.terminate


def test_a_far_deadline_does_not_let_a_run_take_longer(path: Path) -> None:
    with RunSupervisor(limit_s=0.2) as supervisor:
        model = OnnxModel(path, supervisor=supervisor)
        with pytest.raises(UnfinishedRunError, match="did not finish within"):
            model.run(numbers(FOR_EVER), ["counted"], deadline=time.monotonic() + 3600)


def test_one_that_has_nothing_to_watch_can_be_left() -> None:
    with RunSupervisor(limit_s=3600):
        time.sleep(0.25)  # it looks for a while before it waits to be woken
    assert "audotics-supervisor" not in {thread.name for thread in threading.enumerate()}


def test_a_failure_is_no_unfinished_run(path: Path) -> None:
    with RunSupervisor(limit_s=3600) as supervisor:
        model = OnnxModel(path, supervisor=supervisor)
        with pytest.raises(InferenceError, match=r"^counting/1: the model failed on its inputs") as failure:
            model.run({"rounds": np.zeros((2, 2), np.int64)}, ["counted"])
        assert not isinstance(failure.value, UnfinishedRunError)


def test_ended_runs_are_counted_as_failures(path: Path) -> None:
    counts = RunCounts()
    with RunSupervisor(limit_s=0.1) as supervisor:
        model = CountedModel(OnnxModel(path, supervisor=supervisor), counts)
        with pytest.raises(UnfinishedRunError):
            model.run(numbers(FOR_EVER), ["counted"])
        check(model)
    assert (counts.runs, counts.failures) == (1, 1)


def test_without_a_supervisor_a_run_takes_as_long_as_it_does(path: Path) -> None:
    check(OnnxModel(path))


def test_work_with_an_end_gives_what_it_found() -> None:
    assert within(60, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        within(60, lambda: 1 // 0)


def test_work_that_never_ends_is_left_behind() -> None:
    never = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.01, never.wait)
    never.set()


def test_work_that_never_ends_does_not_hold_up_the_end_of_the_process() -> None:
    script = (
        "import threading\nfrom audotics.server.runtime.bounded import within\n"
        "try:\n    within(0.01, threading.Event().wait)\nexcept TimeoutError:\n    print('left')\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "left\n"
