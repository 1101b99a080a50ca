"""Runs that nothing can end: their callers are let go, and a model that leaves too many is not run any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec
from audotics.server.errors import DeadlineError
from audotics.server.runtime.counted import RunCounts
from audotics.server.runtime.detached import MOST_LEFT, DetachedModel
from audotics.server.runtime.model import InferenceError, UnavailableModelError, UnfinishedRunError
from audotics.server.runtime.supervisor import RunSupervisor


class Stuck:
    """A model that gives back `x`, fails on what is below 0, and on 1 waits until somebody opens the `gate`."""

    platform = "test"
    device = "cpu"
    waits = ends = False
    inputs = (TensorSpec("x", "int64", (-1,)),)
    outputs = (TensorSpec("y", "int64", (-1,)),)
    axes: Mapping[str, tuple[int | str, ...]] = {"x": ("rows",), "y": ("rows",)}

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.threads: set[int] = set()

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str], *, deadline: float | None = None
    ) -> list[NDArray[Any]]:
        self.threads.add(threading.get_ident())
        if deadline is not None and time.monotonic() >= deadline:
            raise DeadlineError("too late")
        if 1 in feeds["x"]:
            assert self.gate.wait(60)
        if feeds["x"].min() < 0:
            raise InferenceError("the model failed")
        return [feeds["x"]]


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    model = Stuck()
    yield model
    model.gate.set()


@pytest.fixture
def supervisor() -> Iterator[RunSupervisor]:
    with RunSupervisor(limit_s=0.05) as supervisor:
        yield supervisor


def ask(model: DetachedModel, value: int, *, deadline: float | None = None) -> Any:
    return model.run({"x": np.asarray([value])}, ["y"], deadline=deadline)[0].tolist()


def test_runs_that_come_back_are_as_the_models_own(stuck: Stuck, supervisor: RunSupervisor) -> None:
    counts = RunCounts()
    model = DetachedModel(stuck, name="m/1", supervisor=supervisor, counts=counts)
    assert [ask(model, value) for value in (0, 2, 3)] == [[0], [2], [3]]
    with pytest.raises(InferenceError, match="the model failed"):
        ask(model, -1)
    with pytest.raises(DeadlineError, match="too late"):
        ask(model, 2, deadline=time.monotonic())
    assert (len(stuck.threads), counts.left) == (1, 0)  # one thread did it all, and it was not ours
    assert threading.get_ident() not in stuck.threads
    with ThreadPoolExecutor(8) as executor:
        assert list(executor.map(lambda value: ask(model, value), range(2, 200))) == [[v] for v in range(2, 200)]


def test_a_model_that_leaves_too_many_runs_is_given_up_until_they_come_back(
    stuck: Stuck, supervisor: RunSupervisor, caplog: pytest.LogCaptureFixture
) -> None:
    counts = RunCounts()
    model = DetachedModel(stuck, name="m/1", supervisor=supervisor, counts=counts)
    for left in range(1, MOST_LEFT + 1):
        with pytest.raises(UnfinishedRunError, match=r"m/1: the model did not finish in time"):
            ask(model, 1)
        assert counts.left == left
    with pytest.raises(UnavailableModelError, match=f"m/1: {MOST_LEFT} of its runs do not come back"):
        ask(model, 2)
    assert len(stuck.threads) == MOST_LEFT
    assert [record.message for record in caplog.records][-1].endswith("it is given up until one comes back")
    threads = [thread for thread in threading.enumerate() if thread.ident in stuck.threads]
    stuck.gate.set()
    assert ask_until_taken(model) == [2]
    del model
    for thread in threads:  # theirs end with the model
        thread.join(20)
        assert not thread.is_alive()
    assert counts.left == 0


def ask_until_taken(model: DetachedModel) -> Any:
    end = time.monotonic() + 20
    while True:
        try:
            return ask(model, 2)
        except UnavailableModelError:
            assert time.monotonic() < end


def test_nobody_waits_any_more_when_the_server_stops(stuck: Stuck) -> None:
    with RunSupervisor(limit_s=3600.0) as supervisor, ThreadPoolExecutor(1) as executor:
        model = DetachedModel(stuck, name="m/1", supervisor=supervisor, counts=RunCounts())
        asked = executor.submit(ask, model, 1)
        while not stuck.threads:
            threading.Event().wait(0.01)
        supervisor.hurry()
        with pytest.raises(UnfinishedRunError):
            asked.result(timeout=20)
