"""Readable names: a number of names and a random generator go in, titles, artists and albums come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_ADJECTIVES: Final = (
    "Amber Ancient Autumn Azure Bitter Blue Borrowed Brave Bright Broken Burning Calm Copper Coral Crimson "
    "Crystal Dancing Dark Distant Electric Emerald Empty Endless Faded Falling First Floating Forgotten Fragile "
    "Frozen Gentle Golden Hidden Hollow Holy Indigo Ivory Last Lonely Lost Lucky Lunar Magnetic Marble Midnight "
    "Misty Neon Northern Open Pale Paper Quiet Rapid Restless Rising Royal Rusty Sacred Scarlet Secret Shining "
    "Silent Silver Slow Solar Southern Summer Sudden Sweet Tender Velvet Violet Wandering Warm White Wild Winter "
    "Wooden Young"
)

_NOUNS: Final = (
    "Anchor Angel Arrow Avenue Bell Bird Bridge Canyon Castle Circle City Cloud Coast Comet Compass Corner Crown "
    "Desert Diamond Door Dream Echo Ember Engine Feather Field Fire Flame Flower Forest Fortune Fountain Garden "
    "Ghost Glass Harbour Heart Hill Horizon Horse Hour House Island Journey Kingdom Ladder Lake Lantern Letter "
    "Light Lion Machine Mercy Mile Mirror Moon Morning Mountain Museum Night Ocean Orchard Palace Parade Pilot "
    "Planet Promise Queen Radio Rain River Road Rose Saint Sea Season Secret Shadow Ship Signal Sky Smoke Snow "
    "Song Sparrow Spring Station Stone Storm Story Street Sun Thunder Tide Tiger Tower Train Valley Voice Water "
    "Wave Whisper Willow Wind Window Wolf"
)

_ENSEMBLES: Final = (
    "",
    " Band",
    " Choir",
    " Club",
    " Collective",
    " Company",
    " Duo",
    " Ensemble",
    " Orchestra",
    " Project",
    " Quartet",
    " Revival",
    " Sisters",
    " Society",
    " Sound",
    " Trio",
)


def titles(n: int, *, rng: np.random.Generator) -> NDArray[np.object_]:
    """Object (n,): "Silver Harbour", "Harbour of Echo", "Silver", … Repeats occur, as with real songs."""
    adjectives, nouns = _column(_ADJECTIVES.split()), _column(_NOUNS.split())
    adjective, noun, other = (rng.integers(0, len(words), n) for words in (adjectives, nouns, nouns))
    result: NDArray[np.object_] = adjectives[adjective] + " " + nouns[noun]
    pattern = rng.integers(0, 8, n)
    pair, possessive, single = (np.flatnonzero(pattern == index) for index in range(3))
    result[pair] = nouns[noun[pair]] + " and " + nouns[other[pair]]
    result[possessive] = nouns[noun[possessive]] + " of " + nouns[other[possessive]]
    result[single] = nouns[noun[single]]
    return result


def artist_names(n: int, *, rng: np.random.Generator) -> NDArray[np.object_]:
    """Object (n,): "Velvet Tiger", "Velvet Tiger Quartet", … No two are equal; past some 140,000 they are numbered."""
    adjectives, nouns = _column(_ADJECTIVES.split()), _column(_NOUNS.split())
    ensembles = _column(_ENSEMBLES)
    combinations = len(adjectives) * len(nouns) * len(ensembles)
    serial, index = np.divmod(np.arange(n), combinations)
    index = rng.permutation(combinations)[index]
    index, adjective = np.divmod(index, len(adjectives))
    ensemble, noun = np.divmod(index, len(nouns))
    numbers = _column(["", *(f" {number + 1}" for number in range(1, int(serial.max(initial=0)) + 1))])
    result: NDArray[np.object_] = adjectives[adjective] + " " + nouns[noun] + ensembles[ensemble] + numbers[serial]
    return result


def serial_ids(prefix: str, n: int, *, width: int) -> NDArray[np.object_]:
    """Object (n,): the prefix and the row number, padded with zeros: "t0000001" is row 1."""
    return _column([f"{prefix}{row:0{width}d}" for row in range(n)])


def _column(words: Sequence[str]) -> NDArray[np.object_]:
    return np.asarray(words, object)
