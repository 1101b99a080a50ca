"""How a server is reached: a target and options go in, a grpc or grpc.aio channel comes out, not yet connected."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import grpc
import grpc.aio

_ROUND_ROBIN: Final = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})


@dataclass(frozen=True, slots=True)
class Keepalive:
    """Pings that find a dead connection: one after `time_s` of silence, which must be answered within `timeout_s`.

    With `without_calls` they go on while no call is under way; the server must permit that, or it hangs up.
    """

    time_s: float = 60.0
    timeout_s: float = 20.0
    without_calls: bool = False

    def __post_init__(self) -> None:
        if self.time_s <= 0 or self.timeout_s <= 0:
            raise ValueError(f"keepalive times must be above 0, not {self.time_s} and {self.timeout_s}")


@dataclass(frozen=True, slots=True)
class Tls:
    """Encryption, with PEM bytes. Without `root_certificates`, grpc's own list of authorities is trusted.

    `client_certificate` and `client_key` identify the client, and come together. `server_name` is checked against the
    server's certificate in place of the target's host.
    """

    root_certificates: bytes | None = None
    client_certificate: bytes | None = None
    client_key: bytes | None = field(default=None, repr=False)
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.client_certificate is None) != (self.client_key is None):
            raise ValueError("client_certificate and client_key come together: give both or neither")

    @classmethod
    def from_files(
        cls,
        *,
        root_certificates: Path | str | None = None,
        client_certificate: Path | str | None = None,
        client_key: Path | str | None = None,
        server_name: str | None = None,
    ) -> Tls:
        """Read the PEM files. Raises OSError for one that cannot be read."""
        return cls(_read(root_certificates), _read(client_certificate), _read(client_key), server_name)


DEFAULT_KEEPALIVE: Final = Keepalive()


def open_channel(target: str, *, keepalive: Keepalive, tls: Tls | None) -> grpc.Channel:
    """Make a channel to `target` ("host:port", or any gRPC name such as "dns:///host:port")."""
    options = _options(keepalive, tls)
    if tls is None:
        return grpc.insecure_channel(target, options)
    return grpc.secure_channel(target, _credentials(tls), options)


def open_aio_channel(target: str, *, keepalive: Keepalive, tls: Tls | None) -> grpc.aio.Channel:
    """Like `open_channel`, for asyncio. To be called where the event loop runs that will use the channel."""
    options = _options(keepalive, tls)
    if tls is None:
        return grpc.aio.insecure_channel(target, options)
    return grpc.aio.secure_channel(target, _credentials(tls), options)


def _options(keepalive: Keepalive, tls: Tls | None) -> list[tuple[str, str | int]]:
    options: list[tuple[str, str | int]] = [
        ("grpc.primary_user_agent", f"audotics-python/{_version()}"),
        ("grpc.service_config", _ROUND_ROBIN),
        ("grpc.keepalive_time_ms", round(keepalive.time_s * 1000)),
        ("grpc.keepalive_timeout_ms", round(keepalive.timeout_s * 1000)),
        ("grpc.keepalive_permit_without_calls", int(keepalive.without_calls)),
        # gRPC waits a second before it reconnects, longer than the first retries take: they would all find it waiting.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
    ]
    if tls is not None and tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
        options.append(("grpc.default_authority", tls.server_name))
    return options


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(tls.root_certificates, tls.client_key, tls.client_certificate)


def _version() -> str:
    try:
        return version("audotics")
    except PackageNotFoundError:  # run from a source tree
        return "unknown"


def _read(path: Path | str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()
