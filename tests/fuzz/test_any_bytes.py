"""Whatever arrives, nothing crashes, and what is promised of every text holds of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.seeds import SEEDS
from tests.fuzz.target import look


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(SEEDS), st.binary(max_size=6)), max_size=8).map(b"".join))
def test_of_any_bytes_what_is_promised_of_every_text_holds(data: bytes) -> None:
    look(data)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_of_bytes_without_any_sense_too(data: bytes) -> None:
    look(data)
