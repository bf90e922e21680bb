"""What a text says without the marks inside its words: ``4111 <b>1111</b> …``, ``jane@<wbr>example.org``, ``**41**11 …``.

Whoever reads what a browser or a Markdown renderer shows sees no marks, and neither does a model. Only marks that set nothing apart are left
out: the cells of a table and the lines of a list are not one value. This reading is of whole texts that leave, not of streams.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import replace
from itertools import accumulate
from typing import Final

from aiguard.types import Detector, Finding

_INLINE: Final = "a|abbr|acronym|b|bdi|bdo|big|code|data|del|dfn|em|font|i|ins|kbd|label|mark|nobr|q|s|samp|small|span|strike|strong|sub|sup|tt|u|var|wbr"
_MARK: Final = re.compile(
    rf"</?(?:{_INLINE})(?:[\s/][^<>]{{0,500}})?>|<!--[^<>]{{0,500}}-->|\*{{2,3}}|~~", re.IGNORECASE
)


def is_marked(text: str) -> bool:
    """Whether a mark may stand in ``text``."""
    return "<" in text or "**" in text or "~~" in text


def behind_markup(detector: Detector, text: str, context: str) -> list[Finding]:
    """The findings that marks go through, and no others; their marks are covered.

    Raises whatever the detector raises.
    """
    if not is_marked(text):
        return []
    marks = [(match.start(), match.end()) for match in _MARK.finditer(text)]
    if not marks:
        return []
    ends = [0, *(end for _, end in marks)]
    pieces = [text[left:right] for left, right in zip(ends, [*(start for start, _ in marks), len(text)], strict=True)]
    views = [0, *accumulate(map(len, pieces))][:-1]  # where each piece begins in what is read

    def original(position: int) -> int:
        at = bisect_right(views, position) - 1
        return ends[at] + position - views[at]

    return [
        replace(finding, start=original(finding.start), end=original(finding.end - 1) + 1)
        for finding in detector.detect("".join(pieces), context=context)
        if bisect_right(views, finding.start) != bisect_right(views, finding.end - 1)
    ]
