"""The deep model beside popularity, item k-NN and EASE: full ranking of each test listener's held-out track.

The number of epochs is chosen by NDCG@10 on the validation tracks, which are cut from the training part; the model is
then fitted anew with these tracks, as EASE is. No test track is looked at before the table is made.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from support.rankings import Note, parser, report, run_of

from audotics.cli.progress import rich_progress
from audotics.training.quiet import quiet_native_logs


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--epochs", type=int, help="most epochs, for a quick look")
    given = arguments.parse_args()
    with quiet_native_logs():
        from audotics.models.deep import DeepOptions
        from audotics.training.deep import train_deep

    options = DeepOptions() if given.epochs is None else replace(DeepOptions(), epochs=given.epochs)
    with tempfile.TemporaryDirectory() as folder:
        run = run_of(given, Path(folder) / "run")
        split = run.split()
        started = time.perf_counter()
        with rich_progress() as progress:
            checkpoints = Path(folder) / "checkpoints"
            model, fit = train_deep(
                split, options, seed=given.seed, checkpoints=checkpoints, resume=False, progress=progress
            )
        note = f"best of {len(fit.losses)} epochs: {fit.best_epoch}; trained in {time.perf_counter() - started:.0f} s"
        scorers = {"deep": lambda: model.scorer(split.tracks, split.training)}
        report(given, run, split, scorers, {"deep": Note(note, fit.best_score)})


if __name__ == "__main__":
    main()
