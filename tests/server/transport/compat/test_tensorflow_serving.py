"""TensorFlow Serving's API over loopback, with our own stubs; `test_tensorflow_client.py` has the official ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import json_format
from numpy.typing import NDArray

from audotics.server.transport.compat.stubs import tensorflow_serving_pb2 as pb
from audotics.server.transport.compat.tfs.tensors import DATA_TYPES, decode_tensor, encode_tensor
from audotics.v1 import model_service_pb2 as model_pb

Feeds = dict[str, NDArray[Any]]
Start = Callable[..., AbstractAsyncContextManager[Any]]
MODELS = ("collaborative", "content", "ncf", "hybrid")


async def call(server: Any, method: str, request: Any, *, service: str = "PredictionService") -> Any:
    answer = pb.POOL.service(f"tensorflow.serving.{service}").methods_by_name[method].output_type
    data = await server.channel.unary_unary(f"/tensorflow.serving.{service}/{method}")(request.SerializeToString())
    return pb.POOL.message(answer.full_name).FromString(data)


async def refused(server: Any, method: str, request: Any, *, service: str = "PredictionService") -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(server, method, request, service=service)
    return caught.value.code().name, caught.value.details() or ""


def predict(model: str, feeds: Feeds, **spec: Any) -> Any:
    tensors = {name: encode_tensor(array) for name, array in feeds.items()}
    return pb.PredictRequest(model_spec=pb.ModelSpec(name=model, **spec), inputs=tensors)


def examples(*rows: dict[str, Any]) -> Any:
    found = pb.Input()
    for row in rows:
        features = found.example_list.examples.add().features.feature
        for name, values in row.items():
            if isinstance(values[0], float):
                features[name].float_list.value.extend(values)
            else:
                features[name].int64_list.value.extend(values)
    return found


@pytest.mark.parametrize("dtype", sorted(set(DATA_TYPES) - {"object"}))
def test_arrays_come_back_from_either_encoding(dtype: str) -> None:
    array = np.asarray([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    tensor = encode_tensor(array)
    assert decode_tensor(tensor, "x").dtype == array.dtype
    np.testing.assert_array_equal(decode_tensor(tensor, "x"), array)
    packed = pb.TensorProto(dtype=tensor.dtype, tensor_shape=tensor.tensor_shape, tensor_content=array.tobytes())
    np.testing.assert_array_equal(decode_tensor(packed, "x"), array)


def test_texts_come_back() -> None:
    array = np.asarray(["a", "ü"], object)
    np.testing.assert_array_equal(decode_tensor(encode_tensor(array), "x"), array)


@pytest.mark.parametrize("model", MODELS)
async def test_predict_answers_as_the_file_does(
    model: str, server: Any, feeds: Callable[..., Feeds], expected: Callable[[str, Feeds], Feeds]
) -> None:
    given = feeds(model)
    answer = await call(server, "Predict", predict(model, given, signature_name="serving_default"))
    truth = expected(model, given)
    assert set(answer.outputs) == set(truth)
    for name, array in truth.items():
        np.testing.assert_allclose(decode_tensor(answer.outputs[name], name), array, rtol=1e-5, atol=1e-6)
    assert (answer.model_spec.name, answer.model_spec.version.value) == (model, 1)
    assert answer.model_spec.signature_name == "serving_default"


async def test_output_filter_leaves_the_rest_out(server: Any, feeds: Callable[..., Feeds]) -> None:
    request = predict("hybrid", feeds("hybrid"))
    request.output_filter.append("confidence")
    assert set((await call(server, "Predict", request)).outputs) == {"confidence"}


async def test_one_element_may_stand_for_all(
    server: Any, feeds: Callable[..., Feeds], expected: Callable[[str, Feeds], Feeds]
) -> None:
    given = feeds("hybrid") | {"available": np.ones((3, 6), np.float32)}
    request = predict("hybrid", given)
    request.inputs["available"].float_val[:] = [1.0]
    answer = await call(server, "Predict", request)
    truth = expected("hybrid", given)["score"]
    np.testing.assert_allclose(decode_tensor(answer.outputs["score"], "score"), truth, rtol=1e-5)


async def test_a_version_and_a_label_are_chosen(server: Any, feeds: Callable[..., Feeds]) -> None:
    request = predict("ncf", feeds("ncf"))
    request.model_spec.version.value = 1
    assert (await call(server, "Predict", request)).model_spec.version.value == 1
    request.model_spec.version.value = 4
    assert await refused(server, "Predict", request) == (
        "NOT_FOUND",
        "Servable not found for request: Specific(ncf, 4)",
    )
    request.model_spec.version_label = "canary"
    assert await refused(server, "Predict", request) == (
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: canary",
    )
    config = pb.ReloadConfigRequest()
    config.config.model_config_list.config.add(name="ncf", version_labels={"canary": 1})
    await call(server, "HandleReloadConfigRequest", config, service="ModelService")
    assert (await call(server, "Predict", request)).model_spec.version.value == 1


async def test_wrong_requests_are_refused_with_the_reason(server: Any, feeds: Callable[..., Feeds]) -> None:
    def changed(name: str, **fields: Any) -> Any:
        request = predict("ncf", feeds("ncf"))
        tensor = request.inputs[name]
        for field, value in fields.items():
            if field == "sizes":
                tensor.ClearField("tensor_shape")
                for size in value:
                    tensor.tensor_shape.dim.add(size=size)
            elif isinstance(value, list):
                getattr(tensor, field)[:] = value
            else:
                setattr(tensor, field, value)
        return request

    missing = predict("ncf", feeds("ncf"))
    del missing.inputs["track"]
    renamed = predict("ncf", feeds("ncf"))
    renamed.inputs["x"].CopyFrom(renamed.inputs.pop("track"))
    unknown = predict("ncf", feeds("ncf"))
    unknown.output_filter.append("nope")
    cases = [
        (predict("", {}), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (predict("nope", {}), "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        (predict("nope", {}, version_label="canary"), "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        (predict("ncf", feeds("ncf"), signature_name="other"), "INVALID_ARGUMENT", 'key "other" not found'),
        (
            missing,
            "INVALID_ARGUMENT",
            "input size does not match signature: 2!=3 len({history,user_index}) != len({history,track,user_index}). "
            "Sent extra: {}. Missing but required: {track}.",
        ),
        (
            renamed,
            "INVALID_ARGUMENT",
            "input tensor alias not found in signature: x. Inputs expected to be in the set "
            "{history,track,user_index}.",
        ),
        (unknown, "INVALID_ARGUMENT", "output tensor alias not found in signature: nope"),
        (changed("track", sizes=[2**31]), "INVALID_ARGUMENT", "has 3 elements in int64_val"),
        (changed("history", sizes=[2**31, 0], int64_val=[]), "INVALID_ARGUMENT", "[2147483648,0] has no elements"),
        (changed("history", sizes=[0, 2**62], int64_val=[]), "INVALID_ARGUMENT", "has no elements"),
        (changed("track", sizes=[-1]), "INVALID_ARGUMENT", "every size must be known"),
        (changed("track", sizes=[2]), "INVALID_ARGUMENT", "3 elements"),
        (changed("track", tensor_content=b"\0" * 5), "INVALID_ARGUMENT", "has 5 bytes of content"),
        (changed("track", dtype=1), "INVALID_ARGUMENT", "0 elements in float_val"),
        (changed("track", dtype=99), "INVALID_ARGUMENT", "data type 99"),
    ]
    for request, code, words in cases:
        got, message = await refused(server, "Predict", request)
        assert (got, words in message) == (code, True), message
    splat = changed("track", sizes=[2**31])
    splat.inputs["track"].int64_val[:] = [0]
    assert (await refused(server, "Predict", splat))[0] == "INVALID_ARGUMENT"


async def test_classes_of_examples(start: Start, repository: Any, write_classifier: Callable[..., Any]) -> None:
    truth = write_classifier(repository.path)
    async with start(repository.path) as server:
        rows = [[0.9, 0.1], [0.2, 0.8]]
        request = pb.ClassificationRequest(
            model_spec=pb.ModelSpec(name="mood"), input=examples(*({"features": row} for row in rows))
        )
        answer = await call(server, "Classify", request)
        for found, row in zip(answer.result.classifications, rows, strict=True):
            assert [each.label for each in found.classes] == ["chill", "happy"]
            np.testing.assert_allclose([each.score for each in found.classes], truth(row), rtol=1e-5)
        code, message = await refused(
            server, "Classify", pb.ClassificationRequest(model_spec=pb.ModelSpec(name="ncf"), input=request.input)
        )
        assert (code, "has no classes" in message) == ("INVALID_ARGUMENT", True)
        both = pb.MultiInferenceRequest(
            tasks=[pb.InferenceTask(model_spec=pb.ModelSpec(name="mood"), method_name="tensorflow/serving/classify")],
            input=request.input,
        )
        result = (await call(server, "MultiInference", both)).results[0]
        assert result.classification_result == answer.result
        both.tasks[0].method_name = "other"
        assert "Unsupported signature method_name: other" in (await refused(server, "MultiInference", both))[1]


async def test_numbers_of_examples(server: Any, expected: Callable[[str, Feeds], Feeds]) -> None:
    """Histories of different lengths; each example is a listener of its own, and the context gives what it lacks."""
    source = pb.Input()
    for history in ([5, 9, 13], [2]):
        example = source.example_list_with_context.examples.add()
        example.features.feature["history"].int64_list.value.extend(history)
    source.example_list_with_context.context.features.feature["track"].int64_list.value.append(17)
    request = pb.RegressionRequest(model_spec=pb.ModelSpec(name="ncf"), input=source)
    answer = await call(server, "Regress", request)
    feeds = {
        "history": np.asarray([[5, 9, 13], [2, -1, -1]]),
        "user_index": np.arange(2),
        "track": np.asarray([17, 17]),
    }
    values = [regression.value for regression in answer.result.regressions]
    np.testing.assert_allclose(values, expected("ncf", feeds)["logit"], rtol=1e-5)


async def test_wrong_examples_are_refused_with_the_reason(server: Any) -> None:
    cases = [
        (pb.Input(), "Input is empty"),
        (examples({"history": [1]}), "no feature 'track'"),
        (examples({"history": [1], "track": [1.5]}), "stands in float_list; send int64_list"),
        (examples({"history": [1], "track": [1, 2]}), "has 2 values of 'track', it takes 1"),
    ]
    for source, words in cases:
        request = pb.RegressionRequest(model_spec=pb.ModelSpec(name="ncf"), input=source)
        code, message = await refused(server, "Regress", request)
        assert (code, words in message) == ("INVALID_ARGUMENT", True), message


async def test_metadata_names_the_signature(server: Any) -> None:
    request = pb.GetModelMetadataRequest(model_spec=pb.ModelSpec(name="ncf"), metadata_field=["signature_def"])
    answer = await call(server, "GetModelMetadata", request)
    packed = answer.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    definition = pb.SignatureDefMap.FromString(packed.value).signature_def["serving_default"]
    assert {name: [dim.size for dim in info.tensor_shape.dim] for name, info in definition.inputs.items()} == {
        "history": [-1, -1],
        "user_index": [-1],
        "track": [-1],
    }
    assert definition.method_name == "tensorflow/serving/predict"
    request.metadata_field[:] = ["other"]
    assert (await refused(server, "GetModelMetadata", request))[0] == "INVALID_ARGUMENT"


async def test_states_of_versions_follow_what_a_configuration_loads(server: Any) -> None:
    status = pb.GetModelStatusRequest(model_spec=pb.ModelSpec(name="content"))
    (version,) = (await call(server, "GetModelStatus", status, service="ModelService")).model_version_status
    assert (version.version, version.state, version.status.error_message) == (1, 30, "")
    for spec, code, words in (
        (pb.ModelSpec(name="nope"), "NOT_FOUND", "Could not find any versions of model nope"),
        (pb.ModelSpec(name="content", version_label="x"), "INVALID_ARGUMENT", "Unrecognized servable version label: x"),
        (
            pb.ModelSpec(name="content", version=pb.POOL.message("google.protobuf.Int64Value")(value=7)),
            "NOT_FOUND",
            "Could not find version 7 of model content",
        ),
    ):
        request = pb.GetModelStatusRequest(model_spec=spec)
        assert await refused(server, "GetModelStatus", request, service="ModelService") == (code, words)
    config = pb.ReloadConfigRequest()
    code, message = await refused(server, "HandleReloadConfigRequest", config, service="ModelService")
    assert (code, "model_config_list" in message) == ("INVALID_ARGUMENT", True)
    entry = config.config.model_config_list.config.add(name="content")
    entry.model_version_policy.specific.versions.append(9)
    code, message = await refused(server, "HandleReloadConfigRequest", config, service="ModelService")
    assert (code, message) == ("NOT_FOUND", "Could not find version 9 of model content")
    entry.model_version_policy.specific.versions[:] = [1]
    await call(server, "HandleReloadConfigRequest", config, service="ModelService")


async def test_states_say_why_a_version_cannot_be_called(start: Start, repository: Any, make_repository: Any) -> None:
    make_repository(repository.path, kinds=("content",))
    model = repository.path / "content" / "2" / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    request = pb.GetModelStatusRequest(model_spec=pb.ModelSpec(name="content"))
    async with start(repository.path, repository_poll_s=0) as server:
        await server.models.UnloadVersion(model_pb.UnloadVersionRequest(name="content", version=1))
        states = (await call(server, "GetModelStatus", request, service="ModelService")).model_version_status
        assert [(status.version, status.state, status.status.error_code) for status in states] == [
            (2, 50, 9),
            (1, 50, 0),
        ]
        assert "checksum of 'model.onnx' does not hold" in states[0].status.error_message
        code, message = await refused(server, "Predict", predict("content", {}))
        assert (code, "taken out of service by an operator" in message) == ("UNAVAILABLE", True)


@pytest.mark.parametrize(
    ("policy", "serving", "callable_"),
    [
        ({"specific": {"versions": [3, 1]}}, 3, {1, 3}),
        ({"specific": {"versions": [1]}}, 1, {1, 4}),
        ({"latest": {"num_versions": 2}}, 4, {3, 4}),
        ({"latest": {}}, 4, {4}),
        ({"all": {}}, 4, {1, 2, 3, 4}),
        ({}, 4, {4}),
    ],
)
async def test_a_policy_loads_its_versions_and_the_highest_serves(
    policy: dict[str, Any],
    serving: int,
    callable_: set[int],
    start: Start,
    repository: Any,
    make_repository: Any,
    feeds: Callable[..., Feeds],
) -> None:
    shutil.rmtree(repository.path / "hybrid")
    for _ in range(3):
        make_repository(repository.path, kinds=("content",))
    request = pb.GetModelStatusRequest(model_spec=pb.ModelSpec(name="content"))
    async with start(repository.path, repository_poll_s=0) as server:
        config = pb.ReloadConfigRequest()
        entry = config.config.model_config_list.config.add(name="content")
        json_format.ParseDict(policy, entry.model_version_policy)
        await call(server, "HandleReloadConfigRequest", config, service="ModelService")
        answer = await call(server, "Predict", predict("content", feeds("content")))
        assert answer.model_spec.version.value == serving
        states = (await call(server, "GetModelStatus", request, service="ModelService")).model_version_status
        assert {status.version for status in states if status.state == 30} >= callable_


@pytest.mark.parametrize(
    ("second", "code", "words"),
    [
        ({"name": "content", "version_labels": {"canary": 9}}, "NOT_FOUND", "version 9 of model content"),
        ({"name": "content", "version_labels": {"canary": -1}}, "NOT_FOUND", "version -1 of model content"),
        ({"name": "ncf"}, "INVALID_ARGUMENT", "Illegal to list model ncf multiple times in config list"),
        ({"name": "content", "version_labels": {"../x": 1}}, "INVALID_ARGUMENT", "config[1].version_labels"),
        ({"name": "../content"}, "NOT_FOUND", "../content"),
        ({"name": ""}, "INVALID_ARGUMENT", "config[1].name"),
    ],
)
async def test_of_a_wrong_configuration_nothing_is_done(
    server: Any, repository: Any, second: dict[str, Any], code: str, words: str
) -> None:
    config = pb.ReloadConfigRequest()
    config.config.model_config_list.config.add(name="ncf", version_labels={"canary": 1})
    config.config.model_config_list.config.add(**second)
    got, message = await refused(server, "HandleReloadConfigRequest", config, service="ModelService")
    assert (got, words in message) == (code, True), message
    assert not (repository.path / "ncf" / "labels.json").exists()


async def test_switched_off_it_is_not_there(start: Start, repository: Any, feeds: Callable[..., Feeds]) -> None:
    async with start(repository.path, tensorflow_serving=False) as server:
        assert (await refused(server, "Predict", predict("ncf", feeds("ncf"))))[0] == "UNIMPLEMENTED"
