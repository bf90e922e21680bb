"""The log's rows, and how a record becomes one.

A *leaf* is the canonical JSON (RFC 8785) of what the event says; ``leaf_hash`` is its RFC 6962 leaf hash, and ``seq``
its index in the tree: 0, 1, 2 … without a gap. Everything else in the row is an indexed copy of what the leaf says.

The payload stands beside the leaf, sealed, and the leaf commits to it with ``HMAC-SHA256(salt, payload)``. Salt and
payload are sealed together, so that when their key is destroyed nobody can guess the payload from the commitment, while
the tree stays as it was.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, ForeignKey, LargeBinary, String, bindparam, insert, update
from sqlalchemy.orm import Mapped, mapped_column

from aiguard.audit.canonical import canonical
from aiguard.audit.merkle import leaf_hash
from aiguard.audit.payload import check_record
from aiguard.db.base import PREFIX, Base, LeafIndex, UtcTime
from aiguard.db.writer import Mapper, Row, Sealing
from aiguard.errors import IntegrityError
from aiguard.types import AuditRecord, KeyRing

LOG = "main"
"""Name of the log. There is one; the name is in every leaf, so that logs can never be mistaken for each other."""

LEAF_VERSION = 1
SALT_BYTES = 32


class AuditLog(Base):
    """How many events each log holds. The row's lock is what makes ``seq`` gapless, also among many processes."""

    __tablename__ = f"{PREFIX}audit_logs"

    log: Mapped[str] = mapped_column(String(64), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)


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
    subject: Mapped[str] = mapped_column(String(64))
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


_INDEXED = ("type", "decision_id", "parent_id", "actor", "tenant", "subject", "resource", "policy_hash")


def append(connection: Connection, records: Sequence[AuditRecord], sealing: Sealing) -> None:
    """Append events inside the caller's transaction, so that they and what they report stand or fall together.

    The connection must come from :func:`aiguard.db.writing`.
    """
    if records:
        _insert(connection, [_prepare(record, sealing) for record in records])


def _prepare(record: AuditRecord, sealing: Sealing) -> Row:
    payload = check_record(record)
    salt = os.urandom(SALT_BYTES)
    at = record.at.astimezone(UTC)
    row: dict[str, Any] = {
        "log": LOG,
        "id": record.id,
        "type": record.type,
        "decision_id": record.decision_id,
        "parent_id": _parent(record),
        "at": at,
        "actor": record.actor,
        "tenant": record.tenant,
        "subject": record.subject,
        "resource": record.resource,
        "policy_hash": record.policy_hash,
    }
    leaf = canonical(
        {name: row[name] for name in _INDEXED}
        | {
            "v": LEAF_VERSION,
            "log": LOG,
            "event_id": record.id,
            "writer": sealing.writer,
            "ts": at.isoformat(timespec="microseconds"),
            "commit": commitment(salt, payload),
        },
        simple=True,
    )
    row["leaf"] = leaf
    row["leaf_hash"] = leaf_hash(leaf)
    row["sealed"] = sealing.keyring.seal(salt + payload, aad=payload_aad(record.id, record.subject))
    return row


def _parent(record: AuditRecord) -> str:
    parent = record.payload.get("parent", "")
    return parent if isinstance(parent, str) and len(parent) <= 64 else ""


def _insert(connection: Connection, rows: Sequence[Row]) -> None:
    first = _grow(connection, len(rows))
    numbered = [{**row, "seq": first + offset} for offset, row in enumerate(rows)]
    connection.execute(_INSERT_EVENTS, [{k: v for k, v in row.items() if k != "sealed"} for row in numbered])
    connection.execute(_INSERT_PAYLOADS, [{"seq": row["seq"], "sealed": row["sealed"]} for row in numbered])


_GROW = (
    update(AuditLog)
    .where(AuditLog.log == LOG)
    .values(size=AuditLog.size + bindparam("more"))
    .returning(AuditLog.size)
    .execution_options(synchronize_session=False)
)
_INSERT_EVENTS = insert(AuditEvent.__table__)  # type: ignore[arg-type]
_INSERT_PAYLOADS = insert(AuditPayload.__table__)  # type: ignore[arg-type]


def _grow(connection: Connection, count: int) -> int:
    """Reserve ``count`` indexes under the row's lock, which is held until the transaction ends; the first of them."""
    size = connection.execute(_GROW, {"more": count}).scalar_one()
    return int(size) - count


MAPPERS: Final[Mapping[type, Mapper]] = MappingProxyType({AuditRecord: Mapper(prepare=_prepare, insert=_insert)})
"""What the writer has to be given to commit audit events."""


def payload_aad(event_id: str, subject: str) -> bytes:
    """What a sealed payload is bound to."""
    return canonical(["aiguard/audit-payload", 1, event_id, subject], simple=True)


def commitment(salt: bytes, payload: bytes) -> str:
    """``HMAC-SHA256(salt, payload)`` in hex: binds the leaf to the payload and says nothing about it without the salt."""
    return hmac.digest(salt, payload, hashlib.sha256).hex()


def open_payload(sealed: bytes, leaf: bytes, keyring: KeyRing, *, event_id: str, subject: str) -> dict[str, object]:
    """The payload, checked against the leaf's commitment; :class:`IntegrityError` when it is another one."""
    opened = keyring.open(sealed, aad=payload_aad(event_id, subject))
    salt, payload = opened[:SALT_BYTES], opened[SALT_BYTES:]
    if not hmac.compare_digest(commitment(salt, payload), json.loads(leaf)["commit"]):
        raise IntegrityError(f"The payload of event {event_id} is not the one its leaf commits to.")
    result = json.loads(payload)
    assert isinstance(result, dict)
    return result
