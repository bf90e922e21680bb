"""Inclusion and consistency proofs (RFC 6962 §2.1, RFC 9162 §2.1), from the hashes of complete subtrees.

A proof of a tree of ``n`` leaves needs ``O(log n)`` subtree hashes, which a :class:`Subtrees` hands out; it is never built from
all leaves. Checking a proof needs nothing but the proof.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Protocol

from aiguard.audit.merkle import node_hash


class Subtrees(Protocol):
    """Hashes of complete subtrees of a log."""

    def subtree(self, level: int, index: int) -> bytes:
        """The hash over the leaves ``index * 2**level`` up to (without) ``(index + 1) * 2**level``."""
        ...


def root(tree: Subtrees, size: int) -> bytes:
    """The tree hash of the first ``size`` leaves."""
    return range_hash(tree, 0, size) if size else hashlib.sha256(b"").digest()


def range_hash(tree: Subtrees, start: int, end: int) -> bytes:
    """The hash of the leaves from ``start`` to (without) ``end``, where ``start`` begins a subtree that is as large."""
    value: bytes | None = None
    for level, index in reversed(list(complete(start, end))):
        part = tree.subtree(level, index)
        value = part if value is None else node_hash(part, value)
    if value is None:
        raise ValueError("a range of no leaves has no hash")
    return value


def complete(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The complete subtrees that make up a range, from left to right, as (level, index)."""
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


def inclusion(tree: Subtrees, index: int, size: int) -> list[bytes]:
    """The proof that leaf ``index`` is in the tree of ``size`` leaves, lowest first."""
    if not 0 <= index < size:
        raise ValueError("a leaf outside the tree has no proof")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            path.append(range_hash(tree, split, end))
            end = split
        else:
            path.append(range_hash(tree, start, split))
            start = split
    return path[::-1]


def consistency(tree: Subtrees, first: int, second: int) -> list[bytes]:
    """The proof that the tree of ``second`` leaves begins with the tree of ``first``; empty when there is nothing to prove."""
    if not 0 <= first <= second:
        raise ValueError("the earlier tree cannot be larger than the later one")
    if first in {0, second}:
        return []
    path: list[bytes] = []
    start, end, whole = 0, second, True
    while first < end:
        split = start + _split(end - start)
        if first <= split:
            path.append(range_hash(tree, split, end))
            end = split
        else:
            path.append(range_hash(tree, start, split))
            start, whole = split, False
    if not whole:
        path.append(range_hash(tree, start, end))
    return path[::-1]


def _split(count: int) -> int:
    """The largest power of two that is smaller than ``count``."""
    return 1 << ((count - 1).bit_length() - 1)


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether ``proof`` shows the leaf hash ``leaf`` at ``index`` of the tree (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, value = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            value = node_hash(step, value)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = node_hash(value, step)
        at, last = at >> 1, last >> 1
    return last == 0 and value == root


def consistent(first: int, second: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes) -> bool:
    """Whether ``proof`` shows that the tree of ``second`` leaves begins with that of ``first`` (RFC 9162 §2.1.4.2)."""
    if not 0 <= first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        return not proof and first_root == hashlib.sha256(b"").digest()
    steps = list(proof)
    if first & (first - 1) == 0:
        steps.insert(0, first_root)
    if not steps:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    older = newer = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            older, newer = node_hash(step, older), node_hash(step, newer)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            newer = node_hash(newer, step)
        at, last = at >> 1, last >> 1
    return last == 0 and older == first_root and newer == second_root
