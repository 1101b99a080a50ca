"""Refinement of a run's hybrid: logged decisions with rewards go in, a gate that was replaced, or not, comes out.

What `policy.refine` learnt is kept only where it is better on decisions held back. The confidence is calibrated anew
then, on the same listeners as after training, whom the gate's weights have not seen. The gate as it was trained stays
beside it, and a second refinement starts from there and not from the first.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import Any, Final

import torch

from audotics.evaluation.ranking import Holdout
from audotics.models.hybrid import Gate, HybridOptions
from audotics.training.ensemble import load_ensemble
from audotics.training.folder import RunError
from audotics.training.hybrid import calibrate, calibration_error, draw_listeners
from audotics.training.hybrid_examples import collect_examples
from audotics.training.policy import PolicyOptions, Refinement, refine
from audotics.training.progress import Progress
from audotics.training.rewards import LoggedDecisions
from audotics.training.run import Run

UNREFINED: Final = "unrefined"
"""Folder of the gate before any refinement."""


def refine_hybrid(
    run: Run, logs: LoggedDecisions, options: PolicyOptions, *, source: str, progress: Progress
) -> dict[str, Any]:
    """Refine the trained hybrid of `run` and return its new record, with "rewards" that say how it went.

    `source` names where the logs come from. Raises RunError without a hybrid, DataError with too few decisions.
    """
    record = run.kinds.get("hybrid")
    if record is None:
        raise RunError(f"{run.path}: has no trained hybrid to refine; train it with `audotics train hybrid`")
    folder = run.folder("hybrid")
    if not record.get("rewards", {}).get("kept"):
        shutil.rmtree(folder / UNREFINED, ignore_errors=True)
    first = Gate.load(folder / UNREFINED if (folder / UNREFINED).is_dir() else folder)
    refinement = refine(first, logs, options, progress=progress)
    record = record | {"rewards": _rewards(refinement, logs, options, source)}
    record.pop("metrics", None)
    if refinement.kept:
        error = _calibrate(refinement.gate, run, HybridOptions(**record["options"]), progress)
        # How well it ranks is what the estimates say, and no longer what was measured before.
        record["validation"] = {"ece": error}
    with run.saving("hybrid") as saved:
        (saved / UNREFINED).mkdir()
        first.save(saved / UNREFINED)
        refinement.gate.save(saved)
    run.record("hybrid", record)
    return record


def _calibrate(gate: Gate, run: Run, options: HybridOptions, progress: Progress) -> float:
    """Calibrate on half of the listeners that training kept from the weights, and return the error on the other."""
    split, seed = run.split(), run.options["seed"]
    drawn, judging = draw_listeners(split.validation, len(split.tracks), options, seed=seed)
    kept = Holdout([drawn.histories[row] for row in judging], drawn.targets[judging])
    ensemble = load_ensemble(run, split, selection=True)
    examples = collect_examples(ensemble, kept, options.candidates, seed=seed, progress=progress)
    calibrating, judges = torch.arange(len(kept.targets)).tensor_split(2)
    calibrate(gate, examples.of(calibrating))
    return calibration_error(gate, examples.of(judges))


def _rewards(refinement: Refinement, logs: LoggedDecisions, options: PolicyOptions, source: str) -> dict[str, Any]:
    return {
        "source": source,
        "decisions": len(logs),
        "kept": refinement.kept,
        "divergence": refinement.divergence,
        "before": refinement.before.to_json(),
        "after": refinement.after.to_json(),
        "options": asdict(options),
    }
