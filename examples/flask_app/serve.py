"""Serves an example on the loopback interface until it is told to stop, and cleans up whatever it started."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from types import FrameType

from flask import Flask
from werkzeug.serving import make_server


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
