"""Arrow files of a bundle: the catalogue's columns, listeners' histories, and the track ids of a model's rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.tracks import TagSets, TrackColumns

TRACKS_FILE: Final = "tracks.arrow"
HISTORIES_FILE: Final = "histories.arrow"
IDS_FILE: Final = "ids.arrow"

_TEXT_COLUMNS: Final = ("ids", "titles", "artists", "albums")
_NUMBER_COLUMNS: Final = {
    "release_years": pa.int16(),
    "explicit": pa.int8(),
    "durations_ms": pa.int32(),
    "popularity": pa.float32(),
    "plays": pa.float32(),
}


@dataclass(frozen=True, slots=True)
class Histories:
    """Listening histories of the training data: user u heard `rows[offsets[u]:offsets[u + 1]]`, oldest first."""

    user_ids: NDArray[np.object_]
    offsets: NDArray[np.int64]
    rows: NDArray[np.int32]


def write_tracks(folder: Path, tracks: TrackColumns) -> None:
    arrays: dict[str, Any] = {name: pa.array(getattr(tracks, name), pa.string()) for name in _TEXT_COLUMNS}
    names = pa.array(tracks.tags.names, pa.string())
    codes = pa.DictionaryArray.from_arrays(pa.array(tracks.tags.codes, pa.int32()), names)
    arrays["tags"] = pa.LargeListArray.from_arrays(pa.array(tracks.tags.offsets, pa.int64()), codes)
    for column, feature in enumerate(AUDIO_FEATURES):
        arrays[f"audio.{feature}"] = pa.array(np.ascontiguousarray(tracks.audio[:, column]))
    for name in _NUMBER_COLUMNS:
        arrays[name] = pa.array(getattr(tracks, name))
    _write(folder / TRACKS_FILE, pa.table(arrays))


def read_tracks(folder: Path) -> TrackColumns:
    """Raises OSError, or ValueError that names a column that is missing or holds something else."""
    table = _read(folder / TRACKS_FILE)
    tags = _column(table, "tags", pa.large_list(pa.dictionary(pa.int32(), pa.string())))
    audio = [_column(table, f"audio.{feature}", pa.float32()) for feature in AUDIO_FEATURES]
    columns: dict[str, Any] = {name: _texts(_column(table, name, pa.string())) for name in _TEXT_COLUMNS}
    columns |= {name: _numbers(_column(table, name, kind)) for name, kind in _NUMBER_COLUMNS.items()}
    return TrackColumns(
        **columns,
        audio=np.stack([_numbers(column) for column in audio], axis=1),
        tags=TagSets(tuple(tags.values.dictionary.to_pylist()), _numbers(tags.offsets), _numbers(tags.values.indices)),
    )


def write_histories(folder: Path, histories: Histories) -> None:
    rows = pa.LargeListArray.from_arrays(pa.array(histories.offsets, pa.int64()), pa.array(histories.rows, pa.int32()))
    _write(folder / HISTORIES_FILE, pa.table({"user_id": pa.array(histories.user_ids, pa.string()), "rows": rows}))


def read_histories(folder: Path) -> Histories:
    """Raises OSError, or ValueError that names a column that is missing or holds something else."""
    table = _read(folder / HISTORIES_FILE)
    rows = _column(table, "rows", pa.large_list(pa.int32()))
    return Histories(_texts(_column(table, "user_id", pa.string())), _numbers(rows.offsets), _numbers(rows.values))


def write_ids(folder: Path, ids: NDArray[np.object_]) -> None:
    _write(folder / IDS_FILE, pa.table({"track_id": pa.array(ids, pa.string())}))


def read_ids(folder: Path) -> NDArray[np.object_]:
    """Object array of shape (n,): the track id of each row of the bundle's model. Raises OSError or ValueError."""
    return _texts(_column(_read(folder / IDS_FILE), "track_id", pa.string()))


def _texts(column: pa.Array) -> NDArray[np.object_]:
    """Equal texts as one object."""
    # Arrow's own allocator would keep what it needs here for good.
    codes = pc.dictionary_encode(column, memory_pool=pa.system_memory_pool())
    texts: NDArray[np.object_] = np.asarray(codes.dictionary.to_pylist(), object)[_numbers(codes.indices)]
    return texts


def _numbers(array: pa.Array) -> NDArray[Any]:
    """A copy. `to_numpy` would import pandas where it is installed, for 40 MB and half a second of a server's start."""
    return np.array(np.from_dlpack(array))


def _column(table: pa.Table, name: str, kind: pa.DataType) -> pa.Array:
    """One array without nulls, of exactly that type, whose offsets and texts are what they claim to be."""
    if name not in table.column_names:
        raise ValueError(f"it has no column {name!r}")
    column = table[name].combine_chunks()
    if column.type != kind:
        raise ValueError(f"its column {name!r} is {column.type}, not {kind}")
    # Arrow believes what a file says of itself: an offset beyond the end would be read, and the process be gone.
    column.validate(full=True)
    nested = [column.values] if pa.types.is_large_list(kind) else []
    nested += [each.dictionary for each in nested if pa.types.is_dictionary(each.type)]
    if any(each.null_count for each in (column, *nested)):
        raise ValueError(f"its column {name!r} has empty places")
    return column


def _write(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _read(path: Path) -> pa.Table:
    """Read, not mapped: whoever cuts a mapped file short ends the process that looks at it."""
    with pa.ipc.open_file(pa.py_buffer(path.read_bytes())) as reader:
        return reader.read_all()
