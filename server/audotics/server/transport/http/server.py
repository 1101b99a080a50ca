"""The HTTP server: an ASGI application goes in, a listening port on the server's own event loop comes out.

It is uvicorn with h11, both plain Python: they start in 60 ms and 4 MB, and can take routes, documents and websockets
beside these. Prometheus's own server would need a thread and knows one page.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterator
from socket import socket
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from audotics.server.transport.address import listening_sockets

PORT_OPTION = "--http-port"


class HttpServer:
    """Serves while its context is open. `port` is the bound one."""

    def __init__(self, application: ASGIApp, *, host: str, port: int, drain_s: float) -> None:
        """Answers under way may take `drain_s` when the server stops."""
        self._application = application
        self._host = host
        self._drain_s = drain_s
        self._running: tuple[_Server, asyncio.Task[None]] | None = None
        self.port = port

    async def __aenter__(self) -> Self:
        """Bind and start. Raises AddressError."""
        sockets = listening_sockets(self._host, self.port, option=PORT_OPTION)
        self.port = sockets[0].getsockname()[1]
        server = _Server(
            uvicorn.Config(
                self._application,
                http="h11",
                ws="none",
                lifespan="off",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                log_config=None,
                log_level="warning",
                timeout_graceful_shutdown=math.ceil(self._drain_s),
            )
        )
        task = asyncio.create_task(server.serve(sockets), name="http")
        self._running = server, task
        listening = asyncio.ensure_future(server.listening.wait())
        await asyncio.wait((task, listening), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            listening.cancel()
            task.result()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no new connections, and let answers under way finish."""
        if self._running is not None:
            server, task = self._running
            server.should_exit = True
            await task


class _Server(uvicorn.Server):
    """Leaves signals to the process, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()
