"""A repository on a disk that is full: labels and exports fail with one message, and what serves goes on serving.

A limit on the size of files stands for the full disk, in a process of its own: it cannot be lifted again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from audotics.bundle.store import BundleStore

LIMITED = """
import asyncio, json, resource, signal, sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
import numpy as np
from audotics.bundle.store import BundleStore
from audotics.server.errors import RefusedModelError
from audotics.server.repository.registry import Registry

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = BundleStore(Path(sys.argv[1]))
report = {}


def serving(registry):
    return dict(registry.snapshot.model_versions)["hybrid"]


def export():
    bundle = store.open("content", 1)
    with store.write(replace(bundle.manifest, version=2)) as folder:
        (folder / "model.onnx").write_bytes((bundle.path / "model.onnx").read_bytes())


async def main():
    with ThreadPoolExecutor(1) as executor:
        async with Registry(store, executor=executor) as registry:
            await registry.start()
            await registry.load_version("hybrid", 2)
            before = registry.snapshot
            resource.setrlimit(resource.RLIMIT_FSIZE, (8, 8))
            try:
                await registry.set_label("ncf", "canary", 1)
            except RefusedModelError as error:
                report["label"] = str(error)
            try:
                export()
            except OSError as error:
                report["export"] = type(error).__name__
            await registry.follow()
            report["same"] = registry.snapshot is before
            report["before"] = serving(registry)
            await registry.rollback("hybrid")
            report["after"] = serving(registry)
            content = registry.snapshot.content
            report["answers"] = len(content.nearest(content.vectors(np.asarray([3])), 5)[1][0])


asyncio.run(main())
print(json.dumps(report))
"""


def test_what_serves_goes_on_and_nothing_half_written_stays(repository, make_repository) -> None:
    make_repository(repository.path, kinds=("ncf", "hybrid"))
    # The second hybrid goes with the same catalogue and parts but for ncf.
    path = repository.path / "hybrid" / "2" / "bundle.json"
    manifest = json.loads(path.read_text())
    manifest["parts"] = {"collaborative": 1, "content": 1, "ncf": 2}
    path.write_text(json.dumps(manifest))
    labels = repository.path / "ncf" / "labels.json"
    labels.write_text('{"stable": 1}')

    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(repository.path)], capture_output=True, text=True, timeout=100
    )

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["label"].startswith("ncf: labels.json cannot be written (OSError); check the repository's rights and")
    assert report["export"] == "OSError"
    assert report["same"]
    assert (report["before"], report["after"]) == (2, 1)  # service comes first: the label is not needed for that
    assert "hybrid was rolled back, but a restart will not know" in done.stderr
    assert report["answers"] == 5
    assert labels.read_text() == '{"stable": 1}'
    store = BundleStore(repository.path)
    assert store.versions("content") == [1]
    assert store.labels("hybrid") == {}
    left = [path.name for path in Path(repository.path).rglob("*") if "partial" in path.name or "staging" in path.name]
    assert left == []
