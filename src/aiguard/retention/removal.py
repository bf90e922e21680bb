"""One batch of a prune: its rows are deleted, and of those that are to be anonymised a count stays.

A row that ends by ``anonymise`` leaves with everything that leads to somebody: its text, its key ids, the pseudonyms, the tenant, the
decision that events name, its id and the time of day. What is left of it, the day, class, feature and sensitivity, is the same for all
rows that share them, so it is kept as one number: as many rows without an id would say no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    String,
    Table,
    delete,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from aiguard.db.engine import reading
from aiguard.db.failures import as_store_error
from aiguard.retention.tables import ANONYMISED
from aiguard.store.tables import Artifact

ANONYMISE: Final = "anonymise"

_ARTIFACTS: Final = cast("Table", Artifact.__table__)
_KEPT: Final = ("day", "data_class", "feature", "sensitivity")
_TIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S.%f"


@dataclass(frozen=True, kw_only=True, slots=True)
class Gone:
    """One batch: sorted ids, counts by class and by mechanism, and the range of expiry times."""

    ids: Sequence[str]
    classes: Counter[str]
    mechanisms: Counter[str]
    first_expired: datetime
    last_expired: datetime


def remove(
    connection: Connection, which: Sequence[ColumnElement[bool]], after: datetime | None, size: int
) -> Gone | None:
    """Take away the ``size`` rows that expired first from ``after`` on. By their place in the table: no second look-up by id.

    Beginning at ``after`` and not at the oldest row keeps a long transaction elsewhere from making every batch walk over
    all the rows that are already deleted.
    """
    c = _ARTIFACTS.c
    place: ColumnElement[Any] = literal_column("ctid" if connection.dialect.name == "postgresql" else "rowid")
    ripe = select(place).where(*which).order_by(c.expires_at).limit(size)
    if after is not None:
        ripe = ripe.where(c.expires_at >= after)
    if connection.dialect.name == "postgresql":
        return _on_postgresql(connection, place, ripe.with_for_update(skip_locked=True))
    return _on_sqlite(connection, place, ripe)


def anonymised(engine: Engine) -> list[Mapping[str, Any]]:
    """What stays of what was anonymised: ``day``, ``data_class``, ``feature``, ``sensitivity`` (a number) and ``count``.

    Raises:
        StoreUnavailable: the database cannot be read.
    """
    query = select(ANONYMISED).order_by(*(ANONYMISED.c[name] for name in _KEPT))
    try:
        with reading(engine) as connection:
            return [dict(row) for row in connection.execute(query).mappings()]
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None


def _on_sqlite(connection: Connection, place: ColumnElement[Any], ripe: Any) -> Gone | None:
    c = _ARTIFACTS.c
    expired, created = (type_coerce(each, String) for each in (c.expires_at, c.created_at))  # thousands, not looked at
    returned = (c.id, c.data_class, c.mechanism, expired, created, c.feature, c.sensitivity)
    rows = connection.execute(delete(_ARTIFACTS).where(place.in_(ripe)).returning(*returned)).all()
    if not rows:
        return None
    ids, classes, mechanisms, times, *_ = zip(*rows, strict=True)
    counts = Counter(
        (created[:10], data_class, feature, sensitivity)
        for _, data_class, mechanism, _, created, feature, sensitivity in rows
        if mechanism == ANONYMISE
    )
    if counts:
        insert = sqlite.insert(ANONYMISED)
        more = insert.on_conflict_do_update(
            index_elements=_KEPT, set_={"count": ANONYMISED.c.count + insert.excluded.count}
        )
        said = [dict(zip((*_KEPT, "count"), (*key, count), strict=True)) for key, count in sorted(counts.items())]
        connection.execute(more, said)
    return Gone(
        ids=sorted(ids),
        classes=Counter(classes),
        mechanisms=Counter(mechanisms),
        first_expired=_read(min(times)),
        last_expired=_read(max(times)),
    )


def _on_postgresql(connection: Connection, place: ColumnElement[Any], ripe: Any) -> Gone | None:
    """Two runs share the work: each takes rows that the other has not locked. Counting is the server's, in one statement."""
    c = _ARTIFACTS.c
    which = place == func.any(func.array(ripe.scalar_subquery()))
    returned = (c.id, c.data_class, c.mechanism, c.expires_at, c.created_at, c.feature, c.sensitivity)
    went = delete(_ARTIFACTS).where(which).returning(*returned).cte("went")
    w = went.c
    day = func.to_char(func.timezone("UTC", w.created_at), "YYYY-MM-DD")
    kept = (day, w.data_class, w.feature, w.sensitivity)
    counts = (
        select(*kept, func.count()).where(w.mechanism == ANONYMISE).group_by(*kept).order_by(*kept)
    )  # in order: no deadlock
    insert = postgresql.insert(ANONYMISED).from_select([*_KEPT, "count"], counts)
    more = insert.on_conflict_do_update(
        index_elements=_KEPT, set_={"count": ANONYMISED.c.count + insert.excluded.count}
    )
    query = select(w.data_class, w.mechanism, func.min(w.expires_at), func.max(w.expires_at), func.array_agg(w.id))
    query = query.group_by(w.data_class, w.mechanism).add_cte(more.cte("stayed"))
    rows = connection.execute(query).all()
    if not rows:
        return None
    classes: Counter[str] = Counter()
    mechanisms: Counter[str] = Counter()
    for data_class, mechanism, _, _, ids in rows:
        classes[data_class] += len(ids)
        mechanisms[mechanism] += len(ids)
    return Gone(
        ids=sorted(id for *_, ids in rows for id in ids),
        classes=classes,
        mechanisms=mechanisms,
        first_expired=min(row[2] for row in rows),
        last_expired=max(row[3] for row in rows),
    )


def _read(stored: str) -> datetime:
    return datetime.strptime(stored, _TIME_FORMAT).replace(tzinfo=UTC)
