"""`audotics refresh`: what a server has taken in goes into its models, and they into service: one command to schedule.

    collect     the run's data and the events of the server's database
    train       an update of every kind in the run
    export      a new version of each, which waits
    shadow      it answers a share of the live requests beside those in service
    promote     through the server's promotion gate

Each step looks at what is done already: where the command was cut off, a second one goes on from there, and where
nothing is new it ends at once. Exit codes: 0 in service, or nothing new; 1 data, training or export failed; 2 a mistake
in the arguments; 3 the server cannot be reached; 4 the shadow saw too few requests; 5 the promotion gate refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audotics.cli.connection import ServerOption
from audotics.cli.output import expected_errors, print_error, print_json, print_line

if TYPE_CHECKING:
    from audotics.bundle.store import BundleStore
    from audotics.cli.collected import Collected
    from audotics.client import RecommenderClient
    from audotics.training.progress import Progress
    from audotics.training.run import Run

UNREACHABLE = 3
LOCK_FILE = ".refresh.lock"


def refresh(
    run: Annotated[Path, typer.Argument(help="Folder of the run that the models in service were exported from.")],
    repository: Annotated[Path, typer.Option(help="Model repository of the server.")] = Path("repository"),
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="AUDOTICS_DATABASE_URL",
            help="Database of the server. [default: what the server's settings say]",
            show_default=False,
        ),
    ] = None,
    min_new: Annotated[int, typer.Option(min=1, help="Fewest new interactions that are worth an update.")] = 1,
    formats: Annotated[str, typer.Option(help="What to export: onnx, or onnx,saved-model.")] = "onnx,saved-model",
    promote: Annotated[
        bool, typer.Option("--promote/--no-promote", help="Put the versions in service, or only export them.")
    ] = True,
    shadow_requests: Annotated[
        int, typer.Option(min=0, help="Requests that the versions answer as shadows first; 0 is none.")
    ] = 100,
    shadow_timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for these requests.")] = 3600.0,
    server: ServerOption = "localhost:50051",
    json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Train on what a server has taken in, export, and put the new versions in service."""
    from audotics.training.threads import wait_passively

    wait_passively(os.environ)
    from audotics.bundle.store import BundleStore
    from audotics.cli.collected import collect
    from audotics.cli.progress import rich_progress
    from audotics.cli.rollout import hold, rolled_out
    from audotics.client import RecommenderClient, UnavailableError
    from audotics.data.dataset import DataError
    from audotics.exporters.errors import ExportError
    from audotics.server.errors import AudoticsError
    from audotics.server.settings import load_settings
    from audotics.training.checkpoints import CheckpointError
    from audotics.training.run import Run, RunError

    failures = (DataError, RunError, CheckpointError, ExportError, AudoticsError)
    with expected_errors(*failures), rich_progress() as progress:
        opened = Run.open(run)
        with _alone(run), RecommenderClient(server) as client:
            store, names = BundleStore(repository), rolled_out(_kinds(opened))
            if promote:
                try:
                    hold(client, names)  # first, so that a server that is away ends this before hours of training
                except UnavailableError as error:
                    print_error(f"cannot reach a server at {server}, so nothing was begun ({error})")
                    raise typer.Exit(UNREACHABLE) from error
            collected = collect(opened, database_url or load_settings().effective_database_url, keep_erased=True)
            trained = _train(opened, collected, min_new=min_new, progress=progress)
            versions, exported = _export(opened, store, formats=formats, progress=progress)
            if promote:
                chosen = {name: versions[name] for name in names if name in versions}
                promoted = _roll_out(
                    client, chosen, requests=shadow_requests, timeout_s=shadow_timeout, progress=progress
                )
            else:
                promoted = []
    if json:
        print_json({"events": collected.events, "trained": trained, "exported": exported, "promoted": promoted})
    elif not (trained or exported or promoted):
        print_line(f"nothing new: {', '.join(f'{name}/{version}' for name, version in versions.items())}")
    else:
        print_line(
            f"trained {', '.join(trained) or 'nothing'}; exported {', '.join(exported) or 'nothing'}; "
            f"in service now: {', '.join(promoted) or 'what was before'}"
        )


