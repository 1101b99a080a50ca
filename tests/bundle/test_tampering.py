"""Every way in which the files of a bundle can be other than what was exported is refused, with the reason."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from audotics.bundle.errors import BundleCorruptError


def change_a_byte(path: Path) -> None:
    file = path / "model.onnx"
    file.write_bytes(b"b" + file.read_bytes()[1:])


def cut_a_file(path: Path) -> None:
    file = path / "variables" / "variables.index"
    file.write_bytes(file.read_bytes()[:-3])


def fill_an_empty_file(path: Path) -> None:
    (path / "empty.bin").write_bytes(b"x")


def remove_a_file(path: Path) -> None:
    (path / "model.onnx").unlink()


def add_a_file(path: Path) -> None:
    (path / "variables" / "more.so").write_bytes(b"code")


def link_a_file(path: Path) -> None:
    outside = path.parent / "outside.onnx"
    (path / "model.onnx").rename(outside)
    (path / "model.onnx").symlink_to(outside)


def link_a_folder(path: Path) -> None:
    outside = path.parent / "outside"
    (path / "variables").rename(outside)
    (path / "variables").symlink_to(outside)


def add_a_broken_link(path: Path) -> None:
    (path / "dangling").symlink_to("nowhere")


def put_a_folder_in_place(path: Path) -> None:
    (path / "model.onnx").unlink()
    (path / "model.onnx").mkdir()


def put_a_pipe_in_place(path: Path) -> None:
    (path / "empty.bin").unlink()
    os.mkfifo(path / "empty.bin")


def remove_the_manifest(path: Path) -> None:
    (path / "bundle.json").unlink()


def link_the_manifest(path: Path) -> None:
    outside = path.parent / "outside.json"
    (path / "bundle.json").rename(outside)
    (path / "bundle.json").symlink_to(outside)


def cut_the_manifest(path: Path) -> None:
    file = path / "bundle.json"
    file.write_text(file.read_text()[:200])


def edit(**fields: object):
    def change(path: Path) -> None:
        file = path / "bundle.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))

    return change


RECORD = {"sha256": "0" * 64, "size_bytes": 1}


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (change_a_byte, r"checksum of 'model.onnx' does not hold"),
        (cut_a_file, r"'variables/variables.index' has 5 bytes, the manifest says 8"),
        (fill_an_empty_file, r"'empty.bin' has 1 bytes, the manifest says 0"),
        (remove_a_file, r"'model.onnx' is missing"),
        (add_a_file, r"'variables/more.so' is not in its manifest"),
        (link_a_file, r"'model.onnx' is reached through a symbolic link"),
        (link_a_folder, r"'variables'"),
        (add_a_broken_link, r"'dangling' is not in its manifest"),
        (put_a_folder_in_place, r"'model.onnx' is missing"),
        (put_a_pipe_in_place, r"'empty.bin' is missing"),
        (remove_the_manifest, r"bundle.json is missing, so the export did not finish"),
        (link_the_manifest, r"bundle.json is missing"),
        (cut_the_manifest, r"bundle.json is not a manifest"),
        (edit(version=7), r"its manifest is that of ncf/7"),
        (edit(name="content"), r"its manifest is that of content/1"),
        (edit(format_version=99), r"bundle format 99 is not 1; export the model again"),
        (edit(files={"../../outside": RECORD}), r"file name '../../outside' is not a plain path"),
        (edit(files={"/etc/passwd": RECORD}), r"file name '/etc/passwd' is not a plain path"),
        (edit(files={"a/../model.onnx": RECORD}), r"is not a plain path"),
        (edit(files={"./model.onnx": RECORD}), r"is not a plain path"),
        (edit(files={"bundle.json": RECORD}), r"is not a plain path"),
        (edit(files={}), r"'empty.bin' is not in its manifest"),
    ],
)
def test_an_altered_bundle_is_refused(store, publish, tamper, reason):
    publish()
    bundle = publish()
    first = store.open("ncf", 1)
    tamper(store.root / "ncf" / "1")

    with pytest.raises(BundleCorruptError, match=rf"^ncf/1: .*{reason}"):
        store.open("ncf", 1)
    assert store.open("ncf", 2) == bundle, "the other version is still whole"
    assert first.manifest.version == 1


def test_a_renamed_version_is_refused(store, publish):
    path = publish().path
    path.rename(path.with_name("5"))

    with pytest.raises(BundleCorruptError, match=r"ncf/5: its manifest is that of ncf/1; do not rename or copy"):
        store.open("ncf", 5)


def test_a_copy_under_another_model_is_refused(store, publish):
    shutil.copytree(publish("ncf").path, store.root / "content" / "1")

    with pytest.raises(BundleCorruptError, match=r"content/1: its manifest is that of ncf/1"):
        store.open("content", 1)
