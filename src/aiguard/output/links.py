"""Where a text leads elsewhere: the stretches that a renderer would turn into a link, an image or a request.

A token turned back inside one of them would send the value to whoever owns the address, so tokens there stay tokens. What is
taken for a link is wide on purpose: a token left standing is a blemish, a value in a link is a leak.

Each kind of link is looked for by itself, since one may begin and end within another (``](http://host/(a)?…)``). A link begins
with a literal; from there a small machine runs to its end, and keeps nothing of the text but where it stands. So a text that
comes in pieces has the links of the whole, and time is linear.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import copy
from typing import Final, Literal

CARRY: Final = 64
"""Characters of what is behind that the beginning of a link may stand in; the longest literal has 44."""

_Phase = Literal["begin", "line", "angle", "quote", "'", '"', "rest"]

_Run = Callable[[str, int, "_State"], int]
"""Runs a link on from a place in a text, and gives its end; -1 where the text ends first."""


class _State:
    """Where an open link stands: ``escaped`` after a backslash, ``depth`` parentheses deep."""

    __slots__ = ("depth", "escaped", "phase")

    def __init__(self, phase: _Phase) -> None:
        self.phase: _Phase = phase
        self.depth = 1
        self.escaped = False


_BLANK: Final = " \t\n\r\f\v"
_BLANKS: Final = re.compile(rf"[{_BLANK}]")
_URL_END: Final = re.compile(r"[ \t\n\r\f\v<>]")
_TAG_STEP: Final = re.compile(r"[=>]")
_STEP: Final = re.compile(r"[\\()<>\n]")
_CSS_STEP: Final = re.compile(r"[\\)]")
_NOT_BLANK: Final = re.compile(r"[^ \t\r\f\v]")
_PUNCTUATION: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
"""What a backslash escapes in Markdown (CommonMark, section 2.4)."""


def _url(text: str, at: int, _state: _State) -> int:
    """To a blank or a bracket that no autolink goes beyond (GFM, section 6.9). Quotes are part of one."""
    found = _URL_END.search(text, at)
    return -1 if found is None else found.start()


def _begins(text: str, at: int, state: _State) -> int:
    """Over the blanks before a Markdown destination, one line ending among them; -1: the link ends, or the text does."""
    while state.phase in ("begin", "line"):
        found = _NOT_BLANK.search(text, at)
        if found is None:
            return -1
        at = found.start()
        if text[at] != "\n":
            state.phase = "angle" if text[at] == "<" else "rest"
            return at + (state.phase == "angle")
        if state.phase == "line":
            return -2 - at
        state.phase, at = "line", at + 1
    return at


def _unescaped(text: str, at: int, state: _State) -> int:
    """Over the character behind a backslash at the end of the last piece."""
    if state.escaped and at < len(text):
        state.escaped = False
        return at + (text[at] in _PUNCTUATION)
    return at


def _markdown(text: str, at: int, state: _State) -> int:
    """From ``](`` to the parenthesis that closes it, or the line's end (CommonMark, section 6.3)."""
    at = _begins(text, _unescaped(text, at, state), state)
    if at < 0:
        return -2 - at if at < -1 else -1
    while (found := _STEP.search(text, at)) is not None:
        step, at = found[0], found.end()
        if step == "\n":
            return found.start()
        if step == "\\":
            state.escaped = True
            at = _unescaped(text, at, state)
        elif state.phase == "angle":
            state.phase = "rest" if step == ">" else "angle"
        elif step in "()":
            state.depth += 1 if step == "(" else -1
            if not state.depth:
                return at
    return -1


def _reference(text: str, at: int, state: _State) -> int:
    """From ``]:`` over what may be a reference's destination, the next line included (CommonMark, section 4.7)."""
    at = _begins(text, _unescaped(text, at, state), state)
    if at < 0:
        return -2 - at if at < -1 else -1
    while state.phase == "angle" and (found := _STEP.search(text, at)) is not None:
        at = found.end()
        if found[0] == "\\":
            state.escaped = True
            at = _unescaped(text, at, state)
        elif found[0] in ">\n":
            state.phase = "rest"
    if state.phase == "angle":
        return -1
    end = _BLANKS.search(text, at)
    return -1 if end is None else end.start()


def _tag(text: str, at: int, state: _State) -> int:
    """An HTML tag with all its attributes, those in quotes included, or an autolink (HTML, section 13.2.5)."""
    while at < len(text):
        if state.phase == "begin":
            found = _TAG_STEP.search(text, at)
            if found is None:
                return -1
            at = found.end()
            if found[0] == ">":
                return at
            state.phase = "quote"
        elif state.phase == "quote":
            if text[at] in _BLANK:
                at += 1
                continue
            state.phase = "'" if text[at] == "'" else '"' if text[at] == '"' else "begin"
            at += state.phase != "begin"
        else:
            end = text.find(state.phase, at)
            if end < 0:
                return -1
            state.phase, at = "begin", end + 1
    return -1


def _css(text: str, at: int, state: _State) -> int:
    """``url(…)`` of a style sheet, in quotes or without (CSS Syntax, section 4.3.6)."""
    while at < len(text):
        if state.phase == "begin":
            if text[at] in _BLANK:
                at += 1
                continue
            state.phase = "'" if text[at] == "'" else '"' if text[at] == '"' else "rest"
            at += state.phase != "rest"
        elif state.phase == "rest":
            if state.escaped:
                state.escaped, at = False, at + 1
                continue
            found = _CSS_STEP.search(text, at)
            if found is None:
                return -1
            at = found.end()
            if found[0] == ")":
                return at
            state.escaped = True
        else:
            end = text.find(state.phase, at)
            if end < 0:
                return -1
            state.phase, at = "rest", end + 1
    return -1


_SCHEMES: Final = "mailto|tel|sms|data|javascript|vbscript|callto|whatsapp|skype"
_BARE: Final = r"[^\W_]\.(?:xn--[A-Za-z0-9-]{1,30}|[^\W\d_]{2,24}|\d{1,3})(?::\d{1,5})?[/?#\\]"
"""``example.com/…`` or ``10.0.0.1/…`` without a scheme, with a port or without, which some renderers link too; from the last label on."""
_KINDS: Final[tuple[tuple[re.Pattern[str], _Phase, _Run], ...]] = (
    # A URL from its slashes on, with or without a scheme.
    (re.compile(rf"//|:\\\\|(?:{_SCHEMES}):|www\.|{_BARE}", re.IGNORECASE), "rest", _url),
    (re.compile(r"\]\("), "begin", _markdown),
    (re.compile(r"\]:"), "begin", _reference),
    (re.compile(r"<[A-Za-z!/?]"), "begin", _tag),
    (re.compile(r"url\(", re.IGNORECASE), "begin", _css),
)
_ANY: Final = re.compile("|".join(f"(?:{start.pattern})" for start, _, _ in _KINDS), re.IGNORECASE)


class LinkScan:
    """``feed(text)`` for each piece of a text: the ``(start, end)`` of its stretches that lead elsewhere, sorted, without overlaps.

    A link that is open at the end of a piece goes on in the next one.
    """

    __slots__ = ("_behind", "_open")

    def __init__(self) -> None:
        self._behind = ""
        self._open: list[_State | None] = [None] * len(_KINDS)

    def copy(self) -> LinkScan:
        """Another one that stands at the same place."""
        other = LinkScan()
        other._behind = self._behind
        other._open = [copy(state) for state in self._open]
        return other

    def feed(self, text: str) -> list[tuple[int, int]]:
        """The stretches within ``text``."""
        behind = self._behind
        whole = behind + text
        self._behind = whole[-CARRY:]
        if not any(self._open) and _ANY.search(whole) is None:
            return []
        spans: list[tuple[int, int]] = []
        for number in range(len(_KINDS)):
            self._look_for(number, whole, len(behind), spans)
        spans.sort()
        merged: list[tuple[int, int]] = []
        for start, end in spans:
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((start, end))
        return merged

    def _look_for(self, number: int, whole: str, new: int, spans: list[tuple[int, int]]) -> None:
        """Add the stretches of one kind. What stands before ``new`` was looked at before."""
        start, phase, run = _KINDS[number]
        size, at = len(whole), 0
        state = self._open[number]
        began = new
        while True:
            if state is None:
                found = start.search(whole, at)
                if found is None:
                    return
                at = found.end()
                if at <= new:
                    continue  # it was known when its last character came
                state, began = _State(phase), max(new, found.start())
                self._open[number] = state
            else:
                at = max(at, new)
            at = run(whole, at, state)
            if at < 0:
                spans.append((began - new, size - new))
                return
            if at > began:
                spans.append((began - new, at - new))
            self._open[number] = state = None


def link_spans(text: str) -> list[tuple[int, int]]:
    """``(start, end)`` of each stretch of ``text`` that leads elsewhere, sorted, without overlaps."""
    return LinkScan().feed(text)
