"""A recipe: what the loop over kinds knows of a kind's module in `recipes/`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from audotics.training.folder import RunError, RunFolder
from audotics.training.progress import Progress


class Recipe(Protocol):
    """Trains one kind."""

    def options(self, flags: Mapping[str, Any]) -> Any:
        """The kind's options, a dataclass: its defaults with the fields in `flags`."""

    def train(self, run: RunFolder, options: Any, *, resume: bool, progress: Progress) -> dict[str, Any]:
        """Train into `run.folder(kind)` and return the record: "options" and, where there are, "fit", "validation"."""
        ...


@dataclass(frozen=True, slots=True)
class Outdated:
    """A kind as it was trained before the run's data grew: its record, and the file of what it had seen (`Seen`)."""

    record: dict[str, Any]
    seen: Path


@runtime_checkable
class Updating(Protocol):
    """A recipe that can also go on from a model of the data before an update, rather than train anew."""

    def update(self, run: RunFolder, options: Any, outdated: Outdated, *, progress: Progress) -> dict[str, Any]:
        """Replace the model in `run.folder(kind)` and return the record, as `train` does."""
        ...


def load_recipe(kind: str) -> Recipe:
    return cast(Recipe, importlib.import_module(f"audotics.training.recipes.{kind}"))


def options_of(kind: str, flags: Mapping[str, Any]) -> Any:
    """The options of `kind` with `flags`. Raises RunError that names a flag which the kind does not have."""
    try:
        return load_recipe(kind).options(flags)
    except TypeError as error:
        raise RunError(f"{kind} has no such option: {error}") from error
