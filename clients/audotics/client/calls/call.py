"""A call as a value: a method, a request and how to read its answer, for either driver to execute."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from audotics.client.errors import InternalError

ResultT = TypeVar("ResultT")
_AnswerT = TypeVar("_AnswerT", bound=Message)


@dataclass(frozen=True, slots=True)
class Call(Generic[ResultT]):
    """One call as a value: the method's path, the request as it goes over the wire, and how to read the answer.

    Every method but `rollback` and `promote_arm` is idempotent, so that its call may be repeated as it stands.
    `timeout_s` None means the client's default.
    """

    path: str
    request: bytes
    decode: Callable[[bytes], ResultT]
    timeout_s: float | None = None
    repeatable: bool = True

    def __post_init__(self) -> None:
        if self.timeout_s is not None:
            check_timeout(self.timeout_s)

    def read(self, answer: bytes) -> ResultT:
        """Decode `answer`. Raises InternalError when it is not what the method returns."""
        try:
            return self.decode(answer)
        except DecodeError as error:
            raise InternalError(
                f"the answer to {self.path} cannot be read ({error}); is the target an Audotics server?",
                grpc.StatusCode.INTERNAL,
            ) from error


def check_timeout(timeout_s: float) -> None:
    """Raises ValueError unless it is a finite time above 0."""
    if not 0 < timeout_s < math.inf:
        raise ValueError(f"timeout_s must be above 0 and finite, not {timeout_s}")


def call_of(
    method: str,
    request: Message,
    answer: type[_AnswerT],
    decode: Callable[[_AnswerT], ResultT],
    timeout_s: float | None,
) -> Call[ResultT]:
    return Call(
        path=f"/audotics.v1.{method}",
        request=request.SerializeToString(),
        decode=lambda data: decode(answer.FromString(data)),
        timeout_s=timeout_s,
    )


def exactly_one(**choices: object) -> None:
    given = [name for name, value in choices.items() if value is not None]
    if len(given) != 1:
        found = " and ".join(given) if given else "none"
        raise ValueError(f"give exactly one of {', '.join(choices)}; given: {found}")


def method_signature(build: Callable[..., object]) -> inspect.Signature:
    """Return the signature of a client's method made from `build`, for help() and editors."""
    signature = inspect.signature(build)
    instance = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    return signature.replace(
        parameters=[instance, *signature.parameters.values()], return_annotation=inspect.Signature.empty
    )
