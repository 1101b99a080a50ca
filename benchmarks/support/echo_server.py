"""The limit of `ModelInfer` on grpc.aio: a server that gives every request the same recorded answer, and runs no model.

    python benchmarks/support/echo_server.py PORT FILE

serves what stands in FILE, an encoded ModelInferResponse, until it is told to stop.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import grpc


async def serve(port: int, answer: bytes) -> None:
    async def infer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return answer

    handlers = {"ModelInfer": grpc.unary_unary_rpc_method_handler(infer)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("answer", type=Path, metavar="FILE")
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.answer.read_bytes()))
