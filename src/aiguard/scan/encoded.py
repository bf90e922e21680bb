"""Text inside text: base64, hexadecimal, percent-encoded segments and HTML entities, decoded to bounded depth and size.

Base64 and hexadecimal count only when what they decode to is text (UTF-8 without control characters), so that hashes, keys and
images are left alone; UTF-16 is text too, as PowerShell encodes it, and of a path each step may be encoded. What is percent-encoded is text whatever bytes are in it: one ``%E9`` of an older encoding, or a ``%00``, does not
hide what stands beside it. Whatever is found inside belongs to the whole segment, since there is no telling which of its
characters carry which part of the value; but of text that is percent-encoded once, each character says what it carries.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import unescape
from itertools import accumulate
from typing import Final
from urllib.parse import unquote_to_bytes

import re2

from aiguard.scan.places import Offsets, encode
from aiguard.scan.program import searcher

MAX_DEPTH: Final = 3
"""Encodings inside one another that are opened."""

MAX_SEGMENT: Final = 1 << 24
"""Characters of one segment that are decoded, more than any body has; what a longer one holds beyond is not looked into."""

_BLOCK: Final = 1 << 16

# What a text must contain for :func:`segments` to have anything to do; RE2 syntax, for the engine's set.
TRIGGER: Final = r"[A-Za-z0-9+/_\-]{20}|%[0-9A-Fa-f]{2}|&[A-Za-z]{2,24};|&#[xX]?[0-9A-Fa-f]|=[A-Za-z0-9]{1,64}\+"

_BASE64: Final = searcher(re2.compile(rb"[A-Za-z0-9+/_\-]{20,}={0,2}"))
_STEP: Final = re.compile(r"[A-Za-z0-9+_\-]{16,}={0,2}")
_HEX: Final = re.compile(r"[0-9A-Fa-f]+")  # not of pairs: `re` would remember each of them
_RUN: Final = re.compile(r"[A-Za-z0-9_.~@:/?&=+%#;\-]{3,}")
_ENTITY: Final = re.compile(
    r"&(?:#[0-9]|#[xX][0-9A-Fa-f]|[A-Za-z]{2,24};)"
)  # a number needs no semicolon, and may have any noughts
_ESCAPED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_BYTE: Final = re.compile(r"%[0-9A-Fa-f]{2}|.")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Segment:
    """``start..end`` of a text reads as ``text`` once decoded."""

    start: int
    end: int
    text: str = field(repr=False)
    escaped: str = field(default="", repr=False)
    """What it was decoded from, where that is percent-encoding and nothing else."""

    def places(self) -> Sequence[int] | None:
        """Where each character of ``text`` ends in ``escaped``; None where there is no telling."""
        if not self.escaped:
            return None
        ends = array("Q", (match.end() for match in _BYTE.finditer(self.escaped)))
        if self.text.isascii():
            return ends
        sizes = (len(char.encode("utf-8", "surrogateescape")) for char in self.text)
        return array("Q", (ends[last - 1] for last in accumulate(sizes)))


def segments(text: str) -> list[Segment]:
    """The encoded segments of ``text`` that hold text, innermost decoding included, in time linear in the text."""
    found: list[Segment] = []
    pending = [(0, 0, text, 0)]
    while pending:
        left, right, current, depth = pending.pop()
        for start, end, inner, escaped in _decode(current):
            span = (start, end) if depth == 0 else (left, right)
            found.append(Segment(*span, inner, escaped if depth == 0 else ""))
            if depth + 1 < MAX_DEPTH:
                pending.append((*span, inner, depth + 1))
    found.sort(key=lambda segment: segment.start)
    return found


def _decode(text: str) -> list[tuple[int, int, str, str]]:
    found: list[tuple[int, int, str, str]] = []
    if "%" in text or "&" in text or ("=" in text and "+" in text):
        for match in _RUN.finditer(text):  # whole runs, so that no run is read twice
            run = match[0][:MAX_SEGMENT]
            escaped = _ESCAPED.search(run) is not None
            # A plus is a blank in the fields of a form.
            form = "+" in run and (escaped or 0 <= run.find("=") < run.rfind("+"))
            for read in [run] * escaped + [run.replace("+", " ")] * form:
                inner = _unquoted(read).decode("utf-8", "surrogateescape")
                found.append((match.start(), match.end(), inner, run))
            if _ENTITY.search(run) is not None:
                inner = unescape(run)
                if inner != run:
                    found.append((match.start(), match.end(), inner, ""))
    for start, end in _base64_runs(text):
        run = text[start : min(end, start + MAX_SEGMENT)]
        decoded = _decoded(run, cut=len(run) < end - start)
        if decoded is not None:
            found.append((start, end, decoded, ""))
        elif "/" in run:
            for step in _STEP.finditer(run):
                decoded = _decoded(step[0], cut=False)
                if decoded is not None:
                    found.append((start + step.start(), start + step.end(), decoded, ""))
    return found


def _unquoted(run: str) -> bytes:
    """The bytes of a percent-encoded run, block by block: at once, each escape would be an object."""
    if len(run) <= _BLOCK:
        return unquote_to_bytes(run)
    found = bytearray()
    at = 0
    while at < len(run):
        end = at + _BLOCK
        escape = run.find("%", end - 2, end)  # not cut within
        end = escape if escape >= 0 else end
        found += unquote_to_bytes(run[at:end])
        at = end
    return bytes(found)


def _decoded(run: str, *, cut: bool) -> str | None:
    digits = run[2:] if run[:2] in ("0x", "0X") else run.removeprefix("x")  # the bytes of PostgreSQL are \x6a61…
    paired = len(digits) % 2 == 0 and _HEX.fullmatch(digits)
    return _readable(binascii.unhexlify(digits) if paired else _base64(run), cut=cut)


def _base64_runs(text: str) -> Iterator[tuple[int, int]]:
    """Where runs of the letters of base64 (hexadecimal among them) stand, by RE2: ``re`` tries every letter of every word."""
    data = encode(text)
    offsets = None if len(data) == len(text) else Offsets(data)
    start, end = _BASE64(data, 0, len(data))[0]
    while start >= 0:
        yield (start, end) if offsets is None else (offsets.char(start), offsets.char(end))
        start, end = _BASE64(data, end, len(data))[0]


def _base64(run: str) -> bytes:
    body = run.rstrip("=").replace("-", "+").replace("_", "/")
    body = body[: len(body) - 1] if len(body) % 4 == 1 else body
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4))
    except binascii.Error:
        return b""


def _readable(data: bytes, *, cut: bool) -> str | None:
    """The text that ``data`` is, in UTF-8 or UTF-16; where it was ``cut``, its last character may be incomplete."""
    wide = data[1:2] == b"\0" or data[:2] == b"\xff\xfe"
    try:
        text = (codecs.utf_16_le_decode if wide else codecs.utf_8_decode)(data, "strict", not cut)[0]
    except UnicodeDecodeError:
        return None
    return None if not text or _CONTROL.search(text) else text
