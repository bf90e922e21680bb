"""The service token's row, and how it is found.

Everything that a token means (whose it is, what it may do, until when, what it hashes to) is sealed into the row and bound
to its id, so that whoever can only write to the database can neither make a token nor widen one. Outside of the seal stands
what lists are sorted by, and what changes: when it was revoked, when it was last used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, LargeBinary, Row, String, Table, bindparam, insert, or_, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from aiguard.db.base import PREFIX, Base, UtcTime
from aiguard.db.engine import reading
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Mapper, Sealing
from aiguard.db.mapping import Row as Prepared
from aiguard.errors import IntegrityError
from aiguard.identity.tokens import ServiceToken
from aiguard.types import CredentialUse, KeyRing

FIND_TIMEOUT_MS: Final = 3_000
"""How long PostgreSQL may look for one token. It is found by its key, so this is an outage."""


class StoredToken(Base):
    """One service token. ``sealed`` is what counts; ``service``, ``created_at`` and ``expires_at`` are copies to list by.

    The copy of the end must agree with the seal, and the table's triggers let it only come sooner: so an earlier seal of the same row opens nothing.
    """

    __tablename__ = f"{PREFIX}service_tokens"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    service: Mapped[str] = mapped_column(String(64), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcTime)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)

    def __repr__(self) -> str:
        return f"StoredToken(id={self.id!r})"


_TABLE: Final = cast("Table", StoredToken.__table__)
_FIND: Final = select(_TABLE).where(_TABLE.c.id == bindparam("wanted"))


class TokenTable:
    """The tokens in one database. Every answer is read anew, so that a revocation counts from its commit on."""

    def __init__(self, engine: Engine, keyring: KeyRing) -> None:
        self._engine = engine
        self._keyring = keyring
        nobody = ServiceToken(
            id="aig_nobody",
            service="nobody",
            scopes=frozenset({"nothing"}),
            created_at=datetime.min.replace(tzinfo=UTC),
            expires_at=datetime.min.replace(tzinfo=UTC),
            digest=bytes(32),
        )
        self._decoy = SimpleNamespace(**_columns(nobody, keyring))

    def find(self, id: str) -> ServiceToken | None:
        """The token of that id. An unknown id costs what a known one does.

        Raises:
            StoreUnavailable: the database did not answer.
            IntegrityError: the row was altered, or was sealed with a key that is gone.
        """
        try:
            with reading(self._engine) as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(text(f"SET LOCAL statement_timeout = {FIND_TIMEOUT_MS}"))
                row = connection.execute(_FIND, {"wanted": id}).one_or_none()
        except SQLAlchemyError as error:
            raise as_store_error(error, "read") from None
        if row is None:
            unseal(self._decoy, self._keyring)
            return None
        return unseal(row, self._keyring)


def put(connection: Connection, token: ServiceToken, keyring: KeyRing) -> None:
    """Add a token, or write it anew where its id is there already."""
    row = _columns(token, keyring)
    changed = connection.execute(update(_TABLE).where(_TABLE.c.id == token.id).values(row))
    if not changed.rowcount:
        connection.execute(insert(_TABLE), [row])


def _columns(token: ServiceToken, keyring: KeyRing) -> dict[str, Any]:
    return {
        "id": token.id,
        "service": token.service,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "last_used_at": token.last_used_at,
        "sealed": _seal(token, keyring),
    }


def rows(
    connection: Connection, *, id: str | None = None, service: str | None = None, lock: bool = False
) -> Sequence[Row[Any]]:
    """The rows of an id or a service, or all of them, oldest first; ``lock`` holds them until the transaction ends."""
    wanted = select(_TABLE).order_by(_TABLE.c.created_at, _TABLE.c.id)
    if id is not None:
        wanted = wanted.where(_TABLE.c.id == id)
    if service is not None:
        wanted = wanted.where(_TABLE.c.service == service)
    if lock:
        wanted = wanted.with_for_update()
    return connection.execute(wanted).all()


def mark_revoked(connection: Connection, id: str, at: datetime) -> None:
    """Revoke a token; its row need not be readable."""
    connection.execute(update(_TABLE).where(_TABLE.c.id == id).values(revoked_at=at))


def _aad(id: str) -> bytes:
    return json.dumps(["aiguard/service-token", 1, id]).encode()


def _seal(token: ServiceToken, keyring: KeyRing) -> bytes:
    meaning = {
        "service": token.service,
        "scopes": sorted(token.scopes),
        "tenant": token.tenant,
        "created_at": token.created_at.isoformat(),
        "expires_at": token.expires_at.isoformat(),
        "not_before": token.not_before.isoformat() if token.not_before is not None else None,
        "digest": token.digest.hex(),
    }
    return keyring.seal(json.dumps(meaning).encode(), aad=_aad(token.id))


def unseal(row: Any, keyring: KeyRing) -> ServiceToken:
    """A row as what it means; :class:`IntegrityError` when the seal does not hold."""
    meaning = json.loads(keyring.open(row.sealed, aad=_aad(row.id)))
    if row.service != meaning["service"]:
        raise IntegrityError("The service token's row names another service than its seal.")
    if row.expires_at != datetime.fromisoformat(meaning["expires_at"]):
        raise IntegrityError("The service token's row names another end than its seal.")
    not_before = meaning["not_before"]
    return ServiceToken(
        id=row.id,
        service=meaning["service"],
        scopes=frozenset(meaning["scopes"]),
        tenant=meaning["tenant"],
        created_at=datetime.fromisoformat(meaning["created_at"]),
        expires_at=datetime.fromisoformat(meaning["expires_at"]),
        not_before=datetime.fromisoformat(not_before) if not_before is not None else None,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        digest=bytes.fromhex(meaning["digest"]),
    )


def unsealed(row: Row[Any], keyring: KeyRing) -> ServiceToken | None:
    """:func:`unseal`, or None for a row that is damaged or was sealed with a key that is gone."""
    try:
        return unseal(row, keyring)
    except IntegrityError:
        return None


def _prepare(record: CredentialUse, sealing: Sealing) -> Prepared:  # noqa: ARG001 - the writer's signature
    return {"used": record.credential, "at": record.at}


_USED: Final = (
    update(_TABLE)
    .where(
        _TABLE.c.id == bindparam("used"),
        or_(_TABLE.c.last_used_at.is_(None), _TABLE.c.last_used_at < bindparam("at")),
    )
    .values(last_used_at=bindparam("at"))
)


def _write(connection: Connection, rows: Sequence[Prepared]) -> None:
    # In one order everywhere, so that two processes cannot wait for each other's rows.
    connection.execute(_USED, sorted((dict(row) for row in rows), key=lambda row: str(row["used"])))


MAPPERS: Final[Mapping[type, Mapper]] = MappingProxyType({CredentialUse: Mapper(prepare=_prepare, insert=_write)})
"""What the writer has to be given to note when tokens were used."""
