"""`bundle.json`: what a bundle is, what goes in and out of its model, and the checksum of every file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from audotics.bundle.errors import BundleCorruptError

FORMAT_VERSION: Final = 1
MANIFEST_FILE: Final = "bundle.json"

_TEXTS: Final = ("name", "kind", "framework", "created_at", "catalog_fingerprint")
_NUMBERS: Final = ("parts", "metrics", "parity")
_MAPPINGS: Final = (*_NUMBERS, "training_data", "preprocessing", "tools", "files")


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model. `dtype` is NumPy's name, -1 in `shape` stands for any size."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """Checksum and size of one file of a bundle."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything a reader needs before it opens another file of the bundle."""

    name: str
    kind: str  # "catalog", "collaborative", "content", "ncf", "hybrid"
    version: int
    framework: str  # what trained it: "pytorch", "keras", "numpy"
    created_at: str  # ISO 8601, UTC
    catalog_fingerprint: str  # TrackColumns.fingerprint() of the rows the model refers to
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    parts: dict[str, int] = field(default_factory=dict)  # versions of other bundles it was trained with
    training_data: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    parity: dict[str, float] = field(default_factory=dict)  # "max_abs_diff" and "limit", source against export; …
    precision: str = "float32"  # of the arithmetic in model.onnx: "float32", "float16" or "int8"
    preprocessing: dict[str, Any] = field(default_factory=dict)  # what `audotics.features` needs to make the inputs
    tools: dict[str, str] = field(default_factory=dict)  # versions of the libraries that made it
    files: dict[str, FileRecord] = field(default_factory=dict)  # by path inside the bundle, "/" between folders
    format_version: int = FORMAT_VERSION

    @property
    def size_bytes(self) -> int:
        return sum(record.size_bytes for record in self.files.values())

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the names and checksums of all files: equal digests are equal content."""
        lines = [f"{name} {record.sha256}\n" for name, record in sorted(self.files.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: str) -> Manifest:
        """Parse a manifest. `where` names the bundle in errors. Raises BundleCorruptError."""
        try:
            value = json.loads(text)
            if value.get("format_version") != FORMAT_VERSION:
                raise BundleCorruptError(
                    f"{where}: bundle format {value.get('format_version')!r} is not {FORMAT_VERSION}; "
                    "export the model again with this release"
                )
            _check_types(value)
            value["inputs"] = tuple(_tensor(item) for item in value["inputs"])
            value["outputs"] = tuple(_tensor(item) for item in value["outputs"])
            value["files"] = {_inside(name): FileRecord(**record) for name, record in value["files"].items()}
            return cls(**value)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BundleCorruptError(f"{where}: {MANIFEST_FILE} is not a manifest ({error}); export again") from error


def _check_types(value: dict[str, Any]) -> None:
    for name in _TEXTS:
        if not isinstance(value[name], str):
            raise TypeError(f"{name!r} is not text")
    if not isinstance(value.get("precision", "float32"), str):  # bundles from before it was noted are float32
        raise TypeError("'precision' is not text")
    if type(value["version"]) is not int:
        raise TypeError("'version' is not an integer")
    for name in _MAPPINGS:
        if not isinstance(value[name], dict):
            raise TypeError(f"{name!r} is not an object")
    for name in _NUMBERS:
        if not all(type(number) in (int, float) for number in value[name].values()):
            raise TypeError(f"{name!r} has a value that is not a number")


def _tensor(value: dict[str, Any]) -> TensorSpec:
    return TensorSpec(str(value["name"]), str(value["dtype"]), tuple(int(size) for size in value["shape"]))


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name or name == MANIFEST_FILE:
        raise ValueError(f"file name {name!r} is not a plain path inside the bundle")
    return name
