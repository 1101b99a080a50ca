"""The trained models that the hybrid weighs: an open run goes in, an `Ensemble` or a gate comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audotics.features.audio import AudioScaler
from audotics.features.content import Embeddings
from audotics.models.hybrid import Ensemble, Gate
from audotics.models.ncf import Ncf
from audotics.models.sequence import SequenceModel
from audotics.training.factorisation import load_algorithm
from audotics.training.run import Run, Split


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
        collaborative=load_algorithm(folder("collaborative"), kinds["collaborative"]["options"])
        if "collaborative" in kinds
        else None,
        ncf=Ncf.load(folder("ncf"), kinds["ncf"]["options"]) if "ncf" in kinds else None,
        content=content_embeddings(run) if "content" in kinds else None,
        sequence=SequenceModel.load(folder("sequence"), kinds["sequence"]["options"]) if "sequence" in kinds else None,
    )


def content_embeddings(run: Run) -> Embeddings:
    """The content embeddings of the core's tracks, as they were after training."""
    with np.load(run.folder("content") / "embeddings.npz", allow_pickle=False) as saved:
        return Embeddings(saved["vectors"], saved["lengths"])


def load_gate(run: Run) -> Gate:
    return Gate.load(run.folder("hybrid"))
