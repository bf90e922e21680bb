"""What stands within a token of ours is no value, and telling that takes time that grows with the answer's length."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from aiguard.redact import TOKEN_LITERAL
from aiguard.restoring import beside
from aiguard.types import Finding


def spot(start: int, length: int, type: str = "EMAIL_ADDRESS") -> Finding:
    return Finding(type=type, start=start, end=start + length, score=1.0, recognizer="test")


spots = st.lists(st.builds(spot, st.integers(0, 60), st.integers(1, 12)), max_size=12)


@given(found=spots, gaps=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 12)), max_size=6))
def test_a_value_counts_unless_it_lies_within_one_token(found: list[Finding], gaps: list[tuple[int, int]]) -> None:
    tokens, at = [], 0
    for gap, length in gaps:
        tokens.append(spot(at + gap, length, TOKEN_LITERAL))
        at += gap + length
    within = [f for f in found if any(t.start <= f.start and f.end <= t.end for t in tokens)]
    assert beside(found, tokens) == [f for f in found if f not in within]


def test_many_values_among_many_tokens_take_linear_time() -> None:
    def seconds(count: int) -> float:
        tokens = [spot(30 * at, 10, TOKEN_LITERAL) for at in range(count)]
        found = [spot(30 * at + 12, 10) for at in range(count)]
        started = time.process_time()
        assert beside(found, tokens) == found
        return time.process_time() - started

    seconds(100)
    assert min(seconds(20_000) for _ in range(2)) < 20 * max(min(seconds(2_000) for _ in range(3)), 0.001)
