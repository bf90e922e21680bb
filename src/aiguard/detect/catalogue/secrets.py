"""Credentials with a shape of their own: one recognizer a kind, all of type SECRET."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Final

from aiguard.base62 import CHECKSUM_LENGTH, checksum
from aiguard.detect.catalogue import assignments
from aiguard.detect.catalogue.tokens import MORE, TOKENS
from aiguard.detect.entropy import mixed_token, random_token, scrambled, secret_value, unpronounced, varied
from aiguard.scan import Recognizer
from aiguard.scan.recognizer import EXTEND_REACH

_KEY_CAP: Final = EXTEND_REACH

_KEY_END: Final = re.compile(r"-----END[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BODY: Final = re.compile(r"(?:[A-Za-z0-9+/=\s:,.\-\"'|>]|\\[nr])*")
_TOKEN_TAIL: Final = re.compile(r"[A-Za-z0-9_\-.=]*")


def _whole_key(text: str, start: int, end: int) -> int:
    """To the END line, or without one over everything that can be a part of the key, at most the cap."""
    limit = min(len(text), end + _KEY_CAP)
    closing = _KEY_END.search(text, end, limit)
    if closing is not None:
        return closing.end()
    body = _KEY_BODY.match(text, end, limit)
    return end if body is None else max(end, start + len(text[start : body.end()].rstrip()))


def _key_ended(text: str, _start: int, end: int) -> bool:
    return _KEY_END.search(text, end, min(len(text), end + _KEY_CAP)) is not None


def _tail(text: str, start: int, end: int) -> int:
    match = _TOKEN_TAIL.match(text, end, min(len(text), end + _KEY_CAP))
    return end if match is None else start + len(text[start : match.end()].rstrip(".-="))


def _tail_ended(text: str, _start: int, end: int) -> bool:
    match = _TOKEN_TAIL.match(text, end)
    return match is not None and match.end() < len(text)


def _jwt(text: str) -> bool:
    header = text.partition(".")[0]
    try:
        decoded = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
        if decoded.startswith(b"{") and decoded.rstrip().endswith(b"}") and b'"typ"' in decoded:
            return True  # also where what is between them is damaged
        fields = json.loads(decoded)
        return isinstance(fields, dict) and ("alg" in fields or "typ" in fields or "kid" in fields)
    except (binascii.Error, ValueError, RecursionError):
        return False


# SHA-256 (the first 16 digits) of keys that Google publishes as samples in its Firebase SDK for Android: no secrets.
_PUBLISHED: Final = frozenset(
    {
        "2037abcaffb2b777", "27a9a42931dff7eb", "37f8f09bdf12c2f2", "3a8b61d0f636b007", "3f370c9dd8225c63",
        "49f777db995e8260", "4c98242dcadc8b29", "8731261cb72d8626", "a19f89ab3555eac1", "a6c814bc555ae62c",
        "dc0fcf046c61640c", "e4a5542bb7fd7b67", "ea9bb1082cf95663", "eb540d2b6ee2a0a4", "f56e323494a6ffc2",
    }
)  # fmt: skip


def _google_key(text: str) -> bool:
    return random_token(text) and hashlib.sha256(text.encode()).hexdigest()[:16] not in _PUBLISHED


def _aiguard_token(text: str) -> bool:
    return checksum(text[:-CHECKSUM_LENGTH]) == text[-CHECKSUM_LENGTH:]


def _aws_id(text: str) -> bool:
    return "EXAMPLE" not in text and random_token(text)


def _pem_base64(text: str) -> bool:
    head = text[: min(64, len(text) // 4 * 4)].rstrip("=")
    return b"PRIV" in base64.b64decode(head[: len(head) // 4 * 4])


def _legacy(text: str) -> bool:
    return random_token(text) or unpronounced(text[3:])


def _mixed_run(text: str) -> bool:
    return secret_value(text) and scrambled(text[3:])


def _artifactory(text: str) -> bool:
    return random_token(text) and (not text.startswith("AP") or scrambled(text[3:]))


def _vault(text: str) -> bool:
    return mixed_token(text) if text.startswith("s.") else random_token(text)


# Shapes that say little by themselves: their bodies must be mixed as random ones are.
_CHECKS: Final = {
    "aws_access_key_id": _aws_id,
    "google_api_key": _google_key,
    "unix_hash": varied,
    "vault_token": _vault,
    "openai_key_legacy": _legacy,
    "sk_key_general": _mixed_run,
    "pem_base64": _pem_base64,
    "artifactory_key": _artifactory,
    **dict.fromkeys(
        (
            "voyage_key", "fal_key", "zai_key", "mem0_key", "nats_seed", "ghost_key", "ngrok_token", "unleash_token",
            "statsig_key", "mollie_key", "resend_key", "brave_key", "sanity_token", "azure_devops_pat", "azure_marked_key",
            "azure_function_key", "azure_search_key", "azure_hub_key", "azure_registry_key", "digitalocean_spaces",
            "sumologic_id", "mandrill_key", "wechat_id", "dbt_token", "okta_token", "google_bound_key", "vercel_token",
            "mailgun_key", "upstage_key", "predibase_key", "nomic_key", "retell_key", "chroma_key", "steel_key", "truenas_key", "you_key",
        ),
        mixed_token,
    ),
}  # fmt: skip


# What stands behind these is a part of sha512-… of a lock file, or of any base64.
_HASHED: Final = {"azure_storage_key": "-", "artifactory_key": "-:+/"}
_TO_BE_SET: Final = re.compile(
    r"(?i)^(?:your|change|replace|insert|enter|put)[_\-. ]?(?:me|your|with|in|the|pass|pw|secret|token|_)"
)
_SAMPLE_LOGIN: Final = re.compile(
    r"(?i)(?:your_?)?(?:db_?)?(?:user(?:_?name)?|usr|login):(?:your_?)?(?:db_?)?(?:pass(?:word|wd)?|pwd|pw)"
)


def _url_password(text: str) -> bool:
    user, _, password = text.rpartition("@")[0].partition(":")
    if (
        set(password.lower()) <= set("x*.")
        or _SAMPLE_LOGIN.fullmatch(f"{user}:{password}")
        or _TO_BE_SET.search(password)
    ):
        return False
    return not (password.startswith(("$", "<", "{", "%", "*", "[")) or user.startswith(("$", "<", "{", "%")))


_SAMPLE: Final = {
    "A": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
    "B": "Q7EXR5WPLK2TZ6MBJHGFDSAYUINVC34O",
    "": "aB3dE5fG7hJ9kL2mN4pQ6rS8tU1vW0xYzC",
    "h": "9cb8fe9b3b6222bd9714ae3148c9ed9b",
    "U": "Q3EXR7WPLK5TZ9MB",
}


def _example(shape: str) -> str:
    """``{36}``, ``{40h}``, ``{16U}`` -> that many letters and digits, hexadecimal digits, capitals and digits.

    Examples are put together here, so that no scanner takes this file for a leak.
    """

    def fill(match: re.Match[str]) -> str:
        size, kind = int(match[1]), match[2]
        return (_SAMPLE[kind] * (size // len(_SAMPLE[kind]) + 1))[:size]

    return re.sub(r"\{(\d+)([hUAB]?)\}", fill, shape)


def _recognizer(name: str, pattern: str, source: str, shape: str) -> Recognizer:
    return Recognizer(
        name=name,
        type="SECRET",
        pattern=pattern,
        extend=_tail if name == "onepassword_service" else None,
        settled=_tail_ended if name == "onepassword_service" else None,
        not_after=_HASHED.get(name, ""),
        not_before="+/" if name == "artifactory_key" else "",
        validate=_CHECKS.get(name, random_token),
        priority=95,
        source=source,
        examples=(f"use {_example(shape)} please",) if shape else (),
    )


_OURS: Final = _example("aig_{16}_{43}")

RECOGNIZERS = (
    Recognizer(
        name="aiguard_token",
        type="SECRET",
        pattern=r"\baig_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}",
        validate=_aiguard_token,
        priority=96,
        source="docs/callers.md",
        examples=(f"Authorization: Bearer {_OURS}{checksum(_OURS)}", f"AIG={_OURS}{checksum(_OURS)};"),
        counter_examples=(f"use {_OURS}000000 please",),
    ),
    Recognizer(
        name="private_key",
        type="SECRET",
        pattern=r"-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d:",
        extend=_whole_key,
        settled=_key_ended,
        boundary=False,
        priority=99,
        source="RFC 7468, RFC 4880",
        examples=(
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\nMIIE",
        ),
        counter_examples=("-----BEGIN PUBLIC KEY-----",),
    ),
    Recognizer(
        name="jwt",
        type="SECRET",
        pattern=r"\b(?:eyJ|ewog)[A-Za-z0-9_\-]{8,500}\.[A-Za-z0-9_\-]{2,8}",
        validate=_jwt,
        extend=_tail,
        settled=_tail_ended,
        priority=95,
        source="RFC 7519",
        examples=("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.SflKxwRJSMeKKF2QT4fw",),
        counter_examples=("eyJhbGciOiJIUzI1NiJ9",),
    ),
    Recognizer(
        name="url_credentials",
        type="SECRET",
        pattern=(
            r"\b[A-Za-z][A-Za-z0-9+.\-]{1,20}://"
            r"([^\s:@/\"'<>]{0,100}:[^\s@/\"'<>]{1,200}@[A-Za-z0-9\[][A-Za-z0-9.\-]{0,100})"
        ),
        validate=_url_password,
        boundary=False,
        priority=90,
        source="RFC 3986, section 3.2.1",
        examples=("postgres://app:hunter2xx@db.internal:5432/x",),
        counter_examples=("https://example.com:8080/a@b", "postgres://$USER:$PASS@db"),
    ),
    *(_recognizer(*row) for row in (*TOKENS, *MORE)),
    *assignments.RECOGNIZERS,
)
