"""Scorers of a run's trained models: a run goes in, what ranks tracks for listeners comes out, by kind.

`SCORERS` is the one table of them: a new kind stands in every comparison once it has a line there. Over the core they
score what the models were trained on; over the whole catalogue also the tracks that only some models know, as the
server does: where a model does not know a track, the hybrid goes without it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.evaluation.ranking import Histories, Scorer
from audotics.features.audio import AudioScaler
from audotics.features.content import ContentEncoder, Embeddings
from audotics.models.hybrid import LEARNT_FROM_LISTENING, Ensemble, Gate
from audotics.training.ensemble import load_ensemble, load_gate
from audotics.training.nearest import nearest, nearest_vectors
from audotics.training.quiet import quiet_native_logs
from audotics.training.run import Run, Split

BuildScorer = Callable[[Run, Split, Ensemble], Scorer]
"""What a kind says of itself; the ensemble holds the run's models that the hybrid weighs, already loaded."""


class HybridScorer:
    """The hybrid with its confidence in what it ranks."""

    def __init__(self, ensemble: Ensemble, gate: Gate) -> None:
        self._ensemble, self._gate = ensemble, gate

    def __call__(self, histories: Histories) -> NDArray[np.float32]:
        return self.with_confidence(histories)[0]

    def with_confidence(self, histories: Histories) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scores and calibrated confidences, float32 (b, n) each."""
        ranked = [self._gate.rank(inputs)[1:] for inputs in self._ensemble.inputs(histories)]
        return np.stack([scores for scores, _ in ranked]), np.stack([confidence for _, confidence in ranked])


class SpreadScorer:
    """A model of some tracks, as a scorer of all `n_tracks`; model row r is row `rows[r]` of these.

    Tracks that the model does not know are NaN, which the hybrid takes as no opinion, or with `lowest` stand behind
    all others. What a listener heard of them does not count.
    """

    def __init__(self, scorer: Scorer, rows: NDArray[np.integer], n_tracks: int, *, lowest: bool = False) -> None:
        self._scorer, self._rows, self._lowest = scorer, rows, lowest
        self._row_of = np.full(n_tracks, -1, np.int32)
        self._row_of[rows] = np.arange(len(rows), dtype=np.int32)

    def __call__(self, histories: Histories) -> NDArray[np.float32]:
        known = [self._row_of[history] for history in histories]
        scores = self._scorer([rows[rows >= 0] for rows in known])
        spread = np.full((len(scores), len(self._row_of)), np.nan, np.float32)
        if self._lowest:
            spread[:] = scores.min(axis=1, keepdims=True) - 1.0
        spread[:, self._rows] = scores
        return spread

    scores = __call__


def core_scorers(run: Run, split: Split) -> dict[str, Callable[[], Scorer]]:
    """A scorer of the core's tracks for each trained kind that ranks tracks, made when it is called for."""
    ensemble = load_ensemble(run, split, selection=False)
    return {kind: _later(build, run, split, ensemble) for kind, build in SCORERS.items() if kind in run.kinds}


def catalogue_scorers(run: Run) -> dict[str, Callable[[], Scorer]]:
    """A scorer of the whole catalogue, whose rows histories have too, for each trained kind that ranks tracks."""
    split = run.split()
    core = load_ensemble(run, split, selection=False)
    ensemble = _over_catalogue(run, split, core)
    scorers: dict[str, Callable[[], Scorer]] = {}
    for kind, build in SCORERS.items():
        if kind in run.kinds and kind in WHOLE_CATALOGUE:
            scorers[kind] = _later(build, run, split, ensemble)
        elif kind in run.kinds:
            scorers[kind] = _later(_spread, build, run, split, core)
    return scorers


def _over_catalogue(run: Run, split: Split, core: Ensemble) -> Ensemble:
    """The same models over all tracks: those not in the core have content, context and no plays."""
    tracks = run.tracks()
    plays = np.zeros(len(tracks), np.float32)
    plays[split.rows] = split.tracks.plays
    spread: dict[str, Any] = {
        name: SpreadScorer(model.scores, split.rows, len(tracks))
        for name in LEARNT_FROM_LISTENING
        if (model := getattr(core, name)) is not None
    }
    return Ensemble.build(
        tracks.with_plays(plays),
        scaler=AudioScaler.fit(tracks.audio),
        collaborative=spread.get("collaborative"),
        ncf=spread.get("ncf"),
        sequence=spread.get("sequence"),
        content=_catalogue_embeddings(run) if core.content is not None else None,
    )


def _catalogue_embeddings(run: Run) -> Embeddings:
    """Content embeddings of the whole catalogue, by the network as it was trained on the core."""
    with quiet_native_logs():
        from audotics.models.content import encode, load  # Keras and TensorFlow, 600 MB

    encoder = ContentEncoder.from_json(run.kinds["content"]["encoder"])
    return encode(load(run.folder("content")), encoder.encode(run.tracks()))


def _later(build: Callable[..., Scorer], *arguments: Any) -> Callable[[], Scorer]:
    return lambda: build(*arguments)


def _spread(build: BuildScorer, run: Run, split: Split, ensemble: Ensemble) -> Scorer:
    return SpreadScorer(build(run, split, ensemble), split.rows, run.counts["tracks"], lowest=True)


def _collaborative(run: Run, split: Split, ensemble: Ensemble) -> Scorer:
    assert ensemble.collaborative is not None
    return ensemble.collaborative.scores


def _ncf(run: Run, split: Split, ensemble: Ensemble) -> Scorer:
    assert ensemble.ncf is not None
    return ensemble.ncf.scores


def _sequence(run: Run, split: Split, ensemble: Ensemble) -> Scorer:
    assert ensemble.sequence is not None
    return ensemble.sequence.scores


def _content(run: Run, split: Split, ensemble: Ensemble) -> Scorer:
    assert ensemble.content is not None
    return nearest(ensemble.content)


def _deep(run: Run, split: Split, ensemble: Ensemble) -> Scorer:
    with quiet_native_logs():
        from audotics.models.deep import DeepModel

    return DeepModel.load(run.folder("deep")).scorer(split.tracks, split.training)


def _text(run: Run, split: Split, ensemble: Ensemble) -> Scorer:
    return nearest_vectors(np.load(run.folder("text") / "vectors.npy", allow_pickle=False))


def _bert(run: Run, split: Split, ensemble: Ensemble) -> Scorer:
    return nearest_vectors(np.load(run.folder("bert") / "vectors.npy", allow_pickle=False)[split.rows])


def _hybrid(run: Run, split: Split, ensemble: Ensemble) -> Scorer:
    return HybridScorer(ensemble, load_gate(run))


SCORERS: Final = MappingProxyType[str, BuildScorer](
    {
        "collaborative": _collaborative,
        "sequence": _sequence,
        "content": _content,
        "ncf": _ncf,
        "hybrid": _hybrid,
        "deep": _deep,
        "text": _text,
        "bert": _bert,
    }
)

WHOLE_CATALOGUE: Final = frozenset({"content", "hybrid"})
"""Kinds that score tracks outside the core from what the catalogue says of them, given an ensemble of all tracks."""
