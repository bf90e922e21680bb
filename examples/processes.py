"""Child processes of the demo: started with their output in a file, found by the address they print, stopped on any exit."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

ROOT = Path(__file__).parents[1]
START_SECONDS = 30.0
"""An import of everything takes one to three seconds; a loaded machine several times that."""
STOP_SECONDS = 5.0
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+(?:/v1)?")


class ChildFailed(Exception):
    """A child did not start or ended early. The message names its log file."""


class Children:
    """A context manager that owns child processes. While it is open, SIGTERM ends the program as Ctrl-C does."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._before: object = None

    def __enter__(self) -> Self:
        # Only the main thread may set handlers; elsewhere the caller's own stand.
        with contextlib.suppress(ValueError):
            self._before = signal.signal(signal.SIGTERM, _interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for name in tuple(self._running):
                self.stop(name)
        finally:
            with contextlib.suppress(ValueError):
                signal.signal(signal.SIGTERM, self._before or signal.SIG_DFL)  # type: ignore[arg-type]

    def start(self, name: str, module: str, *arguments: str, env: Mapping[str, str], log: Path) -> str:
        """Run ``python -m module arguments`` and return the address that it prints."""
        command = [sys.executable, "-m", module, *arguments]
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - our own modules
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=clean_environment(env),
            )
        self._running[name] = process
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            found = _ADDRESS.search(log.read_text(encoding="utf-8", errors="replace"))
            if found:
                return found[0]
            if process.poll() is not None:
                break
            time.sleep(0.02)
        raise ChildFailed(f"{name} did not start; its output ends:\n{_tail(log)}")

    def stop(self, name: str) -> None:
        """Ask a child to end; insist after a while."""
        process = self._running.pop(name)
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_SECONDS)


def run_module(module: str, arguments: Sequence[str], env: Mapping[str, str]) -> None:
    """Run ``python -m module arguments`` to its end; :class:`ChildFailed` with its output when it fails."""
    done = subprocess.run(  # noqa: S603 - our own modules
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean_environment(env),
        timeout=START_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise ChildFailed(f"{module} {' '.join(arguments)} failed:\n{(done.stderr or done.stdout)[-2000:]}")


def clean_environment(env: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without anybody's keys and settings, and with ``env``."""
    ours = ("AIGUARD_", "OPENAI_", "ANTHROPIC_", "EXAMPLE_", "FLASK_", "WERKZEUG_")
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(ours) and "proxy" not in name.lower()
    }
    return {**kept, "PYTHONUNBUFFERED": "1", **env}


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
