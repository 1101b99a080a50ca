"""What is wrong with the tensors of a request, in the words that clients of Triton know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from audotics.server.errors import FieldViolation, InvalidRequestError

_MOST_OF_NOTHING: Final = 65_536


class TensorError(InvalidRequestError):
    """A tensor does not fit its model, or its data do not fit its shape. `field` is its path in the request."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__([FieldViolation(field, message)])
        self.message = message
        self.field = field

    def __str__(self) -> str:
        return self.message

    def of_request(self, request_id: str) -> TensorError:
        """The same error, with the id that the caller gave to the request in front."""
        return TensorError(f"[request id: {request_id or '<id_unknown>'}] {self.message}", field=self.field)


def check_empty(shape: Sequence[int], *, name: str, field: str) -> None:
    """Of a tensor without elements, no size may be large: it costs the caller nothing, and a model much.

    Raises TensorError.
    """
    if max(shape, default=0) > _MOST_OF_NOTHING:
        raise TensorError(
            f"unexpected shape for input '{name}': {list_sizes(shape)} has no elements, and then sizes may be up to "
            f"{_MOST_OF_NOTHING}",
            field=field,
        )


def list_sizes(shape: Sequence[int]) -> str:
    """`[-1,64]`."""
    return f"[{','.join(str(size) for size in shape)}]"
