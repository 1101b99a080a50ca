"""`audotics learning`: what a server learns from feedback while it serves, shown and steered."""

from __future__ import annotations

from typing import Annotated

import typer

from audotics.cli.connection import JsonOption, ServerOption, connected
from audotics.cli.output import print_json, print_line, print_table
from audotics.client import Estimate, TiltUpdate

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Show and steer what a server learns from feedback: tilts of the hybrid's weights.",
)

ArmOption = Annotated[str, typer.Option("--arm", help="Arm of an experiment, which learns apart.", show_default=False)]
_MOST_SHOWN = 3


@app.command()
def show(arm: ArmOption = "", json: JsonOption = False, server: ServerOption = "localhost:50051") -> None:
    """Show the policy in force: the tilts that each segment of requests gets most often."""
    with connected(server) as client:
        policy = client.get_tilt_policy(arm=arm)
    if json:
        print_json(policy)
        return
    if policy is None:
        print_line("learning is off; start the server with AUDOTICS_LEARNING=true")
        return
    print_table(
        ((segment, _likeliest(probabilities)) for segment, probabilities in policy.segments.items()),
        columns=("segment", f"the {_MOST_SHOWN} likeliest tilts"),
    )
    learned = f"policy number {policy.number}" if policy.number else "nothing is learned yet"
    print_line(f"{learned}, of hybrid/{policy.hybrid_version}" if policy.hybrid_version else learned, style="dim")


@app.command("list")
def list_updates(
    arm: ArmOption = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most records to show.")] = 20,
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """List what became of each policy that was proposed, the latest first."""
    with connected(server) as client:
        updates = client.list_tilt_updates(arm=arm, limit=limit)
    if json:
        print_json(updates)
        return
    print_table(
        (
            (
                str(update.number),
                f"{update.created_at:%Y-%m-%d %H:%M}",
                str(update.outcome),
                str(update.replaced),
                f"{update.evidence.decision_count:,}" if update.evidence else "",
                _interval(update.evidence.before) if update.evidence else "",
                _interval(update.evidence.difference) if update.evidence else "",
            )
            for update in updates
        ),
        columns=("number", "when (UTC)", "outcome", "instead of", "lists", "reward a list", "gain a list (95 %)"),
        numeric=("number", "instead of", "lists"),
        whole=("when (UTC)", "reward a list", "gain a list (95 %)"),
    )
    for update in updates:
        print_line(f"{update.number}: {update.reason}", style="dim")


@app.command()
def propose(arm: ArmOption = "", json: JsonOption = False, server: ServerOption = "localhost:50051") -> None:
    """Run a round of learning now, as the server does by itself from time to time."""
    with connected(server) as client:
        update = client.propose_tilt_update(arm=arm)
    if json:
        print_json(update)
    elif update is None:
        print_line("nothing was proposed: too few lists were settled since the last time")
    else:
        _print_outcome(update)


@app.command()
def revert(arm: ArmOption = "", json: JsonOption = False, server: ServerOption = "localhost:50051") -> None:
    """Go back to the policy before the one in force."""
    with connected(server) as client:
        update = client.revert_tilt_update(arm=arm)
    if json:
        print_json(update)
    else:
        _print_outcome(update)


def _print_outcome(update: TiltUpdate) -> None:
    print_line(f"number {update.number} is {update.outcome}: {update.reason}")


def _likeliest(probabilities: dict[str, float]) -> str:
    # Of equally likely ones the first by name: a map has no order that would stay the same.
    ordered = sorted(probabilities.items(), key=lambda item: (-item[1], item[0]))[:_MOST_SHOWN]
    return ", ".join(f"{name} {probability:.1%}" for name, probability in ordered)


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} ({estimate.low:+.4f} to {estimate.high:+.4f})"
