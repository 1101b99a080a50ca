"""Training of the text embeddings: a catalogue goes in, the TF-IDF model, or an encoder's vectors of it, come out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import DataError
from audotics.features.text import descriptions
from audotics.features.tracks import TrackColumns
from audotics.models.bert import BertEncoder
from audotics.models.text import TextModel, TextOptions, fit_encoder, fit_table
from audotics.training.progress import Progress

_ENCODED_AT_ONCE = 64


def train_text(tracks: TrackColumns, options: TextOptions, *, seed: int, progress: Progress) -> TextModel:
    """Fit vocabulary, weights and components on the words of `tracks`. Raises DataError when they share no word."""
    with progress.stage("text", 2) as stage:
        try:
            encoder, matrix = fit_encoder(tracks, options)
        except ValueError as error:
            raise DataError(
                f"no {options.min_tracks} of the {len(tracks)} tracks share a word in title, artist or tags, and text "
                "learns from these; bring a catalogue with such columns"
            ) from error
        stage.advance(1, f"{len(encoder.vocabulary)} tokens")
        table = fit_table(encoder, matrix, size=options.embedding_size, seed=seed)
        stage.advance(1, f"{table.shape[1]} dimensions")
    return TextModel(encoder, table)


def encode_descriptions(encoder: BertEncoder, tracks: TrackColumns, *, progress: Progress) -> NDArray[np.float32]:
    """float32 (n, d): the encoder's unit vectors of the tracks' descriptions.

    Texts of like length are encoded together, which spares most of the padding.
    """
    texts = descriptions(tracks)
    order = np.argsort([len(text) for text in texts], kind="stable")
    vectors = np.zeros((len(texts), encoder.size), np.float32)
    with progress.stage("bert", len(texts)) as stage:
        for start in range(0, len(texts), _ENCODED_AT_ONCE):
            rows = order[start : start + _ENCODED_AT_ONCE]
            vectors[rows] = encoder.vectors([texts[row] for row in rows])
            stage.advance(len(rows))
    return vectors
