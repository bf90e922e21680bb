"""Reversible tokens of one conversation."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from aiguard.errors import AIGuardError
from aiguard.scan import label_of
from aiguard.types import Finding

TOKEN_LITERAL: Final = "TOKEN_LITERAL"  # noqa: S105 - a type, not a secret
"""The type under which token-like text of the input is tokenised."""

CODE_LENGTH: Final = 10
"""Characters of a code: 50 bits, so two of 10,000 values share one with a chance of 1 in 22 million (then: longer)."""

_MAX_CODE: Final = 52
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base32: no I, L, O, U

# A token as a model may have rewritten it: other case, Markdown's backslashes, blanks within it or in place of the underscore.
# Brackets are escaped both or not at all, so a backslash of the text before a token is never taken for a part of it. A code has
# no I, L, O or U, which few words of ten letters do without: text in brackets is seldom taken for a token.
_BLANK = "[ \t\u00a0]{0,2}"
_JOINT = rf"(?:{_BLANK}\\?_{_BLANK}|[ \u00a0]|-)"
_CODE = "[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{10,52}"
_BODY = rf"([A-Za-z][A-Za-z0-9]{{0,31}}(?:{_JOINT}[A-Za-z0-9]{{1,32}}){{0,8}}?){_JOINT}({_CODE})"
TOKEN_PATTERN: Final = rf"\\\[{_BLANK}{_BODY}{_BLANK}\\\]|\[{_BLANK}{_BODY}{_BLANK}\]"
"""What :meth:`Vault.restore` takes for a token; a closing bracket ends it and stands nowhere else in it."""

_TOKEN: Final = re.compile(TOKEN_PATTERN)
_JOINTS: Final = re.compile(_JOINT)


class VaultFull(AIGuardError):
    """The vault of a conversation holds its maximum number of values, so no further value can be tokenised."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A text with its tokens turned back. ``spans`` is where in ``text`` the restored values stand, in order."""

    text: str = field(repr=False)
    count: int = 0
    spans: tuple[tuple[int, int], ...] = ()


class Vault:
    """Values and their tokens, ``[EMAIL_X7K2M9QA4B]``: a label, and HMAC-SHA256(secret, type, value) in base32.

    The same secret gives the same token for the same value in any process; another secret gives unrelated ones. What
    can be *restored* is only what this object tokenised. Safe in any thread; ``repr`` shows how many values it holds.
    """

    def __init__(self, secret: bytes | None = None, *, max_entries: int = 10_000) -> None:
        if secret is not None and len(secret) < 16:
            raise ValueError("a vault's secret needs at least 16 bytes; derive one per conversation, or pass None")
        self._secret = os.urandom(32) if secret is None else secret
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._codes: dict[tuple[str, str], str] = {}
        self._values: dict[str, tuple[str, str]] = {}

    def __repr__(self) -> str:
        return f"Vault({len(self._codes)} values)"

    def __len__(self) -> int:
        return len(self._codes)

    def token(self, type: str, value: str) -> str:
        """The token of ``value`` as a ``type``; raises :class:`VaultFull` beyond ``max_entries`` values."""
        key = (type, value)
        with self._lock:
            code = self._codes.get(key)
            if code is None:
                if len(self._codes) >= self._max_entries:
                    raise VaultFull(
                        f"the conversation's vault holds its maximum of {self._max_entries} values; start a new "
                        "conversation, or use 'replace' for types that need not come back"
                    )
                code = self._code(type, value)
                self._codes[key] = code
                self._values[code] = key
        return f"[{label_of(type)}_{code}]"

    def _code(self, type: str, value: str) -> str:
        message = type.encode("utf-8", "surrogatepass") + b"\0" + value.encode("utf-8", "surrogatepass")
        number = int.from_bytes(hmac.new(self._secret, message, hashlib.sha256).digest()) << 4
        digits = "".join(_ALPHABET[number >> shift & 31] for shift in range(255, -1, -5))
        for length in range(CODE_LENGTH, _MAX_CODE + 1):
            if digits[:length] not in self._values:
                return digits[:length]
        raise VaultFull("no free token is left in this vault")

    def restore(self, text: str) -> Restored:
        """``text`` with this vault's tokens turned back into their values, each exactly once; all else is untouched."""
        if not self._values or "[" not in text:
            return Restored(text)
        pieces: list[str] = []
        spans: list[tuple[int, int]] = []
        done = length = 0
        for match in _TOKEN.finditer(text):
            value = self._lookup(match)
            if value is None:
                continue
            pieces += (text[done : match.start()], value)
            length += match.start() - done
            spans.append((length, length + len(value)))
            length += len(value)
            done = match.end()
        if not spans:
            return Restored(text)
        pieces.append(text[done:])
        return Restored("".join(pieces), len(spans), tuple(spans))

    def _lookup(self, match: re.Match[str]) -> str | None:
        label, code = (match[1], match[2]) if match[1] is not None else (match[3], match[4])
        entry = self._values.get(code.upper())
        if entry is None or _JOINTS.sub("_", label).upper() != label_of(entry[0]):
            return None
        return entry[1]

    def literals(self, text: str) -> Sequence[Finding]:
        """Text of the input that could be read as a token, of this vault or another, to be tokenised itself."""
        if "[" not in text:
            return ()
        return [
            Finding(
                type=TOKEN_LITERAL,
                start=match.start(),
                end=match.end(),
                score=1.0,
                recognizer="token_literal",
            )
            for match in _TOKEN.finditer(text)
        ]
