"""Whatever lies in a bundle, the server starts, lists it with the reason, and serves the rest."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.bundle.errors import BundleCorruptError
from audotics.bundle.manifest import Manifest
from audotics.bundle.store import Bundle
from audotics.server.errors import RefusedModelError
from audotics.server.repository.loading import CATALOG
from audotics.server.repository.status import ModelStatus, VersionState, VersionStatus
from audotics.server.runtime.opening import RuntimeOpener
from audotics.server.transport.codec.models import encode_models

Damage = Callable[[Path], None]


def fields(**changes: Any) -> Damage:
    def damage(bundle: Path) -> None:
        path = bundle / "bundle.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def every_file(**changes: Any) -> Damage:
    def damage(bundle: Path) -> None:
        path = bundle / "bundle.json"
        manifest = json.loads(path.read_text())
        for record in manifest["files"].values():
            record.update(changes)
        path.write_text(json.dumps(manifest))

    return damage


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> Damage:
    def damage(bundle: Path) -> None:
        with zipfile.ZipFile(bundle / "warmup.npz", "w", method) as packed:
            for name, data in members:
                packed.writestr(name, data)

    return damage


def array_of(header: str) -> bytes:
    text = header + " " * (63 - (10 + len(header)) % 64) + "\n"
    return np.lib.format.magic(1, 0) + struct.pack("<H", len(text)) + text.encode()


def torn_archive(bundle: Path) -> None:
    np.savez_compressed(bundle / "warmup.npz", history=np.arange(10_000).reshape(100, 100))
    data = bytearray((bundle / "warmup.npz").read_bytes())
    data[60:90] = b"\xff" * 30
    (bundle / "warmup.npz").write_bytes(bytes(data))


def ids(*values: Any) -> Damage:
    def damage(bundle: Path) -> None:
        table = pa.table({"track_id": pa.array(values)})
        with pa.OSFile(str(bundle / "ids.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)

    return damage


IN_THE_MANIFEST: dict[str, tuple[Damage, str]] = {
    "a size below zero": (every_file(size_bytes=-1), "is not a checksum and a size"),
    "a size beyond the wire": (every_file(size_bytes=2**70), "is not a checksum and a size"),
    "sizes beyond the wire together": (every_file(size_bytes=2**62), "would not fit on any disk"),
    "a size that is text": (every_file(size_bytes="12"), "is not a checksum and a size"),
    "a checksum that is a number": (every_file(sha256=7), "is not a checksum and a size"),
    "a metric beyond floats": (fields(metrics={"ndcg@10": 10**400}), "too large"),
    "a dimension beyond the wire": (
        fields(inputs=[{"name": "history", "dtype": "int64", "shape": [2**70]}]),
        "the shape of 'history'",
    ),
    "a day that is none": (fields(created_at="yesterday"), "isoformat"),
    "a day before all days": (fields(created_at="0001-01-01T00:00:00+23:59"), "out of range"),
    "half a character": (fields(framework="\ud800"), "surrogates not allowed"),
    "a kind of megabytes": (fields(kind="x" * 10_000_000), "'kind' is not text of up to 256"),
    "a file name of megabytes": (
        fields(files={"../" + "x" * 10_000_000: {"sha256": "", "size_bytes": 1}}),
        "file name '../xxx",
    ),
    "a manifest of megabytes": (fields(tools={"torch": "2" * 20_000_000}), "more than 16,777,216 bytes"),
    "a part without a number": (fields(parts={"ncf": float("nan")}), "'parts' gives 'ncf' the version nan"),
    "a part beyond numbers": (fields(parts={"ncf": 10**400}), "too large"),
    "half a version": (fields(parts={"ncf": 1.5}), "'parts' gives 'ncf' the version 1.5"),
}

IN_THE_FILES: dict[str, tuple[Damage, str]] = {
    "recorded text": (archive(("history.txt", b"abc")), "'warmup.npz' is no archive of arrays"),
    "bytes that are no array": (archive(("history.npy", b"abc")), "'warmup.npz' is no archive of arrays"),
    "packed in another way": (archive(("a", b"x"), method=zipfile.ZIP_LZMA), "'warmup.npz' is no archive of arrays"),
    "a torn archive": (torn_archive, "'warmup.npz' is no archive of arrays"),
    "a header without an end": (
        archive(("history.npy", array_of("{'descr': '<i8', 'fortran_order': False, 'shape': ("))),
        "'warmup.npz' is no archive of arrays",
    ),
    "a size below zero": (
        archive(("history.npy", array_of("{'descr': '<i8', 'fortran_order': False, 'shape': (-1, -5), }"))),
        "'warmup.npz' is no archive of arrays",
    ),
    "a track without an id": (ids(None, *(f"t{row:03d}" for row in range(199))), "'track_id' has empty places"),
    "ids that are numbers": (ids(*range(200)), "'track_id' is int64, not string"),
    "too few ids": (ids("t000"), "names 1 tracks"),
}


@pytest.mark.parametrize("case", IN_THE_MANIFEST)
@pytest.mark.parametrize("kind", ["hybrid", "ncf"])
async def test_a_manifest_that_is_none_is_listed_with_the_reason(repository, open_registry, case, kind):
    damage, reason = IN_THE_MANIFEST[case]
    damage(repository.path / kind / "1")
    await check_refused(repository, open_registry, kind, reason)


@pytest.mark.parametrize("case", IN_THE_FILES)
async def test_files_that_are_none_are_listed_with_the_reason(repository, open_registry, sign_again, case):
    damage, reason = IN_THE_FILES[case]
    bundle = repository.path / "ncf" / "1"
    damage(bundle)
    sign_again(bundle)
    await check_refused(repository, open_registry, "ncf", reason)


async def check_refused(repository, open_registry, kind: str, reason: str) -> None:
    async with open_registry(repository.path) as registry:
        listed = encode_models(await registry.models())
        (version,) = next(model for model in listed.models if model.name == kind).versions
        assert reason in version.reason
        assert len(version.reason) < 1100
        with pytest.raises(RefusedModelError) as refused:
            await registry.load_version(kind, 1)
        assert reason in str(refused.value)
        await registry.follow()
        content = registry.snapshot.content
        assert len(content.nearest(content.vectors(np.asarray([3])), 5)[1][0]) == 5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda table: table.set_column(0, "ids", pa.array(["t000"] * len(table))), "without an id of their own"),
        (lambda table: table.set_column(0, "ids", pa.array(["", *table["ids"].to_pylist()[1:]])), "without an id"),
        (lambda table: plays(table, float("nan")), "numbers of plays that are none"),
        (lambda table: plays(table, -1.0), "numbers of plays that are none"),
        (lambda table: plays(table, float("inf")), "numbers of plays that are none"),
        (lambda table: infinite(table, "audio.tempo"), "infinite features"),
        (lambda table: infinite(table, "popularity"), "infinite features"),
    ],
)
async def test_a_catalogue_that_would_spoil_lists_is_refused(
    repository, make_repository, open_registry, sign_again, change, reason
):
    async with open_registry(repository.path) as registry:
        make_repository(repository.path, kinds=(CATALOG,))
        path = repository.path / CATALOG / "2" / "tracks.arrow"
        table = change(pa.ipc.open_file(pa.BufferReader(path.read_bytes())).read_all())
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        sign_again(path.parent)
        with pytest.raises(RefusedModelError, match=f"catalog/2: tracks.arrow has .*{reason}"):
            await registry.load_version(CATALOG, 2)
        await registry.follow()
        assert registry.snapshot.catalog.version == 1


def plays(table: pa.Table, value: float) -> pa.Table:
    place = table.column_names.index("plays")
    return table.set_column(place, "plays", pa.array([value] * len(table), pa.float32()))


def infinite(table: pa.Table, name: str) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array([np.inf] * len(table), pa.float32()))


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**63, 2**64, -(2**63), 10**400])
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["\ud800", "x" * 1000, "2026-01-02", "9999-12-31T23:59:59-23:59"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_any_manifest_is_refused_or_can_be_listed(repository_template, data):
    whole = json.loads((repository_template.path / "ncf" / "1" / "bundle.json").read_text())
    altered = deepcopy(whole)
    place: Any = altered
    key = data.draw(st.sampled_from(sorted(place)))
    while isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[key] = data.draw(values)
    try:
        manifest = Manifest.from_json(json.dumps(altered), where="ncf/1")
    except BundleCorruptError as error:
        str(error).encode()  # what is said of it can be sent
        return
    status = ModelStatus("ncf", manifest.kind, (VersionStatus(1, VersionState.ON_DISK, "", manifest),), {})
    encode_models([status]).SerializeToString()


class Meddling(RuntimeOpener):
    """Somebody copies other files over a bundle once it was verified."""

    def open(self, bundle: Bundle, choice: Any) -> Any:
        loaded = super().open(bundle, choice)
        path = bundle.path / "ids.arrow"
        os.utime(path, ns=(0, 0))
        return loaded


async def test_files_that_change_while_they_are_loaded_are_loaded_again(repository, make_repository, open_registry):
    make_repository(repository.path, kinds=("catalog", "ncf"))
    for name in ("collaborative", "content", "hybrid"):
        (repository.path / name).rename(repository.path.parent / name)
    async with open_registry(repository.path, runtimes=Meddling()) as registry:
        assert registry.snapshot.ncf is None
        (newest, _) = (await registry.model("ncf")).versions
        assert newest.state is VersionState.REFUSED
        assert newest.reason == "ncf/2: its files changed while they were loaded; load it again"
        os.utime(repository.path / "ncf" / "2" / "ids.arrow")
        await registry.follow()  # looks the same to who meddles, and different to who looks
        assert (await registry.model("ncf")).versions[0].state is VersionState.REFUSED


async def test_labels_are_not_written_through_a_link_that_leads_out(repository, open_registry):
    outside = repository.path.parent / "outside"
    (repository.path / "ncf").rename(outside)
    (repository.path / "ncf").symlink_to(outside)
    async with open_registry(repository.path) as registry:
        with pytest.raises(RefusedModelError, match="symbolic link that leads out of the repository"):
            await registry.set_label("ncf", "canary", 1)
    assert not (outside / "labels.json").exists()


def a_folder(path: Path) -> None:
    path.mkdir()


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def megabytes(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(100 * 1024 * 1024)


def half(path: Path) -> None:
    path.write_text('{"stable": 1, "can')


def beyond_versions(path: Path) -> None:
    path.write_text('{"stable": 1000000000000000000000}')


@pytest.mark.parametrize("make", [a_folder, a_pipe, megabytes, half, beyond_versions])
async def test_labels_that_are_none_change_nothing_and_are_listed(repository, open_registry, make):
    async with open_registry(repository.path) as registry:
        before = registry.snapshot
        make(repository.path / "hybrid" / "labels.json")
        await registry.follow()
        assert registry.snapshot.model_versions == before.model_versions
        encode_models(await registry.models()).SerializeToString()
        with pytest.raises(RefusedModelError, match=r"hybrid: labels\.json "):
            await registry.set_label("hybrid", "canary", 1)
    async with open_registry(repository.path) as registry:
        assert registry.snapshot.hybrid is None
        assert any("hybrid: labels.json" in degradation.detail for degradation in registry.snapshot.degraded)


async def test_a_label_of_a_version_that_is_not_there_is_no_reason_to_serve_another(repository, open_registry):
    async with open_registry(repository.path) as registry:
        (repository.path / "ncf" / "labels.json").write_text('{"stable": 7, "canary": 9}')
        await registry.follow()
        assert registry.snapshot.ncf.version == 1
        assert (await registry.model("ncf")).labels == {"stable": 7, "canary": 9}
        assert registry.refused_count == 0
    async with open_registry(repository.path) as registry:
        assert registry.refused_count == 0  # what is not there was not refused


async def test_a_version_whose_folder_is_gone_serves_on(repository, make_repository, open_registry):
    make_repository(repository.path)
    async with open_registry(repository.path) as registry:
        for name in ("ncf", "content", "collaborative", "hybrid"):
            (repository.path / name).rename(repository.path.parent / f"gone-{name}")
        await registry.follow()
        snapshot = registry.snapshot
        assert snapshot.degraded == ()
        assert snapshot.ncf.pairs([np.asarray([0])], [np.asarray([4])]).logits().shape == (1,)
        assert len(snapshot.content.nearest(snapshot.content.vectors(np.asarray([3])), 5)[1][0]) == 5
        (repository.path.parent / "gone-ncf").rename(repository.path / "ncf")
        await registry.follow()
        assert registry.snapshot.ncf.version == 2
