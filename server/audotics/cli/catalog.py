"""`audotics catalog`: a file of tracks goes into a server's catalogue, and the artists of its tracks come out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from audotics.cli.connection import JsonOption, ServerOption, connected
from audotics.cli.output import console, expected_errors, print_json, print_line, print_table
from audotics.cli.paging import all_pages, print_more
from audotics.client import Artist, AudioFeatures, Track

if TYPE_CHECKING:
    from audotics.features.tracks import TrackColumns

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Change the tracks that a server can recommend, and list their artists.",
)

_SHOWN_GENRES: Final = 3
_STREAM_TRACKS: Final = 50_000
"""Tracks that are stored together; a file with more takes several rounds."""


@app.callback()
def catalog() -> None:
    """Change the tracks that a server can recommend, and list their artists."""


@app.command("import")
def import_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Tracks, .csv, .tsv, .parquet, or .jsonl with one object a line.")
    ],
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave broken rows out and count them, instead of stopping.")
    ] = False,
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """Add the tracks of a file, or replace those that the server knows, by id.

    Only the column id (or track_id) is needed; title, artist, album, tags, genres, release_year, explicit, duration_ms,
    popularity and the audio features are read where there are any.
    """
    from audotics.data.dataset import DataError, LoadReport
    from audotics.data.loaders.tracks import load_tracks

    report = LoadReport(str(file))
    with expected_errors(DataError):
        tracks = load_tracks(file, report=report, skip_bad_rows=skip_bad_rows)
    created = updated = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with connected(server) as client, Progress(*columns, console=console(stderr=True), transient=True) as progress:
        bar = progress.add_task("Importing", total=len(tracks))
        remaining = _tracks_of(tracks)
        while part := list(islice(remaining, _STREAM_TRACKS)):
            result = client.import_tracks(progress.track(part, task_id=bar))
            created, updated = created + result.created_count, updated + result.updated_count
    if json:
        print_json({"created": created, "updated": updated, "dropped": dict(+report.dropped)})
        return
    for reason, count in (+report.dropped).items():
        print_line(f"left out: {count:,} {reason}", style="yellow")
    print_line(f"{created:,} added, {updated:,} replaced", style="bold")


@app.command("artists")
def list_artists(
    prefix: Annotated[str, typer.Option(help="What names begin with, in any case.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=1, help="Most artists to show.")] = 20,
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """List the artists of the catalogue by name: their tracks, who follows them, and since when they are here."""
    with connected(server) as client:

        def page(size: int, token: str) -> tuple[Sequence[Artist], str]:
            found = client.list_artists(prefix, page_size=size, page_token=token)
            return found.artists, found.next_page_token

        artists, more = all_pages(page, limit=limit)
    if json:
        print_json(artists)
        return
    print_table(
        (
            (
                artist.name,
                f"{artist.track_count:,}",
                f"{artist.added_track_count:,}",
                f"{artist.follower_count:,}",
                ", ".join(list(artist.genres)[:_SHOWN_GENRES]),
                f"{artist.first_added_at:%Y-%m-%d %H:%M}" if artist.first_added_at else "",
            )
            for artist in artists
        ),
        columns=("artist", "tracks", "added", "followers", "genres", "first added (UTC)"),
        numeric=("tracks", "added", "followers"),
        whole=("first added (UTC)",),
    )
    if more:
        print_more(limit=limit)


def _tracks_of(tracks: TrackColumns) -> Iterator[Track]:
    from audotics.features.audio import AUDIO_FEATURES
    from audotics.features.tracks import UNKNOWN_FLAG, UNKNOWN_YEAR

    for row in range(len(tracks)):
        audio = zip(AUDIO_FEATURES, tracks.audio[row].tolist(), strict=True)
        popularity, year = float(tracks.popularity[row]), int(tracks.release_years[row])
        flag, duration_ms = int(tracks.explicit[row]), int(tracks.durations_ms[row])
        yield Track(
            track_id=tracks.ids[row],
            title=tracks.titles[row],
            artist=tracks.artists[row],
            album=tracks.albums[row],
            tags=tuple(tracks.tags.row(row)),
            release_year=None if year == UNKNOWN_YEAR else year,
            explicit=None if flag == UNKNOWN_FLAG else bool(flag),
            duration_ms=None if duration_ms == 0 else duration_ms,
            popularity=None if math.isnan(popularity) else popularity,
            audio_features=AudioFeatures(**{name: value for name, value in audio if not math.isnan(value)}),
        )
