"""Environments of the peers, made from pinned files when they are first wanted, under ``.cache/benchmarks``."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, Final, Self

HERE: Final = Path(__file__).parent
CACHE: Final = HERE.parent.parent / ".cache" / "benchmarks"
INSTALL_SECONDS: Final = 1_200
"""After which an installation is given up."""

NEEDS: Final = {
    "presidio_patterns": ("presidio", (3, 12)),
    "presidio_spacy": ("presidio", (3, 12)),
    "datafog": ("datafog", (3, 11)),
    "scrubadub": ("scrubadub", (3, 11)),
    "detect_secrets": ("detect_secrets", (3, 11)),
}
"""The requirement file of each peer and the oldest Python that it runs on."""


class PeerMissing(Exception):
    """The peer cannot be had here; the message says why."""


class Peer:
    """A detector in a process of its own. Close it, or use it as a context."""

    def __init__(self, name: str) -> None:
        self.name = name
        python = sys.executable if name == "aiguard" else str(_environment(*NEEDS[name]))
        # The peer's environment and nothing of ours: its own packages, its own caches.
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "AIGUARD"))}
        self._process = subprocess.Popen(  # noqa: S603 - an interpreter and a file of ours
            [python, str(HERE / "worker.py"), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=keep,
        )
        first = self._read()
        self.ready_ms: float = first["ready_ms"]
        self.version: str = first["version"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        with self._process:  # closes its pipes and waits
            self._pipe(self._process.stdin).close()

    def ask(self, do: str, **what: Any) -> dict[str, Any]:
        """The answer to one request; :class:`PeerMissing` when the process is gone."""
        pipe = self._pipe(self._process.stdin)
        print(json.dumps({"do": do, **what}), file=pipe, flush=True)
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self._pipe(self._process.stdout).readline()
        if not line:
            raise PeerMissing(f"{self.name} ended with {self._process.wait(30)} and gave no answer")
        answer: dict[str, Any] = json.loads(line)
        return answer

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        if pipe is None:
            raise PeerMissing("the process has no pipe")
        return pipe


def _environment(requirements: str, oldest: tuple[int, int]) -> Path:
    """The interpreter of the peer's environment, which is made when it is not there or the pinned file has changed."""
    pinned = HERE / f"{requirements}.txt"
    digest = hashlib.sha256(pinned.read_bytes()).hexdigest()[:12]
    home = CACHE / f"{requirements}-{digest}"
    python, complete = home / "bin" / "python", home / ".complete"
    if complete.exists():
        return python
    shutil.rmtree(home, ignore_errors=True)
    base = _interpreter(oldest)
    print(f"installing {requirements} into {home}", file=sys.stderr)
    steps = (
        [base, "-m", "venv", str(home)],
        [
            str(python),
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
            str(pinned),
        ],
    )
    for step in steps:
        try:
            done = subprocess.run(step, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)  # noqa: S603 - written above
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PeerMissing(f"could not be installed: {type(error).__name__}") from None
        if done.returncode:
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            raise PeerMissing(f"could not be installed: {last[:200]}")
    complete.touch()
    return python


def _interpreter(oldest: tuple[int, int]) -> str:
    """A Python of at least that version: this one, one on the path, or one that pyenv or uv keeps."""
    if sys.version_info[:2] >= oldest:
        return sys._base_executable if hasattr(sys, "_base_executable") else sys.executable  # noqa: SLF001 - venvs nest badly
    names = [f"python3.{minor}" for minor in range(oldest[1], oldest[1] + 3)]
    found = [path for name in names if (path := shutil.which(name))]
    for kept in (Path.home() / ".pyenv" / "versions", Path.home() / ".local" / "share" / "uv" / "python"):
        found += [str(path) for name in names for path in sorted(kept.glob(f"*/bin/{name}"))]
    for candidate in [*found, *filter(None, [os.environ.get("AIGUARD_BENCH_PYTHON")])]:
        probe = [candidate, "-c", f"import sys, venv; sys.exit(sys.version_info[:2] < {oldest})"]
        try:
            if subprocess.run(probe, capture_output=True, timeout=20, check=False).returncode == 0:  # noqa: S603 - an interpreter
                return candidate
        except (OSError, subprocess.TimeoutExpired):
            continue
    wanted = ".".join(map(str, oldest))
    raise PeerMissing(f"needs Python {wanted} or newer; name one with AIGUARD_BENCH_PYTHON=/path/to/python")
