"""Credentials that only the key above them gives away: values of JSON, fields of forms, cells of tables.

A file that is scanned as text has names and values side by side (:mod:`aiguard.detect.catalogue.assignments`); a document that was taken
apart has values, each with its key.
"""

from __future__ import annotations

import re
import string
from typing import Final

from aiguard.detect.catalogue.naming import FORGERY
from aiguard.detect.entropy import password_value, secret_value
from aiguard.scan import Recognizer
from aiguard.scan.recognizer import EXTEND_REACH

_SIGNS: Final = "!#$%&()*+,-./:;=?@[]\\^_{|}~"
_SIGN: Final = r"[!#-&(-;=?-_a-~]"
_VALUE: Final = _SIGN + "{6,64}"
"""Anything but quotes, blanks and the brackets of markup: what a value begins with, by which it is judged."""

_REST: Final = re.compile(_SIGN + "*")

# What is a token of a vault of ours, a rule of a form, an address, a moment.
_OTHER: Final = re.compile(
    r".*_[0-9A-HJKMNP-TV-Z]{10,52}\]|.*\b(?:min|max|size|between|required|confirmed)[:|].*|.*://.*|\d{4}-\d\d-\d\d.*"
)

_PASSWORDS: Final = (
    "password", "passwd", "passwrd", "pwd", "pswd", "psw", "pw", "pword", "pass", "passphrase", "pass phrase", "passcode", "kennwort",
    "passwort", "contraseña", "clave", "mot de passe", "mdp", "senha", "wachtwoord", "lösenord", "adgangskode", "salasana", "jelszó", "heslo",
    "hasło", "parola", "şifre", "пароль", "密码", "密碼", "パスワード", "비밀번호",
)  # fmt: skip
_SECRETS: Final = (
    "secret", "token", "api key", "apikey", "access key", "secret key", "private key", "auth key", "signing key", "encryption key",
    "master key", "account key", "session key", "shared key", "storage key", "service key", "license key", "licence key", "admin key",
    "app key", "application key", "consumer key", "deploy key", "webhook key", "function key", "subscription key", "credential",
    "authorization", "jwt",
)  # fmt: skip
_ABOUT: Final = (
    "policy", "hint", "reset", "url", "uri", "link", "endpoint", "expiry", "expires", "expired", "expiration", "expire", "at", "on", "until",
    "date", "time", "age", "day", "length", "size", "min", "max", "minimum", "maximum", "type", "name", "id", "count", "limit", "usage",
    "confirmed", "required", "changed", "updated", "created", "enabled", "file", "path", "version", "format", "strength", "attempt",
    "question", "label", "placeholder", "error", "message", "description", "help", "title", "field", "mode", "method", "status", "rule",
    "pattern", "regex", "algorithm", "encoding", "manager", "arn", "ref", "reference", "scope", "issuer", "audience", "rate",
)  # fmt: skip
"""Words of a key that make of it the name of something else, where they stand last."""
_PUBLIC: Final = (
    "page token",
    "next token",
    "continuation token",
    "sync token",
    "skip token",
    "change token",
    "resume token",
    *FORGERY,
)


def _whole(text: str, _start: int, end: int) -> int:
    rest = _REST.match(text, end, min(len(text), end + EXTEND_REACH))
    return end if rest is None else rest.end()


def _ended(text: str, _start: int, end: int) -> bool:
    rest = _REST.match(text, end)
    return rest is not None and rest.end() < len(text)


def _password(text: str) -> bool:
    if _OTHER.fullmatch(text) or not password_value(text):
        return False
    return any(map(str.isdigit, text)) or (
        any(map(str.islower, text)) and any(map(str.isupper, text)) and not text[:-1].isalpha()
    )


def _secret(text: str) -> bool:
    return secret_value(text) and not _OTHER.fullmatch(text)


def _recognizer(name: str, context: tuple[str, ...], **more: object) -> Recognizer:
    return Recognizer(
        name=name,
        type="SECRET",
        pattern=_VALUE,
        extend=_whole,
        settled=_ended,
        context=context,
        base_score=0.1,
        context_score=0.7,
        context_window=0,
        not_after=string.ascii_letters + string.digits + _SIGNS,
        priority=76,
        **more,  # type: ignore[arg-type]
    )


RECOGNIZERS: Final = (
    _recognizer(
        "password_under_key",
        _PASSWORDS,
        deny=_ABOUT,
        validate=_password,
        source="keys that passwords are kept under",
        examples=("password: hunter2secret", "dbPassword: S3cr3t!&pass", "пароль: qwe12345"),
        counter_examples=(
            "password: is too short (minimum is 8 characters)",
            "password_policy: min12chars",
            "password: required|min:8",
        ),
    ),
    _recognizer(
        "secret_under_key",
        _SECRETS,
        deny=(*_ABOUT, *_PUBLIC),
        validate=_secret,
        source="keys that credentials are kept under, and the entropy of the value",
        examples=(
            "api_key: 9f86d081884c7d659a2feaa0c55ad015",
            "Authorization: Bearer q7XkP2mNv9RtLw3Z",
            "clientSecret: g5er872qyq7hszlae27h",
        ),
        counter_examples=(
            "next_page_token: CAUQAA9f86d081884c7",
            "token_type: 9f86d081884c7d65",
            "secret: [SECRET_X7K2M9QA4B]",
            "max_tokens: 4096",
        ),
    ),
)
