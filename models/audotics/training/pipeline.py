"""Training of a run, kind by kind: each kind's model goes to its folder, and a record of it to `run.json`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.audio import AudioScaler
from audotics.features.content import ContentEncoder
from audotics.models.collaborative import CollaborativeModel, CollaborativeOptions
from audotics.models.hybrid import Ensemble, Gate, HybridOptions
from audotics.models.ncf import Ncf, NcfOptions
from audotics.training.checkpoints import Checkpoints
from audotics.training.collaborative import train_collaborative
from audotics.training.hybrid import train_hybrid
from audotics.training.loop import Fit
from audotics.training.ncf import train_ncf
from audotics.training.progress import Progress
from audotics.training.quiet import quiet_native_logs
from audotics.training.run import Run, RunError, Split

KINDS: Final = ("collaborative", "content", "ncf", "hybrid")
"""In the order in which they are trained: the hybrid weighs the others."""

VALIDATION_LISTENERS = 2_000


@dataclass(frozen=True, slots=True)
class ContentSettings:
    """`audotics.models.content.ContentOptions` in a form that does not need Keras."""

    embedding_size: int = 64
    epochs: int = 50
    batch_size: int = 256
    learning_rate: float = 0.001
    validation_split: float = 0.2


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Hyper-parameters of every kind. `search` lets the collaborative model choose its own on validation data."""

    collaborative: CollaborativeOptions = field(default_factory=lambda: CollaborativeOptions(rank=2048))
    content: ContentSettings = field(default_factory=ContentSettings)
    ncf: NcfOptions = field(default_factory=NcfOptions)
    hybrid: HybridOptions = field(default_factory=HybridOptions)
    search: bool = True


def train(
    run: Run, kinds: Sequence[str], options: TrainingOptions, *, resume: bool, progress: Progress
) -> dict[str, dict[str, Any]]:
    """Train `kinds`, in the order of KINDS, and return their records.

    With `resume`, kinds that were finished with the same options are kept, and one that was interrupted goes on from
    its last checkpoint. Raises RunError when the hybrid is asked for before what it weighs.
    """
    split = run.split()
    trainers: dict[str, Callable[[], dict[str, Any]]] = {
        "collaborative": lambda: _collaborative(run, split, options, progress),
        "content": lambda: _content(run, split, options.content, resume, progress),
        "ncf": lambda: _ncf(run, split, options.ncf, resume, progress),
        "hybrid": lambda: _hybrid(run, split, options.hybrid, resume, progress),
    }
    for kind in (kind for kind in KINDS if kind in kinds):
        requested = asdict(getattr(options, kind)) | ({"search": options.search} if kind == "collaborative" else {})
        if resume and run.kinds.get(kind, {}).get("requested") == requested:
            progress.say(f"{kind}: kept, it was finished with the same options")
            continue
        started = time.monotonic()
        record = trainers[kind]()
        run.record(kind, record | {"requested": requested, "seconds": round(time.monotonic() - started, 2)})
    return {kind: run.kinds[kind] for kind in kinds}


def load_ensemble(run: Run, split: Split, *, selection: bool) -> Ensemble:
    """The trained models that the hybrid weighs; with `selection`, those that have not seen the validation tracks."""
    kinds, seen = run.kinds, split.fitting if selection else split.training

    def folder(kind: str) -> Path:
        return run.folder(kind) / "selection" if selection else run.folder(kind)

    heard = np.concatenate([np.zeros(0, np.int32), *seen])
    plays = np.bincount(heard, minlength=len(split.tracks)).astype(np.float32)
    return Ensemble.build(
        split.tracks.with_plays(plays),
        scaler=AudioScaler.fit(run.tracks().audio),
        collaborative=CollaborativeModel.load(folder("collaborative"), kinds["collaborative"]["options"])
        if "collaborative" in kinds
        else None,
        ncf=Ncf.load(folder("ncf"), kinds["ncf"]["options"]) if "ncf" in kinds else None,
        content_vectors=content_vectors(run) if "content" in kinds else None,
    )


