"""A JSON document read while it arrives, cut anywhere: what :class:`~aiguard.framing.jsontree.JsonDocument` makes of the whole.

It is as strict, refuses what that refuses as soon as it stands there, and holds the key, number or escape that is not complete yet, the
keys of the objects that are open, and no more. A string may be as long as it likes: it comes out in pieces.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, NamedTuple

from aiguard.errors import MalformedInput
from aiguard.framing.jsontree import (
    MAX_DEPTH,
    MAX_NUMBER,
    MAX_VALUES,
    SURROGATE,
    Leaf,
    NotJson,
    Path,
    TooLarge,
    decimal,
    integer,
    number_text,
)
from aiguard.types import PartKind

_BLANK: Final = re.compile(r"[ \t\n\r]*+")
_WORD: Final = re.compile(r"[A-Za-z]*+")
_WORDS: Final = frozenset({"true", "false", "null"})
_LONGEST_WORD: Final = 8
_FIGURES: Final = re.compile(r"[-+.0-9eE]++")
_NUMBER: Final = re.compile(r"(-?(?:0|[1-9][0-9]*+))(\.[0-9]++)?([eE][-+]?[0-9]++)?")
_STRING: Final = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"', re.DOTALL)
_UNITS: Final = re.compile(r'[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})[^"\\\x00-\x1f]*+)*+')
_OPEN_ESCAPE: Final = re.compile(r"\\(?:u[0-9A-Fa-f]{0,3})?")
_ESCAPE_LENGTH: Final = 6


class Glue(NamedTuple):
    """What stands between the leaves: punctuation, and the words that are no content."""

    text: str


class Whole(NamedTuple):
    """A key, a number, or a string that was there at once."""

    leaf: Leaf
    text: str


class Piece(NamedTuple):
    """The next characters of a string that arrives in pieces; ``last`` at its end."""

    leaf: Leaf
    text: str
    last: bool


class Left(NamedTuple):
    """The end of the container at ``path``; ``owner`` is its number where it is an object, else -1."""

    path: Path
    owner: int


Token = Glue | Whole | Piece | Left

_COMMA: Final = Glue(",")
_COLON: Final = Glue(":")


class _Awaits(Enum):
    VALUE = auto()
    FIRST_VALUE = auto()
    KEY = auto()
    FIRST_KEY = auto()
    COLON = auto()
    NEXT = auto()
    END = auto()


class _Container:
    """An array or an object that is open."""

    __slots__ = ("child", "index", "names", "owner", "path")

    def __init__(self, path: Path, owner: int) -> None:
        self.path = path
        self.owner = owner
        self.names: set[str] = set()
        self.index = 0
        self.child: Path = ()


class JsonReader:
    """``feed(text)`` for each chunk, then ``finish()``; both give the tokens that are complete.

    Raises:
        NotJson: what has arrived is not the beginning of a document, or not all of one.
        MalformedInput: it is ambiguous (duplicate keys, NaN, lone surrogates) or beyond a limit. The reader has ended then.
    """

    def __init__(self, *, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES) -> None:
        self._max_depth = max_depth
        self._max_values = max_values
        self._open: list[_Container] = []
        self._awaits = _Awaits.VALUE
        self._left = ""
        self._begun = False
        self._string: Leaf | None = None  # that is arriving in pieces
        self._key: list[str] | None = None  # likewise
        self._values = 1
        self._objects = 0

    def __repr__(self) -> str:
        return f"JsonReader(depth={len(self._open)})"

    def feed(self, text: str) -> Iterator[Token]:
        """The tokens that the chunk completed, and the pieces of strings that are in it. Take all of them before the next chunk."""
        if not self._begun and text:
            self._begun = True
            if text.startswith("\ufeff"):
                raise MalformedInput("the document starts with a byte order mark; send UTF-8 without one")
        yield from self._read(self._left + text, last=False)

    def finish(self) -> Iterator[Token]:
        """The rest."""
        yield from self._read(self._left, last=True)
        if self._left or self._awaits is not _Awaits.END:
            raise NotJson("the document is not JSON: it ends before it is complete")

    def _read(self, data: str, *, last: bool) -> Iterator[Token]:
        at, size = 0, len(data)
        while True:
            if self._string is not None or self._key is not None:
                at, token = self._go_on(data, at)
                if token is not None:
                    yield token
                if self._string is not None or self._key is not None:
                    break
                continue
            if at < size and data[at] in " \t\n\r":
                at = _end(_BLANK, data, at)
            if at == size:
                break
            char, awaits = data[at], self._awaits
            if awaits is _Awaits.NEXT and char == "," and self._open:
                self._count()
                self._awaits = _Awaits.VALUE if self._open[-1].owner < 0 else _Awaits.KEY
                at += 1
                yield _COMMA
            elif awaits is _Awaits.COLON and char == ":":
                self._awaits = _Awaits.VALUE
                at += 1
                yield _COLON
            elif char == "]" or char == "}":  # noqa: PLR1714 - it is asked of every character
                container = self._leave(char)
                at += 1
                yield Glue(char)
                yield Left(container.path, container.owner)
            elif awaits is _Awaits.VALUE or awaits is _Awaits.FIRST_VALUE:
                end, token = self._value(data, at, last=last)
                if end == at:
                    break
                at = end
                if token is not None:
                    yield token
            elif char == '"' and (awaits is _Awaits.KEY or awaits is _Awaits.FIRST_KEY):
                self._count()
                whole = _STRING.match(data, at)
                if whole is None:
                    self._key = []
                    at += 1
                else:
                    at = whole.end()
                    yield self._named(_text_of(whole[0]))
            else:
                raise _not_json()
        self._left = data[at:]

    # --- structure ----------------------------------------------------------------------------------------------

    def _leave(self, char: str) -> _Container:
        """The container that ends here."""
        if self._awaits not in (_Awaits.NEXT, _Awaits.FIRST_VALUE, _Awaits.FIRST_KEY) or not self._open:
            raise _not_json()
        container = self._open.pop()
        if (char == "]") != (container.owner < 0):
            raise _not_json()
        self._after_value()
        return container

    def _named(self, key: str) -> Whole:
        container = self._open[-1]
        if key in container.names:
            raise MalformedInput("an object names the same key twice, and parsers differ on which one counts")
        container.names.add(key)
        container.child = (*container.path, key)
        self._awaits = _Awaits.COLON
        return Whole(Leaf(container.child, PartKind.KEY, container.owner), key)

    def _after_value(self) -> None:
        self._awaits = _Awaits.NEXT if self._open else _Awaits.END

    def _count(self) -> None:
        self._values += 1
        if self._values > self._max_values:
            raise TooLarge(f"the document holds more than {self._max_values} values")

    # --- values -------------------------------------------------------------------------------------------------

    def _value(self, data: str, at: int, *, last: bool) -> tuple[int, Token | None]:
        """Where the value at ``at``, or what can be read of it, ends; ``at`` itself while too little of it is there."""
        char = data[at]
        if char in "{[":
            return at + 1, self._enter(char)
        if char == '"':
            self._count()
            leaf = Leaf(self._place(), PartKind.TEXT, -1)
            whole = _STRING.match(data, at)
            if whole is None:
                self._string = leaf
                return at + 1, None
            self._after_value()
            return whole.end(), Whole(leaf, _text_of(whole[0]))
        if char in "-0123456789":
            end = _end(_FIGURES, data, at)
            if end - at > MAX_NUMBER:
                raise MalformedInput(f"a number is longer than {MAX_NUMBER} digits")
            if end == len(data) and not last:
                return at, None
            leaf = Leaf(self._place(), PartKind.NUMBER, -1)
            self._after_value()
            return end, Whole(leaf, _number(data[at:end]))
        end = _end(_WORD, data, at)
        if end == len(data) and end - at <= _LONGEST_WORD and end > at and not last:
            return at, None
        word = data[at:end]
        if word not in _WORDS:
            if word in ("NaN", "Infinity"):
                raise MalformedInput("NaN and Infinity are not JSON")
            raise _not_json()
        self._place()
        self._after_value()
        return end, Glue(word)

    def _place(self) -> Path:
        """The path of the value that begins here."""
        if not self._open:
            return ()
        container = self._open[-1]
        if container.owner >= 0:
            return container.child
        container.index += 1
        return (*container.path, container.index - 1)

    def _enter(self, char: str) -> Token:
        self._count()
        if len(self._open) >= self._max_depth:
            raise MalformedInput(f"the document nests deeper than {self._max_depth} levels")
        owner = -1
        if char == "{":
            owner, self._objects = self._objects, self._objects + 1
        self._open.append(_Container(self._place(), owner))
        self._awaits = _Awaits.FIRST_KEY if char == "{" else _Awaits.FIRST_VALUE
        return Glue(char)

    # --- strings in pieces --------------------------------------------------------------------------------------

    def _go_on(self, data: str, at: int) -> tuple[int, Token | None]:
        units = _UNITS.match(data, at)
        assert units is not None
        end = units.end()
        closed = data[end : end + 1] == '"'
        if not closed and end < len(data) and not _OPEN_ESCAPE.fullmatch(data, end):
            raise _not_json()
        text = _decoded(units[0])
        if not closed and text and "\ud800" <= text[-1] <= "\udbff":  # its other half may follow
            text, end = text[:-1], end - _ESCAPE_LENGTH
        _check_surrogates(text)
        rest = end + 1 if closed else end
        if self._key is not None:
            self._key.append(text)
            if not closed:
                return rest, None
            key, self._key = "".join(self._key), None
            return rest, self._named(key)
        leaf = self._string
        assert leaf is not None
        if closed:
            self._string = None
            self._after_value()
        return rest, Piece(leaf, text, closed) if text or closed else None


def _end(pattern: re.Pattern[str], data: str, at: int) -> int:
    found = pattern.match(data, at)
    return at if found is None else found.end()


def _not_json() -> NotJson:
    return NotJson("the document is not JSON")


def _text_of(literal: str) -> str:
    """The text of a JSON string with its quotes."""
    if "\\" not in literal:
        return literal[1:-1]
    text = _decoded(literal[1:-1])
    _check_surrogates(text)
    return text


def _decoded(raw: str) -> str:
    if "\\" not in raw:
        return raw
    try:
        return str(json.loads(f'"{raw}"'))
    except ValueError:
        pass
    raise _not_json()


def _check_surrogates(text: str) -> None:
    if SURROGATE.search(text) is not None:
        raise MalformedInput("the document holds half of a surrogate pair, which no UTF-8 can carry")


def _number(lexeme: str) -> str:
    parts = _NUMBER.fullmatch(lexeme)
    if parts is None:
        raise _not_json()
    return number_text(integer(lexeme) if parts[2] is None and parts[3] is None else decimal(lexeme))
