"""Events that belong to a transaction of the application's own.

``put`` writes an event into the outbox with the application's session: if its transaction commits, the event is on record, if it
rolls back, the event never was. What is in the outbox gets its position in the log a moment later, when any process *drains*
it: rows leave the outbox and enter the log in one transaction, so that an event is in exactly one of the two, whatever crashes.

A row is sealed with the ring's key and bound to its event's id: whoever changes one, or makes one up, is found out when it is
opened, and it stays where it is for :func:`aiguard.audit.verify.verify` to tell. A row that is deleted before it was drained is
not missed; that is what the log, and not the outbox, is for.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Protocol, cast

from sqlalchemy import Connection, Engine, LargeBinary, String, Table, delete, func, insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from aiguard.audit.canonical import canonical
from aiguard.audit.payload import check_record
from aiguard.audit.tables import LOG, AuditEvent, AuditLog, insert_rows, prepare
from aiguard.audit.worker import Worker
from aiguard.db.base import PREFIX, Base, LeafIndex, UtcTime
from aiguard.db.engine import reading, schema_of, writing
from aiguard.db.failures import as_store_error, locked
from aiguard.db.mapping import Row, Sealing, people_of
from aiguard.errors import AIGuardError, ConfigurationError, StoreError, StoreUnavailable
from aiguard.types import AuditRecord, BoundName, KeyRing, SubjectKeys, new_id

logger = logging.getLogger("aiguard")

PAGE: Final = 256
"""Events that are drained in one transaction."""

IDLE_SECONDS: Final = 5.0
"""How often a process looks for what another one left in the outbox."""

SOON_SECONDS: Final = 0.2
"""How often it looks after it has put something in itself, since it does not learn of the commit."""

SOON_FOR: Final = 30.0
"""For how many seconds after a ``put`` it looks that often."""

PATIENCE: Final = 30.0
"""Seconds that :func:`drain` waits for rows, and for the log, while another process holds them."""

LAST_PATIENCE: Final = 5.0
"""Seconds that the last drain of a guard that closes waits for them."""


class AuditOutbox(Base):
    """One event that waits for its position in the log."""

    __tablename__ = f"{PREFIX}audit_outbox"

    id: Mapped[int] = mapped_column(LeafIndex, primary_key=True, autoincrement=True)
    event_id: Mapped[str] = mapped_column(String(64), unique=True)
    at: Mapped[datetime] = mapped_column(UtcTime)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


MAX_TOLD: Final = 10_000
"""Rows that a process remembers to have told of."""

_SEAL: Final = b"\x01"
_SEALER: Final = 9
"""A row begins with the version of its seal and the id of the master key."""

_told: set[bytes] = set()
_PEOPLE: Final = ("actor", "subject")
_OUTBOX: Final = cast("Table", AuditOutbox.__table__)


class Executes(Protocol):
    """An SQLAlchemy ``Connection``, ``Session`` or ``scoped_session``."""

    def execute(self, statement: Any, parameters: Any = ..., /) -> Any:
        """Run one statement in the current transaction."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Drained:
    """What one drain did."""

    events: int = 0
    refused: int = 0
    """Rows that do not open, or that are not what was sealed; they stay in the outbox."""
    repeated: int = 0
    """Rows of events that the log already holds; they were dropped."""


def put(session: Executes, records: Sequence[AuditRecord], keyring: KeyRing, *, schema: str | None = None) -> None:
    """Write events into the outbox (of a PostgreSQL ``schema``), in the transaction that ``session`` is in.

    Raises:
        PayloadRefused: an event holds what may not get into the log. Nothing was written.
        StoreError: the database refused.
    """
    rows = [{"event_id": record.id, "at": record.at, "sealed": _sealed(record, keyring)} for record in records]
    if not rows:
        return
    try:
        session.execute(insert(_OUTBOX).execution_options(schema_translate_map={None: schema}), rows)
    except SQLAlchemyError as error:
        raise as_store_error(error) from None


def drain(engine: Engine, keyring: KeyRing, *, patience: float = PATIENCE) -> Drained:
    """Move every committed event of the outbox into the log, oldest first. Any number of processes may do it at once.

    When it returns, what was committed before the call is in the log, whoever moved it, or was refused. Rows that another process is
    moving are left to it at first and waited for at the end; if it fails, they are moved here.

    Args:
        engine: the evidence database.
        keyring: opens what waits, and seals what enters the log.
        patience: seconds to wait for others. 0 waits for nobody, and leaves to them what they are moving.

    Raises:
        StoreUnavailable: the database or the key store cannot be used, or somebody holds rows, or the log, for longer than ``patience``;
            what is not moved yet stays in the outbox.
    """
    deadline = time.monotonic() + patience
    done = Drained()
    after, held = 0, list[Any]()
    try:
        while True:
            with reading(engine) as connection:
                query = select(_OUTBOX).where(_OUTBOX.c.id > after).order_by(_OUTBOX.c.id).limit(PAGE)
                page = connection.execute(query).all()
            if page:
                done, passed = _move(engine, keyring, page, done, deadline)
                held += passed
                after = int(page[-1].id)
            if len(page) < PAGE:
                break
        for start in range(0, len(held) if patience else 0, PAGE):
            page = _still_there(engine, held[start : start + PAGE])
            if page:
                done, _ = _move(engine, keyring, page, done, deadline, wait=True)
    except SQLAlchemyError as error:
        raise as_store_error(error) from None
    return done


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """The numbers of the rows in the outbox that a drain leaves there."""

    damaged: tuple[int, ...] = ()
    """Not what was put there."""
    closed: tuple[int, ...] = ()
    """Sealed, by what they say themselves, with a master key that is not at hand."""


