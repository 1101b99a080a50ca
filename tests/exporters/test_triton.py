"""`config.pbtxt` says what Triton needs, in Triton's own words."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from audotics.bundle.manifest import Manifest, TensorSpec
from audotics.exporters.errors import ExportError
from audotics.exporters.triton import CONFIG_FILE, write_config

Field = descriptor_pb2.FieldDescriptorProto


def _manifest(width: int = 64) -> Manifest:
    return Manifest(
        name="ncf",
        kind="ncf",
        version=1,
        framework="pytorch",
        created_at="2026-01-01T00:00:00+00:00",
        catalog_fingerprint="",
        inputs=(TensorSpec("history", "int64", (-1, -1)), TensorSpec("mask", "bool", (-1, width))),
        outputs=(TensorSpec("logit", "float32", (-1,)),),
    )


@pytest.fixture(scope="module")
def model_config():
    """The messages of Triton's model_config.proto that the file uses. Text is read by names, numbers do not count."""
    file = descriptor_pb2.FileDescriptorProto(name="model_config.proto", package="inference", syntax="proto3")
    types = ("TYPE_INVALID", "TYPE_BOOL", "TYPE_INT64", "TYPE_FP32")
    values = [{"name": name, "number": number} for number, name in enumerate(types)]
    file.enum_type.add(name="DataType", value=values)

    def message(name: str, fields: dict[str, tuple[int, int, str]]) -> None:
        added = file.message_type.add(name=name)
        for number, (field, (label, kind, type_name)) in enumerate(fields.items(), 1):
            added.field.add(name=field, number=number, label=label, type=kind, type_name=type_name or None)

    one, many = Field.LABEL_OPTIONAL, Field.LABEL_REPEATED
    tensor = {
        "name": (one, Field.TYPE_STRING, ""),
        "data_type": (one, Field.TYPE_ENUM, ".inference.DataType"),
        "dims": (many, Field.TYPE_INT64, ""),
    }
    message("ModelInput", tensor)
    message("ModelOutput", tensor)
    message("All", {})
    message("ModelVersionPolicy", {"all": (one, Field.TYPE_MESSAGE, ".inference.All")})
    message(
        "ModelConfig",
        {
            "name": (one, Field.TYPE_STRING, ""),
            "platform": (one, Field.TYPE_STRING, ""),
            "max_batch_size": (one, Field.TYPE_INT32, ""),
            "input": (many, Field.TYPE_MESSAGE, ".inference.ModelInput"),
            "output": (many, Field.TYPE_MESSAGE, ".inference.ModelOutput"),
            "version_policy": (one, Field.TYPE_MESSAGE, ".inference.ModelVersionPolicy"),
        },
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelConfig"))


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "ncf").mkdir()
    return tmp_path


def test_the_file_holds_the_signature(repository, model_config):
    path = write_config(repository, _manifest())

    assert path == repository / "ncf" / CONFIG_FILE
    config = text_format.Parse(path.read_text(), model_config())
    assert (config.name, config.platform, config.max_batch_size) == ("ncf", "onnxruntime_onnx", 0)
    assert [(tensor.name, list(tensor.dims)) for tensor in config.input] == [("history", [-1, -1]), ("mask", [-1, 64])]
    assert [(tensor.name, list(tensor.dims)) for tensor in config.output] == [("logit", [-1])]
    types = model_config.DESCRIPTOR.file.enum_types_by_name["DataType"].values_by_number
    assert [types[tensor.data_type].name for tensor in config.input] == ["TYPE_INT64", "TYPE_BOOL"]
    assert types[config.output[0].data_type].name == "TYPE_FP32"
    assert config.version_policy.HasField("all")


def test_it_follows_the_version_exported_last(repository):
    write_config(repository, _manifest())
    path = write_config(repository, _manifest(width=32))

    assert "dims: [ -1, 32 ]" in path.read_text()
    assert [entry.name for entry in (repository / "ncf").iterdir()] == [CONFIG_FILE]


def test_a_file_that_somebody_else_wrote_stays(repository):
    path = repository / "ncf" / CONFIG_FILE
    path.write_text('backend: "onnxruntime"\ninstance_group [ { count: 4 } ]\n')

    assert write_config(repository, _manifest()) is None
    assert path.read_text().endswith("count: 4 } ]\n")


def test_a_type_that_is_not_known_is_named(repository):
    manifest = Manifest("ncf", "ncf", 1, "pytorch", "", "", inputs=(TensorSpec("text", "tensor(string)", (-1,)),))

    with pytest.raises(ExportError, match=r"input 'text' has type tensor\(string\)"):
        write_config(repository, manifest)
    assert not (repository / "ncf" / CONFIG_FILE).exists()
