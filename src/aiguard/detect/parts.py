"""Detection over the parts of a body: each part by itself, across the seams of one message, and behind its escapes.

A model reads the text parts of one message as one text, so a card number cut into two content parts is still a card number,
and a password after "my password is" in the part before is still a password. Parts of the same message are therefore also
looked at joined. So are the texts of an answer that stand side by side, as its reader sees them. A model also reads JSON that was pasted into a text, so a text with backslash escapes is looked at once more
as it reads without them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from aiguard.detect.markup import behind_markup, is_marked
from aiguard.scan import Engine
from aiguard.types import Detector, Finding, Part, PartKind

MAX_ESCAPE_DEPTH: Final = 3
"""Levels of escapes that are read: JSON in a JSON string in a JSON string."""

_ENTITIES: Final = {
    "amp": "&", "apos": "'", "colon": ":", "comma": ",", "commat": "@", "dash": "-", "emsp": " ", "ensp": " ", "equals": "=",
    "gt": ">", "hyphen": "-", "lowbar": "_", "lt": "<", "mdash": "-", "nbsp": " ", "ndash": "-", "NewLine": "\n",
    "NonBreakingSpace": " ", "num": "#", "period": ".", "plus": "+", "quot": '"', "shy": "\u00ad", "sol": "/", "Tab": "\t",
    "thinsp": " ", "UnderBar": "_", "ZeroWidthSpace": "\u200b", "zwj": "\u200d", "zwnj": "\u200c",
}  # fmt: skip
"""What may stand in a value, by the names of HTML (section 13.5)."""

ESCAPE: Final = re.compile(
    r"\\(?:u([Dd][89ABab][0-9A-Fa-f]{2})\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|U(00(?:0[0-9A-Fa-f]|10)[0-9A-Fa-f]{4})"
    r"|u\{(0{0,6}[0-9A-Fa-f]{1,5}|0{0,4}10[0-9A-Fa-f]{4})\}|([bfnrt0!-/:-@\[-`{-~]))"
    rf"|&(?:#(?:(0{{0,10}}[0-9]{{1,6}})|[xX](0{{0,10}}[0-9A-Fa-f]{{1,5}}))|({'|'.join(_ENTITIES)}));"
)
"""An escape: a backslash's, as JSON, Markdown and most languages write it (two that are halves of one character are one), or a
character reference of HTML."""

OPEN_ESCAPE: Final = re.compile(
    r"(?:\\(?:u(?:[0-9A-Fa-f]{0,3}|[Dd][89ABab][0-9A-Fa-f]{2}(?:\\(?:u(?:[Dd](?:[C-Fc-f][0-9A-Fa-f]?)?)?)?)?|\{[0-9A-Fa-f]{0,11})|x[0-9A-Fa-f]?|U[0-9A-Fa-f]{0,7})?"
    r"|&(?:#(?:[0-9]{0,16}|[xX][0-9A-Fa-f]{0,15})|[A-Za-z]{0,16})?)\Z"
)
"""At the end of a text, the beginning of what may become an escape, or more of one."""

_SEVERAL: Final = 4
"""Parts from which on they are asked together first."""

_ANSWERS: Final = frozenset({"choices", "content", "item", "output", "response"})
"""First steps of the pointers of what a model answered. Choices are alternatives, which nobody reads as one text."""
_PLAIN: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "0": "\0"}


def detect_text(detector: Detector, text: str, *, context: str = "") -> list[Finding]:
    """The findings of one text, as it stands and as it reads once its escapes are read. Offsets are the text's own.

    Raises whatever the detector raises.
    """
    found = _with_underscores(detector, text, context)
    view, starts = text, None
    for _ in range(MAX_ESCAPE_DEPTH):
        if "\\" not in view and "&" not in view:
            break
        read = _Unescaped(view)
        if not read.changed:
            break
        view = read.text
        starts = [read] if starts is None else [*starts, read]
        for finding in _with_underscores(detector, view, context):
            start, end = finding.start, finding.end
            for level in reversed(starts):
                start, end = level.original(start), level.original(end)
            found.append(replace(finding, start=start, end=end))
    return _without_repeats(found)


def _with_underscores(detector: Detector, text: str, context: str) -> list[Finding]:
    """The findings of ``text``, with those that an underscore touches: ``_4111 …_`` in Markdown, ``key_AKIA…`` in code.

    To a recognizer an underscore is a letter, so a value beside one is part of a longer word.
    """
    found = list(detector.detect(text, context=context))
    if "_" in text:
        found.extend(
            finding
            for finding in detector.detect(text.replace("_", " "), context=context)
            if text[finding.start - 1 : finding.start] == "_" or text[finding.end : finding.end + 1] == "_"
        )
    return found


def joined_texts(parts: Sequence[Part]) -> list[str]:
    """The text of each message that has several text parts, joined as a model reads it."""
    return ["".join(parts[index].text for index in group) for group in _groups(parts)]


def detect_parts(detector: Detector, parts: Sequence[Part], *, leaves: bool = False) -> list[list[Finding]]:
    """The findings of each part, in the parts' order, seams included.

    Texts of a request that ``leaves`` are also read without the marks inside their words.

    Raises whatever the detector raises: a part that could not be looked at must stop the exchange.
    """
    seen = _nothing_in(detector, parts)
    found: list[list[Finding]] = []
    for part in parts:
        key = (part.text, part.context, part.kind is PartKind.NUMBER)
        findings = seen.get(key)
        if findings is None:  # names of fields repeat in every row
            findings = _detect_part(detector, part)
            if leaves and part.kind is not PartKind.NUMBER:
                findings += behind_markup(detector, part.text, part.context)
            seen[key] = findings
        found.append(list(findings))
    for group in _groups(parts):
        starts = [0]
        for index in group:
            starts.append(starts[-1] + len(parts[index].text))
        for finding in detect_text(detector, "".join(parts[index].text for index in group)):
            position = bisect_right(starts, finding.start) - 1
            while position < len(group) and starts[position] < finding.end:
                left, right = starts[position], starts[position + 1]
                piece = replace(finding, start=max(finding.start, left) - left, end=min(finding.end, right) - left)
                found[group[position]].append(piece)
                position += 1
    return [_without_repeats(findings) for findings in found]


def _nothing_in(detector: Detector, parts: Sequence[Part]) -> dict[tuple[str, str, bool], list[Finding]]:
    """The parts in which certainly nothing is found, as the built-in engine says of many at once."""
    if len(parts) < _SEVERAL or not isinstance(detector, Engine):
        return {}
    asked = [
        *{
            (part.text, part.context)
            for part in parts
            if part.kind is not PartKind.NUMBER
            and "_" not in part.text
            and "\\" not in part.text
            and not is_marked(part.text)
        }
    ]
    nothing = detector.filters.nothing_in(asked)
    return {(*each, False): [] for each, quiet in zip(asked, nothing, strict=True) if quiet}


def _detect_part(detector: Detector, part: Part) -> list[Finding]:
    """The findings of one part; a number that hides another behind a decimal point (``4111111111111111.0``) is one whole."""
    found = detect_text(detector, part.text, context=part.context)
    if part.kind is PartKind.NUMBER and "." in part.text:
        whole = detect_text(detector, part.text.partition(".")[0], context=part.context)
        found += [replace(finding, start=0, end=len(part.text)) for finding in whole]
    return found


def adjacent(earlier: tuple[int, ...], later: tuple[int, ...]) -> bool:
    """Whether the text at the place ``later`` of an answer comes right after the one at ``earlier``: ``(block,)`` or ``(item, part)``."""
    if len(earlier) != len(later) or not earlier:
        return False
    if later[:-1] == earlier[:-1]:
        return later[-1] == earlier[-1] + 1
    return len(later) == 2 and later == (earlier[0] + 1, 0)


def place_of(part: Part) -> tuple[int, ...] | None:
    """Where a text of an answer stands among the texts that are read as one; None for any other part."""
    if part.role != "assistant":
        return None
    steps = part.pointer.split("/")
    if len(steps) < 2 or steps[1] not in _ANSWERS or steps[-1] != "text":
        return None
    return tuple(int(step) for step in steps if step.isdecimal())


def message_of(part: Part) -> tuple[str, str, str, str] | None:
    """What a part shares with its neighbours: role, first two pointer steps and field name.

    The message items that an assistant said before are read as one text, so their number does not count.
    """
    steps = part.pointer.split("/", 3)
    if part.kind is not PartKind.TEXT or part.channel != "prose" or len(steps) < 4 or steps[1] in _ANSWERS:
        return None
    name = steps[3].rpartition("/")[2]
    if name.isdigit():
        name = next((step for step in reversed(steps[3].split("/")) if not step.isdigit()), "")
    return part.role, steps[1], "" if part.role == "assistant" else steps[2], name


def _groups(parts: Sequence[Part]) -> list[list[int]]:
    """Indexes of the parts that make up one message, for every message of more than one text part."""
    groups: dict[tuple[str, str, str, str], list[int]] = {}
    said: list[list[int]] = []
    last: tuple[int, ...] = ()
    for index, part in enumerate(parts):
        if not part.text or part.kind is not PartKind.TEXT or part.channel != "prose":
            continue
        place = place_of(part) if part.role == "assistant" else None
        if place is not None:
            if adjacent(last, place):
                said[-1].append(index)
            else:
                said.append([index])
            last = place
        elif (key := message_of(part)) is not None:
            groups.setdefault(key, []).append(index)
    return [group for group in (*groups.values(), *said) if len(group) > 1]


def _without_repeats(findings: list[Finding]) -> list[Finding]:
    """Sorted by start, each span and type once."""
    if len(findings) < 2:
        return findings
    unique = {(finding.start, finding.end, finding.type): finding for finding in findings}
    return sorted(unique.values(), key=lambda finding: (finding.start, finding.end))


def unescaped(match: re.Match[str]) -> str:
    """The character that an :data:`ESCAPE` stands for."""
    if match[1]:
        return chr(0x10000 + ((int(match[1], 16) - 0xD800) << 10) + int(match[2], 16) - 0xDC00)
    if sign := match[7]:
        return _PLAIN.get(sign, sign)
    if name := match[10]:
        return _ENTITIES[name]
    return chr(int(match[8]) if match[8] else int(match[3] or match[4] or match[5] or match[6] or match[9], 16))


class _Unescaped:
    """A text with one level of backslash escapes read, and where its characters stand in the original."""

    def __init__(self, text: str) -> None:
        pieces: list[str] = []
        self._views: list[int] = [0]
        self._originals: list[int] = [0]
        done = length = 0
        for match in ESCAPE.finditer(text):
            pieces.append(text[done : match.start()])
            length += match.start() - done
            pieces.append(unescaped(match))
            # The escape itself is one character; what follows is shifted by what the escape took more.
            self._views += (length, length + 1)
            self._originals += (match.start(), match.end())
            length += 1
            done = match.end()
        pieces.append(text[done:])
        self.changed = done > 0
        self.text = "".join(pieces)

    def original(self, position: int) -> int:
        """The original offset of the character that begins at ``position`` of the view."""
        index = bisect_right(self._views, position) - 1
        return self._originals[index] + position - self._views[index]