def left(engine: Engine, keyring: KeyRing) -> Left:
    """The rows that the keys of ``keyring`` do not open as what was put there. Changes nothing."""
    at_hand = getattr(keyring, "key_ids", None)
    damaged, closed, after = list[int](), list[int](), 0
    try:
        while True:
            with reading(engine) as connection:
                query = select(_OUTBOX).where(_OUTBOX.c.id > after).order_by(_OUTBOX.c.id).limit(PAGE)
                page = connection.execute(query).all()
            for row in page:
                sealed = bytes(row.sealed)
                if _opened(row.event_id, sealed, keyring) is None:
                    lacks = at_hand is not None and sealed[:1] == _SEAL and sealed[1:_SEALER].hex() not in at_hand
                    (closed if lacks else damaged).append(int(row.id))
            if len(page) < PAGE:
                return Left(damaged=tuple(damaged), closed=tuple(closed))
            after = int(page[-1].id)
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None


def waiting(engine: Engine) -> int:
    """How many events are in the outbox."""
    try:
        with reading(engine) as connection:
            return int(connection.execute(select(func.count()).select_from(_OUTBOX)).scalar_one())
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None


def _move(
    engine: Engine, keyring: KeyRing, page: Sequence[Any], before: Drained, deadline: float, *, wait: bool = False
) -> tuple[Drained, list[Any]]:
    """Move a page; what has been done by now, and the rows that somebody else is at, or has moved meanwhile."""
    records: dict[str, AuditRecord] = {}
    for row in page:
        record = _opened(row.event_id, bytes(row.sealed), keyring)
        if record is None:
            _tell(row)
        else:
            records[row.event_id] = record
    # Before the transaction: a person's new key is written to the key store, which may be the same SQLite file.
    keys = keyring.subject_keys(people_of(list(records.values()))) if isinstance(keyring, SubjectKeys) else {}
    sealing = Sealing(keyring=keyring, writer=new_id("wrt"), subjects=keys)
    ready: dict[str, Row] = {id: prepare(record, sealing) for id, record in records.items()}
    seen = {row.event_id: bytes(row.sealed) for row in page if row.event_id in ready}
    while True:
        try:
            taken, repeated = _moved(engine, ready, seen, wait=wait)
            break
        except SQLAlchemyError as error:
            if not locked(error) or time.monotonic() > deadline:
                raise
    if repeated:
        logger.critical("%d events of the audit outbox were in the log already; they were dropped", repeated)
    done = Drained(
        events=before.events + len(taken) - repeated,
        refused=before.refused + len(page) - len(ready),
        repeated=before.repeated + repeated,
    )
    return done, [row for row in page if row.event_id in seen and row.event_id not in taken]


def _tell(row: Any) -> None:
    """Say once in a process that a row is left where it is; every turn of every drain meets it again."""
    mark = hashlib.sha256(f"{row.event_id}\n".encode() + bytes(row.sealed)).digest()
    if mark in _told:
        return
    if len(_told) >= MAX_TOLD:
        _told.clear()
    _told.add(mark)
    logger.critical(
        "row %d of the audit outbox does not open, or is not what was put there; it is left as it is, and `aiguard db check` tells of it",
        row.id,
    )


def _moved(
    engine: Engine, ready: Mapping[str, Row], seen: Mapping[str, bytes], *, wait: bool
) -> tuple[frozenset[str], int]:
    """Move what is ready, in one transaction; the ids that were taken from the outbox, and how many of them the log held already."""
    with writing(engine) as connection:
        taken = _take(connection, list(ready), wait=wait)
        if any(seen[id] != sealed for id, sealed in taken):
            raise StoreUnavailable("A row of the audit outbox changed while it was drained; it is looked at again.")
        repeated = _there(connection, [id for id, _ in taken])
        rows = [ready[id] for id, _ in taken if id not in repeated]
        if rows:
            insert_rows(connection, rows)
    return frozenset(id for id, _ in taken), len(repeated)


def _still_there(engine: Engine, rows: Sequence[Any]) -> list[Any]:
    """Those of ``rows`` that nobody has moved yet."""
    c = _OUTBOX.c
    with reading(engine) as connection:
        query = select(c.event_id).where(c.event_id.in_([row.event_id for row in rows]))
        there = set(connection.execute(query).scalars())
    return [row for row in rows if row.event_id in there]


