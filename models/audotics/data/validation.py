"""Validation before training: a data set goes in, a report of what is wrong or odd with it comes out.

An error makes training refuse: the models would learn something false, or nothing. A warning is shown and recorded, and
training goes on. Loaders refuse single broken rows already; here the data are seen as a whole, wherever they come from.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from audotics.data.dataset import DataError, Dataset, Interactions
from audotics.data.splits import Split
from audotics.features.audio import AUDIO_FEATURES, AUDIO_RANGES
from audotics.features.tracks import UNKNOWN_YEAR

Grade = Literal["error", "warning"]

FEW_ARTISTS: Final = 0.2
"""From this share of tracks without an artist on, models that know tracks by artist are blind to much of the set."""

BUSY_FACTOR: Final = 50
BUSY_LEAST: Final = 1_000
"""A listener with more tracks than both BUSY_FACTOR medians and BUSY_LEAST is hardly one person."""

SAME: Final = 0.999
"""A correlation that two columns only reach when one is made from the other."""

SAME_LEAST_TRACKS: Final = 20

_FIRST_CLOCK_S: Final = 100_000_000
"""Timestamps that reach March 1973 are times of a clock; lower ones are positions, which any source may count."""

_MILLISECONDS: Final = 100_000_000_000
_DAY_S: Final = 86_400
_FIRST_RECORDING: Final = 1860
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or odd: `check` is its short name for scripts, `message` says it in words."""

    grade: Grade
    check: str
    message: str


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """All findings of one data set, errors first."""

    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.grade == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.grade == "warning")

    def refuse_errors(self, name: str) -> None:
        """Raise DataError that says all errors of the data set `name` in one message, if there are any."""
        if self.errors:
            reasons = "; ".join(finding.message for finding in self.errors)
            raise DataError(f"{name}: cannot be trained on: {reasons}. Repair the data and train again")

    def to_json(self) -> dict[str, Any]:
        return {"errors": _plain(self.errors), "warnings": _plain(self.warnings)}


def validate(dataset: Dataset, *, now_s: float | None = None) -> ValidationReport:
    """Check schema, ranges, nulls, duplicates and leakage. `now_s` is the present, for times that lie after it."""
    now = time.time() if now_s is None else now_s
    checks: Sequence[Callable[[], Iterator[Finding]]] = (
        lambda: _ids(dataset),
        lambda: _interactions(dataset),
        lambda: _weights(dataset.interactions),
        lambda: _times(dataset.interactions, now),
        lambda: _audio(dataset),
        lambda: _descriptions(dataset, now),
        lambda: _leaks(dataset),
    )
    return _report(finding for check in checks for finding in check())


def validate_split(split: Split) -> ValidationReport:
    """Check that nothing held out is known to the training part."""
    return _report(_held_out(split))


def _report(findings: Iterator[Finding]) -> ValidationReport:
    return ValidationReport(tuple(sorted(findings, key=lambda finding: finding.grade)))


def _ids(dataset: Dataset) -> Iterator[Finding]:
    for what, ids in (("track", dataset.tracks.ids), ("listener", dataset.user_ids)):
        blank = sum(not text for text in ids)
        if blank:
            yield Finding("error", "blank-ids", f"{blank:,} {what} ids are blank")
        distinct, counts = np.unique(ids.astype(str), return_counts=True)
        if (counts > 1).any():
            repeated = distinct[counts > 1]
            message = f"{len(repeated):,} {what} ids stand twice or more: {_some(repeated)}"
            yield Finding("error", "repeated-ids", message)


def _interactions(dataset: Dataset) -> Iterator[Finding]:
    pairs = dataset.interactions
    if len(pairs) == 0:
        yield Finding("error", "no-interactions", "there are no interactions")
        return
    for what, rows, n in (("tracks", pairs.tracks, dataset.n_tracks), ("listeners", pairs.users, dataset.n_users)):
        unknown = int(((rows < 0) | (rows >= n)).sum())
        if unknown:
            yield Finding("error", f"unknown-{what}", f"{unknown:,} interactions are of {what} that are not listed")
            return
    repeats = len(pairs) - len(np.unique(_keys(pairs.users, pairs.tracks)))
    if repeats:
        yield Finding("error", "repeated-pairs", f"{repeats:,} pairs of a listener and a track stand twice or more")
    counts = np.bincount(pairs.users, minlength=dataset.n_users)
    busy = np.flatnonzero(counts > max(BUSY_LEAST, BUSY_FACTOR * float(np.median(counts[counts > 0]))))
    if len(busy):
        names = dataset.user_ids[busy[np.argsort(-counts[busy])]]
        yield Finding(
            "warning",
            "busy-listeners",
            f"{len(busy):,} listeners have {counts[busy].min():,} tracks or more, against a median of "
            f"{np.median(counts[counts > 0]):,.0f}: {_some(names)}",
        )


def _weights(pairs: Interactions) -> Iterator[Finding]:
    unusable = int((~np.isfinite(pairs.weights)).sum())
    if unusable:
        yield Finding("error", "weights-not-numbers", f"{unusable:,} interactions have a weight that is no number")
    negative = int((pairs.weights < 0).sum())
    if negative:
        yield Finding("error", "negative-weights", f"{negative:,} interactions have a negative weight")
    zero = int((pairs.weights == 0).sum())
    if zero:
        yield Finding("warning", "zero-weights", f"{zero:,} interactions have weight 0, and count like the others")


