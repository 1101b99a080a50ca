"""The refinement of a trained hybrid: logged decisions go in, its record and a table of what it is worth come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audotics.cli.output import print_line, print_table

if TYPE_CHECKING:
    from audotics.training.folder import RunFolder
    from audotics.training.progress import Progress
    from audotics.training.rewards import LoggedDecisions


def refine(run: RunFolder, logs: LoggedDecisions, source: str, progress: Progress) -> dict[str, Any]:
    """Refine the hybrid of `run` on logged decisions, and return its record. Raises RunError and DataError."""
    from audotics.training.folder import RunError
    from audotics.training.policy import PolicyOptions
    from audotics.training.refinement import refine_hybrid
    from audotics.training.run import Run

    if not isinstance(run, Run):
        raise RunError(f"{run.path}: is a run on {run.task}, which has no hybrid to refine")
    return refine_hybrid(run, logs, PolicyOptions(), source=source, progress=progress)


def print_refinement(rewards: dict[str, Any]) -> None:
    """Show what the gate is worth before and after the refinement, and whether that was kept."""
    print_table(
        (
            (name, *(_interval(rewards[moment][estimate]) for moment in ("before", "after")))
            for name, estimate in (("SNIPS", "snips"), ("doubly robust", "doubly_robust"))
        ),
        columns=("reward a decision", "before", "after"),
        numeric=("before", "after"),
    )
    decision = "kept" if rewards["kept"] else "dropped, since an estimate's lower bound fell"
    print_line(f"refined on {rewards['decisions']:,} logged decisions: {decision}", style="dim")


def _interval(value: dict[str, float]) -> str:
    return f"{value['estimate']:.4f} ({value['low']:.4f}–{value['high']:.4f})"
