"""Arrow files of a bundle: the catalogue's columns, listeners' histories, and the track ids of a model's rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.tracks import TagSets, TrackColumns

TRACKS_FILE: Final = "tracks.arrow"
HISTORIES_FILE: Final = "histories.arrow"
IDS_FILE: Final = "ids.arrow"

_TEXT_COLUMNS: Final = ("ids", "titles", "artists", "albums")
_NUMBER_COLUMNS: Final = ("release_years", "explicit", "durations_ms", "popularity", "plays")


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
    table = _read(folder / TRACKS_FILE)
    tags = table["tags"].combine_chunks()
    codes = tags.values
    columns: dict[str, Any] = {name: _texts(table[name]) for name in _TEXT_COLUMNS}
    columns |= {name: _numbers(table[name].combine_chunks()) for name in _NUMBER_COLUMNS}
    return TrackColumns(
        **columns,
        audio=np.stack([_numbers(table[f"audio.{feature}"].combine_chunks()) for feature in AUDIO_FEATURES], axis=1),
        tags=TagSets(
            tuple(codes.dictionary.to_pylist()),
            _numbers(tags.offsets),
            _numbers(codes.indices),
        ),
    )


def write_histories(folder: Path, histories: Histories) -> None:
    rows = pa.LargeListArray.from_arrays(pa.array(histories.offsets, pa.int64()), pa.array(histories.rows, pa.int32()))
    _write(folder / HISTORIES_FILE, pa.table({"user_id": pa.array(histories.user_ids, pa.string()), "rows": rows}))


def read_histories(folder: Path) -> Histories:
    table = _read(folder / HISTORIES_FILE)
    rows = table["rows"].combine_chunks()
    return Histories(_texts(table["user_id"]), _numbers(rows.offsets), _numbers(rows.values))


def write_ids(folder: Path, ids: NDArray[np.object_]) -> None:
    _write(folder / IDS_FILE, pa.table({"track_id": pa.array(ids, pa.string())}))


def read_ids(folder: Path) -> NDArray[np.object_]:
    """Object array of shape (n,): the track id of each row of the bundle's model."""
    return _texts(_read(folder / IDS_FILE)["track_id"])


def _texts(column: pa.ChunkedArray) -> NDArray[np.object_]:
    """Equal texts as one object."""
    codes = column.combine_chunks().dictionary_encode()
    texts: NDArray[np.object_] = np.asarray(codes.dictionary.to_pylist(), object)[_numbers(codes.indices)]
    return texts


def _numbers(array: pa.Array) -> NDArray[Any]:
    """A view. `to_numpy` would import pandas where it is installed, for 40 MB and half a second of a server's start."""
    numbers: NDArray[Any] = np.from_dlpack(array)
    return numbers


def _write(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _read(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
