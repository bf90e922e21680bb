"""Where a text leads elsewhere: the stretches that a renderer would turn into a link, an image or a request.

A token turned back inside one of them would send the value to whoever owns the address, so tokens there stay tokens. What is
taken for a link is wide on purpose: a token left standing is a blemish, a value in a link is a leak. Time is linear: each
stretch begins at a literal and runs to a character that ends it.
"""

from __future__ import annotations

import re
from typing import Final

_LINK: Final = re.compile(
    r"""(?://|:\\\\)[^\s<>"'`]*"""  # a URL from its slashes on, with or without a scheme
    r"""|(?:mailto|tel|sms|data|javascript|vbscript|callto|whatsapp|skype):[^\s<>"'`]*"""
    r"""|www\.[^\s<>"'`]*"""
    r"""|\]\([^)\n]*\)?"""  # a Markdown link or image
    r"""|\]:[ \t]*[^\s]*"""  # a Markdown reference
    r"""|<[A-Za-z!/][^>]*>?"""  # an HTML tag with all its attributes, and an autolink
    r"""|url\([^)]*\)?""",  # CSS
    re.IGNORECASE,
)
_BARE: Final = re.compile(r"[^\W_]\.(?:xn--[A-Za-z0-9-]{1,30}|[^\W\d_]{2,24})(?::\d{1,5})?[/?#\\][^\s<>\"'`]*")
"""``example.com/…`` without a scheme, with a port or without, which some renderers link too; from the last label on."""


def link_spans(text: str) -> list[tuple[int, int]]:
    """``(start, end)`` of each stretch of ``text`` that leads elsewhere, sorted, without overlaps."""
    spans = sorted(match.span() for pattern in (_LINK, _BARE) for match in pattern.finditer(text))
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
