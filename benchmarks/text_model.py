"""The text embeddings beside popularity, item k-NN and EASE: full ranking of each test listener's held-out track.

A track's score is its mean cosine to the listener's tracks, by text alone. The number of dimensions is chosen by
NDCG@10 on the validation tracks, which are cut from the training part. With `--encoder`, a BERT encoder's vectors of
the tracks' descriptions stand in the table too.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from support.rankings import Build, Note, parser, report, run_of

from audotics.cli.progress import rich_progress
from audotics.evaluation.ranking import Scorer
from audotics.models.bert import load_encoder
from audotics.models.text import TextOptions
from audotics.training.nearest import nearest_vectors
from audotics.training.text import encode_descriptions, train_text

SIZES = (64, 128, 256)
VALIDATION_LISTENERS = 4_000


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--encoder", help="folder of a BERT model, or a name in the Hugging Face cache")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, rich_progress() as progress:
        run = run_of(given, Path(folder) / "run")
        split = run.split()
        holdout = split.validation.sample(VALIDATION_LISTENERS, seed=given.seed)
        candidates: list[tuple[Note, Scorer]] = []
        for size in SIZES:
            options = replace(TextOptions(), embedding_size=size)
            model = train_text(split.tracks, options, seed=given.seed, progress=progress)
            scorer = nearest_vectors(model.vectors(split.tracks))
            note = f"{size} dimensions, {len(model.encoder.vocabulary):,} tokens"
            candidates.append((Note(note, holdout.evaluate(scorer)["ndcg@10"]), scorer))
            progress.say(f"text, {note}: validation NDCG@10 {candidates[-1][0].validation:.4f}")
        best, chosen = max(candidates, key=lambda candidate: candidate[0].validation or 0.0)
        models: dict[str, Build] = {"text": lambda: chosen}
        notes = {"text": best}
        if given.encoder:
            encoder = load_encoder(given.encoder)
            bert = nearest_vectors(encode_descriptions(encoder, split.tracks, progress=progress))
            models["bert"], notes["bert"] = lambda: bert, Note(given.encoder, holdout.evaluate(bert)["ndcg@10"])
    report(given, run, split, models, notes)


if __name__ == "__main__":
    main()
