"""The kinds that can be trained, one line each: names, flags and needs, told without importing any framework."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

NEURAL: Final = ("epochs", "batch_size", "learning_rate", "embedding_size")


@dataclass(frozen=True, slots=True)
class Kind:
    """A model that can be trained. `flags` are the fields of its options that `audotics train` sets.

    `tasks` are those of the runs that it suits. `package` is what it needs beside the rest of training: the module, its
    name in prose, and the extra that brings it.
    """

    name: str
    flags: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ("listening",)
    package: tuple[str, str, str] | None = None
    alone_on: tuple[str, ...] = ()
    """Tasks on which it is trained by its own name only, and not by `audotics train all`."""

    def in_all(self, task: str) -> bool:
        return task in self.tasks and task not in self.alone_on

    @property
    def absent(self) -> str | None:
        """Why the kind cannot be trained here, or None: "TensorFlow is not installed (pip install …)"."""
        if self.package is None or _is_installed(self.package[0]):
            return None
        _, name, extra = self.package
        return f"{name} is not installed (pip install 'audotics[{extra}]')"


_TENSORFLOW: Final = ("tensorflow", "TensorFlow", "tensorflow")

KINDS: Final = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind("collaborative", ("algorithm",)),
            Kind("sequence"),
            Kind("content", (*NEURAL, "validation_split"), package=_TENSORFLOW),
            Kind("ncf", NEURAL),
            Kind("hybrid", ("epochs",)),
            Kind("deep", NEURAL, package=_TENSORFLOW),
            Kind("text", ("embedding_size",)),
            Kind("bert", ("encoder",), package=("transformers", "Transformers", "text"), alone_on=("listening",)),
            Kind("group", NEURAL, tasks=("listening", "groups"), alone_on=("listening",)),
            Kind("genre", tasks=("labelled tracks",)),
            Kind("mood", ("epochs", "batch_size", "learning_rate"), tasks=("labelled tracks",), package=_TENSORFLOW),
        )
    }
)
"""In the order in which they are trained: the hybrid weighs those before it."""

WEIGHED: Final = ("collaborative", "sequence", "content", "ncf")
"""What the hybrid weighs. It goes without one whose package is not installed."""


def suitable(task: str) -> tuple[str, ...]:
    """The kinds that can be trained in runs of `task`."""
    return tuple(kind.name for kind in KINDS.values() if task in kind.tasks)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
