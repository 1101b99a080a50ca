"""Listeners in the order of the data: the first ones train models, the others are replayed track by track."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.cli.progress import rich_progress
from audotics.data.dataset import Dataset
from audotics.data.loaders import load
from audotics.models.hybrid import Ensemble, Gate
from audotics.server.learning.segments import segment_of
from audotics.server.pipeline.relevance import Relevance
from audotics.training.ensemble import load_ensemble, load_gate
from audotics.training.kinds import WEIGHED
from audotics.training.pipeline import train
from audotics.training.run import Run, RunOptions

_BATCH: Final = 64
LEAST_TRACKS: Final = 2
MOST_PLAYED: Final = 0.2


def first_listeners(whole: Dataset, share: float) -> Dataset:
    """The data set without the interactions of the listeners after the first `share`."""
    interactions = whole.interactions
    return whole.with_interactions(interactions.take(interactions.users < int(share * whole.n_users)))


def trained_on_first(data: Path, *, share: float, folder: Path | None, seed: int) -> Run:
    """Train all that a hybrid weighs, and the hybrid, on the first listeners; what is finished in `folder` is kept."""
    path = Path(tempfile.mkdtemp(prefix="audotics-")) / "run" if folder is None else folder
    if (path / "run.json").is_file():
        run = Run.open(path)
        if "hybrid" in run.kinds:
            return run
    run = Run.create_or_open(path, first_listeners(load(data), share), RunOptions(seed))
    with rich_progress() as progress:
        train(run, [*WEIGHED, "hybrid"], resume=True, progress=progress, leave_out=True)
    return run


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A list for a listener over all n tracks: weights and components (n, 6), what they have heard, what they will."""

    weights: NDArray[np.float32]
    components: NDArray[np.float32]
    heard: NDArray[np.int32]
    to_come: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """All steps in order. `listener` (m,) are numbers, ascending; `segment` the names under which is learned."""

    ensemble: Ensemble
    gate: Gate
    histories: Sequence[NDArray[np.int32]]
    to_come: Sequence[NDArray[np.int32]]
    listener: NDArray[np.int64]

    @property
    def segment(self) -> list[str]:
        return [segment_of(len(history), asked=False) for history in self.histories]

    @property
    def rare(self) -> NDArray[np.bool_]:
        """Tracks (n,) outside the most played fifth."""
        popularity = self.ensemble.popularity
        return popularity < np.quantile(popularity, 1 - MOST_PLAYED)

    @property
    def starts(self) -> range:
        return range(0, len(self.to_come), _BATCH)

    def batch(self, start: int, *, trained: bool = True) -> Iterator[Step]:
        """The steps of the batch that begins at `start`, weighed by the gate, or else by the server's fixed weights."""
        histories = self.histories[start : start + _BATCH]
        inputs = self.ensemble.inputs(histories)
        for place, (history, each) in enumerate(zip(histories, inputs, strict=True), start):
            if trained:
                weights, components = self.gate.rank(each)[0], each.components
            else:
                relevance = Relevance.fallback(each.components, each.available > 0)
                weights, components = relevance.weights, relevance.components
            yield Step(weights, components, history, self.to_come[place])


def listeners_after(run: Run, data: Path, *, share: float) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """The listeners after the first `share`, by number, with what they heard of the tracks that the models know."""
    whole = load(data)
    core_row = np.full(whole.n_tracks, -1, np.int64)
    row_of = {track_id: row for row, track_id in enumerate(whole.tracks.ids)}
    ids = run.split().tracks.ids
    core_row[[row_of[track_id] for track_id in ids]] = np.arange(len(ids))
    for number, heard in enumerate(whole.interactions.histories(whole.n_users)):
        if number >= int(share * whole.n_users):
            known = core_row[heard]
            yield number, known[known >= 0].astype(np.int32)


def replayed_steps(run: Run, data: Path, *, share: float, most: int) -> Steps:
    """Each track of the listeners after the first `share`, even their first, up to `most` of them."""
    histories: list[NDArray[np.int32]] = []
    to_come: list[NDArray[np.int32]] = []
    listener: list[int] = []
    for number, known in listeners_after(run, data, share=share):
        if len(known) < LEAST_TRACKS:
            continue
        for place in range(len(known)):
            histories.append(known[:place])
            to_come.append(known[place:])
            listener.append(number)
        if len(to_come) >= most:
            break
    return Steps(
        load_ensemble(run, run.split(), selection=False),
        load_gate(run),
        histories,
        to_come,
        np.asarray(listener, np.int64),
    )
