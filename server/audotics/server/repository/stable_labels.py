"""Labels on their way to the disk: what was decided goes in; the labels that count come out.

A rollback serves first and writes its label afterwards. Until that is done, and for as long as the disk takes nothing,
the label on disk still names the version that was left; a look at the repository must not bring that one back.
Where several labels are given at once, all of them are written or none.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from audotics.bundle.errors import BundleError
from audotics.bundle.labels import STABLE
from audotics.bundle.store import BundleStore
from audotics.server.repository.wishes import ModelWish, RefusedWishError

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Unwritten:
    """`version` is to be stable in place of what `on_disk` says. `failed` once it could not be written."""

    version: int
    on_disk: Mapping[str, int]
    failed: bool = False


class StableLabels:
    """Of the models of one repository. Calls come from the event loop and from the thread that looks at the disk."""

    def __init__(self, store: BundleStore) -> None:
        self._store: Final = store
        self._unwritten: dict[str, _Unwritten] = {}

    def decided(self, name: str, version: int, *, on_disk: Mapping[str, int]) -> None:
        """`version` is stable from now on; `on_disk` are the model's labels as they were last seen. Does not block."""
        self._unwritten[name] = _Unwritten(version, dict(on_disk))

    def read(self, name: str) -> dict[str, int]:
        """The labels that count, those on disk with what was decided since. Raises BundleCorruptError.

        What could not be written is tried again. Labels that somebody else changed meanwhile count as they are.
        """
        unwritten = self._unwritten.get(name)  # before the disk: a label that is written in between is there then
        labels = self._store.labels(name)
        if unwritten is None or labels != unwritten.on_disk:
            if unwritten is not None and unwritten.failed:
                self._unwritten.pop(name, None)
            return labels
        if unwritten.failed:
            try:
                return self.write(name, STABLE, unwritten.version)
            except BundleError:
                pass
        return labels | {STABLE: unwritten.version}

    def write(self, name: str, label: str, version: int | None) -> dict[str, int]:
        """Have the label on disk, with a stable one that is not there yet; return all. Raises as `set_label` does."""
        unwritten = self._unwritten.get(name)
        try:
            if unwritten is not None and label != STABLE:
                self._store.set_label(name, STABLE, unwritten.version)
            labels = self._store.set_label(name, label, version)
        except BundleError:
            if unwritten is not None:
                self._unwritten[name] = _Unwritten(unwritten.version, unwritten.on_disk, failed=True)
            raise
        if self._unwritten.get(name) is unwritten:
            self._unwritten.pop(name, None)
        return labels

    def write_all(self, wishes: Sequence[ModelWish]) -> None:
        """Have all labels of the wishes on disk. Raises RefusedWishError where one cannot be; then none is.

        What cannot be put back either is named in the error and in the log.
        """
        written: list[tuple[str, str, int | None]] = []
        for wish in wishes:
            before: Mapping[str, int] = {}
            for place, (label, version) in enumerate(sorted(wish.labels.items())):
                try:
                    if place == 0:
                        before = self.read(wish.name)
                    self.write(wish.name, label, version)
                except BundleError as error:
                    left = self._put_back(written)
                    reason = f"{error}. {'; '.join(left) or 'No label was changed'}"
                    raise RefusedWishError(wish.name, version, reason) from error
                written.append((wish.name, label, before.get(label)))

    def _put_back(self, labels: Sequence[tuple[str, str, int | None]]) -> list[str]:
        """Let labels stand for what they stood for; what cannot be written is said."""
        left = []
        for name, label, version in reversed(labels):
            try:
                self.write(name, label, version)
            except BundleError as error:
                meant = "nothing" if version is None else version
                left.append(f"{name}: the label {label!r} was written and cannot be taken back; it stood for {meant}")
                _LOG.error("%s (%s)", left[-1], error)
        return left
