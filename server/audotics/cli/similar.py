"""`audotics similar`: a track id goes in, its neighbours come out as a table or JSON."""

from __future__ import annotations

from typing import Annotated

import typer

from audotics.cli.connection import JsonOption, ServerOption, connected, print_degraded
from audotics.cli.output import print_json, print_table


def similar(
    track: Annotated[str, typer.Argument(help="A track's id.")],
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many tracks, 1 to 500.")] = 10,
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """Ask a server for the tracks that sound and are listened to like one track."""
    with connected(server) as client:
        answer = client.similar_tracks(track, limit=limit)
    if json:
        print_json(answer)
        return
    print_table(
        (
            (str(rank), item.track_id, item.title, item.artist, f"{item.similarity:.3f}")
            for rank, item in enumerate(answer.tracks, 1)
        ),
        columns=("#", "track", "title", "artist", "similarity"),
        numeric=("#", "similarity"),
    )
    print_degraded(answer.degraded)
