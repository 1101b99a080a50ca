"""One thread that alone touches an index: searches from many threads go in, and are answered a batch at a time.

A GPU index is not safe to search from several threads, and is far from busy with one query. The thread waits for the
first search, takes whatever else waits by then, and makes one call of it: no search waits for another to come.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audotics.server.retrieval.backends.backend import DeviceError

Found = tuple[NDArray[np.float32], NDArray[np.int64]]
SearchBatch = Callable[[NDArray[np.float32], int], Found]


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    queries: NDArray[np.float32]
    k: int
    found: Future[Found] = field(default_factory=Future)


class OwnerThread:
    """Owns what `make` makes: it is made, searched and let go on this thread only."""

    def __init__(self, make: Callable[[], SearchBatch], *, name: str, limit_queries: int = 1024) -> None:
        """Blocks until the index is made. Raises what `make` raises. At most `limit_queries` go into one call."""
        self._limit = limit_queries
        # As many may wait as there are threads. It may be put into while garbage is collected, which others may not.
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.Lock()
        made: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(make, made), name=name, daemon=True)
        self._thread.start()
        made.result()

    def search(self, queries: NDArray[np.float32], k: int) -> Found:
        """What the index finds for `queries` (q, d). Blocks. Raises what the index raises; DeviceError when closed."""
        job = _Job(queries, k)
        with self._lock:
            if self._closed:
                raise DeviceError("the index was closed")
            self._jobs.put(job)
        return job.found.result()

    @property
    def waiting(self) -> int:
        """Searches that the thread has not taken up yet."""
        return self._jobs.qsize()

    def close(self) -> None:
        """Answer what waits, let the index go, end the thread. May be called twice."""
        self.release()
        self._thread.join()

    def release(self) -> None:
        """Begin what `close` does, and do not wait for it: for whoever must not."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)

    def _run(self, make: Callable[[], SearchBatch], made: Future[None]) -> None:
        try:
            search = make()
        except BaseException as error:
            made.set_exception(error)
            return
        made.set_result(None)
        ended = False
        while not ended:
            job = self._jobs.get()
            if job is None:
                return
            batch, ended = self._with_waiting(job)
            _answer(search, batch)

    def _with_waiting(self, first: _Job) -> tuple[list[_Job], bool]:
        """`first` and what waits behind it, and whether the end was among it."""
        batch, count = [first], len(first.queries)
        while count < self._limit:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return batch, True
            batch.append(job)
            count += len(job.queries)
        return batch, False


def _answer(search: SearchBatch, batch: list[_Job]) -> None:
    """One call for all jobs of one k: a deep search must not make shallow ones pay."""
    for k in sorted({job.k for job in batch}):
        jobs = [job for job in batch if job.k == k]
        try:
            scores, rows = search(np.concatenate([job.queries for job in jobs]), k)
        except BaseException as error:
            for job in jobs:
                job.found.set_exception(error)
            continue
        ends = np.cumsum([len(job.queries) for job in jobs]).tolist()
        for job, start, end in zip(jobs, [0, *ends[:-1]], ends, strict=True):
            job.found.set_result((scores[start:end], rows[start:end]))
