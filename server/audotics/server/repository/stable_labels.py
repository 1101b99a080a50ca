"""Stable labels on their way to the disk: what a rollback decided goes in; the labels that count come out.

A rollback serves first and writes its label afterwards. Until that is done, and for as long as the disk takes nothing,
the label on disk still names the version that was left; a look at the repository must not bring that one back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from audotics.bundle.errors import BundleError
from audotics.bundle.labels import STABLE
from audotics.bundle.store import BundleStore


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
