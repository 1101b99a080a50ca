"""The catalogue's bundle: all tracks of the run's data with their columns, and what its listeners heard."""

from __future__ import annotations

from pathlib import Path

from audotics.bundle.catalog import write_histories, write_tracks
from audotics.exporters.formats import DEFAULT, Formats
from audotics.exporters.prepared import Prepared, Source
from audotics.training.progress import Progress


def prepare(source: Source, folder: Path, progress: Progress, *, formats: Formats = DEFAULT) -> Prepared:
    """Write `tracks.arrow` and `histories.arrow`. There is no model, so `formats` say nothing of it."""
    write_tracks(folder, source.tracks)
    write_histories(folder, source.run.histories())
    return Prepared("catalog", folder, framework="numpy", catalog_fingerprint=source.tracks.fingerprint())
