"""Looks for labelled values in everything that came out of an application: sent requests, database files, logs.

It knows nothing of the guard and shares no code with it. A value counts as leaked when it is found as written, in
another case, with other separators, escaped (JSON, Python, HTML, percent), or inside base64 or hex, nested up to three
deep; a long part of a value counts as much as the whole. What it reports names places, types and forms, never a value.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

DEPTH = 3
"""How many encodings may be nested."""
GRAM = 6
SHORTEST = 9
"""Shorter needles would be found by chance. Every ``GRAM`` characters at ``SHORTEST - GRAM + 1`` steps hit any needle."""
STRIDE = SHORTEST - GRAM + 1
REACH = 900
"""Characters to read on both sides of an escape: six for each character of the longest needle but whole private keys."""
BOUNDED = 12
"""Runs of fewer digits than this must stand alone: clocks and counters are full of nine-digit runs."""

_SEPARATORS = re.compile(r"[\s\xa0().\-/_]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{12,}")
_LOWER_HEX = re.compile(r"[0-9a-f]+")
_PRINTABLE = re.compile(rb"[\x20-\x7e\r\n]{%d}" % SHORTEST).search
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){9,}")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([nrt\"'\\/]))")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_ENTITY = re.compile(r"&[#A-Za-z0-9]{2,10};")
_SHORT = {"n": "\n", "r": "\r", "t": "\t"}
_DIGIT_TYPES = frozenset({"PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN"})


@dataclass(frozen=True, kw_only=True)
class Label:
    """A value that must not get out."""

    type: str
    value: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Leak:
    """A label that was found: where, in which form. Holds no text of it."""

    place: str
    """``model server``, ``database`` or ``logs``, and where in it."""
    type: str
    form: str
    number: int
    """Which label: its position in the list that the finder was given."""


@dataclass(frozen=True, kw_only=True)
class _Needle:
    text: str
    number: int
    bounded: bool = False


def _needles(label: Label) -> Iterator[tuple[str, bool]]:
    """``(text, squeezed)`` for everything that gives ``label`` away."""
    value = label.value.encode("utf-8").decode("latin-1").lower()
    yield value, False
    squeezed = _SEPARATORS.sub("", value).replace("+", "")
    if label.type in _DIGIT_TYPES:
        yield squeezed, True
    if label.type == "CREDIT_CARD":
        yield squeezed[:12], True
    elif label.type == "IBAN_CODE":
        yield squeezed[4:], True
    elif label.type == "EMAIL_ADDRESS":
        yield value.split("@")[0], False
    elif label.type == "SECRET":
        for line in value.splitlines() if "\n" in value else [value]:
            if len(line) >= 40 and "-----" not in line:
                middle = len(line) // 2
                yield line[middle - 8 : middle + 8], False
                yield line[-16:], False


class Finder:
    """Finds any of ``labels`` in bytes. Cost grows with the bytes, hardly with the number of labels."""

    def __init__(self, labels: Sequence[Label]) -> None:
        self.labels = tuple(labels)
        self._plain: dict[str, list[tuple[_Needle, int]]] = defaultdict(list)
        self._squeezed: dict[str, list[tuple[_Needle, int]]] = defaultdict(list)
        for number, label in enumerate(self.labels):
            for text, squeezed in dict.fromkeys(_needles(label)):
                if len(text) < SHORTEST:
                    continue
                bounded = squeezed and len(text) < BOUNDED and text.isdigit()
                needle = _Needle(text=text, number=number, bounded=bounded)
                index = self._squeezed if squeezed else self._plain
                for offset in range(STRIDE):
                    index[text[offset : offset + GRAM]].append((needle, offset))

    def search(self, place: str, data: bytes) -> list[Leak]:
        """Every label in ``data``, once per form."""
        found: dict[tuple[int, str], Leak] = {}
        for form, text in _views(data.decode("latin-1"), "as written", DEPTH):
            low = text.lower()
            for name, index, haystack in (
                (form, self._plain, low),
                (f"{form}, other separators", self._squeezed, _SEPARATORS.sub("", low)),
            ):
                for number in _scan(index, haystack):
                    leak = Leak(place=place, type=self.labels[number].type, form=name, number=number)
                    found.setdefault((number, name), leak)
        return list(found.values())


def search_all(labels: Sequence[Label], blobs: Sequence[tuple[str, bytes]]) -> list[Leak]:
    """Every leak in ``blobs``, largest first, on all processors."""
    ordered = sorted(blobs, key=lambda blob: -len(blob[1]))
    with ProcessPoolExecutor(initializer=_prepare, initargs=(tuple(labels),)) as pool:
        return [leak for found in pool.map(_search_one, ordered) for leak in found]


_finder: Finder | None = None


def _prepare(labels: Sequence[Label]) -> None:
    global _finder  # noqa: PLW0603 - one finder for each worker process
    _finder = Finder(labels)


def _search_one(blob: tuple[str, bytes]) -> list[Leak]:
    assert _finder is not None
    return _finder.search(*blob)


def _scan(index: dict[str, list[tuple[_Needle, int]]], text: str) -> Iterator[int]:
    for at in range(0, len(text) - GRAM + 1, STRIDE):
        for needle, offset in index.get(text[at : at + GRAM], ()):
            start = at - offset
            if start < 0 or not text.startswith(needle.text, start):
                continue
            end = start + len(needle.text)
            if needle.bounded and (text[max(start - 1, 0) : start].isdigit() or text[end : end + 1].isdigit()):
                continue
            yield needle.number


def _views(text: str, form: str, depth: int) -> Iterator[tuple[str, str]]:
    """``text`` itself, and every reading of those parts of it that can be read otherwise."""
    yield form, text
    if depth == 0:
        return
    readings: tuple[tuple[str, Callable[[str], str]], ...] = (
        ("unescaped", _unescaped),
        ("percent-decoded", _percent_decoded),
        ("HTML-decoded", _html_decoded),
        ("base64-decoded", _base64_decoded),
        ("hex-decoded", _hex_decoded),
    )
    for name, read in readings:
        reading = read(text)
        if reading:
            yield from _views(reading, name if form == "as written" else f"{form}, {name}", depth - 1)


def _around(text: str, pattern: re.Pattern[str]) -> str:
    """The surroundings of every match: a value that is written with an escape has that escape within its own length."""
    pieces: list[str] = []
    done = 0
    for match in pattern.finditer(text):
        start, end = max(match.start() - REACH, done), match.end() + REACH
        if start > done:
            pieces.append("\n")
        if end > done:
            pieces.append(text[start:end])
            done = end
    return "".join(pieces)


def _unescaped(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        if match[3]:
            return _SHORT.get(match[3], match[3])
        return chr(int(match[1] or match[2], 16)).encode("utf-8", "replace").decode("latin-1")

    return _ESCAPE.sub(plain, _around(text, _ESCAPE))


def _percent_decoded(text: str) -> str:
    part = _around(text, _PERCENT)
    return unquote_to_bytes(part.replace("+", " ").encode("latin-1", "replace")).decode("latin-1")


def _html_decoded(text: str) -> str:
    return html.unescape(_around(text, _ENTITY)).encode("utf-8", "replace").decode("latin-1")


def _base64_decoded(text: str) -> str:
    """Every run that could be base64, decoded at each of the four alignments, one a line."""
    out: list[str] = []
    for match in _BASE64.finditer(text.replace("-", "+").replace("_", "/")):
        run = match[0]
        if _LOWER_HEX.fullmatch(run):
            continue  # base64 of text has capitals; digests have none
        for skip in range(min(4, len(run) - 11)):
            usable = run[skip : len(run) - (len(run) - skip) % 4] if (len(run) - skip) % 4 == 1 else run[skip:]
            decoded = binascii.a2b_base64(usable + "==")
            if _looks_like_text(decoded):
                out.append(decoded.decode("latin-1"))
    return "\n".join(out)


def _hex_decoded(text: str) -> str:
    out = []
    for match in _HEX.finditer(text):
        for run in (match[0], match[0][1:-1]):
            decoded = bytes.fromhex(run)
            if _looks_like_text(decoded):
                out.append(decoded.decode("latin-1"))
    return "\n".join(out)


def _looks_like_text(data: bytes) -> bool:
    """A labelled value in it would be a run of printable ASCII at least as long as the shortest needle."""
    return _PRINTABLE(data) is not None


# Where to look


def in_record(path: Path) -> Iterator[tuple[str, bytes]]:
    """Each request that the model server recorded: its line and headers, and its exact body."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        row = json.loads(line)
        head = "\n".join([f"{row['method']} {row['path']}", *(f"{name}: {value}" for name, value in row["headers"])])
        yield f"model server, request {number}, head", head.encode("utf-8", "replace")
        yield f"model server, request {number}, body", base64.b64decode(row["body"])


