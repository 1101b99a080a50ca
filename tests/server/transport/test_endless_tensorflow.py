"""A model in TensorFlow that loops for ever on some input: nothing can end it, and all else goes on."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import pytest

from audotics.v1 import recommender_service_pb2 as pb2
from audotics.v1 import recommender_service_pb2_grpc

UNLUCKY = 150
"""The row of a track that NCF never finishes with. None of the recorded inputs has it."""


def hang_in_tensorflow(bundle: Path) -> None:
    """Give a version of NCF a SavedModel that is the same but for one track."""
    tf = pytest.importorskip("tensorflow", reason="needs the extra `tensorflow`")
    from audotics.exporters.tensorflow_graph import convert

    convert(bundle / "model.onnx", bundle / "plain")
    plain = tf.saved_model.load(str(bundle / "plain"))
    shapes = {"history": [None, None], "user_index": [None], "track": [None]}

    class Unlucky(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.plain = plain

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.int64, name) for name, shape in shapes.items()])  # type: ignore[untyped-decorator]
        def serve(self, history: Any, user_index: Any, track: Any) -> dict[str, Any]:
            hangs = tf.reduce_any(tf.equal(track, UNLUCKY))
            (rounds,) = tf.while_loop(lambda n: hangs & (n >= 0), lambda n: (n % 1000 + 1,), (tf.constant(1),))
            logit = self.plain.signatures["serving_default"](history=history, user_index=user_index, track=track)[
                "logit"
            ]
            return {"logit": logit + 0.0 * tf.cast(rounds, tf.float32)}

    model = Unlucky()
    tf.saved_model.save(model, str(bundle), signatures={"serving_default": model.serve})
    shutil.rmtree(bundle / "plain")


@pytest.fixture
def hanging(repository: Any, sign_again: Callable[..., None], tmp_path: Path) -> Any:
    bundle = repository.path / "ncf" / "1"
    hang_in_tensorflow(bundle)
    sign_again(bundle)
    (repository.path / "ncf" / "runtime.json").write_text('{"runtime": "tensorflow"}')
    return repository


async def test_lists_go_on_without_it_and_the_server_stops_at_the_first_signal(hanging: Any, tmp_path: Path) -> None:
    """More lists come to it than there are threads.

    In a process of its own: what is left behind keeps its processors busy.
    """
    command = (sys.executable, "-m", "audotics.cli.main", "serve", "--repository", str(hanging.path))
    options = ("--port", "0", "--http-port", "0", "--state-dir", str(tmp_path / "state"), "--threads", "1")
    environment = os.environ | {"AUDOTICS_RUN_LIMIT_S": "2", "AUDOTICS_DRAIN_S": "1", "AUDOTICS_PROBATION_S": "0"}
    process = await asyncio.create_subprocess_exec(
        *command, *options, env=environment, stdout=subprocess.PIPE, cwd=tmp_path
    )
    assert process.stdout is not None
    try:
        said = (await process.stdout.readuntil(b"http://") + await process.stdout.readline()).decode()
        address, http = re.findall(r"127\.0\.0\.1:\d+", said)
        left_out = []
        async with grpc.aio.insecure_channel(address) as channel:
            stub = recommender_service_pb2_grpc.RecommenderServiceStub(channel)
            for user in ("u00", "u01"):
                # All tracks are candidates, so the unlucky one is among them.
                request = pb2.RecommendRequest(subject=pb2.Subject(user_id=user), limit=500)
                answer = await stub.Recommend(request, timeout=60.0)
                assert answer.tracks
                left_out += [part.detail for part in answer.degraded if part.part == "ncf"]
        assert ["did not finish in time" in detail for detail in left_out] == [True, True]
        metrics = await asyncio.to_thread(urlopen, f"http://{http}/metrics")
        assert b'audotics_model_runs_left{model="ncf",version="1"} 2.0' in metrics.read()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
