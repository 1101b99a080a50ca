"""Another index for a bundle: a published version and a goal go in, the next version with another index comes out."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.errors import BundleError
from audotics.bundle.indexes.settings import SETTINGS_FILE
from audotics.bundle.indexes.stored import HEAD_FILE, INDEX_FILE, QUERIES_FILE, VECTORS_FILE
from audotics.bundle.manifest import MANIFEST_FILE
from audotics.bundle.store import Bundle, BundleStore
from audotics.exporters.errors import ExportError
from audotics.exporters.index import write_tuned
from audotics.exporters.indexing.goal import Goal
from audotics.exporters.indexing.tuning import MAX_QUERIES, Tuned, tune
from audotics.training.progress import Progress

_INDEX_FILES: Final = (SETTINGS_FILE, INDEX_FILE, VECTORS_FILE, HEAD_FILE, QUERIES_FILE)
_USER_VECTORS: Final = "user_vector"


def reindex(
    store: BundleStore, name: str, version: int | None, goal: Goal, *, progress: Progress, threads: int = 1
) -> tuple[Bundle, Tuned]:
    """Publish the next version of a model with the index that `goal` asks for. `version` None is the highest on disk.

    Raises ExportError when the bundle cannot be read, has no vectors, or no index reaches the goal.
    """
    versions = store.versions(name)
    if not versions:
        raise ExportError(f"{store.root}: has no model {name!r}; it has: {', '.join(store.models()) or 'none'}")
    try:
        source = store.open(name, versions[-1] if version is None else version)
        vectors = _vectors(source)
        tuned = tune(vectors, queries_of(source, vectors), goal, progress=progress, title=str(source), threads=threads)
        manifest = replace(
            source.manifest,
            version=store.next_version(name),
            created_at=datetime.now(UTC).isoformat(),
            metrics={key: value for key, value in source.manifest.metrics.items() if not key.startswith("recall@")},
            files={},
        )
        with store.write(manifest) as folder:
            for path in source.path.rglob("*"):
                inside = path.relative_to(source.path)
                if path.is_file() and inside.as_posix() not in (*_INDEX_FILES, MANIFEST_FILE):
                    (folder / inside).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, folder / inside)
            manifest.metrics.update(write_tuned(folder, tuned))
        return store.open(name, manifest.version), tuned
    except BundleError as error:
        raise ExportError(str(error)) from error
    except OSError as error:
        raise ExportError(f"{store.root}: the index cannot be written ({error})") from error


def queries_of(bundle: Bundle, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Queries like those that the index will get: real listeners' where the bundle has some, tracks otherwise.

    They are those it was measured with before, or else what its model makes of its recorded inputs.
    """
    if QUERIES_FILE in bundle.manifest.files:
        return np.asarray(np.load(bundle.file(QUERIES_FILE)), np.float32)
    listeners = _listeners(bundle)
    if listeners is not None and len(listeners):
        return listeners
    return np.random.default_rng(0).permutation(vectors)[:MAX_QUERIES]


def _listeners(bundle: Bundle) -> NDArray[np.float32] | None:
    if not any(output.name == _USER_VECTORS for output in bundle.manifest.outputs):
        return None
    from audotics.exporters.exported import MODEL_FILE, ExportedModel

    with np.load(bundle.file("warmup.npz"), allow_pickle=False) as recorded:
        vectors = ExportedModel(bundle.file(MODEL_FILE)).run(dict(recorded))[_USER_VECTORS]
    found: NDArray[np.float32] = vectors[np.linalg.norm(vectors, axis=1) > 0]
    return found


def _vectors(bundle: Bundle) -> NDArray[np.float32]:
    if VECTORS_FILE not in bundle.manifest.files:
        raise ExportError(f"{bundle}: has no {VECTORS_FILE}, so there is nothing to index")
    return load_vectors(bundle.file(VECTORS_FILE))


def load_vectors(path: Path) -> NDArray[np.float32]:
    """Map a .npy file of float32 (n, d). Raises ExportError that names the file and what is wrong."""
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ExportError(f"{path}: cannot be read as a .npy file of vectors ({error})") from error
    if vectors.ndim != 2 or vectors.dtype != np.float32 or not vectors.size:
        raise ExportError(f"{path}: holds {vectors.dtype} of {vectors.shape}; expected float32 of (vectors, dimension)")
    if not np.isfinite(vectors).all():
        raise ExportError(f"{path}: a vector has a value that is not finite")
    return np.asarray(vectors)
