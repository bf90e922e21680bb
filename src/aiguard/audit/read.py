"""Reading the log: the newest events, and everything about one decision."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Select, func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit.erasure import AuditErased
from aiguard.audit.merkle import leaf_hash
from aiguard.audit.tables import AuditEvent, AuditPayload, open_payload
from aiguard.db.engine import reading
from aiguard.db.failures import as_store_error, garbled
from aiguard.errors import EventAltered, IntegrityError
from aiguard.store.datakeys import KeyDestroyed
from aiguard.types import KeyRing

STORY_LIMIT = 1_000
"""Events of one story at most; a request that made more exchanges than that is told up to there."""


EXPORT_PAGE = 1_000
"""Events that an export reads at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One event as read from the log. ``actor``, ``tenant`` and ``subject`` are keyed pseudonyms."""

    seq: int
    id: str
    type: str
    decision_id: str
    parent_id: str
    at: datetime
    actor: str
    tenant: str
    subject: str
    resource: str
    policy_hash: str
    payload: Mapping[str, Any]
    erased: bool = False
    """Whether what it said was erased; then ``payload`` is empty. Where no payload was opened, whether it is gone."""


def tail(engine: Engine, keyring: KeyRing | None, limit: int = 20) -> list[Event]:
    """The newest ``limit`` events, oldest of them first. Without a key ring no payload is opened, and all are empty.

    Raises:
        IntegrityError: an event or its payload is not what was recorded, or its key is missing.
        StoreUnavailable: the database cannot be read.
    """
    query = _EVENTS.order_by(AuditEvent.seq.desc()).limit(max(0, limit))
    return [_event(row, keyring) for row in reversed(_fetch(engine, query))]


def story(engine: Engine, decision_id: str, *, keyring: KeyRing | None) -> list[Event]:
    """Every event of a decision and of the decisions made under it (their payload names it as ``parent``), in order.

    Without a key ring no payload is opened, and all are empty. Raises as :func:`tail` does. An id that was never recorded gives an empty list.
    """
    try:
        with reading(engine) as connection:
            rows = _descend(connection, decision_id)
    except SQLAlchemyError as error:
        raise EventAltered(_NO_EVENT) if garbled(error) else as_store_error(error, "read") from None
    except (ValueError, TypeError):
        raise EventAltered(_NO_EVENT) from None
    return [_event(row, keyring) for row in sorted(rows, key=lambda row: int(row["seq"]))]


def search(
    engine: Engine,
    keyring: KeyRing | None,
    *,
    types: Sequence[str] = (),
    actor: str | None = None,
    subject: str | None = None,
    resource: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Event]:
    """The newest ``limit`` events that fit every condition, oldest of them first.

    ``types`` are names, or beginnings such as ``exchange.*``; ``actor`` and ``subject`` are pseudonyms; ``before`` is the
    position of the first event that is too new. Raises as :func:`tail` does.
    """
    query = _EVENTS
    if types:
        query = query.where(
            or_(
                *(
                    AuditEvent.type.startswith(name[:-1], autoescape=True)
                    if name.endswith("*")
                    else AuditEvent.type == name
                    for name in types
                )
            )
        )
    for column, value in ((AuditEvent.actor, actor), (AuditEvent.subject, subject), (AuditEvent.resource, resource)):
        if value is not None:
            query = query.where(column == value)
    if since is not None:
        query = query.where(AuditEvent.at >= since)
    if until is not None:
        query = query.where(AuditEvent.at < until)
    if before is not None:
        query = query.where(AuditEvent.seq < before)
    return [
        _event(row, keyring) for row in reversed(_fetch(engine, query.order_by(AuditEvent.seq.desc()).limit(limit)))
    ]


def counts(engine: Engine) -> dict[str, int]:
    """How many events of each type the log holds."""
    rows = _fetch(engine, select(AuditEvent.type, func.count().label("count")).group_by(AuditEvent.type))
    return {str(row["type"]): int(row["count"]) for row in rows}


def span(engine: Engine, start: int = 0) -> tuple[int, int | None, int | None]:
    """How many events there are from position ``start`` on, and the positions of the first and the last of them."""
    seq = AuditEvent.seq
    query = select(func.count().label("count"), func.min(seq).label("first"), func.max(seq).label("last"))
    (row,) = _fetch(engine, query.where(seq >= start))
    return int(row["count"]), row["first"], row["last"]


def export(engine: Engine, keyring: KeyRing | None, *, start: int = 0, last: int | None = None) -> Iterator[str]:
    """Every event from position ``start`` to ``last`` as one line of JSON: ``seq``, ``leaf`` (a text, as it was hashed) and ``payload``.

    A payload that was erased is null; without a key ring there are none. Raises as :func:`tail` does, at the event that cannot be read.
    """
    query = _EVENTS if last is None else _EVENTS.where(AuditEvent.seq <= last)
    while True:
        page = _fetch(engine, query.where(AuditEvent.seq >= start).order_by(AuditEvent.seq).limit(EXPORT_PAGE))
        for row in page:
            event = _event(row, keyring)
            line = {"seq": row["seq"], "leaf": bytes(row["leaf"]).decode()}
            if keyring is not None:
                line["payload"] = None if event.erased else dict(event.payload)
            yield json.dumps(line, ensure_ascii=True)
        if len(page) < EXPORT_PAGE:
            return
        start = int(page[-1]["seq"]) + 1


_EVENTS = (
    select(AuditEvent.__table__, AuditPayload.sealed, AuditErased.tombstone)
    .join(AuditPayload, AuditPayload.seq == AuditEvent.seq, isouter=True)
    .join(AuditErased, AuditErased.seq == AuditEvent.seq, isouter=True)
)


def _descend(connection: Connection, decision_id: str) -> list[RowMapping]:
    found: dict[int, RowMapping] = {}
    seen: set[str] = set()
    front = [decision_id]
    while front and len(found) < STORY_LIMIT:
        seen.update(front)
        query = _EVENTS.where(or_(AuditEvent.decision_id.in_(front), AuditEvent.parent_id.in_(front)))
        rows = connection.execute(query.order_by(AuditEvent.seq).limit(STORY_LIMIT - len(found))).mappings().all()
        found.update((int(row["seq"]), row) for row in rows)
        front = sorted({str(row["decision_id"]) for row in rows} - seen)
    return list(found.values())


def _fetch(engine: Engine, query: Select[*tuple[Any, ...]]) -> Sequence[RowMapping]:
    try:
        with reading(engine) as connection:
            return connection.execute(query).mappings().all()
    except SQLAlchemyError as error:
        raise EventAltered(_NO_EVENT) if garbled(error) else as_store_error(error, "read") from None
    except (ValueError, TypeError):  # SQLite keeps whatever it is given in whatever column
        raise EventAltered(_NO_EVENT) from None


def _event(row: RowMapping, keyring: KeyRing | None) -> Event:
    where = f"at position {row['seq']}"
    try:
        if leaf_hash(row["leaf"]) != row["leaf_hash"]:
            raise EventAltered(f"The event {where} does not match its hash.")
        said = json.loads(row["leaf"])
        copies = {name: row[name] for name in _COPIED}
        told = {name: said[name] for name in _COPIED} == copies and said["event_id"] == row["id"]
        if not told or said["ts"] != row["at"].isoformat(timespec="microseconds"):
            raise EventAltered(f"The event {where} does not say what its leaf says.")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise EventAltered(f"What stands {where} is no event.") from None
    if row["sealed"] is None and row["tombstone"] is None:
        raise EventAltered(f"The payload of the event {where} is missing.")
    payload: Mapping[str, Any] | None = None
    if row["sealed"] is not None and keyring is not None:
        try:
            payload = open_payload(row["sealed"], row["leaf"], keyring, event_id=row["id"], subject=row["subject"])
        except KeyDestroyed:  # the person was erased a moment ago; the row goes next
            pass
        except IntegrityError as error:
            raise IntegrityError(f"The payload of the event {where} cannot be shown. {error}") from None
    erased = payload is None and (keyring is not None or row["sealed"] is None)
    return Event(seq=row["seq"], id=row["id"], at=row["at"], payload=payload or {}, erased=erased, **copies)


_NO_EVENT = "A row of the log holds what no event does."
_COPIED = ("type", "decision_id", "parent_id", "actor", "tenant", "subject", "resource", "policy_hash")
