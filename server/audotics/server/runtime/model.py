"""What every runtime gives: a loaded model, which named arrays go into and come out of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec
from audotics.server.errors import AudoticsError


class InferenceError(AudoticsError):
    """A loaded model failed on the inputs that it was given."""


class UnavailableModelError(InferenceError):
    """A model that another server runs gave no answer, whatever it was given."""


class UnfinishedRunError(InferenceError):
    """A run was ended, because it took longer than any may, or because nobody had waited for it for a while."""


class Model(Protocol):
    """A model ready to run. Safe to call from several threads at once.

    `axes` names the axes of each input and output: a size where it is fixed, else a name, and axes of one name have one
    size. An axis of which the runtime knows no name is "".
    """

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def axes(self) -> Mapping[str, tuple[int | str, ...]]: ...

    @property
    def platform(self) -> str:
        """What runs it, in Triton's words: "onnxruntime_onnx", "tensorflow_savedmodel", …"""

    @property
    def device(self) -> str:
        """Where it runs: "cpu", "cuda:0" for the first GPU, or "" where another server decides that."""

    @property
    def waits(self) -> bool:
        """Whether a run waits for another machine, so that it must never happen on the event loop."""

    @property
    def ends(self) -> bool:
        """Whether a run comes back by itself, or can be ended. One that does not may keep a thread (see `detached`)."""

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str], *, deadline: float | None = None
    ) -> list[NDArray[Any]]:
        """Run on `feeds`, keyed by input name, and return the named outputs in that order, the caller's own. Blocks.

        `deadline`, on the clock of `time.monotonic()`, is when nobody waits for the result any more. Raises
        DeadlineError when it has passed, InferenceError when the model fails, for example on a row number beyond its
        tables, UnfinishedRunError when its run had to be ended, and UnavailableModelError when the model could not be
        reached.
        """