def _kinds(run: Run) -> list[str]:
    """Of the run's kinds, those that can be trained here, in order. Raises RunError for none."""
    from audotics.cli.train import updatable

    return updatable(run)


def _train(run: Run, collected: Collected, *, min_new: int, progress: Progress) -> list[str]:
    """Bring the run up to the data where enough is new, or where an update was cut off."""
    from audotics.training.memory import keep_freed_memory
    from audotics.training.pipeline import update
    from audotics.training.run import fingerprint

    keep_freed_memory()
    new = collected.new_interactions(run)
    if collected.erased:
        progress.say(
            f"{len(collected.erased)} deleted listeners are still in the data of {run.path}, which an update cannot "
            "change; train anew on what `audotics data collect` makes, to have the models without them"
        )
    changed = fingerprint(collected.dataset) != run.fingerprint
    if changed and new >= min_new:
        progress.say(f"collected {collected.events:,} events: {new:,} interactions are new")
        run.update(collected.dataset)
    elif changed and new:
        progress.say(f"{new:,} interactions are new, and {min_new:,} are worth an update")
    outdated = [kind for kind in _kinds(run) if kind in run.outdated]
    if outdated:
        update(run, outdated, progress=progress)
    return outdated


def _export(run: Run, store: BundleStore, *, formats: str, progress: Progress) -> tuple[dict[str, int], list[str]]:
    """The newest version of each model, and those that were published just now, if the newest are of other data."""
    from audotics.bundle.errors import BundleError
    from audotics.exporters.errors import ExportError
    from audotics.exporters.formats import Formats
    from audotics.exporters.publish import CATALOG, export_run

    versions: dict[str, int] = {}
    for name in (*_kinds(run), CATALOG):
        known = store.versions(name)
        try:
            manifest = store.open(name, known[-1]).manifest if known else None
        except BundleError as error:
            raise ExportError(f"{error}; remove that version, and call again") from error
        if manifest is None or manifest.training_data.get("fingerprint") != run.fingerprint:
            break
        versions[name] = manifest.version
    else:
        return versions, []
    bundles = export_run(run, store, progress=progress, formats=Formats.parse(formats, precision="float32"))
    published = {bundle.manifest.name: bundle.manifest.version for bundle in bundles}
    return published, [f"{name}/{version}" for name, version in published.items()]


def _roll_out(
    client: RecommenderClient, versions: dict[str, int], *, requests: int, timeout_s: float, progress: Progress
) -> list[str]:
    """Put the versions in service; return those that were not. Ends the command where they do not get there."""
    from audotics.cli.rollout import CATALOG, STABLE, RolloutError, promote, shadow
    from audotics.client import AudoticsError, UnavailableError

    try:
        waiting = {
            name: version for name, version in versions.items() if client.get_model(name).labels.get(STABLE) != version
        }
        if not waiting:
            return []
        tried = {name: version for name, version in waiting.items() if name != CATALOG}
        if requests and tried:
            shadow(client, tried, requests=requests, timeout_s=timeout_s, progress=progress)
        promote(client, waiting, progress=progress)
    except RolloutError as error:
        print_error(str(error))
        raise typer.Exit(error.code) from error
    except UnavailableError as error:
        print_error(f"the server went away before the versions were in service; call again ({error})")
        raise typer.Exit(UNREACHABLE) from error
    except AudoticsError as error:
        print_error(f"the versions are not in service: {error}")
        raise typer.Exit(1) from error
    return [f"{name}/{version}" for name, version in waiting.items()]


@contextmanager
def _alone(run: Path) -> Iterator[None]:
    """Let one refresh at a time work on a run. Raises RunError where another one does."""
    import fcntl

    from audotics.training.run import RunError

    with (run / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(f"{run}: another refresh is at work there; wait for its end") from error
        yield
