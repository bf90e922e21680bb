"""The words in which a wire format says what a body looks like.

A :class:`Check` looks at one value. What it proves to be from a closed set (a known field name, an enum, a bounded count)
is *structure*; everything else in the document stays a part. So a field that nobody described can be refused (requests)
or scanned (answers), but never overlooked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from aiguard.framing.jsontree import (
    JsonDocument,
    Leaf,
    NotJson,
    Path,
    context_of,
    pointer,
)
from aiguard.providers.errors import UnknownShape, safe_name
from aiguard.types import Part, PartKind

Channel = Literal["prose", "tool", "meta"]

IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}\Z")
"""Ids of calls, messages and items. Still parts, because an id can be anything that fits."""
NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}\Z")
"""Names of functions, tools and schemas."""
MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}\Z")
"""Model ids, dated and fine-tuned and namespaced ones included."""
MAX_TOKENS: Final = 10_000_000
"""Upper bound of a token count, so that a count cannot hold a card or phone number."""

_ESCAPE: Final = re.compile(r"\\u([0-9A-Fa-f]{4})")


@dataclass(frozen=True, slots=True)
class Mark:
    """Who wrote a value and where it is headed."""

    role: str = ""
    trusted: bool = False
    channel: Channel = "meta"


class Reader:
    """What the checks have learned about one document."""

    __slots__ = ("marks", "nested", "structure")

    def __init__(self) -> None:
        self.structure: set[tuple[Path, PartKind]] = set()
        self.marks: dict[Path, Mark] = {}
        self.nested: set[Path] = set()

    def mark_for(self, path: Path) -> Mark:
        """The mark of the nearest value above, or a plain one."""
        for length in range(len(path), -1, -1):
            mark = self.marks.get(path[:length])
            if mark is not None:
                return mark
        return Mark()


Check = Callable[[Reader, Any, Path, Mark], None]


def free(reader: Reader, _value: Any, path: Path, mark: Mark) -> None:
    """Any JSON: every string, key and number in it is a part."""
    reader.marks[path] = mark


def text(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
    """A string that people or models wrote."""
    if not isinstance(value, str):
        raise _wrong(path, "is not a string")
    reader.marks[path] = mark


def json_text(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
    """A string that may hold JSON: if it does, the leaves inside are the parts."""
    text(reader, value, path, mark)
    reader.nested.add(path)


def boolean(_reader: Reader, value: Any, path: Path, _mark: Mark) -> None:
    """``true`` or ``false``."""
    if not isinstance(value, bool):
        raise _wrong(path, "is not true or false")


def number(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
    """A number; it stays a part."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(path, "is not a number")
    reader.marks[path] = mark


def count(low: int, high: int) -> Check:
    """A whole number within bounds that leave no room for content: structure."""

    def check(reader: Reader, value: Any, path: Path, _mark: Mark) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _wrong(path, f"is not a whole number from {low} to {high}")
        reader.structure.add((path, PartKind.NUMBER))

    return check


def enum(*choices: str) -> Check:
    """One of a closed set of strings: structure."""

    def check(reader: Reader, value: Any, path: Path, _mark: Mark) -> None:
        if not isinstance(value, str) or value not in choices:
            raise _wrong(path, "is not one of the values that are supported")
        reader.structure.add((path, PartKind.TEXT))

    return check


def only(wanted: Literal[False] | None, *, why: str) -> Check:
    """Exactly ``false`` or ``null``."""

    def check(_reader: Reader, value: Any, path: Path, _mark: Mark) -> None:
        if value is not wanted:
            raise _wrong(path, f"is refused: {why}")

    return check


