"""WordPiece (Devlin et al. 2019): texts go in, the padded token ids and the mask that a BERT encoder reads come out.

The same ids as the tokenizers that BERT models come with, but for one thing: a marker such as "[SEP]" that stands in a
text is read as text, so that nobody's title can end a sentence.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

UNKNOWN: Final = "[UNK]"
START: Final = "[CLS]"
END: Final = "[SEP]"
PAD: Final = "[PAD]"
SPECIAL: Final = (PAD, UNKNOWN, START, END)

LONGEST_WORD: Final = 100
"""A word of more characters is unknown as a whole."""

_CONTINUED: Final = "##"
# The blocks of Chinese characters, each of which is a word, as BERT's authors list them.
_CHINESE: Final = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


@dataclass(frozen=True, slots=True)
class WordPieces:
    """Model inputs of n texts, int64 (n, L): `input_ids`, and `attention_mask` with 1 for a token and 0 for padding."""

    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]

    def feeds(self) -> dict[str, NDArray[Any]]:
        """Keyed by the model's input names."""
        return {"input_ids": self.input_ids, "attention_mask": self.attention_mask}


@dataclass(frozen=True, slots=True)
class WordPiece:
    """A vocabulary, whose order gives the ids, and how words are normalised. Longer texts are cut at `max_tokens`."""

    vocabulary: tuple[str, ...]
    lower_case: bool = True
    strip_accents: bool = True
    split_chinese: bool = True
    max_tokens: int = 128

    def __post_init__(self) -> None:
        """Raises ValueError when the vocabulary lacks a marker that every text needs, or `max_tokens` is below 2."""
        missing = [token for token in SPECIAL if token not in self.vocabulary]
        if missing:
            raise ValueError(f"the vocabulary lacks {', '.join(missing)}; it is not that of a BERT model")
        if self.max_tokens < 2:
            raise ValueError(f"max_tokens is {self.max_tokens}, but {START} and {END} alone are two")

    def encode(self, texts: Sequence[str]) -> WordPieces:
        """L is that of the longest text; an empty text is START and END."""
        id_of = {token: code for code, token in enumerate(self.vocabulary)}
        rows = [self._ids(text, id_of) for text in texts]
        lengths = np.asarray([len(row) for row in rows], np.int64)
        mask = np.arange(lengths.max(initial=2)) < lengths[:, None]
        ids = np.full(mask.shape, id_of[PAD], np.int64)
        ids[mask] = [code for row in rows for code in row]
        return WordPieces(ids, mask.astype(np.int64))

    def words(self, text: str) -> Iterator[str]:
        """Words and single punctuation marks, normalised, before they are cut into pieces."""
        for word in _spaced(text, chinese=self.split_chinese).split():
            lowered = word.lower() if self.lower_case else word
            yield from _punctuated(_bare(lowered) if self.strip_accents else lowered)

    def to_json(self) -> dict[str, Any]:
        """Everything but the vocabulary, which is a file of its own, a token a line."""
        return {
            "lower_case": self.lower_case,
            "strip_accents": self.strip_accents,
            "split_chinese": self.split_chinese,
            "max_tokens": self.max_tokens,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], vocabulary: Sequence[str]) -> WordPiece:
        return cls(tuple(vocabulary), **value)

    def _ids(self, text: str, id_of: dict[str, int]) -> list[int]:
        ids = [id_of[START]]
        for word in self.words(text):
            ids += _pieces(word, id_of)
            if len(ids) >= self.max_tokens:
                break
        return [*ids[: self.max_tokens - 1], id_of[END]]


def _pieces(word: str, id_of: dict[str, int]) -> list[int]:
    """The longest piece that fits, again and again; one UNKNOWN when the word cannot be covered."""
    if len(word) > LONGEST_WORD:
        return [id_of[UNKNOWN]]
    pieces, start = [], 0
    while start < len(word):
        prefix = _CONTINUED if start else ""
        for end in range(len(word), start, -1):
            piece = id_of.get(prefix + word[start:end])
            if piece is not None:
                pieces.append(piece)
                start = end
                break
        else:
            return [id_of[UNKNOWN]]
    return pieces


def _spaced(text: str, *, chinese: bool) -> str:
    """`text` without control characters, any white space as blanks, and blanks around Chinese characters."""
    characters = []
    for character in text:
        if character in "\t\n\r" or unicodedata.category(character) == "Zs":
            characters.append(" ")
        elif character in "\0\ufffd" or unicodedata.category(character).startswith("C"):
            continue
        elif chinese and any(first <= ord(character) <= last for first, last in _CHINESE):
            characters.append(f" {character} ")
        else:
            characters.append(character)
    return "".join(characters)


def _bare(word: str) -> str:
    return "".join(
        character for character in unicodedata.normalize("NFD", word) if unicodedata.category(character) != "Mn"
    )


def _punctuated(word: str) -> Iterator[str]:
    start = 0
    for place, character in enumerate(word):
        if _is_punctuation(character):
            if start < place:
                yield word[start:place]
            yield character
            start = place + 1
    if start < len(word):
        yield word[start:]


def _is_punctuation(character: str) -> bool:
    """All of ASCII that is neither letter, digit nor blank counts, "$" and "^" too."""
    ascii_mark = character.isascii() and character.isprintable() and not character.isalnum() and character != " "
    return ascii_mark or unicodedata.category(character).startswith("P")
