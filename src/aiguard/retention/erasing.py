"""Erasing a person (GDPR Art. 17): their keys are destroyed, and what was kept about them is deleted.

It goes in steps that each leave a consistent state, and a run that dies is taken up by the next (:func:`resume`):

1. the request is recorded with the person's names;
2. under the latch of legal holds, the keys are destroyed, unless a hold covers something. From here on nobody can read or
   link what was kept, in this database or any copy of it that is not beside a copy of the key store;
3. rows and event payloads are deleted in batches;
4. what was in flight meanwhile, sealed with a key that another process still had for seconds, is deleted too.

While backups of the key store may still hold the keys, the erasure is *pending*, and says until when. What was sent to a
model's provider is listed as pending until somebody confirms it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    RowMapping,
    Table,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)  # fmt: skip
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit import append, read
from aiguard.db.engine import reading, writing
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Sealing
from aiguard.db.wal import checkpoint
from aiguard.errors import ConfigurationError
from aiguard.retention.evidence import ids_root
from aiguard.retention.holds import is_held, latch
from aiguard.retention.payloads import erase_payloads_of
from aiguard.retention.people import Person
from aiguard.retention.tables import ERASURES, HOLDS
from aiguard.retention.turns import PRUNED, Turns
from aiguard.store import KeyStore, SubjectKeyRing, VaultEntry
from aiguard.store.datakeys import CACHE_SECONDS
from aiguard.store.tables import Artifact
from aiguard.types import AuditRecord, new_id

BATCH: Final = 500
"""Rows of one transaction."""

EXCHANGES: Final = 1000
"""Exchanges of a person that are read at once, to learn to whom something was sent."""

IN_FLIGHT: Final = timedelta(seconds=4 * CACHE_SECONDS)
"""After this no process writes with a destroyed key any more: the cache's validity, the writer's queue, and room."""

_ARTIFACTS: Final = cast("Table", Artifact.__table__)
_VAULT: Final = cast("Table", VaultEntry.__table__)


NOBODY: Final = (
    "Nothing is kept under that id; check the id and the tenant. An erasure that was begun, or interrupted, is in `aiguard subject erasures`, "
    "and `aiguard run-due` ends it."
)


class NobodyKnown(ConfigurationError):
    """Nothing was ever kept under that id and tenant, or it was erased."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backups:
    """How long copies live, in days; ``None`` where nobody said.

    ``keys`` counts where the key store is apart, ``data`` where keys and data are in one database.
    """

    data: int | None = None
    keys: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ErasureReport:
    """Where an erasure stands. ``state`` is ``held``, ``pending`` or ``completed``."""

    id: str
    at: datetime
    state: str
    keys_apart: bool
    pending_until: datetime | None
    sweep_at: datetime | None
    counts: Mapping[str, int]
    providers: Mapping[str, str]

    @property
    def overdue(self) -> bool:
        """Whether steps of it are still to be done by a job."""
        return self.sweep_at is not None


def erase(
    engine: Engine,
    keyring: SubjectKeyRing,
    person: Person,
    *,
    requested_by: str,
    now: datetime,
    backups: Backups | None = None,
) -> ErasureReport:
    """Erase a person as far as legal holds allow.

    Raises:
        NobodyKnown: there is no key of theirs.
        StoreUnavailable: a database could not be used. What was begun is ended by :func:`resume`.
    """
    if not person.names:
        raise NobodyKnown(NOBODY)
    id = new_id("ers")
    providers = _providers(engine, keyring, person.subject)
    row = {
        "id": id,
        "at": now,
        "requested_by": requested_by,
        "names": {
            "names": dict(person.names),
            "lookups": dict(person.lookups),
            "keys": dict(person.keys),
            "backups": asdict(backups or Backups()),
        },
        "state": "pending",
        "keys_apart": _store(keyring).apart,
        "pending_until": None,
        "sweep_at": now,
        "counts": {},
        "providers": dict.fromkeys(providers, "pending"),
    }
    with _told(), writing(engine) as connection:
        connection.execute(insert(ERASURES).values(row))
        payload = {"providers": list(providers), "keys": len(person.names)}
        _tell(connection, keyring, "subject.erasure_requested", id, payload, now, by=requested_by)
    return carry_on(engine, keyring, id, now=now)


