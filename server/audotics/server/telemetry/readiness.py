"""Whether to send requests here: the server says when it takes them, and those who ask are told, or why not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Readiness:
    """Not ready until `serving`, and never again after it."""

    def __init__(self) -> None:
        self.reason = "models are being loaded"
        """Why there are no requests to be sent; empty when they may be."""

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Ready for as long as the block lasts."""
        self.reason = ""
        try:
            yield
        finally:
            self.reason = "the server is stopping"
