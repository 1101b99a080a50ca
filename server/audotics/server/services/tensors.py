"""What is wrong with the tensors of a request, in the words that clients of Triton know."""

from __future__ import annotations

from collections.abc import Sequence

from audotics.server.errors import FieldViolation, InvalidRequestError


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


def list_sizes(shape: Sequence[int]) -> str:
    """`[-1,64]`."""
    return f"[{','.join(str(size) for size in shape)}]"
