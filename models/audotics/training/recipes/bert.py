"""Encoding of a run's catalogue by BERT: nothing is trained, the encoder is taken as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from audotics.models.bert import DEFAULT_ENCODER, EncoderError, load_encoder
from audotics.training.folder import RunError
from audotics.training.progress import Progress
from audotics.training.run import Run
from audotics.training.text import encode_descriptions


@dataclass(frozen=True, slots=True)
class BertOptions:
    """`encoder` is a name of the model hub or a folder."""

    encoder: str = DEFAULT_ENCODER


def options(flags: Mapping[str, Any]) -> BertOptions:
    return BertOptions(**flags)


def train(run: Run, options: BertOptions, *, resume: bool, progress: Progress) -> dict[str, Any]:
    """Encode the whole catalogue. Raises RunError when the encoder cannot be had, which says how to get it."""
    try:
        encoder = load_encoder(options.encoder)
    except EncoderError as error:
        raise RunError(f"bert: {error}") from error
    vectors = encode_descriptions(encoder, run.tracks(), progress=progress)
    with run.saving("bert") as folder:
        encoder.save(folder)
        np.save(folder / "vectors.npy", vectors)
    return {"options": asdict(options)}
