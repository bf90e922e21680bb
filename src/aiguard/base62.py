"""Base 62, as credentials are written in: letters and digits only, so that a double click selects all of one."""

from __future__ import annotations

import secrets
import zlib
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

CHECKSUM_LENGTH: Final = 6
"""Digits that hold any 32-bit number: 62**6 > 2**32."""


def random_base62(length: int) -> str:
    """``length`` digits from the operating system's generator; each is worth 5.95 bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def checksum(text: str) -> str:
    """The CRC-32 of ``text`` in six digits, most significant first, as GitHub's tokens end in.

    It tells a scanner that a text is a token and not something that looks like one, and a typing mistake from a guess,
    without a database. It protects nothing: anybody can compute it.
    """
    number = zlib.crc32(text.encode())
    digits = []
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
