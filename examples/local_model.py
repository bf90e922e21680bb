"""The local model server as a child of an example, when there is no key for a real one."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


@contextmanager
def local_model_server(*, pace_ms: int = 0) -> Iterator[None]:
    """Without a key for a real one, run the local model server in its own process and point the client at it.

    ``pace_ms`` is the time between two pieces of a streamed answer, so that a person sees it come.
    """
    if any(
        value and (name == "OPENAI_API_KEY" or name.startswith("AIGUARD_OPENAI_API_KEY"))
        for name, value in os.environ.items()
    ):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="aiguard-model-") as folder:
        record = Path(folder) / "received.jsonl"
        command = [sys.executable, "-m", "examples.model_server", "--port", "0", "--record", str(record)]
        command += ["--pace", str(pace_ms)]
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
