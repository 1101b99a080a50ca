"""A whole server on a thread of its own, for tests in which it is another machine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audotics.server.app import open_app
from audotics.server.settings import load_settings


@contextmanager
def far_server(repository: Path, state: Path, **settings: Any) -> Iterator[str]:
    """Serve `repository` while the block lasts, at the address that this gives. In the end it drains for a moment."""
    started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        options = {"port": 0, "state_dir": state, "threads": 2, "drain_s": 0.5} | settings
        stop = asyncio.Event()
        async with open_app(load_settings(repository=repository, **options)) as app:
            started.set_result((app.address, asyncio.get_running_loop(), stop))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run, name="far-server")
    thread.start()
    try:
        address, loop, stop = started.result(timeout=60)
        try:
            yield address
        finally:
            loop.call_soon_threadsafe(stop.set)
    finally:
        thread.join()