def matching(pattern: re.Pattern[str]) -> Check:
    """A string of a narrow charset. It stays a part."""

    def check(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
        if not isinstance(value, str) or not pattern.match(value):
            raise _wrong(path, "holds characters that are not allowed there")
        reader.marks[path] = replace(mark, channel="meta")

    return check


def model(reader: Reader, value: Any, path: Path, _mark: Mark) -> None:
    """A model id: structure, because the policy lists the models that may be asked."""
    if not isinstance(value, str) or not MODEL.match(value):
        raise _wrong(path, "holds characters that are not allowed there")
    reader.structure.add((path, PartKind.TEXT))


def optional(check: Check) -> Check:
    """``null``, or what ``check`` says."""

    def maybe(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
        if value is not None:
            check(reader, value, path, mark)

    return maybe


def array(item: Check) -> Check:
    """A list of what ``item`` says."""

    def check(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
        if not isinstance(value, list):
            raise _wrong(path, "is not a list")
        for position, entry in enumerate(value):
            item(reader, entry, (*path, position), mark)

    return check


def either(
    *,
    string: Check | None = None,
    items: Check | None = None,
    fields: Check | None = None,
) -> Check:
    """A choice by JSON type: string, list or object."""
    kinds: dict[type, Check | None] = {str: string, list: items, dict: fields}

    def check(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
        chosen = kinds.get(type(value))
        if chosen is None:
            raise _wrong(path, "has a type that is not supported")
        chosen(reader, value, path, mark)

    return check


def record(
    required: Mapping[str, Check] | None = None,
    allowed: Mapping[str, Check] | None = None,
    refused: Mapping[str, str] | None = None,
) -> Check:
    """An object with known fields only. ``refused`` gives a reason where one helps; a refused field may be ``null``."""
    need = dict(required or {})
    know = need | dict(allowed or {})
    reasons = dict(refused or {})

    def check(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
        if not isinstance(value, dict):
            raise _wrong(path, "is not an object")
        for name in need:
            if name not in value:
                raise UnknownShape(f"{_place(path)} lacks the field {name!r}")
        for name, inner in value.items():
            here = (*path, name)
            known = know.get(name)
            if known is not None:
                known(reader, inner, here, mark)
            elif name in reasons:
                if inner is not None:
                    raise _wrong(here, f"is refused: {reasons[name]}")
            else:
                raise UnknownShape(f"{_place(path)} has a field that is not supported: {safe_name(name)}")
            reader.structure.add((here, PartKind.KEY))

    return check


def marked(check: Check, **changes: Any) -> Check:
    """``check`` with another role, trust or channel from here down."""

    def with_mark(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
        check(reader, value, path, replace(mark, **changes))

    return with_mark


def by_field(name: str, kinds: Mapping[str, Check], *, absent: str | None = None, why: str = "") -> Check:
    """An object whose ``type`` or ``role`` says which check applies."""

    def check(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
        if not isinstance(value, dict):
            raise _wrong(path, "is not an object")
        kind = value.get(name, absent)
        chosen = kinds.get(kind) if isinstance(kind, str) else None
        if chosen is None:
            shown = safe_name(kind)
            raise UnknownShape(f"{_place(path)} has a {name} that is not supported: {shown}{why and '; ' + why}")
        chosen(reader, value, path, mark)

    return check


def known(fields: Mapping[str, Check]) -> Check:
    """An answer's object: known fields are read where they fit, and everything else is scanned as ``meta``."""

    def check(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
        reader.marks.setdefault(path, replace(mark, channel="meta"))
        if not isinstance(value, dict):
            return
        for name, inner in fields.items():
            if name in value:
                here = (*path, name)
                reader.structure.add((here, PartKind.KEY))
                inner(reader, value[name], here, mark)

    return check


def where_fits(check: Check) -> Check:
    """``check`` in an answer: a value that does not fit is scanned as ``meta`` and not refused."""

    def soft(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
        try:
            check(reader, value, path, mark)
        except UnknownShape:
            reader.marks[path] = replace(mark, channel="meta")

    return soft


def each(item: Check) -> Check:
    """Every entry of an answer's list; what is not a list is scanned as ``meta``."""

    def check(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
        if isinstance(value, list):
            for position, entry in enumerate(value):
                item(reader, entry, (*path, position), mark)
        else:
            reader.marks[path] = replace(mark, channel="meta")

    return check


class Body:
    """A document as the parts that a stage has to look at: structure left out, JSON inside strings opened."""

    __slots__ = ("_document", "_slots", "parts")

    def __init__(self, document: JsonDocument, reader: Reader) -> None:
        self._document = document
        self._slots: list[tuple[int, JsonDocument | None, int]] = []
        """For each leaf that is not structure: its index, the document inside it, and how many parts it has."""
        parts: list[Part] = []
        for index, (leaf, content) in enumerate(zip(document.leaves, document.texts, strict=True)):
            if (leaf.path, leaf.kind) in reader.structure:
                continue
            mark = reader.mark_for(leaf.path)
            here = pointer(leaf.path)
            inner = _inside(content) if leaf.kind is PartKind.TEXT and leaf.path in reader.nested else None
            if inner is None:
                shown = _unescaped(content) if leaf.path in reader.nested else content
                parts.append(_part(shown, here, leaf.kind, _context(reader, leaf), mark))
                self._slots.append((index, None, 1))
                continue
            parts.extend(_part(part.text, here + part.pointer, part.kind, part.context, mark) for part in inner.parts())
            self._slots.append((index, inner, len(inner.leaves)))
        self.parts = tuple(parts)

    def render(self, texts: Sequence[str | None]) -> bytes:
        """The document with its parts replaced, as :meth:`JsonDocument.render` does it."""
        if len(texts) != len(self.parts):
            raise ValueError(f"render needs {len(self.parts)} texts, one for each part, not {len(texts)}")
        full: list[str | None] = [None] * len(self._document.leaves)
        at = 0
        for index, inner, width in self._slots:
            given = texts[at : at + width]
            if inner is not None:
                full[index] = inner.render(given).decode("utf-8")
            else:
                full[index] = self.parts[at].text if given[0] is None else given[0]
            at += width
        return self._document.render(full)


def read(check: Check, document: JsonDocument) -> Body:
    """Apply ``check`` to the whole document.

    Raises:
        MalformedInput: the document, or JSON inside one of its strings, cannot be read in full.
    """
    reader = Reader()
    check(reader, document.value, (), Mark())
    return Body(document, reader)


def _inside(content: str) -> JsonDocument | None:
    """The object or list inside a string. Ambiguous JSON is refused; what is not JSON is text."""
    if not content.lstrip(" \t\r\n").startswith(("{", "[")):
        return None
    try:
        return JsonDocument.parse(content)
    except NotJson:
        return None


def _unescaped(content: str) -> str:
    """Broken JSON (cut off, say) with escaped printable characters written out, so that nothing hides there."""

    def plain(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character.isprintable() and character not in '"\\' else match[0]

    return _ESCAPE.sub(plain, content) if "\\u" in content else content


def _part(content: str, where: str, kind: PartKind, context: str, mark: Mark) -> Part:
    return Part(
        text=content,
        pointer=where,
        kind=kind,
        role=mark.role,
        trusted=mark.trusted,
        context=context,
        channel=mark.channel,
    )


def _context(reader: Reader, leaf: Leaf) -> str:
    """The nearest key above, unless it is a field name of the wire format, which says nothing about the value."""
    path = leaf.path[:-1] if leaf.kind is PartKind.KEY else leaf.path
    while path and not isinstance(path[-1], str):
        path = path[:-1]
    return "" if (path, PartKind.KEY) in reader.structure else context_of(leaf)


def _place(path: Path) -> str:
    names = [step for step in path if isinstance(step, str)]
    return f"the field {safe_name(names[-1])}" if names else "the body"


def _wrong(path: Path, what: str) -> UnknownShape:
    return UnknownShape(f"{_place(path)} {what}")
