"""Fit of the sequence model: a split goes in, transitions counted without and with its validation tracks come out.

Where a source keeps no order, transitions are noise, and a gate that weighs them ranks worse than one without. So a
model that finds fewer of the validation tracks than popularity does is emptied: it then has nothing to say.
"""

from __future__ import annotations

from dataclasses import dataclass

from audotics.evaluation.baselines import history_matrix, popularity
from audotics.models.sequence import SequenceModel, SequenceOptions, count_transitions
from audotics.training.progress import Progress
from audotics.training.run import Split

VALIDATION_LISTENERS = 4_000


@dataclass(frozen=True, slots=True)
class SequenceFit:
    """The model fitted without (`selection`) and with (`final`) the validation tracks.

    `score` is the NDCG@10 of the former on these tracks, before it is emptied.
    """

    selection: SequenceModel
    final: SequenceModel
    score: float


def train_sequence(split: Split, options: SequenceOptions, *, seed: int, progress: Progress) -> SequenceFit:
    """Count transitions in the order of the histories, if that order says anything."""
    n_tracks = len(split.tracks)
    holdout = split.validation.sample(VALIDATION_LISTENERS, seed=seed)
    with progress.stage("sequence", 3) as stage:
        selection = count_transitions(split.fitting, n_tracks, options)
        score = holdout.evaluate(selection.scores)["ndcg@10"]
        stage.advance(1, f"validation {score:.4f}")
        least = holdout.evaluate(popularity(history_matrix(split.fitting, n_tracks)))["ndcg@10"]
        stage.advance(1, f"validation {score:.4f}, popularity {least:.4f}")
        if score > least:
            final = count_transitions(split.training, n_tracks, options)
        else:
            progress.say("sequence: left empty, since the order of the histories says less than popularity")
            selection = final = count_transitions([], n_tracks, options)
        stage.advance(1, f"validation {score:.4f}")
    return SequenceFit(selection, final, score)
