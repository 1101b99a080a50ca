"""What a command prints: values go in, tables or JSON come out on stdout, one line of error on stderr.

Text from a catalogue is printed as it stands: `[Live]` in a title is no markup and `:cat:` no emoji.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NoReturn

import typer
from rich.console import Console
from rich.text import Text

from audotics.cli.table import fitted


def console(*, stderr: bool = False, width: int | None = None) -> Console:
    """Return a console on the present stdout or stderr, for progress bars and whatever is no table."""
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def print_line(text: str = "", *, style: str = "") -> None:
    """Print one line, left whole however narrow the terminal is. `style` is Rich's, for example "dim"."""
    console().print(Text(text, style=style), soft_wrap=True)


def print_table(
    rows: Iterable[Sequence[str]],
    *,
    columns: Sequence[str],
    numeric: Collection[str] = (),
    whole: Collection[str] = (),
    title: str = "",
) -> None:
    """Print `rows` under `columns`; the columns named in `numeric` are aligned to the right.

    Where the terminal is narrow, cells are folded, never cut off, so that an id can always be copied; numbers and the
    columns named in `whole` are not.
    """
    table, width = fitted(list(rows), columns=columns, numeric=numeric, whole=whole, width=console().width)
    table.title = Text(title) if title else None
    console(width=width).print(table)


def print_json(value: object) -> None:
    """Print `value` as indented JSON. Dataclasses become objects, and times ISO 8601 text."""
    typer.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def format_size(size_bytes: int) -> str:
    """A number of bytes for a table: "4.1 kB"."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1000:.1f} kB"
    return f"{size_bytes / 1_000_000:.1f} MB"


def print_error(message: str) -> None:
    """Print `message` on stderr as a single line."""
    line = Text("error: ", style="bold red").append(" ".join(message.split()), style="not bold default")
    console(stderr=True).print(line, soft_wrap=True)


def fail(message: str) -> NoReturn:
    """Print `message` as the error and end the command with exit code 1."""
    print_error(message)
    raise typer.Exit(1)


@contextmanager
def expected_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Turn an exception of `kinds` into its message and exit code 1. Anything else goes on with its traceback."""
    try:
        yield
    except kinds as error:
        print_error(str(error))
        raise typer.Exit(1) from error


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value
