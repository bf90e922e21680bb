"""JSON taken apart into parts and written anew.

Parsing is RFC 8259 without its ambiguities (compare RFC 7493, I-JSON): UTF-8 only, no byte order mark, no duplicate
names, no NaN or Infinity, no lone surrogates, bounded depth, size, number length and number of values. Depth is measured
by a linear scan before the parser runs, and nothing here recurses, so nesting cannot exhaust the stack.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final, NamedTuple, NoReturn

from aiguard.errors import MalformedInput
from aiguard.types import Part, PartKind

MAX_DEPTH: Final = 64
"""Containers inside containers. Real request bodies and JSON schemas stay below 20."""
MAX_BYTES: Final = 10 * 1024 * 1024
"""Size of one document. The largest context windows hold about 4 MB of text."""
MAX_VALUES: Final = 200_000
"""Values and keys in one document, because ten megabytes of ``[],`` would become gigabytes of objects."""
MAX_STEP: Final = 200
"""Characters of a key that a pointer or a context repeats: a long key above many values must not be copied for each."""
MAX_NUMBER: Final = 308
"""Digits of one number: no double is longer when it is written out."""

GENERIC: Final = frozenset(
    {
        "actual", "content", "current", "data", "digits", "display", "formatted", "full", "latest", "no", "num", "number", "original", "plain",
        "primary", "raw", "str", "string", "text", "val", "value", "values", "#text", "$t", "$value", "@value", "_", "_text", "_value",
        "nummer", "numero", "número", "numéro", "wert", "valor", "valeur", "значение", "номер", "值", "号码", "값", "번호", "値", "番号",
    }
)  # fmt: skip
"""Keys (in small letters) that say nothing of a value by themselves: it is what the key above them says, ``{"passport": {"number": …}}``."""

Path = tuple[str | int, ...]
"""Where a value stands: object keys and array indexes from the root."""

_LONGEST_GENERIC: Final = max(map(len, GENERIC))
_OPENING: Final = ("{", "[")
_TEXT, _NUMBER, _KEY = PartKind.TEXT, PartKind.NUMBER, PartKind.KEY
_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{\]},]', re.DOTALL)
SURROGATE: Final = re.compile("[\ud800-\udfff]")
encode_text: Final[Callable[[str], str]] = json.encoder.encode_basestring


class NotJson(MalformedInput):
    """The text is not JSON at all, as opposed to JSON that is ambiguous or too large."""


class TooLarge(MalformedInput):
    """The document is beyond a limit of size; ``status`` is the HTTP status for that."""

    status: ClassVar[int] = 413


class _ExactFloat(float):
    """A number whose digits a double cannot hold; it remembers them."""

    lexeme: str


class Leaf(NamedTuple):
    """A part's place: the path of the value, or of the member that a key names."""

    path: Path
    kind: PartKind
    owner: int
    """For a key: which object it belongs to, counted in document order. Else -1."""


