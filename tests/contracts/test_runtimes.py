"""One suite for everything that runs models: ONNX Runtime, TensorFlow, and other servers by two protocols."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audotics.bundle.runtime import RuntimeChoice
from audotics.bundle.store import BundleStore
from audotics.server.errors import DeadlineError, RefusedModelError
from audotics.server.repository.axes import found_axes
from audotics.server.repository.loader import Loader
from audotics.server.runtime.counted import CountedModel, RunCounts
from audotics.server.runtime.model import InferenceError, Model
from audotics.server.runtime.onnx import OnnxModel
from audotics.server.runtime.opening import RuntimeOpener
from audotics.server.runtime.saved_model import SavedModel
from audotics.server.services.joining import row_plan
from audotics.server.transport.remote.servers import RemoteServers
from tests.far_server import far_server
from tests.gpus import needs_cuda
from tests.mixed_model import INPUTS, OUTPUTS, mixed_feeds, mixed_outputs, write_mixed_model
from tests.small_repository import write_repository
from tests.typed_model import DTYPES, typed_feeds, write_typed_model


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> BundleStore:
    """The model as an ONNX file, with a catalogue, so that a server can serve it."""
    folder = tmp_path_factory.mktemp("far") / "repository"
    store = write_repository(folder, n_tracks=80, n_users=4, kinds=("catalog",)).store
    write_mixed_model(store)
    write_mixed_model(store, texts=False)
    write_typed_model(store)
    write_typed_model(store, texts=False)
    for name in ("mixed", "typed"):
        (store.root / name / "labels.json").write_text('{"stable": 1}')
    return store


@pytest.fixture(scope="module")
def address(store: BundleStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with far_server(store.root, tmp_path_factory.mktemp("state")) as address:
        yield address


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> BundleStore:
    pytest.importorskip("tensorflow", reason="needs the extra package tensorflow")
    store = BundleStore(tmp_path_factory.mktemp("saved"))
    write_mixed_model(store, saved_model=True)
    write_typed_model(store, saved_model=True)
    return store


RUNTIMES = (
    "onnx",
    "onnx bound",
    pytest.param("onnx cuda", marks=needs_cuda),
    "tensorflow",
    "v2",
    "v2 serving",
    "tensorflow_serving",
)


@contextmanager
def opened(runtime: str, name: str, request: pytest.FixtureRequest) -> Iterator[Model]:
    with ExitStack() as stack:
        if runtime.startswith("onnx"):
            version = 1 if runtime == "onnx" else 2
            path = request.getfixturevalue("store").open(name, version).file("model.onnx")
            device = "cuda" if runtime == "onnx cuda" else "cpu"
            yield OnnxModel(path, device=device, bound=True if runtime == "onnx bound" else None)
        elif runtime == "tensorflow":
            yield SavedModel(request.getfixturevalue("saved_model").open(name, 1).path)
        else:
            protocol, _, served = runtime.partition(" ")
            address = request.getfixturevalue("address")
            choice = RuntimeChoice(protocol, address=address, version=served or "same", timeout_s=20.0)
            servers = stack.enter_context(RemoteServers(max_message_bytes=2**24))
            yield servers.openers[protocol](name, 1, choice)


@pytest.fixture(params=RUNTIMES, scope="module")
def model(request: pytest.FixtureRequest) -> Iterator[Model]:
    with opened(request.param, "mixed", request) as model:
        yield model


@pytest.fixture(params=RUNTIMES, scope="module")
def typed(request: pytest.FixtureRequest) -> Iterator[Model]:
    """The model of every type and of unlike shapes."""
    with opened(request.param, "typed", request) as model:
        yield model


def fitting(model: Model, **change: Any) -> dict[str, Any]:
    """Feeds of three rows: texts cannot be bound, so the model that shows binding has none."""
    feeds = mixed_feeds() | change
    return {spec.name: feeds[spec.name] for spec in model.inputs}


def names(model: Model) -> list[str]:
    return sorted(spec.name for spec in model.outputs)


def check(model: Model, rows: int = 3) -> None:
    feeds = {name: mixed_feeds(rows)[name] for name in fitting(model)}
    for found, (name, truth) in zip(model.run(feeds, names(model)), mixed_outputs(feeds).items(), strict=True):
        assert found.dtype == truth.dtype, name
        assert found.shape == truth.shape, name
        assert found.tolist() == truth.tolist(), name


def test_it_says_what_goes_in_and_comes_out(model: Model) -> None:
    n = len(model.inputs)
    assert n == 3 or isinstance(model, OnnxModel)
    assert sorted(model.inputs, key=lambda spec: spec.name) == list(INPUTS[:n])
    assert sorted(model.outputs, key=lambda spec: spec.name) == list(OUTPUTS[:n])
    assert model.axes.keys() == {spec.name for spec in (*INPUTS[:n], *OUTPUTS[:n])}
    assert model.axes["half"][1] == 2
    assert model.platform in ("onnxruntime_onnx", "tensorflow_savedmodel")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_it_says_where_it_runs(runtime: str, request: pytest.FixtureRequest) -> None:
    with opened(runtime, "mixed", request) as model:
        expected = {"onnx cuda": "cuda:0", "v2": "", "v2 serving": "", "tensorflow_serving": ""}
        assert CountedModel(model, RunCounts()).device == model.device == expected.get(runtime, "cpu")


@pytest.mark.parametrize("rows", [1, 3, 4, 9, 33, 300])
def test_every_type_comes_back_as_it_should(model: Model, rows: int) -> None:
    check(model, rows)


def test_no_rows_are_no_rows(model: Model) -> None:
    check(model, 0)


def test_outputs_come_in_the_order_that_is_asked_for(model: Model) -> None:
    feeds = fitting(model)
    (found,) = model.run(feeds, ["looked_up"])
    assert found.tolist() == [100, 101, 102]
    found, doubled = model.run(feeds, ["looked_up", "doubled"])
    assert [found.dtype, doubled.dtype] == [np.dtype(np.int64), np.dtype(np.float16)]


@pytest.mark.parametrize(
    "change",
    [
        {"number": np.asarray([0, 1, 10**6])},
        {"number": np.asarray([0, 1, 2], np.int32)},
        {"half": np.zeros((3, 5), np.float16)},
        {"half": np.zeros((2, 2), np.float64)},
        {"half": np.zeros((3, 2), np.complex64)},
        {"half": np.zeros(3, np.float16)},
        {"half": np.zeros((), np.float16)},
        {"number": np.asarray(["a", "b", "c"])},
    ],
)
def test_bad_inputs_are_an_inference_error_without_internals(model: Model, change: dict[str, Any]) -> None:
    with pytest.raises(InferenceError) as failure:
        model.run(fitting(model, **change), names(model))
    assert str(failure.value).startswith("mixed/")
    assert "Traceback" not in str(failure.value)
    assert len(str(failure.value)) < 200
    check(model)


def test_a_missing_input_is_an_inference_error(model: Model) -> None:
    with pytest.raises(InferenceError):
        model.run({"half": mixed_feeds()["half"]}, names(model))


def test_inputs_and_outputs_of_no_known_name_are_an_inference_error(model: Model) -> None:
    feeds = fitting(model)
    with pytest.raises(InferenceError):
        model.run(feeds | {"nothing": np.zeros(3, np.float32)}, names(model))
    with pytest.raises(InferenceError):
        model.run(feeds, ["nothing"])
    check(model)


def typed_check(model: Model, rows: int, outputs: list[str]) -> None:
    """Whatever goes in comes out, to the bit, as an array of the same type and shape."""
    feeds = {spec.name: typed_feeds(rows)[spec.name] for spec in model.inputs}
    for name, found in zip(outputs, model.run(feeds, outputs), strict=True):
        truth = feeds[name.removeprefix("same_")]
        assert type(found) is np.ndarray, name
        assert (found.dtype, found.shape) == (truth.dtype, truth.shape), name
        assert found.flags.writeable, name
        same = found.tolist() == truth.tolist() if truth.dtype.hasobject else found.tobytes() == truth.tobytes()
        assert same, name


@pytest.mark.parametrize("rows", [3, 1, 0])
def test_every_type_and_shape_comes_back_to_the_bit(typed: Model, rows: int) -> None:
    typed_check(typed, rows, names(typed))


def test_specs_tell_types_and_shapes(typed: Model) -> None:
    inputs = {spec.name: (spec.dtype, spec.shape) for spec in typed.inputs}
    assert {f"of_{dtype}": (dtype, (-1, 2)) for dtype in DTYPES}.items() <= inputs.items()
    assert inputs["alone"] == ("float32", ())
    assert inputs["cube"] == ("float32", (-1, -1, -1))
    assert inputs["fixed"] == ("float32", (2, 3))
    assert {spec.name.removeprefix("same_"): (spec.dtype, spec.shape) for spec in typed.outputs} == inputs
    assert typed.axes["alone"] == ()
    assert typed.axes["same_fixed"] == (2, 3)


def test_outputs_may_be_asked_for_in_any_order_and_alone(typed: Model) -> None:
    found = names(typed)
    typed_check(typed, 2, found[::-1])
    typed_check(typed, 2, found[3:4])
    typed_check(typed, 2, ["same_fixed", "same_alone"])


def test_a_shape_that_is_fixed_stays_so(typed: Model) -> None:
    feeds = {spec.name: typed_feeds()[spec.name] for spec in typed.inputs}
    with pytest.raises(InferenceError):
        typed.run(feeds | {"fixed": np.zeros((3, 2), np.float32)}, ["same_fixed"])
    with pytest.raises(InferenceError):
        typed.run(feeds | {"cube": np.zeros((3, 2), np.float32)}, ["same_cube"])
    typed_check(typed, 2, names(typed))


def test_nothing_runs_after_the_deadline(model: Model) -> None:
    with pytest.raises(DeadlineError):
        model.run(fitting(model), names(model), deadline=time.monotonic() - 1)
    model.run(fitting(model), names(model), deadline=time.monotonic() + 60)


def test_several_threads_each_get_their_own(model: Model) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda rows: check(model, rows), range(1, 41)))


def test_results_are_the_callers_own(model: Model) -> None:
    feeds = fitting(model)
    for _ in range(2):
        doubled, looked_up = model.run(feeds, ["doubled", "looked_up"])
        assert looked_up.tolist() == [100, 101, 102]
        doubled[:] = looked_up[:] = 0


def test_results_outlive_the_model(store: BundleStore) -> None:
    model = OnnxModel(store.open("mixed", 2).file("model.onnx"), bound=True)
    (found,) = model.run(fitting(model), ["looked_up"])
    del model
    gc.collect()
    assert found.tolist() == [100, 101, 102]


def test_a_saved_model_is_loaded_from_its_bundle(saved_model: BundleStore) -> None:
    """By the server's setting or by its own file, and without an ONNX file."""
    store = saved_model
    for default in (RuntimeChoice("tensorflow"), RuntimeChoice()):
        loader = Loader(store, runtimes=RuntimeOpener(default=default))
        loaded = loader.model("mixed", 1)
        assert loaded.model.platform == "tensorflow_savedmodel"
        assert loaded.size_bytes > store.open("mixed", 1).file("saved_model.pb").stat().st_size
        check(loaded.model)
        (store.root / "mixed" / "runtime.json").write_text('{"runtime": "tensorflow"}')


