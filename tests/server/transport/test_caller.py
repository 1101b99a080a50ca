"""Who changes what serves: the address of a call, without what differs from call to call."""

from __future__ import annotations

from typing import Any

import pytest

from audotics.server.repository.history import Cause, Origin
from audotics.server.transport.caller import operator_of


class Context:
    """A call that comes from `peer`, in the words of gRPC."""

    def __init__(self, peer: str) -> None:
        self._peer = peer

    def peer(self) -> str:
        return self._peer


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.1:50512", "10.0.0.1"),
        ("ipv6:%5B::1%5D:50512", "[::1]"),
        ("ipv6:%5Bfe80::1%25eth0%5D:50512", "[fe80::1%eth0]"),
        ("unix:", "unix"),
        ("unix:/run/audotics.sock", "unix"),
        ("", ""),
    ],
)
def test_an_operator_is_where_the_call_comes_from(peer: str, address: str) -> None:
    context: Any = Context(peer)
    assert operator_of(context) == Cause(Origin.OPERATOR, caller=address)
