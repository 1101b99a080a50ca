"""The graph of whichever collaborative model was trained: history int64 (batch, length) -> user_vector (batch, d)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audotics.exporters.errors import ExportError
from audotics.exporters.graphs.builder import GraphBuilder
from audotics.exporters.graphs.collaborative import collaborative_graph
from audotics.exporters.graphs.ials import ials_graph, steps_needed
from audotics.exporters.graphs.nmf import nmf_graph
from audotics.models.collaborative import CollaborativeModel
from audotics.models.ials import IalsModel
from audotics.models.neighbours import NeighboursModel
from audotics.models.nmf import NmfModel

PROBED_LISTENERS = 64
"""Real listeners on whom the steps of iALS are measured."""


def fold_in_graph(
    model: CollaborativeModel | IalsModel | NmfModel | NeighboursModel, histories: Sequence[NDArray[np.integer]]
) -> GraphBuilder:
    """`histories` are real ones. Raises ExportError for neighbours, which have no vectors to search an index with."""
    if isinstance(model, IalsModel):
        return ials_graph(model, steps=steps_needed(model, histories[:PROBED_LISTENERS]))
    if isinstance(model, NmfModel):
        return nmf_graph(model)
    if isinstance(model, NeighboursModel):
        raise ExportError(
            "collaborative: sparse neighbours have no vectors that an index could search; "
            "train with --algorithm ease, ials or nmf to export and serve"
        )
    return collaborative_graph(model)
