"""A client with the official stubs, in a process of its own: an address and a folder go in, a report as JSON comes out.

`tensorflow-serving-api` imports TensorFlow, which takes seconds. The folder has `ncf.onnx` and its inputs in `ncf.npz`;
TensorFlow runs the same graph as a SavedModel, which is written beside them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from audotics.exporters.tensorflow_graph import convert
from audotics.server.transport.compat.stubs import tensorflow_serving_pb2


def report(address: str, folder: Path) -> dict[str, Any]:
    feeds = dict(np.load(folder / "ncf.npz"))
    convert(folder / "ncf.onnx", folder / "saved_model")
    model = tf.saved_model.load(str(folder / "saved_model"))
    truth = model.signatures["serving_default"](**{name: tf.constant(value) for name, value in feeds.items()})
    found: dict[str, Any] = {"tensorflow": truth["logit"].numpy().tolist(), "differing_fields": differing_fields()}
    with grpc.insecure_channel(address) as channel:
        prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        models = model_service_pb2_grpc.ModelServiceStub(channel)

        request = predict_pb2.PredictRequest(output_filter=["logit"])
        request.model_spec.name = "ncf"
        for name, value in feeds.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        answer = prediction.Predict(request, timeout=20)
        found["predict"] = tf.make_ndarray(answer.outputs["logit"]).tolist()
        found["version"] = answer.model_spec.version.value

        metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        metadata.model_spec.name = "ncf"
        signatures = get_model_metadata_pb2.SignatureDefMap()
        prediction.GetModelMetadata(metadata, timeout=20).metadata["signature_def"].Unpack(signatures)
        inputs = signatures.signature_def["serving_default"].inputs
        found["inputs"] = {name: tf.dtypes.as_dtype(info.dtype).name for name, info in inputs.items()}

        regress = regression_pb2.RegressionRequest()
        regress.model_spec.name = "ncf"
        for user, track in zip(feeds["user_index"], feeds["track"], strict=True):
            example = regress.input.example_list.examples.add()
            example.features.feature["history"].int64_list.value.extend(feeds["history"][user].tolist())
            example.features.feature["track"].int64_list.value.append(int(track))
        result = prediction.Regress(regress, timeout=20).result
        found["regress"] = [regression.value for regression in result.regressions]

        classify = classification_pb2.ClassificationRequest()
        classify.model_spec.name = "mood"
        example = classify.input.example_list.examples.add()
        example.features.feature["features"].float_list.value.extend([0.5, 0.25])
        (classes,) = prediction.Classify(classify, timeout=20).result.classifications
        found["classes"] = {each.label: each.score for each in classes.classes}

        several = inference_pb2.MultiInferenceRequest(input=classify.input)
        several.tasks.add(method_name="tensorflow/serving/classify").model_spec.name = "mood"
        (task,) = prediction.MultiInference(several, timeout=20).results
        found["same_classes"] = task.classification_result.classifications[0] == classes

        status = get_model_status_pb2.GetModelStatusRequest()
        status.model_spec.name = "ncf"
        found["states"] = [
            (version.version, get_model_status_pb2.ModelVersionStatus.State.Name(version.state))
            for version in models.GetModelStatus(status, timeout=20).model_version_status
        ]
        config = model_management_pb2.ReloadConfigRequest()
        config.config.model_config_list.config.add(name="ncf").version_labels["canary"] = 1
        found["reloaded"] = models.HandleReloadConfigRequest(config, timeout=20).status.error_code
        request.model_spec.version_label = "canary"
        found["labelled"] = prediction.Predict(request, timeout=20).model_spec.version.value
        request.model_spec.version.value = 99
        try:
            prediction.Predict(request, timeout=20)
        except grpc.RpcError as error:
            found["unknown_version"] = error.code().name
    return found


def differing_fields() -> list[str]:
    """Fields of our messages that are not those of the originals."""
    assert meta_graph_pb2.DESCRIPTOR.pool is descriptor_pool.Default()
    kinds = [kind for kind in vars(tensorflow_serving_pb2).values() if hasattr(kind, "FromString")]
    differing = []
    pending = [kind.DESCRIPTOR for kind in kinds]
    while pending:
        message = pending.pop()
        pending.extend(message.nested_types)
        theirs: Descriptor = descriptor_pool.Default().FindMessageTypeByName(message.full_name)
        for field in message.fields:
            original = theirs.fields_by_number.get(field.number)
            if original is None or described(field) != described(original):
                differing.append(field.full_name)
    return differing


def described(field: FieldDescriptor) -> tuple[Any, ...]:
    # An enum travels as an int32.
    kind = FieldDescriptor.TYPE_INT32 if field.type == FieldDescriptor.TYPE_ENUM else field.type
    return field.name, kind, field.is_repeated, field.message_type.full_name if field.message_type else None


if __name__ == "__main__":
    sys.stdout.write(json.dumps(report(sys.argv[1], Path(sys.argv[2]))))
