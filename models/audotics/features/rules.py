"""The tables of rules, all in one place: moods, genres, activities and parts of the day.

Signs of the moods follow the product's rule table. Sizes are hand-set and not learned, in all tables but GENRE_WEIGHTS.
"""

from __future__ import annotations

from typing import Final

# fmt: off
MOOD_WEIGHTS: Final[dict[str, dict[str, float]]] = {
    "energetic":   {"energy": 0.9, "danceability": 0.5, "tempo": 0.4, "loudness": 0.3, "acousticness": -0.4},
    "chill":       {"energy": -0.8, "acousticness": 0.6, "loudness": -0.3, "tempo": -0.3, "speechiness": -0.2},
    "happy":       {"valence": 1.0, "danceability": 0.4, "energy": 0.3, "mode": 0.2},
    "melancholic": {"valence": -0.9, "energy": -0.5, "acousticness": 0.4, "mode": -0.2, "danceability": -0.2},
    "party":       {"danceability": 0.9, "energy": 0.6, "valence": 0.4, "loudness": 0.3, "acousticness": -0.3},
    "focused":     {"instrumentalness": 0.9, "speechiness": -0.6, "energy": -0.3, "liveness": -0.3, "loudness": -0.2},
    "romantic":    {"acousticness": 0.5, "energy": -0.4, "speechiness": -0.4, "valence": 0.3, "tempo": -0.3,
                    "mode": 0.2},
    "workout":     {"energy": 0.8, "tempo": 0.7, "danceability": 0.4, "loudness": 0.3, "acousticness": -0.5},
}
"""The eight moods: weights on standardised audio features. Each mood is scaled to unit length before use."""

GENRE_TAGS: Final[dict[str, str]] = {
    "pop":         r"pop\b",
    "rock":        r"rock\b|\bmetal\b|\bpunk\b|\bgrunge\b|metalcore",
    "hip-hop":     r"hip[\s-]?hop|\brap\b|\btrap\b",
    "electronic":  r"electro|\bedm\b|\btechno\b|house\b|\btrance\b|\bambient\b|\bdubstep\b|\bdance\b|\bidm\b|synth",
    "jazz":        r"\bjazz|(?<!jack )\bswing\b|\bbebop\b",
    "classical":   r"\bclassical\b|\bbaroque\b|\bopera\b|\bsymphon|\borchestra",
    "country":     r"\bcountry\b|\bbluegrass\b|\bamericana\b",
    "r&b":         r"\br\s?(?:&|and|n|'n')\s?b\b|\brnb\b|\bsoul\b|\bfunk\b|\bmotown\b",
    "indie":       r"\bindie\b",
    "alternative": r"\balternative\b|\balt[\s-]",
}
"""The ten genres: what a tag that names one looks like."""

GENRE_WEIGHTS: Final[dict[str, dict[str, float]]] = {
    "pop":         {"speechiness": -0.7, "instrumentalness": -0.4, "danceability": 0.3, "valence": 0.3, "key": -0.3,
                    "loudness": 0.2},
    "rock":        {"danceability": -0.7, "loudness": -0.5, "energy": 0.3, "speechiness": -0.3, "acousticness": -0.2,
                    "valence": 0.2},
    "hip-hop":     {"speechiness": 0.8, "danceability": 0.5, "loudness": 0.2, "valence": -0.2},
    "electronic":  {"danceability": 0.6, "energy": 0.5, "mode": -0.4, "instrumentalness": 0.3, "valence": -0.2,
                    "tempo": 0.2},
    "jazz":        {"acousticness": 0.7, "loudness": -0.5, "mode": -0.3, "valence": 0.3, "danceability": 0.2,
                    "energy": -0.2, "speechiness": -0.2, "instrumentalness": 0.2},
    "classical":   {"acousticness": 0.6, "instrumentalness": 0.5, "energy": -0.4, "loudness": -0.4,
                    "danceability": -0.2},
    "country":     {"speechiness": -0.5, "loudness": 0.4, "mode": 0.4, "acousticness": 0.4, "instrumentalness": -0.3,
                    "energy": -0.2, "valence": 0.2, "tempo": 0.2},
    "r&b":         {"energy": -0.6, "danceability": 0.5, "speechiness": 0.3, "acousticness": 0.3, "mode": -0.2,
                    "instrumentalness": -0.2, "valence": 0.2, "tempo": -0.2},
    "indie":       {"speechiness": -0.7, "danceability": -0.6, "tempo": -0.3, "loudness": 0.2, "liveness": -0.2,
                    "valence": -0.2},
    "alternative": {"danceability": -0.8, "acousticness": -0.4, "speechiness": -0.3, "energy": 0.2, "loudness": -0.2,
                    "tempo": -0.2},
}
"""The ten genres: weights on standardised audio features, for tracks that no tag places.

`benchmarks/genre_rules.py` derives them from tagged tracks; classical, of which the data have none, is hand-set. Each
genre is scaled to unit length before use.
"""

GENRE_BY_SOUND: Final = 0.5
"""How much a track counts, at most, for a genre that only its sound speaks for, beside 1 for a tag that names it."""

ACTIVITY_MOODS: Final[dict[str, dict[str, float]]] = {
    "commuting":  {"happy": 0.5, "energetic": 0.5},
    "dining":     {"romantic": 0.6, "chill": 0.4},
    "exercising": {"workout": 0.8, "energetic": 0.2},
    "partying":   {"party": 0.8, "happy": 0.2},
    "relaxing":   {"chill": 0.8, "romantic": 0.2},
    "sleeping":   {"chill": 0.6, "focused": 0.4},
    "studying":   {"focused": 0.8, "chill": 0.2},
    "working":    {"focused": 0.6, "happy": 0.4},
}
"""The eight activities: shares of moods that suit them."""

DAY_PARTS: Final[tuple[tuple[int, str, dict[str, float]], ...]] = (
    (0,  "night",     {"chill": 0.6, "melancholic": 0.4}),
    (5,  "morning",   {"happy": 0.6, "energetic": 0.4}),
    (10, "midday",    {"focused": 0.5, "happy": 0.5}),
    (14, "afternoon", {"energetic": 0.5, "happy": 0.5}),
    (18, "evening",   {"chill": 0.5, "romantic": 0.5}),
    (22, "late",      {"chill": 0.7, "romantic": 0.3}),
)
"""Parts of the day: the hour at which each begins, its name, and shares of moods."""

DAY_PART_WEIGHT: Final = 0.25
"""How much a part of the day counts beside a mood or an activity that was asked for: the hour alone asks for little."""
# fmt: on
