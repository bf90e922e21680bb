"""A thousand guarded event streams at once in one uvicorn process: none mixed up, each what the whole text becomes, memory flat.

All streams of a round are open, and half of each was sent, before any goes on. Each text is its stream's own. Rounds are repeated
in the same process, so that what is not given back shows in its memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from aiguard.detect import default_detector
from aiguard.detect.parts import detect_text
from aiguard.redact import redact
from aiguard.types import Operator
from benchmarks import sse_text

STREAMS = 1000
ROUNDS = 4


async def _one(port: int, number: int, count: int) -> tuple[str, bool]:
    """What one client put together, and whether the stream came to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /live?{number}-{count} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
    data = await reader.read(-1)
    writer.close()
    head, _, rest = data.partition(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise RuntimeError(f"the server answered {head[:60]!r}")
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size or b"0", 16)
        body, rest = body + rest[:length], rest[length + 2 :]
    events = [each.removeprefix("data: ") for each in body.decode().split("\n\n") if each]
    said = [json.loads(each) for each in events if each != "[DONE]"]
    if any(each["id"] != f"c-{number}" for each in said):
        raise RuntimeError("an event of another stream")
    return "".join(each["choices"][0]["delta"]["content"] for each in said), events[-1:] == ["[DONE]"]


def wanted(number: int) -> str:
    """What the whole text becomes."""
    text = sse_text.text_of(number)
    return redact(text, detect_text(default_detector(), text), {"*": Operator(name="replace")}).text


async def one_round(port: int, first: int, count: int) -> list[tuple[str, bool]]:
    """What each of ``count`` clients at once put together."""
    return await asyncio.gather(*(_one(port, first + number, count) for number in range(count)))


@contextmanager
def serve() -> Iterator[tuple[int, psutil.Process]]:
    """The port and the process of a running server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "aiguard.toml").write_text("", encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIGUARD_")}
        environment |= {"AIGUARD_ENVIRONMENT": "development", "PYTHONPATH": f"{root}:{root / 'src'}"}
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "benchmarks.sse_app:asgi",
            "--log-level",
            "error",
            "--port",
            str(port),
        ]
        process = subprocess.Popen([*command, "--backlog", "4096"], cwd=folder, env=environment)  # noqa: S603 - uvicorn
        try:
            for _ in range(600):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                if process.poll() is not None:
                    raise RuntimeError("uvicorn did not start")
                time.sleep(0.1)
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(30)


def measure(streams: int, rounds: int) -> dict[str, float | int | str]:
    """Run the rounds. Raises :class:`RuntimeError` where a stream is not what it must be."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    memory: list[float] = []
    seconds: list[float] = []
    wrong = 0
    with serve() as (port, process):
        asyncio.run(one_round(port, 0, 1))
        before = process.memory_info().rss / (1 << 20)
        for number in range(rounds):
            first = 1 + number * streams
            started = time.perf_counter()
            answers = asyncio.run(one_round(port, first, streams))
            seconds.append(time.perf_counter() - started)
            wrong += sum(answer != (wanted(first + at), True) for at, answer in enumerate(answers))
            memory.append(process.memory_info().rss / (1 << 20))
    if wrong:
        raise RuntimeError(f"{wrong} of {streams * rounds} streams were not what their text becomes")
    return {
        "sse_streams_at_once": streams,
        "sse_rounds": rounds,
        "sse_streams_identical_to_batch": streams * rounds,
        "sse_round_s_min": round(min(seconds), 2),
        "sse_events_per_s": round(streams * sse_text.PIECES / min(seconds)),
        "sse_server_mib_before": round(before, 1),
        "sse_server_mib_after_first_round": round(memory[0], 1),
        "sse_server_mib_after_last_round": round(memory[-1], 1),
        "sse_server_kib_per_stream": round((memory[0] - before) * 1024 / streams, 1),
    }


def run() -> dict[str, float | int | str]:
    """Figures in seconds and MiB."""
    return measure(STREAMS, ROUNDS)
