"""Export of a run: trained models go in, one new version of each in a repository comes out.

Every model is exported into a scratch folder and compared with its source there. Only when all of them hold are they
published, one atomic rename each.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from audotics.bundle.errors import BundleError
from audotics.bundle.store import Bundle, BundleStore
from audotics.exporters.errors import ExportError
from audotics.exporters.kinds import catalog, collaborative, hybrid, ncf
from audotics.exporters.prepared import Prepare, Prepared, Source
from audotics.training.progress import Progress
from audotics.training.run import Run


def _prepare_content(source: Source, folder: Path, progress: Progress) -> Prepared:
    from audotics.exporters.kinds import content  # Keras and TensorFlow, which other kinds do not need

    return content.prepare(source, folder, progress)


KINDS: Final[Mapping[str, Prepare]] = MappingProxyType(
    {
        "catalog": catalog.prepare,
        "collaborative": collaborative.prepare,
        "content": _prepare_content,
        "ncf": ncf.prepare,
        "hybrid": hybrid.prepare,
    }
)
"""How each kind is exported, in the order in which they are published: the hybrid names the versions of the others."""


def export_run(run: Run, store: BundleStore, *, progress: Progress, kinds: Sequence[str] | None = None) -> list[Bundle]:
    """Publish a new version of each of `kinds`, by default all, that is trained in `run`; and the catalogue.

    Raises ExportError when nothing is trained, ParityError when an export does not hold, RunError when the run's data
    cannot be read. After these, and after any other error before the first rename, the repository is as it was.
    """
    chosen = _chosen(run, kinds, progress)
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        # In the repository's own file system, so that files can be moved from there without a copy.
        with tempfile.TemporaryDirectory(prefix=".export-", dir=store.root) as scratch:
            prepared = _prepare(Source.read(run), chosen, Path(scratch), progress)
            return _publish(prepared, run, store, progress)
    except OSError as error:
        raise ExportError(
            f"{store.root}: the export cannot be written ({error}); check the folder's rights and the free space, "
            "or choose another --repository"
        ) from error
    except BundleError as error:
        raise ExportError(f"{error}. Somebody else may be exporting; run `audotics export` again") from error


def _chosen(run: Run, kinds: Sequence[str] | None, progress: Progress) -> list[str]:
    wanted = list(KINDS) if kinds is None else kinds
    unknown = [kind for kind in wanted if kind not in KINDS]
    if unknown:
        raise ExportError(f"unknown kind {unknown[0]!r}; known kinds: {', '.join(KINDS)}")
    trained = {"catalog", *run.kinds}
    chosen = [kind for kind in KINDS if kind in wanted and kind in trained]
    if not run.kinds or not chosen:
        lacking = f"{', '.join(wanted)} is not trained" if run.kinds else "nothing is trained"
        raise ExportError(
            f"{run.path}: {lacking} in this run; train with `audotics train all --data DATA --output {run.path}`"
        )
    for kind in KINDS:
        if kind in wanted and kind not in trained:
            progress.say(f"{kind}: left out, it is not trained in {run.path}")
    return chosen


def _prepare(source: Source, kinds: Sequence[str], scratch: Path, progress: Progress) -> list[Prepared]:
    prepared = []
    with progress.stage("export", len(kinds)) as stage:
        for kind in kinds:
            stage.advance(0, kind)
            folder = scratch / kind
            folder.mkdir()
            prepared.append(KINDS[kind](source, folder, progress))
            stage.advance(1, kind)
    return prepared


def _publish(prepared: Sequence[Prepared], run: Run, store: BundleStore, progress: Progress) -> list[Bundle]:
    versions: dict[str, int] = {}
    bundles = []
    with progress.stage("publish", len(prepared)) as stage:
        for export in prepared:
            number = store.next_version(export.kind)
            parts = versions if export.kind == "hybrid" else {}
            manifest = export.manifest(number=number, parts=dict(parts), training_data=run.training_data)
            with store.write(manifest) as folder:
                for path in export.folder.iterdir():
                    path.rename(folder / path.name)
            versions[export.kind] = number
            bundles.append(store.open(export.kind, number))
            stage.advance(1, str(bundles[-1]))
    return bundles
