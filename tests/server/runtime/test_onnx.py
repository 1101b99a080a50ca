"""A loaded ONNX model: what it says of itself, what it computes, and how it refuses."""

from __future__ import annotations

import logging
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from audotics.bundle.manifest import TensorSpec
from audotics.bundle.runtime import RuntimeChoice
from audotics.server.errors import DeadlineError, RefusedModelError
from audotics.server.repository.axes import found_axes
from audotics.server.runtime.counted import CountedModel, RunCounts
from audotics.server.runtime.model import InferenceError
from audotics.server.runtime.onnx import OnnxModel
from audotics.server.runtime.opening import RuntimeOpener
from audotics.server.runtime.supervisor import RunSupervisor
from audotics.server.runtime.threads import limit_blas_threads
from tests.gpus import ONNX_TROUBLE, without_cuda


@pytest.fixture
def ncf(repository):
    return OnnxModel(repository.store.open("ncf", 1).file("model.onnx"))


def feeds(track: list[int]) -> dict[str, np.ndarray]:
    return {
        "history": np.asarray([[0, 4, -1]], np.int64),
        "user_index": np.zeros(len(track), np.int64),
        "track": np.asarray(track, np.int64),
    }


def test_inputs_and_outputs_are_those_of_the_file(ncf):
    assert ncf.inputs == (
        TensorSpec("history", "int64", (-1, -1)),
        TensorSpec("user_index", "int64", (-1,)),
        TensorSpec("track", "int64", (-1,)),
    )
    assert ncf.outputs == (TensorSpec("logit", "float32", (-1,)),)


def test_a_run_returns_the_named_outputs(ncf):
    (logits,) = ncf.run(feeds([8, 1]), ["logit"])
    assert logits.dtype == np.float32
    assert logits[0] > logits[1]  # tracks 0, 4 and 8 are of one taste, 1 is of another


@pytest.mark.parametrize("wrong", [feeds([100_000]), {}, {**feeds([1]), "track": np.asarray([1.0])}])
def test_bad_inputs_are_an_inference_error_without_internals(repository, capfd, wrong):
    with RunSupervisor(limit_s=3600) as supervisor:
        for supervised in (None, supervisor):
            ncf = OnnxModel(repository.store.open("ncf", 1).file("model.onnx"), supervisor=supervised)
            with pytest.raises(InferenceError) as failure:
                ncf.run(wrong, ["logit"])
            assert str(failure.value).startswith("ncf/1: the model failed on its inputs")
    assert capfd.readouterr().err == ""  # ONNX Runtime has nothing to add that callers are not told


THREADS = """
import os, sys
from pathlib import Path

from audotics.bundle.runtime import RuntimeChoice
from audotics.bundle.store import BundleStore
from audotics.server.runtime.opening import RuntimeOpener


def count():
    return len(os.listdir("/proc/self/task"))


bundle = BundleStore(Path(sys.argv[1])).open("ncf", 1)
for threads in (1, 3):
    before = count()
    model = RuntimeOpener(threads=threads).open(bundle, RuntimeChoice())
    print(count() - before)
    del model
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_model_has_the_threads_that_it_was_given(repository):
    """The caller's own is one of them."""
    command = [sys.executable, "-c", THREADS, str(repository.path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.split() == ["0", "2"]


def test_a_file_that_is_no_model_is_refused_by_name(tmp_path):
    path = tmp_path / "ncf" / "3" / "model.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a model")
    with pytest.raises(RefusedModelError, match=r"^ncf/3: .*model\.onnx.*export it again") as refusal:
        OnnxModel(path)
    assert str(tmp_path) not in str(refusal.value)


def test_blas_threads_are_limited_unless_the_user_said_otherwise():
    environment = {"OMP_NUM_THREADS": "8"}
    limit_blas_threads(environment)
    assert environment == {"OMP_NUM_THREADS": "8", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@without_cuda
def test_a_device_that_is_not_there_is_said_and_counted(repository, caplog):
    bundle = repository.store.open("ncf", 1)
    opener = RuntimeOpener()
    opener.open(bundle, RuntimeChoice())
    assert opener.runs.of("ncf", 1).fallbacks == 0
    with caplog.at_level(logging.WARNING):
        model = opener.open(bundle, RuntimeChoice(device="cuda"))
        opener.open(bundle, RuntimeChoice(device="auto"))  # asks for none that is not there
    assert [record.getMessage() for record in caplog.records] == [f"ncf/1 runs on the CPU: {ONNX_TROUBLE}"]
    assert opener.runs.of("ncf", 1).fallbacks == 1
    assert len(model.run(feeds([1]), ["logit"])[0]) == 1
    everywhere = RuntimeOpener(device="cuda")
    everywhere.open(bundle, RuntimeChoice())
    everywhere.open(bundle, RuntimeChoice(device="cpu"))
    assert everywhere.runs.of("ncf", 1).fallbacks == 1


def test_rows_that_depend_on_each_other_are_not_rounded_up(tmp_path):
    """A softmax over the rows would count those that were added."""
    rows = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows"]) for name in ("x", "share")]
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], ["share"], axis=0)], "shares", rows[:1], rows[1:])
    path = tmp_path / "shares" / "1" / "model.onnx"
    path.parent.mkdir(parents=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    feeds = {"x": np.asarray([1.0, 2.0, 3.0], np.float32)}
    truth = np.exp(feeds["x"]) / np.exp(feeds["x"]).sum()

    model = OnnxModel(path, bound=True)
    assert model.run(feeds, ["share"])[0].sum() < 0.9
    axes, counted = found_axes(model, feeds), CountedModel(model, RunCounts()).with_axes
    for right in (model.with_axes(axes), counted(axes), OnnxModel(path, bound=True, rounded=False)):
        np.testing.assert_allclose(right.run(feeds, ["share"])[0], truth, rtol=1e-5)
    assert model.with_axes(axes).axes == counted(axes).axes == axes
    assert model.axes != axes


def test_an_input_with_a_default_need_not_be_given(tmp_path):
    x, bias, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows"]) for name in ("x", "bias", "y"))
    default = helper.make_tensor("bias", TensorProto.FLOAT, [1], [5.0])
    graph = helper.make_graph([helper.make_node("Add", ["x", "bias"], ["y"])], "biased", [x, bias], [y], [default])
    path = tmp_path / "biased" / "1" / "model.onnx"
    path.parent.mkdir(parents=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    for bound in (False, True):
        model = OnnxModel(path, bound=bound)
        assert [spec.name for spec in model.inputs] == ["x"]
        assert model.run({"x": np.asarray([1.0, 2.0], np.float32)}, ["y"])[0].tolist() == [6, 7]


def test_runs_are_counted_whether_they_give_something_or_not(repository):
    opener = RuntimeOpener()
    model = opener.open(repository.store.open("ncf", 1), RuntimeChoice())
    counts = opener.runs.of("ncf", 1)
    model.run(feeds([1]), ["logit"])
    of_one = counts.seconds
    assert of_one > 0
    with pytest.raises(InferenceError):
        model.run(feeds([100_000]), ["logit"])
    of_both = counts.seconds
    assert of_both > of_one
    with pytest.raises(DeadlineError):
        model.run(feeds([1]), ["logit"], deadline=time.monotonic() - 1)
    assert (counts.runs, counts.failures) == (1, 1)
    assert counts.seconds == of_both
    again = opener.open(repository.store.open("ncf", 1), RuntimeChoice())
    again.run(feeds([1]), ["logit"])
    assert [(name, version, each.runs) for name, version, each in opener.runs] == [("ncf", 1, 2)]
