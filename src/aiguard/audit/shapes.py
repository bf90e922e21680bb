"""What an event's payload must hold, for types that say so: names, each with its kind.

The door of the log (``payload``) keeps out what could be text of a person; a shape says more: what has to be there, and that nothing else
is. A message names the field and the kind that was wanted, never the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,127}\Z")
_ID: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")
_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}\Z")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00))?\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of value: how it is called in a message, and what is of it."""

    called: str
    fits: Callable[[Any], bool]


def _text(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.match(value) is not None


def one_of(*words: str) -> Kind:
    """One of these words."""
    return Kind(called=f"one of {', '.join(words)}", fits=lambda value: isinstance(value, str) and value in words)


def some(kind: Kind) -> Kind:
    """A list of values of a kind."""
    return Kind(
        called=f"a list, each of it {kind.called}",
        fits=lambda value: isinstance(value, (list, tuple)) and all(map(kind.fits, value)),
    )


ID: Final = Kind(called="an id", fits=_text(_ID))
NAME: Final = Kind(called="a name", fits=_text(_NAME))
HASH: Final = Kind(called="`sha256:` and 64 hex digits", fits=_text(_HASH))
INSTANT: Final = Kind(called="a date or an instant in UTC", fits=_text(_INSTANT))
COUNT: Final = Kind(
    called="a count", fits=lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0
)
COUNTS: Final = Kind(
    called="an object of counts", fits=lambda value: isinstance(value, Mapping) and all(map(COUNT.fits, value.values()))
)
SENTENCE: Final = Kind(called="a sentence", fits=lambda value: isinstance(value, str))
"""What may stand in it is said by ``payload.SENTENCES``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The fields of a payload. ``parent`` may always be there: it is the decision that the event was made under."""

    required: Mapping[str, Kind]
    optional: Mapping[str, Kind]

    def fault(self, payload: Mapping[str, Any]) -> str:
        """What is wrong with a payload, or an empty text."""
        for name, kind in self.required.items():
            if name not in payload:
                return f"lacks {name}, {kind.called}"
            if not kind.fits(payload[name]):
                return f"holds a {name} that is not {kind.called}"
        for name, value in payload.items():
            if name in self.required:
                continue
            wanted = ID if name == "parent" else self.optional.get(name)
            if wanted is None:
                return f"holds more than {', '.join((*self.required, *self.optional))}"
            if not wanted.fits(value):
                return f"holds a {name} that is not {wanted.called}"
        return ""


def shape(required: Mapping[str, Kind], /, **optional: Kind) -> Shape:
    """A shape with these fields."""
    return Shape(required=MappingProxyType(dict(required)), optional=MappingProxyType(optional))
