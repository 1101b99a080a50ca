"""A recipe: what the loop over kinds knows of a kind's module in `recipes/`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, cast

from audotics.training.folder import RunError, RunFolder
from audotics.training.progress import Progress


class Recipe(Protocol):
    """Trains one kind."""

    def options(self, flags: Mapping[str, Any]) -> Any:
        """The kind's options, a dataclass: its defaults with the fields in `flags`."""

    def train(self, run: RunFolder, options: Any, *, resume: bool, progress: Progress) -> dict[str, Any]:
        """Train into `run.folder(kind)` and return the record: "options" and, where there are, "fit", "validation"."""
        ...


def load_recipe(kind: str) -> Recipe:
    return cast(Recipe, importlib.import_module(f"audotics.training.recipes.{kind}"))


def options_of(kind: str, flags: Mapping[str, Any]) -> Any:
    """The options of `kind` with `flags`. Raises RunError that names a flag which the kind does not have."""
    try:
        return load_recipe(kind).options(flags)
    except TypeError as error:
        raise RunError(f"{kind} has no such option: {error}") from error
