"""One RE2 program, searched without the wrapper's match objects, which cost more than most searches do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import re2

Search = Callable[[bytes, int, int], Sequence[tuple[int, int]]]
"""``(data, position, end)``: spans in bytes of the first match between these bytes and of its groups, all ``(-1, -1)`` where there is none.

What stands around them is seen: a word that goes on beyond ``end`` does not end there."""

_NOTHING: Final = (-1, -1)


def searcher(program: re2._Regexp) -> Search:
    """A quick search for ``program``, with the results of its own ``search``."""
    try:
        return partial(program._regexp.Match, re2._re2.RE2.Anchor.UNANCHORED)  # noqa: SLF001 - the public way below is the same, slower
    except AttributeError:
        return _public(program)


def _public(program: re2._Regexp) -> Search:
    groups = range(program.groups + 1)

    def search(data: bytes, position: int, end: int) -> Sequence[tuple[int, int]]:
        match = program.search(data, position, end)
        return [_NOTHING if match is None else match.span(group) for group in groups]

    return search
