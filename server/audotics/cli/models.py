"""`audotics models`: the models of a server, listed, shown, loaded, promoted and rolled back through its public API.

And what happened to them: who changed what serves, when, and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from audotics.cli.connection import JsonOption, ServerOption, connected
from audotics.cli.output import format_size, print_json, print_line, print_table
from audotics.cli.paging import all_pages, print_more
from audotics.client import ModelEvent, ModelInfo, ModelRecord, TensorInfo, VersionInfo

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="List, show, load, promote and roll back the models of a server."
)

NameArgument = Annotated[str, typer.Argument(help="A model's name.")]
VersionArgument = Annotated[int, typer.Argument(min=1, max=10**18 - 1, help="A version, which is a positive integer.")]


@app.command("list")
def list_models(json: JsonOption = False, server: ServerOption = "localhost:50051") -> None:
    """List every version of every model."""
    with connected(server) as client:
        models = client.list_models()
    if json:
        print_json(models)
        return
    _print_versions(models)


@app.command()
def show(name: NameArgument, json: JsonOption = False, server: ServerOption = "localhost:50051") -> None:
    """Show one model: its versions, their metrics, inputs and outputs."""
    with connected(server) as client:
        model = client.get_model(name)
    if json:
        print_json(model)
        return
    _print_versions([model])
    for version in model.versions:
        _print_details(model.name, version)


@app.command()
def load(
    name: NameArgument,
    version: VersionArgument,
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """Load a version and put it in service; where `stable` names another, it waits beside that one."""
    with connected(server) as client:
        model = client.load_version(name, version)
    _print_outcome(model, version, json=json)


@app.command()
def unload(
    name: NameArgument,
    version: VersionArgument,
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """Drop a version from memory and from service."""
    with connected(server) as client:
        model = client.unload_version(name, version)
    _print_outcome(model, version, json=json)


@app.command()
def promote(
    name: NameArgument,
    version: VersionArgument,
    label: Annotated[str, typer.Option(help="The label to give. The version with the label stable serves.")] = "stable",
    force: Annotated[bool, typer.Option("--force", help="Pass over the promotion gate.")] = False,
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """Give a version a label. The label stable puts it in service, if it passes the promotion gate."""
    with connected(server) as client:
        model = client.set_label(name, label, version, force=force)
    _print_outcome(model, version, json=json)


@app.command()
def unlabel(
    name: NameArgument,
    label: Annotated[str, typer.Argument(help="The label to take away.")],
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """Take a label away. What serves goes on serving."""
    with connected(server) as client:
        model = client.remove_label(name, label)
    if json:
        print_json(model)
        return
    print_line(f"{model.name}: {_labels(model) or 'no labels'}")


@app.command()
def rollback(name: NameArgument, json: JsonOption = False, server: ServerOption = "localhost:50051") -> None:
    """Put the version in service that served before; the label stable names it from then on."""
    with connected(server) as client:
        model = client.rollback(name)
    _print_outcome(model, model.labels.get("stable", 0), json=json)


@app.command()
def shadow(json: JsonOption = False, server: ServerOption = "localhost:50051") -> None:
    """Show how the versions with the label shadow compare with those in service."""
    with connected(server) as client:
        report = client.get_shadow_report()
    if json:
        print_json(report)
        return
    if report is None:
        print_line("no version is a shadow; make one with `audotics models promote NAME VERSION --label shadow`")
        return
    versions = ", ".join(f"{name}/{version}" for name, version in sorted(report.versions.items()))
    print_line(f"{versions}: {report.request_count} requests compared, {report.failure_count} failed")
    if not report.request_count:
        return  # nothing is known yet of what follows
    print_line(f"   overlap of the first {report.k}: {report.overlap_at_k:.2f}")
    print_line(f"   score drift: {report.score_drift:+.2f} standard deviations")
    print_line(f"   median time {report.shadow_ms:.1f} ms, in service {report.served_ms:.1f} ms")


@app.command()
def history(
    name: Annotated[str, typer.Argument(help="A model's name; without it, all of them.", show_default=False)] = "",
    before: Annotated[
        datetime | None,
        typer.Option(help="Show what happened before this time, UTC.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most records to show.")] = 20,
    json: JsonOption = False,
    server: ServerOption = "localhost:50051",
) -> None:
    """List what happened to versions, the latest first: what came into service, who caused it, and why."""
    until = None if before is None else before.replace(tzinfo=UTC)
    with connected(server) as client:

        def page(size: int, token: str) -> tuple[Sequence[ModelRecord], str]:
            found = client.list_model_records(name, before=until, page_size=size, page_token=token)
            return found.records, found.next_page_token

        records, more = all_pages(page, limit=limit)
    if json:
        print_json(records)
        return
    if not records:
        print_line("nothing is recorded" + (f" of {name}" if name else "") + (" before then" if before else ""))
        return
    servers = {record.server for record in records}
    several, reasons = len(servers) > 1, any(record.reason for record in records)
    print_table(
        (
            (
                f"{record.occurred_at:%Y-%m-%d %H:%M:%S}",
                *[record.server] * several,
                f"{record.model}/{record.version}",
                _what(record),
                f"{record.origin} {record.caller}".strip(),
                *[record.reason] * reasons,
            )
            for record in records
        ),
        columns=("when (UTC)", *["server"] * several, "version", "what", "by", *["why"] * reasons),
        whole=("when (UTC)", "version"),
        title=f"on {records[0].server}" if len(servers) == 1 else "",
    )
    if more:
        print_more(limit=limit)


def _what(record: ModelRecord) -> str:
    words = record.event.replace("_", " ")
    if record.event is ModelEvent.UNLABELLED:
        return f"is {record.label} no more"
    if record.event is ModelEvent.LABELLED:
        words = f"is {record.label}"
    return f"{words} in place of {record.replaced_version}" if record.replaced_version else words


def _print_outcome(model: ModelInfo, version: int, *, json: bool) -> None:
    if json:
        print_json(model)
        return
    state = next((_words(item) for item in model.versions if item.version == version), "gone")
    print_line(f"{model.name}/{version} is {state}")


def _print_versions(models: tuple[ModelInfo, ...] | list[ModelInfo]) -> None:
    print_table(
        (
            (
                f"{model.name}/{version.version}",
                _words(version),
                ", ".join(sorted(label for label, named in model.labels.items() if named == version.version)),
                version.framework,
                version.device,
                f"{version.created_at:%Y-%m-%d %H:%M}" if version.created_at else "",
                format_size(version.size_bytes),
            )
            for model in models
            for version in model.versions
        ),
        columns=("version", "state", "labels", "framework", "device", "created (UTC)", "size"),
        numeric=("size",),
        whole=("version", "created (UTC)"),
    )
    for model in models:
        for version in model.versions:
            if version.reason:
                where = f"{model.name}/{version.version}"
                said = version.reason.startswith((f"{where}:", f"{where} "))
                print_line(version.reason if said else f"{where}: {version.reason}", style="yellow")


def _print_details(name: str, version: VersionInfo) -> None:
    print_line(f"{name}/{version.version}", style="bold")
    for label, tensors in (("inputs", version.inputs), ("outputs", version.outputs)):
        if tensors:
            print_line(f"   {label}: {', '.join(_tensor(tensor) for tensor in tensors)}")
    if version.metrics:
        print_line("   " + ", ".join(f"{metric} {value:.4f}" for metric, value in sorted(version.metrics.items())))
    if version.parity_max_abs_diff is not None:
        print_line(f"   exported and trained model differ by {version.parity_max_abs_diff:.1e} at most")


def _words(version: VersionInfo) -> str:
    return version.state.replace("_", " ")


def _labels(model: ModelInfo) -> str:
    return ", ".join(f"{label} is {version}" for label, version in sorted(model.labels.items()))


def _tensor(tensor: TensorInfo) -> str:
    shape = ", ".join("any" if size < 0 else str(size) for size in tensor.shape)
    return f"{tensor.name} {tensor.dtype}[{shape}]"
