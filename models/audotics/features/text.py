"""Words of tracks: catalogue columns go in, bags of tokens, their TF-IDF weights and descriptions come out.

TF-IDF as scikit-learn has it: a token counts as often as it stands in the track, times 1 + ln((1 + n) / (1 + df)) for n
tracks of which df carry it; then each track's row is divided by its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.history import PADDING
from audotics.features.tracks import UNKNOWN_YEAR, TrackColumns

_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")

LONGEST_PHRASE: Final = 4
"""Words of the longest artist or tag that is recognised in a free text."""

DESCRIBED_TAGS: Final = 12
"""Tags that a description names, the first ones."""


def words(text: str) -> list[str]:
    """Lower-cased words: "Rock 'n' Roll" has three."""
    return _WORD.findall(text.lower())


def phrase(text: str) -> str:
    """The words of an artist or a tag as one token, empty when there is none."""
    return " ".join(words(text))


def track_tokens(tracks: TrackColumns) -> list[list[str]]:
    """Tokens of each track: the words of its title, and its artist and each of its tags as a whole; repeats are kept.

    Artists and tags cut into words were tried, and found less: "hard rock" and "soft rock" are no neighbours. A title
    that is the artist's name, as where tracks stand for artists, says nothing more.
    """
    of_tag = [phrase(name) for name in tracks.tags.names]
    result = []
    for row, (title, artist) in enumerate(zip(tracks.titles, tracks.artists, strict=True)):
        codes = tracks.tags.codes[tracks.tags.offsets[row] : tracks.tags.offsets[row + 1]]
        tokens = [*(words(title) if title != artist else ()), phrase(artist), *(of_tag[code] for code in codes)]
        result.append([token for token in tokens if token])
    return result


def text_tokens(text: str) -> list[str]:
    """Tokens that a free text may name: each of its words, and each run of up to LONGEST_PHRASE of them."""
    found = words(text)
    return [
        " ".join(found[start : start + length])
        for length in range(1, LONGEST_PHRASE + 1)
        for start in range(len(found) - length + 1)
    ]


def descriptions(tracks: TrackColumns) -> list[str]:
    """A few words on each track for an encoder of language, "Title by Artist, from Album (1999). tag, tag."

    What is unknown is left out; of a track with nothing known the text is empty.
    """
    result = []
    for row, (title, artist, album) in enumerate(zip(tracks.titles, tracks.artists, tracks.albums, strict=True)):
        by = f"{title} by {artist}" if title and artist and title != artist else title or artist
        year = int(tracks.release_years[row])
        named = ", ".join(part for part in (by, f"from {album}" if album else "") if part)
        if named and year != UNKNOWN_YEAR:
            named += f" ({year})"
        tags = ", ".join(tracks.tags.row(row)[:DESCRIBED_TAGS])
        result.append(" ".join(f"{sentence}." for sentence in (named, tags) if sentence))
    return result


@dataclass(frozen=True, slots=True)
class TokenBags:
    """Ragged bags in compressed sparse rows: track i carries `codes[offsets[i]:offsets[i + 1]]`, repeats kept."""

    offsets: NDArray[np.int64]
    codes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def padded(self) -> NDArray[np.int64]:
        """int64 (n, L), L at least 1: each bag, then PADDING."""
        lengths = np.diff(self.offsets)
        rows = np.full((len(self), max(1, int(lengths.max(initial=0)))), PADDING, np.int64)
        rows[np.arange(rows.shape[1]) < lengths[:, None]] = self.codes
        return rows


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """The vocabulary of the training catalogue: token `vocabulary[c]` has code c and the weight `idf[c]`, float64."""

    vocabulary: tuple[str, ...]
    idf: NDArray[np.float64]

    def encode(self, tracks: TrackColumns) -> TokenBags:
        """Tokens that the vocabulary lacks are left out."""
        return self.bags(track_tokens(tracks))

    def encode_texts(self, texts: Sequence[str]) -> TokenBags:
        """Free texts, to look for tracks by words: "indie rock by Arctic Monkeys"."""
        return self.bags(text_tokens(text) for text in texts)

    def bags(self, documents: Iterable[Sequence[str]]) -> TokenBags:
        code_of = {token: code for code, token in enumerate(self.vocabulary)}
        offsets, codes = [0], []
        for tokens in documents:
            codes += [code_of[token] for token in tokens if token in code_of]
            offsets.append(len(codes))
        return TokenBags(np.asarray(offsets, np.int64), np.asarray(codes, np.int64))

    def tfidf(self, bags: TokenBags) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Row, code and weight of each distinct token of each bag, sorted by row and code; rows have unit length."""
        width = max(1, len(self.vocabulary))
        keys = np.repeat(np.arange(len(bags)), np.diff(bags.offsets)) * width + bags.codes
        distinct, counts = np.unique(keys, return_counts=True)
        rows, codes = np.divmod(distinct, width)
        weights = counts * self.idf[codes]
        squares = np.bincount(rows, weights**2, minlength=len(bags))
        return rows, codes, weights / np.sqrt(squares)[rows]

    def to_json(self) -> dict[str, Any]:
        return {"vocabulary": list(self.vocabulary), "idf": [float(value) for value in self.idf]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TextEncoder:
        return cls(tuple(value["vocabulary"]), np.asarray(value["idf"], np.float64))
