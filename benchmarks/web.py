"""What the middleware costs: the same application bare and guarded, under gunicorn (WSGI) and uvicorn (ASGI), over sockets.

Both servers run at the same time, each with one process, and are asked in turn, request by request, so that a drifting machine
disturbs both alike. This process is the load generator. Latencies are of one connection that is kept; requests per second are of
four. The guarded route echoes a JSON body of 2 KB, both ways looked at: once without anything to find, once with an address and a
card: what was found is committed to the audit log (SQLite, forced to disk) before the application runs, and comes back replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

REQUESTS = 600
WARM_UP = 60
CONNECTIONS = 4
SECONDS = 1.5
ROUNDS = 3

TEXT = (
    "Hello, my parcel with the blue kettle has not arrived although the carrier says that it was delivered on Monday. "
    "I was at home all day and nobody rang. Could you please look into it and tell me what happens next? "
)
LINES = [{"author": f"customer {number}", "text": f"{number} days ago. {TEXT}"} for number in range(8)]
CLEAN = json.dumps({"ticket": 7, "lines": LINES, "tags": ["kettle", "late"]})
FOUND = CLEAN.replace("nobody rang", "nobody rang me at jane.doe@example.org or took 4111 1111 1111 1111", 1)

SERVERS = {
    "uvicorn": ("uvicorn", "benchmarks.web_app:asgi", "--log-level", "error", "--http", "h11", "--port"),
    "gunicorn": (
        *(
            "gunicorn",
            "benchmarks.web_app:wsgi",
            "--log-level",
            "critical",
            "--no-control-socket",
            "--keep-alive",
            "60",
        ),
        *("--worker-class", "gthread", "--threads", str(CONNECTIONS), "-b"),
    ),
}
ROUTES = {
    "unguarded": ("GET", "/open", ""),
    "unguarded_ids": ("GET", "/open/{}", ""),
    "guarded_clean": ("POST", "/guarded/echo", CLEAN),
    "guarded_found": ("POST", "/guarded/echo", FOUND),
}


class Connection:
    """One connection that is kept."""

    def __init__(self, port: int) -> None:
        self._wire = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._count = 0

    def ask(self, method: str, path: str, body: str) -> float:
        """One request; seconds that it took."""
        self._count += 1
        about = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        data = f"{method} {path.format(self._count)} HTTP/1.1\r\nHost: bench\r\n{about}\r\n{body}".encode()
        started = time.perf_counter()
        self._wire.sendall(data)
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._more()
        head, _, rest = got.partition(b"\r\n\r\n")
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise RuntimeError(f"the server answered {head.partition(bytes([13]))[0].decode()}")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(rest) < length:
            rest += self._more()
        return time.perf_counter() - started

    def _more(self) -> bytes:
        data = self._wire.recv(1 << 16)
        if not data:
            raise RuntimeError("the server closed the connection")
        return data

    def close(self) -> None:
        """Hang up."""
        self._wire.close()


@contextmanager
def serve(name: str, *, guarded: bool) -> Iterator[int]:
    """The port of a running server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "aiguard.toml").write_text("", encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIGUARD_")}
        environment |= {"AIGUARD_ENVIRONMENT": "development", "PYTHONPATH": f"{root}:{root / 'src'}"}
        environment["BENCH_GUARDED"] = str(int(guarded))
        *command, last = SERVERS[name]
        address = str(port) if last == "--port" else f"127.0.0.1:{port}"
        command = [sys.executable, "-m", *command, last, address]
        process = subprocess.Popen(command, cwd=folder, env=environment)  # noqa: S603 - servers named above
        try:
            for _ in range(300):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                if process.poll() is not None:
                    raise RuntimeError(f"{name} did not start")
                time.sleep(0.1)
            yield port
        finally:
            process.terminate()
            process.wait(20)


def _latencies(ports: Sequence[int], route: tuple[str, str, str]) -> list[list[float]]:
    """Milliseconds of each request, for each server, asked in turn."""
    connections = [Connection(port) for port in ports]
    taken: list[list[float]] = [[] for _ in ports]
    for number in range(WARM_UP + REQUESTS):
        for times, connection in zip(taken, connections, strict=True):
            seconds = connection.ask(*route)
            if number >= WARM_UP:
                times.append(seconds * 1000)
    for connection in connections:
        connection.close()
    return taken


def _rate(port: int, route: tuple[str, str, str]) -> float:
    """Requests per second over several connections."""
    counts = [0] * CONNECTIONS
    ends = time.perf_counter() + SECONDS

    def run(at: int) -> None:
        connection = Connection(port)
        while time.perf_counter() < ends:
            connection.ask(*route)
            counts[at] += 1
        connection.close()

    threads = [threading.Thread(target=run, args=(at,)) for at in range(CONNECTIONS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)


def run() -> dict[str, float | int | str]:
    """Figures in milliseconds, requests per second and percent."""
    figures: dict[str, float | int | str] = {"web_body_bytes": len(CLEAN), "web_connections": CONNECTIONS}
    for server in SERVERS:
        with ExitStack() as stack:
            ports = [stack.enter_context(serve(server, guarded=guarded)) for guarded in (False, True)]
            for name, route in ROUTES.items():
                bare, guarded = _latencies(ports, route)
                key = f"web_{server}_{name}"
                for way, times in (("bare", bare), ("guarded", guarded)):
                    figures[f"{key}_{way}_ms_p50"] = round(statistics.median(times), 3)
                    figures[f"{key}_{way}_ms_p99"] = round(statistics.quantiles(times, n=100)[98], 3)
                added = statistics.median(b - a for a, b in zip(bare, guarded, strict=True))
                figures[f"{key}_added_ms_p50"] = round(added, 3)
                rates = [[_rate(port, route) for port in ports] for _ in range(ROUNDS)]
                figures[f"{key}_bare_per_s"] = round(statistics.median(pair[0] for pair in rates))
                figures[f"{key}_guarded_per_s"] = round(statistics.median(pair[1] for pair in rates))
                ratio = statistics.median(pair[0] / pair[1] for pair in rates)
                figures[f"{key}_cost_percent"] = round((ratio - 1) * 100, 1)
    return figures
