"""WordPiece beside the tokenizer that BERT models come with, and its own edges."""

from __future__ import annotations

import random

import numpy as np
import pytest

from audotics.features.wordpiece import WordPiece
from tests.tiny_bert import VOCABULARY

MARKS = "\u0301 \u00a0 \u200b \u3000 \ufffd \x00 \x07 \u2028 \t \n ’ … € , . ' - ! $ ^ ` ~ _"
ALPHABET = f"abcdrocksindieyROCKBY é É ß İ ñ 中 国 ½ Ǆ 0 {MARKS}"
TEXTS = ["", "Indie rocks, by a.", "the the", "unknown1 rock", "a" * 101, "a" * 100, "中国 rock中", "\u0301"]


def ids(wordpiece: WordPiece, text: str) -> list[int]:
    pieces = wordpiece.encode([text])
    return pieces.input_ids[0][pieces.attention_mask[0] == 1].tolist()


@pytest.mark.parametrize(("lower_case", "strip_accents"), [(True, True), (True, False), (False, False), (False, True)])
def test_ids_are_those_of_the_reference(lower_case: bool, strip_accents: bool) -> None:
    from transformers import BertTokenizer

    reference = BertTokenizer(
        vocab={token: code for code, token in enumerate(VOCABULARY)},
        do_lower_case=lower_case,
        strip_accents=strip_accents,
    )
    wordpiece = WordPiece(VOCABULARY, lower_case=lower_case, strip_accents=strip_accents)
    rng = random.Random(0)
    texts = [*TEXTS, *("".join(rng.choices(ALPHABET, k=rng.randint(1, 16))) for _ in range(500))]

    for text in texts:
        assert ids(wordpiece, text) == reference(text)["input_ids"], repr(text)


def test_texts_are_padded_and_masked() -> None:
    pieces = WordPiece(VOCABULARY).encode(["rock by jazz", "", "jazz"])

    np.testing.assert_array_equal(pieces.input_ids, [[2, 5, 8, 6, 3], [2, 3, 0, 0, 0], [2, 6, 3, 0, 0]])
    np.testing.assert_array_equal(pieces.attention_mask, [[1] * 5, [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]])
    assert pieces.input_ids.dtype == pieces.attention_mask.dtype == np.int64


def test_no_text_is_no_row() -> None:
    assert WordPiece(VOCABULARY).encode([]).input_ids.shape == (0, 2)


@pytest.mark.parametrize("text", ["rock " * 50, "rocksrocksrocks " * 50])
def test_a_long_text_is_cut_and_still_ends(text: str) -> None:
    cut = ids(WordPiece(VOCABULARY, max_tokens=9), text)

    assert len(cut) == 9
    assert (cut[0], cut[-1]) == (2, 3)


def test_a_marker_in_a_text_is_text() -> None:
    unknown, start, end = 1, 2, 3
    tokens = ids(WordPiece(VOCABULARY), "[SEP]")

    assert (tokens[0], tokens[-1]) == (start, end)
    assert end not in tokens[1:-1]
    assert tokens[1] == unknown


def test_it_comes_back_from_json() -> None:
    wordpiece = WordPiece(VOCABULARY, lower_case=False, strip_accents=False, split_chinese=False, max_tokens=7)

    assert WordPiece.from_json(wordpiece.to_json(), list(VOCABULARY)) == wordpiece


def test_a_vocabulary_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lacks \[PAD\], \[SEP\]"):
        WordPiece(("[UNK]", "[CLS]", "rock"))


def test_too_few_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match="max_tokens is 1"):
        WordPiece(VOCABULARY, max_tokens=1)
