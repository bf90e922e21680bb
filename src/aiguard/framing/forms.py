"""``application/x-www-form-urlencoded`` bodies taken apart into parts and written anew.

Strict where browsers are lenient: a broken percent escape, a byte that is not ASCII, or text that is not UTF-8 is refused.
Fields keep their order and may repeat (WHATWG URL standard, section 5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote_plus, unquote_to_bytes

from aiguard.errors import MalformedInput
from aiguard.framing.jsontree import TooLarge
from aiguard.types import Part, PartKind

MAX_BYTES: Final = 10 * 1024 * 1024
"""Size of one form body, as for JSON."""
MAX_FIELDS: Final = 1000
"""Fields in one form, as web frameworks limit them."""

_BROKEN: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})|[^!-~]")


class FormDocument:
    """A form as an ordered list of fields; ``parts()`` alternates name and value."""

    __slots__ = ("fields",)

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        self.fields: tuple[tuple[str, str], ...] = tuple(fields)

    @classmethod
    def parse(cls, data: bytes, *, max_bytes: int = MAX_BYTES, max_fields: int = MAX_FIELDS) -> FormDocument:
        """Parse strictly.

        Raises:
            MalformedInput: the bytes are not a form, are not UTF-8 once decoded, or go beyond a limit.
        """
        if len(data) > max_bytes:
            raise TooLarge(f"the form is larger than {max_bytes} bytes")
        if data.count(b"&") >= max_fields:
            raise TooLarge(f"the form has more than {max_fields} fields")
        broken = _BROKEN.search(data)
        if broken is not None:
            raise MalformedInput(f"the form is not URL-encoded: it goes wrong at byte {broken.start()}")
        fields: list[tuple[str, str]] = []
        for number, pair in enumerate(data.split(b"&")):
            if not pair:
                continue
            name, _, value = pair.partition(b"=")
            fields.append((_decode(name, number), _decode(value, number)))
        return cls(fields)

    def parts(self) -> list[Part]:
        """Name, value, name, value …; ``pointer`` is the field's position, ``context`` of a value is its name."""
        parts: list[Part] = []
        for number, (name, value) in enumerate(self.fields):
            parts.append(Part(text=name, pointer=f"/{number}", kind=PartKind.KEY))
            parts.append(Part(text=value, pointer=f"/{number}", context=name))
        return parts

    def render(self, texts: Sequence[str | None]) -> bytes:
        """The form with some parts replaced, aligned to :meth:`parts`; ``None`` means unchanged.

        Raises:
            MalformedInput: a text holds a lone surrogate.
            ValueError: ``texts`` is not as long as ``parts()``.
        """
        if len(texts) != 2 * len(self.fields):
            raise ValueError(f"render needs {2 * len(self.fields)} texts, one for each part, not {len(texts)}")
        pairs: list[str] = []
        for number, (name, value) in enumerate(self.fields):
            new_name, new_value = texts[2 * number], texts[2 * number + 1]
            pairs.append(
                _encode(name if new_name is None else new_name)
                + "="
                + _encode(value if new_value is None else new_value)
            )
        return "&".join(pairs).encode("ascii")

    def __repr__(self) -> str:
        return f"FormDocument(fields={len(self.fields)})"


def _decode(raw: bytes, number: int) -> str:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        pass
    raise MalformedInput(f"field {number} of the form is not valid UTF-8")


def _encode(text: str) -> str:
    try:
        return quote_plus(text)
    except UnicodeEncodeError:
        pass
    raise MalformedInput("a text holds half of a surrogate pair, which no UTF-8 can carry")
