from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from aiguard.scan import program


@pytest.mark.parametrize("pattern", [rb"\d{3}-\d{2}", rb"key=(\d+)", "é|ß".encode(), rb"\bab\b", rb"(?i)A(b)?"])
@given(
    text=st.lists(st.sampled_from(["key=", "123-45", "é", "ß", "ab", "a", " "]), max_size=8).map("".join),
    at=st.integers(0, 9),
    size=st.integers(0, 9),
)
def test_the_quick_search_finds_what_the_public_one_finds(pattern: bytes, text: str, at: int, size: int) -> None:
    compiled, data = re2.compile(pattern), text.encode()
    quick, public = program.searcher(compiled), program._public(compiled)
    at = min(at, len(data))
    for end in (len(data), min(at + size, len(data))):
        assert list(quick(data, at, end)) == list(public(data, at, end))
