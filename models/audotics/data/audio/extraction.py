"""Extraction of features: recordings go in, a row of features a recording comes out, or the reason why there is none.

With several workers, each is a process of its own that gets a path and answers with a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from audotics.data.audio.files import AudioFileError, Recording, read_clip
from audotics.data.dataset import DataError

CLIP_S: Final = 30.0
"""As long as the clips of GTZAN."""

FORMATS: Final = (".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """What is known of one track: the columns of the table by name."""

    recording: Recording
    columns: dict[str, str | float | int]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A recording that gives no features, and why."""

    recording: Recording
    reason: str


def extract(
    recordings: Sequence[Recording], *, workers: int = 1, clip_s: float = CLIP_S
) -> Iterator[FeatureRow | Skipped]:
    """Yield an answer a recording, in the order in which they are ready. A file that fails never stops the others.

    Raises DataError when a worker is killed.
    """
    if workers == 1:
        for recording in recordings:
            yield extract_one(recording, clip_s)
        return
    # Spawned, not forked: the caller may have threads, whose locks a fork would copy in any state.
    with ProcessPoolExecutor(min(workers, len(recordings)), mp_context=get_context("spawn")) as pool:
        answers = [pool.submit(extract_one, recording, clip_s) for recording in recordings]
        try:
            for answer in as_completed(answers):
                yield answer.result()
        except BrokenProcessPool as error:
            raise DataError("a worker was killed, perhaps for want of memory; try fewer --workers") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def extract_one(recording: Recording, clip_s: float) -> FeatureRow | Skipped:
    """Analyse one file."""
    try:
        clip = read_clip(recording.path, clip_s=clip_s)
    except AudioFileError as error:
        return Skipped(recording, str(error))
    from audotics.data.audio.estimates import estimate  # librosa, some seconds
    from audotics.data.audio.gtzan import analyse

    analysis = analyse(clip.samples)
    return FeatureRow(
        recording,
        {
            "id": recording.track_id,
            "title": clip.title,
            "artist": clip.artist,
            "album": clip.album,
            "duration_ms": round(clip.duration_s * 1000),
            **estimate(clip.samples, analysis),
            **analysis.features,
        },
    )


def check_format(path: Path) -> None:
    """Raise DataError when `path` does not end in one of FORMATS."""
    if path.suffix.lower() not in FORMATS:
        raise DataError(f"is no table; end the name in {' or '.join(FORMATS)}", path=path)


def write_features(path: Path, rows: Sequence[FeatureRow]) -> None:
    """Write at least one row as CSV or Parquet, as the name says; what was there before stays until all is written.

    The table is one of tracks as the loaders read it. Raises DataError.
    """
    check_format(path)
    table = pa.Table.from_pylist([row.columns for row in rows])
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".csv":
            pa_csv.write_csv(table, partial)
        else:
            pq.write_table(table, partial)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise DataError(f"cannot be written: {error.strerror or error}", path=path) from error
