"""`audotics models`: the models of a server, listed, shown, loaded and unloaded through its public API."""

from __future__ import annotations

from typing import Annotated

import typer

from audotics.cli.connection import JsonOption, ServerOption, connected
from audotics.cli.output import format_size, print_json, print_line, print_table
from audotics.client import ModelInfo, TensorInfo, VersionInfo

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="List, show, load and unload the models of a server."
)

NameArgument = Annotated[str, typer.Argument(help="A model's name.")]
VersionArgument = Annotated[int, typer.Argument(help="A version, which is a positive integer.")]


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
    """Put a version in service in place of the one that served until now."""
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
    """Take a version out of service."""
    with connected(server) as client:
        model = client.unload_version(name, version)
    _print_outcome(model, version, json=json)


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
                model.name,
                str(version.version),
                _words(version),
                version.framework,
                f"{version.created_at:%Y-%m-%d %H:%M}" if version.created_at else "",
                format_size(version.size_bytes),
            )
            for model in models
            for version in model.versions
        ),
        columns=("model", "version", "state", "framework", "created (UTC)", "size"),
        numeric=("version", "size"),
    )
    for model in models:
        for version in model.versions:
            if version.reason:
                print_line(f"{model.name}/{version.version}: {version.reason}", style="yellow")


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


def _tensor(tensor: TensorInfo) -> str:
    shape = ", ".join("any" if size < 0 else str(size) for size in tensor.shape)
    return f"{tensor.name} {tensor.dtype}[{shape}]"
