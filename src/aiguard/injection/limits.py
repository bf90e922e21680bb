"""How many tokens a prompt can be at most, without the provider's tokenizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

OVERHEAD: Final = 16
"""Tokens a part can cost beyond its text: role, separators, name and tool framing of the chat templates in use."""


def token_upper_bound(texts: Iterable[str]) -> int:
    """A bound that no byte-level BPE tokenizer exceeds: the UTF-8 bytes of every text and an overhead for each.

    A byte-level BPE token stands for at least one byte, so a text has no more tokens than bytes. English prose has
    about four bytes a token, so the bound is some four times the real count; a limit that is checked with it errs on
    the side of refusing.
    """
    return sum(_utf8_length(text) + OVERHEAD for text in texts)


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
