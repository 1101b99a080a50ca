"""The bundle of a BERT encoder: token ids to unit vectors, with its vocabulary, and an index over the descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from audotics.bundle.catalog import write_ids
from audotics.exporters.exported import MODEL_FILE
from audotics.exporters.formats import DEFAULT, Formats
from audotics.exporters.graphs.bert import bert_graph
from audotics.exporters.index import write_index
from audotics.exporters.parity import Case, Run
from audotics.exporters.prepared import Prepared, Source
from audotics.exporters.warmup import write_warmup
from audotics.exporters.written import write_formats
from audotics.features.text import descriptions
from audotics.features.tracks import TrackColumns
from audotics.features.wordpiece import WordPiece
from audotics.models.bert import BertEncoder, write_vocabulary
from audotics.training.progress import Progress

VECTORS_OF_TRAINING: Final = "vectors.npy"
"""Of all tracks of the catalogue, in the folder of the trained kind: encoding them again would take as long again."""

_QUERIES: Final = 100
_TRACKS: Final = 32
_WARM_UP_TRACKS: Final = 8
_SEED: Final = 20_170_403


def prepare(source: Source, folder: Path, progress: Progress, *, formats: Formats = DEFAULT) -> Prepared:
    """Export the encoder; the index's rows are those of the whole catalogue."""
    with source.trained("bert") as (trained, record):
        encoder = BertEncoder.load(trained)
        vectors = np.load(trained / VECTORS_OF_TRAINING, allow_pickle=False)
    bert_graph(encoder).save(folder / MODEL_FILE)
    cases = bert_cases(encoder.wordpiece, source.tracks)
    written = write_formats("bert", as_function(encoder), folder, cases, formats=formats, progress=progress)
    write_warmup(folder, {name: value[:_WARM_UP_TRACKS] for name, value in cases[0].feeds.items()})
    write_ids(folder, source.tracks.ids)
    write_vocabulary(encoder.wordpiece, folder)
    queries = np.random.default_rng(0).permutation(vectors)[:_QUERIES]
    recall = write_index(folder, vectors, queries, progress=progress, title="bert index")
    return written.noted(
        Prepared(
            "bert",
            folder,
            framework="pytorch",
            catalog_fingerprint=source.tracks.fingerprint(),
            metrics=source.metrics("bert") | recall,
            preprocessing={"wordpiece": encoder.wordpiece.to_json(), "encoder": record["options"]["encoder"]},
            tools={"torch": torch.__version__},
        )
    )


def as_function(encoder: BertEncoder) -> Run:
    """The encoder with the inputs and outputs of its export."""

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        ids, mask = (torch.from_numpy(feeds[name]) for name in ("input_ids", "attention_mask"))
        with torch.no_grad():
            return {"embedding": encoder.network(ids, mask).numpy()}

    return run


def bert_cases(wordpiece: WordPiece, tracks: TrackColumns) -> list[Case]:
    """Cases with the inputs `input_ids` and `attention_mask`; `tracks` are real ones."""
    rng = np.random.default_rng(_SEED)
    real = descriptions(tracks.take(rng.permutation(len(tracks))[:_TRACKS]))
    drawn = rng.integers(0, len(wordpiece.vocabulary), (8, min(40, wordpiece.max_tokens)))
    lengths = rng.integers(1, drawn.shape[1] + 1, (8, 1))
    texts = {
        "descriptions of the catalogue": real,
        "a batch of one": real[:1],
        "an empty text": [""],
        "an empty text among others": ["", *real[:3]],
        "a text that is cut": [" ".join(real) + " a" * wordpiece.max_tokens],
    }
    cases = [Case(name, wordpiece.encode(value).feeds()) for name, value in texts.items()]
    mask = (np.arange(drawn.shape[1]) < lengths).astype(np.int64)
    cases.append(Case("random tokens", {"input_ids": drawn, "attention_mask": mask}))
    return cases