def test_a_saved_model_that_reaches_for_files_is_refused(saved_model: BundleStore, tmp_path: Path) -> None:
    import tensorflow as tf

    class Curious(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])  # type: ignore[untyped-decorator]
        def serve(self, text: Any) -> dict[str, Any]:
            return {"found": tf.map_fn(tf.io.read_file, text)}

    model = Curious()
    folder = tmp_path / "curious" / "1"
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.serve})
    with pytest.raises(RefusedModelError, match=r"^curious/1: .* operator 'ReadFile', which reaches for what is not"):
        SavedModel(folder)
    with pytest.raises(RefusedModelError, match=r"^nothing/1: TensorFlow does not take its SavedModel"):
        SavedModel(tmp_path / "nothing" / "1")


def test_of_several_signatures_the_default_serves(saved_model: BundleStore, tmp_path: Path) -> None:
    import tensorflow as tf

    class Two(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])  # type: ignore[untyped-decorator]
        def double(self, x: Any) -> dict[str, Any]:
            return {"y": 2 * x}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "z")])  # type: ignore[untyped-decorator]
        def half(self, z: Any) -> dict[str, Any]:
            return {"w": z / 2}

    model = Two()
    tf.saved_model.save(model, str(tmp_path / "two" / "1"), {"half": model.half, "serving_default": model.double})
    found = SavedModel(tmp_path / "two" / "1")
    assert [spec.name for spec in (*found.inputs, *found.outputs)] == ["x", "y"]
    assert found.run({"x": np.ones(3, np.float32)}, ["y"])[0].tolist() == [2, 2, 2]
    with pytest.raises(InferenceError):
        found.run({"z": np.ones(3, np.float32)}, ["w"])
    tf.saved_model.save(model, str(tmp_path / "two" / "2"), {"half": model.half})
    with pytest.raises(RefusedModelError, match=r"^two/2: .*has no signature 'serving_default'"):
        SavedModel(tmp_path / "two" / "2")


