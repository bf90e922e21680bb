"""Erasing what events say about a person: payload and salt go, the event stays, and the tree with it.

An event's payload may be deleted once a row of ``aiguard_audit_erased`` names the event, and that row cannot be taken back.
The same transaction appends a tombstone, ``erasure.completed``, whose payload lists the positions as ranges. The verifier
believes the tombstone, which is in the tree, and not the row: a payload that is missing without one is tampering.

Without its salt, the commitment in the leaf says nothing about the payload, not even to somebody who guesses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, cast

from sqlalchemy import Connection, String, Table, delete, insert, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column

from aiguard.audit.tables import AuditEvent, AuditPayload, append
from aiguard.db.base import PREFIX, Base, LeafIndex
from aiguard.db.mapping import Sealing
from aiguard.types import AuditRecord, new_id

BATCH: Final = 500
"""Payloads of one tombstone: their ranges fit into its payload however scattered they are."""


TOMBSTONE: Final = "erasure.completed"
"""The type of the event whose payload lists what was erased."""


class AuditErased(Base):
    """That the payload of one event was erased, and by which tombstone. Rows cannot be updated or deleted."""

    __tablename__ = f"{PREFIX}audit_erased"

    seq: Mapped[int] = mapped_column(LeafIndex, primary_key=True, autoincrement=False)
    tombstone: Mapped[str] = mapped_column(String(64))


_ERASED: Final = cast("Table", AuditErased.__table__)
_PAYLOADS: Final = cast("Table", AuditPayload.__table__)


def payloads_about(
    connection: Connection, subjects: Sequence[str], *, after: int = -1, limit: int = BATCH
) -> list[int]:
    """Positions of the first ``limit`` events behind ``after`` about one of ``subjects`` whose payload is still there.

    ``subjects`` are pseudonyms as events carry them.
    """
    query = (
        select(AuditPayload.seq)
        .join(AuditEvent, AuditEvent.seq == AuditPayload.seq)
        .where(AuditEvent.subject.in_(list(subjects)), AuditEvent.type != TOMBSTONE, AuditEvent.seq > after)
        .order_by(AuditEvent.seq)
        .limit(limit)
    )
    return [int(seq) for seq in connection.execute(query).scalars()]


def payloads_before(connection: Connection, moment: datetime, *, after: int = -1, limit: int = BATCH) -> list[int]:
    """Positions of the first ``limit`` events behind ``after`` and older than ``moment`` whose payload is still there.

    Tombstones keep theirs: what the verifier believes is in them.
    """
    query = (
        select(AuditPayload.seq)
        .join(AuditEvent, AuditEvent.seq == AuditPayload.seq)
        .where(AuditEvent.at < moment, AuditEvent.type != TOMBSTONE, AuditPayload.seq > after)
        .order_by(AuditPayload.seq)
        .limit(limit)
    )
    return [int(seq) for seq in connection.execute(query).scalars()]


def erase_payloads(
    connection: Connection, positions: Sequence[int], sealing: Sealing, *, decision_id: str, at: datetime
) -> int:
    """Delete the payloads of at most :data:`BATCH` events, and append the tombstone; how many there were that nobody else deletes.

    Args:
        connection: from :func:`aiguard.db.writing`; what it does stands or falls with the caller's transaction.
        positions: positions (``seq``) in the log.
        sealing: seals the tombstone's own payload, with the ring's key: it is about nobody.
        decision_id: under which the erasure is told.
        at: now.
    """
    if len(positions) > BATCH:
        raise ValueError(f"at most {BATCH} payloads are erased at once")
    there = select(_PAYLOADS.c.seq).where(_PAYLOADS.c.seq.in_(list(positions)))
    erased = sorted(int(seq) for seq in connection.execute(there).scalars())
    if not erased:
        return 0
    id = new_id("evt")
    erased = _claimed(connection, erased, id)
    if not erased:
        return 0
    tombstone = AuditRecord(
        id=id,
        type=TOMBSTONE,
        decision_id=decision_id,
        payload={"count": len(erased), "events": [list(each) for each in ranges(erased)]},
        at=at,
    )
    connection.execute(delete(_PAYLOADS).where(_PAYLOADS.c.seq.in_(erased)))
    append(connection, [tombstone], sealing)
    return len(erased)


def _claimed(connection: Connection, positions: Sequence[int], tombstone: str) -> list[int]:
    """Say which tombstone tells of these, in order; those of which another transaction's has told meanwhile are left out."""
    rows = [{"seq": seq, "tombstone": tombstone} for seq in positions]
    if connection.dialect.name != "postgresql":  # one writes at a time
        connection.execute(insert(_ERASED), rows)
        return list(positions)
    ours = postgresql.insert(_ERASED).values(rows).on_conflict_do_nothing().returning(_ERASED.c.seq)
    return sorted(int(seq) for seq in connection.execute(ours).scalars())


def ranges(positions: Iterable[int]) -> list[tuple[int, int]]:
    """Sorted positions as ranges, both ends included: ``1, 2, 3, 7`` is ``(1, 3), (7, 7)``."""
    found: list[tuple[int, int]] = []
    for position in positions:
        if found and found[-1][1] == position - 1:
            found[-1] = (found[-1][0], position)
        else:
            found.append((position, position))
    return found
