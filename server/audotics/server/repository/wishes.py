"""What somebody wants of several models at once: names, versions and labels, all of which holds or nothing of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from audotics.server.errors import RefusedModelError
from audotics.server.repository.state import Key


@dataclass(frozen=True, slots=True)
class ModelWish:
    """Of one model, `versions` are to be loaded, and `labels` to be given.

    The last of the versions is to serve, unless the label `stable` says otherwise.
    """

    name: str
    versions: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)

    @property
    def named(self) -> list[Key]:
        """Every version that is asked for, once."""
        return [(self.name, version) for version in dict.fromkeys((*self.versions, *self.labels.values()))]


class RefusedWishError(RefusedModelError):
    """One of several versions cannot be had as it was wished for, so nothing was done."""

    def __init__(self, name: str, version: int, reason: str) -> None:
        super().__init__(reason)
        self.name = name
        self.version = version
