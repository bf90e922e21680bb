"""Detection beside its peers: each in its own process and environment, the same texts, their turns interleaved.

Rates are by processor time of the thread that asks, and the best of the rounds, as other programs on the machine only ever make a
round slower. Every detector runs as it
comes (aiguard with its whole catalogue), F1 is over the types that both have. A peer that cannot be had here is named with the
reason, and its figures are missing. ``AIGUARD_BENCH_LABELLED`` may name other labelled files (separated by ``:``) for F1.
"""

from __future__ import annotations

import base64
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import re2

from aiguard.detect import default_detector
from aiguard.evals import Row, Scores, Tally, read_rows, score_row
from aiguard.scan import Engine
from aiguard.scan.words import trigger
from aiguard.types import Finding
from benchmarks.detect_texts import SIZE, TYPES, hostile, prompts
from benchmarks.peers.environments import NEEDS, Peer, PeerMissing
from benchmarks.stream import SENTENCES

PROMPTS: Final = 40
ROUNDS: Final = 5
SECONDS: Final = 0.3
"""At least, of one turn."""

STARTS: Final = 3
DENSITY: Final = {"": 14, "_dense": 2, "_clean": 0}
"""Sentences of a prompt for one that holds a value, by kind of text: about two values in 2 KB, about eleven, none."""

