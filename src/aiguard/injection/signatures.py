"""What a signature is, and all the built-in ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """A pattern (RE2, case-insensitive, ``.`` matches newlines) run over every reading of a text, and its weight.

    ``score`` is in 0..1: from 0.9 on, hardly any honest text says it; below 0.5 it only counts together with others.
    Signatures of one ``name`` prefix (up to the first dot) say the same thing in different ways, so of a prefix only
    the strongest counts.
    """

    name: str
    pattern: str
    score: float
    examples: tuple[str, ...] = ()
    counter_examples: tuple[str, ...] = ()
