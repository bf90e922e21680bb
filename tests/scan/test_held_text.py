"""Text that waits is the text that was added, without what was taken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aiguard.scan.held import HeldText


@given(st.lists(st.one_of(st.text(max_size=5), st.integers(0, 8)), max_size=20))
def test_what_is_taken_and_what_is_left_is_what_was_added(steps: list[str | int]) -> None:
    held, left = HeldText(), ""
    for step in steps:
        if isinstance(step, str):
            held.add(step)
            left += step
        else:
            assert held.take(step) == left[:step]
            left = left[step:]
        copied = held.copy()
        copied.add("x")
        assert (str(held), len(held), str(copied)) == (left, len(left), left + "x")
        assert "characters" in repr(held)
