"""The base install: the wheel alone, in fresh environments, under each major version of protobuf it promises."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = ("server", "exporters", "clients", "models")
UV = Path(sys.executable).parent / "uv"

A_CALL = """
import importlib, importlib.util, json, pkgutil
from concurrent.futures import ThreadPoolExecutor
import google.protobuf, grpc
import audotics.v1
from audotics.client import RecommenderClient

stubs = sorted(module.name for module in pkgutil.iter_modules(audotics.v1.__path__))
for stub in stubs:
    importlib.import_module(f"audotics.v1.{stub}")
from audotics.v1 import recommender_service_pb2, recommender_service_pb2_grpc

class Servicer(recommender_service_pb2_grpc.RecommenderServiceServicer):
    def Recommend(self, request, context):
        track = recommender_service_pb2.RecommendedTrack(track_id=request.subject.user_id, score=0.5)
        return recommender_service_pb2.RecommendResponse(tracks=[track])

server = grpc.server(ThreadPoolExecutor())
recommender_service_pb2_grpc.add_RecommenderServiceServicer_to_server(Servicer(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with RecommenderClient(f"127.0.0.1:{port}") as client:
    (track,) = client.recommend("u1").tracks
server.stop(None).wait()
print(json.dumps({
    "protobuf": google.protobuf.__version__,
    "stubs": stubs,
    "answer": [track.track_id, track.score],
    "numpy": importlib.util.find_spec("numpy") is not None,
}))
"""


def uv(*arguments: str | Path) -> str:
    """Run uv and return its stdout. Skips the test where the package index cannot be reached."""
    if not UV.exists():
        pytest.skip("uv is not installed beside Python: no wheel to test")
    done = subprocess.run([UV, *arguments], cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode and any(sign in done.stderr for sign in ("Failed to fetch", "network was disabled")):
        pytest.skip(f"the package index cannot be reached: {' '.join(done.stderr.split())}")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--quiet", "--out-dir", folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.parametrize("major", [6, 7])
def test_the_wheel_alone_makes_a_call(wheel, tmp_path, major):
    python = tmp_path / "venv" / "bin" / "python"
    uv("venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    uv("pip", "install", "--quiet", "--python", python, wheel, f"protobuf>={major},<{major + 1}")

    called = subprocess.run([python, "-I", "-W", "error", "-c", A_CALL], cwd=tmp_path, capture_output=True, text=True)

    assert called.returncode == 0, called.stderr
    report = json.loads(called.stdout)
    assert report["protobuf"].startswith(f"{major}.")
    assert report["answer"] == ["u1", 0.5]
    assert not report["numpy"]
    assert report["stubs"] == sorted(path.stem for path in (REPOSITORY / "clients/audotics/v1").glob("*_pb2*.py"))
    installed = {package["name"] for package in json.loads(uv("pip", "list", "--python", python, "--format", "json"))}
    assert installed - {"typing-extensions"} == {"audotics", "googleapis-common-protos", "grpcio", "protobuf"}


def test_the_command_line_names_the_extra_it_needs(wheel, tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    uv("venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    uv("pip", "install", "--quiet", "--python", python, wheel)

    called = subprocess.run([python.parent / "audotics", "--help"], cwd=tmp_path, capture_output=True, text=True)

    assert called.returncode == 1
    assert called.stderr == (
        "error: this command needs typer, which is not installed: pip install 'audotics[server,cpu]'\n"
    )


def test_the_wheel_leaves_the_namespace_open(wheel):
    files = zipfile.ZipFile(wheel).namelist()

    assert "audotics/client/__init__.py" in files
    assert "audotics/client/py.typed" in files
    assert "audotics/__init__.py" not in files


def test_the_sources_leave_the_namespace_open():
    """One `audotics/__init__.py` would hide every other root of the namespace."""
    roots = [REPOSITORY / root / "audotics" for root in SOURCE_ROOTS]

    assert all(root.is_dir() for root in roots)
    assert [root for root in roots if (root / "__init__.py").exists()] == []
