"""Legal holds: what a matter needs stays, whatever its time is, until a second person lets it go.

A hold selects by person, tenant, feature, data class, decision and time of creation; artifacts that fit all of what is said
are neither pruned nor erased. It covers what is kept later too.

Placing a hold and deleting cannot race: a deletion shares the latch until it is committed, placing a hold waits for it to be
free. After :func:`place` has returned, no deletion that had not seen the hold is under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Table,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit import append
from aiguard.db.engine import reading, writing
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Sealing
from aiguard.errors import ConfigurationError
from aiguard.ids import folded
from aiguard.retention.tables import HOLDS, LATCH
from aiguard.store.tables import Artifact
from aiguard.types import AuditRecord, KeyRing, new_id

_ARTIFACTS: Final = cast("Table", Artifact.__table__)
_EXACT: Final = ("tenant", "feature", "data_class", "decision_id")


class HoldRefused(ConfigurationError):
    """A hold cannot be placed or released like that. The message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldScope:
    """What a hold covers; empty means any. ``subject`` and ``actor`` are the pseudonyms of one person, as rows carry them."""

    subject: str = ""
    actor: str = ""
    tenant: str = ""
    feature: str = ""
    data_class: str = ""
    decision_id: str = ""
    created_from: datetime | None = None
    created_until: datetime | None = None

    def selectors(self) -> tuple[str, ...]:
        """The names of what is said."""
        return tuple(each.name for each in fields(self) if getattr(self, each.name))


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedHold:
    """A hold as it stands in the database, and how many artifacts it covers now."""

    id: str
    matter: str
    custodian: str
    placed_by: str
    placed_at: datetime
    review_at: datetime
    scope: HoldScope
    released_by: str
    released_at: datetime | None
    covers: int

    def overdue(self, now: datetime) -> bool:
        """Whether somebody should have looked at it again."""
        return self.released_at is None and now >= self.review_at


def place(
    engine: Engine,
    keyring: KeyRing,
    scope: HoldScope,
    *,
    matter: str,
    custodian: str,
    placed_by: str,
    review_at: datetime,
    now: datetime,
    everything: bool = False,
) -> PlacedHold:
    """Put artifacts under a hold; it is in force when this returns.

    Raises:
        HoldRefused: nothing is selected and ``everything`` was not said, or a text is missing, or the review is in the past.
        StoreUnavailable: the database cannot be used, or a deletion did not end in time. There is no hold then.
    """
    if not scope.selectors() and not everything:
        raise HoldRefused("A hold without a selector covers everything that is kept; say so, or select something.")
    if not all(text.strip() for text in (matter, custodian, placed_by)):
        raise HoldRefused("A hold needs a matter, a custodian and the person who places it.")
    if review_at <= now:
        raise HoldRefused("A hold needs a review date in the future; holds that nobody looks at become archives.")
    id = new_id("hld")
    row = {
        **{each.name: getattr(scope, each.name) for each in fields(scope)},
        "id": id,
        "matter": matter,
        "custodian": custodian,
        "placed_by": placed_by,
        "placed_at": now,
        "review_at": review_at,
        "released_by": "",
        "released_at": None,
    }
    try:
        with writing(engine) as connection:
            latch(connection, alone=True)
            connection.execute(insert(HOLDS).values(row))
            covers = _covered(connection, id)
            payload = {"covers": covers, "selectors": list(scope.selectors()), "review": f"{review_at:%Y-%m-%d}"}
            _tell(connection, keyring, "hold.placed", id, placed_by, payload, now)
    except SQLAlchemyError as error:
        raise as_store_error(error) from None
    return _hold({**row, "covers": covers})


