"""The hybrid beside every model that it weighs, and beside popularity, item k-NN and EASE, on one split.

All kinds are trained with their defaults: each model chooses its options on the validation tracks, the gate is trained
on what the models without these tracks say of them, and then every model is fitted with them. No test track is looked
at before the table is made. The target is the hybrid's NDCG@10 over EASE's: 1.04 on yes-playlists-small and 1.08 with
`--split last`, 1.10 on hetrec2011-lastfm-2k.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from support.rankings import K, Note, parser, report

from audotics.cli.progress import rich_progress
from audotics.data.loaders import load
from audotics.training.kinds import KINDS, WEIGHED
from audotics.training.pipeline import train
from audotics.training.progress import Progress, Quiet
from audotics.training.run import Run, RunOptions
from audotics.training.scorers import core_scorers
from audotics.training.threads import wait_passively


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--run", type=Path, help="folder to keep the run in, and to go on in [a temporary one]")
    arguments.add_argument("--epochs", type=int, help="most epochs of the neural models, for a quick look")
    given = arguments.parse_args()
    wait_passively(os.environ)
    dataset = load(given.data)
    kinds = [kind for kind in (*WEIGHED, "hybrid") if KINDS[kind].absent is None]
    flags = {kind: {"epochs": given.epochs} for kind in kinds if given.epochs and "epochs" in KINDS[kind].flags}
    with nullcontext(str(given.run)) if given.run else tempfile.TemporaryDirectory() as folder:
        options = RunOptions(given.seed, given.k_core, given.split)
        run = Run.create_or_open(Path(folder) if given.run else Path(folder) / "run", dataset, options)
        progress: Progress
        with rich_progress() as shown:
            progress = Quiet() if given.json else shown
            train(run, kinds, flags, resume=True, progress=progress)
        split = run.split()
        notes = {kind: _note(run.kinds[kind]) for kind in kinds}
        report(given, run, split, core_scorers(run, split), notes)


def _note(record: dict[str, Any]) -> Note:
    """How long training took, and what it reached on the validation tracks where that is comparable."""
    validation = record.get("validation", {}).get(f"ndcg@{K}")
    calibration = record.get("validation", {}).get("ece")
    said = f"trained in {record['seconds']:.0f} s"
    return Note(said if calibration is None else f"{said}; calibration error {calibration:.4f}", validation)


if __name__ == "__main__":
    main()
