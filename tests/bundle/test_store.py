"""The store: what is written is read back whole, versions are never reused, and writers do not disturb each other."""

from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from audotics.bundle.errors import BundleCorruptError, BundleError, BundleNotFoundError
from audotics.bundle.store import BundleStore


def test_a_bundle_is_read_back_as_it_was_written(store, publish, manifest):
    bundle = publish()

    assert str(bundle) == "ncf/1"
    assert bundle.path == store.root / "ncf" / "1"
    assert bundle.file("model.onnx").read_bytes() == b"a graph"
    assert bundle.file("variables/variables.index").read_bytes() == b"an index"
    assert bundle.manifest.inputs == manifest().inputs
    assert bundle.manifest.training_data == manifest().training_data
    record = bundle.manifest.files["model.onnx"]
    assert (record.sha256, record.size_bytes) == (hashlib.sha256(b"a graph").hexdigest(), 7)
    assert bundle.manifest.size_bytes == 7 + 8
    assert bundle.manifest.files.keys() == {"model.onnx", "variables/variables.index", "empty.bin"}


def test_a_file_that_the_manifest_does_not_list_is_not_handed_out(publish):
    with pytest.raises(BundleCorruptError, match=r"ncf/1: has no file 'index.faiss'"):
        publish().file("index.faiss")


def test_models_and_versions_are_listed_in_order(store, publish):
    for name in ("ncf", "catalog", "ncf", "ncf"):
        publish(name)

    assert store.models() == ["catalog", "ncf"]
    assert store.versions("ncf") == [1, 2, 3]
    assert store.versions("content") == []


def test_versions_are_sorted_as_numbers(store, publish, manifest):
    publish()
    with store.write(manifest(version=10)):
        pass

    assert store.versions("ncf") == [1, 10]
    assert store.next_version("ncf") == 11


def test_an_absent_repository_is_empty(store):
    assert store.models() == []
    assert store.versions("ncf") == []
    assert store.next_version("ncf") == 1
    assert not store.root.exists()


def test_what_is_no_model_and_no_version_does_not_count(store, publish):
    publish()
    for folder in (".git", "Upper", "ncf/.staging-2-abc", "ncf/01", "ncf/0", "ncf/-1", "ncf/1.5", "ncf/latest"):
        (store.root / folder).mkdir()
    (store.root / "ncf" / "7").write_text("a file")
    (store.root / "labels.json").write_text("{}")

    assert store.models() == ["ncf"]
    assert store.versions("ncf") == [1]


@pytest.mark.parametrize("name", ["", ".", "..", "../ncf", "/etc", "a/b", "Ncf", "1ncf", "ncf\n", "n" * 65, "n\0"])
def test_names_that_lead_elsewhere_are_refused(store, manifest, name):
    for use in (
        lambda: store.versions(name),
        lambda: store.next_version(name),
        lambda: store.open(name, 1),
        lambda: store.write(manifest(name)).__enter__(),
    ):
        with pytest.raises(BundleNotFoundError, match="is not a model name"):
            use()


def test_a_missing_version_names_those_on_disk(store, publish):
    publish()
    publish()

    with pytest.raises(BundleNotFoundError, match=r"ncf/5: no such version in .*versions of 'ncf' on disk: 1, 2"):
        store.open("ncf", 5)
    with pytest.raises(BundleNotFoundError, match="on disk: none"):
        store.open("content", 1)


def test_a_writer_that_fails_leaves_nothing(store, publish, manifest):
    publish()

    def fail():
        with store.write(manifest(version=2)) as folder:
            (folder / "model.onnx").write_bytes(b"half")
            raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        fail()
    assert store.versions("ncf") == [1]
    assert sorted(path.name for path in (store.root / "ncf").iterdir()) == [".last-version", "1"]
    assert store.next_version("ncf") == 2


def test_a_version_appears_only_when_it_is_whole(store, manifest):
    with store.write(manifest()) as folder:
        (folder / "model.onnx").write_bytes(b"a graph")
        assert store.versions("ncf") == []

    assert store.versions("ncf") == [1]


def test_what_a_killed_writer_left_behind_is_ignored(store, publish):
    publish()
    left = store.root / "ncf" / ".staging-2-1234"
    left.mkdir()
    (left / "model.onnx").write_bytes(b"half")

    assert store.versions("ncf") == [1]
    assert publish().manifest.version == 2
    assert left.is_dir()


def test_a_version_is_never_written_twice(store, publish, manifest):
    first = publish()

    def write_again():
        with store.write(manifest(version=1)) as folder:
            (folder / "model.onnx").write_bytes(b"another graph")

    with pytest.raises(BundleError, match="ncf/1 exists already"):
        write_again()
    assert store.open("ncf", 1) == first
    assert sorted(path.name for path in (store.root / "ncf").iterdir()) == [".last-version", "1"]


def test_the_number_of_a_deleted_version_is_not_given_again(store, publish, manifest):
    publish()
    publish()
    shutil.rmtree(store.root / "ncf" / "2")

    assert store.next_version("ncf") == 3
    with pytest.raises(BundleError, match="did once; versions are never reused"), store.write(manifest(version=2)):
        pass
    assert publish().manifest.version == 3


def test_after_the_highest_number_no_version_is_written_that_nobody_would_see(store, publish, manifest):
    with store.write(manifest(version=10**18 - 1)):
        pass

    assert store.versions("ncf") == [10**18 - 1]
    with pytest.raises(BundleError, match=f"no version can follow {10**18 - 1}, since numbers have up to 18 digits"):
        publish()
    assert store.versions("ncf") == [10**18 - 1]


@pytest.mark.parametrize("content", ["", "x", "²", "-4", "1" * 30, "\udcff"])
def test_a_damaged_counter_does_not_stop_the_next_version(store, publish, content):
    publish()
    (store.root / "ncf" / ".last-version").write_bytes(content.encode(errors="surrogateescape"))

    assert publish().manifest.version == 2


def test_of_two_writers_of_one_version_one_wins_and_the_other_is_told(store, manifest):
    barrier = Barrier(2)

    def write(content: bytes) -> bytes | BundleError:
        try:
            with BundleStore(store.root).write(manifest(version=1)) as folder:
                (folder / "model.onnx").write_bytes(content)
                barrier.wait(timeout=30)
        except BundleError as error:
            return error
        return content

    with ThreadPoolExecutor(2) as executor:
        results = list(executor.map(write, [b"one" * 1000, b"two" * 1000]))

    (winner,) = (result for result in results if isinstance(result, bytes))
    (loser,) = (result for result in results if isinstance(result, BundleError))
    assert "ncf/1 exists already" in str(loser)
    assert store.open("ncf", 1).file("model.onnx").read_bytes() == winner
    assert sorted(path.name for path in (store.root / "ncf").iterdir()) == [".last-version", "1"]


def test_many_writers_get_versions_of_their_own(store, manifest):
    def write(number: int) -> int:
        own = BundleStore(store.root)
        while True:
            version = own.next_version("ncf")
            try:
                with own.write(manifest(version=version)) as folder:
                    (folder / "model.onnx").write_text(str(number))
            except BundleError:
                continue
            return version

    with ThreadPoolExecutor(4) as executor:
        versions = list(executor.map(write, range(12)))

    assert len(set(versions)) == 12
    assert store.versions("ncf") == sorted(versions)
    contents = [store.open("ncf", version).file("model.onnx").read_text() for version in versions]
    assert contents == [str(number) for number in range(12)]
    assert store.next_version("ncf") == max(versions) + 1
