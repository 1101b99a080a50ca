"""Lists that come in pages: a call for one page and a limit go in, what the pages hold comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from audotics.cli.output import print_line

T = TypeVar("T")

_LARGEST_PAGE: Final = 1000


def all_pages(page: Callable[[int, str], tuple[Sequence[T], str]], *, limit: int) -> tuple[list[T], bool]:
    """Up to `limit` entries, and whether there are more.

    `page` takes a size and a token, which is empty at first; it returns the entries and the token of the next page.
    """
    found: list[T] = []
    token = ""
    while len(found) < limit:
        entries, token = page(min(limit - len(found), _LARGEST_PAGE), token)
        found += entries
        if not token:
            break
    return found, bool(token)


def print_more(*, limit: int) -> None:
    """Say that there is more than was shown."""
    print_line(f"there are more; --limit {2 * limit} shows some of them", style="dim")
