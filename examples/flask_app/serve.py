"""Serves an example on the loopback interface until it is told to stop, and cleans up whatever it started."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from flask import Flask
from werkzeug.serving import make_server

ROOT = Path(__file__).parents[2]


def serve(create: Callable[[], Flask], port: int, *, ready: Callable[[str], None]) -> None:
    """Build the application, serve it, and call ``ready`` with its address. Ends on SIGTERM and Ctrl-C."""
    logging.basicConfig(
        level=os.environ.get("EXAMPLE_LOG_LEVEL", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    signal.signal(signal.SIGTERM, _stop)
    try:
        app = create()
        server = make_server("127.0.0.1", port, app, threaded=True)
        ready(f"http://127.0.0.1:{server.server_port}")
        server.serve_forever()
    except KeyboardInterrupt:
        pass


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def local_model_server() -> Iterator[None]:
    """Without a key for a real one, run the local model server in its own process and point the client at it."""
    if any(
        value and (name == "OPENAI_API_KEY" or name.startswith("AIGUARD_OPENAI_API_KEY"))
        for name, value in os.environ.items()
    ):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="aiguard-model-") as folder:
        record = Path(folder) / "received.jsonl"
        command = [sys.executable, "-m", "examples.model_server", "--port", "0", "--record", str(record)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)  # noqa: S603 - our own module
        try:
            line = process.stdout.readline() if process.stdout else ""
            if "http://" not in line:
                raise SystemExit("the local model server did not start; its message is above")
            os.environ["OPENAI_BASE_URL"] = line.split()[-1]
            os.environ["OPENAI_API_KEY"] = "local-" + secrets.token_hex(8)
            print(line.strip())
            print(f"everything it receives is written to {record}")
            yield
        finally:
            process.terminate()
            process.wait(10)
