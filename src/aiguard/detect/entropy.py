"""Telling random strings from words, names and placeholders."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise
from typing import Final

_PLACEHOLDER: Final = re.compile(
    r"x{4}|X{4}|\*{3}|\.{3}|0{8}|1{8}|1234567890$|your|example|placeholder|change.?me|insert|redacted|replace|dummy|sample"
    r"|put.?your|fixme|todo|^<|>$|^\$\{|\$\{[A-Za-z_.]+\}|\$\(|^\$[A-Za-z_]|\{\{[^{}]*\}\}|%[sd(]|^%|process\.env|environ|getenv|^null|^none|^true|^false|undefined"
    r"|^test$|secrets?\.|config\.|settings\.|^self\.|^this\.|^var\.|^data\.|^env\.|^@|function|lambda|=>|::",
    re.IGNORECASE,
)
_PATH: Final = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|->|/)[A-Za-z_$][\w$]*)+\(?$")
_WORDS: Final = re.compile(r"[A-Za-z]+(?:[_\-. ][A-Za-z]+)*\d{0,2}$")
_SYMBOL: Final = re.compile(r"[^\w\s.,:/\-]")


def entropy(text: str) -> float:
    """Shannon entropy in bits a character; 0.0 for the empty text."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values()) if size else 0.0


def placeholder(text: str) -> bool:
    """Whether ``text`` stands for a value instead of being one: ``xxxx``, ``<your key>``, ``${TOKEN}``, ``os.environ``."""
    return len(set(text)) < 4 or _PLACEHOLDER.search(text) is not None


def random_token(text: str) -> bool:
    """Whether the body of a token with a known prefix looks drawn at random, and is not words or ``xxxx``."""
    body = text[len(text) // 4 :]
    return len(set(body)) > min(6, len(body) // 3) and "xxxxxx" not in body.lower() and not _wordy(body)


def _wordy(text: str) -> bool:
    """Letters without digits whose case changes as seldom as in camelCase or plain words (random: every second one).

    Capitals alone say nothing: one AWS key id in twelve has no digit.
    """
    letters = [char for char in text if char.isalpha()]
    if any(char.isdigit() for char in text) or len(letters) < 8 or text.isupper():
        return False
    changes = sum(a.isupper() != b.isupper() for a, b in pairwise(letters))
    return changes < 0.3 * len(letters)


def _dense(text: str) -> bool:
    """One segment of a seeming path is long and mixed: base64 has a ``/`` in every other key of forty characters."""
    longest = max(re.split(r"[./]|->", text), key=len)
    return (
        len(longest) >= 20
        and any(char.isdigit() for char in longest)
        and random_token(longest)
        and entropy(longest) >= 3.8
    )


def secret_value(text: str) -> bool:
    """Whether the right-hand side of ``token = …`` is a secret: digits among letters, mixed enough, not a name."""
    text = text.rstrip(".,;:!?")
    if len(text) < 8 or placeholder(text) or (_PATH.match(text) and not _dense(text)) or _WORDS.match(text):
        return False
    digits = sum(char.isdigit() for char in text)
    letters = sum(char.isalpha() for char in text)
    if letters == 0:
        return digits >= 15
    bits = entropy(text)
    if digits == 0:
        mixed = not text.islower() and not text.isupper()
        if len(text) >= 16 and len(set(_SYMBOL.findall(text))) >= 4:
            return True
        return len(text) >= 20 and mixed and bits >= 4.0 and _SYMBOL.search(text) is not None
    return bits >= (2.7 if len(text) < 16 else 3.0)


def password_value(text: str) -> bool:
    """Whether the right-hand side of ``password = …`` is a password: not a word, a placeholder or a reference."""
    text = text.rstrip(".,;:!?") if len(text) > 8 else text
    if len(text) < 6 or placeholder(text) or _PATH.match(text):
        return False
    digits = any(char.isdigit() for char in text)
    letters = any(char.isalpha() for char in text)
    if not letters:
        return len(text) >= 6 and digits and len(set(text)) > 3
    if digits:
        return True
    return _SYMBOL.search(text) is not None and len(set(text)) > 5
