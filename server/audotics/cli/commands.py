"""The table of commands: a name goes in, the command comes out, imported only when it is run."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

if TYPE_CHECKING:
    from typer._click.core import Command, Context  # Typer has its own copy of click, and no public name for these


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is (`module:attribute`, a function or a Typer app) and its line in `audotics --help`."""

    target: str
    help: str


COMMANDS: Final = MappingProxyType(
    {
        "demo": Entry("audotics.cli.demo:demo", "Go from a synthetic catalogue to recommendations, end to end."),
        "catalog": Entry("audotics.cli.catalog:app", "Change the tracks that a server can recommend."),
        "feedback": Entry("audotics.cli.feedback:app", "Tell a server what listeners did."),
        "features": Entry("audotics.cli.features:app", "Compute features of audio files."),
        "data": Entry("audotics.cli.data:app", "Check data, and prepare them for training."),
        "train": Entry("audotics.cli.train:train", "Train models on listening data."),
        "tune": Entry("audotics.cli.tune:tune", "Choose a model's hyper-parameters on validation data."),
        "evaluate": Entry("audotics.cli.evaluate:evaluate", "Compare a trained run with baselines on the same split."),
        "export": Entry("audotics.cli.export:export", "Export a trained run into a model repository."),
        "refresh": Entry("audotics.cli.refresh:refresh", "Train on what a server has taken in, and put it in service."),
        "index": Entry("audotics.cli.index:app", "Build, list and rebuild the vector indexes that a server searches."),
        "serve": Entry("audotics.cli.serve:serve", "Serve a model repository over gRPC."),
        "recommend": Entry("audotics.cli.recommend:recommend", "Ask a server for the best tracks for a listener."),
        "group": Entry("audotics.cli.group:app", "Ask a server about several listeners together."),
        "session": Entry("audotics.cli.session:app", "Listen together: members, votes, what plays."),
        "taste": Entry("audotics.cli.taste:taste", "Ask a server what a listener hears."),
        "similar": Entry("audotics.cli.similar:similar", "Ask a server for tracks like one track."),
        "learning": Entry("audotics.cli.learning:app", "Show and steer what a server learns from feedback."),
        "models": Entry("audotics.cli.models:app", "List, show, load and unload the models of a server."),
        "experiments": Entry("audotics.cli.experiments:app", "Try ways of making lists, and see which is better."),
    }
)


class LazyGroup(TyperGroup):
    """A group that lists `COMMANDS` by name and help line, and imports only the one that is run."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, help=entry.help))

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """Put the real command in place of the line that stands for it."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed if name is None else load(name), rest


def load(name: str) -> Command:
    """Import a command of the table."""
    module, _, attribute = COMMANDS[name].target.partition(":")
    target: typer.Typer | Callable[..., object] = getattr(importlib.import_module(module), attribute)
    if isinstance(target, typer.Typer):
        return get_command(target)
    # In Typer's other mode, "[default: …]" in a help text would pass for a tag and vanish.
    single = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    single.command(name)(target)
    return get_command(single)


app = typer.Typer(name="audotics", cls=LazyGroup, no_args_is_help=True, pretty_exceptions_show_locals=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"audotics {version('audotics')}")
        raise typer.Exit


@app.callback()
def audotics(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train music-recommendation models, export them, serve them, and ask the server."""
