"""A server as a process: settings go in, and it serves until a signal asks it to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable
from contextlib import nullcontext
from typing import Final

from audotics.server.app import App, open_app
from audotics.server.runtime.memory import arrange_memory
from audotics.server.settings import Settings
from audotics.server.telemetry.logs import configure_logs
from audotics.server.transport.placement import CallPlacement

_LOG: Final = logging.getLogger(__name__)
_YOUNG_OBJECTS: Final = 20_000
"""New objects between collections of the youngest; the default of 700 is a few lists' worth of them."""

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


async def serve(settings: Settings, *, on_ready: Callable[[App], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends the process at once."""
    configure_logs(log_format=settings.log_format, level=settings.log_level)
    arrange_memory()  # before threads are made
    placement = CallPlacement() if settings.call_placement == "adaptive" else nullcontext()
    async with open_app(settings) as app, placement:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()

        def stop(signal_name: str) -> None:
            for number in _STOP_SIGNALS:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)
            _LOG.info("%s: draining, up to %g s; a second signal stops at once", signal_name, settings.drain_s)
            stopped.set()

        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, stop, number.name)
        # The catalogue stays; without this every full collection would walk through it while requests wait.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_YOUNG_OBJECTS)
        on_ready(app)
        await stopped.wait()
    _LOG.info("stopped")
