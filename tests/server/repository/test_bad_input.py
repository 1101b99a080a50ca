"""Bundles that would harm: each is refused with the reason, and what serves goes on serving."""

from __future__ import annotations

import json
import struct
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from audotics.server.errors import NotFoundError, RefusedModelError
from audotics.server.repository.graph import look_over


def change(bundle: Path, alter: Any) -> None:
    model = onnx.load(bundle / "model.onnx")
    alter(model)
    onnx.save(model, bundle / "model.onnx")


def constant(model: Any, name: str) -> Any:
    return next(each for each in model.graph.initializer if each.name == name)


def wrong_rank(bundle: Path) -> None:
    def alter(model: Any) -> None:
        for each in (model.graph.input[2], model.graph.output[0]):
            each.type.tensor_type.shape.dim.add().dim_param = "more"

    change(bundle, alter)


def other_type(bundle: Path) -> None:
    def alter(model: Any) -> None:
        model.graph.input[2].type.tensor_type.elem_type = TensorProto.INT32

    change(bundle, alter)


def other_name(bundle: Path) -> None:
    def alter(model: Any) -> None:
        model.graph.node[-1].output[0] = model.graph.output[0].name = "score"

    change(bundle, alter)


def missing_tensor(bundle: Path) -> None:
    change(bundle, lambda model: model.graph.initializer.remove(constant(model, "table")))


def nan_weights(bundle: Path) -> None:
    def alter(model: Any) -> None:
        table = constant(model, "table")
        values = numpy_helper.to_array(table).copy()
        values[150, 3] = np.nan  # not among the rows that the recorded inputs touch
        table.CopyFrom(numpy_helper.from_array(values, "table"))

    change(bundle, alter)


def nan_weights_as_floats(bundle: Path) -> None:
    def alter(model: Any) -> None:
        table = constant(model, "table")
        values = numpy_helper.to_array(table).copy()
        values[150, 3] = np.nan
        table.CopyFrom(helper.make_tensor("table", TensorProto.FLOAT, values.shape, values.ravel()))

    change(bundle, alter)


def new_opset(bundle: Path) -> None:
    def alter(model: Any) -> None:
        model.opset_import[0].version = 99

    change(bundle, alter)


def new_format(bundle: Path) -> None:
    def alter(model: Any) -> None:
        model.ir_version = 99

    change(bundle, alter)


def custom_operator(bundle: Path) -> None:
    def alter(model: Any) -> None:
        model.graph.node[0].domain = "com.example.tricks"
        model.opset_import.append(helper.make_opsetid("com.example.tricks", 1))

    change(bundle, alter)


def weights_elsewhere(location: str) -> Any:
    def damage(bundle: Path) -> None:
        secret = bundle.parent.parent.parent / "secret.bin"
        secret.write_bytes(bytes(201 * 16 * 4))

        def alter(model: Any) -> None:
            table = constant(model, "table")
            table.ClearField("raw_data")
            table.data_location = TensorProto.EXTERNAL
            table.external_data.add(key="location", value=location.format(folder=secret.parent))

        change(bundle, alter)

    return damage


def weights_elsewhere_in_a_branch(bundle: Path) -> None:
    def alter(model: Any) -> None:
        hidden = helper.make_tensor("hidden", TensorProto.FLOAT, (1,), [0.0])
        hidden.ClearField("float_data")
        hidden.data_location = TensorProto.EXTERNAL
        hidden.external_data.add(key="location", value="../../secret.bin")
        branch = helper.make_graph([helper.make_node("Constant", [], ["c"], value=hidden)], "branch", [], [])
        model.graph.node.append(helper.make_node("If", ["zero"], ["x"], then_branch=branch, else_branch=branch))

    change(bundle, alter)


def no_onnx(bundle: Path) -> None:
    (bundle / "model.onnx").write_bytes(b"\x80\x04cposix\nsystem\n" * 10)


def empty(bundle: Path) -> None:
    (bundle / "model.onnx").write_bytes(b"")