class JsonDocument:
    """A JSON document as parts and the text between them.

    ``value`` is the parsed tree (``dict``, ``list``, ``str``, ``int``, ``float``, ``bool``, ``None``); treat it as
    read-only, since :meth:`render` writes the parts and not the tree.
    """

    __slots__ = ("_contexts", "_glue", "_leaves", "_pointers", "_texts", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self._glue: list[str] = []
        self._leaves: list[Leaf] = []
        self._texts: list[str] = []
        self._pointers: list[str] = []
        self._contexts: list[str] = []
        self._walk()

    @classmethod
    def parse(
        cls,
        data: bytes | str,
        *,
        max_depth: int = MAX_DEPTH,
        max_bytes: int = MAX_BYTES,
        max_values: int = MAX_VALUES,
    ) -> JsonDocument:
        """Parse strictly.

        Raises:
            NotJson: the bytes are not JSON.
            MalformedInput: they are, but ambiguous (duplicate keys, NaN, lone surrogates) or beyond a limit.
        """
        text = _decode(data, max_bytes)
        _measure(text, max_depth, max_values)
        return cls(_load(text))

    @classmethod
    def of(cls, value: Any) -> JsonDocument:
        """The document of a Python tree, as strict as :meth:`parse`.

        Raises:
            MalformedInput: the tree holds something that JSON cannot say, or goes beyond a limit.
        """
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError):
            pass
        else:
            return cls.parse(text)
        raise MalformedInput("this value cannot be written as JSON")

    def parts(self) -> list[Part]:
        """Every string, key and number in document order.

        ``pointer`` is the RFC 6901 pointer of the value (of the member, for a key); ``context`` is the nearest key above
        it, behind the one above that where it is :data:`GENERIC`. Pointers hold keys, which may be content: keep them out of logs.
        """
        return [self.part(at) for at in range(len(self._leaves))]

    def part(self, at: int) -> Part:
        """The part with the number ``at``."""
        return Part(
            text=self._texts[at], pointer=self._pointers[at], kind=self._leaves[at].kind, context=self._contexts[at]
        )

    @property
    def leaves(self) -> Sequence[Leaf]:
        """Where each of :meth:`parts` stands, as a path and not as a pointer."""
        return self._leaves

    @property
    def texts(self) -> Sequence[str]:
        """The text of each of :meth:`parts`."""
        return self._texts

    def render(self, texts: Sequence[str | None]) -> bytes:
        """The document with some parts replaced: compact, UTF-8, aligned to :meth:`parts`, ``None`` means unchanged.

        A number whose text changed becomes a string.

        Raises:
            MalformedInput: two keys of one object became equal, or a text holds a lone surrogate.
            ValueError: ``texts`` is not as long as ``parts()``.
        """
        if len(texts) != len(self._leaves):
            raise ValueError(f"render needs {len(self._leaves)} texts, one for each part, not {len(texts)}")
        out: list[str] = []
        seen: dict[int, set[str]] = {}
        for index, leaf in enumerate(self._leaves):
            out.append(self._glue[index])
            old = self._texts[index]
            new = texts[index]
            text = old if new is None else new
            if leaf.kind is PartKind.NUMBER and text == old:
                out.append(text)
                continue
            if leaf.kind is PartKind.KEY:
                names = seen.setdefault(leaf.owner, set())
                if text in names:
                    raise MalformedInput("two keys of one object are equal after replacement, so a value would be lost")
                names.add(text)
            out.append(encode_text(text))
        out.append(self._glue[-1])
        return _to_utf8("".join(out))

    def _walk(self) -> None:
        """Fill the parts and the glue between them, in document order, with a stack of our own."""
        gaps, leaves, texts, pointers, contexts = self._glue, self._leaves, self._texts, self._pointers, self._contexts
        # Of each open container: its members, its number if it is an object, its path, its pointer, and the context in it.
        stack: list[tuple[Iterator[tuple[Any, Any]], int, Path, str, str]] = []
        value: Any = self.value
        path: Path = ()
        at = context = glue = ""
        owner = -1
        while True:
            if isinstance(value, str):
                gaps.append(glue)
                leaves.append(Leaf(path, _TEXT, -1))
                texts.append(value)
                pointers.append(at)
                contexts.append(context)
                glue = ""
            elif value is None or value is True or value is False:
                glue += "null" if value is None else "true" if value else "false"
            elif isinstance(value, int | float):
                gaps.append(glue)
                leaves.append(Leaf(path, _NUMBER, -1))
                texts.append(number_text(value))
                pointers.append(at)
                contexts.append(context)
                glue = ""
            elif isinstance(value, dict) or isinstance(value, Mapping):  # noqa: SIM101 - the first is quick
                owner += 1
                stack.append((iter(value.items()), owner, path, at, context))
                glue += "{"
            elif isinstance(value, list | tuple):
                stack.append((iter(enumerate(value)), -1, path, at, context))
                glue += "["
            else:
                raise MalformedInput("this value cannot be written as JSON")
            while stack:
                members, number, above, at, context = stack[-1]
                member = next(members, None)
                if member is not None:
                    break
                stack.pop()
                glue += "]" if number < 0 else "}"
            else:
                break
            step, value = member
            path = (*above, step)
            if glue[-1:] not in _OPENING:
                glue += ","
            if number < 0:
                at = f"{at}/{step}"
                continue
            at = f"{at}/{_step(step)}"
            gaps.append(glue)
            leaves.append(Leaf(path, _KEY, number))
            texts.append(step)
            pointers.append(at)
            contexts.append(context)
            glue, context = ":", _said(context, step)
        gaps.append(glue)

    def __repr__(self) -> str:
        return f"JsonDocument(parts={len(self._leaves)})"


def pointer(path: Path) -> str:
    """The RFC 6901 pointer of a path, each step cut at :data:`MAX_STEP` characters: it says where, and identifies nothing."""
    return "".join(f"/{step}" if isinstance(step, int) else f"/{_step(step)}" for step in path)


def _step(key: str) -> str:
    """A key as a step of a pointer."""
    if len(key) > MAX_STEP:
        key = key[:MAX_STEP]
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key


