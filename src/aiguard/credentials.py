"""Making, replacing and revoking service tokens: each in one transaction with the event that says so.

``aiguard token`` is made of this. A token is known in full only to whoever made it, once; nothing here can show it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit import append
from aiguard.db.engine import reading, writing
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Sealing
from aiguard.errors import CredentialError
from aiguard.identity import tables
from aiguard.identity.tokens import ServiceToken, is_service_name, is_token, is_token_id, mint
from aiguard.policy import Policy
from aiguard.policy.values import parse_scope
from aiguard.sources import Secret
from aiguard.types import AuditRecord, KeyRing, new_id

DEFAULT_LIFETIME: Final = timedelta(days=90)
"""A token's time where nobody says another: a quarter, or what policy allows if that is less."""

DEFAULT_OVERLAP: Final = timedelta(hours=24)
"""How long a replaced token stays good: a day to roll its successor out."""

MAX_SCOPES: Final = 64
MAX_TENANT: Final = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Issued:
    """A new token, and whom it replaces."""

    token: Secret
    known: ServiceToken
    replaced: ServiceToken | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """The tokens of one database, for administration.

    Args:
        engine: the evidence database.
        keyring: seals tokens' rows and the log.
        policy: bounds how long a token lives.
        operator: who administers; the record carries a pseudonym.
    """

    engine: Engine
    keyring: KeyRing
    policy: Policy
    operator: str = ""

    def create(
        self,
        *,
        service: str,
        scopes: Iterable[str],
        now: datetime,
        tenant: str | None = None,
        expires_at: datetime | None = None,
        not_before: datetime | None = None,
    ) -> Issued:
        """A new token for ``service``. Times are timezone-aware; ``expires_at`` is by default 90 days from ``now``.

        Raises:
            CredentialError: the name, a scope, the tenant or a time cannot be. Nothing was made.
            StoreError: the database did not take it. Nothing was made.
        """
        token, known = self._mint(service, scopes, tenant, now, expires_at, not_before)
        with self._writing() as connection:
            tables.put(connection, known, self.keyring)
            self._event(connection, "credential.created", known.id, known.service, now, **_terms(known))
        return Issued(token=token, known=known)

    def rotate(
        self,
        id: str,
        *,
        now: datetime,
        overlap: timedelta = DEFAULT_OVERLAP,
        expires_at: datetime | None = None,
    ) -> Issued:
        """A new token with the service, scopes and tenant of an old one, which ends after ``overlap``.

        The new one lives as long as the old one was given, unless ``expires_at`` says otherwise.

        Raises:
            CredentialError: there is no such token, or it is not good any more.
            IntegrityError: its row is damaged.
        """
        _check_id(id)
        if overlap < timedelta():
            raise CredentialError("The overlap cannot be negative; 0 ends the old token at once.")
        with self._writing() as connection:
            rows = tables.rows(connection, id=id, lock=True)
            if not rows:
                raise CredentialError(f"There is no token {id}; `aiguard token list` shows those that there are.")
            old = tables.unseal(rows[0], self.keyring)
            state = old.state(now, self.policy.service_tokens.max_lifetime)
            if state in ("revoked", "expired"):
                raise CredentialError(f"The token {id} is {state}, so it is not replaced; make a new one instead.")
            if expires_at is None:
                given = old.expires_at - old.created_at
                expires_at = now + min(given, self.policy.service_tokens.max_lifetime)
            token, known = self._mint(old.service, old.scopes, old.tenant, now, expires_at, None)
            old = replace(old, expires_at=min(old.expires_at, now + overlap))
            tables.put(connection, known, self.keyring)
            tables.put(connection, old, self.keyring)
            terms = {**_terms(known), "replaces": old.id, "old_ends": _instant(old.expires_at)}
            self._event(connection, "credential.rotated", known.id, known.service, now, **terms)
        return Issued(token=token, known=known, replaced=old)

    def revoke(self, *, now: datetime, id: str | None = None, service: str | None = None) -> tuple[str, ...]:
        """Revoke one token, or all of a service; the ids that were not revoked before. A damaged row is revoked too.

        Raises:
            CredentialError: there is no such token or service.
        """
        if (id is None) == (service is None):
            raise CredentialError("Say which token, or which service; not both.")
        if id is not None:
            _check_id(id)
        with self._writing() as connection:
            rows = tables.rows(connection, id=id, service=service, lock=True)
            if not rows:
                raise CredentialError("There is no such token; `aiguard token list` shows those that there are.")
            done = []
            for row in rows:
                if row.revoked_at is None:
                    tables.mark_revoked(connection, row.id, now)
                    self._event(connection, "credential.revoked", row.id, row.service, now)
                    done.append(str(row.id))
        return tuple(done)

    def known(self, *, service: str | None = None) -> list[tuple[str, str, ServiceToken | None]]:
        """Id, service and token of each that was ever made, oldest first; None for a row that is damaged."""
        try:
            with reading(self.engine) as connection:
                rows = tables.rows(connection, service=service)
        except SQLAlchemyError as error:
            raise as_store_error(error, "read") from None
        return [(row.id, row.service, tables.unsealed(row, self.keyring)) for row in rows]

    def _mint(
        self,
        service: str,
        scopes: Iterable[str],
        tenant: str | None,
        now: datetime,
        expires_at: datetime | None,
        not_before: datetime | None,
    ) -> tuple[Secret, ServiceToken]:
        longest = self.policy.service_tokens.max_lifetime
        if expires_at is None:
            expires_at = (not_before or now) + DEFAULT_LIFETIME
            expires_at = min(expires_at, now + longest)
        _check_terms(service, tenant)
        scopes = _checked_scopes(scopes)
        if expires_at <= max(now, not_before or now):
            raise CredentialError("The token would have expired before its time begins; name a later expiry.")
        if expires_at > now + longest:
            raise CredentialError(
                f"Policy lets a token live {_days(longest)}, until {_instant(now + longest)}; name an earlier expiry, or "
                "raise max_lifetime in [service_tokens]."
            )
        new = mint()
        known = ServiceToken(
            id=new.id,
            service=service,
            scopes=scopes,
            tenant=tenant,
            created_at=now,
            expires_at=expires_at,
            not_before=not_before,
            digest=new.digest,
        )
        return new.token, known

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        try:
            with writing(self.engine) as connection:
                yield connection
        except SQLAlchemyError as error:
            raise as_store_error(error) from None

    def _event(self, connection: Connection, type: str, id: str, service: str, now: datetime, **payload: Any) -> None:
        record = AuditRecord(
            type=type,
            decision_id=new_id("agd"),
            policy_hash=self.policy.hash,
            payload={"credential": id, "service": service, **payload},
            at=now,
            actor=self.keyring.pseudonym("operator", self.operator) if self.operator else "",
        )
        append(connection, [record], Sealing(keyring=self.keyring, writer=new_id("wrt")))