def test_texts_which_cannot_be_bound_are_run_all_the_same(store: BundleStore) -> None:
    model = OnnxModel(store.open("mixed", 1).file("model.onnx"), bound=True)
    assert "object" in {spec.dtype for spec in model.inputs}
    check(model)


def test_only_models_of_other_servers_wait(model: Model) -> None:
    assert model.waits is not isinstance(model, OnnxModel | SavedModel)


def test_only_runs_of_tensorflow_in_this_process_cannot_be_ended(model: Model) -> None:
    assert model.ends is not isinstance(model, SavedModel)


def test_counting_changes_nothing_that_a_model_says_of_itself(model: Model) -> None:
    counted = CountedModel(model, RunCounts())
    for said in ("inputs", "outputs", "axes", "platform", "waits", "ends"):
        assert getattr(counted, said) == getattr(model, said)


def test_rows_of_several_requests_run_in_one_call(model: Model) -> None:
    """Where the runtime has no names for axes, they are found by trying."""

    def feeds_of(rows: int) -> dict[str, Any]:
        return {name: mixed_feeds(rows)[name] for name in fitting(model)}

    named = CountedModel(model, RunCounts())
    named = named.with_axes(found_axes(named, feeds_of(3)))
    plan = row_plan(named)
    assert plan is not None
    requests = [feeds_of(rows) for rows in (3, 1, 4)]
    joined = dict(zip(names(named), named.run(plan.join(requests), names(named)), strict=True))
    for feeds, found in zip(requests, plan.part(requests, names(named), joined), strict=True):
        assert [array.tolist() for array in found] == [truth.tolist() for truth in mixed_outputs(feeds).values()]
