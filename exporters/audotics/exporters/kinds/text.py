"""The bundle of the text embedding: bags of tokens to unit vectors, and an index over those of the whole catalogue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import sklearn
from numpy.typing import NDArray

from audotics.bundle.catalog import write_ids
from audotics.exporters.exported import MODEL_FILE, ExportedModel
from audotics.exporters.formats import DEFAULT, Formats
from audotics.exporters.graphs.text import text_graph
from audotics.exporters.index import write_index
from audotics.exporters.parity import Case, Run
from audotics.exporters.prepared import Prepared, Source
from audotics.exporters.warmup import write_warmup
from audotics.exporters.written import write_formats
from audotics.features.history import PADDING
from audotics.features.text import TextEncoder, TokenBags
from audotics.features.tracks import TrackColumns
from audotics.models.text import TextModel
from audotics.training.progress import Progress

ENCODER_FILE: Final = "text_encoder.json"
"""The vocabulary, in a file of its own: with tens of thousands of tokens it is no reading for `bundle.json`."""

_EMBEDDED_AT_ONCE: Final = 8_192
_QUERIES: Final = 100
_TRACKS: Final = 256
_WARM_UP_TRACKS: Final = 16
_SEED: Final = 20_170_403


def prepare(source: Source, folder: Path, progress: Progress, *, formats: Formats = DEFAULT) -> Prepared:
    """Export the TF-IDF embedding; its rows are those of the whole catalogue.

    It stays at float32 whatever is asked for: tokens' rows differ too much in length for one scale of bytes.
    """
    with source.trained("text") as (trained, _):
        model = TextModel.load(trained)
    text_graph(model).save(folder / MODEL_FILE)
    cases = text_cases(model.encoder, source.tracks)
    exact = replace(formats, precision="float32")
    written = write_formats("text", as_function(model), folder, cases, formats=exact, progress=progress)
    write_warmup(folder, {"tokens": cases[0].feeds["tokens"][:_WARM_UP_TRACKS]})
    write_ids(folder, source.tracks.ids)
    (folder / ENCODER_FILE).write_text(json.dumps(model.encoder.to_json(), ensure_ascii=False), "utf-8")
    vectors = _embed(written.exported, model.encoder, source.tracks)
    queries = np.random.default_rng(0).permutation(vectors)[:_QUERIES]
    recall = write_index(folder, vectors, queries, progress=progress, title="text index")
    return written.noted(
        Prepared(
            "text",
            folder,
            framework="scikit-learn",
            catalog_fingerprint=source.tracks.fingerprint(),
            metrics=source.metrics("text") | recall,
            preprocessing={"text_encoder": ENCODER_FILE},
            tools={"scikit-learn": sklearn.__version__},
        )
    )


def as_function(model: TextModel) -> Run:
    """The trained model with the inputs and outputs of its export."""

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        tokens = feeds["tokens"]
        offsets = np.concatenate([[0], np.cumsum((tokens != PADDING).sum(axis=1))])
        return {"embedding": model.embed(TokenBags(offsets, tokens[tokens != PADDING]))}

    return run


def text_cases(encoder: TextEncoder, tracks: TrackColumns) -> list[Case]:
    """Cases with the input `tokens`; `tracks` are real ones."""
    rng = np.random.default_rng(_SEED)
    real = encoder.encode(tracks.take(rng.permutation(len(tracks))[:_TRACKS])).padded()
    drawn = rng.integers(0, len(encoder.vocabulary), (50, 40))
    cases = {
        "tracks of the catalogue": real,
        "a batch of one": real[:1],
        "a track without a word": np.full((1, 1), PADDING, np.int64),
        "a track without a word among others": np.concatenate([real[:2], np.full_like(real[:1], PADDING)]),
        "every token once": np.arange(len(encoder.vocabulary))[:, None],
        "one token again and again": np.zeros((1, 300), np.int64),
        "random bags": np.where(rng.random(drawn.shape) < rng.random((50, 1)), drawn, PADDING),
    }
    return [Case(name, {"tokens": tokens}) for name, tokens in cases.items()]


def _embed(model: ExportedModel, encoder: TextEncoder, tracks: TrackColumns) -> NDArray[np.float32]:
    """Unit vectors (n, d) of all tracks, by the model that will embed tracks in service."""
    parts = []
    for start in range(0, len(tracks), _EMBEDDED_AT_ONCE):
        rows = np.arange(start, min(start + _EMBEDDED_AT_ONCE, len(tracks)))
        parts.append(model.run({"tokens": encoder.encode(tracks.take(rows)).padded()})["embedding"])
    return np.concatenate(parts)
