"""`index.json`: the kind of a vector index and how it is searched, so that a server needs no guess."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from audotics.bundle.errors import BundleCorruptError
from audotics.bundle.text_file import read_text_file

SETTINGS_FILE: Final = "index.json"
_FORMAT: Final = 1
_LARGEST: Final = 2**31 - 1
"""FAISS counts lists, probes and neighbours in 32 bits."""


class IndexKind(StrEnum):
    """What is compared with a query: all vectors, those of the nearest lists, their codes, or those along a graph."""

    FLAT = "flat"
    IVF_FLAT = "ivf_flat"
    IVF_PQ = "ivf_pq"
    HNSW = "hnsw"


class Metric(StrEnum):
    """What a score is. With COSINE, vectors and queries are brought to unit length."""

    INNER_PRODUCT = "inner_product"
    COSINE = "cosine"


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How an index is built and searched. What its kind does not use is 0.

    `depth` is the k that the settings were chosen for. `head_rows` counts the longest vectors, which every search
    compares exactly; lists hold the rest.
    """

    kind: IndexKind = IndexKind.FLAT
    metric: Metric = Metric.INNER_PRODUCT
    depth: int = 100
    head_rows: int = 0
    lists: int = 0
    """Lists of an inverted file, and …"""
    probes: int = 0
    """… how many of them a search visits."""
    code_parts: int = 0
    """Pieces that a vector is cut into for its code, four bits each."""
    rescored: int = 0
    """Rows that are found by code and compared exactly, for a search of `depth`."""
    links: int = 0
    """Neighbours of a vector in the graph, and …"""
    width: int = 0
    """… how many candidates a search keeps (FAISS: efSearch)."""

    def __post_init__(self) -> None:
        """Raises ValueError that names what does not fit."""
        needed = {
            IndexKind.FLAT: (),
            IndexKind.IVF_FLAT: ("lists", "probes"),
            IndexKind.IVF_PQ: ("lists", "probes", "code_parts", "rescored"),
            IndexKind.HNSW: ("links", "width"),
        }[self.kind]
        for name in (field.name for field in fields(self) if field.name not in ("kind", "metric")):
            value = getattr(self, name)
            least = 1 if name in (*needed, "depth") else 0
            if type(value) is not int or not least <= value <= _LARGEST:
                raise ValueError(f"{name!r} is {value!r}, a {self.kind} index needs a whole number above 0")

    @property
    def label(self) -> str:
        """How it stands in a table: "ivf_pq lists 1265 probes 8 …", without what is 0."""
        numbers = {name: value for name, value in asdict(self).items() if name not in ("kind", "metric", "depth")}
        return " ".join([str(self.kind), *(f"{name} {value}" for name, value in numbers.items() if value)])

    def bytes_per_vector(self, dimension: int) -> float:
        """Memory that serving takes for each vector, the vectors themselves included, once all of it was touched."""
        raw = 4.0 * dimension
        return {
            IndexKind.FLAT: raw,
            IndexKind.IVF_FLAT: 2 * raw + 8,
            IndexKind.IVF_PQ: raw + 2 * (self.code_parts / 2 + 8),  # FAISS copies codes and rows out of the map
            IndexKind.HNSW: raw + 8 * self.links + 16,
        }[self.kind]


@dataclass(frozen=True, slots=True)
class Recall:
    """Share of the `k` best rows that the index found for `queries` held-out queries, and what was asked of it."""

    k: int
    target: float
    measured: float
    queries: int


def write_settings(folder: Path, settings: IndexSettings, recall: Recall) -> None:
    """Write `index.json`."""
    value = {"format": _FORMAT, "settings": asdict(settings), "recall": asdict(recall)}
    (folder / SETTINGS_FILE).write_text(json.dumps(value, indent=2) + "\n", "utf-8")


def read_settings(folder: Path) -> tuple[IndexSettings, Recall] | None:
    """Read `index.json`; None where there is none. Raises BundleCorruptError that says what is wrong in it."""
    where = f"{folder.parent.name}/{folder.name}"
    try:
        text = read_text_file(folder / SETTINGS_FILE, where=where)
    except FileNotFoundError:
        return None
    try:
        value: dict[str, Any] = json.loads(text)
        if value["format"] != _FORMAT:
            raise ValueError(f"format {value['format']!r} is not {_FORMAT}")
        asked = dict(value["settings"])
        settings = IndexSettings(**{**asked, "kind": IndexKind(asked["kind"]), "metric": Metric(asked["metric"])})
        return settings, _recall(value["recall"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BundleCorruptError(
            f"{where}: {SETTINGS_FILE} cannot be used ({error}); export the model again"
        ) from error


def _recall(value: dict[str, Any]) -> Recall:
    recall = Recall(int(value["k"]), float(value["target"]), float(value["measured"]), int(value["queries"]))
    if recall.k < 1 or not (0 <= recall.target <= 1 and 0 <= recall.measured <= 1):
        raise ValueError(f"recall {value!r} is out of range")
    return recall