def carry_on(engine: Engine, keyring: SubjectKeyRing, id: str, *, now: datetime) -> ErasureReport:
    """Do what is still to be done for one erasure. Any step may have been done before, or be done twice."""
    row = _row(engine, id)
    names = list(row["names"]["names"].values())
    if "lookups" in row["names"] and not _destroy(engine, keyring, row, now):
        return erasure(engine, id)
    keyring.forget()
    found = Counter(
        artifacts=_delete(engine, keyring, id, _ARTIFACTS, _about(_ARTIFACTS, row), now),
        vault_entries=_delete(
            engine, keyring, id, _VAULT, or_(_VAULT.c.subject.in_(names), _VAULT.c.actor.in_(names)), now
        ),
        payloads=erase_payloads_of(engine, keyring, names, decision_id=id, now=now),
    )
    scrubbed = checkpoint(engine)
    scrubbed = _store(keyring).scrub() and scrubbed
    backups = Backups(**row["names"]["backups"])
    days = backups.keys if row["keys_apart"] else backups.data
    until = None if days is None else row["at"] + timedelta(days=days)
    over = now >= row["at"] + IN_FLIGHT and scrubbed
    with _told(), writing(engine) as connection:
        counts = Counter(_locked(connection, id)["counts"])
        counts.update(found)
        values = {
            "counts": dict(counts),
            "state": "completed" if until is not None and now >= until else "pending",
            "pending_until": until,
            "sweep_at": None if over else max(now, row["at"] + IN_FLIGHT),
        }
        connection.execute(update(ERASURES).where(ERASURES.c.id == id).values(values))
    return erasure(engine, id)


def resume(engine: Engine, keyring: SubjectKeyRing, *, now: datetime) -> list[ErasureReport]:
    """Carry on with every erasure that has steps to do: interrupted, held until now, swept, or whose backups have expired."""
    due = or_(
        ERASURES.c.sweep_at <= now,
        (ERASURES.c.state == "pending") & (ERASURES.c.pending_until <= now),
    )
    with _told("read"), reading(engine) as connection:
        ids = list(connection.execute(select(ERASURES.c.id).where(due).order_by(ERASURES.c.at)).scalars())
    return [carry_on(engine, keyring, id, now=now) for id in ids]


def confirm(
    engine: Engine, keyring: SubjectKeyRing, id: str, *, what: str, state: str = "confirmed", by: str, now: datetime
) -> ErasureReport:
    """Say how a pending part ended: a provider's name with ``confirmed`` or ``unverifiable``, or ``backups``.

    Raises:
        NobodyKnown: there is no such erasure, or no such part of it.
    """
    with _told(), writing(engine) as connection:
        row = _locked(connection, id)
        values: dict[str, Any]
        if what == "backups":
            values = {"pending_until": now, "state": "completed" if "lookups" not in row["names"] else row["state"]}
        elif what in row["providers"] and state in ("confirmed", "unverifiable", "pending"):
            values = {"providers": {**row["providers"], what: state}}
        else:
            raise NobodyKnown("That erasure has no such part; `aiguard subject erasures` lists them.")
        connection.execute(update(ERASURES).where(ERASURES.c.id == id).values(values))
        _tell(connection, keyring, "subject.erasure_confirmed", id, {"part": what, "state": state}, now, by=by)
    return erasure(engine, id)


def erasure(engine: Engine, id: str) -> ErasureReport:
    """One erasure as it stands."""
    return _report(_row(engine, id))


def erasures(engine: Engine) -> list[ErasureReport]:
    """Every erasure, oldest first."""
    with _told("read"), reading(engine) as connection:
        rows = connection.execute(select(ERASURES).order_by(ERASURES.c.at)).mappings().all()
    return [_report(row) for row in rows]


def _destroy(engine: Engine, keyring: SubjectKeyRing, row: Mapping[str, Any], now: datetime) -> bool:
    """Destroy the keys, unless a hold covers something. The latch is held until it is done; False when it was not."""
    id, lookups = row["id"], row["names"]["lookups"]
    key_store = _store(keyring)
    with _told(), writing(engine) as connection:
        latch(connection, alone=False)
        row = _locked(connection, id)
        if held := _held(connection, row):
            if row["counts"].get("held") != held:
                payload = {"held": held}
                _tell(connection, keyring, "subject.erasure_held", id, payload, now)
            values: dict[str, Any] = {"state": "held", "counts": {**row["counts"], "held": held}}
        else:
            ids = row["names"].get("keys") or {}
            only = [bytes.fromhex(each) for each in ids.values()] if ids else None  # none were noted by older versions
            within = None if key_store.apart else connection
            found = key_store.destroy(list(lookups.values()), within, only=only)
            # In a store apart they go before this transaction is committed: a run that died in between has taken them.
            destroyed = max(found, len(row["names"]["names"]))
            counts = {name: count for name, count in row["counts"].items() if name != "held"}
            rest = {name: value for name, value in row["names"].items() if name not in ("lookups", "keys")}
            values = {"state": "pending", "names": rest, "counts": {**counts, "keys": destroyed}}
            told: dict[str, Any] = {"keys": destroyed, "key_store": "apart" if key_store.apart else "shared"}
            _tell(connection, keyring, "subject.erased", id, told, now)
        connection.execute(update(ERASURES).where(ERASURES.c.id == id).values(values))
    if held:  # what no hold covers goes now; the keys stay, so that what is held can be read
        _delete(engine, keyring, id, _ARTIFACTS, _about(_ARTIFACTS, row) & ~is_held(), now)
    return not held


