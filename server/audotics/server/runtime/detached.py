"""Runs that nothing can end: a model goes in, and comes out so that whoever waits for a run of it is let go in time.

Each run is on a thread that the model may keep. When the supervisor of runs would end it, its caller goes on, and the
thread is left behind until the run comes back, if ever. A model that has left a few is not run any more before one of
them does: threads, and the processors that they keep busy, are what a server has least of.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final

from numpy.typing import NDArray

from audotics.server.runtime.counted import RunCounts
from audotics.server.runtime.model import Model, UnavailableModelError, UnfinishedRunError
from audotics.server.runtime.supervisor import RunSupervisor
from audotics.server.runtime.wrapped import WrappedModel

_LOG: Final = logging.getLogger(__name__)

MOST_LEFT: Final = 4
"""Runs of one model that may be left behind. The first may be one unlucky input; so many are a broken model."""

Inbox = SimpleQueue["_Run | None"]


class DetachedModel(WrappedModel):
    """A Model that is `model` in all but that its callers are let go by `supervisor`."""

    def __init__(self, model: Model, *, name: str, supervisor: RunSupervisor, counts: RunCounts) -> None:
        """`name` names it in errors, and `counts` tell how many runs are left behind."""
        super().__init__(model)
        self._name = name
        self._supervisor = supervisor
        self._counts = counts
        self._left: Final[set[_Run]] = set()
        self._lock = threading.Lock()
        self._idle: Final[deque[Inbox]] = deque()
        weakref.finalize(self, _dismiss, self._idle).atexit = False

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str], *, deadline: float | None = None
    ) -> list[NDArray[Any]]:
        """As Model has it."""
        if len(self._left) >= MOST_LEFT:
            raise UnavailableModelError(
                f"{self._name}: {MOST_LEFT} of its runs do not come back, so it is not run before one of them does; "
                "roll it back or unload it, and start the server anew to free their threads"
            )
        run = _Run(lambda: self._model.run(feeds, outputs, deadline=deadline), self._came_back)
        inbox = self._idle_inbox()
        inbox.put(run)
        self._supervisor.begin(run, deadline)
        try:
            run.over.wait()
        finally:
            self._supervisor.done(run)
        with self._lock:
            if run.done:
                self._idle.append(inbox)
                return run.result()
            run.inbox = inbox
            self._left.add(run)
            n_left = self._counts.left = len(self._left)
        given_up = "; it is given up until one comes back" if n_left >= MOST_LEFT else ""
        _LOG.warning("%s: a run is left behind, %d do not come back%s", self._name, n_left, given_up)
        raise UnfinishedRunError(f"{self._name}: the model did not finish in time, and its runtime cannot end a run")

    def _idle_inbox(self) -> Inbox:
        with suppress(IndexError):
            return self._idle.pop()
        inbox: Inbox = SimpleQueue()
        threading.Thread(target=_serve, args=(inbox,), name="audotics-detached", daemon=True).start()
        return inbox

    def _came_back(self, run: _Run) -> None:
        """On the run's own thread."""
        with self._lock:
            run.done = True
            if run in self._left and run.inbox is not None:
                self._left.remove(run)
                self._counts.left = len(self._left)
                self._idle.append(run.inbox)
                _LOG.warning("%s: a run came back that was left behind", self._name)


class _Run:
    """One run. It is `over` for its caller when it is `done`, or when the supervisor sets `terminate`."""

    def __init__(self, work: Callable[[], list[NDArray[Any]]], came_back: Callable[[_Run], None]) -> None:
        self._work: Callable[[], list[NDArray[Any]]] | None = work
        self._came_back: Callable[[_Run], None] | None = came_back
        self._arrays: list[NDArray[Any]] = []
        self._error: BaseException | None = None
        self.over = threading.Event()
        self.done = False
        self.inbox: Inbox | None = None
        """Of the thread that was left behind with it."""

    @property
    def terminate(self) -> bool:
        return self.over.is_set()

    @terminate.setter
    def terminate(self, _: bool) -> None:
        self.over.set()

    def execute(self) -> None:
        work, came_back = self._work, self._came_back
        self._work = self._came_back = None  # who ends runs may hold on to this one, and must not to the model
        assert work is not None
        assert came_back is not None
        try:
            self._arrays = work()
        except BaseException as error:  # whatever it is, it is the caller's
            self._error = error
        came_back(self)
        self.over.set()

    def result(self) -> list[NDArray[Any]]:
        if self._error is not None:
            raise self._error
        return self._arrays


def _serve(inbox: Inbox) -> None:
    while (run := inbox.get()) is not None:
        run.execute()
        del run  # else its arrays stay until the next


def _dismiss(idle: deque[Inbox]) -> None:
    """End the threads of a model that is gone."""
    while idle:
        idle.pop().put(None)
