"""`audotics group`: several listeners go in, what a server makes of them together comes out as a table or JSON."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from audotics.cli.connection import JsonOption, ServerOption, connected, local_time_of, print_arms, print_degraded
from audotics.cli.output import print_json, print_line, print_table
from audotics.client import Activity, GroupMember, GroupRecommendation, GroupStrategy, Mood

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Ask a server about several listeners together.")

MembersArgument = Annotated[list[str], typer.Argument(metavar="USER...", help="Ids of listeners.")]


MembersOption = Annotated[
    list[str] | None, typer.Argument(metavar="[USER...]", help="Ids of listeners; weights go with them as USER=2.5.")
]
SessionOption = Annotated[
    str | None, typer.Option("--session", help="A session, with or without sessions/, in place of USER...")
]


def strategy_of(name: GroupStrategy | None) -> GroupStrategy | None:
    """Raises BadParameter for the one that stands for what only newer servers know."""
    if name is GroupStrategy.UNKNOWN:
        known = ", ".join(strategy for strategy in GroupStrategy if strategy is not name)
        raise typer.BadParameter(f"'unknown' is no strategy; there are {known}")
    return name


StrategyOption = Annotated[
    GroupStrategy | None,
    typer.Option(callback=strategy_of, help="How wishes become one list. [default: the session's, or average]"),
]


@app.callback()
def group() -> None:
    """Ask a server about several listeners together."""


@app.command()
def recommend(
    users: MembersOption = None,
    session: SessionOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many tracks, 1 to 500.")] = 10,
    strategy: StrategyOption = None,
    floor: Annotated[float, typer.Option(help="Satisfaction that nobody shall stay below, 0 to 1.")] = 0.0,
    include_heard: Annotated[bool, typer.Option("--include-heard", help="Let tracks come that they know.")] = False,
    mood: Annotated[Mood | None, typer.Option(help="The mood of the list.")] = None,
    genre: Annotated[list[str] | None, typer.Option(help="A wanted genre; may be repeated.")] = None,
    activity: Annotated[Activity | None, typer.Option(help="What they do meanwhile.")] = None,
    at: Annotated[str | None, typer.Option(metavar="HH:MM", help="Local time of where they are.")] = None,
    diversity: Annotated[
        float | None, typer.Option(help="0 ranks by worth alone, 1 by difference alone. [default: the server's]")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show what each track is worth to whom.")] = False,
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """One list for several listeners or for a session, and how well it serves each of them."""
    members = _members(users, session)
    with connected(server) as client:
        answer = client.recommend_group(
            members,
            session=_named(session),
            limit=limit,
            strategy=strategy,
            fairness_floor=floor,
            include_heard=include_heard,
            mood=mood,
            genres=genre or (),
            activity=activity,
            local_time=local_time_of(at),
            diversity=diversity,
            explain=explain,
        )
    if json:
        print_json(answer)
    else:
        _show(answer, explain=explain)


@app.command()
def watch(
    users: MembersOption = None,
    session: SessionOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many tracks, 1 to 500.")] = 10,
    strategy: StrategyOption = None,
    count: Annotated[int | None, typer.Option(help="End after so many lists; without it, with Ctrl-C.")] = None,
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """Print the list of several listeners or of a session, and each new one that they bring about."""
    members = _members(users, session)
    with connected(server) as client:
        lists = client.watch_group(members, session=_named(session), limit=limit, strategy=strategy)
        for answer in islice(lists, count):
            if json:
                print_json(answer)
            else:
                _show(answer, explain=False)


@app.command()
def compatibility(users: MembersArgument, json: JsonOption = False, server: ServerOption = "localhost:50051") -> None:
    """How well the tastes of listeners go together, and what joins and divides them."""
    with connected(server) as client:
        answer = client.score_compatibility(users)
    if json:
        print_json(answer)
        return
    print_table(
        (
            (user_id, *(f"{score:.2f}" for score in row))
            for user_id, row in zip(answer.user_ids, answer.matrix, strict=True)
        ),
        columns=("", *answer.user_ids),
        numeric=answer.user_ids,
    )
    facets = ", ".join(f"{name} {score:.2f}" for name, score in answer.facets.items())
    print_line(f"together {answer.group_score:.2f}" + (f"; beside strangers (0.50): {facets}" if facets else ""))
    for title, factors in (("What joins them", answer.shared), ("What divides them", answer.dividing)):
        if factors:
            print_line(title, style="bold")
        for factor in factors:
            print_line(f"   {factor.sentence}")
    print_degraded(answer.degraded)


def member_of(text: str) -> GroupMember:
    """The member that USER or USER=WEIGHT names; an id may hold equals signs where no number follows the last one."""
    user, equals, number = text.rpartition("=")
    if equals and user:
        try:
            return GroupMember(user, float(number))
        except ValueError:
            pass
    return GroupMember(text)


def _members(users: list[str] | None, session: str | None) -> list[GroupMember] | None:
    if bool(users) == (session is not None):
        raise typer.BadParameter("give USERs or a --session, and not both")
    return [member_of(user) for user in users] if users else None


def _named(session: str | None) -> str | None:
    return session if session is None or session.startswith("sessions/") else f"sessions/{session}"


def _show(answer: GroupRecommendation, *, explain: bool) -> None:
    takes_turns = any(track.chosen_for for track in answer.tracks)
    print_table(
        (
            (
                *(str(rank), track.track_id, track.title, track.artist, f"{track.score:.3f}"),
                *((track.chosen_for,) if takes_turns else ()),
            )
            for rank, track in enumerate(answer.tracks, 1)
        ),
        columns=("#", "track", "title", "artist", "score", *(("for",) if takes_turns else ())),
        numeric=("#", "score"),
    )
    if explain:
        for rank, track in enumerate(answer.tracks, 1):
            print_line(f"{rank}. {track.title or track.track_id}", style="bold")
            for reason in track.reasons:
                print_line(f"   {reason}")
    print_table(
        ((member.user_id, f"{member.weight:.0%}", f"{member.satisfaction:.1%}") for member in answer.members),
        columns=("member", "weight", "satisfaction"),
        numeric=("weight", "satisfaction"),
    )
    models = ", ".join(f"{item.model}/{item.version}" for item in answer.model_versions)
    strategy = answer.strategy.replace("_", " ")
    print_line(
        f"harmony {answer.harmony:.2f}; {strategy}, by {models or 'no model'} as {answer.recommendation_id}",
        style="dim",
    )
    print_arms(answer.experiments)
    print_degraded(answer.degraded)
