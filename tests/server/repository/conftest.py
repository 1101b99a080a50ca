"""A registry on a repository, with what its tests read off it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from audotics.bundle.store import BundleStore
from audotics.server.repository.registry import Registry


@pytest.fixture
def open_registry() -> Callable[..., AbstractAsyncContextManager[Registry]]:
    """`open_registry(path, **options)`: a registry that has started."""

    @asynccontextmanager
    async def opened(path: Path, **options: Any) -> AsyncIterator[Registry]:
        with ThreadPoolExecutor(1) as executor:
            async with Registry(BundleStore(path), executor=executor, **options) as registry:
                await registry.start()
                yield registry

    return opened


@pytest.fixture
def tamper() -> Callable[[Path], None]:
    """`tamper(file)`: change one bit in the middle of a file."""

    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))

    return change
