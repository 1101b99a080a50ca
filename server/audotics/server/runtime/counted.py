"""Counted runs: a model goes in, the same model comes out, and its runs are counted and timed, whoever asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from audotics.server.runtime.model import InferenceError, Model
from audotics.server.runtime.onnx import OnnxModel
from audotics.server.runtime.wrapped import WrappedModel


class RunCounts:
    """Of one version of a model. Counts from any thread."""

    __slots__ = ("_lock", "failures", "fallbacks", "left", "runs", "seconds")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.runs = 0
        """Runs that gave something. Requests that run together are one of them."""
        self.failures = 0
        """Runs in which the model failed, was ended, or could not be reached."""
        self.fallbacks = 0
        """Times that it was opened on the CPU, because the device that was asked for was not there."""
        self.left = 0
        """Runs that do not come back, now. Nobody waits for them any more."""
        self.seconds = 0.0
        """What all runs took, failed ones too."""

    def ran(self, seconds: float) -> None:
        with self._lock:
            self.runs += 1
            self.seconds += seconds

    def failed(self, seconds: float) -> None:
        with self._lock:
            self.failures += 1
            self.seconds += seconds

    def fell_back(self) -> None:
        with self._lock:
            self.fallbacks += 1


class ModelRuns:
    """All versions that were opened since the start; one that is opened again goes on counting."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, int], RunCounts] = {}

    def of(self, name: str, version: int) -> RunCounts:
        return self._of.setdefault((name, version), RunCounts())

    def __iter__(self) -> Iterator[tuple[str, int, RunCounts]]:
        return iter([(name, version, counts) for (name, version), counts in list(self._of.items())])


class CountedModel(WrappedModel):
    """A Model that is `model` in everything."""

    def __init__(self, model: Model, counts: RunCounts) -> None:
        super().__init__(model)
        self._counts = counts

    def with_axes(self, axes: Mapping[str, tuple[int | str, ...]]) -> CountedModel:
        """The same model and counts, with other names for its axes."""
        model = self._model.with_axes(axes) if isinstance(self._model, OnnxModel) else self._model
        renamed = CountedModel(model, self._counts)
        renamed.axes = axes
        return renamed

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str], *, deadline: float | None = None
    ) -> list[NDArray[Any]]:
        """As Model has it. A run for which the time was over before it began is not counted."""
        started = time.perf_counter()
        try:
            arrays = self._model.run(feeds, outputs, deadline=deadline)
        except InferenceError:
            self._counts.failed(time.perf_counter() - started)
            raise
        self._counts.ran(time.perf_counter() - started)
        return arrays
