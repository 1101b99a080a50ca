"""`audotics session`: what members do in a group session goes in, and the session comes out as text or JSON."""

from __future__ import annotations

from typing import Annotated

import typer

from audotics.cli.connection import JsonOption, ServerOption, connected
from audotics.cli.group import member_of, strategy_of
from audotics.cli.output import print_json, print_line, print_table
from audotics.client import GroupStrategy, Session, Vote

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Listen together: members, votes, what plays.")

SessionArgument = Annotated[str, typer.Argument(metavar="SESSION", help="The session, with or without sessions/.")]
UserArgument = Annotated[str, typer.Argument(metavar="USER", help="A listener's id.")]
TrackArgument = Annotated[str, typer.Argument(metavar="TRACK", help="A track's id.")]
DEFAULT_SERVER = "localhost:50051"


@app.callback()
def session() -> None:
    """Listen together: members, votes, what plays."""


@app.command()
def create(
    users: Annotated[
        list[str] | None, typer.Argument(metavar="[USER...]", help="Members, as USER or USER=2.5.")
    ] = None,
    session_id: Annotated[str, typer.Option("--id", help="Its id; the server chooses one otherwise.")] = "",
    strategy: Annotated[
        GroupStrategy, typer.Option(callback=strategy_of, help="How wishes become one list.")
    ] = GroupStrategy.AVERAGE,
    floor: Annotated[float, typer.Option(help="Satisfaction that nobody shall stay below, 0 to 1.")] = 0.0,
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
) -> None:
    """Open a session."""
    with connected(server) as client:
        made = client.create_session(
            [member_of(user) for user in users or ()], session_id=session_id, strategy=strategy, fairness_floor=floor
        )
    _show(made, json=json)


@app.command()
def show(name: SessionArgument, json: JsonOption = False, server: ServerOption = DEFAULT_SERVER) -> None:
    """Show a session as it is now."""
    with connected(server) as client:
        found = client.get_session(_named(name))
    _show(found, json=json)


@app.command()
def join(
    name: SessionArgument, user: UserArgument, json: JsonOption = False, server: ServerOption = DEFAULT_SERVER
) -> None:
    """Add a member, as USER or USER=2.5, or give one another weight."""
    with connected(server) as client:
        changed = client.join_session(_named(name), member_of(user))
    _show(changed, json=json)


@app.command()
def leave(
    name: SessionArgument, user: UserArgument, json: JsonOption = False, server: ServerOption = DEFAULT_SERVER
) -> None:
    """Take a member out, with their votes."""
    with connected(server) as client:
        changed = client.leave_session(_named(name), user)
    _show(changed, json=json)


@app.command()
def vote(
    name: SessionArgument,
    user: UserArgument,
    track: TrackArgument,
    cast: Annotated[Vote, typer.Argument(metavar="VOTE", help="up, down or withdrawn.")],
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
) -> None:
    """Vote for or against a track, or withdraw a vote."""
    with connected(server) as client:
        changed = client.vote_track(_named(name), user, track, cast)
    _show(changed, json=json)


@app.command()
def play(
    name: SessionArgument,
    track: Annotated[str, typer.Argument(metavar="[TRACK]", help="A track's id; without one nothing plays.")] = "",
    json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
) -> None:
    """Say what plays now."""
    with connected(server) as client:
        changed = client.set_now_playing(_named(name), track)
    _show(changed, json=json)


@app.command()
def skip(
    name: SessionArgument, track: TrackArgument, json: JsonOption = False, server: ServerOption = DEFAULT_SERVER
) -> None:
    """End what plays before its time."""
    with connected(server) as client:
        changed = client.skip_track(_named(name), track)
    _show(changed, json=json)


@app.command()
def end(name: SessionArgument, json: JsonOption = False, server: ServerOption = DEFAULT_SERVER) -> None:
    """End a session."""
    with connected(server) as client:
        ended = client.end_session(_named(name))
    _show(ended, json=json)


def _named(name: str) -> str:
    return name if name.startswith("sessions/") else f"sessions/{name}"


def _show(shown: Session, *, json: bool) -> None:
    if json:
        print_json(shown)
        return
    state = "ended" if shown.ended_at is not None else f"plays {shown.now_playing or 'nothing'}"
    print_line(f"{shown.name}: {shown.strategy.replace('_', ' ')}, floor {shown.fairness_floor:.0%}, {state}")
    if shown.members:
        print_table(
            ((member.user_id, f"{member.weight:g}", f"{member.joined_at:%H:%M:%S}") for member in shown.members),
            columns=("member", "weight", "joined (UTC)"),
            numeric=("weight",),
        )
    for votes in shown.votes:
        print_line(f"votes  {votes.track_id}: {votes.up_count} for, {votes.down_count} against")
    for item in shown.plays:
        print_line(f"played {item.track_id}" + (", skipped" if item.skipped else ""))