def _terms(token: ServiceToken) -> dict[str, Any]:
    """What an event says about a new token."""
    terms: dict[str, Any] = {"scopes": sorted(token.scopes), "expires": _instant(token.expires_at)}
    if token.not_before is not None:
        terms["not_before"] = _instant(token.not_before)
    return terms


def _check_terms(service: str, tenant: str | None) -> None:
    if not is_service_name(service):
        raise CredentialError(
            "A service's name is 2 to 64 lower-case letters, digits and . _ -, and begins with a letter: nightly-batch"
        )
    if tenant is not None and not (tenant.strip() == tenant and 0 < len(tenant) <= MAX_TENANT and tenant.isprintable()):
        raise CredentialError(f"A tenant is 1 to {MAX_TENANT} printable characters, without white space around them.")


def _checked_scopes(scopes: Iterable[str]) -> frozenset[str]:
    wanted = frozenset(scopes)
    if not wanted:
        raise CredentialError("A token without a scope can do nothing; name one with --scope.")
    if len(wanted) > MAX_SCOPES:
        raise CredentialError(f"A token has at most {MAX_SCOPES} scopes.")
    for scope in wanted:
        try:
            parse_scope(scope)
        except ValueError as error:
            raise CredentialError(f"A scope {error}.") from None
    return wanted


def _check_id(id: str) -> None:
    if is_token(id):
        raise CredentialError(
            "That is a whole token, and it may now stand in the shell's history: revoke it. Its id is everything before "
            "the second underscore."
        )
    if not is_token_id(id):
        raise CredentialError("A token's id is aig_ and 16 letters and digits, as `aiguard token list` shows it.")


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _days(duration: timedelta) -> str:
    days, rest = divmod(int(duration.total_seconds()), 86_400)
    return f"{days} days" if not rest else f"{int(duration.total_seconds()) // 3600} hours"
