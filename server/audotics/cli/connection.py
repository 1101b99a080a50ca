"""How a command reaches a server: an address goes in, a client comes out; what a call raises ends as one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import time
from typing import Annotated

import typer

from audotics.cli.output import fail, print_line
from audotics.client import (
    AudoticsError,
    DeadlineExceededError,
    Degradation,
    ExperimentArm,
    InvalidArgumentError,
    RecommenderClient,
    UnavailableError,
)


def _address(server: str) -> str:
    """Raises BadParameter for what has no port: gRPC would take 443, and its own words help nobody."""
    if ":" not in server:
        raise typer.BadParameter(f"{server!r} is no address; give host:port, such as localhost:50051")
    return server


ServerOption = Annotated[
    str,
    typer.Option("--server", envvar="AUDOTICS_SERVER", callback=_address, help="Address of the server, as host:port."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@contextmanager
def connected(server: str) -> Iterator[RecommenderClient]:
    """Yield a client of `server`. A call that fails ends the command with exit code 1 and says what to do."""
    with RecommenderClient(server) as client:
        try:
            yield client
        except UnavailableError as error:
            fail(
                f"cannot reach a server at {server}: start one with `audotics serve --repository REPO`, "
                f"or name another with --server ({error})"
            )
        except DeadlineExceededError as error:
            fail(f"no answer from {server} in time: {error}")
        except InvalidArgumentError as error:
            wrong = "; ".join(f"{violation.field}: {violation.description}" for violation in error.violations)
            fail(wrong or str(error))
        except AudoticsError as error:
            fail(str(error))


def local_time_of(text: str | None) -> time | None:
    """The time of day that HH:MM names. Raises BadParameter."""
    try:
        return None if text is None else time.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"--at takes hours and minutes, as 18:30, not {text!r}") from error


def print_arms(arms: Sequence[ExperimentArm]) -> None:
    """Print one line for each experiment that an answer was made in."""
    for item in arms:
        print_line(f"in experiment {item.experiment}, arm {item.arm}", style="dim")


def print_degraded(degraded: Sequence[Degradation]) -> None:
    """Print one line for each part that was left out of an answer."""
    for item in degraded:
        words = f"{item.part}: {item.reason.replace('_', ' ')}"
        print_line(f"degraded: {words} ({item.detail})" if item.detail else f"degraded: {words}", style="yellow")
