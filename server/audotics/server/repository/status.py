"""What operators see of the repository: the folders on disk and what became of them go in, a report comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from audotics.bundle.errors import BundleCorruptError
from audotics.bundle.manifest import MANIFEST_FILE, Manifest
from audotics.bundle.store import BundleStore
from audotics.bundle.text_file import read_text_file
from audotics.server.repository.loading import LoadedModel
from audotics.server.retrieval.vectors import VectorIndex


class VersionState(StrEnum):
    """Where a version stands. One that is loaded serves requests that ask for it, one in service all others."""

    ON_DISK = "on_disk"
    LOADED = "loaded"
    IN_SERVICE = "in_service"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """One version. `reason` says why it was refused; `manifest` is None when its bundle has no readable one.

    `device` says where a loaded one runs, in the words of `Model`.
    """

    version: int
    state: VersionState
    reason: str
    manifest: Manifest | None
    device: str = ""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model of the repository with its versions, the highest first, and its labels with the versions they name."""

    name: str
    kind: str
    versions: tuple[VersionStatus, ...]
    labels: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class IndexStatus:
    """The vector index of a loaded version."""

    name: str
    version: int
    index: VectorIndex
    in_service: bool


def model_status(
    store: BundleStore,
    name: str,
    *,
    in_service: int | None,
    loaded: Mapping[int, LoadedModel],
    refused: Mapping[tuple[str, int], str],
    labels: Mapping[str, int],
) -> ModelStatus:
    """Report on one model. The manifests of versions that are `loaded` need no files any more.

    Those of all others are read, not verified.
    """

    def state_of(version: int) -> VersionState:
        if version == in_service:
            return VersionState.IN_SERVICE
        if version in loaded:
            return VersionState.LOADED
        return VersionState.REFUSED if (name, version) in refused else VersionState.ON_DISK

    def status_of(version: int) -> VersionStatus:
        state = state_of(version)
        reason = refused.get((name, version), "") if state is VersionState.REFUSED else ""
        if (found := loaded.get(version)) is not None:
            return VersionStatus(version, state, reason, found.bundle.manifest, found.model.device)
        return VersionStatus(version, state, reason, _manifest(store, name, version))

    try:
        on_disk = store.versions(name)
    except OSError:  # a folder that cannot be listed for now
        on_disk = []
    numbers = {*on_disk, *loaded, *([] if in_service is None else [in_service])}
    versions = tuple(status_of(version) for version in sorted(numbers, reverse=True))
    kinds = [version.manifest.kind for version in versions if version.manifest is not None]
    return ModelStatus(name, kinds[0] if kinds else name, versions, dict(labels))


def _manifest(store: BundleStore, name: str, version: int) -> Manifest | None:
    try:
        text = read_text_file(store.root / name / str(version) / MANIFEST_FILE, where=f"{name}/{version}")
        return Manifest.from_json(text, where=f"{name}/{version}")
    except (OSError, BundleCorruptError):
        return None
