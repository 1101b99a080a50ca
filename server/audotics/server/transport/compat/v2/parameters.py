"""Parameters of inference requests, as Triton's clients send them: a request goes in, what they ask for comes out.

What models without a state cannot follow, such as the number of a sequence, is passed over, as Triton does. A value of
the wrong type is refused: a limit that nobody keeps would be worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from audotics.server.services.tensors import TensorError
from audotics.server.types import Caller, Priority

PRIORITY_LEVELS: Final = len(Priority)
"""1 goes first; 0, and what is beyond, says nothing."""
DEFAULT_LEVEL: Final = Priority.NORMAL + 1

_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "sequence_id": ("int64_param", "string_param"),
    "sequence_start": ("bool_param",),
    "sequence_end": ("bool_param",),
    "priority": ("int64_param", "uint64_param"),
    "timeout": ("int64_param",),
    "triton_enable_empty_final_response": ("bool_param",),
}
_RESERVED: Final = "triton_"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a request asks for beside its outputs. `timeout_us` 0 is no limit, `priority` None leaves the caller's."""

    timeout_us: int = 0
    priority: Priority | None = None

    def caller(self, caller: Caller) -> Caller:
        """The caller, in the class that the request names."""
        return caller if self.priority is None else replace(caller, priority=self.priority)


NONE: Final = Wishes()


def wishes_of(request: Any) -> Wishes:
    """Read the parameters of a ModelInferRequest. Raises TensorError."""
    given = request.parameters
    if not given:
        return NONE
    values: dict[str, Any] = {}
    for key, value in given.items():
        expected = _TYPES.get(key)
        if expected is None:
            _check_custom(key)
            continue
        found = value.WhichOneof("parameter_choice")
        if found not in expected:
            raise _wrong(key, f"invalid value type for '{key}' parameter, expected {' or '.join(expected)}.")
        values[key] = getattr(value, found)
    level = values.get("priority", 0)
    if level < 0:
        raise _wrong("priority", "invalid value for 'priority', expected value >= 0.")
    return Wishes(
        timeout_us=max(0, values.get("timeout", 0)),
        priority=Priority(level - 1) if 1 <= level <= PRIORITY_LEVELS else None,
    )


def _check_custom(key: str) -> None:
    """Parameters of models' own pass; names that Triton keeps for itself do not. Raises TensorError."""
    if key.startswith(_RESERVED):
        allowed = ", ".join(name for name in _TYPES if name.startswith(_RESERVED))
        raise _wrong(key, f"parameter keys starting with '{_RESERVED}' are reserved for Triton usage; known: {allowed}")


def _wrong(key: str, message: str) -> TensorError:
    return TensorError(message, field=f"parameters[{key[:40]}]")
