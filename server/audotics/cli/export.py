"""`audotics export`: a trained run goes in, a new version of each of its models in a repository comes out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audotics.cli.output import expected_errors, format_size, print_json, print_line, print_table

if TYPE_CHECKING:
    from audotics.bundle.store import Bundle


def export(
    run: Annotated[Path, typer.Argument(help="Folder that `audotics train` wrote.")],
    repository: Annotated[Path, typer.Option(help="Model repository to publish into.")] = Path("repository"),
    formats: Annotated[
        str, typer.Option(help="What to write: onnx, or onnx,saved-model for TensorFlow Serving too.")
    ] = "onnx,saved-model",
    precision: Annotated[
        str, typer.Option(help="Of model.onnx: float32, float16 (half the size) or int8 (a quarter).")
    ] = "float32",
    evaluation: Annotated[
        Path | None,
        typer.Option(
            help="File with the metrics, as `audotics evaluate --evaluation` wrote it. [default: RUN/evaluation.json]",
            show_default=False,
        ),
    ] = None,
    tenant: Annotated[
        str, typer.Option(help="Publish the models as this tenant's own, as TENANT--MODEL, without the catalogue.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Export a trained run into a model repository.

    Every exported model is compared with the trained one first; when one differs, nothing is published.
    """
    from audotics.bundle.store import BundleStore
    from audotics.cli.progress import rich_progress
    from audotics.exporters.errors import ExportError
    from audotics.exporters.formats import Formats
    from audotics.exporters.publish import export_run
    from audotics.training.folder import RunError
    from audotics.training.tasks import open_run

    with expected_errors(RunError, ExportError):
        opened, asked = open_run(run), Formats.parse(formats, precision=precision)
        if evaluation is not None:
            opened.keep_evaluation_in(evaluation)
        with rich_progress() as progress:
            bundles = export_run(opened, BundleStore(repository), progress=progress, formats=asked, tenant=tenant)
    if json:
        print_json([_plain(bundle) for bundle in bundles])
        return
    print_exported(bundles)
    print_line(f"Next: audotics serve --repository {repository}", style="dim")


def print_exported(bundles: Sequence[Bundle]) -> None:
    """Show what was published: how large it is, how near to its source, and how much its index finds."""
    print_table(
        (
            (
                bundle.manifest.name,
                str(bundle.manifest.version),
                bundle.manifest.framework,
                format_size(bundle.manifest.size_bytes),
                _number(bundle.manifest.parity.get("max_abs_diff"), ".1e"),
                _number(bundle.manifest.metrics.get("recall@100"), ".1%"),
            )
            for bundle in bundles
        ),
        columns=("model", "version", "framework", "size", "parity", "index recall"),
        numeric=("version", "size", "parity", "index recall"),
    )


def _plain(bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "model": manifest.name,
        "version": manifest.version,
        "framework": manifest.framework,
        "path": str(bundle.path),
        "size_bytes": manifest.size_bytes,
        "parity": manifest.parity,
        "precision": manifest.precision,
        "metrics": manifest.metrics,
    }


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
