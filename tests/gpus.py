"""What this machine's GPUs can do, for tests that need one: the reason to skip, or nothing."""

from __future__ import annotations

from importlib.resources import files

import onnxruntime
import pytest

from audotics.server.devices.driver import DriverError
from audotics.server.devices.onnx_cuda import session_on_cuda
from audotics.server.retrieval.backends.gpu import gpu_count, gpus_for_faiss


def faiss_trouble(*, wanted: int = 1) -> str:
    """Why FAISS cannot use so many GPUs here; empty when it can."""
    try:
        present = gpus_for_faiss()
    except DriverError as error:
        return str(error)
    return "" if present >= wanted else f"FAISS sees {present} of the {wanted} GPUs that this needs"


def onnx_trouble() -> str:
    """Why ONNX Runtime cannot use a GPU here; empty when it can. Its wheel for GPUs names its provider anywhere."""
    graph = files("audotics.server.retrieval.backends").joinpath("top_k.onnx").read_bytes()
    try:
        session_on_cuda(graph, onnxruntime.SessionOptions())
    except DriverError as error:
        return str(error)
    return ""


FAISS_TROUBLE, ONNX_TROUBLE = faiss_trouble(), onnx_trouble()

needs_gpu = pytest.mark.skipif(bool(FAISS_TROUBLE), reason=FAISS_TROUBLE or "-")
needs_two_gpus = pytest.mark.skipif(bool(faiss_trouble(wanted=2)), reason=faiss_trouble(wanted=2) or "-")
needs_cuda = pytest.mark.skipif(bool(ONNX_TROUBLE), reason=ONNX_TROUBLE or "-")
without_gpu = pytest.mark.skipif(gpu_count() > 0, reason="this machine has a GPU")
without_cuda = pytest.mark.skipif(not ONNX_TROUBLE, reason="ONNX Runtime has a GPU here")