def context_of(leaf: Leaf) -> str:
    """The context of :meth:`JsonDocument.parts`: the nearest object key above the value (above the member, for a key), or ``""``."""
    path = leaf.path[:-1] if leaf.kind is PartKind.KEY else leaf.path
    keys = [step for step in path if isinstance(step, str)]
    first = len(keys) - 1
    while first > 0 and _generic(keys[first]):
        first -= 1
    context = ""
    for key in keys[max(first, 0) :]:
        context = _said(context, key)
    return context


def _generic(key: str) -> bool:
    return key.isdecimal() or (len(key) <= _LONGEST_GENERIC and key.lower() in GENERIC)


def _said(above: str, key: str) -> str:
    """What a key says of the value under it, ``above`` being what is said of its object."""
    return f"{above[:MAX_STEP]} {key[:MAX_STEP]}" if above and _generic(key) else key[:MAX_STEP]


def number_text(value: float) -> str:
    """How a number is written: plain decimal digits, so that a recognizer reads what a model would.

    An exponent is written out when that takes at most 40 digits; a float keeps a ``.`` so that it stays one.
    """
    if isinstance(value, _ExactFloat):
        return value.lexeme
    if isinstance(value, int):
        return int.__repr__(value)
    return _plain(float.__repr__(value))


def _plain(lexeme: str) -> str:
    if "e" not in lexeme and "E" not in lexeme:
        return lexeme
    number = Decimal(lexeme)
    if not -40 <= number.adjusted() <= 40:
        return lexeme
    written = format(number, "f")
    if len(written) > MAX_NUMBER:
        return lexeme
    return written if "." in written else written + ".0"


def _decode(data: bytes | str, max_bytes: int) -> str:
    too_large = len(data) > max_bytes
    if isinstance(data, str):
        encoded = _to_utf8(data) if not too_large else b""
        too_large = too_large or len(encoded) > max_bytes
        text: str | None = data
    else:
        try:
            text = data.decode("utf-8") if not too_large else None
        except UnicodeDecodeError:
            text = None
    if too_large:
        raise TooLarge(f"the document is larger than {max_bytes} bytes")
    if text is None:
        raise MalformedInput("the document is not valid UTF-8")
    if text.startswith("\ufeff"):
        raise MalformedInput("the document starts with a byte order mark; send UTF-8 without one")
    return text


def _measure(text: str, max_depth: int, max_values: int) -> None:
    """Refuse depth and number of values before anything is built. Linear in the text."""
    if len(text) <= max_values and text.count("[") + text.count("{") <= max_depth:
        return  # it cannot hold more
    depth = 0
    values = 1
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in "[{":
            depth += 1
            values += 1
            if depth > max_depth:
                raise MalformedInput(f"the document nests deeper than {max_depth} levels")
        elif first in "]}":
            depth -= 1
        else:
            values += 1
        if values > max_values:
            raise TooLarge(f"the document holds more than {max_values} values")


def _load(text: str) -> Any:
    # Built outside the except block: the decoder's exception carries the document, and must not become a context.
    problem: str
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        problem = f"the document is not JSON: it goes wrong at character {error.pos}"
    except RecursionError:
        problem = "the document nests too deeply"
    else:
        if SURROGATE.search(text) is None and "\\u" not in text:
            return value
        if not _holds_surrogate(value):
            return value
        raise MalformedInput("the document holds half of a surrogate pair, which no UTF-8 can carry")
    raise NotJson(problem)


def _holds_surrogate(value: Any) -> bool:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if SURROGATE.search(item) is not None:
                return True
        elif isinstance(item, dict):
            stack.extend(item.keys())
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise MalformedInput("an object names the same key twice, and parsers differ on which one counts")
    return made


def integer(lexeme: str) -> int:
    """The value of a whole number; :class:`~aiguard.errors.MalformedInput` for one that is too long."""
    if len(lexeme) > MAX_NUMBER:
        raise MalformedInput(f"a number is longer than {MAX_NUMBER} digits")
    return int(lexeme)


def decimal(lexeme: str) -> float:
    """The value of another number, which remembers digits that a double cannot hold; refused where it is too long or too large."""
    if len(lexeme) > MAX_NUMBER:
        raise MalformedInput(f"a number is longer than {MAX_NUMBER} digits")
    value = float(lexeme)
    if value in (float("inf"), float("-inf")):
        raise MalformedInput("a number is larger than any double, and parsers differ on what it means")
    if Decimal(lexeme) == Decimal(float.__repr__(value)):
        return value
    exact = _ExactFloat(value)
    exact.lexeme = _plain(lexeme)
    return exact


def _constant(_name: str) -> NoReturn:
    raise MalformedInput("NaN and Infinity are not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=integer,
    parse_float=decimal,
    parse_constant=_constant,
)


def _to_utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        pass
    raise MalformedInput("a text holds half of a surrogate pair, which no UTF-8 can carry")
