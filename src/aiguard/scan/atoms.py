"""Letters that every match of a pattern has in it: where none of them is in a text, the pattern need not be looked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aiguard.scan.closure import NotClosed, parse

SHORTEST: Final = 2
"""Characters of an atom at least; single ones stand in most texts."""

_REPEATS: Final = frozenset({"MAX_REPEAT", "MIN_REPEAT"})


def atoms(pattern: str) -> frozenset[str]:
    r"""Strings of small letters, of which every match of ``pattern`` has one in it, in letters of any size; none where that cannot be told.

    >>> sorted(atoms(r"\b(?i:curl|wget)\b.{0,300}? -u (\S{4,64})"))
    ['curl', 'wget']
    """
    try:
        items, _ = parse(pattern)
    except NotClosed:
        return frozenset()
    found = _needed(items)
    return found if found and shortest(found) >= SHORTEST else frozenset()


def _needed(items: Sequence[Any]) -> frozenset[str]:
    """The atoms of a sequence: of what must be there, what is longest and of the fewest alternatives."""
    best: frozenset[str] = frozenset()
    run = ""
    for item in (*items, None):
        char = None if item is None else _letter(item)
        if char is not None:
            run += char
            continue
        if item is not None and str(item[0]) == "AT":
            continue
        within = None if item is None else _literal(item)
        if within is not None:
            run += within
            continue
        best = _better(best, frozenset({run} if run else ()))
        if item is not None:
            best = _better(best, _of(item))
            if run and str(item[0]) == "BRANCH":  # the parser takes out what all alternatives begin with
                best = _better(best, frozenset(run + _leading(branch) for branch in item[1][1]))
        run = ""
    return best


def _leading(items: Sequence[Any]) -> str:
    """The letters that a sequence begins with."""
    run = ""
    for item in items:
        char = _letter(item)
        if char is None:
            break
        run += char
    return run


def _of(item: Any) -> frozenset[str]:
    op, value = str(item[0]), item[1]
    if op == "SUBPATTERN":
        return _needed(value[3])
    if op in _REPEATS:
        return _needed(value[2]) if value[0] else frozenset()
    if op == "BRANCH":
        branches = [_needed(branch) for branch in value[1]]
        return frozenset().union(*branches) if all(branches) else frozenset()
    return frozenset()


def _literal(item: Any) -> str | None:
    """The letters of a group that is nothing else."""
    if str(item[0]) != "SUBPATTERN":
        return None
    chars = [_letter(each) for each in item[1][3]]
    return "".join(char for char in chars if char is not None) if None not in chars else None


def _letter(item: Any) -> str | None:
    """The small letter that an item stands for, in either size; None for any other item."""
    op, value = str(item[0]), item[1]
    if op == "LITERAL":
        return _small(value)
    if op == "IN" and len(value) == 2 and all(str(each[0]) == "LITERAL" for each in value):
        first, second = (_small(each[1]) for each in value)
        return first if first == second else None
    return None


_THREE_FORMS: Final = frozenset("σς")
"""Small letters that are written as one another: which of them stands in a text is not asked."""


def _small(code: int) -> str | None:
    char = chr(code).lower()
    return char if len(char) == 1 and char not in _THREE_FORMS else None


def _better(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    if not one or not other:
        return one or other
    return max(one, other, key=lambda found: (shortest(found), -len(found)))


def shortest(found: frozenset[str]) -> int:
    """Characters of the shortest of some atoms, blanks around it left out."""
    return min(len(atom.strip()) for atom in found)
