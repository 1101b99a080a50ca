"""How many tracks a second the server's database takes in: 100,000 records, new and then again, in batches of 20,000.

On an SQLite file and a PostgreSQL server, each batch durable when its call returns. The target is 50,000 a second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from support.serving import postgres

from audotics.server.storage.database import Database
from audotics.server.storage.tracks import TrackStore
from audotics.server.types import TrackRecord

BATCH_TRACKS: Final = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="write the numbers to this file, too")
    arguments = parser.parse_args()
    records = [_record(number) for number in range(arguments.tracks)]
    rates: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="im", ignore_cleanup_errors=True)))
        server = stack.enter_context(postgres(folder))
        for name, url in (("SQLite", f"sqlite:///{folder}/state.db"), ("PostgreSQL", server.url)):
            with contextlib.closing(Database.open(url)) as database:
                rates[name] = [_rate(TrackStore(database), records) for _ in ("new", "again")]
    table = Table(title=f"{arguments.tracks:,} tracks in batches of {BATCH_TRACKS:,}; tracks a second")
    for column in ("", "new", "replaced"):
        table.add_column(column, justify="right" if column else "left")
    for name, values in rates.items():
        table.add_row(name, *(f"{value:,.0f}" for value in values))
    Console(width=100).print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(rates, indent=2))


def _rate(store: TrackStore, records: list[TrackRecord]) -> float:
    started = time.perf_counter()
    for start in range(0, len(records), BATCH_TRACKS):
        store.write(upserts=records[start : start + BATCH_TRACKS], updated_at=1.0)
    return len(records) / (time.perf_counter() - started)


def _record(number: int) -> TrackRecord:
    return TrackRecord(
        track_id=f"track-{number:07d}",
        title=f"Title {number}",
        artist=f"Artist {number % 999}",
        album=f"Album {number % 9999}",
        tags=("rock", "live", "remastered"),
        release_year=1960 + number % 60,
        explicit=number % 7 == 0,
        duration_ms=180_000 + number % 90_000,
        popularity=number % 100 / 100,
        audio=tuple((number * place % 97) / 97 for place in range(1, 12)),
    )


if __name__ == "__main__":
    main()
