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
    r"(?i)x{4}|X{4}|\*{3}|\.{3}|0{8}|1{8}|^[A-Za-z_\-]{0,12}1234567890$|your|example|placeholder|change.?me|insert|redacted|replace|dummy|sample"
    r"|put.?your|fixme|todo|^<|>$|^\$\{|\$\{[A-Za-z_.]+\}|\$\(|^\$[A-Za-z_]|\{\{[^{}]*\}\}|\{\d?\}|\{(?-i:[a-z_.]{3,40}|[A-Z_]{3,40})\d?\}|%[sd](?:$|[^A-Za-z0-9])|%\([A-Za-z_]{1,40}\)|^%|process\.env|environ|getenv|^null|^none|^true|^false|undefined"
    r"|^test$|pbkdf2_|secrets?\.|config\.|settings\.|^self\.|^this\.|^var\.|^data\.|^env\.|^@|function|lambda|=>|::"
)
_PATH: Final = re.compile(r"(?:\.{0,2}/)?[A-Za-z_$][\w$]*(?:(?:\.|->|/)[A-Za-z_$][\w$]*)+\(?$")
_WORDS: Final = re.compile(r"[A-Za-z]+(?:[_\-. ][A-Za-z]+)*\d{0,2}$")
_NOT_RANDOM: Final = compile_pattern(
    r"0123456789|^LS0tLS1CRUdJTiB(?:DRVJU|QVUJM)|:\d{2,5}$|\.(?:js|css|png|jpe?g|gif|svg|json|html?|py|md|txt|ya?ml|xml|map|ts|go|rs|zip|gz|whl|com|org|net|io)$"
    r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-|(?:19|20)\d\d-[01]\d-[0-3]\d|://"
)
_NAMES: Final = re.compile(
    r"(?:[A-Za-z]?\d?[A-Za-z]+\d{0,4}|\d+)(?:[_\-.]{1,2}(?:[A-Za-z]?\d?[A-Za-z]+\d{0,4}|\d+)){2,}$"
)
_FIGURES: Final = re.compile(r"[0-9][^0-9]*[0-9]")
_SYMBOL: Final = re.compile(r"[^\w\s.,:/\-]")
_PIECES: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_AWS: Final = re.compile(r"[A-Za-z0-9/+]{40}")
_BOOTSTRAP: Final = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")  # kubeadm
_REFERENCE: Final = re.compile(
    r"//|/[\w.\-]+/|[\w.\-]+(?:/[\w.\-]+)+#|[#.][A-Za-z][A-Za-z\-_]*$|0[xX][0-9A-Fa-f]+$|(?:/[A-Za-z][\w.\-]*)+/?$"
    r"|[\w.\-/]+@[~^]?\d+\.\d+\.|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\(.*\)|(?:required|nullable|sometimes|confirmed|optional|present)\|"
)
"""What is an address, a path, an element's name in a style sheet, a number, a call or a rule in code, or a version of a package."""

_FOLLOWERS: Final = {
    first: frozenset(rest)
    for first, rest in (
        pair.split(":")
        for pair in [
            "a:abcdefghiklmnprstuvwxyz",
            "b:abceijlnorstuy",
            "c:acehiklorstuy",
            "d:abcdefgilmnorstuvy",
            "e:abcdefghijklmnopqrstuvwxyz",
            "f:aefilorstuy",
            "g:aeghilmnoprstuy",
            "h:aeilmnorstuy",
            "i:abcdefghklmnopqrstuvxz",
            "j:aeou",
            "k:aeilnorstuy",
            "l:abcdefgiklmnopstuvy",
            "m:abeilmnopstuy",
            "n:abcdefghijklmnoprstuvwyz",
            "o:abcdefghijklmnoprstuvwxy",
            "p:aehilmoprstuy",
            "q:u",
            "r:abcdefghiklmnoprstuvwy",
            "s:acdefhiklmnopqrstuwy",
            "t:abcdefghilmnoprstuwyz",
            "u:abcdefgiklmnoprst",
            "v:aeio",
            "w:aehilnors",
            "x:aceiptx",
            "y:aceilmnoprst",
            "z:aeiuz",
        ]
    )
}
"""The letters that follow each letter in 98.9 of 100 pairs of the small-letter words of free documentation in English and others."""


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


def scrambled(text: str) -> bool:
    """Whether small letters, capitals and digits take turns as fast as in a random string: ``VtxRm4Jd``, not ``Base64Encoder``."""
    pieces = _PIECES.findall(text)
    letters = sum(map(len, pieces))
    if letters < 7 or len(pieces) < 4 or letters == len(text) == sum(piece.isupper() for piece in text):
        return False
    digits = sum(char.isdigit() for char in text)
    return 0 < digits < letters and letters / len(pieces) <= (2.3 if letters < 16 else 2.6)


