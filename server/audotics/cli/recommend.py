"""`audotics recommend`: a listener or seed tracks go in, the server's list comes out as a table or JSON."""

from __future__ import annotations

from typing import Annotated

import typer

from audotics.cli.connection import JsonOption, ServerOption, connected, local_time_of, print_arms, print_degraded
from audotics.cli.output import print_json, print_line, print_table
from audotics.client import Activity, Mood, RecommendedTrack


def recommend(
    user: Annotated[str | None, typer.Argument(help="A listener's id. Leave it out with --seed-track.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many tracks, 1 to 500.")] = 10,
    mood: Annotated[Mood | None, typer.Option(help="The mood of the list.")] = None,
    genre: Annotated[list[str] | None, typer.Option(help="A wanted genre; may be repeated.")] = None,
    activity: Annotated[Activity | None, typer.Option(help="What they do meanwhile.")] = None,
    at: Annotated[str | None, typer.Option(metavar="HH:MM", help="Local time of where they are.")] = None,
    seed_track: Annotated[
        list[str] | None, typer.Option(help="A track that stands for the wanted taste; may be repeated.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="A track that must not come; may be repeated.")] = None,
    diversity: Annotated[
        float | None, typer.Option(help="0 ranks by score alone, 1 by difference alone. [default: the server's]")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show what each model added, and why.")] = False,
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """Ask a server for the best tracks for a listener."""
    if (user is None) == (not seed_track):
        raise typer.BadParameter("give a USER or at least one --seed-track, and not both")
    with connected(server) as client:
        answer = client.recommend(
            user,
            seed_tracks=seed_track or None,
            limit=limit,
            mood=mood,
            genres=genre or (),
            activity=activity,
            local_time=local_time_of(at),
            exclude=exclude or (),
            diversity=diversity,
            explain=explain,
        )
    if json:
        print_json(answer)
        return
    print_table(
        (
            (str(rank), item.track_id, item.title, item.artist, f"{item.score:.3f}", f"{item.confidence:.1%}")
            for rank, item in enumerate(answer.tracks, 1)
        ),
        columns=("#", "track", "title", "artist", "score", "confidence"),
        numeric=("#", "score", "confidence"),
    )
    if explain:
        for rank, track in enumerate(answer.tracks, 1):
            _print_explanation(rank, track)
    models = ", ".join(f"{item.model}/{item.version}" for item in answer.model_versions)
    print_line(f"made by {models or 'no model'} as {answer.recommendation_id}", style="dim")
    print_arms(answer.experiments)
    print_degraded(answer.degraded)


def _print_explanation(rank: int, track: RecommendedTrack) -> None:
    terms = " + ".join(f"{part.model} {part.weight:.2f} × {part.value:.3f}" for part in track.contributions)
    print_line(f"{rank}. {track.title or track.track_id}", style="bold")
    print_line(f"   {track.score:.3f} = {terms}" if terms else f"   {track.score:.3f}, from no single model")
    for reason in track.reasons:
        print_line(f"   {reason}")
