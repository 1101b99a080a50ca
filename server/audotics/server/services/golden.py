"""Golden requests: `golden.json` of a repository goes in, requests with what their answers must contain come out.

    [{"session_tracks": ["t1", "t2"], "limit": 10, "expected": ["t3", "t4"], "least": 1}, {"user_id": "u1", ...}]

A list must hold at least `least` (by default all) of `expected` among its first `limit` (10) tracks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from audotics.bundle.errors import BundleError
from audotics.bundle.text_file import read_text_file
from audotics.server.errors import RefusedModelError
from audotics.server.types import RecommendQuery, Subject

GOLDEN_FILE: Final = "golden.json"
_SUBJECTS: Final = ("user_id", "seed_tracks", "session_tracks")


@dataclass(frozen=True, slots=True)
class GoldenRequest:
    """A query, and how many of `expected` its list must hold at least."""

    query: RecommendQuery
    expected: frozenset[str]
    least: int


def read_golden(path: Path) -> list[GoldenRequest]:
    """None where there is no file. Blocking. Raises RefusedModelError that says what is wrong with the file."""
    try:
        value = json.loads(read_text_file(path, where="repository"))
    except FileNotFoundError:
        return []
    except BundleError as error:
        raise RefusedModelError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise RefusedModelError(f"{path.name} cannot be read ({error}); mend it or remove it") from error
    if not isinstance(value, list):
        raise RefusedModelError(f"{path.name} is not a list of requests; mend it or remove it")
    found = []
    for place, item in enumerate(value):
        try:
            found.append(_golden(item))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise RefusedModelError(f"{path.name}: request {place} is wrong ({error}); mend it") from error
    return found


def _golden(item: Any) -> GoldenRequest:
    given = [name for name in _SUBJECTS if name in item]
    if len(given) != 1 or not item[given[0]]:
        raise ValueError(f"give exactly one of {', '.join(_SUBJECTS)}")
    expected = frozenset(str(track_id) for track_id in item["expected"])
    limit, least = int(item.get("limit", 10)), int(item.get("least", len(expected)))
    if not 1 <= limit <= 500 or not 1 <= least <= len(expected):
        raise ValueError("'limit' is 1 to 500, and 'least' 1 to the number of 'expected'")
    if given[0] == "user_id":
        subject = Subject("user", user_id=str(item["user_id"]))
    else:
        tracks = tuple(str(track_id) for track_id in item[given[0]])
        subject = Subject("session" if given[0] == "session_tracks" else "seed_tracks", track_ids=tracks)
    return GoldenRequest(RecommendQuery(subject=subject, limit=limit), expected, least)
