"""Telling random strings from words, names and placeholders."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise
from typing import Final

from aiguard.scan.patterns import compile_pattern

# On RE2, since a hostile text may ask again at every character.
_PLACEHOLDER: Final = compile_pattern(
    r"(?i)x{4}|X{4}|\*{3}|\.{3}|0{8}|1{8}|1234567890$|your|example|placeholder|change.?me|insert|redacted|replace|dummy|sample"
    r"|put.?your|fixme|todo|^<|>$|^\$\{|\$\{[A-Za-z_.]+\}|\$\(|^\$[A-Za-z_]|\{\{[^{}]*\}\}|%[sd(]|^%|process\.env|environ|getenv|^null|^none|^true|^false|undefined"
    r"|^test$|pbkdf2_|secrets?\.|config\.|settings\.|^self\.|^this\.|^var\.|^data\.|^env\.|^@|function|lambda|=>|::"
)
_PATH: Final = re.compile(r"(?:\.{0,2}/)?[A-Za-z_$][\w$]*(?:(?:\.|->|/)[A-Za-z_$][\w$]*)+\(?$")
_WORDS: Final = re.compile(r"[A-Za-z]+(?:[_\-. ][A-Za-z]+)*\d{0,2}$")
_NOT_RANDOM: Final = compile_pattern(
    r"0123456789|:\d{2,5}$|\.(?:js|css|png|jpe?g|gif|svg|json|html?|py|md|txt|ya?ml|xml|map|ts|go|rs|zip|gz|whl|com|org|net|io)$"
    r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-|(?:19|20)\d\d-[01]\d-[0-3]\d|://"
)
_NAMES: Final = re.compile(r"(?:[A-Za-z]+\d{0,4}|\d+)(?:[_\-.](?:[A-Za-z]+\d{0,4}|\d+)){2,}$")
_FIGURES: Final = re.compile(r"[0-9][^0-9]*[0-9]")
_SYMBOL: Final = re.compile(r"[^\w\s.,:/\-]")


_CALL: Final = re.compile(
    r"[A-Za-z_][\w.]*(?:\(\)|\[\w{1,20}\])|[a-z_]\w*=(?:[Tt]rue|[Ff]alse|None|null|\d{1,4})|-{1,2}\{\w+\}|![A-Za-z]{2,12}"
)
"""What code calls, looks up, passes or fills in: ``pam_start()``, ``basic[1]``, ``override=True``, ``--{name}``, ``!vault``."""


def entropy(text: str) -> float:
    """Shannon entropy in bits a character; 0.0 for the empty text."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values()) if size else 0.0


def placeholder(text: str) -> bool:
    """Whether ``text`` stands for a value instead of being one: ``xxxx``, ``<your key>``, ``${TOKEN}``, ``os.environ``."""
    return len(set(text)) < 4 or _PLACEHOLDER.found(text)


def argument(text: str) -> bool:
    """Whether what a command line gives for a password is one, and no variable, option or placeholder."""
    return len(set(text)) > 3 and not placeholder(text) and not text.startswith(("$", "-", "<", "{", "%", "@"))


def random_token(text: str) -> bool:
    """Whether the body of a token with a known prefix looks drawn at random, and is not words or ``xxxx``."""
    body = text[len(text) // 4 :]
    return len(set(body)) > min(6, len(body) // 3) and "xxxxxx" not in body.lower() and not _wordy(body)


def varied(text: str) -> bool:
    """Whether a value of a full shape of its own holds more than one or two characters again and again."""
    return len(set(text)) > 8 and "xxxxxx" not in text.lower()


def mixed_token(text: str) -> bool:
    """Whether a token whose shape says little is mixed like a random one: digits and letters, and no words."""
    digits = sum(char.isdigit() for char in text)
    return digits >= 1 and digits < len(text) and entropy(text) >= 2.7 and random_token(text) and not placeholder(text)


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
    if len(text) >= 20 and text.isalpha() and not (text.islower() or text.isupper()) and entropy(text) >= 3.6:
        return not _wordy(text) and not placeholder(text)
    if (
        len(text) < 8
        or placeholder(text)
        or (_PATH.match(text) and not _dense(text))
        or _WORDS.match(text)
        or _NAMES.match(text)
    ):
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
    return bits >= (2.7 if len(text) < 16 else 2.8)


def _changes(text: str) -> int:
    """How often letters and digits follow each other at once: every second time in random text, seldom in names."""
    return sum(a.isdigit() != b.isdigit() for a, b in pairwise(text) if a.isalnum() and b.isalnum())


def strong_value(text: str) -> bool:
    """Whether a value under a name that says little (``key``, ``auth``, a service's) is random beyond doubt.

    At least 14 characters, digits among letters throughout, and no date, version, UUID, path or address.
    """
    text = text.rstrip(".,;:!?=") if not text.endswith("==") else text
    if len(text) < 14 or _FIGURES.search(text) is None or text.isdigit() or _changes(text) < 3 or "@" in text[1:-1]:
        return False
    if placeholder(text) or _NOT_RANDOM.found(text) or (_PATH.match(text) and not _dense(text)):
        return False
    return entropy(text) >= 2.95 and random_token(text)


def uuid_value(text: str) -> bool:
    """Whether a UUID is one, and not zeros or a pattern of repeated digits."""
    return len(set(text)) >= 8


def password_value(text: str) -> bool:
    """Whether the right-hand side of ``password = …`` is a password: not a word, a placeholder or a reference."""
    text = text.rstrip(".,;:!?") if len(text) > 8 else text
    if (
        len(text) < 6
        or placeholder(text)
        or _PATH.match(text)
        or _CALL.fullmatch(text)
        or text.strip("*=:`-_#>").isalpha()
    ):
        return False
    digits = any(char.isdigit() for char in text)
    letters = any(char.isalpha() for char in text)
    if not letters:
        return len(text) >= 6 and digits and len(set(text)) > 3
    if digits:
        return True
    return _SYMBOL.search(text) is not None and len(set(text)) > 5
