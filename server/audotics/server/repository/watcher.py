"""The watcher: a registry goes in, and follows the repository on disk for as long as the context is open.

It looks when the operating system tells of a change, and again and again besides, since network mounts tell of nothing.
A look lists the folders of the models and reads their labels; bundles are opened only when something has changed.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from audotics.server.repository.registry import Registry

_LOG: Final = logging.getLogger(__name__)
_SETTLED_MS: Final = 200
"""Changes that come within this time are looked at together."""


class Watcher:
    """Calls `Registry.follow` after changes in `root`, and every `interval_s`.

    Use it as an async context manager, inside the registry's.
    """

    def __init__(self, registry: Registry, *, root: Path, interval_s: float) -> None:
        """An `interval_s` of 0 never looks: versions come by `LoadVersion` alone."""
        self._registry = registry
        self._root = root
        self._interval_s = interval_s
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._interval_s > 0:
            self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self) -> None:
        # Imported here: a server that never looks does without it.
        from watchfiles import awatch

        interval_ms = max(1, round(self._interval_s * 1000))
        while True:
            try:
                async for _ in awatch(
                    self._root,
                    watch_filter=None,
                    debounce=_SETTLED_MS,
                    rust_timeout=interval_ms,
                    yield_on_timeout=True,
                    ignore_permission_denied=True,
                ):
                    await self._follow()
            except (OSError, RuntimeError) as error:  # no such folder yet, no more watches, or watching broke down
                _LOG.debug("the repository is looked at only: %s", error)
            await self._follow()
            await asyncio.sleep(self._interval_s)

    async def _follow(self) -> None:
        try:
            await self._registry.follow()
        except OSError as error:  # a mount that is away for a while
            _LOG.error("the repository cannot be read: %s", error)
        except Exception:
            _LOG.exception("the repository could not be followed")
