"""The watcher: what appears in the repository is followed, told of or looked for."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from audotics.bundle.store import BundleStore
from audotics.server.repository.registry import Registry
from audotics.server.repository.status import VersionState
from audotics.server.repository.watcher import Watcher
from tests.server.repository.serving import all_at, served


class Followed(Registry):
    """Says when it has followed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.followed = asyncio.Semaphore(0)

    async def follow(self) -> None:
        await super().follow()
        self.followed.release()


async def test_the_watcher_follows_until_it_is_left(repository, make_repository):
    with ThreadPoolExecutor(1) as executor:
        async with Followed(BundleStore(repository.path), executor=executor) as registry:
            await registry.start()
            make_repository(repository.path)
            async with Watcher(registry, root=repository.path, interval_s=0.001), asyncio.timeout(20):
                await registry.followed.acquire()
                assert served(registry) == all_at(2)
                await registry.followed.acquire()
            make_repository(repository.path, kinds=("catalog",))
            assert registry.snapshot.catalog.version == 2
            async with Watcher(registry, root=repository.path, interval_s=0):
                pass


async def test_the_watcher_is_told_of_changes_long_before_it_looks(repository, make_repository):
    with ThreadPoolExecutor(1) as executor:
        async with Followed(BundleStore(repository.path), executor=executor) as registry:
            await registry.start()
            async with Watcher(registry, root=repository.path, interval_s=3600), asyncio.timeout(60):
                # What is written before the operating system has been asked to tell goes unnoticed: write until it is.
                while registry.followed.locked():
                    (repository.path / "ncf" / "note").touch()
                    await asyncio.sleep(0.05)
                make_repository(repository.path)
                while served(registry) != all_at(2):
                    await registry.followed.acquire()


async def test_the_watcher_looks_where_there_is_no_folder_yet(tmp_path, make_repository):
    path = tmp_path / "later"
    with ThreadPoolExecutor(1) as executor:
        async with Followed(BundleStore(path), executor=executor) as registry, asyncio.timeout(60):
            await registry.start()
            async with Watcher(registry, root=path, interval_s=0.01):
                await registry.followed.acquire()
                make_repository(path)
                while {model.versions[0].state for model in (await registry.models())} != {VersionState.IN_SERVICE}:
                    await registry.followed.acquire()
                assert served(registry) == all_at(1)
