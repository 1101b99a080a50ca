"""`bundle.json`: what a bundle is, what goes in and out of its model, and the checksum of every file."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Final

from audotics.bundle.errors import BundleCorruptError

FORMAT_VERSION: Final = 1
MANIFEST_FILE: Final = "bundle.json"

_TEXTS: Final = ("name", "kind", "framework", "created_at", "catalog_fingerprint")
_LONGEST_TEXT: Final = 256
_NUMBERS: Final = ("parts", "metrics", "parity")
_MAPPINGS: Final = (*_NUMBERS, "training_data", "preprocessing", "tools", "files")
_LARGEST: Final = 2**63 - 1
"""What the wire has room for: sizes, versions and dimensions are reported as they stand here."""

_MOST_DIMENSIONS: Final = 32


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
            if "\\ud" in text.lower():
                json.dumps(value, ensure_ascii=False).encode()  # half a character is text nowhere else
            value["inputs"] = tuple(_tensor(item) for item in value["inputs"])
            value["outputs"] = tuple(_tensor(item) for item in value["outputs"])
            value["files"] = {_inside(name): _record(record) for name, record in value["files"].items()}
            manifest = cls(**value)
            if manifest.size_bytes > _LARGEST:
                raise ValueError("its files would not fit on any disk")
            return manifest
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            raise BundleCorruptError(f"{where}: {MANIFEST_FILE} is not a manifest ({error}); export again") from error


def _check_types(value: dict[str, Any]) -> None:
    for name in _TEXTS:
        if not isinstance(value[name], str) or len(value[name]) > _LONGEST_TEXT:
            raise TypeError(f"{name!r} is not text of up to {_LONGEST_TEXT} characters")
    datetime.fromisoformat(value["created_at"]).astimezone(UTC)  # raises ValueError or OverflowError
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
        for number in value[name].values():
            math.isfinite(number)  # raises OverflowError for an integer beyond all floats
    for part, version in value["parts"].items():
        if not _is_count(version) or not version:
            raise TypeError(f"'parts' gives {part!r} the version {version!r}, which is none")


def _tensor(value: dict[str, Any]) -> TensorSpec:
    name, dtype, shape = value["name"], value["dtype"], value["shape"]
    if not all(isinstance(text, str) and len(text) <= _LONGEST_TEXT for text in (name, dtype)):
        raise TypeError(f"the name or the type of a tensor is not text of up to {_LONGEST_TEXT} characters")
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS or not all(map(_is_size, shape)):
        raise TypeError(f"the shape of {name!r} is not a list of up to {_MOST_DIMENSIONS} sizes, -1 for any")
    return TensorSpec(name, dtype, tuple(shape))


def _is_size(value: object) -> bool:
    return _is_count(value) or (type(value) is int and value == -1)


def _record(value: dict[str, Any]) -> FileRecord:
    record = FileRecord(**value)
    if not isinstance(record.sha256, str) or not _is_count(record.size_bytes):
        raise TypeError(f"{value!r} is not a checksum and a size")
    return record


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    plain = not path.is_absolute() and ".." not in path.parts and "\\" not in name and "\0" not in name
    if not plain or str(path) != name or name == MANIFEST_FILE:
        raise ValueError(f"file name {name!r} is not a plain path inside the bundle")
    return name
