"""From sending a change of the catalogue to the first search that knows of it, in catalogues of several sizes.

A new track is written and searched for by how it sounds, until it is found; it is given another title, and read until
it has it; it is deleted, and searched for until it is no longer found. Times are taken by the caller, hold the change
and the search, and are of one caller over loopback on SQLite. The limit is 100 ms.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table
from support.serving import served
from support.serving_repository import write_repository

from audotics.client import AudioFeatures, RecommenderClient, Track

LIMIT_MS: Final = 100.0
_PATIENCE_S: Final = 30.0
_FEATURES: Final = ("danceability", "energy", "valence", "acousticness", "instrumentalness", "liveness", "speechiness")


@dataclass(frozen=True, slots=True)
class Result:
    """Milliseconds until a change of one kind was seen, in a catalogue of `tracks`."""

    tracks: int
    change: str
    median_ms: float
    slowest_ms: float
    late: int
    """How many took longer than the limit."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--changes", type=int, default=50, help="of each kind")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    arguments = parser.parse_args()
    console = Console()
    results: list[Result] = []
    for n_tracks in arguments.tracks:
        with tempfile.TemporaryDirectory() as name, console.status(f"{n_tracks:,} tracks"):
            folder = Path(name)
            write_repository(folder / "repository", n_tracks=n_tracks, n_users=200)
            database = f"sqlite:///{folder / 'state.db'}"
            with (
                served(folder / "repository", database_url=database) as server,
                RecommenderClient(server.address) as client,
            ):
                results += measure(client, n_tracks, arguments.changes)
    if arguments.json:
        console.print_json(json.dumps([asdict(result) for result in results]))
    else:
        console.print(_table(results))


def measure(client: RecommenderClient, n_tracks: int, changes: int) -> Iterator[Result]:
    """One result a kind of change."""
    random = np.random.default_rng(0)
    times: dict[str, list[float]] = {"new track": [], "other title": [], "deleted track": []}
    for number in range(changes):
        track = _track(f"fresh-{number}", random)

        def found(track: Track = track) -> bool:
            similar = client.similar_tracks(features=track, limit=5).tracks
            return track.track_id in {each.track_id for each in similar}

        renamed = replace(track, title="Another")
        times["new track"].append(_until(found, lambda track=track: client.upsert_tracks([track])))
        times["other title"].append(
            _until(
                lambda track=renamed: client.get_tracks([track.track_id])[0].title == track.title,
                lambda track=renamed: client.upsert_tracks([track]),
            )
        )
        times["deleted track"].append(
            _until(lambda found=found: not found(), lambda track=track: client.delete_tracks([track.track_id]))
        )
    for change, taken_ms in times.items():
        late = sum(ms > LIMIT_MS for ms in taken_ms)
        yield Result(n_tracks, change, float(np.median(taken_ms)), max(taken_ms), late)


def _track(track_id: str, random: np.random.Generator) -> Track:
    """A track that sounds like no other, so that a search by its sound has to find it first."""
    audio = AudioFeatures(**{name: float(random.uniform()) for name in _FEATURES}, tempo=float(random.uniform(60, 200)))
    return Track(track_id, title="One", artist="Somebody", audio_features=audio)


def _until(seen: Callable[[], bool], change: Callable[[], object]) -> float:
    """Milliseconds from sending a change to the answer that shows it."""
    started = time.perf_counter()
    change()
    while not seen():
        if time.perf_counter() - started > _PATIENCE_S:
            raise TimeoutError(f"nothing is seen of a change after {_PATIENCE_S:g} s")
    return (time.perf_counter() - started) * 1000


def _table(results: list[Result]) -> Table:
    table = Table(
        "tracks", "change", "median, ms", "slowest, ms", f"over {LIMIT_MS:g} ms", title="Until a change is seen"
    )
    for column in (table.columns[0], *table.columns[2:]):
        column.justify = "right"
    for result in results:
        table.add_row(
            f"{result.tracks:,}", result.change, f"{result.median_ms:.1f}", f"{result.slowest_ms:.1f}", str(result.late)
        )
    return table


if __name__ == "__main__":
    main()
