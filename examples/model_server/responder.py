"""What the local model server answers: a pure function of what it was asked."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

INVENTED_ADDRESS = "refunds.desk@helpline-demo.com"
"""Made up by the responder in some answers; nobody gave it to the application, so output rules must deal with it."""

_TOKEN = re.compile(r"\[[A-Z][A-Z_]*_[0-9A-HJKMNP-TV-Z]{8,}\]")
_ORDER = re.compile(r"\bORD-[0-9A-Z]{4,12}\b")
_DIRECTIVE = re.compile(r"#model:([a-z-]+)(?:=([^\s#]+))?")
_WORD = re.compile(r"\S+\s*")


@dataclass(frozen=True, kw_only=True)
class Directive:
    """A fault or a special answer that the prompt asks for, as ``#model:name`` or ``#model:name=value``."""

    name: str
    value: str = ""

    def seconds(self, default: float) -> float:
        """The value as a number of seconds, at most 120."""
        try:
            return min(float(self.value), 120.0)
        except ValueError:
            return default


def directive(text: str) -> Directive | None:
    """The first directive in ``text``."""
    match = _DIRECTIVE.search(text)
    return Directive(name=match[1], value=match[2] or "") if match else None


def invents(text: str) -> bool:
    """Whether the answer to ``text`` contains the invented address: one in five, by the text's hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[0] % 5 == 0


def answer(text: str) -> str:
    """The answer to a user's ``text``: same text, same answer."""
    asked = directive(text)
    if asked is not None and asked.name == "say":
        return asked.value.replace("_", " ")
    order = _ORDER.search(text)
    lines = [f"Thank you for your message{f' about {order[0]}' if order else ''}."]
    tokens = list(dict.fromkeys(_TOKEN.findall(text)))
    if tokens:
        lines.append(f"I have noted these details: {', '.join(tokens)}.")
    opening = " ".join(text.split())[:160]
    lines.append(f"You wrote: “{opening}”")
    lines.append("A colleague will look at it and answer within one working day.")
    if invents(text):
        lines.append(f"For refunds you can also write to {INVENTED_ADDRESS}.")
    return "\n\n".join(lines)


def pieces(text: str) -> list[str]:
    """``text`` in pieces of one word, the responder's tokens. Joined they are the text."""
    return _WORD.findall(text) or ([text] if text else [])


def shorten(text: str, limit: int | None) -> tuple[str, bool]:
    """``text`` cut to ``limit`` pieces, and whether anything was cut."""
    words = pieces(text)
    if limit is None or len(words) <= limit:
        return text, False
    return "".join(words[:limit]), True
