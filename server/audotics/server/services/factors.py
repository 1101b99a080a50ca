"""What joins and what divides listeners: their profiles go in, factors in words come out, the strongest first.

A factor's strength is its size over the least size that counts, so that genres compare with sounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.genres import GENRES
from audotics.features.moods import MOODS
from audotics.features.profile import TasteProfile
from audotics.server.repository.catalog import Catalog

Kind = Literal["genre", "mood", "artist", "sound"]

_MOST: Final = 6
_SHARED_SHARE: Final = 0.15
"""Of everybody's tracks."""
_DIVIDING_SHARE: Final = 0.3
"""Between the listener with most and the one with least."""
_SHARED_ARTIST: Final = 0.02
_DIVIDING_ARTIST: Final = 0.15
_SHARED_SOUND: Final = 0.3
"""Standard deviations of the catalogue, by which everybody's mean is off to the same side."""
_DIVIDING_SOUND: Final = 0.8
_SOUNDS: Final = tuple(name for name in AUDIO_FEATURES if name not in ("key", "mode"))
"""Features of which more or less means something."""


@dataclass(frozen=True, slots=True)
class TasteFactor:
    """`values` are shares of tracks, or for sound standard deviations, one a listener; NaN where nothing is known."""

    kind: Kind
    name: str
    values: tuple[float, ...]
    sentence: str
    strength: float


def shared_factors(catalog: Catalog, profiles: Sequence[TasteProfile]) -> tuple[TasteFactor, ...]:
    """What all listeners of whom something is known have in common. None with fewer than two of them."""
    return _strongest(_shared(catalog, profiles))


def dividing_factors(
    catalog: Catalog, profiles: Sequence[TasteProfile], names: Sequence[str]
) -> tuple[TasteFactor, ...]:
    """What one listener has much of and another little. None with fewer than two of whom something is known."""
    return _strongest(_dividing(catalog, profiles, names))


def _shared(catalog: Catalog, profiles: Sequence[TasteProfile]) -> Iterator[TasteFactor]:
    for kind, name, values in _shares(catalog, profiles):
        known = values[~np.isnan(values)]
        least = _SHARED_ARTIST if kind == "artist" else _SHARED_SHARE
        if len(known) > 1 and known.min() >= least:
            span = (
                f"{known.min():.0%} to {known.max():.0%}" if known.max() - known.min() >= 0.005 else f"{known[0]:.0%}"
            )
            sentence = f"{_titled(kind, name)}: {span} of what each of them hears"
            yield TasteFactor(kind, name, tuple(values.tolist()), sentence, float(known.min() / least))
    for name, values in _sounds(profiles):
        known = values[~np.isnan(values)]
        if len(known) > 1 and (np.sign(known) == np.sign(known[0])).all() and np.abs(known).min() >= _SHARED_SOUND:
            side = "above" if known[0] > 0 else "below"
            sizes = np.abs(known)
            sentence = (
                f"{name.capitalize()}: {sizes.min():.1f} to {sizes.max():.1f} standard deviations {side} the "
                "catalogue's mean for all of them"
            )
            yield TasteFactor("sound", name, tuple(values.tolist()), sentence, float(sizes.min() / _SHARED_SOUND))


def _dividing(catalog: Catalog, profiles: Sequence[TasteProfile], names: Sequence[str]) -> Iterator[TasteFactor]:
    for kind, name, values in _shares(catalog, profiles):
        least = _DIVIDING_ARTIST if kind == "artist" else _DIVIDING_SHARE
        if (span := _span(values)) is not None and span >= least:
            most, fewest = int(np.nanargmax(values)), int(np.nanargmin(values))
            sentence = (
                f"{_titled(kind, name)}: {values[most]:.0%} of what {names[most]} hears, "
                f"{values[fewest]:.0%} of what {names[fewest]} does"
            )
            yield TasteFactor(kind, name, tuple(values.tolist()), sentence, span / least)
    for name, values in _sounds(profiles):
        if (span := _span(values)) is not None and span >= _DIVIDING_SOUND:
            most, fewest = int(np.nanargmax(values)), int(np.nanargmin(values))
            sentence = (
                f"{name.capitalize()}: the mean of {names[most]} is {span:.1f} standard deviations above that of "
                f"{names[fewest]}"
            )
            yield TasteFactor("sound", name, tuple(values.tolist()), sentence, span / _DIVIDING_SOUND)


def _shares(catalog: Catalog, profiles: Sequence[TasteProfile]) -> Iterator[tuple[Kind, str, NDArray[np.float64]]]:
    """Every genre, mood and artist with the shares of the listeners."""
    for place, name in enumerate(GENRES):
        yield "genre", name, np.asarray([_of(profile.genres, place) for profile in profiles])
    for place, name in enumerate(MOODS):
        yield "mood", name, np.asarray([_of(profile.moods, place) for profile in profiles])
    codes = np.unique(np.concatenate([profile.artists for profile in profiles]))
    table = np.full((len(profiles), len(codes)), np.nan)
    for row, profile in enumerate(profiles):
        if len(profile.artists):
            table[row] = 0.0
            table[row, np.searchsorted(codes, profile.artists)] = profile.artist_shares
    # Only those that could count: there may be thousands.
    with_many = np.flatnonzero(np.nan_to_num(table).max(axis=0, initial=0.0) >= _SHARED_ARTIST)
    for column in with_many.tolist():
        yield "artist", catalog.artist_name(int(codes[column])), table[:, column]


def _sounds(profiles: Sequence[TasteProfile]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    for name in _SOUNDS:
        place = AUDIO_FEATURES.index(name)
        yield name, np.asarray([profile.sound[place] for profile in profiles])


def _of(shares: NDArray[np.float64], place: int) -> float:
    return float(shares[place]) if shares.any() else float("nan")


def _span(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.max() - known.min()) if len(known) > 1 else None


def _titled(kind: Kind, name: str) -> str:
    match kind:
        case "mood":
            return f"{name.capitalize()} tracks"
        case "artist":
            return name
        case _:
            return name[:1].upper() + name[1:]


def _strongest(factors: Iterator[TasteFactor]) -> tuple[TasteFactor, ...]:
    return tuple(sorted(factors, key=lambda factor: -factor.strength)[:_MOST])
