"""`audotics demo`: a synthetic catalogue goes in, recommendations from a served repository come out."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audotics.cli.evaluate import print_comparison
from audotics.cli.export import print_exported
from audotics.cli.output import expected_errors, print_line, print_table
from audotics.cli.train import flags_by_kind, print_report, print_trained

if TYPE_CHECKING:
    from audotics.client import Recommendation
    from audotics.server.settings import Settings


def demo(
    output: Annotated[Path, typer.Option(help="Folder for the run and the repository.")] = Path("demo"),
    tracks: Annotated[int, typer.Option(min=200, help="Tracks of the synthetic catalogue.")] = 1_500,
    listeners: Annotated[int, typer.Option(min=100, help="Synthetic listeners.")] = 800,
    seed: Annotated[int, typer.Option(help="Seed of the catalogue, the split and every model.")] = 0,
) -> None:
    """Generate a catalogue, then train, evaluate, export, serve and recommend, end to end."""
    from audotics.training.memory import keep_freed_memory
    from audotics.training.threads import wait_passively

    wait_passively(os.environ)
    keep_freed_memory()
    from audotics.bundle.store import BundleStore
    from audotics.cli.progress import rich_progress
    from audotics.data.synthetic import synthetic
    from audotics.exporters.errors import ExportError
    from audotics.exporters.publish import export_run
    from audotics.server.errors import AudoticsError
    from audotics.server.settings import load_settings
    from audotics.training.comparison import compare
    from audotics.training.kinds import KINDS, WEIGHED
    from audotics.training.pipeline import train
    from audotics.training.run import Run, RunError, RunOptions

    run_folder, repository = output / "run", output / "repository"
    with expected_errors(RunError, ExportError, AudoticsError):
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{output}: cannot be made ({error.strerror}); choose another --output") from error
        shutil.rmtree(run_folder, ignore_errors=True)
        dataset = synthetic(n_tracks=tracks, n_users=listeners, seed=seed)
        print_report(dataset.report)
        run = Run.create(run_folder, dataset, RunOptions(seed=seed))
        kinds = [kind for kind in (*WEIGHED, "hybrid") if KINDS[kind].absent is None]
        with rich_progress() as progress:
            records = train(run, kinds, _quick(), resume=False, progress=progress)
        print_trained(records)
        with rich_progress() as progress:
            comparison = compare(run, progress=progress)
        print_comparison(comparison)
        with rich_progress() as progress:
            bundles = export_run(run, BundleStore(repository), progress=progress)
        print_exported(bundles)
        settings = load_settings(
            repository=repository, port=0, http_port=-1, state_dir=output / "state", log_level="warning"
        )
        user = str(dataset.user_ids[0])
        asyncio.run(_serve_and_recommend(settings, user))
    print_line("Serve it yourself:")
    print_line(f"  audotics serve --repository {repository}", style="bold")
    print_line(f"  audotics recommend {user} --explain", style="bold")


def _quick() -> dict[str, dict[str, Any]]:
    """Options that end sooner, by kind. Here no epoch of content improves on the closed form that it starts as."""
    quick = flags_by_kind({"epochs": 8})
    quick["content"]["epochs"] = 1
    return quick


async def _serve_and_recommend(settings: Settings, user: str) -> None:
    from audotics.client import AsyncRecommenderClient, Mood
    from audotics.server.app import open_app

    async with open_app(settings) as app, AsyncRecommenderClient(app.address) as client:
        _print_list(f"For {user}", await client.recommend(user, limit=5))
        _print_list(f"For {user}, chill", await client.recommend(user, limit=5, mood=Mood.CHILL))


def _print_list(title: str, answer: Recommendation) -> None:
    print_table(
        (
            (str(rank), track.title, track.artist, f"{track.score:.3f}", f"{track.confidence:.1%}")
            for rank, track in enumerate(answer.tracks, 1)
        ),
        columns=("#", "title", "artist", "score", "confidence"),
        numeric=("#", "score", "confidence"),
        title=title,
    )
