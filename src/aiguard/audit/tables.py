"""The log's rows, and how a record becomes one.

A *leaf* is the canonical JSON (RFC 8785) of what the event says; ``leaf_hash`` is its RFC 6962 leaf hash, and ``seq``
its index in the tree: 0, 1, 2 … without a gap. Everything else in the row is an indexed copy of what the leaf says.

The payload stands beside the leaf, sealed, and the leaf commits to it with ``HMAC-SHA256(salt, payload)``. Salt and
payload are sealed together, so that when their key is destroyed nobody can guess the payload from the commitment, while
the tree stays as it was.
"""

from __future__ import annotations

import hmac
import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import BigInteger, Connection, Engine, ForeignKey, LargeBinary, String, Table, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from aiguard.audit.canonical import quoted
from aiguard.audit.merkle import leaf_hash
from aiguard.audit.payload import check_record
from aiguard.db.base import PREFIX, Base, LeafIndex, UtcTime, utc_text
from aiguard.db.bulk import BulkInsert, reaches, straight, together
from aiguard.db.engine import writing
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Mapper, Sealing
from aiguard.errors import IntegrityError, StoreUnavailable
from aiguard.types import AuditRecord, KeyRing, new_id

LOG = "main"
"""Name of the log. There is one; the name is in every leaf, so that logs can never be mistaken for each other."""

SEQUENCER_LOCK: Final = 0x6169677561726401
"""PostgreSQL's advisory lock of whoever gives positions: ``aiguard`` in ASCII, and 1."""

SEQUENCER_TRIES: Final = 8
"""How often the size is compared and swapped before a writer gives up; with the lock held, once is enough."""

LEAF_VERSION = 1
SALT_BYTES = 32

COLUMNS: Final = (
    "log", "id", "type", "decision_id", "parent_id", "at", "actor", "tenant", "subject", "resource", "policy_hash", "leaf", "leaf_hash",
)  # fmt: skip
"""Of an event, but for its position."""

_BLOCK: Final = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


class AuditLog(Base):
    """How many events each log holds. It only grows: triggers refuse anything else."""

    __tablename__ = f"{PREFIX}audit_logs"

    log: Mapped[str] = mapped_column(String(64), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    instance: Mapped[str] = mapped_column(String(32))
    """Random, new with every database: tells whether two connections lead to the same log."""


class AuditEvent(Base):
    """One leaf of the log. Rows cannot be updated or deleted: triggers refuse it."""

    __tablename__ = f"{PREFIX}audit_events"

    seq: Mapped[int] = mapped_column(LeafIndex, primary_key=True, autoincrement=False)
    log: Mapped[str] = mapped_column(String(64))
    id: Mapped[str] = mapped_column(String(64), unique=True)
    type: Mapped[str] = mapped_column(String(64))
    decision_id: Mapped[str] = mapped_column(String(64), index=True)
    parent_id: Mapped[str] = mapped_column(String(64), index=True)
    at: Mapped[datetime] = mapped_column(UtcTime)
    actor: Mapped[str] = mapped_column(String(64))
    tenant: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(64), index=True)
    resource: Mapped[str] = mapped_column(String(256))
    policy_hash: Mapped[str] = mapped_column(String(80))
    leaf: Mapped[bytes] = mapped_column(LargeBinary)
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary)

    def __repr__(self) -> str:
        return f"AuditEvent(seq={self.seq!r}, type={self.type!r}, decision_id={self.decision_id!r})"


class AuditPayload(Base):
    """The sealed salt and payload of one event."""

    __tablename__ = f"{PREFIX}audit_payloads"

    seq: Mapped[int] = mapped_column(
        LeafIndex, ForeignKey(f"{PREFIX}audit_events.seq"), primary_key=True, autoincrement=False
    )
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


def append(connection: Connection, records: Sequence[AuditRecord], sealing: Sealing) -> None:
    """Append events inside the caller's transaction, so that they and what they report stand or fall together.

    The connection must come from :func:`aiguard.db.writing`.
    """
    if records:
        insert_rows(connection, [prepare(record, sealing) for record in records])


def append_alone(engine: Engine, record: AuditRecord, keyring: KeyRing) -> None:
    """Append one event in a transaction of its own.

    Raises:
        StoreUnavailable: the database cannot be used. It is not on record.
    """
    try:
        with writing(engine) as connection:
            append(connection, [record], Sealing(keyring=keyring, writer=new_id("wrt")))
    except SQLAlchemyError as error:
        raise as_store_error(error) from None


class Prepared(NamedTuple):
    """One event as it goes into the tables, but for its position."""

    values: tuple[Any, ...]
    """Of :data:`COLUMNS`."""
    sealed: bytes


def prepare(record: AuditRecord, sealing: Sealing) -> Prepared:
    """The rows of one event but for its position; :class:`~aiguard.audit.payload.PayloadRefused` for what may not get in."""
    payload = check_record(record)
    salt = os.urandom(SALT_BYTES)
    subject = sealing.name(record.subject)
    told = (
        LOG,
        record.id,
        record.type,
        record.decision_id,
        _parent(record),
        utc_text(record.at),
        subject if record.actor is record.subject else sealing.name(record.actor),
        record.tenant,
        subject,
        record.resource,
        record.policy_hash,
    )
    leaf = leaf_of(told, writer=sealing.writer, commit=commitment(salt, payload))
    about = record.subject if subject else ""  # an event goes on record without a person who was erased meanwhile
    sealed = sealing.seal(salt + payload, aad=payload_aad(record.id, subject), subject=about)
    return Prepared((*told, leaf, leaf_hash(leaf)), sealed)


