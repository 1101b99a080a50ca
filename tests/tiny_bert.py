"""A BERT model of two small layers with random weights, written as the Hugging Face hub has such models."""

from __future__ import annotations

from pathlib import Path

import torch

VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *("rock", "jazz", "calm", "by", ",", ".", "the", "indie", "##s", "##y", "é", "中"),
    *"abcdefghijklmnopqrstuvwxyz",
    *(f"##{letter}" for letter in "abcdefghijklmnopqrtuvwxz"),
)
SIZE = 16
POSITIONS = 24


def write_tiny_bert(folder: Path, *, activation: str = "gelu", lower_case: bool = True) -> Path:
    """Write configuration, weights and tokenizer into `folder` and return it."""
    from transformers import BertConfig, BertModel, BertTokenizer
    from transformers.utils import logging

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=SIZE,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=POSITIONS,
        hidden_act=activation,
        initializer_range=0.5,  # so large that every part of the network matters
    )
    logging.disable_progress_bar()
    BertModel(config).save_pretrained(folder)
    codes = {token: code for code, token in enumerate(VOCABULARY)}
    BertTokenizer(vocab=codes, do_lower_case=lower_case).save_pretrained(folder)
    return folder
