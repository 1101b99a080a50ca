"""Pages of long lists: a request's size and token go in, how many and from where come out; and the next token back.

A token is the place where the page before ended, with what the list was asked for, so that it continues no other list.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, Final

from audotics.server.transport.codec.violations import Violations

MAX_PAGE: Final = 1000
_DEFAULT_PAGE: Final = 50
_BEYOND: Final = 2**63
"""No number of a place is as large."""
_WHAT_TO_DO: Final = "send the next_page_token of the page before, with the other fields as they were, or none"


def page_size(size: int, violations: Violations) -> int:
    """How many to answer with; 0 asks for the default."""
    if not 0 <= size <= MAX_PAGE:
        violations.add("page_size", f"is {size}; send up to {MAX_PAGE}, or 0 for {_DEFAULT_PAGE}")
    return size or _DEFAULT_PAGE


def read_token(
    token: str, asked: Sequence[str], kinds: Sequence[type], violations: Violations
) -> tuple[Any, ...] | None:
    """The place that `token` names, with values of `kinds`; None at the start, or where it is wrong.

    `asked` is what else the request asks for.
    """
    if not token:
        return None
    try:
        found = json.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):  # text that is no UTF-8 or no JSON is a ValueError, too
        found = None
    match found:
        case [list(before), list(place)] if _is_place(place, kinds):
            if before == list(asked):
                return tuple(place)
            violations.add("page_token", f"is of a list that asked for something else; {_WHAT_TO_DO}")
        case _:
            violations.add("page_token", f"is not a token of this list; {_WHAT_TO_DO}")
    return None


def write_token(asked: Sequence[str], place: Sequence[Any] | None) -> str:
    """The token of the next page, which begins after `place`; empty where there is none."""
    if place is None:
        return ""
    return base64.urlsafe_b64encode(json.dumps([list(asked), list(place)]).encode()).decode()


def _is_place(place: Sequence[object], kinds: Sequence[type]) -> bool:
    """Whether the values are of these kinds, and such as a database has."""
    return [type(value) for value in place] == list(kinds) and all(
        not isinstance(value, int | float) or abs(value) < _BEYOND for value in place
    )
