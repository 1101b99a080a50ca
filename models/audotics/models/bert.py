"""BERT as an encoder of descriptions: texts go in, unit vectors come out.

A token's last hidden states are averaged over the text, padding left out (mean pooling, Reimers & Gurevych 2019), and
the mean is divided by its length. The encoder is used as it comes; nothing of it is trained here. Its WordPiece is read
into our own (`features/wordpiece.py`), so that serving needs neither Transformers nor its tokenizers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audotics.features.wordpiece import WordPiece

DEFAULT_ENCODER = "bert-base-uncased"
MAX_TOKENS = 128
VOCABULARY_FILE = "vocab.txt"
WORDPIECE_FILE = "wordpiece.json"


class EncoderError(Exception):
    """An encoder cannot be used. The message names it, the reason, and what to do."""


class PooledBert(nn.Module):
    """The network with mean pooling: input_ids and attention_mask int64 (b, length) -> unit vectors float32 (b, d)."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)
        return mean / mean.norm(dim=1, keepdim=True).clamp(min=1e-12)


class BertEncoder:
    """A network with its WordPiece."""

    def __init__(self, bert: nn.Module, wordpiece: WordPiece) -> None:
        self.network = PooledBert(bert).eval()
        self.wordpiece = wordpiece
        self.size = int(bert.config.hidden_size)

    @torch.no_grad()
    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 (n, d), in one forward pass."""
        pieces = self.wordpiece.encode(texts)
        embedding = self.network(torch.from_numpy(pieces.input_ids), torch.from_numpy(pieces.attention_mask))
        vectors: NDArray[np.float32] = embedding.numpy()
        return vectors

    def save(self, folder: Path) -> None:
        """Write weights (safetensors), configuration and vocabulary, so that the folder needs nothing outside it."""
        with _no_progress_bars():
            self.network.bert.save_pretrained(folder)
        write_vocabulary(self.wordpiece, folder)
        (folder / WORDPIECE_FILE).write_text(json.dumps(self.wordpiece.to_json()), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> BertEncoder:
        """Read what `save` wrote."""
        vocabulary = (folder / VOCABULARY_FILE).read_text("utf-8").split("\n")[:-1]
        settings = json.loads((folder / WORDPIECE_FILE).read_text("utf-8"))
        return cls(_network(str(folder)), WordPiece.from_json(settings, vocabulary))


def write_vocabulary(wordpiece: WordPiece, folder: Path) -> None:
    """Write `vocab.txt`, a token a line, the line's number from 0 being its id."""
    (folder / VOCABULARY_FILE).write_text("".join(f"{token}\n" for token in wordpiece.vocabulary), "utf-8")


def load_encoder(name: str = DEFAULT_ENCODER, *, max_tokens: int = MAX_TOKENS) -> BertEncoder:
    """A BERT model with a WordPiece vocabulary: a local folder, or a name that the Hugging Face cache holds.

    Nothing is downloaded: a training job that waits for a network, or fetches 400 MB unasked, is no help to anybody.
    Raises EncoderError when there is no such model, or it is none of BERT's kind.
    """
    try:
        wordpiece = _wordpiece(name)
        bert = _network(name)
        if bert.config.model_type != "bert":
            raise ValueError(f"it is a {bert.config.model_type} model, not a BERT model")
        return BertEncoder(bert, replace(wordpiece, max_tokens=min(max_tokens, bert.config.max_position_embeddings)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise EncoderError(
            f"the text encoder {name!r} cannot be loaded ({reason}). Give the path of a folder with a BERT model "
            "(config.json, model.safetensors, and tokenizer.json or vocab.txt), or fetch it once where there is a "
            f"network: hf download {name}"
        ) from error


def _network(name: str) -> Any:
    from transformers import AutoModel  # seconds, and hundreds of megabytes

    # Attention written out ("eager") is what the exported graph does. Only safetensors cannot hold code.
    with _no_progress_bars():
        return AutoModel.from_pretrained(
            name, local_files_only=True, use_safetensors=True, attn_implementation="eager", dtype=torch.float32
        )


def _wordpiece(name: str) -> WordPiece:
    """Raises ValueError when the tokenizer is of another kind."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=True)
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    normalizer, codes = state["normalizer"] or {}, state["model"].get("vocab", {})
    if state["model"]["type"] != "WordPiece" or normalizer.get("type") != "BertNormalizer":
        raise ValueError("its tokenizer is not BERT's WordPiece")
    if sorted(codes.values()) != list(range(len(codes))):
        raise ValueError("its vocabulary has gaps")
    lower_case, strip_accents = bool(normalizer["lowercase"]), normalizer["strip_accents"]
    return WordPiece(
        tuple(sorted(codes, key=codes.__getitem__)),
        lower_case=lower_case,
        strip_accents=lower_case if strip_accents is None else bool(strip_accents),
        split_chinese=bool(normalizer["handle_chinese_chars"]),
    )


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Transformers draws bars of its own, into those of whoever watches the training."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
