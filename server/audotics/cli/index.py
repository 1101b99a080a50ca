"""`audotics index`: indexes are built from bundles or files of vectors, and those of a server shown and rebuilt."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audotics.cli.connection import JsonOption, ServerOption, connected
from audotics.cli.output import console, expected_errors, fail, format_size, print_json, print_line, print_table

if TYPE_CHECKING:
    from audotics.exporters.indexing.goal import Goal
    from audotics.exporters.indexing.tuning import Trial, Tuned

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Build, list and rebuild the vector indexes that a server searches.",
)


@app.callback()
def index() -> None:
    """Build, list and rebuild the vector indexes that a server searches."""


@app.command()
def build(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="[REPOSITORY/MODEL[/VERSION]]", help="A model, whose next version gets the index."),
    ] = None,
    vectors: Annotated[Path | None, typer.Option(help="Index this .npy file, float32 (n, d), instead.")] = None,
    queries: Annotated[
        Path | None, typer.Option(help="With --vectors: held-out queries, .npy; unset takes some of the vectors.")
    ] = None,
    output: Annotated[Path, typer.Option(help="With --vectors: folder to write to.")] = Path("index"),
    recall: Annotated[float, typer.Option(min=0.01, max=1.0, help="Share of the best rows that must be found.")] = 0.95,
    k: Annotated[int, typer.Option(min=1, max=10_000, help="How many best rows.")] = 100,
    metric: Annotated[
        str | None, typer.Option(help="inner_product or cosine; unset is that of the index before, or inner_product.")
    ] = None,
    kinds: Annotated[
        str | None, typer.Option(help="To try: flat, ivf_flat, ivf_pq, hnsw, with commas; unset is by size.")
    ] = None,
    memory_ratio: Annotated[
        float, typer.Option(min=1.0, help="Most memory of serving, as a multiple of the vectors alone.")
    ] = 1.5,
    threads: Annotated[int, typer.Option(min=1, help="Threads to build with.")] = os.cpu_count() or 1,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure kinds of index against exact search, and keep the cheapest that finds enough.

    Of a model the other files are copied, so that its next version differs in its index alone.
    """
    from audotics.training.threads import wait_passively

    wait_passively(os.environ)
    from audotics.bundle.indexes.settings import IndexKind, Metric
    from audotics.exporters.indexing.goal import Goal

    if (model is None) == (vectors is None):
        fail("name either a model, as REPOSITORY/MODEL, or a file of vectors with --vectors FILE.npy")
    try:
        asked = None if kinds is None else tuple(IndexKind(kind.strip()) for kind in kinds.split(","))
        chosen = _metric_before(model) if metric is None else Metric(metric)
    except ValueError as error:
        fail(f"{error}; kinds are {', '.join(IndexKind)}, metrics {', '.join(Metric)}")
    goal = Goal(k, recall, memory_ratio, chosen, asked)
    if model is not None:
        tuned, where = _of_model(model, goal, threads)
    else:
        assert vectors is not None
        tuned, where = _of_file(vectors, queries, output, goal, threads)
    _print(tuned, where, json=json)


@app.command("list")
def list_indexes(json: JsonOption = False, server: ServerOption = "localhost:50051") -> None:
    """Show the indexes that a server searches."""
    with connected(server) as client:
        indexes = client.list_indexes()
    if json:
        print_json(indexes)
        return
    print_table(
        (
            (
                f"{index.name}/{index.version}",
                index.settings,
                f"{index.vector_count:,}",
                f"{index.changed_count:,}",
                f"{index.deleted_count:,}",
                "in service" if index.in_service else "",
            )
            for index in indexes
        ),
        columns=("index of", "kind", "vectors", "changed", "deleted", ""),
        numeric=("vectors", "changed", "deleted"),
    )


