"""Which versions of a model are loaded: the versions on disk go in, those that are wanted come out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_TEXT: Final = re.compile(r"all|latest:([1-9][0-9]{0,3})|[1-9][0-9]{0,17}(,[1-9][0-9]{0,17})*")


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """The newest `latest` versions, all of them where it is None, or only those that are named in `specific`."""

    latest: int | None = 1
    specific: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> VersionPolicy:
        """Read "latest:2", "all" or "3,5". Raises ValueError."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no version policy; write latest:N, all, or versions such as 3,5")
        if text == "all":
            return cls(latest=None)
        if match[1]:
            return cls(latest=int(match[1]))
        return cls(latest=None, specific=tuple(int(number) for number in text.split(",")))

    def allows(self, version: int) -> bool:
        """Whether the version may serve without being asked for."""
        return not self.specific or version in self.specific

    def wanted(self, versions: Sequence[int]) -> list[int]:
        """Those of `versions` that are to be loaded, the highest first."""
        allowed = sorted((version for version in versions if self.allows(version)), reverse=True)
        return allowed[: self.latest]


@dataclass(frozen=True, slots=True)
class VersionPolicies:
    """The policy of each model: its own, or the default."""

    default: VersionPolicy = field(default_factory=VersionPolicy)
    by_model: Mapping[str, VersionPolicy] = field(default_factory=dict)

    @classmethod
    def parse(cls, default: str, by_model: Mapping[str, str]) -> VersionPolicies:
        """Read policies as they stand in settings. Raises ValueError."""
        return cls(VersionPolicy.parse(default), {name: VersionPolicy.parse(text) for name, text in by_model.items()})

    def of(self, name: str) -> VersionPolicy:
        return self.by_model.get(name, self.default)