DATA: Final = Path(__file__).parent / "data"
SHARED: Final = {
    "presidio_patterns": TYPES,
    "presidio_spacy": TYPES,
    "datafog": tuple(type for type in TYPES if type != "IBAN_CODE"),
    "scrubadub": ("EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "US_SSN"),
    "detect_secrets": ("SECRET",),
}
NAMES: Final = ("aiguard", *NEEDS)
SIZES: Final = (1 << 10, 10 << 10, 100 << 10, 1 << 20, 10 << 20)

Figures = dict[str, float | int | str]


def run() -> Figures:
    """Figures; the table is :func:`show`'s."""
    figures: Figures = {}
    peers: dict[str, Peer] = {}
    with ExitStack() as opened:
        for name in NAMES:
            try:
                peers[name] = opened.enter_context(Peer(name))
            except PeerMissing as why:
                figures[f"missing_{name}"] = str(why)
                print(f"  {name}: {why}", file=sys.stderr)
        _rates(peers, figures)
        _quality(peers, figures)
        for name, peer in peers.items():
            figures[f"rss_mb_{name}"] = round(peer.ask("memory")["rss_mb"], 1)
            figures[f"version_{name}"] = peer.version
    for name, peer in peers.items():
        starts = [peer.ready_ms]
        for _ in range(STARTS - 1):
            with Peer(name) as again:
                starts.append(again.ready_ms)
        figures[f"cold_start_ms_{name}"] = round(min(starts), 1)
    figures |= {key: figures[f"{key}_aiguard"] for key in ("chars_per_s", "cold_start_ms", "rss_mb")}
    _raw(figures)
    _growth(figures)
    return figures


def _rates(peers: dict[str, Peer], figures: Figures) -> None:
    """Characters a second on prompts, and on text with a value in every other sentence."""
    for key, every in DENSITY.items():
        texts = [row.text for row in prompts(PROMPTS, every=every, seed=11)]
        for peer in peers.values():
            peer.ask("texts", texts=texts)
            peer.ask("pass", seconds=0)  # what is compiled or loaded at the first need is there afterwards
        best: dict[str, float] = {}
        for _ in range(ROUNDS if not key else 2):
            for name, peer in peers.items():
                took = peer.ask("pass", seconds=SECONDS)
                rate = SIZE * PROMPTS * took["passes"] / took["seconds"]
                best[name] = max(rate, best.get(name, 0.0))
        for name, rate in best.items():
            figures[f"chars_per_s{key}_{name}"] = round(rate)
            if not key:
                figures[f"ms_per_2kb_{name}"] = round(SIZE / rate * 1000, 4)
            if name != "aiguard":
                figures[f"ratio{key}_{name}"] = round(best["aiguard"] / rate, 1)


def _quality(peers: dict[str, Peer], figures: Figures) -> None:
    """F1 over the types that a peer has, of the peer and of aiguard, on the prompts and on labelled rows."""
    named = os.environ.get("AIGUARD_BENCH_LABELLED", "")
    files = [Path(each) for each in named.split(":") if each] or sorted(DATA.glob("*.jsonl.gz"))
    sets = {
        "prompts": prompts(PROMPTS, every=DENSITY["_dense"], seed=12),
        "labelled": [row for file in files for row in read_rows(file)],
    }
    for key, rows in sets.items():
        found: dict[str, list[Any]] = {}
        for name, peer in peers.items():
            peer.ask("texts", texts=[row.text for row in rows])
            found[name] = peer.ask("find")["found"]
        for name, types in SHARED.items():
            if name not in found or not any(label.type in types for row in rows for label in row.labels):
                continue
            for who in (name, "aiguard"):
                tally = _tally(rows, found[who], types)
                mark = name if who == name else f"aiguard_on_types_of_{name}"
                figures[f"f1_{key}_{mark}"] = round(tally.micro.f1, 4)
                if key == "labelled":
                    for type, counts in sorted(tally.types.items()):
                        if counts.support:
                            figures[f"f1_{key}_{mark}_{type.lower()}"] = round(counts.f1, 4)


def _tally(rows: Sequence[Row], found: Sequence[Sequence[tuple[int, int, str]]], types: Sequence[str]) -> Tally:
    secrets = "SECRET" in types  # whose rows are scoped by the names of rules
    total, rules = Tally(), Scores(counted=frozenset(types), rules=secrets)
    for row, spans in zip(rows, found, strict=True):
        if any(label.type == "SECRET" for label in row.labels) != secrets and row.labels:
            continue
        if not secrets and row.scope is not None and row.scope.isdisjoint(types):
            continue
        findings = [
            Finding(type=type, start=start, end=end, score=1.0, recognizer="peer")
            for start, end, type in spans
            if start < end
        ]
        score_row(row, findings, rules, total)
    return total


def _raw(figures: Figures) -> None:
    """The share of the rate of one RE2 set over the same bytes, on text without findings and on dense text."""
    engine = cast("Engine", default_detector())
    for key, every in (("", DENSITY["_clean"]), ("_dense", DENSITY["_dense"])):
        texts = [row.text for row in prompts(PROMPTS, every=every, seed=13)]
        data = [text.encode() for text in texts]
        ways: tuple[Callable[[], object], ...] = (
            partial(_each, _raw_set(engine).Match, data),
            partial(_each, engine.detect, texts),
        )
        best = [float("inf")] * 2
        for _ in range(30):
            for index, way in enumerate(ways):
                started = time.thread_time()
                way()
                best[index] = min(best[index], time.thread_time() - started)
        figures[f"ratio_raw_scan{key}"] = round(best[0] / best[1], 3)
        figures[f"raw_scan_chars_per_s{key}"] = round(SIZE * PROMPTS / best[0])


def _raw_set(engine: Engine) -> re2.Set:
    """One set over the catalogue's exact patterns and the words for the others: what only says which of them occur.

    What can only be a whole text is not in it: no text of a benchmark is short enough for the engine to ask.
    """
    options = re2.Options()
    options.max_mem = 96 << 20
    made = re2.Set.SearchSet(options)
    looked_for = {
        each.pattern if each.base_score >= engine.threshold or not each.context else trigger(each.context)
        for each in engine.recognizers
        if each.base_score >= engine.threshold or each.context
    }
    for pattern in sorted(looked_for):
        made.Add(pattern.encode())
    made.Compile()
    return made


def _each(look: Callable[[Any], object], at: Sequence[object]) -> None:
    for one in at:
        look(one)


def _nested(size: int) -> str:
    """Base64 in base64 in base64 of an address, as often as it takes."""
    text = b"jane.doe@example.org "
    text *= size // len(text) // 2 + 1
    for _ in range(3):
        text = base64.b64encode(text)
    return text[:size].decode()


HOSTILE: Final[dict[str, tuple[Callable[[int], str], int]]] = {
    "prose": (lambda size: hostile(" ".join(SENTENCES) + " ", size), SIZES[-1]),
    "digits": (lambda size: hostile("4111111111111111", size), SIZES[-1]),
    "at_signs": (lambda size: hostile("a@", size), SIZES[-1]),
    "nested_base64": (_nested, SIZES[-1]),
    "addresses": (lambda size: hostile("jane@example.org ", size), SIZES[-1]),
    "percent": (lambda size: hostile("%2541", size), SIZES[-1]),
    "invisible": (lambda size: hostile("4\u200b1", size), SIZES[-1]),
    "assignments": (lambda size: hostile("password=", size), SIZES[-2]),
    "spaced_digits": (lambda size: hostile("1 ", size), SIZES[-2]),
    "ibans": (lambda size: hostile("DE89 ", size), SIZES[-2]),
}
"""Texts that are dear to look at, and up to which size they are measured."""


def _growth(figures: Figures) -> None:
    """Nanoseconds of processor time a character by length, and the longest beside those of a hundredth of its length."""
    detect = default_detector().detect
    worst = 0.0
    for name, (make, longest) in HOSTILE.items():
        detect(make(100 << 10))  # the automaton's states are made once
        costs: list[float] = []
        for size in (size for size in SIZES if size <= longest):
            text, best, spent = make(size), float("inf"), 0.0
            while spent < 0.2 or best == float("inf"):
                started = time.process_time()
                detect(text)
                took = time.process_time() - started
                best, spent = min(best, took), spent + took
            costs.append(best / size * 1e9)
            figures[f"growth_{name}_ns_per_char_{_size(size)}"] = round(costs[-1], 2)
        figures[f"growth_{name}"] = round(costs[-1] / costs[-3], 3)
        worst = max(worst, costs[-1] / costs[-3])
    figures["growth_worst"] = round(worst, 3)


def _size(size: int) -> str:
    return f"{size >> 20}mb" if size >= 1 << 20 else f"{size >> 10}kb"


_COLUMNS: Final = (
    ("chars/s", "chars_per_s_{}"),
    ("ms/2 KB", "ms_per_2kb_{}"),
    ("slower by", "ratio_{}"),
    ("dense, by", "ratio_dense_{}"),
    ("cold ms", "cold_start_ms_{}"),
    ("RSS MB", "rss_mb_{}"),
    ("F1", "f1_labelled_{}"),
    ("aiguard's", "f1_labelled_aiguard_on_types_of_{}"),
)


def show(figures: Figures) -> str:
    """The detectors side by side; F1 over the types that each shares with aiguard, and aiguard's over the same."""
    lines = ["  " + "detector".ljust(20) + "".join(head.rjust(12) for head, _ in _COLUMNS)]
    for name in NAMES:
        if f"missing_{name}" in figures:
            lines.append(f"  {name.ljust(20)}  {figures[f'missing_{name}']}")
            continue
        cells = (str(figures.get(key.format(name), "")).rjust(12) for _, key in _COLUMNS)
        lines.append("  " + name.ljust(20) + "".join(cells))
    return "\n".join(lines)
