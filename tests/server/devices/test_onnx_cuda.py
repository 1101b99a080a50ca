"""ONNX Runtime on a GPU: where it cannot be, the reason is told, and nothing is printed for it."""

from __future__ import annotations

from importlib.resources import files

import onnxruntime
import pytest

from audotics.server.devices.driver import DriverError
from audotics.server.devices.onnx_cuda import is_built_for_cuda, session_on_cuda
from tests.gpus import needs_cuda, without_cuda

GRAPH = files("audotics.server.retrieval.backends").joinpath("top_k.onnx").read_bytes()


@without_cuda
def test_the_reason_why_there_is_no_gpu_is_told(capfd):
    reason = (
        "NVIDIA" if is_built_for_cuda() else "ONNX Runtime has no CUDAExecutionProvider, only .*CPUExecutionProvider"
    )
    with pytest.raises(DriverError, match=reason):
        session_on_cuda(GRAPH, onnxruntime.SessionOptions())
    assert capfd.readouterr().out == ""


@needs_cuda
def test_products_are_not_rounded_on_a_gpu():
    session = session_on_cuda(GRAPH, onnxruntime.SessionOptions())
    assert session.get_providers()[0] == "CUDAExecutionProvider"
    assert session.get_provider_options()["CUDAExecutionProvider"]["use_tf32"] == "0"


@needs_cuda
def test_a_gpu_that_is_not_there_is_said():
    with pytest.raises(DriverError, match="no GPU 99 for ONNX Runtime: the driver has"):
        session_on_cuda(GRAPH, onnxruntime.SessionOptions(), device_id=99)
