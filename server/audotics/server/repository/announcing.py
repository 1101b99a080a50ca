"""What happened to versions is told: changes and refusals go in, lines in the log and word to a recorder come out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from audotics.server.errors import RefusedModelError
from audotics.server.repository.history import Cause, ModelChange, ModelEvent, changes_between, refusals
from audotics.server.repository.loader import Loader
from audotics.server.repository.state import Key, State

_LOG: Final = logging.getLogger(__name__)


class Announcer:
    """Tells of the versions of one registry."""

    def __init__(self, loader: Loader, *, on_changed: Callable[[Sequence[ModelChange]], object] | None) -> None:
        """`on_changed` is told what the log is. It must neither wait nor fail."""
        self._loader = loader
        self._on_changed = on_changed

    def tell(self, changes: Sequence[ModelChange]) -> None:
        """Tell of what has happened."""
        for change in changes:
            if change.event is not ModelEvent.REFUSED:  # who refused a version has logged it
                _LOG.info("%s", change.words())
        if changes and self._on_changed is not None:
            self._on_changed(changes)

    def changed(self, before: State, after: State, cause: Cause, *, back: bool = False) -> None:
        """Tell of what led from one state to the next."""
        self.tell(list(changes_between(before, after, cause, back=back)))

    def refused(self, key: Key, error: RefusedModelError, cause: Cause) -> None:
        """Tell of the refusal of a version that was asked for: every time that somebody asks."""
        self.tell([ModelChange(ModelEvent.REFUSED, *key, cause, reason=str(error))])

    @contextmanager
    def noting_refusals(self, cause: Cause, *, besides: Collection[Key] = ()) -> Iterator[None]:
        """Tell of versions that are refused meanwhile, other than `besides`."""
        before = dict(self._loader.refused)
        try:
            yield
        finally:
            found = refusals(before, self._loader.refused, cause, unreachable=self._loader.unreachable)
            self.tell([change for change in found if (change.model, change.version) not in besides])
