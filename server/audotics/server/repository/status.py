"""What operators see of the repository: the folders on disk and what became of them go in, a report comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from audotics.bundle.errors import BundleCorruptError
from audotics.bundle.manifest import MANIFEST_FILE, Manifest
from audotics.bundle.store import BundleStore


class VersionState(StrEnum):
    """Where a version stands."""

    ON_DISK = "on_disk"
    IN_SERVICE = "in_service"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """One version. `reason` says why it was refused; `manifest` is None when its bundle has no readable one."""

    version: int
    state: VersionState
    reason: str
    manifest: Manifest | None


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model of the repository with its versions, the highest first."""

    name: str
    kind: str
    versions: tuple[VersionStatus, ...]


def model_status(
    store: BundleStore, name: str, *, in_service: int | None, refused: Mapping[tuple[str, int], str]
) -> ModelStatus:
    """Report on one model. Manifests are read, not verified; a version in service is listed without files, too."""
    numbers = {*store.versions(name), *([] if in_service is None else [in_service])}
    versions = tuple(
        _version_status(store, name, version, in_service=in_service, reason=refused.get((name, version)))
        for version in sorted(numbers, reverse=True)
    )
    kinds = [version.manifest.kind for version in versions if version.manifest is not None]
    return ModelStatus(name, kinds[0] if kinds else name, versions)


def _version_status(
    store: BundleStore, name: str, version: int, *, in_service: int | None, reason: str | None
) -> VersionStatus:
    try:
        text = (store.root / name / str(version) / MANIFEST_FILE).read_text("utf-8", errors="replace")
        manifest = Manifest.from_json(text, where=f"{name}/{version}")
    except (OSError, BundleCorruptError):
        manifest = None
    if version == in_service:
        return VersionStatus(version, VersionState.IN_SERVICE, "", manifest)
    state = VersionState.ON_DISK if reason is None else VersionState.REFUSED
    return VersionStatus(version, state, reason or "", manifest)
