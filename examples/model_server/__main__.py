"""``python -m examples.model_server``: serve until the process is told to stop."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from examples.model_server.server import ModelServer


def main() -> int:
    """Print the base URL on one line, then serve."""
    parser = argparse.ArgumentParser(
        description="A deterministic responder that speaks the OpenAI wire format. Not a model."
    )
    parser.add_argument("--port", type=int, default=8089, help="0 picks a free one (default: 8089)")
    parser.add_argument("--record", type=Path, help="JSON-lines file that gets every received request")
    parser.add_argument("--pace", type=int, default=0, metavar="MS", help="time between two pieces of a stream")
    options = parser.parse_args()
    try:
        server = ModelServer(options.port, options.record, pace=min(max(options.pace, 0), 2_000) / 1_000)
    except OSError as problem:
        print(f"cannot listen on port {options.port}: {problem.strerror}; choose another with --port", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"local model server (a deterministic responder, not a model) on {server.url}", flush=True)
    server.serve_forever()
    server.server_close()
    server.record.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
