"""The limit of `ModelInfer` on grpc.aio: a server that gives every request the same recorded answer, and reads none.

    python benchmarks/support/bare_server.py PORT FILE [--model MODEL.onnx --feeds FEEDS.npz]

serves what stands in FILE, an encoded ModelInferResponse, until it is told to stop. With a model, that runs before each
answer, on the same arrays. The threads of calls are placed as in Audotics.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import onnxruntime

from audotics.server.transport.placement import CallPlacement


async def serve(port: int, answer: bytes, work: Callable[[], object]) -> None:
    async def infer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        work()
        return answer

    handlers = {"ModelInfer": grpc.unary_unary_rpc_method_handler(infer)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    async with CallPlacement():
        await server.wait_for_termination()


def run_of(model: Path, feeds: Path) -> Callable[[], object]:
    """A run of the model on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    with np.load(feeds) as arrays:
        given = dict(arrays)
    return lambda: session.run(None, given)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("answer", type=Path, metavar="FILE")
    parser.add_argument("--model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("--feeds", type=Path, metavar="FEEDS.npz")
    chosen = parser.parse_args()
    work = (lambda: None) if chosen.model is None else run_of(chosen.model, chosen.feeds)
    asyncio.run(serve(chosen.port, chosen.answer.read_bytes(), work))
