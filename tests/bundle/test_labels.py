"""`labels.json`: what is given is read back, two writers lose nothing, and what is no label is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from audotics.bundle.errors import BundleCorruptError, BundleError, BundleNotFoundError
from audotics.bundle.store import BundleStore


def test_labels_are_given_moved_and_removed(store, publish):
    publish()
    publish()
    assert store.labels("ncf") == {}
    assert store.set_label("ncf", "stable", 1) == {"stable": 1}
    assert store.set_label("ncf", "canary", 2) == {"stable": 1, "canary": 2}
    assert store.set_label("ncf", "stable", 2) == {"stable": 2, "canary": 2}
    assert store.set_label("ncf", "canary", None) == {"stable": 2}
    assert store.set_label("ncf", "canary", None) == {"stable": 2}
    assert BundleStore(store.root).labels("ncf") == {"stable": 2}
    assert sorted(path.name for path in (store.root / "ncf").iterdir()) == [".last-version", "1", "2", "labels.json"]


def test_writers_at_the_same_time_lose_nothing(store, publish):
    publish()
    names = [f"label-{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as executor:
        list(executor.map(lambda name: BundleStore(store.root).set_label("ncf", name, 1), names))
    assert store.labels("ncf") == dict.fromkeys(names, 1)


def test_a_label_needs_a_version_on_disk(store, publish):
    publish()
    with pytest.raises(BundleNotFoundError, match="ncf/7: no such version on disk to label; there are: 1"):
        store.set_label("ncf", "stable", 7)
    with pytest.raises(BundleNotFoundError, match="no such model"):
        store.set_label("content", "stable", None)
    with pytest.raises(BundleNotFoundError, match="is not a model name"):
        store.set_label("../ncf", "stable", 1)
    assert not (store.root / "ncf" / "labels.json").exists()


@pytest.mark.parametrize("label", ["", "Stable", "1", "a b", "../x", "x" * 33, "st\nable"])
def test_what_is_no_label_is_refused(store, publish, label):
    publish()
    with pytest.raises(BundleError, match="is not a label"):
        store.set_label("ncf", label, 1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "is not an object"),
        ('{"Stable": 1}', "is no label"),
        ('{"stable": "1"}', "is no version"),
        ('{"stable": true}', "is no version"),
        ('{"stable": 0}', "is no version"),
        ('{"stable": 1.0}', "is no version"),
        ('{"stable": 1000000000000000000}', "is no version"),
        ("{" + ",".join(f'"l{number}": 1' for number in range(65)) + "}", "65 labels"),
    ],
)
def test_a_file_that_is_wrong_says_so_and_is_not_overwritten(store, publish, text, problem):
    publish()
    path = store.root / "ncf" / "labels.json"
    path.write_text(text)
    with pytest.raises(BundleCorruptError, match=f"ncf: labels.json .*{problem}"):
        store.labels("ncf")
    with pytest.raises(BundleCorruptError, match=problem):
        store.set_label("ncf", "stable", 1)
    assert path.read_text() == text


def test_a_linked_file_is_not_followed(store, publish, tmp_path):
    publish()
    (tmp_path / "elsewhere.json").write_text('{"stable": 1}')
    (store.root / "ncf" / "labels.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(BundleCorruptError, match="symbolic link"):
        store.labels("ncf")
