"""Why a track is in a list: its contributions and the listener's history go in, sentences for the listener come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audotics.features.genres import GENRES
from audotics.features.moods import MOODS
from audotics.features.situation import mood_mixture
from audotics.server.pipeline.taste import Taste
from audotics.server.repository.catalog import Catalog
from audotics.server.types import Context, Contribution, Subject

_MOST_REASONS: Final = 3
_SIMILAR: Final = 0.3
_HOW_KNOWN: Final = {
    "user": "which you played",
    "seed_tracks": "which you chose",
    "session": "which you heard in this session",
}


class Explainer:
    """Explains the tracks of one list."""

    def __init__(self, catalog: Catalog, taste: Taste, *, context: Context, subject: Subject) -> None:
        self._catalog = catalog
        self._taste = taste
        self._context = context
        self._how_known = _HOW_KNOWN[subject.kind]

    def reasons(
        self, row: int, contributions: Sequence[Contribution], embedding: NDArray[np.float32] | None
    ) -> tuple[str, ...]:
        """Up to three sentences, that of the strongest contribution first. `embedding` (d,) is the track's own."""
        sentences: list[str] = []
        for part in sorted(contributions, key=lambda part: -part.contribution):
            if part.contribution > 0:
                sentences += self._sentences(part, row, embedding)
        if not sentences and self._catalog.signals.cold[row]:
            sentences.append("New here: hardly anybody has played it yet")
        return tuple(dict.fromkeys(sentences))[:_MOST_REASONS]

    def _sentences(self, part: Contribution, row: int, embedding: NDArray[np.float32] | None) -> list[str]:
        match part.model:
            case "collaborative" | "ncf":
                return ["Listeners with your taste play it"]
            case "sequence":
                return self._next()
            case "content":
                return self._similar(embedding)
            case "context":
                return self._suitable(row)
            case "popularity":
                return [f"Popular: played {int(self._catalog.columns.plays[row]):,} times"]
            case _:
                return []

    def _similar(self, embedding: NDArray[np.float32] | None) -> list[str]:
        if embedding is None or self._taste.sounds is None:
            return []
        cosines = self._taste.sounds @ embedding
        nearest = int(cosines.argmax())
        if cosines[nearest] < _SIMILAR:
            return []
        columns, row = self._catalog.columns, self._taste.history[nearest]
        artist = f" by {columns.artists[row]}" if columns.artists[row] else ""
        return [f"Similar to “{columns.titles[row] or columns.ids[row]}”{artist}, {self._how_known}"]

    def _next(self) -> list[str]:
        if not len(self._taste.history):
            return []
        columns, last = self._catalog.columns, self._taste.history[-1]
        return [f"Often comes soon after “{columns.titles[last] or columns.ids[last]}”, {self._how_known}"]

    def _suitable(self, row: int) -> list[str]:
        sentences = []
        mood = self._context.mood
        if mood is not None and self._catalog.moods[row, MOODS.index(mood)] > 0:
            sentences.append(f"Fits the mood {mood}")
        activity = self._context.activity
        if activity is not None:
            suits = mood_mixture(mood=None, activity=activity, day_part=None)
            if suits is not None and self._catalog.moods[row] @ suits > 0:
                sentences.append(f"Suits {activity}")
        genres = [genre for genre in self._context.genres if self._catalog.genres[row, GENRES.index(genre)]]
        if genres:
            sentences.append(f"Is {' and '.join(genres)}, as you asked")
        # Of a track whose tags name another genre the fits are all -1.
        alike = [genre for genre in self._context.genres if -1 < self._catalog.genre_fits[row, GENRES.index(genre)] < 1]
        if alike:
            sentences.append(f"Sounds like {' and '.join(alike)}, as you asked")
        return sentences