def half(bundle: Path) -> None:
    data = (bundle / "model.onnx").read_bytes()
    (bundle / "model.onnx").write_bytes(data[: len(data) // 2])


def zip_bomb(bundle: Path) -> None:
    header = np.lib.format.magic(1, 0)
    text = "{'descr': '<i8', 'fortran_order': False, 'shape': (40000000,), }"
    text += " " * (63 - (len(header) + 2 + len(text)) % 64) + "\n"
    with (
        zipfile.ZipFile(bundle / "warmup.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("history.npy", "w", force_zip64=True) as stream,
    ):
        stream.write(header + struct.pack("<H", len(text)) + text.encode())
        for _ in range(20):
            stream.write(bytes(16 * 1024 * 1024))


def claims_without_data(bundle: Path) -> None:
    header = np.lib.format.magic(1, 0)
    text = "{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000000,), }"
    text += " " * (63 - (len(header) + 2 + len(text)) % 64) + "\n"
    with zipfile.ZipFile(bundle / "warmup.npz", "w") as archive:
        archive.writestr("history.npy", header + struct.pack("<H", len(text)) + text.encode())


def pickled_warmup(bundle: Path) -> None:
    np.savez(bundle / "warmup.npz", history=np.asarray([{"a": 1}], object))


def no_archive(bundle: Path) -> None:
    (bundle / "warmup.npz").write_bytes(b"PK\x03\x04 nonsense")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (wrong_rank, "track int64 of 2 dimensions"),
        (other_type, "track int32 of 1 dimensions"),
        (other_name, "it has no output logit"),
        (missing_tensor, "ONNX Runtime does not take 'model.onnx'"),
        (nan_weights, "has weights 'table' that are NaN"),
        (nan_weights_as_floats, "has weights 'table' that are NaN"),
        (new_opset, "it asks for the operators of ai.onnx 99"),
        (new_format, "ONNX Runtime does not take 'model.onnx'"),
        (custom_operator, "needs the operator 'Gather' of 'com.example.tricks'"),
        (weights_elsewhere("../../../secret.bin"), "keeps the weights 'table' in another file"),
        (weights_elsewhere("{folder}/secret.bin"), "keeps the weights 'table' in another file"),
        (weights_elsewhere_in_a_branch, "keeps the weights 'hidden' in another file"),
        (no_onnx, "is not an ONNX file"),
        (empty, "is empty"),
        (half, "is not an ONNX file"),
        (zip_bomb, "unpacks to 335,544"),
        (claims_without_data, "fails on the inputs in 'warmup.npz'"),
        (pickled_warmup, "'warmup.npz' is no archive of arrays"),
        (no_archive, "'warmup.npz' is no archive of arrays"),
    ],
)
async def test_a_harmful_model_is_refused(repository, make_repository, open_registry, sign_again, damage, reason):
    async with open_registry(repository.path) as registry:
        await registry.unload_version("hybrid", 1)
        make_repository(repository.path, kinds=("ncf",))
        bundle = repository.path / "ncf" / "2"
        damage(bundle)
        sign_again(bundle)
        before = registry.snapshot
        with pytest.raises(RefusedModelError) as refused:
            await registry.load_version("ncf", 2)
        assert "ncf/2: " in str(refused.value)
        assert reason in str(refused.value)
        assert str(repository.path) not in str(refused.value)
        await registry.follow()
        assert registry.snapshot is before
        assert registry.snapshot.ncf.pairs([np.asarray([0])], [np.asarray([4])]).logits().shape == (1,)


async def test_a_file_outside_of_the_bundle_is_not_reached_through_links(
    repository, make_repository, open_registry, sign_again
):
    async with open_registry(repository.path) as registry:
        make_repository(repository.path)
        outside = repository.path.parent / "outside"
        (repository.path / "ncf" / "2").rename(outside)
        (repository.path / "ncf" / "2").symlink_to(outside)
        bundle = repository.path / "content" / "2"
        (bundle / "model.onnx").rename(repository.path.parent / "model.onnx")
        (bundle / "model.onnx").symlink_to(repository.path.parent / "model.onnx")
        with pytest.raises(RefusedModelError, match=r"content/2: file 'model.onnx' is reached through a symbolic link"):
            await registry.load_version("content", 2)
        with pytest.raises(RefusedModelError, match=r"ncf/2: .*symbolic link that leads out of the repository"):
            await registry.load_version("ncf", 2)
        (outside / "1").mkdir()
        (repository.path / "mood").symlink_to(outside)
        with pytest.raises(RefusedModelError, match=r"mood/1: .*symbolic link that leads out of the repository"):
            await registry.load_version("mood", 1)


@pytest.mark.parametrize("name", ["../ncf", "/etc", "ncf/1", "ncf\0", "..", "NCF", "ncf\n", "n" * 300, ""])
async def test_names_that_lead_elsewhere_are_not_found(repository, open_registry, name):
    async with open_registry(repository.path) as registry:
        for use in (
            lambda: registry.load_version(name, 1),
            lambda: registry.unload_version(name, 1),
            lambda: registry.set_label(name, "stable", 1),
            lambda: registry.rollback(name),
            lambda: registry.load_beside(name, 1),
        ):
            with pytest.raises(NotFoundError):
                await use()
        with pytest.raises(NotFoundError):
            registry.loaded(name)


@pytest.mark.parametrize("version", ["latest", "01", "-1", "1.5", "1e3", "²", "0", "9" * 30])
async def test_versions_that_are_no_numbers_do_not_count(repository, open_registry, version):
    (repository.path / "ncf" / "1").rename(repository.path / "ncf" / version)
    async with open_registry(repository.path) as registry:
        assert registry.snapshot.ncf is None
        await registry.follow()
        assert "ncf" not in {model.name for model in (await registry.models())}


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../../secret": {"sha256": "0" * 64, "size_bytes": 1}}},
        {"parts": {"ncf": "one"}},
        {"inputs": [{"name": "history", "dtype": "int64", "shape": [-1, -1, -1]}]},
        {"version": 1.0},
        {"name": "../ncf"},
    ],
)
async def test_a_manifest_that_lies_is_refused(repository, open_registry, change):
    path = repository.path / "ncf" / "1" / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    async with open_registry(repository.path) as registry:
        assert registry.snapshot.ncf is None
        assert registry.snapshot.hybrid is not None
        assert any("ncf/1: " in degradation.detail for degradation in registry.snapshot.degraded)


@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_an_onnx_file_or_refused(tmp_path, repository_template, data):
    path = tmp_path / "model.onnx"
    model = bytearray((repository_template.path / "ncf" / "1" / "model.onnx").read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(model) - 1))
        model[place] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(model[: data.draw(st.integers(1, len(model)))]))
    with suppress(RefusedModelError):  # and nothing else
        look_over(path, where="ncf/1")
