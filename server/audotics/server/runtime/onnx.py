"""One loaded ONNX model on ONNX Runtime: named arrays go in, named arrays come out.

On a GPU, inputs and outputs are bound to their places, so that they are copied once, and the memory of the device is
bounded. Row counts are rounded up there (see `buckets`), since each new shape costs a GPU memory and time.

Who supervises runs can end one between two operators, also within a loop of the graph.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import onnxruntime
from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec
from audotics.server.devices.driver import DriverError, NoGpuError
from audotics.server.devices.onnx_cuda import CPU_PROVIDER, is_built_for_cuda, session_on_cuda
from audotics.server.errors import DeadlineError, RefusedModelError
from audotics.server.runtime.buckets import RowBuckets
from audotics.server.runtime.model import InferenceError, UnfinishedRunError
from audotics.server.runtime.supervisor import RunSupervisor

_LOG: Final = logging.getLogger(__name__)
_MIB: Final = 1024 * 1024

_DTYPES: Final = {
    "tensor(bool)": "bool",
    "tensor(double)": "float64",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(string)": "object",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
}


class OnnxModel:
    """A Model in this process, on the CPU, or on the first GPU where that was asked for and is there."""

    platform: Final = "onnxruntime_onnx"
    waits: Final = False
    ends: Final = True

    def __init__(
        self,
        path: Path,
        *,
        supervisor: RunSupervisor | None = None,
        threads: int = 1,
        device: str = "cpu",
        gpu_memory_mib: int | None = None,
        bound: bool | None = None,
        rounded: bool = True,
    ) -> None:
        """Load `path`; `threads` work on one run, which goes on for as long as it takes without a `supervisor`.

        `device` "auto" is a GPU where there is one that ONNX Runtime knows; "cuda" says so in the log where there is
        none. `bound` binds inputs and outputs, by default on a GPU only, and then row counts are `rounded` up. Raises
        RefusedModelError when ONNX Runtime does not take the file.
        """
        self._supervisor = supervisor
        self._spare: list[onnxruntime.RunOptions] = []
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 4  # failures come back as exceptions; a second copy on stderr helps nobody
        # An arena keeps its largest batch for good. These tensors are small, and plain allocation measures the same.
        options.enable_cpu_mem_arena = False
        # A plan of the memory is kept for every combination of shapes that was ever seen, and batches have any.
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._name = f"{path.parent.parent.name}/{path.parent.name}"
        self._session, self.device, self.fell_back = self._open(path, options, device, gpu_memory_mib)
        nodes = (*self._session.get_inputs(), *self._session.get_outputs())
        self.inputs = tuple(_spec(node) for node in self._session.get_inputs())
        self.outputs = tuple(_spec(node) for node in self._session.get_outputs())
        self.axes: Mapping[str, tuple[int | str, ...]] = {
            node.name: tuple(size if isinstance(size, int) else size or "" for size in node.shape) for node in nodes
        }
        # Texts cannot be bound; ONNX Runtime then copies what it needs to by itself.
        texts = any(spec.dtype == "object" for spec in (*self.inputs, *self.outputs))
        self._bound = not texts and (self.device != "cpu" if bound is None else bound)
        self._rounded = rounded and self._bound
        self._buckets = RowBuckets.of(self.inputs, self.outputs, self.axes) if self._rounded else None

    def with_axes(self, axes: Mapping[str, tuple[int | str, ...]]) -> OnnxModel:
        """The same session, with other names for its axes: what has no name is not rounded up."""
        renamed = copy.copy(self)
        renamed.axes = axes
        renamed._buckets = RowBuckets.of(self.inputs, self.outputs, axes) if self._rounded else None
        return renamed

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str], *, deadline: float | None = None
    ) -> list[NDArray[Any]]:
        """As Model has it."""
        if deadline is not None and time.monotonic() >= deadline:
            raise DeadlineError("the deadline passed before the model could run")
        supervisor = self._supervisor
        if supervisor is None:
            return self._run(feeds, outputs, None)
        options = self._spare_options()
        supervisor.begin(options, deadline)
        try:
            return self._run(feeds, outputs, options)
        finally:
            supervisor.done(options)
            if not options.terminate:
                self._spare.append(options)

    def _spare_options(self) -> onnxruntime.RunOptions:
        """Options that no run has. They are kept, since to make them takes longer than to look after a run."""
        try:
            return self._spare.pop()
        except IndexError:
            options = onnxruntime.RunOptions()
            options.log_severity_level = 4  # as for the session
            return options

    def _run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str], options: onnxruntime.RunOptions | None
    ) -> list[NDArray[Any]]:
        started = time.monotonic()
        try:
            if self._bound:
                return self._run_bound(feeds, outputs, options)
            arrays: list[NDArray[Any]] = self._session.run(list(outputs), dict(feeds), options)
        except Exception as error:  # ONNX Runtime raises a dozen unrelated classes here
            if options is not None and options.terminate:
                ended = f"{self._name}: the model did not finish within {time.monotonic() - started:.1f} s"
                _LOG.warning("%s; its run was ended", ended)
                raise UnfinishedRunError(ended) from error
            raise InferenceError(f"{self._name}: the model failed on its inputs ({type(error).__name__})") from error
        return arrays

    def _run_bound(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str], options: onnxruntime.RunOptions | None
    ) -> list[NDArray[Any]]:
        padded = feeds if self._buckets is None else self._buckets.pad(feeds)
        binding = self._session.io_binding()
        for name, array in padded.items():
            binding.bind_cpu_input(name, array)
        for name in outputs:
            binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding, options)
        arrays: list[NDArray[Any]] = binding.copy_outputs_to_cpu()
        return arrays if self._buckets is None else self._buckets.trim(feeds, arrays)

    def _open(self, path: Path, options: Any, device: str, gpu_memory_mib: int | None) -> tuple[Any, str, bool]:
        """The session, where it runs, and whether it should have run elsewhere; then the log has the reason."""
        if device == "cpu" or (device == "auto" and not is_built_for_cuda()):
            return self._on_cpu(path, options), "cpu", False
        bound = {} if gpu_memory_mib is None else {"gpu_mem_limit": str(gpu_memory_mib * _MIB)}
        try:
            return session_on_cuda(path, options, settings=bound), "cuda:0", False
        except DriverError as error:
            trouble = error
        session = self._on_cpu(path, options)
        if device == "auto" and isinstance(trouble, NoGpuError):
            return session, "cpu", False
        _LOG.warning("%s runs on the CPU: %s", self._name, trouble)
        return session, "cpu", True

    def _on_cpu(self, path: Path, options: Any) -> Any:
        try:
            return onnxruntime.InferenceSession(str(path), options, providers=[CPU_PROVIDER])
        except Exception as error:  # as in `run`
            raise RefusedModelError(
                f"{self._name}: ONNX Runtime does not take {path.name!r} ({type(error).__name__}); export it again"
            ) from error


def _spec(node: onnxruntime.NodeArg) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else -1 for size in node.shape)
    return TensorSpec(node.name, _DTYPES.get(node.type, node.type), shape)
