"""Reading what events say is an access: who, why, and which, is on record before anything is shown.

What stands in an event's own row (its type, time, pseudonyms and resource) is shown to whoever may read the table; the payload beside it is
sealed, and a command that opens it tells the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit.events import LOG_READ
from aiguard.audit.payload import PayloadRefused, check_payload
from aiguard.audit.tables import append
from aiguard.db.engine import writing
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Sealing
from aiguard.types import AuditRecord, KeyRing, new_id


def read_on_record(
    engine: Engine,
    keyring: KeyRing,
    *,
    how: str,
    by: str,
    reason: str,
    events: int,
    first: int | None,
    last: int | None,
    wanted: Mapping[str, object],
    now: datetime,
) -> str:
    """Record that somebody is about to be shown payloads; the id under which it is on record.

    Args:
        engine: the evidence database.
        keyring: seals the event, and makes the reader's pseudonym.
        how: the command.
        by: who, as the operating system knows them.
        reason: why, one sentence: a ticket, a matter, never a person's data.
        events: how many events.
        first: position of the first of them.
        last: position of the last.
        wanted: which were asked for. What could be text of a person is told as ``given`` only.
        now: the present.

    Raises:
        StoreError: it could not be recorded, so nothing may be shown; or the reason may not stand in the log.
    """
    filters = {name: _told(name, value) for name, value in wanted.items() if value not in (None, (), "")}
    span = {name: place for name, place in (("first", first), ("last", last)) if place is not None}
    record = AuditRecord(
        type=LOG_READ,
        decision_id=new_id("rdg"),
        actor=keyring.pseudonym("operator", by),
        resource="audit",
        payload={"how": how, "events": events, **span, "wanted": filters, "note": reason},
        at=now,
    )
    try:
        with writing(engine) as connection:
            append(connection, [record], Sealing(keyring=keyring, writer=new_id("wrt")))
    except SQLAlchemyError as error:
        raise as_store_error(error) from None
    return record.decision_id


def _told(name: str, value: object) -> object:
    told = [_told(name, each) for each in value] if isinstance(value, (list, tuple)) else value
    if isinstance(told, datetime):
        told = told.isoformat()
    if name in {"actor", "subject"} and isinstance(told, str):
        told = f"pseudonym:{told}"
    try:
        check_payload({name: told})
    except PayloadRefused:
        return "given"
    return told
