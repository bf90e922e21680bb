"""Signing the log: from the events that are there to a checkpoint that commits to them.

Of every 256 events the hash of their complete subtree is kept (``aiguard_audit_nodes``), and of every 256 of those again, so
that a root or a proof is made of a few hundred hashes however long the log is, and appending an event costs nothing more.

Before a new head is signed, the log must still hold what the last checkpoint committed to; a log that does not is never
signed again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Connection, Engine, LargeBinary, SmallInteger, Text, bindparam, func, insert, select
from sqlalchemy.exc import IntegrityError as RowTaken
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from aiguard.audit import proofs
from aiguard.audit.checkpoint import Checkpoint, issue, trust
from aiguard.audit.merkle import HASH_BYTES, parents, root_hash
from aiguard.audit.note import NoteRefused, Signer, Verifier
from aiguard.audit.tables import LOG, AuditEvent, AuditLog
from aiguard.db.base import PREFIX, Base, LeafIndex, UtcTime
from aiguard.db.engine import reading, writing
from aiguard.db.failures import as_store_error
from aiguard.errors import IntegrityError

logger = logging.getLogger("aiguard")

STEP = 8
"""Levels between one kept row of nodes and the next: a node stands for 2**8 nodes of the row below."""

WIDTH = 1 << STEP

TILES_AT_ONCE = 64
"""Complete tiles that are read and hashed at once, so that memory stays flat however far the signer is behind."""


class AuditNode(Base):
    """The hash of a complete subtree: of the leaves ``idx * 2**level`` up to ``(idx + 1) * 2**level``."""

    __tablename__ = f"{PREFIX}audit_nodes"

    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    idx: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class AuditCheckpoint(Base):
    """One signed note, by the size it commits to."""

    __tablename__ = f"{PREFIX}audit_checkpoints"

    size: Mapped[int] = mapped_column(LeafIndex, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcTime)
    note: Mapped[str] = mapped_column(Text)


class AuditTile(Base):
    """The leaf hashes of 256 events that have expired, one after the other: a level-0 tile as C2SP's tlog-tiles has it."""

    __tablename__ = f"{PREFIX}audit_tiles"

    idx: Mapped[int] = mapped_column(LeafIndex, primary_key=True, autoincrement=False)
    hashes: Mapped[bytes] = mapped_column(LargeBinary)


class AuditPrune(Base):
    """A signed statement that the events before ``cut`` have expired."""

    __tablename__ = f"{PREFIX}audit_prunes"

    cut: Mapped[int] = mapped_column(LeafIndex, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcTime)
    note: Mapped[str] = mapped_column(Text)


