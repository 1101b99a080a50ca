"""Evaluation of a run on labelled tracks: its classifiers beside simple peers, each trained anew on every fold."""

from __future__ import annotations

import importlib

from audotics.evaluation.metric_table import MetricTable
from audotics.training.label_run import LabelRun
from audotics.training.progress import Progress
from audotics.training.recipe import load_recipe


def cross_validate(run: LabelRun, *, progress: Progress) -> MetricTable:
    """Test each trained kind on every track once, in folds; note its metrics in the run.

    What was trained on all tracks cannot be tested on any of them, so each fold trains a classifier of its own.
    """
    data, folds, seed = run.data(), run.options["folds"], run.options["seed"]
    table = MetricTable(
        {
            "dataset": run.name,
            "split": f"{folds} folds, stratified by class, alike tracks on one side, seed {seed}",
            "tracks": len(data),
        },
        [],
    )
    for kind, record in run.kinds.items():
        training = importlib.import_module(f"audotics.training.{kind}")
        options = load_recipe(kind).options(record["requested"])
        rows = training.cross_validate(data, options, folds=folds, seed=seed, progress=progress)
        table.rows.extend(row for row in rows if row["model"] not in {known["model"] for known in table.rows})
        run.record_metrics(kind, table.metrics(kind))
    return table
