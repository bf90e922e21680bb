"""What scrubbing a streamed answer costs, how much it holds back, and what gets past it and past simpler ways.

Time and hold-back are taken on ordinary English in chunks of four characters, as models stream it. Escapes are
characters of planted values (a card number, an e-mail address, a JWT of 4,000 characters, a private key) that come out
in chunks of 1 to 20 characters; each way of guarding is given the same chunks and the same detector.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from aiguard.scrubbing import StreamScrubber, scrub

SENTENCES = (
    "Thank you for writing to us about the kettle that you bought in March.",
    "I am sorry to hear that the parcel did not arrive although the carrier says that it was delivered.",
    "We have asked the depot to look for it, and they usually answer within two working days.",
    "If it does not turn up, we will send a new one at no cost, or return what you paid, whichever you prefer.",
    "Please keep the receipt; the guarantee runs for two years from the day of purchase.",
    "Some customers found that the lid closes better when the seal is turned over once.",
    "Our colleagues in the workshop tested this on three machines, and it worked on every one of them.",
    "Let me know whether that helps, or whether you would rather talk to somebody in person.",
)
CHUNK = 4
ROUNDS = 20
WINDOW = 256
EVERY = 100


class Guard(Protocol):
    """Anything that text is streamed through."""

    def feed(self, chunk: str) -> str:
        """What comes out at once."""
        ...

    def finish(self) -> str:
        """The rest."""
        ...


class NoGuard:
    """Everything comes out as it goes in."""

    def feed(self, chunk: str) -> str:
        """The chunk."""
        return chunk

    def finish(self) -> str:
        """Nothing."""
        return ""


class WholeAnswer:
    """Nothing comes out before the end."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, chunk: str) -> str:
        """Nothing."""
        self._held += chunk
        return ""

    def finish(self) -> str:
        """All of it, scrubbed."""
        return scrub(self._held)


class FixedWindow(WholeAnswer):
    """The last characters are held back and scrubbed again with every chunk; what no longer fits is let go."""

    def feed(self, chunk: str) -> str:
        """What no longer fits the window."""
        text = scrub(self._held + chunk)
        out, self._held = text[:-WINDOW], text[-WINDOW:]
        return out


class EveryHundredth(WholeAnswer):
    """Chunks are let go as they come; at every hundredth the text so far is looked at, and the stream ends at a finding."""

    def __init__(self) -> None:
        super().__init__()
        self._chunks = 0
        self._stopped = False

    def feed(self, chunk: str) -> str:
        """The chunk, unless the stream was stopped."""
        if self._stopped:
            return ""
        self._held += chunk
        self._chunks += 1
        if self._chunks % EVERY == 0:
            self._stopped = scrub(self._held) != self._held
        return "" if self._stopped else chunk

    def finish(self) -> str:
        """Nothing."""
        return ""


GUARDS: dict[str, Callable[[], Guard]] = {
    "aiguard": StreamScrubber,
    "no_guard": NoGuard,
    "whole_answer": WholeAnswer,
    "window_256": FixedWindow,
    "every_100th": EveryHundredth,
}


def _english(generator: random.Random) -> str:
    return " ".join(generator.sample(SENTENCES, len(SENTENCES)) * 3)


def _chunks(text: str, longest: int, generator: random.Random | None = None) -> Iterator[str]:
    at = 0
    while at < len(text):
        size = longest if generator is None else generator.randint(1, longest)
        yield text[at : at + size]
        at += size


def _planted(generator: random.Random) -> list[str]:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

    def drawn(size: int) -> str:
        return "".join(generator.choices(letters, k=size))

    lines = "\n".join(drawn(64) for _ in range(24))
    return [
        "4111 1111 1111 1111",
        "jane.doe@example.org",
        f"eyJhbGciOiJSUzI1NiJ9.{drawn(3600)}.{drawn(342)}",
        f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----",
    ]


def _escaped(make: Callable[[], Guard]) -> int:
    """Characters of planted values that came out, counted in runs of eight or more."""
    generator = random.Random(7)
    total = 0
    for value in _planted(generator):
        text = f"{_english(generator)} Here it is: {value} and so on. {_english(generator)}"
        guard = make()
        out = "".join([*(guard.feed(chunk) for chunk in _chunks(text, 20, generator)), guard.finish()])
        shown: set[int] = set()
        for at in range(len(value) - 7):
            if value[at : at + 8] in out:
                shown.update(range(at, at + 8))
        total += len(shown)
    return total


def _first(make: Callable[[], Guard]) -> int:
    """Characters fed before the first came out."""
    guard, fed = make(), 0
    for chunk in _chunks(_english(random.Random(1)), CHUNK):
        fed += len(chunk)
        if guard.feed(chunk):
            return fed
    return fed


def _running(make: Callable[[], Guard]) -> tuple[float, float, float, float]:
    """Median and mean microseconds a chunk, the median number of characters held after one, and how often no more than the word."""
    times: list[float] = []
    held: list[int] = []
    within: list[bool] = []
    for number in range(ROUNDS + 2):
        guard, ahead, word = make(), 0, 0
        for chunk in _chunks(_english(random.Random(number)), CHUNK):
            started = time.perf_counter()
            out = guard.feed(chunk)
            taken = time.perf_counter() - started
            ahead += len(chunk) - len(out)
            word = len(chunk) - chunk.rfind(" ") - 1 if " " in chunk else word + len(chunk)
            if number >= 2:
                times.append(taken * 1e6)
                held.append(ahead)
                within.append(ahead <= word)
    return statistics.median(times), statistics.fmean(times), statistics.median(held), statistics.fmean(within)


def run() -> dict[str, float | int | str]:
    """Figures in microseconds and characters."""
    figures: dict[str, float | int | str] = {"stream_chunk_characters": CHUNK}
    for name, make in GUARDS.items():
        if name in {"aiguard", "no_guard", "window_256"}:
            median, mean, held, within = _running(make)
            figures[f"stream_{name}_us_per_chunk_p50"] = round(median, 1)
            figures[f"stream_{name}_us_per_chunk_mean"] = round(mean, 1)
            figures[f"stream_{name}_held_p50"] = held
            figures[f"stream_{name}_held_within_word_percent"] = round(100 * within)
        figures[f"stream_{name}_first_after"] = _first(make)
        figures[f"stream_{name}_escaped"] = _escaped(make)
    return figures
