"""Fixtures of the bundle tests: a repository in a temporary folder, and a way to publish small bundles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from audotics.bundle.manifest import Manifest, TensorSpec
from audotics.bundle.store import Bundle, BundleStore

FILES = {"model.onnx": b"a graph", "variables/variables.index": b"an index", "empty.bin": b""}


@pytest.fixture
def store(tmp_path: Path) -> BundleStore:
    return BundleStore(tmp_path / "repository")


@pytest.fixture
def manifest() -> Callable[..., Manifest]:
    """`manifest(name, version, **fields)`: a manifest with every field filled in."""

    def make(name: str = "ncf", version: int = 1, **fields: object) -> Manifest:
        values = {
            "kind": "ncf",
            "framework": "pytorch",
            "created_at": "2026-01-02T03:04:05+00:00",
            "catalog_fingerprint": "ab" * 32,
            "inputs": (TensorSpec("history", "int64", (-1, -1)),),
            "outputs": (TensorSpec("logit", "float32", (-1,)),),
            "parts": {"catalog": 3},
            "training_data": {"dataset": "yes", "report": {"read": {"tracks": 9}}},
            "metrics": {"ndcg@10": 0.25},
            "parity": {"max_abs_diff": 1e-6, "limit": 1e-4, "cases": 12},
            "preprocessing": {"tags": ["rock", "дует"]},
            "tools": {"torch": "2.13.0"},
        }
        return Manifest(name=name, version=version, **{**values, **fields})

    return make


@pytest.fixture
def publish(store: BundleStore, manifest: Callable[..., Manifest]) -> Callable[..., Bundle]:
    """`publish(name)`: write the next version of a model with FILES and open it."""

    def write(name: str = "ncf") -> Bundle:
        version = store.next_version(name)
        with store.write(manifest(name, version)) as folder:
            for file, content in FILES.items():
                (folder / file).parent.mkdir(exist_ok=True)
                (folder / file).write_bytes(content)
        return store.open(name, version)

    return write
