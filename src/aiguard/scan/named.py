"""What stands before the value in a pattern: the name that gives it away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

SAYING: Final = 3
"""Characters that are sure to stand before a value at least, for what stands before it to say enough."""

_REPEATS: Final = frozenset({"MAX_REPEAT", "MIN_REPEAT"})


def before_value(items: Sequence[Any]) -> list[Any]:
    """What stands before the group of a parsed pattern; nothing where there is none, or where it may be nearly nothing."""
    head, cut = _head(items)
    return head if cut and _least(head) >= SAYING else []


def _head(items: Sequence[Any]) -> tuple[list[Any], bool]:
    """The items up to the first group, and whether there is one."""
    head: list[Any] = []
    for item in items:
        op, value = str(item[0]), item[1]
        if op == "SUBPATTERN":
            inner, cut = ([], True) if value[0] is not None else _head(value[3])
            if cut:
                return [*head, (item[0], (None, value[1], value[2], inner))], True
        elif op == "BRANCH":
            branches = [_head(branch) for branch in value[1]]
            if any(cut for _, cut in branches):
                return [*head, (item[0], (None, [branch for branch, _ in branches]))], True
        head.append(item)
    return head, False


def _least(items: Sequence[Any]) -> int:
    """Characters of the shortest match."""
    least = 0
    for item in items:
        op, value = str(item[0]), item[1]
        if op in _REPEATS:
            least += value[0] * _least(value[2])
        elif op == "SUBPATTERN":
            least += _least(value[3])
        elif op == "BRANCH":
            least += min(_least(branch) for branch in value[1])
        elif op != "AT":
            least += 1
    return least
