"""Other servers that models lie on: an operator's choice goes in, a model that runs there comes out."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

import grpc

from audotics.bundle.runtime import SERVING, RuntimeChoice
from audotics.server.errors import RefusedModelError
from audotics.server.runtime.breaker import CircuitBreaker
from audotics.server.runtime.model import InferenceError, Model, UnavailableModelError
from audotics.server.runtime.opening import RemoteOpener
from audotics.server.transport.remote.call import RemoteCalls
from audotics.server.transport.remote.tensorflow_serving import TensorFlowServingModel
from audotics.server.transport.remote.v2 import V2Model

_RECONNECT_MS: Final = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 2_000))
"""gRPC would wait for up to two minutes; how often a server is called is the breaker's business."""


class RemoteServers:
    """One channel a server. Use it as a context manager, outside of what runs the models."""

    def __init__(self, *, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._channels: dict[tuple[str, bool], grpc.Channel] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for channel in self._channels.values():
            channel.close()

    @property
    def openers(self) -> Mapping[str, RemoteOpener]:
        """What opens a model, by the name of the runtime."""
        return {"v2": self._open, "tensorflow_serving": self._open}

    def _open(self, name: str, version: int, choice: RuntimeChoice) -> Model:
        """Raises RefusedModelError, or UnavailableModelError when the server does not answer."""
        calls = RemoteCalls(
            f"{name}/{version}",
            address=choice.address,
            timeout_s=choice.timeout_s,
            attempts=choice.attempts,
            breaker=CircuitBreaker(),
        )
        key, there = (choice.address, choice.tls), choice.model or name
        known = key in self._channels
        channel = self._channel(choice)
        try:
            if choice.runtime == "v2":
                return V2Model(calls, channel, name=there, version="" if choice.version == SERVING else str(version))
            wanted = None if choice.version == SERVING else version
            return TensorFlowServingModel(calls, channel, name=there, version=wanted)
        except UnavailableModelError:
            if not known:  # a new channel tries at once, when one that has failed still waits
                self._drop(key)
            raise
        except InferenceError as error:
            raise RefusedModelError(f"{error}; look at runtime.json, and at the models of that server") from error

    def _drop(self, key: tuple[str, bool]) -> None:
        with self._lock:
            channel = self._channels.pop(key, None)
        if channel is not None:
            channel.close()

    def _channel(self, choice: RuntimeChoice) -> grpc.Channel:
        limits = (
            ("grpc.max_receive_message_length", self._max_message_bytes),
            ("grpc.max_send_message_length", self._max_message_bytes),
        )
        with self._lock:
            channel = self._channels.get((choice.address, choice.tls))
            if channel is None:
                options = (*_RECONNECT_MS, *limits)
                channel = (
                    grpc.secure_channel(choice.address, grpc.ssl_channel_credentials(), options)
                    if choice.tls
                    else grpc.insecure_channel(choice.address, options)
                )
                self._channels[choice.address, choice.tls] = channel
            return channel
