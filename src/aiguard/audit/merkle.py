"""The Merkle tree hashes of RFC 6962 §2.1 (the same in RFC 9162), over SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

HASH_BYTES = 32


def leaf_hash(leaf: bytes) -> bytes:
    """``SHA-256(0x00 ‖ leaf)``."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """``SHA-256(0x01 ‖ left ‖ right)``."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def parents(hashes: Sequence[bytes]) -> list[bytes]:
    """The node over each two of ``hashes``, in order; one that is left over has none."""
    sha256 = hashlib.sha256
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=False)]


def root_hash(leaf_hashes: Iterable[bytes]) -> bytes:
    """The tree head over ``leaf_hashes`` in order; of nothing it is ``SHA-256("")``. Memory grows with log2 of the count."""
    stack: list[tuple[int, bytes]] = []  # complete subtrees, largest first, as (height, hash)
    for leaf in leaf_hashes:
        value, height = leaf, 0
        while stack and stack[-1][0] == height:
            value = node_hash(stack.pop()[1], value)
            height += 1
        stack.append((height, value))
    if not stack:
        return hashlib.sha256(b"").digest()
    _, value = stack.pop()
    while stack:
        value = node_hash(stack.pop()[1], value)
    return value
