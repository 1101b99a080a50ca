"""NVIDIA's driver: its answers are taken, and its errors told, before FAISS would end the process for them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pytest

from audotics.server.devices.driver import CudaDriver, DriverError, NoGpuError


class Library:
    """Stands for libcuda.so.1: it answers what it is told to, and notes which contexts are held."""

    def __init__(self, **codes: int) -> None:
        self.codes = codes
        self.held: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., int]:
        return lambda *arguments: self.codes.get(name) or self.answer(name, *arguments)

    def answer(self, name: str, *arguments: Any) -> int:
        match name:
            case "cuDriverGetVersion":
                arguments[0]._obj.value = 13_020
            case "cuDeviceGetCount":
                arguments[0]._obj.value = 2
            case "cuDeviceGet":
                arguments[0]._obj.value = arguments[1]
            case "cuDevicePrimaryCtxRetain":
                assert arguments[1].value == 1
                self.held.append("retained")
            case "cuCtxPushCurrent_v2":
                self.held.append("pushed")
            case "cuMemGetInfo_v2":
                assert self.held == ["retained", "pushed"]
                arguments[0]._obj.value, arguments[1]._obj.value = 5 << 30, 24 << 30
            case "cuCtxPopCurrent_v2":
                self.held.remove("pushed")
            case "cuDevicePrimaryCtxRelease_v2":
                self.held.remove("retained")
            case "cuGetErrorString":
                arguments[1]._obj.value = b"out of memory" if arguments[0] == 2 else None
        return 0


def test_it_counts_gpus_and_their_free_memory():
    library = Library()
    driver = CudaDriver(library)
    assert driver.count() == 2
    assert driver.cuda_major() == 13
    assert driver.free_bytes(1) == 5 << 30
    assert library.held == []


def test_a_driver_that_does_not_work_is_said():
    with pytest.raises(
        DriverError, match=r"^NVIDIA's driver does not work: an error without a name \(803 of cuInit\)$"
    ):
        CudaDriver(Library(cuInit=803))


@pytest.mark.parametrize("call", ["cuInit", "cuDeviceGetCount"])
def test_a_driver_without_a_gpu_is_no_fault(call):
    with pytest.raises(NoGpuError, match="finds no GPU that this process may use"):
        CudaDriver(Library(**{call: 100})).count()


@pytest.mark.parametrize("call", ["cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent_v2", "cuMemGetInfo_v2"])
def test_a_gpu_that_cannot_be_used_is_said_and_nothing_is_held(call):
    library = Library(**{call: 2})
    with pytest.raises(DriverError, match=rf"out of memory \(2 of {call}\)$"):
        CudaDriver(library).free_bytes(1)
    assert library.held == []


def test_a_missing_driver_is_told_from_one_that_fails():
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        with pytest.raises(NoGpuError, match="there is no NVIDIA driver here"):
            CudaDriver.find()
    else:
        pytest.skip("this machine has a driver")
