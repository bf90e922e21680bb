"""What the streams of ``benchmarks/sse.py`` say."""

from __future__ import annotations

import random

PIECES = 40
"""Events of a stream, about."""


def text_of(number: int) -> str:
    """What the stream with that number says: its own, so that a mix-up shows."""
    draw = random.Random(number)
    mail = f"person{number}.{draw.choice(['jane', 'bob', 'mira'])}@example.org"
    return (
        f"This is stream number {number} of many. Please write to {mail} or call +44 20 7946 {number % 10_000:04d}, "
        f"and pay with 4111 1111 1111 1111. The key is eyJhbGciOiJIUzI1NiJ9.{draw.randbytes(30).hex()}.{draw.randbytes(20).hex()} "
        f"and here ends stream number {number}."
    )


def pieces_of(number: int) -> list[str]:
    """The same text in pieces."""
    text, draw, at, pieces = text_of(number), random.Random(number), 0, []
    while at < len(text):
        size = draw.randint(1, 2 * len(text) // PIECES)
        pieces.append(text[at : at + size])
        at += size
    return pieces
