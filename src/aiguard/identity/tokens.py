"""Service tokens: what one looks like, and whether one that was shown is good. Pure: no database, no clock.

``aig_`` and 16 digits are its *id*, which is public; then ``_``, 43 digits of secret (256 bits) and a checksum of all
that, 6 digits. What is kept is a SHA-256 of the whole. A slow hash (argon2, bcrypt) makes guesses dear where people choose
the secret; nobody guesses one of 2**256, so a fast hash loses nothing, and a request costs no 50 ms of it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from aiguard.base62 import CHECKSUM_LENGTH, checksum, random_base62
from aiguard.errors import MalformedInput
from aiguard.sources import Secret
from aiguard.types import Actor, Reason

PREFIX: Final = "aig_"
ID_DIGITS: Final = 16
"""95 bits: ids are drawn without asking whether one is taken."""

SECRET_DIGITS: Final = 43
"""256 bits, the least length that has them."""

LENGTH: Final = len(PREFIX) + ID_DIGITS + 1 + SECRET_DIGITS + CHECKSUM_LENGTH

_TOKEN: Final = re.compile(
    rf"(?P<id>{PREFIX}[0-9A-Za-z]{{{ID_DIGITS}}})_[0-9A-Za-z]{{{SECRET_DIGITS}}}(?P<sum>[0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)
_ID: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{ID_DIGITS}}}")
_SERVICE: Final = re.compile(r"[a-z][a-z0-9._-]{0,62}[a-z0-9]", re.ASCII)
_BEARER: Final = re.compile(r"bearer(?: +(?P<token>[^ ].*))?", re.ASCII | re.IGNORECASE | re.DOTALL)
_NOBODYS: Final = bytes(32)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceToken:
    """What is known of one token. Times are timezone-aware; ``digest`` is what its holder's token must hash to."""

    id: str
    service: str
    scopes: frozenset[str]
    tenant: str | None = field(default=None, repr=False)
    created_at: datetime
    expires_at: datetime
    not_before: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    digest: bytes = field(repr=False)

    @property
    def actor(self) -> Actor:
        """Who calls with it."""
        return Actor(id=self.service, kind="service", scopes=self.scopes, tenant=self.tenant)

    def ends(self, max_lifetime: timedelta) -> datetime:
        """When it ends, also where policy has since come to allow tokens less time than it was given."""
        return min(self.expires_at, self.created_at + max_lifetime)

    def state(self, now: datetime, max_lifetime: timedelta) -> str:
        """``revoked``, ``expired``, ``pending`` (its time has not begun) or ``active``."""
        if self.revoked_at is not None:
            return "revoked"
        if now >= self.ends(max_lifetime):
            return "expired"
        return "pending" if self.not_before is not None and now < self.not_before else "active"


@dataclass(frozen=True, kw_only=True, slots=True)
class Presented:
    """A token that a caller showed, well-formed: its id, and the digest of the whole."""

    id: str
    digest: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Minted:
    """A new token: the only moment at which it is known in full."""

    id: str
    token: Secret
    digest: bytes = field(repr=False)


def mint() -> Minted:
    """A new token."""
    id = PREFIX + random_base62(ID_DIGITS)
    body = f"{id}_{random_base62(SECRET_DIGITS)}"
    token = body + checksum(body)
    return Minted(id=id, token=Secret(token), digest=digest_of(token))


def digest_of(token: str) -> bytes:
    """SHA-256 of a token, apart from the SHA-256 of anything else."""
    return hashlib.sha256(b"aiguard/service-token/1\x00" + token.encode()).digest()


def is_token(text: str) -> bool:
    """Whether ``text`` is a token by its shape and checksum."""
    match = _TOKEN.fullmatch(text)
    return match is not None and checksum(text[:-CHECKSUM_LENGTH]) == match["sum"]


def is_token_id(text: str) -> bool:
    """Whether ``text`` is the public part of a token."""
    return _ID.fullmatch(text) is not None


def is_service_name(text: str) -> bool:
    """Whether ``text`` can name a service: lower-case letters, digits, ``. _ -``, beginning with a letter, 2 to 64."""
    return _SERVICE.fullmatch(text) is not None


def carries_service_token(authorization: str | None) -> bool:
    """Whether an ``Authorization`` header holds what is meant to be one of these tokens, good or not."""
    match = _BEARER.fullmatch(authorization.strip(" \t")) if authorization is not None else None
    return match is not None and (match["token"] or "").startswith(PREFIX)


def read_header(authorization: str | None) -> Presented | None:
    """The token of an ``Authorization`` header (RFC 6750, section 2.1); None where there is no Bearer credential.

    Raises:
        MalformedInput: a Bearer credential is no token of ours, or was cut short or mistyped.
    """
    match = _BEARER.fullmatch(authorization.strip(" \t")) if authorization is not None else None
    if match is None:
        return None
    token = match["token"] or ""
    if len(token) != LENGTH or not is_token(token):
        raise MalformedInput("the Bearer credential is not a whole service token")
    return Presented(id=token[: len(PREFIX) + ID_DIGITS], digest=digest_of(token))


def judge(known: ServiceToken | None, shown: Presented, now: datetime, max_lifetime: timedelta) -> Reason | None:
    """Why a token is refused, or None. What is wrong with a token is told only to who holds it.

    An unknown id and a wrong secret are one answer, and take the same steps.
    """
    same = hmac.compare_digest(shown.digest, known.digest if known is not None else _NOBODYS)
    if known is None or not same:
        return _refused("token.unknown", "the service token is not known here")
    state = known.state(now, max_lifetime)
    if state == "revoked":
        return _refused("token.revoked", "the service token was revoked")
    if state == "expired":
        return _refused("token.expired", "the service token has expired; make a new one: aiguard token create")
    if state == "pending":
        return _refused("token.not_yet_valid", "the service token's time has not begun")
    return None


def _refused(code: str, detail: str) -> Reason:
    return Reason(code=code, detail=detail, status=401)
