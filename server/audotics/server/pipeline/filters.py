"""Hard conditions: a filter and a catalogue go in, one boolean mask over the catalogue's rows comes out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.genres import GENRES
from audotics.features.tracks import UNKNOWN_YEAR
from audotics.server.errors import FieldViolation, InvalidRequestError
from audotics.server.pipeline.lru import LruCache
from audotics.server.repository.catalog import Catalog
from audotics.server.types import FeatureRange, TrackFilter

NO_FILTER: Final = TrackFilter()
_CACHED_MASKS: Final = 32


class FilterMasks:
    """Compiles filters to masks, each once for a catalogue."""

    def __init__(self) -> None:
        self._masks: LruCache[tuple[int, TrackFilter], NDArray[np.bool_]] = LruCache(_CACHED_MASKS)

    def mask(self, catalog: Catalog, track_filter: TrackFilter) -> NDArray[np.bool_]:
        """bool (n,), read-only: tracks that pass and are not deleted. Raises InvalidRequestError."""
        return self._masks.get((catalog.generation, track_filter), lambda: compile_filter(catalog, track_filter))


def compile_filter(catalog: Catalog, wanted: TrackFilter) -> NDArray[np.bool_]:
    """bool (n,): tracks that pass every condition of `wanted` and are not deleted.

    A genre matches a tag of that name, or, for one of GENRES, any tag that names it. Artists match by their whole text.
    A track whose year, flag or feature is unknown does not pass a condition on it.
    """
    columns = catalog.columns
    mask = ~catalog.deleted
    if wanted.genres:
        mask &= _has_genre(catalog, wanted.genres)
    if wanted.excluded_genres:
        mask &= ~_has_genre(catalog, wanted.excluded_genres)
    if wanted.artists:
        mask &= np.isin(catalog.artist_codes, catalog.artist_codes_of(wanted.artists))
    if wanted.excluded_artists:
        mask &= ~np.isin(catalog.artist_codes, catalog.artist_codes_of(wanted.excluded_artists))
    if wanted.min_release_year is not None:
        mask &= (columns.release_years >= wanted.min_release_year) & (columns.release_years != UNKNOWN_YEAR)
    if wanted.max_release_year is not None:
        mask &= (columns.release_years <= wanted.max_release_year) & (columns.release_years != UNKNOWN_YEAR)
    if wanted.explicit is not None:
        mask &= columns.explicit == int(wanted.explicit)
    for feature_range in wanted.ranges:
        mask &= _in_range(catalog, feature_range)
    mask.setflags(write=False)
    return mask


def _has_genre(catalog: Catalog, names: tuple[str, ...]) -> NDArray[np.bool_]:
    known = [GENRES.index(name) for name in (text.strip().lower() for text in names) if name in GENRES]
    return catalog.columns.tags.mask(names) | catalog.genres[:, known].any(axis=1)


def _in_range(catalog: Catalog, wanted: FeatureRange) -> NDArray[np.bool_]:
    values = _feature(catalog, wanted.feature)
    passes = ~np.isnan(values)
    if wanted.min is not None:
        passes &= values >= np.float32(wanted.min)
    if wanted.max is not None:
        passes &= values <= np.float32(wanted.max)
    return passes


def _feature(catalog: Catalog, name: str) -> NDArray[np.float32]:
    if name in AUDIO_FEATURES:
        return catalog.columns.audio[:, AUDIO_FEATURES.index(name)]
    if name == "popularity":
        return catalog.columns.popularity
    if name == "duration_ms":
        durations = catalog.columns.durations_ms.astype(np.float32)
        durations[durations == 0] = np.nan
        return durations
    known = ", ".join([*AUDIO_FEATURES, "duration_ms", "popularity"])
    raise InvalidRequestError(
        [FieldViolation("filter.feature_ranges", f"unknown feature {name!r}; the known ones are {known}")]
    )