def unpronounced(text: str) -> bool:
    """Whether small letters stand in an order that words do not have: ``vzihlaquknriqlht``."""
    if not 6 <= len(text) <= 64 or not (text.isascii() and text.isalpha() and text.islower()) or len(set(text)) < 4:
        return False
    return sum(b not in _FOLLOWERS[a] for a, b in pairwise(text)) >= (2 if len(text) < 10 else 3)


def _switching(text: str) -> bool:
    """Ten letters in one run, none a digit, whose case changes as often as in base64: ``YXNkZmZmZmZm``."""
    return any(
        len(run) >= 10 and sum(a.isupper() != b.isupper() for a, b in pairwise(run)) >= 0.4 * len(run)
        for run in re.split(r"[^A-Za-z]+", text)
    )


def secret_value(text: str) -> bool:
    """Whether the right-hand side of ``token = …`` is a secret: digits among letters, mixed enough, not a name."""
    text = text.rstrip(".,;:!?")
    if len(text) >= 12 and (unpronounced(text) or (len(text) >= 14 and _switching(text))) and not placeholder(text):
        return True
    if _BOOTSTRAP.fullmatch(text) and sum(map(str.isdigit, text)) > 2:
        return not placeholder(text)
    if (
        _AWS.fullmatch(text)
        and any(map(str.isdigit, text))
        and len(_PIECES.findall(text)) > 12
        and not placeholder(text)
    ):
        return True
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
    if len(text) < 14 or text.isdigit() or "@" in text[1:-1]:
        return False
    if unpronounced(text):
        return not placeholder(text)
    if (_FIGURES.search(text) is None or _changes(text) < 3) and not (len(text) >= 16 and scrambled(text)):
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
    if len(text) < 6 or placeholder(text) or _PATH.match(text) or _CALL.fullmatch(text) or _REFERENCE.match(text):
        return False
    if text.strip("*=:`-_#>?;,").replace("_", "").isalpha():
        return len(text) >= 10 and _switching(text)
    digits = any(char.isdigit() for char in text)
    letters = any(char.isalpha() for char in text)
    if not letters:
        return len(text) >= 6 and digits and len(set(text)) > 3
    if digits:
        return True
    return _SYMBOL.search(text) is not None and len(set(text)) > 5


# Words and parts of words that stand under "password" in schemas, forms, texts and settings and are none.
_SAID_OF_PASSWORDS: Final = re.compile(
    r"pass|pwd|secret|token|cred|auth|user|login|name|mail|requir|valid|option|string|text|hidden|field|input|label|value|type|null|none"
    r"|empty|default|abled|crypt|plain|hash|argon|confirm|current|previous|verif|reset|forg|chang|updat|generat|random|config|setting"
    r"|environ|variab|prompt|enter|insert|miss|wrong|incorrect|success|fail|error|messag|descri|object|bool|integer|number|function"
    r"|defin|unknown|unset|propert|attribut|ternal|provid|manag|keychain|vault|file|path|stdin|termin|interact|digest|kerberos|service"
    r"|account|client|server|script|strength|policy|secur|privat|public|anonym|column|table|object|module|protect|remember|visible|show"
    r"|wachtwoord|kennwort|senha|heslo|salasana|contras|lozinka|parol|clave|motdepasse|toggle|submit|button|click|search|manual|return|fake|mock|foobar|blah|lorem|test|temp|key|redact|mask|censor|conceal"
)


def word_password(text: str) -> bool:
    """Whether small letters in quotes behind ``password =`` are one: they say nothing of passwords themselves.

    Eight letters at least, or an order that words do not have; more where ``-`` or ``_`` joins several.
    """
    if unpronounced(text) or re.match(r"(?:this_?is|super|very)[a-z_]*(?:pass|secret)", text):
        return True
    plain = text.replace("_", "").replace("-", "")
    if not (plain.isascii() and plain.isalpha() and plain.islower()) or len(set(plain)) < 5 or placeholder(text):
        return False
    joined = len(text) - len(plain)
    return len(plain) >= 8 + 4 * joined and joined != 1 and _SAID_OF_PASSWORDS.search(plain) is None


_TOLD_OF_PASSWORDS: Final = re.compile(
    rf"{_SAID_OF_PASSWORDS.pattern}|\b(?:please|choose|must|should|long|longer|character|need|have|your|when|then|will|cannot|used|with)"
)


def passphrase(text: str) -> bool:
    """Whether several words in quotes behind ``passphrase =`` are one: they say nothing of passwords themselves."""
    return len(text) >= 12 and not placeholder(text) and _TOLD_OF_PASSWORDS.search(text) is None
