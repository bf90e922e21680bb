"""Crypto-shredding: what opens the content that expired in an hour is destroyed once the hour is over.

Content whose rule says ``crypto-shred`` is sealed with its person's key and with the key of the hour (UTC) in which it expires, one for
everybody, kept in the key store (``store/datakeys``). The row goes as any other; the key goes when its hour is over and no row
needs it any more. From then on no copy of the row opens, also not one in an older backup of the data, unless the key store itself is
restored from a backup that still holds the key; the next run destroys it again then.

A row that a legal hold keeps, or whose time is still to be computed anew, keeps the key of its hour.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from sqlalchemy import Connection, Engine, LargeBinary, Table, func, select

from aiguard.audit import append
from aiguard.db.engine import writing
from aiguard.db.mapping import Sealing
from aiguard.retention.evidence import instant
from aiguard.retention.holds import latch
from aiguard.store import KeyStore, SubjectKeyRing
from aiguard.store.datakeys import hour_key_id
from aiguard.store.tables import Artifact
from aiguard.types import HOUR_KEYS, AuditRecord, hour_key, new_id

MECHANISM: Final = "crypto-shred"
HOUR: Final = timedelta(hours=1)

_ARTIFACTS: Final = cast("Table", Artifact.__table__)
_HEADER: Final = func.substr(_ARTIFACTS.c.content, 1, 9, type_=LargeBinary)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shredded:
    """Keys of hours that were destroyed, and of hours that are over and that rows still need."""

    keys: int = 0
    needed: int = 0


def shred(engine: Engine, keyring: SubjectKeyRing, now: datetime, *, run_id: str, at: datetime) -> Shredded:
    """Destroy the keys of the hours that are over and that no row needs, with an event (``store.shredded``) that counts them.

    Holds and the recomputing of expiries wait meanwhile, so that no row comes to need a key that is just going.

    Args:
        engine: the evidence database.
        keyring: whose key store holds the keys.
        now: the moment that decides. A clock that was set back destroys less, never more.
        run_id: the decision id of the event.
        at: the time of the event.

    Raises:
        SQLAlchemyError: the evidence database cannot be used.
        StoreUnavailable: the key store cannot be used. What was not destroyed is by the next run.
    """
    store = cast("KeyStore", keyring.store)
    present = hour_key(MECHANISM, now)
    over = [key for key in store.hours() if key.lookup < present]
    if not over:
        return Shredded()
    with writing(engine) as connection:
        latch(connection, alone=True)
        needed = _needed(connection, before=_hour_of(over[-1].lookup) + HOUR)
        going = [key for key in over if key.key_id not in needed]
        if going:
            payload = {
                "keys": len(going),
                "first_hour": instant(_hour_of(going[0].lookup)),
                "last_hour": instant(_hour_of(going[-1].lookup)),
                "needed": len(over) - len(going),
                "key_store": "apart" if store.apart else "shared",
            }
            record = AuditRecord(
                type="store.shredded", decision_id=run_id, resource="retention", payload=payload, at=at
            )
            append(connection, [record], Sealing(keyring=keyring, writer=new_id("wrt")))
            store.destroy([key.lookup for key in going], None if store.apart else connection)
    if going:
        keyring.forget()
        store.scrub()
    return Shredded(keys=len(going), needed=len(over) - len(going))


def missing(keyring: SubjectKeyRing, hours: Iterable[str], keys: Iterable[bytes]) -> bool:
    """Whether one of these keys of hours is no longer the one in the key store: it was destroyed since it was asked for."""
    return {row.key_id for row in keyring.store.by_lookup(list(hours)).values()} != set(keys)


def _needed(connection: Connection, *, before: datetime) -> set[bytes]:
    """The keys of hours under which rows are sealed that expired before a moment and are still there."""
    c = _ARTIFACTS.c
    query = select(_HEADER).where(c.expires_at < before, c.mechanism == MECHANISM).distinct()
    return {id for header in connection.execute(query).scalars() if (id := hour_key_id(bytes(header))) is not None}


def _hour_of(lookup: str) -> datetime:
    return datetime.strptime(lookup.removeprefix(HOUR_KEYS), "%Y-%m-%dT%H").replace(tzinfo=UTC)