def _times(pairs: Interactions, now_s: float) -> Iterator[Finding]:
    times = pairs.timestamps
    if len(times) < 2:
        return
    if times.min() == times.max():
        message = "all interactions have the same time, so their order means nothing; avoid --split last"
        yield Finding("warning", "equal-times", message)
        return
    if times.max() < _FIRST_CLOCK_S:
        return
    if times.max() > _MILLISECONDS:
        yield Finding("warning", "times-in-milliseconds", "times look like milliseconds; they are read as seconds")
    elif future := int((times > now_s + _DAY_S).sum()):
        yield Finding("warning", "future-times", f"{future:,} interactions lie in the future")
    if early := int((times < 0).sum()):
        yield Finding("warning", "early-times", f"{early:,} interactions lie before 1970")


def _audio(dataset: Dataset) -> Iterator[Finding]:
    audio = dataset.tracks.audio
    known = ~np.isnan(audio)
    if len(audio) and not known.any():
        if len(dataset.tracks.tags.codes) == 0:
            message = "no track has audio features or tags: content has next to nothing to learn from"
            yield Finding("warning", "no-features", message)
        return
    empty = [feature for column, feature in enumerate(AUDIO_FEATURES) if not known[:, column].any()]
    if empty:
        yield Finding("warning", "empty-columns", f"unknown for every track: {', '.join(empty)}")
    for column, feature in enumerate(AUDIO_FEATURES):
        values = audio[known[:, column], column]
        minimum, maximum = AUDIO_RANGES[feature]
        outside = int(((values < minimum) | (values > maximum)).sum())
        if outside:
            worst = values[np.argmax(np.abs(values - (minimum + maximum) / 2))]
            yield Finding(
                "error",
                "features-out-of-range",
                f"{feature} of {outside:,} tracks is outside {minimum:g} .. {maximum:g}, for example {worst:g}",
            )
        if len(values) > 1 and values.min() == values.max():
            yield Finding("warning", "constant-columns", f"{feature} is {values[0]:g} for every track")


def _descriptions(dataset: Dataset, now_s: float) -> Iterator[Finding]:
    tracks = dataset.tracks
    if len(tracks) == 0:
        return
    outside = int(((tracks.popularity < 0) | (tracks.popularity > 1)).sum())
    if outside:
        yield Finding("error", "features-out-of-range", f"popularity of {outside:,} tracks is outside 0 .. 1")
    nameless = int(sum(not artist for artist in tracks.artists))
    if nameless >= FEW_ARTISTS * len(tracks):
        yield Finding("warning", "missing-artists", f"{nameless / len(tracks):.0%} of the tracks name no artist")
    this_year = time.gmtime(now_s).tm_year
    years = tracks.release_years[tracks.release_years != UNKNOWN_YEAR]
    odd = int(((years < _FIRST_RECORDING) | (years > this_year + 1)).sum())
    if odd:
        message = f"{odd:,} tracks have a release year before {_FIRST_RECORDING} or after {this_year + 1}"
        yield Finding("warning", "odd-years", message)
    named = [
        (artist.casefold(), title.casefold())
        for artist, title in zip(tracks.artists, tracks.titles, strict=True)
        if artist and title
    ]
    twins = len(named) - len(set(named))
    if twins:
        yield Finding(
            "warning", "twin-tracks", f"{twins:,} tracks have artist and title of another one, under an id of their own"
        )


def _leaks(dataset: Dataset) -> Iterator[Finding]:
    """Columns that are made from what is to be predicted: they would tell the models of held-out interactions."""
    pairs, tracks = dataset.interactions, dataset.tracks
    if len(pairs) == 0 or (pairs.tracks >= dataset.n_tracks).any() or (pairs.tracks < 0).any():
        return
    plays = np.bincount(pairs.tracks, minlength=dataset.n_tracks).astype(np.float64)
    for column, feature in enumerate(AUDIO_FEATURES):
        if _is_made_from(tracks.audio[:, column], plays):
            yield Finding("error", "leaking-columns", f"{feature} is the number of plays in another form")
    if _is_made_from(tracks.popularity, plays):
        message = "popularity is the number of plays in another form, held-out ones with it; no model is trained on it"
        yield Finding("warning", "leaking-columns", message)


def _is_made_from(column: NDArray[np.float32], plays: NDArray[np.float64]) -> bool:
    known = np.isfinite(column)
    values, counts = column[known].astype(np.float64), plays[known]
    if len(values) < SAME_LEAST_TRACKS or np.ptp(values) == 0 or len(np.unique(counts)) < 3:
        return False
    forms = (counts, np.log1p(counts))
    return any(abs(float(np.corrcoef(values, form)[0, 1])) > SAME for form in forms)


def _held_out(split: Split) -> Iterator[Finding]:
    training = _keys(split.train.users, split.train.tracks)
    both = int(np.isin(_keys(split.test_users, split.test_tracks), training).sum())
    if both:
        yield Finding("error", "leaking-split", f"{both:,} held-out pairs are in the training part too")


def _plain(findings: Sequence[Finding]) -> list[dict[str, str]]:
    return [{"check": finding.check, "message": finding.message} for finding in findings]


def _keys(users: NDArray[np.int32], tracks: NDArray[np.int32]) -> NDArray[np.int64]:
    return users.astype(np.int64) << 32 | tracks.astype(np.int64)


def _some(names: NDArray[Any]) -> str:
    shown = ", ".join(map(str, names[:_SHOWN]))
    return shown + (", …" if len(names) > _SHOWN else "")
