"""Where to listen: a host and a port go in, an address for gRPC comes out, or one clear error."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from audotics.server.errors import AudoticsError


class AddressError(AudoticsError):
    """The server cannot listen at the address. The message says why and what to choose instead."""


def format_address(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_address(host: str, port: int) -> None:
    """Try to bind and let go again. Raises AddressError. gRPC's own failure names no reason and fills the terminal."""
    for bound in listening_sockets(host, port, option="--port"):
        bound.close()


def listening_sockets(host: str, port: int, *, option: str) -> list[socket.socket]:
    """A bound socket for each address that `host` stands for, all on one port; with port 0 a free one is taken.

    They are the caller's to close. Raises AddressError, which names the `option` to change.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise AddressError(f"cannot listen on {host!r}: {error.strerror}; choose another with --host") from error
    bound: list[socket.socket] = []
    failures: list[OSError] = []
    for family, _, _, _, address in found:
        try:
            bound.append(
                _bound(family, address, port=bound[0].getsockname()[1] if bound else port, alone=len(found) == 1)
            )
        except OSError as failure:
            failures.append(failure)
    # A name can stand for addresses of which the machine has only some.
    taken = any(failure.errno == errno.EADDRINUSE for failure in failures)
    if bound and not taken:
        return bound
    for each in bound:
        each.close()
    if taken:
        raise AddressError(
            f"{format_address(host, port)} is in use; stop the program that listens there, or choose another {option}"
        )
    reason = os.strerror(failures[0].errno or errno.EADDRNOTAVAIL)
    raise AddressError(f"cannot listen on {format_address(host, port)}: {reason}; choose another --host or {option}")


def _bound(family: int, address: tuple[Any, ...], *, port: int, alone: bool) -> socket.socket:
    """`alone` says that an address of IPv6 has to answer callers of IPv4, too, as `::` does."""
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not alone)
        made.bind((address[0], port, *address[2:]))
    except OSError:
        made.close()
        raise
    return made
