"""Training of the content embedding in a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from audotics.features.content import ContentEncoder
from audotics.training.progress import Progress
from audotics.training.quiet import quiet_native_logs
from audotics.training.run import Run

with quiet_native_logs():
    from audotics.models.content import ContentOptions, encode, save
    from audotics.training.content import train_content


def options(flags: Mapping[str, Any]) -> ContentOptions:
    return ContentOptions(**flags)


def train(run: Run, options: ContentOptions, *, resume: bool, progress: Progress) -> dict[str, Any]:
    """The network goes on from its last epoch with `resume`."""
    split, folder = run.split(), run.folder("content")
    encoder = ContentEncoder.fit(split.tracks)
    inputs = encoder.encode(split.tracks)
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
    embeddings = encode(network, inputs)
    with run.saving("content") as saved:
        save(network, saved)
        np.savez(saved / "embeddings.npz", vectors=embeddings.vectors, lengths=embeddings.lengths)
    return {"options": asdict(options), "encoder": encoder.to_json(), "fit": result.to_json()}
