"""Crypto-shredding: what opens the content that expired in an hour is destroyed once the hour is over.

Content whose rule says ``crypto-shred`` is sealed with its person's key and with the key of the hour (UTC) in which it expires, one for
everybody, kept in the key store (``store/datakeys``). The row goes as any other; the key goes when its hour is over and no row
needs it any more. From then on no copy of the row opens, also not one in an older backup of the data, unless the key store itself is
restored from a backup that still holds the key; the next run destroys it again then.

A row that a legal hold keeps, or whose time is still to be computed anew, keeps the key of its hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from sqlalchemy import Connection, Engine, LargeBinary, Table, delete, func, insert, select, update

from aiguard.audit import append
from aiguard.db.engine import writing
from aiguard.db.mapping import Sealing
from aiguard.retention.evidence import instant
from aiguard.retention.holds import latch
from aiguard.retention.tables import RUNS
from aiguard.store import KeyStore, SubjectKeyRing
from aiguard.store.datakeys import WrappedKey, hour_key_id
from aiguard.store.tables import Artifact
from aiguard.types import HOUR_KEYS, AuditRecord, hour_key, new_id

MECHANISM: Final = "crypto-shred"
HOUR: Final = timedelta(hours=1)

INTENT: Final = "shred"
"""The ledger's name for keys of hours that are about to be destroyed in a key store apart, by run; the outcome says which."""

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

    A key store apart is another database: its transaction ends before the event's does. So what is going is written into the ledger of
    jobs first. Whoever comes after a crash in between finds there which keys went without an event, and tells of them.

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
    intended: dict[str, dict[str, str]] = {}
    if store.apart:
        with writing(engine) as connection:
            latch(connection, alone=True)
            _intend(connection, run_id, _free(connection, over), at)
            intended = _intended(connection)
    if not over and not intended:
        return Shredded()
    with writing(engine) as connection:
        latch(connection, alone=True)
        free = _free(connection, over)
        if store.apart:
            intended = _intended(connection)  # anew: what another run destroyed meanwhile, it has struck out
            store.destroy([key.lookup for key in free if key.lookup in intended.get(run_id, {})])
            went = _accounted(connection, store, intended)
        else:
            store.destroy([key.lookup for key in free], connection)
            went = [key.lookup for key in free]
        needed = len(over) - len(free)
        if went:
            payload = {
                "keys": len(went),
                "first_hour": instant(_hour_of(went[0])),
                "last_hour": instant(_hour_of(went[-1])),
                "needed": needed,
                "key_store": "apart" if store.apart else "shared",
            }
            record = AuditRecord(
                type="store.shredded", decision_id=run_id, resource="retention", payload=payload, at=at
            )
            append(connection, [record], Sealing(keyring=keyring, writer=new_id("wrt")))
    if went:
        keyring.forget()
        store.scrub()
    return Shredded(keys=len(went), needed=needed)


def _free(connection: Connection, over: Sequence[WrappedKey]) -> list[WrappedKey]:
    """Those of the keys that no row needs."""
    if not over:
        return []
    needed = _needed(connection, before=_hour_of(over[-1].lookup) + HOUR)
    return [key for key in over if key.key_id not in needed]


def _intend(connection: Connection, run_id: str, going: Sequence[WrappedKey], at: datetime) -> None:
    if going:
        row = {
            "job": INTENT, "period": run_id, "state": "running", "attempts": 1, "holder": run_id, "lease_until": at,
            "started_at": at, "finished_at": None, "outcome": {key.lookup: key.key_id.hex() for key in going},
        }  # fmt: skip
        connection.execute(insert(RUNS).values(row))


def _intended(connection: Connection) -> dict[str, dict[str, str]]:
    """Run to lookup to key id: what is going, or went and was not told of."""
    rows = connection.execute(select(RUNS.c.period, RUNS.c.outcome).where(RUNS.c.job == INTENT))
    return {run: dict(keys) for run, keys in rows}


def _accounted(connection: Connection, store: KeyStore, intended: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Strike out of the ledger what is in the key store no more; the hours of it, each once."""
    there = {
        lookup: key.key_id.hex()
        for lookup, key in store.by_lookup({each for keys in intended.values() for each in keys}).items()
    }
    went: set[tuple[str, str]] = set()
    for run, keys in intended.items():
        left = {lookup: id for lookup, id in keys.items() if there.get(lookup) == id}
        went.update(keys.items() - left.items())
        mine = (RUNS.c.job == INTENT, RUNS.c.period == run)
        connection.execute(update(RUNS).where(*mine).values(outcome=left) if left else delete(RUNS).where(*mine))
    return sorted(lookup for lookup, _ in went)


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
