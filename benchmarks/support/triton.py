"""NVIDIA Triton as a peer: a virtual environment and an exported model go in, a running server comes out.

The wheel `nvidia-pytriton` carries Triton's own binary. Make the environment once, it is not part of the project:

    python3.11 -m venv FOLDER && FOLDER/bin/pip install nvidia-pytriton onnxruntime

The model runs ONNX Runtime with one thread, as Audotics does. Triton gives a Python model several requests at once only
when they share a first axis, which those of NCF do not.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sysconfig
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

_READY_S: Final = 60.0
_PLATFORM: Final = 'platform: "onnxruntime_onnx"'
_BACKEND: Final = 'backend: "python"\ninstance_group [ { kind: KIND_CPU } ]'
_MODEL: Final = """\
import os
import sys

sys.path.insert(0, {packages!r})

import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = os.path.join(args["model_repository"], args["model_version"], "model.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = [node.name for node in self.session.get_inputs()]
        self.outputs = [node.name for node in self.session.get_outputs()]

    def execute(self, requests):
        responses = []
        for request in requests:
            feeds = {{name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs}}
            names = [name for name in self.outputs if name in request.requested_output_names()]
            arrays = self.session.run(names, feeds)
            tensors = [pb_utils.Tensor(name, array) for name, array in zip(names, arrays)]
            responses.append(pb_utils.InferenceResponse(output_tensors=tensors))
        return responses
"""


@contextmanager
def triton_server(environment: Path, model: Path, *, folder: Path) -> Iterator[str]:
    """Serve a model's folder of an exported repository; yield the address for gRPC. `folder` takes a copy, and the log.

    The `config.pbtxt` of the export is used, with the one difference that the backend is Python. Raises RuntimeError
    with the end of the log when Triton does not get ready.
    """
    (packages,) = environment.glob("lib/python3.*/site-packages")
    version = packages.parent.name.removeprefix("python")
    backend = folder / "backends" / "python"
    shutil.copytree(packages / "pytriton" / "tritonserver" / "backends" / "python", backend)
    stubs = packages / "pytriton" / "tritonserver" / "python_backend_stubs"
    shutil.copy(stubs / version / "triton_python_backend_stub", backend)
    name = model.name
    _write_model(shutil.copytree(model, folder / "models" / name), packages)
    http, grpc, metrics = _free_ports(3)
    command = [
        str(packages / "pytriton" / "tritonserver" / "bin" / "tritonserver"),
        f"--model-repository={folder / 'models'}",
        f"--backend-directory={folder / 'backends'}",
        f"--grpc-port={grpc}",
        f"--http-port={http}",
        f"--metrics-port={metrics}",
        "--grpc-address=127.0.0.1",
        "--http-address=127.0.0.1",
    ]
    libraries = f"{packages / 'nvidia_pytriton.libs'}:{_python_libraries(environment)}"
    with ExitStack() as stack:
        log = stack.enter_context((folder / "triton.log").open("w+b"))
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"LD_LIBRARY_PATH": libraries, "OMP_NUM_THREADS": "1"}
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        deadline = time.monotonic() + _READY_S
        while not _ready(f"http://127.0.0.1:{http}/v2/models/{name}/ready"):
            if process.poll() is not None or time.monotonic() > deadline:
                text = (folder / "triton.log").read_text("utf-8", errors="replace")
                raise RuntimeError(f"Triton is not ready; the end of its log:\n{text[-2000:]}")
            time.sleep(0.1)
        yield f"127.0.0.1:{grpc}"


def _write_model(model: Path, packages: Path) -> None:
    config = (model / "config.pbtxt").read_text("utf-8")
    if _PLATFORM not in config:
        raise RuntimeError(f"{model}/config.pbtxt does not say {_PLATFORM}")
    (model / "config.pbtxt").write_text(config.replace(_PLATFORM, _BACKEND), "utf-8")
    for version in model.iterdir():
        if version.is_dir():
            (version / "model.py").write_text(_MODEL.format(packages=str(packages)), "utf-8")


def _python_libraries(environment: Path) -> str:
    """Where the environment's Python has its shared library."""
    program = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"
    command = [str(environment / "bin" / "python"), "-c", program]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return found or str(sysconfig.get_config_var("LIBDIR"))


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
