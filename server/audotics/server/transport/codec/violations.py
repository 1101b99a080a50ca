"""Checks of a request's fields: values go in, and all that is wrong comes out as one error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from audotics.server.errors import FieldViolation, InvalidRequestError

MAX_ID_LENGTH: Final = 256
MAX_TEXT_LENGTH: Final = 1000


class Violations:
    """Collects what is wrong with one request, so that its caller learns everything at once."""

    def __init__(self) -> None:
        self._found: list[FieldViolation] = []

    def add(self, field: str, description: str) -> None:
        self._found.append(FieldViolation(field, description))

    def raise_if_any(self) -> None:
        """Raises InvalidRequestError with everything that was added."""
        if self._found:
            raise InvalidRequestError(self._found)

    def check_limit(self, field: str, limit: int, *, most: int) -> None:
        if not 1 <= limit <= most:
            self.add(field, f"is {limit}; send 1 to {most}")

    def check_id(self, field: str, value: str) -> None:
        if not 1 <= len(value) <= MAX_ID_LENGTH:
            self.add(field, f"has {len(value)} characters; send 1 to {MAX_ID_LENGTH}")
        self._check_characters(field, value)

    def check_text(self, field: str, value: str) -> None:
        if len(value) > MAX_TEXT_LENGTH:
            self.add(field, f"has {len(value)} characters; send up to {MAX_TEXT_LENGTH}")
        self._check_characters(field, value)

    def check_between(self, field: str, value: float, low: float, high: float) -> None:
        if not low <= value <= high:
            self.add(field, f"is {value:g}; send a number from {low:g} to {high:g}")

    def check_weight(self, field: str, value: float) -> None:
        if not math.isfinite(value) or value < 0:
            self.add(field, f"is {value:g}; send a finite number of 0 or more")

    def check_ids(
        self, field: str, values: Sequence[str], *, least: int = 0, most: int, distinct: bool = False
    ) -> None:
        """Check how many ids there are, each of them, and, on demand, that none stands twice."""
        if not least <= len(values) <= most:
            self.add(field, f"has {len(values)} entries; send {least} to {most}")
            return
        if all(0 < len(value) <= MAX_ID_LENGTH and "\0" not in value for value in values):
            if distinct and len(set(values)) < len(values):
                self._add_repeats(field, values)
            return
        for place, value in enumerate(values):
            self.check_id(f"{field}[{place}]", value)

    def check_names(self, field: str, values: Sequence[str], *, most: int) -> None:
        """Check how many names there are, and that each says something."""
        if len(values) > most:
            self.add(field, f"has {len(values)} entries; send up to {most}")
            return
        for place, value in enumerate(values):
            if not value.strip() or len(value) > MAX_TEXT_LENGTH:
                self.add(f"{field}[{place}]", f"is blank or longer than {MAX_TEXT_LENGTH} characters; send a name")
            self._check_characters(f"{field}[{place}]", value)

    def _check_characters(self, field: str, value: str) -> None:
        if "\0" in value:  # PostgreSQL has no place for it
            self.add(field, "holds a NUL character; leave it out")

    def _add_repeats(self, field: str, values: Sequence[str]) -> None:
        first: dict[str, int] = {}
        for place, value in enumerate(values):
            earlier = first.setdefault(value, place)
            if earlier != place:
                self.add(f"{field}[{place}]", f"repeats {field}[{earlier}]; send each id once")