def leaf_of(told: Sequence[str], *, writer: str, commit: str) -> bytes:
    """The leaf of an event that says what the columns from ``log`` to ``policy_hash`` say.

    It is canonical JSON, written out, since its members and their order are always the same.
    """
    log, id, type, decision_id, parent_id, at, actor, tenant, subject, resource, policy_hash = told
    return (
        f'{{"actor":{quoted(actor)},"commit":{quoted(commit)},"decision_id":{quoted(decision_id)},'
        f'"event_id":{quoted(id)},"log":{quoted(log)},"parent_id":{quoted(parent_id)},'
        f'"policy_hash":{quoted(policy_hash)},"resource":{quoted(resource)},'
        f'"subject":{quoted(subject)},"tenant":{quoted(tenant)},'
        f'"ts":"{at[:10]}T{at[11:]}+00:00","type":{quoted(type)},"v":{LEAF_VERSION},'
        f'"writer":{quoted(writer)}}}'
    ).encode()


def _parent(record: AuditRecord) -> str:
    parent = record.payload.get("parent", "")
    return parent if isinstance(parent, str) and len(parent) <= 64 else ""


def insert_rows(connection: Connection, rows: Sequence[Prepared]) -> None:
    """Give prepared events their positions and insert them. Whoever else appends waits until the transaction has ended."""
    first = _sequence(connection, len(rows))
    with together(connection):
        _INSERT_EVENTS.add_values(connection, [(seq, *row.values) for seq, row in enumerate(rows, first)])
        _INSERT_PAYLOADS.add_values(connection, [(seq, row.sealed) for seq, row in enumerate(rows, first)])


_GROW = """
UPDATE aiguard_audit_logs SET size = size + {0}
WHERE log = {0} AND size = (SELECT size FROM aiguard_audit_logs WHERE log = {0}) RETURNING size
"""
"""Compare and swap: where the size is another one by the time its row can be locked, nothing is changed and nothing returned."""
_LOCK = "SELECT pg_advisory_xact_lock({0})"
_INSERT_EVENTS: Final = BulkInsert(cast("Table", AuditEvent.__table__), ("seq", *COLUMNS))
_INSERT_PAYLOADS: Final = BulkInsert(cast("Table", AuditPayload.__table__), ("seq", "sealed"))


def _sequence(connection: Connection, count: int) -> int:
    """Reserve ``count`` positions; the first of them.

    One sequencer at a time: SQLite's ``BEGIN IMMEDIATE``, which :func:`aiguard.db.writing` begins with, or PostgreSQL's
    advisory lock. That only saves waiting: what keeps positions free of gaps and forks, also where a lock is not held, is
    that the size is compared and swapped, and the primary key behind it.
    """
    for _ in range(SEQUENCER_TRIES):
        with together(connection):
            lock_sequencer(connection)
            grown = _ask(connection, _GROW, count, LOG, LOG)
        row = grown.fetchone()
        if row is not None:
            return int(row[0]) - count
    raise StoreUnavailable("Nothing was written: the audit log kept growing under another sequencer; try again.")


def lock_sequencer(connection: Connection) -> None:
    """Be the only sequencer until the transaction ends."""
    if connection.dialect.name == "postgresql":
        _ask(connection, _LOCK, SEQUENCER_LOCK)


def _ask(connection: Connection, sql: str, *values: object) -> Any:
    if reaches(connection):
        return straight(connection, sql.format("?" if connection.dialect.name == "sqlite" else "%s"), values)
    names = iter(range(len(values)))
    filled = re.sub(r"\{0\}", lambda _: f":v{next(names)}", sql)
    return connection.execute(text(filled), {f"v{number}": value for number, value in enumerate(values)})


MAPPERS: Final[Mapping[type, Mapper]] = MappingProxyType(
    {AuditRecord: Mapper(prepare=prepare, insert=insert_rows, straight=True)}
)
"""What the writer has to be given to commit audit events."""


def payload_aad(event_id: str, subject: str) -> bytes:
    """What a sealed payload is bound to."""
    return f'["aiguard/audit-payload",1,{quoted(event_id)},{quoted(subject)}]'.encode()


def commitment(salt: bytes, payload: bytes) -> str:
    """``HMAC-SHA256(salt, payload)`` in hex: binds the leaf to the payload and says nothing about it without the salt."""
    # RFC 2104 written out, which takes less time than `hmac` and does not give the interpreter's lock away.
    key = (salt if len(salt) <= _BLOCK else sha256(salt).digest()).ljust(_BLOCK, b"\0")
    inner = sha256(key.translate(_INNER) + payload).digest()
    return sha256(key.translate(_OUTER) + inner).hexdigest()


def open_payload(sealed: bytes, leaf: bytes, keyring: KeyRing, *, event_id: str, subject: str) -> dict[str, object]:
    """The payload, checked against the leaf's commitment; :class:`IntegrityError` when it is another one."""
    opened = keyring.open(sealed, aad=payload_aad(event_id, subject))
    salt, payload = opened[:SALT_BYTES], opened[SALT_BYTES:]
    if not hmac.compare_digest(commitment(salt, payload), json.loads(leaf)["commit"]):
        raise IntegrityError(f"The payload of event {event_id} is not the one its leaf commits to.")
    result = json.loads(payload)
    assert isinstance(result, dict)
    return result
