"""Expiry of the log itself: its oldest events go, under a signed statement, and what came after stays as provable as it was.

What remains of an expired event is its leaf hash, 32 bytes in a *tile* of 256 (laid out as in C2SP's ``tlog-tiles``). So the root of any
size can still be computed, any two checkpoints can still be shown to be of one log, and a copy of an expired event that
somebody kept can still be proved. A leaf hash says nothing about its event: the leaf holds a commitment made with 256 random bits.

The *statement* is a signed note: ``aiguard-log-expiry/v1``, the log, how many events have expired, the root over them, the time, and the
hashes of the complete subtrees that they are (the *frontier*), from which alone the log can be continued. It is written before
anything is deleted, and triggers let nothing be deleted that no statement and no tile accounts for. An event, ``log.expired``, tells of it.

1. hashes and statement are committed, in one transaction with the event;
2. rows are deleted in batches, payloads first. A run that dies in between is ended by the next.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

from sqlalchemy import Connection, Engine, Table, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit import proofs
from aiguard.audit.erasure import AuditErased
from aiguard.audit.note import Signer, Verifier, sign
from aiguard.audit.signing import (
    WIDTH,
    AuditPrune,
    AuditTile,
    StoredTree,
    latest,
    read_row,
    sign_head,
)
from aiguard.audit.tables import AuditEvent, AuditPayload, append
from aiguard.db.engine import reading, writing
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Sealing
from aiguard.errors import ConfigurationError, IntegrityError
from aiguard.types import AuditRecord, new_id

STATEMENT: Final = "aiguard-log-expiry/v1"
"""First line of a statement."""

BATCH: Final = 2 * WIDTH
"""Events whose rows are deleted in one transaction."""

TILES_AT_ONCE: Final = 256
"""Tiles that are read and written at once: 64k hashes, 2 MB."""

EXPIRED: Final = "log.expired"

_EVENTS: Final = cast("Table", AuditEvent.__table__)
_PAYLOADS: Final = cast("Table", AuditPayload.__table__)
_ERASED: Final = cast("Table", AuditErased.__table__)


class ExpiryRefused(ConfigurationError):
    """The log cannot expire like that; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What an expiry would do: the events from ``start`` up to (without) ``cut`` go."""

    start: int
    cut: int
    leftover: int = 0
    """Events of an earlier expiry that was interrupted, which go too."""

    @property
    def events(self) -> int:
        """How many events go."""
        return self.cut - self.start + self.leftover


def plan(engine: Engine, *, before: datetime) -> Plan:
    """The events older than ``before`` that may expire: whole tiles of 256, all under a checkpoint.

    The first event that is younger ends it, so a clock that once jumped ahead keeps events longer, and never shorter.
    """
    try:
        with reading(engine) as connection:
            start = _cut(connection)
            younger = (
                select(func.min(AuditEvent.seq))
                .where(AuditEvent.at >= before, AuditEvent.seq >= start)
                .scalar_subquery()
            )
            first = connection.execute(select(younger)).scalar_one()
            head = latest(engine)
            signed = head.size if head is not None else 0
            end = signed if first is None else min(int(first), signed)
            leftover = connection.execute(
                select(func.count()).select_from(AuditEvent).where(AuditEvent.seq < start)
            ).scalar_one()
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None
    return Plan(start=start, cut=max(start, end - end % WIDTH), leftover=int(leftover))


def expire(
    engine: Engine,
    sealing: Sealing,
    signers: Sequence[Signer],
    *,
    before: datetime,
    now: datetime,
    trusted: Sequence[Verifier] = (),
    allowed: Callable[[Connection], None] = lambda _connection: None,
    progress: Callable[[int], None] = lambda _count: None,
) -> Plan:
    """Let the events older than ``before`` expire; what went.

    Args:
        engine: the evidence database.
        sealing: seals the payload of the event that tells of it.
        signers: sign the statement, and a checkpoint before and after it.
        before: events at or after this time stay.
        now: the time of the statement.
        trusted: further keys that may have signed earlier checkpoints.
        allowed: raises, in each transaction that deletes, when something (a legal hold) stands against it.
        progress: told how many events have been deleted.

    Raises:
        ExpiryRefused: nobody can sign, or ``before`` is in the future.
        IntegrityError: the log is not what its checkpoints commit to. Nothing has expired.
        StoreUnavailable: a database could not be used; the next run ends what was begun.
    """
    if not signers:
        raise ExpiryRefused("Expiry needs the log's signing key; set AIGUARD_AUDIT_SIGNING_KEY where it is run.")
    if before > now:
        raise ExpiryRefused("Events of the future cannot expire; is the clock right?")
    sign_head(engine, signers, now=now, trusted=trusted)
    found = plan(engine, before=before)
    try:
        if found.cut > found.start:
            _state(engine, sealing, signers, found, now, allowed)
        _delete(engine, found.cut, allowed, progress)
    except SQLAlchemyError as error:
        raise as_store_error(error, "deleted by this batch") from None
    sign_head(engine, signers, now=now, trusted=trusted)
    return found


def _state(
    engine: Engine,
    sealing: Sealing,
    signers: Sequence[Signer],
    found: Plan,
    now: datetime,
    allowed: Callable[[Connection], None],
) -> None:
    """Commit tiles, statement and event, or nothing."""
    with writing(engine) as connection:
        allowed(connection)
        if _cut(connection) != found.start:
            raise ExpiryRefused("Another run let events expire meanwhile; start again.")
        for rows in _tiles(connection, found.start // WIDTH, found.cut // WIDTH):
            connection.execute(insert(AuditTile), rows)
        tree = StoredTree(connection)
        root = proofs.root(tree, found.cut)
        frontier = [tree.subtree(level, index) for level, index in proofs.complete(0, found.cut)]
        lines = (
            STATEMENT,
            signers[0].name,
            str(found.cut),
            *(base64.b64encode(root).decode(),),
            now.astimezone(UTC).isoformat(timespec="microseconds"),
            *(base64.b64encode(each).decode() for each in frontier),
        )
        note = str(sign("".join(f"{line}\n" for line in lines), signers))
        connection.execute(insert(AuditPrune).values(cut=found.cut, at=now, note=note))
        payload = {"first": found.start, "cut": found.cut, "root": f"sha256:{root.hex()}"}
        record = AuditRecord(type=EXPIRED, decision_id=new_id("exp"), resource="audit", payload=payload, at=now)
        append(connection, [record], sealing)


def _tiles(connection: Connection, first: int, end: int) -> Iterator[list[dict[str, object]]]:
    """Rows of tiles, each compared with the hash that is kept of its subtree."""
    for start in range(first, end, TILES_AT_ONCE):
        stop = min(end, start + TILES_AT_ONCE)
        hashes = read_row(connection, 0, start * WIDTH, stop * WIDTH)
        if len(hashes) != (stop - start) * WIDTH:
            raise IntegrityError("The log has a gap, so nothing of it expires; run `aiguard audit verify`.")
        yield [
            {"idx": start + at, "hashes": b"".join(hashes[at * WIDTH : (at + 1) * WIDTH])} for at in range(stop - start)
        ]


def _delete(engine: Engine, cut: int, allowed: Callable[[Connection], None], progress: Callable[[int], None]) -> None:
    while True:
        with writing(engine) as connection:
            allowed(connection)
            first = connection.execute(select(func.min(AuditEvent.seq)).where(AuditEvent.seq < cut)).scalar_one()
            if first is None:
                return
            end = min(cut, int(first) + BATCH)
            for table in (_PAYLOADS, _ERASED, _EVENTS):
                gone = connection.execute(delete(table).where(table.c.seq < end)).rowcount
        progress(gone)


def _cut(connection: Connection) -> int:
    return int(connection.execute(select(func.max(AuditPrune.cut))).scalar_one() or 0)
