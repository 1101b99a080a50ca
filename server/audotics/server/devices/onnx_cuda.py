"""ONNX Runtime on a GPU: a model goes in, a session on the CUDA provider comes out, or the reason why there is none."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final

import onnxruntime

from audotics.server.devices.driver import CudaDriver, DriverError

PROVIDER: Final = "CUDAExecutionProvider"
CPU_PROVIDER: Final = "CPUExecutionProvider"

_SETTINGS: Final = {
    "use_tf32": "0",  # by default products are rounded to ten bits, and an exact search would be none
    "arena_extend_strategy": "kSameAsRequested",  # the other takes up to twice of what is needed
    "cudnn_conv_algo_search": "HEURISTIC",  # a search for kernels would come with each new shape
}


def is_built_for_cuda() -> bool:
    """Whether ONNX Runtime knows GPUs at all. It says nothing of this machine."""
    return PROVIDER in onnxruntime.get_available_providers()


def session_on_cuda(
    model: Path | bytes, options: Any, *, device_id: int = 0, settings: Mapping[str, str] | None = None
) -> Any:
    """A session on the GPU, and on the CPU for operators that the GPU has not.

    Raises DriverError when ONNX Runtime knows no GPU, there is no driver, or the session cannot be made; a model that
    no provider takes looks the same.
    """
    if not is_built_for_cuda():
        names = ", ".join(onnxruntime.get_available_providers())
        raise DriverError(f"ONNX Runtime has no {PROVIDER}, only {names}")
    driver = CudaDriver.find()
    present, known, needed = driver.count(), driver.cuda_major(), _built_for()
    if device_id >= present:
        raise DriverError(f"no GPU {device_id} for ONNX Runtime: the driver has {present}")
    if known < needed:
        raise DriverError(f"ONNX Runtime is built for CUDA {needed}, the driver of this machine is for CUDA {known}")
    missing = _load_libraries()
    given = _SETTINGS | {"device_id": str(device_id)} | dict(settings or {})
    try:
        # Its own way back to the CPU prints to stdout; ours is the caller's, who has a log.
        session = onnxruntime.InferenceSession(
            str(model) if isinstance(model, Path) else model,
            options,
            providers=[(PROVIDER, given), CPU_PROVIDER],
            enable_fallback=0,
        )
    except Exception as error:  # ONNX Runtime's own exceptions share no base
        raise DriverError(f"ONNX Runtime cannot use {PROVIDER}: {_first_line(error)}") from error
    if PROVIDER not in session.get_providers():
        raise DriverError(f"ONNX Runtime cannot use {PROVIDER}: {missing or 'a CUDA library does not load'}")
    return session


def _built_for() -> int:
    """CUDA's major version that ONNX Runtime was built with; 0 where it does not say."""
    major = str(getattr(onnxruntime, "cuda_version", "")).partition(".")[0]
    return int(major) if major.isdecimal() else 0


def _load_libraries() -> str:
    """Load CUDA where pip has put it, since no loader looks there; return what ONNX Runtime says is missing."""
    with redirect_stdout(io.StringIO()) as said:
        onnxruntime.preload_dlls()
    return "; ".join(line for line in said.getvalue().splitlines() if line.startswith("Failed"))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