class StoredTree:
    """The subtrees of the log in a database, for :mod:`aiguard.audit.proofs`. Reads what it is asked for, once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: dict[tuple[int, int], list[list[bytes]]] = {}

    def subtree(self, level: int, index: int) -> bytes:
        """The hash of one complete subtree; :class:`~aiguard.errors.IntegrityError` when rows of it are missing."""
        base, above = level - level % STEP, level % STEP
        row, at = divmod(index << above, WIDTH)
        nodes = self._row(base, row)[above]
        if at >> above >= len(nodes):
            raise IntegrityError(
                f"The log lacks hashes of level {base} that a proof needs; run `aiguard audit verify`."
            )
        return nodes[at >> above]

    def _row(self, level: int, row: int) -> list[list[bytes]]:
        """A row of a kept level, and the levels above it up to the next one that is kept."""
        known = self._rows.get((level, row))
        if known is None:
            known = [read_row(self._connection, level, row * WIDTH, (row + 1) * WIDTH)]
            while len(known) < STEP:
                known.append(parents(known[-1]))
            self._rows[level, row] = known
        return known


_LEAVES: Final = (
    select(AuditEvent.seq, AuditEvent.leaf_hash)
    .where(AuditEvent.seq >= bindparam("first"), AuditEvent.seq < bindparam("last"))
    .order_by(AuditEvent.seq)
)
_NODES: Final = (
    select(AuditNode.idx, AuditNode.hash)
    .where(AuditNode.level == bindparam("at"), AuditNode.idx >= bindparam("first"), AuditNode.idx < bindparam("last"))
    .order_by(AuditNode.idx)
)


def read_row(connection: Connection, level: int, start: int, end: int) -> list[bytes]:
    """The hashes ``start`` up to ``end`` of a level, as far as they go without a gap."""
    places = {"first": start, "last": end}
    result = connection.execute(_NODES, {"at": level, **places}) if level else connection.execute(_LEAVES, places)
    rows = result.all()
    found: list[bytes] = []
    if level == 0 and (not rows or rows[0][0] != start):
        found = _expired(connection, start, end)
        rows = [row for row in rows if row[0] >= start + len(found)]
    for expected, (at, hash) in enumerate(rows, start + len(found)):
        if at != expected:
            break
        found.append(hash)
    return found


def _expired(connection: Connection, start: int, end: int) -> list[bytes]:
    """Leaf hashes of events that have expired, from their tiles."""
    query = select(AuditTile.idx, AuditTile.hashes).where(AuditTile.idx >= start // WIDTH, AuditTile.idx * WIDTH < end)
    found: list[bytes] = []
    for expected, (index, hashes) in enumerate(connection.execute(query.order_by(AuditTile.idx)), start // WIDTH):
        if index != expected or len(hashes) != WIDTH * HASH_BYTES:
            break
        found += [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    return found[start % WIDTH :][: end - start]


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """A checkpoint in the database: the size and the note that commits to it."""

    size: int
    note: str


def latest(engine: Engine) -> Head | None:
    """The newest checkpoint, or None."""
    try:
        with reading(engine) as connection:
            return _latest(connection)
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None


def sign_head(
    engine: Engine,
    signers: Sequence[Signer],
    *,
    now: datetime,
    trusted: Sequence[Verifier] = (),
    anchored: Head | None = None,
    seen: Head | None = None,
) -> Head | None:
    """Sign the log as it is now, if it has grown since the last checkpoint; give the newest checkpoint.

    Any number of processes may do this at once: for one size there is one checkpoint, whoever came first.

    Args:
        engine: the evidence database.
        signers: whose signatures the note bears; the first names the log. More than one while a key is being replaced.
        now: the time to record beside the note.
        trusted: further keys that may have signed earlier checkpoints.
        anchored: a checkpoint that was kept elsewhere, which the log must hold as well.
        seen: the checkpoint that this process had last, in case somebody has taken it out of the log.

    Raises:
        IntegrityError: the log does not hold what its last checkpoint, ``anchored`` or ``seen`` committed to, or a checkpoint is not trusted.
            Nothing is signed.
        StoreUnavailable: the database could not be used.
    """
    known = [*trusted, *(signer.verifier for signer in signers)]
    try:
        with reading(engine) as connection:
            before = _latest(connection)
            size = connection.execute(select(AuditLog.size).where(AuditLog.log == LOG)).scalar_one()
            for head, which in (
                (before, "its last checkpoint"),
                (anchored, "the anchor's newest checkpoint"),
                (seen if seen != before else None, "the checkpoint that this process had before"),
            ):
                if head is not None:
                    _still_holds(connection, head, which, known, signers[0].name, size)
        if before is not None and before.size == size:
            return before
        _grow(engine, size)
        with reading(engine) as connection:
            root = proofs.root(StoredTree(connection), size)
        note = issue(Checkpoint(origin=signers[0].name, size=size, root=root), signers)
        try:
            with writing(engine) as connection:
                connection.execute(insert(AuditCheckpoint).values(size=size, at=now, note=note))
        except RowTaken:  # another process signed this size
            return latest(engine)
    except SQLAlchemyError as error:
        raise as_store_error(error) from None
    return Head(size=size, note=note)


def _still_holds(
    connection: Connection, before: Head, which: str, known: Sequence[Verifier], origin: str, size: int
) -> None:
    try:
        committed = trust(before.note, known, origin=origin)
    except NoteRefused as why:
        raise NoteRefused(f"Nothing is signed, since {which} cannot be trusted. {why}") from None
    if committed.size != before.size:
        raise IntegrityError(f"Nothing is signed: {which} is filed under another size than the one it commits to.")
    if size < committed.size:
        raise IntegrityError(
            f"The log holds {size} events and {which} commits to {committed.size}: events were taken away, or "
            "an old copy of the database was put back. Nothing is signed; run `aiguard audit verify`."
        )
    if proofs.root(StoredTree(connection), committed.size) != committed.root:
        raise IntegrityError(
            f"The log is not the one that {which} commits to. Nothing is signed; run `aiguard audit verify`."
        )


def _grow(engine: Engine, size: int) -> None:
    """Keep the hash of every subtree that has become complete, lowest level first."""
    level = 0
    while size >> (level + STEP):
        complete = size >> (level + STEP)
        with reading(engine) as connection:
            query = select(func.max(AuditNode.idx)).where(AuditNode.level == level + STEP)
            have = connection.execute(query).scalar_one_or_none()
        start = 0 if have is None else int(have) + 1
        while start < complete:
            end = min(complete, start + TILES_AT_ONCE)
            with reading(engine) as connection:
                hashes = read_row(connection, level, start * WIDTH, end * WIDTH)
            if len(hashes) != (end - start) * WIDTH:
                raise IntegrityError("The log has a gap, so it cannot be signed; run `aiguard audit verify`.")
            rows = [
                {"level": level + STEP, "idx": start + at, "hash": root_hash(hashes[at * WIDTH : (at + 1) * WIDTH])}
                for at in range(end - start)
            ]
            try:
                with writing(engine) as connection:
                    connection.execute(insert(AuditNode), rows)
            except RowTaken:  # another process is at it; what it wrote is compared with the root that is signed
                logger.debug("another process kept the same subtree hashes")
                with reading(engine) as connection:
                    have = connection.execute(query).scalar_one_or_none()
                if have is None or int(have) < start:
                    raise
                start = int(have) + 1
                continue
            start = end
        level += STEP


def _latest(connection: Connection) -> Head | None:
    query = select(AuditCheckpoint.size, AuditCheckpoint.note).order_by(AuditCheckpoint.size.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else Head(size=int(row.size), note=str(row.note))
