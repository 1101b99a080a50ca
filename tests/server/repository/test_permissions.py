"""Rights that are taken away while a server runs: what it has serves on, and the rest of the repository is followed.

In a process of its own, without the capabilities that let root read everything.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys

import pytest

SERVER = """
import asyncio, json, logging, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from audotics.bundle.store import BundleStore
from audotics.server.errors import AudoticsError
from audotics.server.repository.registry import Registry
from audotics.server.transport.codec.models import encode_models

logging.disable(logging.CRITICAL)
root, beside = Path(sys.argv[1]), Path(sys.argv[2])
report = {}


async def failure_of(change):
    try:
        await change
    except AudoticsError as error:
        return str(error)
    return ""


async def main():
    with ThreadPoolExecutor(1) as executor:
        async with Registry(BundleStore(root), executor=executor) as registry:
            await registry.start()

            def serving():
                return dict(registry.snapshot.model_versions)

            (root / "ncf").chmod(0)
            (beside / "content").rename(root / "content" / "2")
            (root / "hybrid" / "labels.json").write_text('{"canary": 1}')
            await registry.follow()
            report["with a closed model"] = serving()
            report["labels"] = dict((await registry.model("hybrid")).labels)
            report["loaded"] = registry.loaded("content", version=2).version
            report["listed"] = sorted(model.name for model in encode_models((await registry.models())).models)
            report["load"] = await failure_of(registry.load_version("ncf", 2))
            report["label"] = await failure_of(registry.set_label("ncf", "canary", 1))
            root.chmod(0)
            try:
                await registry.follow()
            except OSError as error:  # which the watcher says, and looks again
                report["follow"] = type(error).__name__
            report["with a closed repository"] = serving()
            report["listed then"] = sorted(model.name for model in encode_models((await registry.models())).models)
            root.chmod(0o755)
            (root / "ncf").chmod(0o755)
            (beside / "ncf").rename(root / "ncf" / "2")
            (root / "ncf" / "2" / "model.onnx").chmod(0)
            report["closed file"] = await failure_of(registry.load_version("ncf", 2))
            (root / "ncf" / "2" / "model.onnx").chmod(0o644)
            await registry.follow()
            report["opened again"] = registry.loaded("ncf", version=2).version


asyncio.run(main())
print(json.dumps(report))
"""

_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2


def like_anybody() -> None:
    libc = ctypes.CDLL(None)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails for anybody but root, who needs it


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_what_may_not_be_read_hides_nothing_else(repository, make_repository) -> None:
    beside = repository.path.parent / "beside"
    beside.mkdir()
    make_repository(repository.path, kinds=("catalog", "content", "ncf"))
    (repository.path / "catalog" / "2").rename(beside / "catalog")
    for name in ("content", "ncf"):
        (repository.path / name / "2").rename(beside / name)
    result = subprocess.run(
        [sys.executable, "-c", SERVER, str(repository.path), str(beside)],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=like_anybody,
    )
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    first = {"collaborative": 1, "content": 1, "hybrid": 1, "ncf": 1}
    assert report["with a closed model"] == first  # the new content waits for a hybrid
    assert report["loaded"] == 2
    assert report["labels"] == {"canary": 1}
    assert report["listed"] == ["catalog", "collaborative", "content", "hybrid", "ncf"]
    assert "ncf/2" in report["load"]
    assert "ncf: labels.json cannot be " in report["label"]
    assert report["follow"] == "PermissionError"
    assert report["with a closed repository"] == first
    assert report["listed then"] == ["catalog", "collaborative", "content", "hybrid", "ncf"]
    assert "ncf/2: its files cannot be read (PermissionError)" in report["closed file"]
    assert report["opened again"] == 2
