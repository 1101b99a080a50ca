"""Segments of requests: how much is known and what was asked go in, the name under which it is learned comes out.

Few segments, so that each sees enough lists to learn from: by the part of the day each would have a fifth of them.
Groups are a segment of their own, whoever is in them: what pleases several at once need not please each alone.
"""

from __future__ import annotations

from typing import Final

_LENGTHS: Final = ((0, "new"), (4, "few tracks"), (19, "some tracks"))
_LONG: Final = "many tracks"
_GROUP: Final = "group"
_ASKED: Final = ", context"

SEGMENTS: Final = tuple(
    name + context for context in ("", _ASKED) for name in (*(name for _, name in _LENGTHS), _LONG, _GROUP)
)
"""By length of history, groups apart, and by whether a mood, an activity or genres were asked for."""


def segment_of(history_length: int, *, asked: bool) -> str:
    """One of SEGMENTS. `asked` says that the request has a mood, an activity or genres."""
    name = next((name for most, name in _LENGTHS if history_length <= most), _LONG)
    return name + _ASKED if asked else name


def group_segment(*, asked: bool) -> str:
    """The one of SEGMENTS for lists of groups."""
    return _GROUP + _ASKED if asked else _GROUP
