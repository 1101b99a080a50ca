"""Export of a run: trained models go in, one new version of each in a repository comes out.

Every model is exported into a scratch folder and compared with its source there. Only when all of them hold are they
published, one atomic rename each.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

from audotics.bundle.errors import BundleError
from audotics.bundle.store import Bundle, BundleStore
from audotics.bundle.tenants import is_tenant, qualified
from audotics.exporters.errors import ExportError
from audotics.exporters.formats import DEFAULT, Formats
from audotics.exporters.prepared import Prepare, Prepared, read_source
from audotics.exporters.triton import write_config
from audotics.training.folder import RunFolder
from audotics.training.kinds import KINDS, WEIGHED
from audotics.training.progress import Progress
from audotics.training.run import Run

CATALOG: Final = "catalog"
PARTS: Final[tuple[str, ...]] = (CATALOG, *WEIGHED)
"""What a hybrid is published with."""


def export_run(
    run: RunFolder,
    store: BundleStore,
    *,
    progress: Progress,
    kinds: Sequence[str] | None = None,
    formats: Formats = DEFAULT,
    tenant: str = "",
) -> list[Bundle]:
    """Publish a new version of each of `kinds`, by default all, that is trained in `run`; and its catalogue, if any.

    With a `tenant` the models become its own, and the catalogue is left out.

    Raises ExportError when nothing is trained, ParityError when an export does not hold, RunError when the run's data
    cannot be read. After these, and after any other error before the first rename, the repository is as it was.
    """
    if tenant and not is_tenant(tenant):
        raise ExportError(f"{tenant!r} is no tenant: lower-case letters, digits, '_' and single '-', up to 24")
    chosen = [kind for kind in _chosen(run, kinds, progress) if not (tenant and kind == CATALOG)]
    formats = formats.possible(progress)
    if store.root.exists() and not store.root.is_dir():
        raise ExportError(f"{store.root}: is no folder; choose another --repository")
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        # In the repository's own file system, so that files can be moved from there without a copy.
        with tempfile.TemporaryDirectory(prefix=".export-", dir=store.root) as scratch:
            prepared = _prepare(run, chosen, Path(scratch), formats, progress)
            return _publish(prepared, run, store, progress, tenant)
    except OSError as error:
        raise ExportError(
            f"{store.root}: the export cannot be written ({error}); check the folder's rights and the free space, "
            "or choose another --repository"
        ) from error
    except BundleError as error:
        raise ExportError(f"{error}. Somebody else may be exporting; run `audotics export` again") from error


def _chosen(run: RunFolder, kinds: Sequence[str] | None, progress: Progress) -> list[str]:
    """In the order in which they are published: the hybrid names the versions of the others."""
    exportable = [CATALOG, *KINDS] if isinstance(run, Run) else list(KINDS)
    unknown = [kind for kind in kinds or () if kind not in exportable]
    if unknown:
        raise ExportError(f"unknown kind {unknown[0]!r}; known kinds: {', '.join(exportable)}")
    trained = {CATALOG, *run.kinds}
    chosen = [kind for kind in exportable if kind in trained and (kinds is None or kind in kinds)]
    if not run.kinds or not chosen:
        lacking = f"{', '.join(kinds or ())} is not trained" if run.kinds else "nothing is trained"
        raise ExportError(
            f"{run.path}: {lacking} in this run; train with `audotics train all --data DATA --output {run.path}`"
        )
    expected = (*WEIGHED, "hybrid") if kinds is None and isinstance(run, Run) else kinds or ()
    for kind in expected:
        if kind in run.outdated:
            progress.say(f"{kind}: left out, it is outdated; `audotics train {kind} --update` brings it up to the data")
        elif kind not in trained:
            progress.say(f"{kind}: left out, it is not trained in {run.path}")
    return chosen


def _prepare(
    run: RunFolder, kinds: Sequence[str], scratch: Path, formats: Formats, progress: Progress
) -> list[Prepared]:
    source = read_source(run)
    prepared = []
    with progress.stage("export", len(kinds)) as stage:
        for kind in kinds:
            stage.advance(0, kind)
            folder = scratch / kind
            folder.mkdir()
            prepared.append(_load(kind)(source, folder, progress, formats=formats))
            stage.advance(1, kind)
    return prepared


def _load(kind: str) -> Prepare:
    """What exports a kind, imported only now: it may bring in a framework that other kinds do without."""
    return cast(Prepare, importlib.import_module(f"audotics.exporters.kinds.{kind}").prepare)


def _publish(
    prepared: Sequence[Prepared], run: RunFolder, store: BundleStore, progress: Progress, tenant: str
) -> list[Bundle]:
    versions: dict[str, int] = {}
    bundles = []
    with progress.stage("publish", len(prepared)) as stage:
        for export in prepared:
            name = qualified(tenant, export.kind)
            number = store.next_version(name)
            parts = {kind: versions[kind] for kind in PARTS if kind in versions} if export.kind == "hybrid" else {}
            manifest = export.manifest(number=number, parts=parts, training_data=run.training_data)
            manifest = replace(manifest, name=name)
            with store.write(manifest) as folder:
                for path in export.folder.iterdir():
                    path.rename(folder / path.name)
            if manifest.inputs:
                write_config(store.root, manifest)
            versions[export.kind] = number
            bundles.append(store.open(name, number))
            stage.advance(1, str(bundles[-1]))
    return bundles
