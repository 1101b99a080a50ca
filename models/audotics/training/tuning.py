"""Choice of hyper-parameters: an open run and a kind go in, the options with the best validation score come out.

Each trial trains the kind in a scratch run that shares the data, and what the hybrid weighs, with the run. Trials are
kept in a journal (Optuna's), so that a search which was interrupted goes on, and a longer one takes up a shorter one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from audotics.training.folder import RECORD_FILE, RunError, RunFolder
from audotics.training.kinds import WEIGHED
from audotics.training.pipeline import train
from audotics.training.progress import Progress, Quiet

if TYPE_CHECKING:
    import optuna

TUNING_FOLDER: Final = "tuning"

Space = Callable[["optuna.Trial"], dict[str, Any]]
"""Draws the options of one trial."""

SPACES: Final = MappingProxyType[str, Space](
    {
        "collaborative": lambda trial: {
            "search": False,
            "l2": trial.suggest_float("l2", 0.25, 16.0, log=True),
            "item_exponent": trial.suggest_float("item_exponent", 0.0, 1.0),
            "user_exponent": trial.suggest_float("user_exponent", 0.0, 0.5),
            "tag_weight": trial.suggest_float("tag_weight", 0.0, 2.0),
        },
        "sequence": lambda trial: {
            "window": trial.suggest_int("window", 1, 20),
            "decay": trial.suggest_float("decay", 0.3, 1.0),
            "smoothing": trial.suggest_float("smoothing", 0.5, 50.0, log=True),
        },
        "content": lambda trial: {
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
            "temperature": trial.suggest_float("temperature", 0.03, 0.3, log=True),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        },
        "ncf": lambda trial: {
            "learning_rate": trial.suggest_float("learning_rate", 1e-3, 2e-2, log=True),
            "hidden_share": trial.suggest_float("hidden_share", 0.1, 0.5),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "embedding_size": trial.suggest_categorical("embedding_size", [64, 128, 256]),
        },
        "hybrid": lambda trial: {
            "hidden": trial.suggest_categorical("hidden", [16, 32, 64]),
            "learning_rate": trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True),
            "candidates": trial.suggest_categorical("candidates", [160, 320]),
        },
        "deep": lambda trial: {
            "learning_rate": trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True),
            "dropout": trial.suggest_float("dropout", 0.2, 0.6),
            "components": trial.suggest_categorical("components", [16, 32, 64]),
        },
        "group": lambda trial: {
            "learning_rate": trial.suggest_float("learning_rate", 3e-4, 3e-3, log=True),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "embedding_size": trial.suggest_categorical("embedding_size", [16, 32, 64]),
        },
        "mood": lambda trial: {
            "learning_rate": trial.suggest_float("learning_rate", 1e-3, 2e-2, log=True),
            "hidden": trial.suggest_categorical("hidden", [16, 32, 64]),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        },
    }
)
"""What is tried, by kind. `text` and `bert` have no score to go by, and `genre` searches by itself."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """The best options, as flags of the kind, with their validation score, after `trials` trials in all."""

    flags: dict[str, Any]
    score: float
    trials: int


def tune(run: RunFolder, kind: str, *, trials: int, progress: Progress) -> Tuned:
    """Search until the journal holds `trials` finished trials, and keep the best options in the run.

    Raises RunError for a kind that cannot be tuned or trained here.
    """
    import optuna

    if kind not in SPACES:
        raise RunError(f"{kind} cannot be tuned; those that can are {', '.join(SPACES)}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = run.path / TUNING_FOLDER
    folder.mkdir(exist_ok=True)
    backend = optuna.storages.journal.JournalFileBackend(str(folder / f"{kind}.journal"))
    study = optuna.create_study(
        study_name=kind,
        storage=optuna.storages.JournalStorage(backend),
        sampler=optuna.samplers.TPESampler(seed=int(run.options["seed"])),
        direction="maximize",
        load_if_exists=True,
    )
    done = len(study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)))
    if done:
        progress.say(f"{kind}: {done} trials are in the journal")

    def objective(trial: optuna.Trial) -> float:
        flags = SPACES[kind](trial)
        trial.set_user_attr("flags", flags)
        scratch = _scratch(run, kind, folder / f"{kind}.trial")
        return _score(train(scratch, [kind], {kind: flags}, resume=False, progress=Quiet())[kind])

    with progress.stage(f"tune {kind}", trials) as stage:
        stage.advance(min(done, trials))

        def tell(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            stage.advance(1, f"best {study.best_value:.4f}")

        study.optimize(objective, n_trials=max(0, trials - done), callbacks=[tell])
    shutil.rmtree(folder / f"{kind}.trial", ignore_errors=True)
    result = Tuned(dict(study.best_trial.user_attrs["flags"]), float(study.best_value), max(done, trials))
    (folder / f"{kind}.json").write_text(json.dumps(result.flags, indent=2) + "\n", "utf-8")
    return result


def tuned_flags(path: Path, kind: str) -> dict[str, Any]:
    """What `tune` chose for a kind in the run folder `path`, nothing before it ran. Raises RunError when damaged."""
    file = path / TUNING_FOLDER / f"{kind}.json"
    if not file.is_file():
        return {}
    try:
        flags: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{file}: cannot be read ({error}); remove it, or tune again") from error
    return flags


def _scratch(run: RunFolder, kind: str, path: Path) -> RunFolder:
    """A run of the same data in which nothing is trained but what the hybrid weighs."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    record = json.loads((run.path / RECORD_FILE).read_text("utf-8"))
    shared = [run.data_path.name, *(WEIGHED if kind == "hybrid" else ())]
    record["kinds"] = {name: value for name, value in record["kinds"].items() if name in shared}
    for name in shared:
        if (run.path / name).is_dir():
            (path / name).symlink_to((run.path / name).resolve(), target_is_directory=True)
    (path / RECORD_FILE).write_text(json.dumps(record), "utf-8")
    return type(run).open(path)


def _score(record: Mapping[str, Any]) -> float:
    """The first validation metric; content's is the best score of its training."""
    if record.get("validation"):
        return float(next(iter(record["validation"].values())))
    fit = record["fit"]
    return max([float(fit.get("start", 0.0)), *map(float, fit["scores"])])
