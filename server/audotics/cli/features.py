"""`audotics features`: audio files go in, a table of tracks with their features comes out."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Annotated

import typer

from audotics.cli.output import expected_errors, fail, print_json, print_line

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Compute features of audio files.")


@app.callback()
def features() -> None:
    """Compute features of audio files."""


@app.command()
def extract(
    files: Annotated[list[Path], typer.Argument(help="Audio files (WAV, FLAC, MP3, …), and folders that hold some.")],
    output: Annotated[
        Path,
        typer.Option(help="The table to write: FILE.csv or FILE.parquet. As tracks.csv it joins interactions.csv."),
    ] = Path("features.csv"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Files at once. [default: one a processor]", show_default=False)
    ] = None,
    seconds: Annotated[float, typer.Option(min=3, help="Length of the middle part that is analysed.")] = 30.0,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a file had to be skipped.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was written and skipped as JSON.")] = False,
) -> None:
    """Compute the GTZAN features of audio files, and estimates of tempo, key, mode, energy, danceability, valence."""
    from audotics.cli.progress import rich_progress
    from audotics.data.audio.extraction import Skipped, check_format, write_features
    from audotics.data.audio.extraction import extract as extract_features
    from audotics.data.audio.files import find_recordings
    from audotics.data.dataset import DataError

    for package in ("librosa", "soundfile"):  # before any worker starts
        importlib.import_module(package)
    with expected_errors(DataError):
        check_format(output)
        recordings = find_recordings(files)
        rows, skipped = [], []
        with rich_progress() as progress, progress.stage("features", len(recordings)) as stage:
            for answer in extract_features(
                recordings, workers=min(workers or os.cpu_count() or 1, len(recordings)), clip_s=seconds
            ):
                if isinstance(answer, Skipped):
                    skipped.append(answer)
                    progress.say(f"skipped {answer.recording.path}: {answer.reason}")
                else:
                    rows.append(answer)
                stage.advance(1, answer.recording.path.name)
        if not rows:
            fail(f"none of {len(recordings)} files gives features; nothing is written")
        order = {recording: place for place, recording in enumerate(recordings)}
        write_features(output, sorted(rows, key=lambda row: order[row.recording]))
    if json:
        names = {str(answer.recording.path): answer.reason for answer in skipped}
        print_json({"output": str(output), "tracks": len(rows), "skipped": names})
    else:
        print_line(f"Wrote {output}: {len(rows):,} tracks; {len(skipped):,} files skipped")
    if skipped and strict:
        raise typer.Exit(1)
