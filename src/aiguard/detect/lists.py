"""Values that a policy names: those that may stay, and those that are found wherever they stand.

Case, Unicode form and spacing do not count: ``Project  Bluebird`` is ``project bluebird``. A hash is the HMAC-SHA256 of that
plain form under the list's salt, so that a reviewed file need not show what it names; short values can still be guessed by
whoever has the file.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from aiguard.policy.builtin import DENIED_TERM
from aiguard.policy.models import HashedList, ValueList
from aiguard.scan import Recognizer
from aiguard.scan.patterns import compile_pattern
from aiguard.types import Finding

MAX_HASHED_WORDS: Final = 4
"""Words of the longest hashed term that is looked for in a text."""

_WORD: Final = re.compile(r"\w+(?:[-'.@+]\w+)*")
_SPACE: Final = re.compile(r"\s+")


def plain(value: str) -> str:
    """The form in which values are compared and hashed."""
    if not value.isascii():  # what is ASCII is in its form already
        value = unicodedata.normalize("NFKC", value)
    return _SPACE.sub(" ", value.casefold()).strip()


def hashed(value: str, salt: str) -> str:
    """The keyed hash of a value, 64 hex digits."""
    return hmac.digest(salt.encode(), plain(value).encode("utf-8", "replace"), "sha256").hex()


class Allowed:
    """Whether a found value is one that a list lets stay. The whole value decides, never a part of it."""

    def __init__(self, values: ValueList) -> None:
        self._exact = frozenset(map(plain, values.exact))
        self._patterns = [compile_pattern(pattern) for pattern in values.patterns]
        self._hashes = frozenset(values.hashed.hmac_sha256) if values.hashed else frozenset()
        self._salt = values.hashed.salt if values.hashed else ""

    def __call__(self, _type: str, value: str) -> bool:
        """Called for every value that would be reported."""
        if self._exact and plain(value) in self._exact:
            return True
        if any(pattern.whole(value) for pattern in self._patterns):
            return True
        return bool(self._hashes) and hashed(value, self._salt) in self._hashes


def denied(values: ValueList, name: str) -> list[Recognizer]:
    """Recognizers for what a deny list names by its text and by pattern."""
    terms = sorted({way for value in values.exact for way in _ways(value)}, key=len, reverse=True)
    patterns = [(f"deny:{name}:{number}", pattern) for number, pattern in enumerate(values.patterns)]
    if terms:
        patterns.insert(0, (f"deny:{name}", f"(?i:{'|'.join(map(_spelled, terms))})"))
    return [
        Recognizer(name=each, type=DENIED_TERM, pattern=pattern, base_score=1.0, priority=100)
        for each, pattern in patterns
    ]


def _ways(value: str) -> set[str]:
    """How a text may write a value: as it stands and in plain form, which differ in more than case (``ß``, ``İ``), accents composed or not."""
    written = {_SPACE.sub(" ", unicodedata.normalize("NFKC", value)).strip(), plain(value)}
    return {unicodedata.normalize(form, each) for each in written for form in ("NFC", "NFD")}


def _spelled(term: str) -> str:
    r"""A pattern of the term with any spacing; ``\s`` is what RE2 and Python both have."""
    return r"\s{1,8}".join(re.escape(word) for word in term.split(" "))


class HashedTerms:
    """Finds the terms of a hashed deny list: every run of up to four words is hashed and looked up.

    No pattern says what such a term looks like, so a stream waits for its end.
    """

    types = frozenset({DENIED_TERM})

    def __init__(self, values: HashedList) -> None:
        self._salt = values.salt
        self._hashes = frozenset(values.hmac_sha256)

    def detect(self, text: str, *, context: str = "") -> Sequence[Finding]:  # noqa: ARG002 - the protocol's
        """Every term, sorted by start."""
        words = [(match.start(), match.end()) for match in _WORD.finditer(text)]
        found = []
        for index, (start, _) in enumerate(words):
            for _, end in words[index : index + MAX_HASHED_WORDS]:
                if hashed(text[start:end], self._salt) in self._hashes:
                    found.append(Finding(type=DENIED_TERM, start=start, end=end, score=1.0, recognizer="deny:hashed"))
        return found
