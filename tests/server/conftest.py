"""Fixtures for the server's tests: the small repository, whole or in parts, for one test to use and alter."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from audotics.bundle.manifest import MANIFEST_FILE
from audotics.bundle.store import BundleStore
from tests.small_repository import RepositoryFiles, write_repository


@pytest.fixture
def make_repository() -> Callable[..., RepositoryFiles]:
    """Factory `make_repository(folder, *, n_tracks=200, n_users=30, kinds=KINDS, other_rows=False, seed=7)`.

    Tracks are "t000" …, listeners "u00" …; listener i and track i have taste i % 4; artists are "Artist 00" … with five
    tracks each; the last eight tracks are cold. `kinds` picks the bundles to write. With `other_rows` the models number
    the tracks in another order than the catalogue and lack its last ten. A second call for the same folder adds the
    next version of each.
    """
    return write_repository


@pytest.fixture(scope="session")
def repository_template(tmp_path_factory: pytest.TempPathFactory) -> RepositoryFiles:
    """What `repository` copies, since publishing bundles waits for the disk. Not to be altered."""
    return write_repository(tmp_path_factory.mktemp("template") / "repository")


@pytest.fixture
def repository(repository_template: RepositoryFiles, tmp_path: Path) -> RepositoryFiles:
    """The complete repository with default sizes, for one test to use and alter."""
    path = shutil.copytree(repository_template.path, tmp_path / "repository")
    return replace(repository_template, path=path, store=BundleStore(path))


@pytest.fixture
def sign_again() -> Callable[..., None]:
    """`sign_again(bundle_folder, **fields)`: fit a manifest to altered files, as a faulty exporter would."""

    def sign(bundle: Path, **fields: object) -> None:
        manifest = json.loads((bundle / MANIFEST_FILE).read_text())
        manifest["files"] = {
            path.relative_to(bundle).as_posix(): {
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "size_bytes": path.stat().st_size,
            }
            for path in bundle.rglob("*")
            if path.is_file() and path.name != MANIFEST_FILE
        }
        (bundle / MANIFEST_FILE).write_text(json.dumps({**manifest, **fields}))

    return sign
