"""`audotics tune`: a run and a kind go in, its best hyper-parameters by validation score come out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from audotics.cli.output import expected_errors, print_json, print_line, print_table


def tune(
    kind: Annotated[str, typer.Argument(help="The model whose options are chosen.")],
    run: Annotated[Path, typer.Argument(help="Folder of the run, as `audotics train` wrote it.")],
    trials: Annotated[int, typer.Option(min=1, help="Trials in all; those of an earlier call count.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print the chosen options as JSON.")] = False,
) -> None:
    """Choose hyper-parameters on validation data. An interrupted search goes on where it was."""
    from audotics.training.memory import keep_freed_memory
    from audotics.training.threads import wait_passively

    wait_passively(os.environ)
    keep_freed_memory()
    from audotics.cli.progress import rich_progress
    from audotics.data.dataset import DataError
    from audotics.training.folder import RunError
    from audotics.training.tasks import open_run
    from audotics.training.tuning import tune as search

    with expected_errors(RunError, DataError), rich_progress() as progress:
        tuned = search(open_run(run), kind, trials=trials, progress=progress)
    if json:
        print_json({"kind": kind, "options": tuned.flags, "validation": tuned.score, "trials": tuned.trials})
        return
    print_table(((name, str(value)) for name, value in tuned.flags.items()), columns=("option", "chosen"))
    print_line(f"validation {tuned.score:.4f} after {tuned.trials} trials", style="dim")
    print_line(f"Next: audotics train {kind} --tuned --data DATA --output {run}", style="dim")
