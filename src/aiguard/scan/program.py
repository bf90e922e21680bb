"""One RE2 program, searched without the wrapper's match objects, which cost more than most searches do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import re2

Search = Callable[[bytes, int], Sequence[tuple[int, int]]]
"""``(data, position)``: spans in bytes of the first match from there and of its groups, all ``(-1, -1)`` where there is none."""

_NOTHING: Final = (-1, -1)


def searcher(program: re2._Regexp) -> Search:
    """A quick search for ``program``, with the results of its own ``search``."""
    try:
        match, anywhere = program._regexp.Match, re2._re2.RE2.Anchor.UNANCHORED  # noqa: SLF001 - the public way below is the same, slower
    except AttributeError:
        return _public(program)

    def search(data: bytes, position: int) -> Sequence[tuple[int, int]]:
        spans: Sequence[tuple[int, int]] = match(anywhere, data, position, len(data))
        return spans

    return search


def _public(program: re2._Regexp) -> Search:
    groups = range(program.groups + 1)

    def search(data: bytes, position: int) -> Sequence[tuple[int, int]]:
        match = program.search(data, position)
        return [_NOTHING if match is None else match.span(group) for group in groups]

    return search
