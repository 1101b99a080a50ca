"""Evaluation of the group model of a run: an open run goes in, the model and its baselines in one table come out."""

from __future__ import annotations

from audotics.evaluation.metric_table import MetricTable
from audotics.models.group import GroupModel, GroupOptions
from audotics.training.folder import RunError, RunFolder
from audotics.training.group_comparison import compare_group
from audotics.training.group_data import groups_of
from audotics.training.progress import Progress


def evaluate_groups(run: RunFolder, *, progress: Progress) -> MetricTable:
    """Measure on the held-out rows, and note the model's metrics in the run. Raises RunError when it is not trained."""
    if "group" not in run.kinds:
        raise RunError(f"{run.path}: no group model is trained; train one with `audotics train group`")
    options = GroupOptions(**run.kinds["group"]["options"])
    data, seed = groups_of(run), run.options["seed"]
    rows = compare_group(GroupModel.load(run.folder("group")), data, options, seed=seed, progress=progress)
    run.record_metrics("group", rows["group"])
    protocol = {
        "dataset": run.name,
        "groups": "simulated from single listeners" if data.simulated else "as the source has them",
        "rows": len(data.test),
        "negatives": data.test.negatives.shape[1],
    }
    return MetricTable(protocol, [{"model": model, "metrics": metrics} for model, metrics in rows.items()])
