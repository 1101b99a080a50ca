"""What stands out in a taste: its numbers and those to compare them with go in, sentences come out.

A sentence is there only when its number passes a bound, and holds the numbers it rests on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.server.pipeline.profiles import share_below

_FEWEST_TRACKS: Final = 5
_TIMES_CATALOG: Final = 1.25
_ARTIST_SHARE: Final = 0.1
_DEVIATION: Final = 0.3
_UNUSUAL: Final = 0.2
"""Diversity is worth a word among the fifth of listeners with most or least."""
_FEWEST_EVENTS: Final = 20
_SURE: Final = 3.0
_WINDOW_H: Final = 3
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WITHOUT_DEGREES: Final = ("key", "mode", "tempo", "loudness")


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Numbers of one listener. `audio` has feature, mean, the catalogue's mean, and the deviation; `trends` a name and
    the shares before and now; `strangers` the sorted genre diversities of other listeners."""

    n_tracks: int
    genres: Sequence[tuple[str, float]]
    catalog_genres: Mapping[str, float]
    moods: Sequence[tuple[str, float]]
    catalog_moods: Mapping[str, float]
    artists: Sequence[tuple[str, float]]
    genre_diversity: float | None
    strangers: NDArray[np.float64]
    audio: Sequence[tuple[str, float, float, float]]
    hours: Sequence[int]
    weekdays: Sequence[int]
    is_local: bool
    trends: Sequence[tuple[str, float, float]]


def insights(seen: Seen) -> tuple[str, ...]:
    """Sentences about what is large enough to be told; none about fewer than five tracks."""
    if seen.n_tracks < _FEWEST_TRACKS:
        return ()
    return (
        *_leading(seen.genres, seen.catalog_genres),
        *_leading(seen.moods, seen.catalog_moods),
        *_variety(seen),
        *_artist(seen),
        *_sound(seen),
        *_hours(seen),
        *_day(seen),
        *_trends(seen),
    )


def _leading(shares: Sequence[tuple[str, float]], catalog: Mapping[str, float]) -> Iterator[str]:
    if not shares:
        return
    name, share = shares[0]
    of_catalog = catalog[name]
    if of_catalog > 0 and share >= _TIMES_CATALOG * of_catalog:
        times = share / of_catalog
        yield f"{name.capitalize()} tracks are {share:.0%}, {times:.1f} times the catalogue's {of_catalog:.0%}."


def _variety(seen: Seen) -> Iterator[str]:
    if seen.genre_diversity is None or not len(seen.strangers):
        return
    below = float(share_below(seen.strangers, np.asarray(seen.genre_diversity)))
    if _UNUSUAL < below < 1.0 - _UNUSUAL:
        return
    side, share = ("more", below) if below > _UNUSUAL else ("less", 1.0 - below)
    yield f"The genres are {side} varied than those of {share:.0%} of listeners (diversity {seen.genre_diversity:.2f})."


def _artist(seen: Seen) -> Iterator[str]:
    if seen.artists and seen.artists[0][1] >= _ARTIST_SHARE:
        name, share = seen.artists[0]
        yield f"{share:.0%} of the tracks are by {name}."


def _sound(seen: Seen) -> Iterator[str]:
    traits = [trait for trait in seen.audio if trait[0] not in ("key", "mode")]
    if not traits:
        return
    feature, mean, of_catalog, deviation = max(traits, key=lambda trait: abs(trait[3]))
    if abs(deviation) >= _DEVIATION:
        side = "above" if deviation > 0 else "below"
        digits = ".0f" if feature in _WITHOUT_DEGREES else ".2f"
        yield (
            f"What sets the sound apart most is {feature}: {mean:{digits}} on average, {abs(deviation):.1f} standard "
            f"deviations {side} the catalogue's {of_catalog:{digits}}."
        )


def _hours(seen: Seen) -> Iterator[str]:
    counts = np.asarray(seen.hours)
    total = int(counts.sum())
    if total < _FEWEST_EVENTS:
        return
    windows = np.stack([np.roll(counts, -shift) for shift in range(_WINDOW_H)]).sum(axis=0)
    start = int(np.argmax(windows))
    share, expected = windows[start] / total, _WINDOW_H / 24
    # The best of 24 windows is above an even share by chance, too: twice as much is asked for on top of the error.
    if share >= 2 * expected and share - expected >= _SURE * math.sqrt(expected * (1 - expected) / total):
        zone = "" if seen.is_local else " UTC"
        yield (
            f"{share:.0%} of {total} plays are between {start:02d}:00 and {(start + _WINDOW_H) % 24:02d}:00{zone}, "
            f"where {expected:.0%} would be if all hours were alike."
        )


def _day(seen: Seen) -> Iterator[str]:
    counts = np.asarray(seen.weekdays)
    total = int(counts.sum())
    if total < _FEWEST_EVENTS:
        return
    expected = 1 / 7
    errors = (counts / total - expected) / math.sqrt(expected * (1 - expected) / total)
    day = int(np.argmax(errors))
    if errors[day] >= _SURE:
        yield f"{_WEEKDAYS[day]} has {counts[day] / total:.0%} of {total} plays, the most of all days."


def _trends(seen: Seen) -> Iterator[str]:
    for name, before, now in seen.trends:
        yield f"Lately {'more' if now > before else 'less'} {name}: {now:.0%} of the latest third, {before:.0%} before."
