"""How fast `ModelInfer` answers beside NVIDIA Triton: NCF on 200 rows a request, one ONNX file and client for both.

The client is `tritonclient.grpc.aio` with 1, 8 and 32 callers. With `--triton FOLDER`, the virtual environment that
`support/triton.py` describes, Triton's Python backend is called in turns with Audotics, so that what else the machine
does falls on both. The targets: at least as many answers a second as Triton at each number of callers, and at most 0.6
of its median time at one caller. Two limits are called, too: "grpc.aio" gives the same answer without reading requests,
and "grpc.aio + model" runs the model before, on arrays that it has.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.grpc.aio as aioclient
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from support.serving_repository import write_repository
from support.triton import triton_server

from audotics.bundle.store import BundleStore
from audotics.exporters.exported import MODEL_FILE, ExportedModel
from audotics.exporters.triton import write_config

CALLERS: Final = (1, 8, 32)
MODEL: Final = "ncf"
_HISTORY: Final = 50
_WARM_UP_S: Final = 1.0
_READY_S: Final = 60.0


@dataclass
class Measured:
    """Of one server at one number of callers: answers a second in each round, and all latencies in seconds."""

    qps: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)

    def quantile_ms(self, q: float) -> float:
        return float(np.quantile(self.latencies_s, q) * 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triton", type=Path, metavar="FOLDER", help="virtual environment with nvidia-pytriton")
    parser.add_argument("--rows", type=int, default=200, help="rows a request")
    parser.add_argument("--tracks", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=5, help="of each server and number of callers, in turns")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    arguments = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        with console.status("Writing a repository"):
            write_repository(folder / "repository", n_tracks=arguments.tracks, n_users=100)
        model = _write_config(folder / "repository")
        with console.status("Starting"):
            servers = {"Audotics": stack.enter_context(_audotics(folder))}
            (folder / "answer").write_bytes(_answer(servers["Audotics"], _request(arguments, 0)))
            np.savez(folder / "feeds.npz", **_arrays(arguments, 0))
            with_model = ["--model", str(model / "1" / MODEL_FILE), "--feeds", str(folder / "feeds.npz")]
            servers["grpc.aio"] = stack.enter_context(_bare(folder, []))
            servers["grpc.aio + model"] = stack.enter_context(_bare(folder, with_model))
            if arguments.triton is not None:
                servers["Triton"] = stack.enter_context(
                    triton_server(arguments.triton, model, folder=folder / "triton")
                )
        with console.status("Calling"):
            measured = asyncio.run(_measure(servers, arguments))
    console.print(_table(measured, arguments.rows))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(_numbers(measured), indent=2) + "\n")


async def _measure(servers: dict[str, str], arguments: argparse.Namespace) -> dict[tuple[str, int], Measured]:
    requests = [_request(arguments, seed) for seed in range(max(CALLERS))]
    measured: dict[tuple[str, int], Measured] = {(name, callers): Measured() for name in servers for callers in CALLERS}
    clients = {name: aioclient.InferenceServerClient(address) for name, address in servers.items()}
    try:
        outputs = [grpcclient.InferRequestedOutput("logit")]
        answers = [
            (await client.infer(MODEL, requests[0], outputs=outputs)).as_numpy("logit") for client in clients.values()
        ]
        for answer in answers:
            np.testing.assert_allclose(answer, answers[0], rtol=1e-4, atol=1e-5)
        for callers in CALLERS:
            for client in clients.values():
                await _round(client, requests[:callers], _WARM_UP_S, Measured())
            for _ in range(arguments.rounds):
                for name, client in clients.items():
                    await _round(client, requests[:callers], arguments.seconds, measured[name, callers])
    finally:
        for client in clients.values():
            await client.close()
    return measured


async def _round(client: Any, requests: list[Any], seconds: float, measured: Measured) -> None:
    started = time.perf_counter()
    outputs = [grpcclient.InferRequestedOutput("logit")]
    latencies: list[float] = []

    async def call(inputs: Any) -> None:
        while (begun := time.perf_counter()) < started + seconds:
            await client.infer(MODEL, inputs, outputs=outputs)
            latencies.append(time.perf_counter() - begun)

    await asyncio.gather(*(call(inputs) for inputs in requests))
    measured.qps.append(len(latencies) / (time.perf_counter() - started))
    measured.latencies_s.extend(latencies)


def _arrays(arguments: argparse.Namespace, seed: int) -> dict[str, NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    return {
        "history": random.integers(0, arguments.tracks, (1, _HISTORY)),
        "user_index": np.zeros(arguments.rows, np.int64),
        "track": random.integers(0, arguments.tracks, arguments.rows),
    }


def _request(arguments: argparse.Namespace, seed: int) -> list[Any]:
    inputs = []
    for name, array in _arrays(arguments, seed).items():
        inputs.append(grpcclient.InferInput(name, array.shape, "INT64"))
        inputs[-1].set_data_from_numpy(array)
    return inputs


def _write_config(repository: Path) -> Path:
    """Describe the model to Triton, as an export does. Return its folder."""
    exported = ExportedModel(repository / MODEL / "1" / MODEL_FILE)
    manifest = BundleStore(repository).open(MODEL, 1).manifest
    write_config(repository, replace(manifest, inputs=exported.inputs, outputs=exported.outputs))
    return repository / MODEL


@contextmanager
def _audotics(folder: Path) -> Iterator[str]:
    command = ["-m", "audotics.cli.main", "serve", "--log-level", "warning", "--http-port", "-1"]
    command += ["--repository", str(folder / "repository"), "--state-dir", str(folder / "state")]
    port = _free_port()
    with _running([*command, "--port", str(port)], port, folder / "server.log") as address:
        yield address


def _answer(address: str, request: list[Any]) -> bytes:
    """What the server at `address` answers to `request`."""
    with grpcclient.InferenceServerClient(address) as client:
        answer = client.infer(MODEL, request, outputs=[grpcclient.InferRequestedOutput("logit")]).get_response()
    return bytes(answer.SerializeToString())


@contextmanager
def _bare(folder: Path, options: Sequence[str]) -> Iterator[str]:
    """A server of the recorded answer."""
    command = [str(Path(__file__).parent / "support" / "bare_server.py")]
    port = _free_port()
    with _running([*command, str(port), str(folder / "answer"), *options], port, folder / f"{port}.log") as started:
        yield started


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def _running(arguments: Sequence[str], port: int, log_file: Path) -> Iterator[str]:
    """A process of Python that listens on `port`, while the context is open."""
    command = [sys.executable, *arguments]
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=_READY_S)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _numbers(measured: dict[tuple[str, int], Measured]) -> list[dict[str, Any]]:
    return [
        {
            "server": name,
            "callers": callers,
            "qps": float(np.median(each.qps)),
            "p50_ms": each.quantile_ms(0.5),
            "p99_ms": each.quantile_ms(0.99),
        }
        for (name, callers), each in measured.items()
    ]


def _table(measured: dict[tuple[str, int], Measured], rows: int) -> Table:
    """Ratios are of Audotics to Triton: the median over the rounds, each compared with its neighbour."""
    table = Table(title=f"ModelInfer of NCF, {rows} rows a request, loopback")
    for column in ("callers", "server", "QPS", "p50 ms", "p99 ms", "QPS / Triton", "p50 / Triton"):
        table.add_column(column, justify="left" if column == "server" else "right")
    for (name, callers), each in sorted(measured.items(), key=lambda item: (item[0][1], item[0][0])):
        ratios = ["", ""]
        peer = measured.get(("Triton", callers))
        if peer is not None and name != "Triton":
            ratios = [
                f"{np.median(np.divide(each.qps, peer.qps)):.2f}",
                f"{each.quantile_ms(0.5) / peer.quantile_ms(0.5):.2f}",
            ]
        times = [f"{each.quantile_ms(0.5):.2f}", f"{each.quantile_ms(0.99):.2f}"]
        table.add_row(str(callers), name, f"{np.median(each.qps):,.0f}", *times, *ratios)
    return table


if __name__ == "__main__":
    main()
