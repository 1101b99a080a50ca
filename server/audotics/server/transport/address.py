"""Where to listen: a host and a port go in, an address for gRPC comes out, or one clear error."""

from __future__ import annotations

import errno
import os
import socket

from audotics.server.errors import AudoticsError


class AddressError(AudoticsError):
    """The server cannot listen at the address. The message says why and what to choose instead."""


def format_address(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_address(host: str, port: int) -> None:
    """Try to bind and let go again. Raises AddressError. gRPC's own failure names no reason and fills the terminal."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise AddressError(f"cannot listen on {host!r}: {error.strerror}; choose another with --host") from error
    failures = [failure for item in found if (failure := _try_bind(item[0], item[4])) is not None]
    if any(failure.errno == errno.EADDRINUSE for failure in failures):
        raise AddressError(
            f"{format_address(host, port)} is in use; stop the program that listens there, or choose another --port"
        )
    # A name can stand for addresses of which the machine has only some.
    if len(failures) == len(found):
        reason = os.strerror(failures[0].errno or errno.EADDRNOTAVAIL)
        raise AddressError(f"cannot listen on {format_address(host, port)}: {reason}; choose another --host or --port")


def _try_bind(family: int, address: object) -> OSError | None:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)  # type: ignore[arg-type]
    except OSError as error:
        return error
    return None
