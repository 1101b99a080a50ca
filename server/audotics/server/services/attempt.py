"""An attempt at a list: its answer goes in, or what it ended with; how long it took and whether it failed come out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from audotics.server.errors import AudoticsError
from audotics.server.runtime.model import InferenceError
from audotics.server.types import Degradation, DegradationReason


class Attempt:
    """Use it as a context manager around the making of one list. Read it afterwards."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self.elapsed_s = 0.0
        self.failed = False
        """Whether a model failed; what is the caller's fault, or the load's, is no failure."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.elapsed_s = time.perf_counter() - self._started
        if error is not None:
            expected = isinstance(error, AudoticsError | asyncio.CancelledError)
            self.failed = not expected or isinstance(error, InferenceError)

    def answered(self, degraded: Iterable[Degradation]) -> None:
        """An answer is there, without these parts."""
        self.failed = any(part.reason is DegradationReason.FAILED for part in degraded)