def _held(connection: Connection, row: Mapping[str, Any]) -> int:
    """How many artifacts about the person are held, and how many holds name them."""
    names = list(row["names"]["names"].values())
    rows = select(func.count()).select_from(_ARTIFACTS).where(_about(_ARTIFACTS, row), is_held())
    naming = (
        select(func.count())
        .select_from(HOLDS)
        .where(HOLDS.c.released_at.is_(None), or_(HOLDS.c.subject.in_(names), HOLDS.c.actor.in_(names)))
    )
    return int(connection.execute(rows).scalar_one()) + int(connection.execute(naming).scalar_one())


def _about(table: Table, row: Mapping[str, Any]) -> ColumnElement[bool]:
    return table.c.subject.in_(list(row["names"]["names"].values()))


def _delete(
    engine: Engine, keyring: SubjectKeyRing, id: str, table: Table, which: ColumnElement[bool], now: datetime
) -> int:
    """Delete rows in batches, each with its evidence; how many."""
    key = tuple(table.primary_key.columns)
    turns = Turns(engine, most=BATCH)
    total = 0
    while True:
        with _told("deleted"), turns.turn() as turn:
            if table is _ARTIFACTS:
                latch(turn.connection, alone=False)
            some = (
                select(*key).where(which).limit(turns.rows).with_for_update()
            )  # those that another deletes are gone then
            gone = turn.connection.execute(delete(table).where(tuple_(*key).in_(some)).returning(*key)).all()
            if not gone:
                return total
            turn.did(len(gone))
            ids = ["/".join(map(str, each)) for each in gone]
            payload = {"count": len(ids), "table": table.name, "ids_root": ids_root(ids), "reason": "erasure"}
            _tell(turn.connection, keyring, PRUNED, id, payload, now)
        total += len(gone)
        with _told("read"):
            turns.rest()


def _providers(engine: Engine, keyring: SubjectKeyRing, subject: str) -> list[str]:
    """The providers to which something about the person was sent, as far as the log tells."""
    if not subject:
        return []
    providers: set[str] = set()
    before: int | None = None
    while True:
        events = read.search(
            engine, keyring, types=["exchange.decided"], subject=subject, before=before, limit=EXCHANGES
        )
        providers.update(str(event.payload["provider"]) for event in events if event.payload.get("provider"))
        if len(events) < EXCHANGES:
            return sorted(providers)
        before = events[0].seq


def _store(keyring: SubjectKeyRing) -> KeyStore:
    return cast("KeyStore", keyring.store)


def _row(engine: Engine, id: str) -> dict[str, Any]:
    with _told("read"), reading(engine) as connection:
        return _only(connection.execute(select(ERASURES).where(ERASURES.c.id == id)).mappings().one_or_none())


def _locked(connection: Connection, id: str) -> dict[str, Any]:
    query = select(ERASURES).where(ERASURES.c.id == id).with_for_update()
    return _only(connection.execute(query).mappings().one_or_none())


def _only(row: RowMapping | None) -> dict[str, Any]:
    if row is None:
        raise NobodyKnown("There is no erasure of that id; `aiguard subject erasures` lists them.")
    return dict(row)


def _report(row: Mapping[Any, Any]) -> ErasureReport:
    return ErasureReport(**{each.name: row[each.name] for each in fields(ErasureReport)})


def _tell(
    connection: Connection,
    keyring: SubjectKeyRing,
    type: str,
    id: str,
    payload: Mapping[str, Any],
    now: datetime,
    *,
    by: str = "",
) -> None:
    record = AuditRecord(
        type=type,
        decision_id=id,
        actor=keyring.pseudonym("operator", by) if by else "",
        resource="retention",
        payload=payload,
        at=now,
    )
    append(connection, [record], Sealing(keyring=keyring, writer=new_id("wrt")))


@contextmanager
def _told(doing: str = "written") -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise as_store_error(error, doing) from None
