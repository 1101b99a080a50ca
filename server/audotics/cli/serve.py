"""`audotics serve`: a model repository goes in, a gRPC server runs until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audotics.cli.output import expected_errors, fail, print_line

if TYPE_CHECKING:
    from audotics.server.app import App


def serve(
    repository: Annotated[
        Path | None, typer.Option(help="Folder that `audotics export` wrote. [default: repository]", show_default=False)
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; 0.0.0.0 or :: lets other machines in. [default: 127.0.0.1]", show_default=False
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one. [default: 50051]", show_default=False)
    ] = None,
    http_port: Annotated[
        int | None,
        typer.Option(
            help="Port of HTTP, for metrics and health; 0 takes a free one, -1 is no HTTP. [default: 8080]",
            show_default=False,
        ),
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option(help="Folder of the server's own state. [default: .audotics]", show_default=False)
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            help="Where events and catalogue changes are kept. [default: state.db in the state folder]",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads that run models. [default: one a processor]", show_default=False)
    ] = None,
    drain_s: Annotated[
        float | None,
        typer.Option(help="Seconds that requests under way get after SIGTERM. [default: 30]", show_default=False),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(help="auto, console or json. [default: auto]", show_default=False)
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error. [default: info]", show_default=False)
    ] = None,
) -> None:
    """Serve a model repository over gRPC.

    What no option says is read from AUDOTICS_* variables (AUDOTICS_PORT) and from ./audotics.toml, where every setting
    of the server can stand.
    """
    started = time.perf_counter()
    from audotics.server.runtime.threads import limit_blas_threads

    limit_blas_threads(os.environ)  # before NumPy is imported, which reads it once
    from audotics.server.errors import AudoticsError, NotReadyError
    from audotics.server.process import serve as run_server
    from audotics.server.settings import load_settings

    def announce(app: App) -> None:
        for refused in app.refused:
            print_line(f"Left out {refused}", style="yellow")
        models = ", ".join(f"{name}/{version}" for name, version in app.models)
        ready_s = time.perf_counter() - started
        print_line(f"Serving {app.track_count:,} tracks with {models} on {app.address} (ready in {ready_s:.1f} s)")
        if app.http_address:
            print_line(f"Metrics and health on http://{app.http_address}")

    with expected_errors(AudoticsError):
        settings = load_settings(
            repository=repository,
            host=host,
            port=port,
            http_port=http_port,
            state_dir=state_dir,
            database_url=database_url,
            threads=threads,
            drain_s=drain_s,
            log_format=log_format,
            log_level=log_level,
        )
        try:
            asyncio.run(run_server(settings, on_ready=announce))
        except NotReadyError as error:
            missing = "" if settings.repository.is_dir() else " (there is no such folder)"
            fail(f"{settings.repository}{missing}: {error}")