def content_vectors(run: Run) -> NDArray[np.float32]:
    """float32 (n, d): the content embeddings of the core's tracks, as they were after training."""
    vectors: NDArray[np.float32] = np.load(run.folder("content") / "vectors.npy", allow_pickle=False)
    return vectors


def _collaborative(run: Run, split: Split, options: TrainingOptions, progress: Progress) -> dict[str, Any]:
    seed = run.options["seed"]
    result = train_collaborative(split, options.collaborative, search=options.search, seed=seed, progress=progress)
    folder = run.folder("collaborative")
    (folder / "selection").mkdir(exist_ok=True)
    result.selection.save(folder / "selection")
    result.final.save(folder)
    return {"options": asdict(result.options), "validation": {"ndcg@10": result.score}}


def _content(run: Run, split: Split, settings: ContentSettings, resume: bool, progress: Progress) -> dict[str, Any]:
    with quiet_native_logs():
        from audotics.models.content import ContentOptions, encode, save  # Keras and TensorFlow, 600 MB
        from audotics.training.content import train_content

    encoder = ContentEncoder.fit(split.tracks)
    inputs = encoder.encode(split.tracks)
    options = ContentOptions(**asdict(settings))
    folder = run.folder("content")
    network, result = train_content(
        encoder,
        inputs,
        split.fitting,
        options,
        seed=run.options["seed"],
        checkpoints=folder / "checkpoints",
        resume=resume,
        progress=progress,
    )
    save(network, folder)
    np.save(folder / "vectors.npy", encode(network, inputs))
    return {"options": asdict(options), "encoder": encoder.to_json(), "fit": _fit_record(result)}


def _ncf(run: Run, split: Split, options: NcfOptions, resume: bool, progress: Progress) -> dict[str, Any]:
    folder, seed = run.folder("ncf"), run.options["seed"]
    (folder / "selection").mkdir(exist_ok=True)
    selection, result = train_ncf(
        split.fitting,
        len(split.tracks),
        options,
        seed=seed,
        holdout=split.validation.sample(VALIDATION_LISTENERS, seed=seed),
        checkpoints=Checkpoints(folder / "checkpoints" / "selection"),
        resume=resume,
        progress=progress,
        title="ncf",
    )
    selection.save(folder / "selection")
    final, _ = train_ncf(
        split.training,
        len(split.tracks),
        replace(options, epochs=result.best_epoch),
        seed=seed,
        holdout=None,
        checkpoints=Checkpoints(folder / "checkpoints" / "final"),
        resume=resume,
        progress=progress,
        title="ncf with the validation tracks",
    )
    final.save(folder)
    return {"options": asdict(options), "fit": _fit_record(result), "validation": {"ndcg@10": result.best_score}}


def _hybrid(run: Run, split: Split, options: HybridOptions, resume: bool, progress: Progress) -> dict[str, Any]:
    missing = [kind for kind in KINDS[:-1] if kind not in run.kinds]
    if missing:
        raise RunError(
            f"{run.path}: the hybrid weighs models that are not trained yet: {', '.join(missing)}; "
            "train them first, or all at once with `audotics train all`"
        )
    folder = run.folder("hybrid")
    gate, result, calibration = train_hybrid(
        load_ensemble(run, split, selection=True),
        split.validation,
        options,
        seed=run.options["seed"],
        checkpoints=Checkpoints(folder / "checkpoints"),
        resume=resume,
        progress=progress,
    )
    gate.save(folder)
    return {
        "options": asdict(options),
        "fit": _fit_record(result),
        "validation": {"ndcg@10": result.best_score} | calibration,
    }


def load_gate(run: Run) -> Gate:
    return Gate.load(run.folder("hybrid"))


def _fit_record(result: Fit) -> dict[str, Any]:
    return {"best_epoch": result.best_epoch, "losses": result.losses, "scores": result.scores}
