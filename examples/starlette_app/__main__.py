"""``python -m examples.starlette_app``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
from pathlib import Path
from types import FrameType

import uvicorn

from aiguard.errors import ConfigurationError
from examples.local_model import local_model_server
from examples.starlette_app.accounts import passwords
from examples.starlette_app.app import create_app

PACE_MS = 25
"""Between two words of the local model server, about as fast as a real model writes."""


class Server(uvicorn.Server):
    """Says where it is once it can be reached."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the address."""
        await super().startup(sockets)
        if self.started and sockets:
            print(f"chat on http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Serve the chat. An unset environment becomes development here, because a person starts this by hand."""
    parser = argparse.ArgumentParser(description="A streaming chat whose model is guarded by aiguard.")
    parser.add_argument("--port", type=int, default=8000, help="0 picks a free one (default: 8000)")
    options = parser.parse_args()
    logging.basicConfig(
        level=os.environ.get("EXAMPLE_LOG_LEVEL", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    os.environ.setdefault("AIGUARD_ENVIRONMENT", "development")
    os.environ.setdefault("AIGUARD_POLICY", str(Path(__file__).with_name("aiguard.toml")))
    generated = "EXAMPLE_MEMBER_PASSWORD" not in os.environ
    signal.signal(signal.SIGTERM, _stop)  # uvicorn ends first, and hands the signal on
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", options.port))
    except OSError as problem:
        raise SystemExit(
            f"cannot listen on port {options.port}: {problem.strerror}; choose another with --port"
        ) from None
    try:
        with local_model_server(pace_ms=PACE_MS):
            app = create_app()
            if generated:
                print("sign in as " + " or ".join(f"{name} / {word}" for name, word in passwords().items()), flush=True)
            Server(uvicorn.Config(app, log_config=None, server_header=False)).run(sockets=[listener])
    except ConfigurationError as problem:
        raise SystemExit(f"the chat cannot start: {problem}") from None
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()


if __name__ == "__main__":
    main()
