"""Training of the mood classifier: tracks of four moods go in, a calibrated network of eight and a record come out.

Every member of the network leaves one fold of the tracks out, and the folds are dealt anew for each repeat. So all
members train at once, and each track has judges that have never seen it: their mean says when to stop and how to
calibrate.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from audotics.data.dataset import DataError
from audotics.data.labelled import LabelledTracks
from audotics.evaluation.classification import assess, scarcest_class, stratified_folds
from audotics.models.mood import FAMILIES, MoodModel, MoodOptions, build
from audotics.training.classifiers import baselines, compare
from audotics.training.keras_checkpoints import KerasCheckpoints, reseed
from audotics.training.progress import Progress, Quiet

_TEMPERATURES = (0.05, 20.0)


def train_mood(
    data: LabelledTracks,
    options: MoodOptions,
    *,
    seed: int,
    checkpoints: Path,
    resume: bool,
    progress: Progress,
) -> tuple[MoodModel, dict[str, Any]]:
    """Fit the bag, stopping by the log loss of members on tracks that they left out, and calibrate it on the same.

    After each epoch the weights and the optimizer's state go to `checkpoints`, and `resume` goes on from there. Raises
    DataError when the classes are not FAMILIES or one is too small, and CheckpointError for a checkpoint of no use.
    """
    if data.class_names != FAMILIES:
        raise DataError(
            f"{data.name}: its classes are {', '.join(data.class_names)}, but mood learns from {', '.join(FAMILIES)}; "
            "name the classes so"
        )
    left_out = _left_out(data, options, seed=seed)
    network = build(data.x, data.feature_names, options, members=left_out.shape[1], seed=seed)
    model = network.members
    model.compile(
        optimizer=keras.optimizers.AdamW(options.learning_rate, weight_decay=options.weight_decay),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.optimizer.build(model.trainable_variables)
    record = KerasCheckpoints(checkpoints, model, resume=resume)
    if record.losses:
        record.restore(len(record.losses))
        progress.say(f"mood: resumed after epoch {len(record.losses)}")
    x = data.x.astype(np.float32)
    with progress.stage("mood", options.epochs) as stage:
        stage.advance(len(record.losses))
        for epoch in range(len(record.losses), options.epochs):
            if epoch - record.best_epoch >= options.patience:
                break
            reseed(model, [seed, 2, epoch])
            order = np.random.default_rng([seed, 1, epoch]).permutation(len(data))
            loss = _run_epoch(model, x[order], data.labels[order], ~left_out[order], batch_size=options.batch_size)
            judged = _log_loss(_judged(model, x, left_out), data.labels)
            record.add(loss=loss, score=-judged)
            stage.advance(1, f"loss {loss:.4f}, validation {judged:.4f}")
    record.restore(record.best_epoch)
    logits = _judged(model, x, left_out)
    temperature = _temperature(logits, data.labels)
    network.moods.get_layer("probabilities").temperature.assign(temperature)
    held_out = assess(softmax(logits / temperature, axis=1), data.labels, data.class_names)
    return MoodModel(network.moods, data.feature_names), {
        "options": asdict(options),
        "fit": {
            "best_epoch": record.best_epoch,
            "losses": record.losses,
            "scores": record.scores,
            "members": left_out.shape[1],
            "temperature": temperature,
        },
        "validation": held_out.metrics,
    }


def cross_validate(
    data: LabelledTracks, options: MoodOptions, *, folds: int = 10, seed: int, progress: Progress
) -> list[dict[str, Any]]:
    """Rows of metrics on the four moods by model: simple and strong baselines, and ours, on the same folds."""

    def ours(train: LabelledTracks, test: LabelledTracks, fold_seed: int) -> NDArray[np.float32]:
        keras.utils.clear_session(free_memory=False)
        with tempfile.TemporaryDirectory() as folder:
            model, _ = train_mood(
                train, options, seed=fold_seed, checkpoints=Path(folder), resume=False, progress=Quiet()
            )
        return model.families(test.x)

    return compare(data, {**baselines(len(data)), "mood": ours}, folds=folds, seed=seed, progress=progress)


def _left_out(data: LabelledTracks, options: MoodOptions, *, seed: int) -> NDArray[np.bool_]:
    """bool (n, members): whether a member has not seen a track."""
    folds = max(2, min(options.folds, scarcest_class(data)[1]))
    columns = []
    for repeat in range(options.repeats):
        for fold in stratified_folds(data, folds=folds, seed=1_000 * seed + repeat):
            column = np.zeros(len(data), np.bool_)
            column[fold.test] = True
            columns.append(column)
    return np.stack(columns, axis=1)


def _run_epoch(
    model: keras.Model,
    x: NDArray[np.float32],
    labels: NDArray[np.int64],
    seen: NDArray[np.bool_],
    *,
    batch_size: int,
) -> float:
    """Mean loss of one pass; batches are equal, so that their mean is that of the tracks."""
    losses = []
    batches = max(1, len(x) // batch_size)
    for rows in np.array_split(np.arange(len(x)), batches):
        targets = np.repeat(labels[rows, None], seen.shape[1], axis=1)
        model.reset_metrics()
        losses.append(float(model.train_on_batch(x[rows], targets, sample_weight=seen[rows].astype(np.float32))))
    return float(np.mean(losses))


def _judged(model: keras.Model, x: NDArray[np.float32], left_out: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float64 (n, families): the mean logits of the members that have not seen the track."""
    logits = np.asarray(model.predict_on_batch(x), np.float64)
    shares = left_out / left_out.sum(axis=1, keepdims=True)
    result: NDArray[np.float64] = np.einsum("nm,nmc->nc", shares, logits)
    return result


def _log_loss(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def _temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The divisor of `logits` with the least log loss (Guo et al. 2017)."""
    found = minimize_scalar(
        lambda log: _log_loss(logits / np.exp(log), labels), bounds=np.log(_TEMPERATURES), method="bounded"
    )
    return float(np.exp(found.x))
