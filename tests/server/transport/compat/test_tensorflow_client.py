"""TensorFlow Serving's official stubs against the server, and TensorFlow itself against the same graph.

One test for all of it: the client's process takes about ten seconds, nearly all of them to import TensorFlow.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CLIENT = Path(__file__).with_name("tensorflow_client.py")


@pytest.mark.timeout(400)  # a busy machine takes minutes to import TensorFlow
async def test_official_stubs_and_tensorflow_agree_with_the_server(
    start: Callable[..., Any],
    repository: Any,
    feeds: Callable[..., Any],
    write_classifier: Callable[[Path], Callable[[list[float]], Any]],
    tmp_path: Path,
) -> None:
    pytest.importorskip("tensorflow_serving.config", reason="needs the extra `tensorflow`")
    folder = tmp_path / "client"
    folder.mkdir()
    shutil.copy(repository.path / "ncf" / "1" / "model.onnx", folder / "ncf.onnx")
    np.savez(folder / "ncf.npz", **feeds("ncf", rows=5, seed=3))
    probabilities = write_classifier(repository.path)
    async with start(repository.path) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(CLIENT),
            server.app.address,
            str(folder),
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()[-3000:]
    found = json.loads(output)
    assert found["differing_fields"] == []
    np.testing.assert_allclose(found["predict"], found["tensorflow"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["regress"], found["tensorflow"], rtol=1e-5, atol=1e-6)
    assert (found["version"], found["labelled"], found["unknown_version"]) == (1, 1, "NOT_FOUND")
    assert found["inputs"] == {"history": "int64", "user_index": "int64", "track": "int64"}
    assert found["classes"] == pytest.approx(dict(zip(["chill", "happy"], probabilities([0.5, 0.25]), strict=True)))
    assert found["same_classes"]
    assert found["states"] == [[1, "AVAILABLE"]]
    assert found["reloaded"] == 0