@app.command()
def rebuild(
    name: Annotated[str, typer.Argument(help="A model with an index.")],
    version: Annotated[int, typer.Argument(min=0, help="Its version; 0 is the one in service.")] = 0,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train centroids and code books anew, too.")] = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """Have a server put what changed into an index, while it goes on searching."""
    with connected(server) as client, console(stderr=True).status(f"rebuilding the index of {name}"):
        index = client.rebuild_index(name, version, retrain=retrain)
    print_line(
        f"{index.name}/{index.version}: {index.settings}, {index.vector_count:,} vectors, "
        f"{index.changed_count:,} of them beside the index",
        style="bold",
    )


@app.command()
def recall(
    measure: Annotated[bool, typer.Option("--measure", help="Search the held-out queries now.")] = False,
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """Show how many of the best rows a server's indexes find."""
    with connected(server) as client:
        report = client.get_recall_report(measure=measure)
    if json:
        print_json(report)
        return
    print_table(
        (
            (
                f"{index.name}/{index.version}",
                "–" if index.built is None else f"{index.built.k}",
                "–" if index.built is None else f"{index.built.target:.3f}",
                "–" if index.built is None else f"{index.built.measured:.3f}",
                "–" if index.held_out is None else f"{index.held_out:.3f}",
                "–" if index.live is None else f"{index.live:.3f}",
                f"{index.live_count:,}",
            )
            for index in report.indexes
        ),
        columns=("index of", "k", "asked for", "when built", "now", "live", "searches"),
        numeric=("k", "asked for", "when built", "now", "live", "searches"),
    )
    print_line(
        f"{report.sample_share:.2%} of searches are done again exactly: {report.sampled_count:,} so far, "
        f"{report.skipped_count:,} skipped; {report.blocked_count:,} indexes kept out, "
        f"{report.completed_count:,} searches completed"
    )


def _of_model(model: Path, goal: Goal, threads: int) -> tuple[Tuned, str]:
    from audotics.bundle.store import BundleStore
    from audotics.cli.progress import rich_progress
    from audotics.exporters.errors import ExportError
    from audotics.exporters.indexing.reindex import reindex

    folder, version = _split(model)
    with expected_errors(ExportError), rich_progress() as progress:
        bundle, tuned = reindex(
            BundleStore(folder.parent), folder.name, version, goal, progress=progress, threads=threads
        )
    return tuned, str(bundle.path)


def _of_file(vectors: Path, queries: Path | None, output: Path, goal: Goal, threads: int) -> tuple[Tuned, str]:
    import numpy as np

    from audotics.cli.progress import rich_progress
    from audotics.exporters.errors import ExportError
    from audotics.exporters.index import write_tuned
    from audotics.exporters.indexing.reindex import load_vectors
    from audotics.exporters.indexing.tuning import MAX_QUERIES, tune

    with expected_errors(ExportError):
        table = load_vectors(vectors)
        held_out = (
            np.random.default_rng(0).permutation(table)[:MAX_QUERIES] if queries is None else load_vectors(queries)
        )
    try:
        output.mkdir(parents=True, exist_ok=True)  # before what takes long
    except OSError as error:
        fail(f"{output}: cannot be written to as a folder ({error.strerror}); name another with --output")
    with expected_errors(ExportError), rich_progress() as progress:
        tuned = tune(table, held_out, goal, progress=progress, title=vectors.name, threads=threads)
        write_tuned(output, tuned)
    return tuned, str(output)


def _split(model: Path) -> tuple[Path, int | None]:
    """The model's folder and the version, when the path ends with one."""
    return (model.parent, int(model.name)) if model.name.isdecimal() else (model, None)


def _metric_before(model: Path | None) -> Any:
    from audotics.bundle.errors import BundleCorruptError
    from audotics.bundle.indexes.settings import Metric, read_settings
    from audotics.bundle.store import BundleStore

    if model is None:
        return Metric.INNER_PRODUCT
    folder, version = _split(model)
    versions = BundleStore(folder.parent).versions(folder.name)
    with expected_errors(BundleCorruptError):
        described = read_settings(folder / str(version or max(versions, default=0)))
    return Metric.INNER_PRODUCT if described is None else described[0].metric


def _print(tuned: Tuned, where: str, *, json: bool) -> None:
    recall = tuned.index.recall
    assert recall is not None  # the tuner measures every index
    if json:
        print_json(
            {
                "path": where,
                "settings": tuned.index.settings,
                "recall": recall,
                "trials": [_plain(trial) for trial in tuned.trials],
            }
        )
        return
    n, dimension = tuned.index.vectors.shape
    print_table(
        (
            (
                trial.settings.label,
                f"{trial.recall:.3f}",
                "–" if trial.seconds is None else f"{1e6 * trial.seconds:.0f}",
                format_size(round(n * trial.bytes_per_vector)),
                trial.outcome,
            )
            for trial in tuned.trials
        ),
        columns=("tried", f"recall@{recall.k}", "µs a query", "memory", ""),
        numeric=(f"recall@{recall.k}", "µs a query", "memory"),
        title=f"{n:,} vectors of {dimension}",
    )
    print_line(
        f"{tuned.index.settings.label}: recall@{recall.k} {recall.measured:.3f} for {recall.queries} queries that did "
        f"not choose it → {where}",
        style="bold",
    )


def _plain(trial: Trial) -> dict[str, Any]:
    return {
        "settings": trial.settings,
        "recall": trial.recall,
        "seconds": trial.seconds,
        "bytes_per_vector": trial.bytes_per_vector,
        "outcome": trial.outcome,
    }