def release(engine: Engine, keyring: KeyRing, id: str, *, released_by: str, now: datetime) -> PlacedHold:
    """Let go of a hold. What has expired meanwhile goes at the next run.

    Raises:
        HoldRefused: there is no such hold, it was released already, or the same person placed it.
    """
    try:
        with writing(engine) as connection:
            latch(connection, alone=True)
            row = connection.execute(select(HOLDS).where(HOLDS.c.id == id)).mappings().one_or_none()
            if row is None:
                raise HoldRefused("There is no hold of that id; `aiguard hold list` shows them.")
            if row["released_at"] is not None:
                raise HoldRefused("That hold was released already.")
            if not folded(released_by) or folded(released_by) == folded(row["placed_by"]):
                raise HoldRefused("A hold is released by another person than the one who placed it.")
            covers = _covered(connection, id)
            connection.execute(update(HOLDS).where(HOLDS.c.id == id).values(released_by=released_by, released_at=now))
            _tell(connection, keyring, "hold.released", id, released_by, {"covers": covers}, now)
    except SQLAlchemyError as error:
        raise as_store_error(error) from None
    return _hold({**row, "released_by": released_by, "released_at": now, "covers": covers})


def holds(engine: Engine, *, released: bool = False) -> list[PlacedHold]:
    """The holds in force, oldest first; with ``released`` the others too."""
    query = select(HOLDS, _count().label("covers")).order_by(HOLDS.c.placed_at, HOLDS.c.id)
    if not released:
        query = query.where(HOLDS.c.released_at.is_(None))
    try:
        with reading(engine) as connection:
            return [_hold(row) for row in connection.execute(query).mappings()]
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None


def latch(connection: Connection, *, alone: bool) -> None:
    """Wait until nobody places a hold; with ``alone`` also until nobody deletes. Held until the transaction ends.

    SQLite has one writer at a time, so there is nothing to wait for.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(LATCH.c.id).where(LATCH.c.id == 1).with_for_update(read=not alone))


def is_held(artifacts: FromClause = _ARTIFACTS) -> ColumnElement[bool]:
    """Whether a hold in force covers an artifact: a condition on its row."""
    return exists().where(HOLDS.c.released_at.is_(None), _fits(artifacts))


def any_in_force(connection: Connection) -> bool:
    """Whether there is a hold at all. Under the latch the answer holds until the transaction ends."""
    return connection.execute(select(HOLDS.c.id).where(HOLDS.c.released_at.is_(None)).limit(1)).first() is not None


def free(connection: Connection, artifacts: FromClause = _ARTIFACTS) -> ColumnElement[bool]:
    """Whether no hold in force covers an artifact: a condition on its row, and none where there is no hold."""
    return ~is_held(artifacts) if any_in_force(connection) else true()


def _fits(artifacts: FromClause) -> ColumnElement[bool]:
    h, a = HOLDS.c, artifacts.c
    nobody = and_(h.subject == "", h.actor == "")
    person = or_(and_(h.subject != "", a.subject == h.subject), and_(h.actor != "", a.actor == h.actor))
    exact = [or_(h[name] == "", a[name] == h[name]) for name in _EXACT]
    times = (
        or_(h.created_from.is_(None), a.created_at >= h.created_from),
        or_(h.created_until.is_(None), a.created_at < h.created_until),
    )
    return and_(or_(nobody, person), *exact, *times)


def _count() -> Any:
    return select(func.count()).select_from(_ARTIFACTS).where(_fits(_ARTIFACTS)).correlate(HOLDS).scalar_subquery()


def _covered(connection: Connection, id: str) -> int:
    return int(connection.execute(select(_count()).select_from(HOLDS).where(HOLDS.c.id == id)).scalar_one())


def _hold(row: Mapping[Any, Any]) -> PlacedHold:
    scope = HoldScope(**{each.name: row[each.name] for each in fields(HoldScope)})
    rest = {each.name: row[each.name] for each in fields(PlacedHold) if each.name != "scope"}
    return PlacedHold(scope=scope, **rest)


def _tell(
    connection: Connection, keyring: KeyRing, type: str, id: str, person: str, payload: Mapping[str, Any], now: datetime
) -> None:
    record = AuditRecord(
        type=type,
        decision_id=id,
        actor=keyring.pseudonym("operator", person),
        resource="retention",
        payload=payload,
        at=now,
    )
    append(connection, [record], Sealing(keyring=keyring, writer=new_id("wrt")))
