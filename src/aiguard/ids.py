"""Names for things: sortable unique ids, and Crockford's base 32, which they and pseudonyms are written in.

Crockford's alphabet has the digits and letters in order, without I, L, O and U, so that a name sorts as its number does and can be
read out (https://www.crockford.com/base32.html).
"""

from __future__ import annotations

import base64
import os
import time
import unicodedata
from functools import lru_cache
from typing import Final

POOL: Final = 64
"""Random parts drawn at once. Each call into the kernel gives the interpreter's lock away, which in a crowd of threads costs more than an id."""

_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CROCKFORD: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _DIGITS.encode())
_PAIRS: Final = tuple(high + low for high in _DIGITS for low in _DIGITS)
_SHIFTS: Final = range(120, -1, -10)
_RANDOM_BYTES = 10
_RANDOM_LENGTH = 16
_pool: list[str] = []


def new_id(prefix: str, now: float | None = None) -> str:
    """A sortable unique id: ``prefix_`` and 26 Crockford base32 characters (48-bit milliseconds, 80 random bits)."""
    milliseconds = int((time.time() if now is None else now) * 1000) & ((1 << 48) - 1)
    return f"{prefix}_{_time(milliseconds)}{_random()}"


def folded(id: str) -> str:
    """An id as it is compared where two persons have to be two: without case, compatibility forms, blanks around it, and what is not seen.

    It may take two persons for one, never one for two spellings.
    """
    seen = "".join(c for c in unicodedata.normalize("NFKC", id) if unicodedata.category(c) not in ("Cf", "Cc"))
    return unicodedata.normalize("NFKC", seen.casefold()).strip()


def crockford(data: bytes) -> str:
    """``data``, whose length is a multiple of 5, eight characters for every five bytes."""
    return base64.b32encode(data).translate(_CROCKFORD).decode("ascii")


def crockford_128(data: bytes) -> str:
    """16 bytes as a number, in 26 characters."""
    number = int.from_bytes(data, "big")
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])  # a list, since it is faster


@lru_cache(maxsize=16)
def _time(milliseconds: int) -> str:
    """48 bits in 10 characters."""
    return crockford(milliseconds.to_bytes(_RANDOM_BYTES, "big"))[6:]


def _random() -> str:
    """80 random bits in 16 characters."""
    while True:
        try:
            return _pool.pop()  # one thread gets it, and nobody again
        except IndexError:
            drawn = crockford(os.urandom(POOL * _RANDOM_BYTES))
            _pool.extend(drawn[at : at + _RANDOM_LENGTH] for at in range(0, len(drawn), _RANDOM_LENGTH))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.clear)