def in_database(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The bytes of every file in ``folder``, and every cell of every table (a cell may be split over pages)."""
    # All bytes first: opening a database may fold its write-ahead log into it.
    files = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    for path, data in files.items():
        yield f"database, {path.name}", data
        if data.startswith(b"SQLite format 3\x00"):
            yield f"database, {path.name}, cells", b"\n".join(_cells(path))


def _cells(path: Path) -> Iterator[bytes]:
    connection = sqlite3.connect(path)
    try:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for row in connection.execute(f'SELECT * FROM "{name}"'):  # noqa: S608 - the database's own table names
                for cell in row:
                    yield cell if isinstance(cell, bytes) else str(cell).encode("utf-8", "replace")
    finally:
        connection.close()


def in_logs(paths: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Each log file."""
    for path in paths:
        yield f"logs, {path.name}", path.read_bytes()


# What a leak could look like, for showing that the finder finds it


def planted(value: str) -> dict[str, bytes]:
    """``value`` in every form that the finder claims to see through."""
    raw = value.encode("utf-8")
    squeezed = _SEPARATORS.sub("", value)
    forms = {
        "as written": raw,
        "upper case": value.upper().encode(),
        "JSON in JSON": json.dumps(json.dumps({"v": value})).encode(),
        "all escaped": "".join(f"\\u{ord(character):04x}" for character in value).encode(),
        "percent": quote(value, safe="").encode(),
        "HTML": "".join(f"&#{ord(character)};" for character in value).encode(),
        "base64": base64.b64encode(b"note: " + raw),
        "base64url, no padding": base64.urlsafe_b64encode(raw).rstrip(b"="),
        "base64 twice": base64.b64encode(base64.b64encode(raw)),
        "hex": raw.hex().encode(),
        "repr": repr(value).encode(),
    }
    if re.fullmatch(r"\+?\d{9,}", squeezed):
        forms["other separators"] = ".".join(re.findall(".{1,3}", squeezed.lstrip("+"))).encode()
    return forms
