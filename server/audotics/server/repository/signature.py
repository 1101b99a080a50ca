"""What a model takes and gives: a loaded graph and its recorded inputs go in; one that would not serve is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.bundle.manifest import TensorSpec
from audotics.bundle.store import Bundle
from audotics.server.errors import RefusedModelError
from audotics.server.runtime.model import InferenceError, Model, UnavailableModelError, UnfinishedRunError

WARMUP_FILE: Final = "warmup.npz"
_MOST_WARMUP_BYTES: Final = 256 * 1024 * 1024
"""Unpacked; recorded inputs are a few rows."""

_CLASSIFIER: Final = {"features": ("float32", 2)}
_INPUTS: Final[dict[str, dict[str, tuple[str, int]]]] = {
    "collaborative": {"history": ("int64", 2)},
    "content": {"audio": ("float32", 2), "tags": ("float32", 2), "artist": ("int64", 1)},
    "ncf": {"history": ("int64", 2), "user_index": ("int64", 1), "track": ("int64", 1)},
    "sequence": {"history": ("int64", 2)},
    "hybrid": {"components": ("float32", 2), "available": ("float32", 2), "context": ("float32", 2)},
    "mood": _CLASSIFIER,
    "genre": _CLASSIFIER,
    "group": {
        "member_history": ("int64", 2),
        "known": ("float32", 2),
        "event": ("int64", 1),
        "event_weight": ("float32", 1),
        "event_known": ("float32", 1),
        "familiarity": ("float32", 1),
        "candidate": ("int64", 1),
    },
}
"""Type and number of dimensions of each input, by kind."""

_OPTIONAL_INPUTS: Final[dict[str, dict[str, tuple[str, int]]]] = {
    "group": {"taste": ("float32", 2), "has_taste": ("float32", 1)}
}
"""Inputs that some models of a kind have, and then all of them."""

_OUTPUTS: Final[dict[str, dict[str, int]]] = {
    "collaborative": {"user_vector": 2},
    "content": {"embedding": 2, "length": 1},
    "ncf": {"logit": 1},
    "sequence": {"scores": 2},
    "hybrid": {"weights": 2, "score": 1, "confidence": 1},
    "mood": {"probabilities": 2},
    "genre": {"probabilities": 2},
    "group": {"score": 1, "weights": 2, "member_score": 2, "compatibility": 2, "group_compatibility": 1},
}


def check_signature(bundle: Bundle, model: Model) -> None:
    """Raises RefusedModelError unless the graph has the inputs and outputs of its kind and those of its manifest."""
    kind = bundle.manifest.kind
    expected = _INPUTS.get(kind)
    inputs = {spec.name: (spec.dtype, len(spec.shape)) for spec in model.inputs}
    if expected is not None and inputs not in (expected, expected | _OPTIONAL_INPUTS.get(kind, {})):
        raise RefusedModelError(f"{bundle}: its inputs are {_listed(inputs)}; a {kind} model has {_listed(expected)}")
    missing = _OUTPUTS.get(kind, {}).keys() - {spec.name for spec in model.outputs}
    if missing:
        raise RefusedModelError(f"{bundle}: it has no output {', '.join(sorted(missing))}; export it again")
    for what, recorded, found in (
        ("input", bundle.manifest.inputs, model.inputs),
        ("output", bundle.manifest.outputs, model.outputs),
    ):
        shapes = {spec.name: spec for spec in found}
        for spec in recorded:
            if spec.name not in shapes or not _fits(spec, shapes[spec.name]):
                there = shapes.get(spec.name, "missing")
                raise RefusedModelError(
                    f"{bundle}: {what} {spec.name!r} of the model is {there}, its manifest says {spec}; export it again"
                )


def warm_up(bundle: Bundle, model: Model, *, width: int | None) -> None:
    """Run the recorded inputs, so that the first caller does not pay for it and a broken model never serves one.

    `width` is the number of columns of outputs that are matrices, where it is known. Raises RefusedModelError,
    UnavailableModelError or UnfinishedRunError.
    """
    ranks = _OUTPUTS.get(bundle.manifest.kind)
    outputs = [spec.name for spec in model.outputs] if ranks is None else list(ranks)
    try:
        results = model.run(recorded_inputs(bundle), outputs)
    except (UnavailableModelError, UnfinishedRunError):
        raise
    except (OSError, MemoryError, InferenceError) as error:
        raise RefusedModelError(f"{bundle}: it fails on the inputs in {WARMUP_FILE!r}; export it again") from error
    for name, result in zip(outputs, results, strict=True):
        if result.dtype.kind == "f" and not np.isfinite(result).all():
            raise RefusedModelError(f"{bundle}: output {name!r} is not finite on recorded inputs; export it again")
        if ranks is not None and result.ndim != ranks[name]:
            raise RefusedModelError(
                f"{bundle}: output {name!r} has {result.ndim} dimensions, not {ranks[name]}; export it again"
            )
        if width is not None and result.ndim == 2 and result.shape[1] != width:
            raise RefusedModelError(
                f"{bundle}: output {name!r} has {result.shape[1]} columns, not {width}; export again"
            )


def recorded_inputs(bundle: Bundle) -> dict[str, NDArray[Any]]:
    """By name. Raises RefusedModelError that says what is wrong with the file, MemoryError or OSError."""
    try:
        return _recorded(bundle, bundle.path / WARMUP_FILE)
    except (OSError, MemoryError, RefusedModelError):
        raise
    except Exception as error:  # archives and headers that lie make zipfile and NumPy raise a dozen unrelated classes
        raise RefusedModelError(
            f"{bundle}: {WARMUP_FILE!r} is no archive of arrays ({type(error).__name__}); export it again"
        ) from error


def _recorded(bundle: Bundle, path: Path) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        unpacked = sum(entry.file_size for entry in entries)
    if unpacked > _MOST_WARMUP_BYTES:
        raise RefusedModelError(
            f"{bundle}: {WARMUP_FILE} unpacks to {unpacked:,} bytes, and {_MOST_WARMUP_BYTES:,} are allowed; record "
            "fewer rows"
        )
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names) or not all(name.endswith(".npy") for name in names):
        raise ValueError("members that are no arrays, or several of one name")
    with np.load(path, allow_pickle=False) as recorded:
        # Texts of any length are objects to a model, and could not be stored as such without pickle.
        return {
            name: array.astype(np.object_) if array.dtype.kind == "U" else array for name, array in recorded.items()
        }


def _fits(recorded: TensorSpec, found: TensorSpec) -> bool:
    # A graph whose exporter inferred no shapes has an output without any, which says nothing.
    if recorded.dtype != found.dtype or (found.shape and len(recorded.shape) != len(found.shape)):
        return False
    sizes = zip(recorded.shape, found.shape, strict=False)
    return all(-1 in (ours, theirs) or ours == theirs for ours, theirs in sizes)


def _listed(inputs: dict[str, tuple[str, int]]) -> str:
    return ", ".join(f"{name} {dtype} of {rank} dimensions" for name, (dtype, rank) in sorted(inputs.items()))
