"""What requests share: messages for the subject, the situation and the conditions go in, checked values come out."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from audotics.features.audio import AUDIO_FEATURES
from audotics.features.genres import GENRES
from audotics.features.moods import MOODS
from audotics.features.situation import ACTIVITIES, part_of_day
from audotics.server.transport.codec.violations import Violations
from audotics.server.types import Context, FeatureRange, Objectives, Subject, TrackFilter
from audotics.v1 import recommender_service_pb2 as pb
from audotics.v1 import track_pb2

FILTER_FEATURES: Final = (*AUDIO_FEATURES, "duration_ms", "popularity")

_LOCAL_TIME: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_MAX_SUBJECT_TRACKS: Final = 1000
_MAX_NAMES: Final = 1000
_MAX_RANGES: Final = 32
_MAX_DIMENSION: Final = 4096
_OBJECTIVES: Final = ("relevance", "novelty", "popularity", "freshness", "artist_fairness")


def decode_subject(message: pb.Subject, violations: Violations) -> Subject:
    """Paths start at `subject`."""
    match message.WhichOneof("kind"):
        case "user_id":
            violations.check_id("subject.user_id", message.user_id)
            return Subject("user", user_id=message.user_id)
        case "seed_tracks":
            ids = message.seed_tracks.track_ids
            violations.check_ids("subject.seed_tracks.track_ids", ids, least=1, most=_MAX_SUBJECT_TRACKS)
            return Subject("seed_tracks", track_ids=tuple(ids))
        case "session":
            ids = message.session.track_ids
            violations.check_ids("subject.session.track_ids", ids, least=1, most=_MAX_SUBJECT_TRACKS)
            return Subject("session", track_ids=tuple(ids))
    violations.add("subject", "is not set; send one of user_id, seed_tracks and session")
    return Subject("user")


def decode_context(message: pb.RequestContext, violations: Violations) -> Context:
    """Paths start at `context`."""
    mood = None
    if message.mood != track_pb2.MOOD_UNSPECIFIED:
        mood = {track_pb2.Mood.Value(f"MOOD_{name.upper()}"): name for name in MOODS}.get(message.mood)
        if mood is None:
            violations.add("context.mood", f"is {message.mood}, which names no mood; known moods: {', '.join(MOODS)}")
    genres = tuple(genre.strip().lower() for genre in message.genres)
    for place, genre in enumerate(genres):
        if genre not in GENRES:
            violations.add(
                f"context.genres[{place}]", f"{genre[:40]!r} is not a genre; known genres: {', '.join(GENRES)}"
            )
    activity = None
    if message.activity != pb.ACTIVITY_UNSPECIFIED:
        activity = {pb.Activity.Value(f"ACTIVITY_{name.upper()}"): name for name in ACTIVITIES}.get(message.activity)
        if activity is None:
            known = ", ".join(ACTIVITIES)
            violations.add("context.activity", f"is {message.activity}, which names none; known activities: {known}")
    day_part = None
    if message.local_time:
        if (matched := _LOCAL_TIME.fullmatch(message.local_time)) is None:
            violations.add("context.local_time", f"is {message.local_time[:40]!r}; send hours and minutes, as 18:30")
        else:
            day_part = part_of_day(int(matched[1]))
    return Context(mood, tuple(dict.fromkeys(genres)), activity, day_part)


def decode_filter(message: pb.TrackFilter, violations: Violations) -> TrackFilter:
    """Paths start at `filter`. An unset message asks for nothing."""
    names: dict[str, Sequence[str]] = {
        "genres": message.genres,
        "excluded_genres": message.excluded_genres,
        "artists": message.artists,
        "excluded_artists": message.excluded_artists,
    }
    for field, values in names.items():
        violations.check_names(f"filter.{field}", values, most=_MAX_NAMES)
    first = message.min_release_year if message.HasField("min_release_year") else None
    last = message.max_release_year if message.HasField("max_release_year") else None
    if first is not None and last is not None and first > last:
        violations.add("filter.min_release_year", f"is {first}, above max_release_year {last}; swap them")
    if len(message.feature_ranges) > _MAX_RANGES:
        violations.add("filter.feature_ranges", f"has {len(message.feature_ranges)} entries; send up to {_MAX_RANGES}")
    return TrackFilter(
        genres=tuple(message.genres),
        excluded_genres=tuple(message.excluded_genres),
        artists=tuple(message.artists),
        excluded_artists=tuple(message.excluded_artists),
        min_release_year=first,
        max_release_year=last,
        explicit=message.explicit if message.HasField("explicit") else None,
        ranges=tuple(
            _decode_range(item, f"filter.feature_ranges[{place}]", violations)
            for place, item in enumerate(message.feature_ranges[:_MAX_RANGES])
        ),
    )


def decode_objectives(message: pb.Objectives, violations: Violations, *, path: str = "objectives") -> Objectives:
    """Paths start at `path`. The message must be set."""
    weights = {name: getattr(message, name) for name in _OBJECTIVES}
    for name, weight in weights.items():
        violations.check_weight(f"{path}.{name}", weight)
    if not any(weights.values()):
        violations.add(path, "has no weight above 0; raise one, or leave objectives unset for relevance alone")
    return Objectives(**weights)


def decode_vector(values: Sequence[float], violations: Violations) -> tuple[float, ...]:
    """Paths start at `vector.values`."""
    if not 1 <= len(values) <= _MAX_DIMENSION:
        violations.add("vector.values", f"has {len(values)} numbers; send as many as the content embedding has")
        return ()
    for place, value in enumerate(values):
        if not math.isfinite(value):
            violations.add(f"vector.values[{place}]", f"is {value:g}; send a finite number")
    if not any(values):
        violations.add("vector.values", "has length zero, so it points nowhere; send a vector that is not all zeros")
    return tuple(values)


def _decode_range(message: pb.FeatureRange, path: str, violations: Violations) -> FeatureRange:
    low = message.min if message.HasField("min") else None
    high = message.max if message.HasField("max") else None
    if message.feature not in FILTER_FEATURES:
        violations.add(
            f"{path}.feature",
            f"{message.feature[:40]!r} is not a feature; known features: {', '.join(FILTER_FEATURES)}",
        )
    for name, bound in (("min", low), ("max", high)):
        if bound is not None and math.isnan(bound):
            violations.add(f"{path}.{name}", "is nan; send a number, or leave it unset for no bound")
    if low is not None and high is not None and low > high:
        violations.add(f"{path}.min", f"is {low:g}, above max {high:g}; swap them")
    return FeatureRange(message.feature, low, high)
