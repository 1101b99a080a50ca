"""Manifests survive JSON, and what is no manifest is refused with the reason."""

from __future__ import annotations

import json
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.bundle.errors import BundleCorruptError
from audotics.bundle.manifest import FileRecord, Manifest, TensorSpec

text = st.text(max_size=20)
numbers = st.dictionaries(text, st.floats(allow_nan=False), max_size=3)
specs = st.lists(
    st.builds(
        TensorSpec, text, st.sampled_from(["int64", "float32"]), st.lists(st.integers(-1, 99), max_size=32).map(tuple)
    ),
    max_size=3,
).map(tuple)
manifests = st.builds(
    Manifest,
    name=text,
    kind=text,
    version=st.integers(1, 10**12),
    framework=text,
    created_at=st.datetimes(timezones=st.just(UTC)).map(lambda time: time.isoformat()),
    catalog_fingerprint=text,
    inputs=specs,
    outputs=specs,
    parts=st.dictionaries(text, st.integers(1, 9), max_size=3),
    training_data=st.dictionaries(text, text | st.lists(st.integers()), max_size=3),
    metrics=numbers,
    parity=numbers,
    precision=st.sampled_from(["float32", "float16", "int8"]),
    preprocessing=st.dictionaries(text, st.lists(text), max_size=3),
    tools=st.dictionaries(text, text, max_size=3),
    files=st.dictionaries(
        st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?", fullmatch=True),
        st.builds(FileRecord, text, st.integers(0, 10**12)),
        max_size=3,
    ),
)


@given(manifest=manifests)
def test_json_keeps_everything(manifest):
    assert Manifest.from_json(manifest.to_json(), where="ncf/1") == manifest


def test_a_bundle_from_before_precision_was_noted_is_float32(manifest):
    older = json.loads(manifest().to_json())
    del older["precision"]

    assert Manifest.from_json(json.dumps(older), where="ncf/1").precision == "float32"


@given(garbage=st.text() | st.recursive(st.none() | st.integers() | text, st.lists).map(json.dumps))
def test_garbage_is_refused_and_never_crashes(garbage):
    with pytest.raises(BundleCorruptError, match=r"^ncf/1: "):
        Manifest.from_json(garbage, where="ncf/1")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("name", 5, "'name' is not text"),
        ("created_at", None, "'created_at' is not text"),
        ("version", "1", "'version' is not an integer"),
        ("version", True, "'version' is not an integer"),
        ("version", 1.0, "'version' is not an integer"),
        ("metrics", [0.5], "'metrics' is not an object"),
        ("metrics", {"ndcg@10": "high"}, "'metrics' has a value that is not a number"),
        ("parity", {"max_abs_diff": None}, "'parity' has a value that is not a number"),
        ("precision", 16, "'precision' is not text"),
        ("preprocessing", "none", "'preprocessing' is not an object"),
        ("files", ["model.onnx"], "'files' is not an object"),
        ("files", {"model.onnx": {"sha256": "0"}}, "size_bytes"),
        ("inputs", [{"name": "x"}], "dtype"),
        ("inputs", None, "not iterable"),
        ("surprise", 1, "surprise"),
    ],
)
def test_a_field_of_another_type_is_named(manifest, field, value, reason):
    altered = json.dumps({**json.loads(manifest().to_json()), field: value})

    with pytest.raises(BundleCorruptError, match=rf"^ncf/1: bundle.json is not a manifest \(.*{reason}.*export again"):
        Manifest.from_json(altered, where="ncf/1")


@pytest.mark.parametrize("field", ["name", "version", "files", "inputs", "parity"])
def test_a_missing_field_is_named(manifest, field):
    value = json.loads(manifest().to_json())
    del value[field]

    with pytest.raises(BundleCorruptError, match=rf"is not a manifest \('{field}'\)"):
        Manifest.from_json(json.dumps(value), where="ncf/1")


def test_json_nested_without_end_is_refused():
    with pytest.raises(BundleCorruptError, match="is not a manifest"):
        Manifest.from_json("[" * 200_000, where="ncf/1")
