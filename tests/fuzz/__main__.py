"""``python -m tests.fuzz [SECONDS]``: run the target on drawn inputs, under atheris where it is installed.

An input that breaks a promise is written to ``fuzz-failure.bin`` in the temporary folder and named.
"""

from __future__ import annotations

import importlib
import importlib.util
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.seeds import SEEDS
from tests.fuzz.target import look


def drawn(draw: random.Random) -> bytes:
    """Seeds side by side, with some bytes changed."""
    data = bytearray(b"".join(draw.choice(SEEDS) for _ in range(draw.randint(0, 10))))
    for _ in range(draw.randint(0, 3)):
        at = draw.randrange(len(data) + 1)
        data[at : at + draw.randint(0, 2)] = draw.randbytes(draw.randint(0, 2))
    return bytes(data)


def say(what: str) -> None:
    """A line on standard output."""
    sys.stdout.write(what + "\n")


def main(seconds: float) -> int:
    """The number of broken promises, at most one."""
    if importlib.util.find_spec("atheris"):
        atheris = importlib.import_module("atheris")
        atheris.Setup([sys.argv[0], f"-max_total_time={int(seconds)}"], look)
        atheris.Fuzz()
        return 0
    seed = random.SystemRandom().randrange(1 << 32)
    draw, ends, count = random.Random(seed), time.monotonic() + seconds, 0
    say(f"atheris is not installed; drawing from seed {seed}")
    while time.monotonic() < ends:
        data = drawn(draw)
        try:
            look(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
            path = Path(tempfile.gettempdir()) / "fuzz-failure.bin"
            path.write_bytes(data)
            say(f"{type(error).__name__} after {count} inputs: {path}")
            return 1
        count += 1
    say(f"{count} inputs, nothing broken")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0))
