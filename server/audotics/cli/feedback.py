"""`audotics feedback`: a file of events goes in, one JSON object a line, and what became of them comes out.

A line holds the fields of `FeedbackEvent`: user_id, track_id and type, and, where there are any, event_id, occurred_at
(ISO 8601 with a time zone), recommendation_id and rating. Without event ids, sending a file twice counts twice.
"""

from __future__ import annotations

import json as json_format
import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from audotics.cli.connection import JsonOption, ServerOption, connected
from audotics.cli.output import fail, print_json, print_line
from audotics.client import EventType, FeedbackEvent, FeedbackResult, FeedbackStatus

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Tell a server what listeners did.")

_BATCH_EVENTS: Final = 1000
_FIELDS: Final = tuple(field.name for field in fields(FeedbackEvent))
_SHOWN_REJECTIONS: Final = 20

FileArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="Events, one JSON object a line; - is standard input.")
]


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    event: FeedbackEvent


class _Summary:
    """Counts what became of events; the first rejections are kept with the lines they came from."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.rejections: list[dict[str, Any]] = []

    def add(self, number: int, result: FeedbackResult) -> None:
        self.counts[result.status.value] += 1
        if result.status is not FeedbackStatus.REJECTED or len(self.rejections) >= _SHOWN_REJECTIONS:
            return
        self.rejections.append({"line": number, "event_id": result.event_id, "reason": result.reason})

    def show(self, *, json: bool) -> None:
        """Print it; end the command with exit code 1 when anything was rejected."""
        counts = {name: self.counts[name] for name in ("accepted", "duplicate", "rejected")}
        if json:
            print_json(counts | {"rejections": self.rejections})
        else:
            for rejection in self.rejections:
                print_line(f"line {rejection['line']}: {rejection['reason']}", style="yellow")
            hidden = counts["rejected"] - len(self.rejections)
            if hidden:
                print_line(f"… and {hidden} more", style="yellow")
            print_line(", ".join(f"{count:,} {name}" for name, count in counts.items()), style="bold")
        if counts["rejected"]:
            raise typer.Exit(1)


@app.callback()
def feedback() -> None:
    """Tell a server what listeners did."""


@app.command()
def send(file: FileArgument, json: JsonOption = False, server: ServerOption = "localhost:50051") -> None:
    """Send a file of events, a thousand a call. Exits with 1 when any was rejected."""
    summary = _Summary()
    with connected(server) as client:
        for lines in _batches(_read(file)):
            for line, result in zip(lines, client.record_feedback([line.event for line in lines]), strict=True):
                summary.add(line.number, result)
    summary.show(json=json)


@app.command()
def stream(file: FileArgument, json: JsonOption = False, server: ServerOption = "localhost:50051") -> None:
    """Send events as they come, over one stream, until the input ends. Exits with 1 when any was rejected."""
    summary, sent = _Summary(), deque[int]()

    def events() -> Iterator[FeedbackEvent]:
        for line in _read(file):
            sent.append(line.number)
            yield line.event

    with connected(server) as client:
        for result in client.stream_feedback(events()):
            summary.add(sent.popleft(), result)
    summary.show(json=json)


def _read(file: str) -> Iterator[_Line]:
    """Ends the command at a line that is no event, and names it; what stands before it may have been sent."""
    try:
        with sys.stdin if file == "-" else Path(file).open(encoding="utf-8") as lines:
            for number, text in enumerate(lines, 1):
                if text.strip():
                    yield _Line(number, _event(text, where=f"{file}:{number}"))
    except (OSError, UnicodeDecodeError) as error:
        fail(f"cannot read {file}: {error}")


def _event(text: str, *, where: str) -> FeedbackEvent:
    try:
        values: Any = json_format.loads(text)
    except ValueError as error:
        fail(f"{where}: is not JSON: {error}")
    if not isinstance(values, dict) or not {"user_id", "track_id", "type"} <= values.keys():
        fail(f"{where}: is no event; write an object with user_id, track_id and type")
    if unknown := values.keys() - set(_FIELDS):
        fail(f"{where}: has unknown fields: {', '.join(sorted(unknown))}; known are {', '.join(_FIELDS)}")
    if values["type"] not in list(EventType):
        fail(f"{where}: type is {values['type']!r}; there are {', '.join(EventType)}")
    try:
        if values.get("occurred_at") is not None:
            values["occurred_at"] = datetime.fromisoformat(values["occurred_at"])
            if values["occurred_at"].tzinfo is None:
                fail(f"{where}: occurred_at needs a time zone, such as +00:00")
        return FeedbackEvent(**values | {"type": EventType(values["type"])})
    except (TypeError, ValueError) as error:
        fail(f"{where}: {error}")


def _batches(lines: Iterator[_Line]) -> Iterator[Sequence[_Line]]:
    while batch := list(islice(lines, _BATCH_EVENTS)):
        yield batch
