"""Blocked patterns in a text that arrives: nothing passes that could be part of a match, at a cost that grows with the text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiguard.output import stream
from aiguard.output.stream import PatternGate
from aiguard.scan.patterns import compile_pattern

PATTERNS = ("secret[^.]*plan", "blue ?bird", "(?s)begin.*end")
texts = st.lists(
    st.sampled_from(["secret", "plan", ".", "blue", " ", "bird", "begin", "end", "x", "\n", "\u00e9"]), max_size=40
).map("".join)


@pytest.mark.parametrize("small", [False, True])
@given(text=texts, size=st.integers(1, 9))
def test_a_text_passes_whole_or_as_a_beginning_without_a_match(small: bool, text: str, size: int) -> None:  # noqa: FBT001
    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(stream, "EAGER", 4)
        gate = PatternGate(PATTERNS)
        out = "".join(gate.feed(text[at : at + size]) for at in range(0, len(text), size)) + gate.feed("", last=True)
    broken = [number for number, pattern in enumerate(PATTERNS) if compile_pattern(pattern).found(text)]
    assert (gate.broken is None) == (not broken)
    if not broken:
        assert out == text
    else:
        assert gate.broken in broken
        assert text.startswith(out)
        assert not any(compile_pattern(pattern).found(out) for pattern in PATTERNS)


def test_a_pattern_without_an_end_costs_linear_time() -> None:
    def seconds(pieces: int) -> float:
        gate = PatternGate(["secret[^.]*plan"])
        started = time.process_time()
        held = "".join(gate.feed(piece) for piece in ["a secret ", *["no more than a few words "] * pieces])
        assert (held, gate.feed(".", last=True)[-7:]) == ("a ", "words .")
        return time.process_time() - started

    seconds(10)
    assert min(seconds(4_000) for _ in range(2)) < 25 * max(min(seconds(400) for _ in range(3)), 0.002)


def test_a_pattern_that_waits_for_the_end_costs_linear_time() -> None:
    def seconds(pieces: int) -> float:
        gate = PatternGate([r"\Qsecret plan\E"])
        assert gate.buffered
        started = time.process_time()
        assert not any(gate.feed("no more than a few words ") for _ in range(pieces))
        assert len(gate.feed("", last=True)) == 25 * pieces
        return time.process_time() - started

    seconds(10)
    assert min(seconds(40_000) for _ in range(2)) < 25 * max(min(seconds(4_000) for _ in range(3)), 0.002)


def test_what_is_held_goes_out_soon_after_it_cannot_be_part_of_a_match_any_more() -> None:
    gate = PatternGate(["secret[^.]*plan"])
    said = "a secret " + "word " * 10_000
    assert gate.feed(said) == "a "
    more = 0
    while not (out := gate.feed("one. ")):
        more += 5
    assert more < len(said) / 4
    assert len(out) > len(said)