def _take(connection: Connection, ids: Sequence[str], *, wait: bool) -> list[tuple[str, bytes]]:
    """Delete these events' rows; what was deleted, in the order it was put.

    Rows that another process is at are passed over, or waited for, which finds them gone unless that process failed. By the event's
    id and never by the row's: SQLite may give a row's id again once it is free, and what another process put under it meanwhile must
    not go. Rows are locked in the order of their ids, and before the log, so that nobody waits for each other.
    """
    c = _OUTBOX.c
    free = select(c.id).where(c.event_id.in_(ids)).order_by(c.id).with_for_update(skip_locked=not wait)
    gone = connection.execute(delete(_OUTBOX).where(c.id.in_(free)).returning(c.id, c.event_id, c.sealed)).all()
    return [(str(row.event_id), bytes(row.sealed)) for row in sorted(gone, key=lambda row: int(row.id))]


def _there(connection: Connection, ids: Sequence[str]) -> set[str]:
    return set(connection.execute(select(AuditEvent.id).where(AuditEvent.id.in_(ids))).scalars()) if ids else set()


def _sealed(record: AuditRecord, keyring: KeyRing) -> bytes:
    said = {each.name: getattr(record, each.name) for each in fields(AuditRecord)}
    said |= {"at": record.at.isoformat(), "payload": check_record(record).decode()}
    said["bound"] = {role: getattr(said[role], "bound_to", "") for role in _PEOPLE}
    return keyring.seal(canonical(said, simple=False), aad=outbox_aad(record.id))


def _opened(event_id: str, sealed: bytes, keyring: KeyRing) -> AuditRecord | None:
    try:
        said = json.loads(keyring.open(sealed, aad=outbox_aad(event_id)))
        for role, name in said.pop("bound", {}).items():
            if role in _PEOPLE and name:
                said[role] = BoundName(said[role], name)
        record = AuditRecord(
            **{**said, "at": datetime.fromisoformat(said["at"]), "payload": json.loads(said["payload"])}
        )
        check_record(record)
    except (AIGuardError, ValueError, KeyError, TypeError):
        return None
    return record if record.id == event_id else None


def outbox_aad(event_id: str) -> bytes:
    """What a sealed row is bound to."""
    return canonical(["aiguard/audit-outbox", 1, event_id], simple=True)


class Outbox(Worker):
    """The outbox of one guard: takes events, and drains them in a thread.

    Args:
        engine: the evidence database.
        keyring: seals what waits, and what enters the log.
    """

    name = "aiguard-outbox"

    def __init__(self, engine: Engine, keyring: KeyRing, *, idle: float = IDLE_SECONDS) -> None:
        super().__init__(idle)
        self._engine = engine
        self._keyring = keyring
        self._idle = idle
        self._soon_until = 0.0
        self._patience = 0.0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()
        self._own = ""
        self._lock = threading.Lock()

    def put(self, session: Executes, record: AuditRecord) -> None:
        """Write one event in the session's transaction.

        Raises:
            ConfigurationError: the session leads to a database that does not hold this guard's log.
            PayloadRefused: the event holds what may not get into the log.
            StoreError: the database refused.
        """
        self._same_database(session)
        put(session, [record], self._keyring, schema=schema_of(self._engine))
        self._soon_until = time.monotonic() + SOON_FOR
        self._interval = SOON_SECONDS
        self.wake()

    def close(self) -> None:
        """Drain a last time, waiting a little for others, and stop."""
        self._patience = LAST_PATIENCE
        super().close()

    def turn(self) -> None:
        """Drain, leaving to others what they are moving, and say what stands against it."""
        try:
            drain(self._engine, self._keyring, patience=self._patience)
        except StoreError as error:
            logger.error("the audit outbox was not drained in this turn: %s", error)  # noqa: TRY400 - told in our words
        except Exception as error:  # noqa: BLE001 - the next turn tries again; what waits too long is told by verify
            logger.error(  # noqa: TRY400 - the message may quote a row
                "the audit outbox was not drained in this turn: %s", type(error).__name__
            )
        if time.monotonic() > self._soon_until:
            self._interval = self._idle

    def _same_database(self, session: Executes) -> None:
        engine = _engine_of(session)
        if engine is not None and engine in self._known:
            return
        query = select(AuditLog.instance).where(AuditLog.log == LOG)
        options = {"schema_translate_map": {None: schema_of(self._engine)}}
        try:
            with self._lock:
                if not self._own:
                    with reading(self._engine) as connection:
                        self._own = str(connection.execute(query).scalar_one())
            theirs = session.execute(query.execution_options(**options)).scalar_one_or_none()
        except SQLAlchemyError as error:
            raise as_store_error(error) from None
        if theirs != self._own:
            raise ConfigurationError(
                "The session leads to another database than the guard's, so the event would not be in this guard's log; give "
                "a session on AIGUARD_DATABASE_URL, or record without session="
            )
        if engine is not None:
            self._known.add(engine)


def _engine_of(session: Any) -> Engine | None:
    """The engine behind a session or connection, if it has one."""
    get: Callable[[], Any] | None = getattr(session, "get_bind", None)
    try:
        bind = get() if get is not None else getattr(session, "engine", None)
    except SQLAlchemyError:
        return None
    found = getattr(bind, "engine", bind)
    return found if isinstance(found, Engine) else None
