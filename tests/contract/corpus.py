"""The texts of the contract, and the one rulebook that every door is given."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from aiguard.detect import catalogue, default_detector
from aiguard.detect.parts import detect_text
from aiguard.redact import redact
from aiguard.types import Operator

BLOCKED = ("US_SSN", "CRYPTO")
RULES = {"*": "replace", **dict.fromkeys(BLOCKED, "block")}
OPERATORS = {name: Operator(name=rule) for name, rule in RULES.items()}  # type: ignore[arg-type]

WRITTEN = [
    "Hello, my parcel has not arrived. What happens next?",
    "Schreiben Sie an jane.doe@example.org, oder rufen Sie +49 30 901820 an.",
    "card 4111 1111 1111 1111, card 5555-5555-5555-4444, qty 2 4111 1111 1111 1111",
    "my social security number is 536-90-4399",
    "first jane@example.com\nthen a line\r\nthen bob@example.com",
    "ｊａｎｅ@example.com and ja\u200bne@example.com and j\u0430ne@example.com",
    "bWFpbCBqYW5lQGV4YW1wbGUuY29tIHBsZWFzZQ== says it in base64",
    "see q=a%20jane%40example.com for more",
    'pasted: {"mail": "jane\\u0040example.com", "n": 1}',
    "_4111 1111 1111 1111_ and **jane@example.com** and `jane@example.com`",
    "日本語 jane@example.com です。 Ünïcödé 🙂 4111\u00a01111\u00a01111\u00a01111",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\nAgEAAoIBAQC7\n-----END PRIVATE KEY-----\nthat was it",
    f"token eyJhbGciOiJIUzI1NiJ9.{'aB3dE5fG7h' * 40}.c2lnbmF0dXJlc2lnbmF0dXJl and more",
    'quotes " and \\ and / and <b>tags</b> & ampersands \t tabs',
    "",
    " ",
]


@dataclass(frozen=True)
class Outcome:
    """What a door made of a text: the text, or the types for which it was stopped."""

    text: str = ""
    blocked: tuple[str, ...] = ()


def texts() -> list[str]:
    """What people write, and a sentence about each type of the catalogue."""
    seen: set[str] = set()
    made = list(WRITTEN)
    for recognizer in catalogue():
        if recognizer.examples and recognizer.type not in seen:
            seen.add(recognizer.type)
            made.append(f"We write: {recognizer.examples[0]} and go on.")
    return [text.replace("\x00", " ") for text in made]


def expected(text: str) -> Outcome:
    """What every door has to make of it."""
    done = redact(text, detect_text(default_detector(), text), OPERATORS)
    return Outcome(blocked=done.blocked) if done.blocked else Outcome(text=done.text)


def pieces(text: str) -> Sequence[str]:
    """The text as a model would stream it: the same pieces at every door."""
    generator, cut, at = random.Random(text), [], 0
    while at < len(text):
        size = generator.randint(1, 9)
        cut.append(text[at : at + size])
        at += size
    return cut
