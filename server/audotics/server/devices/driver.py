"""NVIDIA's driver, asked before anything else touches a GPU: their number and memory come out, or why there is none.

FAISS ends the process where the driver is there but does not work, as after an update until the next restart, and where
a GPU has no memory left for what a library sets up on it. The driver itself answers with an error.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Final, Self

_LIBRARY: Final = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_NO_DEVICE: Final = 100


class DriverError(Exception):
    """No GPU can be used. The message says why, for the log."""


class NoGpuError(DriverError):
    """There is no GPU here, or no driver, or nothing that could use one: as on most machines, and no fault."""


class CudaDriver:
    """The driver as its C library has it. Safe to use from several threads at once."""

    def __init__(self, library: Any) -> None:
        """Raises NoGpuError when the driver finds no GPU, DriverError when it does not work."""
        self._library = library
        self._call("cuInit", 0)

    @classmethod
    def find(cls) -> Self:
        """The driver of this machine. Raises NoGpuError where there is none, or as the constructor does."""
        try:
            library = ctypes.CDLL(_LIBRARY)
        except OSError as error:
            raise NoGpuError(f"there is no NVIDIA driver here ({_LIBRARY})") from error
        return cls(library)

    def count(self) -> int:
        """GPUs that this process may use: `CUDA_VISIBLE_DEVICES` hides the others."""
        count = ctypes.c_int()
        self._call("cuDeviceGetCount", ctypes.byref(count))
        return count.value

    def cuda_major(self) -> int:
        """The newest CUDA whose programs the driver runs, 13 of 13.2. It runs all older ones."""
        version = ctypes.c_int()
        self._call("cuDriverGetVersion", ctypes.byref(version))
        return version.value // 1000

    def free_bytes(self, number: int) -> int:
        """Memory that is free on a GPU, beside what any use of it takes. Raises DriverError when it cannot be used."""
        device, context, free, total = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cuDeviceGet", ctypes.byref(device), number)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        try:
            self._call("cuCtxPushCurrent_v2", context)
            try:
                self._call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
            finally:
                self._call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))
        finally:
            self._call("cuDevicePrimaryCtxRelease_v2", device)
        return free.value

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._library, name)(*arguments)
        if not code:
            return
        if code == _NO_DEVICE:
            raise NoGpuError("NVIDIA's driver finds no GPU that this process may use")
        text = ctypes.c_char_p()
        self._library.cuGetErrorString(code, ctypes.byref(text))
        said = "an error without a name" if text.value is None else text.value.decode(errors="replace")
        raise DriverError(f"NVIDIA's driver does not work: {said} ({code} of {name})")
