"""`audotics taste`: a listener goes in, what they hear comes out as tables and sentences, or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import typer

from audotics.cli.connection import JsonOption, ServerOption, connected, print_degraded
from audotics.cli.output import print_json, print_line, print_table

_BARS: Final = " ▁▂▃▄▅▆▇█"
_SHOWN: Final = 5
_DAYS: Final = "Mo Tu We Th Fr Sa Su"


def taste(
    user: Annotated[str, typer.Argument(help="A listener's id.")],
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """Ask a server what a listener hears, when, and how that has changed."""
    with connected(server) as client:
        analysis = client.analyze_taste(user)
    if json:
        print_json(analysis)
        return
    print_line(f"{analysis.user_id}: {analysis.track_count:,} tracks", style="bold")
    _print_shares("genres", analysis.genres, analysis.genre_diversity)
    _print_shares("moods", analysis.moods, analysis.mood_diversity)
    _print_shares("artists", analysis.artists, None)
    if analysis.audio:
        print_table(
            (
                (trait.feature, f"{trait.mean:.2f}", f"{trait.catalog_mean:.2f}", f"{trait.deviation:+.2f}")
                for trait in analysis.audio
            ),
            columns=("sound", "mean", "catalogue", "deviation"),
            numeric=("mean", "catalogue", "deviation"),
        )
    pattern = analysis.pattern
    if pattern.event_count:
        zone = "local time" if pattern.local_event_count == pattern.event_count else "UTC where not known better"
        print_line(f"hours    |{_bars(pattern.hours)}| 0 to 23, {pattern.event_count:,} plays, {zone}")
        print_line(f"weekdays |{_bars(pattern.weekdays)}| {_DAYS}")
    for trend in analysis.trends:
        print_line(f"trend    {trend.name}: {trend.earlier_share:.0%} before, {trend.recent_share:.0%} lately")
    for sentence in analysis.insights:
        print_line(f"  {sentence}")
    print_degraded(analysis.degraded)


def _print_shares(title: str, shares: Mapping[str, float], diversity: float | None) -> None:
    if shares:
        listed = ", ".join(f"{name} {share:.0%}" for name, share in list(shares.items())[:_SHOWN])
        variety = "" if diversity is None else f" (diversity {diversity:.2f})"
        print_line(f"{title:8} {listed}{variety}")


def _bars(counts: Sequence[int]) -> str:
    highest = max(counts)
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // highest)] for count in counts)
