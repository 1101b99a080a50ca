"""NVIDIA Triton itself on an exported NCF, beside this server on the same repository.

AUDOTICS_TRITON names a virtual environment with `nvidia-pytriton` and `onnxruntime`; `benchmarks/support/triton.py`
says how it is made. It is large and its pins are not ours, so the test is left out where there is none.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audotics.bundle.manifest import TensorSpec
from audotics.bundle.store import BundleStore
from benchmarks.support.triton import triton_server

ENVIRONMENT = os.environ.get("AUDOTICS_TRITON")


@pytest.mark.skipif(not ENVIRONMENT, reason="AUDOTICS_TRITON names no environment with nvidia-pytriton")
async def test_triton_reads_the_exported_configuration_and_answers_as_we_do(
    start: Callable[..., Any], repository: Any, tmp_path: Path
) -> None:
    aioclient = pytest.importorskip("tritonclient.grpc.aio")
    export_ncf(repository.path, n_tracks=len(repository.tracks))
    random = np.random.default_rng(5)
    arrays = {
        "history": random.integers(-1, 200, (2, 9)),
        "user_index": random.integers(0, 2, 40),
        "track": random.integers(0, 200, 40),
    }
    inputs = []
    for name, array in arrays.items():
        inputs.append(aioclient.InferInput(name, array.shape, "INT64"))
        inputs[-1].set_data_from_numpy(array)
    with ExitStack() as stack:
        serving = triton_server(Path(str(ENVIRONMENT)), repository.path / "ncf", folder=tmp_path / "triton")
        address = await asyncio.to_thread(stack.enter_context, serving)
        async with (
            start(repository.path) as server,
            aioclient.InferenceServerClient(address) as triton,
            aioclient.InferenceServerClient(server.app.address) as ours,
        ):
            for version in ("1", "2"):
                answers = [await each.infer("ncf", inputs, model_version=version) for each in (triton, ours)]
                for name in [output.name for output in answers[0].get_response().outputs]:
                    np.testing.assert_allclose(
                        answers[1].as_numpy(name), answers[0].as_numpy(name), rtol=1e-4, atol=1e-5
                    )
            theirs, own = [await each.get_model_metadata("ncf", as_json=True) for each in (triton, ours)]
            assert {item["name"]: item for item in own["inputs"]} == {item["name"]: item for item in theirs["inputs"]}
            assert own["versions"] == theirs["versions"]
            theirs, own = [await each.get_model_config("ncf", as_json=True) for each in (triton, ours)]
            assert own["config"]["input"] == [
                {key: item[key] for key in ("name", "data_type", "dims")} for item in theirs["config"]["input"]
            ]


def export_ncf(root: Path, *, n_tracks: int) -> None:
    """Publish the graph that the exporter writes as version 2, and what Triton reads of it."""
    from audotics.exporters.graphs.ncf import ncf_graph
    from audotics.exporters.triton import write_config
    from audotics.models.ncf import Ncf

    store = BundleStore(root)
    first = store.open("ncf", 1)
    logit = (TensorSpec("logit", "float32", (-1,)),)
    manifest = replace(first.manifest, version=2, outputs=logit, files={})
    with store.write(manifest) as folder:
        for name in ("warmup.npz", "ids.arrow"):
            shutil.copy(first.path / name, folder / name)
        ncf_graph(Ncf(n_tracks, 16).eval()).save(folder / "model.onnx")
    write_config(root, manifest)
