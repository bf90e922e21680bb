"""One batch of a prune: its rows are deleted, and of those that are to be anonymised a count stays.

A row that ends by ``anonymise`` leaves with everything that leads to somebody: its text, its key ids, the pseudonyms, the tenant, the
decision that events name, its id and the time of day. What is left of it, the day, class, feature and sensitivity, is the same for all
rows that share them, so it is kept as one number: as many rows without an id would say no more.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Engine,
    String,
    Table,
    bindparam,
    delete,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from aiguard.db.engine import reading
from aiguard.db.failures import as_store_error
from aiguard.retention.holds import is_held
from aiguard.retention.planning import due, under
from aiguard.retention.tables import ANONYMISED
from aiguard.store.tables import Artifact

ANONYMISE: Final = "anonymise"

AHEAD_ROWS: Final = 5_000
"""How many rows are found at once on SQLite. That takes some 30 ms, in which the write-ahead log cannot be begun anew."""

_ARTIFACTS: Final = cast("Table", Artifact.__table__)
_ROWID: Final[ColumnElement[Any]] = literal_column("rowid")
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


class FromPostgresql:
    """What is due on PostgreSQL, from the oldest row on. Runs share the work: each takes rows that the others have not locked.

    Beginning where the last batch ended, and not at the oldest row, keeps a long transaction elsewhere from making every batch walk
    over all the rows that are already deleted.
    """

    def __init__(self, engine: Engine, now: datetime, rules: str | None) -> None:
        del engine
        self._now, self._rules = now, rules
        self.again()

    def again(self) -> None:
        """From the oldest row again."""
        self.over = False
        self._after: datetime | None = None

    def foresee(self, size: int, room: int | None) -> None:
        """Nothing: which rows others have locked is known only once they are taken."""

    def take(self, connection: Connection, size: int) -> Gone | None:
        """Delete ``size`` rows. By their place in the table: no second look-up by id."""
        c = _ARTIFACTS.c
        place: ColumnElement[Any] = literal_column("ctid")
        ripe = select(place).where(*due(connection, self._now, self._rules)).order_by(c.expires_at).limit(size)
        if self._after is not None:
            ripe = ripe.where(c.expires_at >= self._after)
        gone = _on_postgresql(connection, place, ripe.with_for_update(skip_locked=True))
        self.over = gone is None
        self._after = self._after if gone is None else gone.last_expired
        return gone


class FromSqlite:
    """What is due on SQLite, where everybody who writes waits for a batch: so it is found, and looked at, before the lock is taken.

    Thousands of the oldest are found at a time and taken in the order of their places: neighbours share pages, and a page that a batch
    changes is written as a whole, twice. Each deletion asks again whether its rows are due. Where a hold came in
    between, or another run, it is by what went that it is told.
    """

    def __init__(self, engine: Engine, now: datetime, rules: str | None) -> None:
        self._engine, self._now, self._rules = engine, now, rules
        c = _ARTIFACTS.c
        these = _ROWID.in_(select(func.json_each(bindparam("places"), type_=JSON).table_valued("value").c.value))
        which = (these, c.expires_at <= now, ~is_held(), *under(rules, "sqlite"))
        expired, created = (
            type_coerce(each, String) for each in (c.expires_at, c.created_at)
        )  # thousands, not looked at
        returned = (c.id, c.data_class, c.mechanism, expired, created, c.feature, c.sensitivity)
        self._look = select(*returned).where(*which)
        self._take = delete(_ARTIFACTS).where(*which).returning(*returned)
        self.again()

    def again(self) -> None:
        """From the oldest row again."""
        self.over = False
        self._places: list[int] = []
        self._next = 0
        self._last: tuple[str, int] | None = None

    def foresee(self, size: int, room: int | None) -> Gone | None:
        """What the next batch will delete, unless something comes in between; ``room`` is left of the whole run."""
        while not self.over:
            if self._next == len(self._places):
                self._find(AHEAD_ROWS if room is None else min(room, AHEAD_ROWS))
                continue
            chosen = self._places[self._next : self._next + size]
            self._next += len(chosen)
            self._chosen = json.dumps(chosen)
            with reading(self._engine) as connection:
                rows = connection.execute(self._look, {"places": self._chosen}).all()
            if rows:
                self._foreseen, self._gone = sorted(rows), _gone(rows)
                return self._gone
        return None

    def take(self, connection: Connection, size: int) -> Gone | None:
        """Delete what was foreseen and is still due."""
        del size
        rows = connection.execute(self._take, {"places": self._chosen}).all()
        if not rows:
            return None
        _keep_counts(connection, rows)
        return self._gone if sorted(rows) == self._foreseen else _gone(rows)

    def _find(self, limit: int) -> None:
        """The next candidates, each once; over when there are none."""
        key = (type_coerce(_ARTIFACTS.c.expires_at, String), _ROWID)
        with reading(self._engine) as connection:
            query = select(*key).where(*due(connection, self._now, self._rules)).order_by(*key).limit(limit)
            if self._last is not None:
                query = query.where(tuple_(*key) > tuple_(*map(literal, self._last)))
            found = [(expired, place) for expired, place in connection.execute(query)]
        self.over = not found
        if found:
            self._last = found[-1]
        self._places, self._next = sorted(place for _, place in found), 0


def _gone(rows: Sequence[Any]) -> Gone:
    ids, classes, mechanisms, times, *_ = zip(*rows, strict=True)
    return Gone(
        ids=sorted(ids),
        classes=Counter(classes),
        mechanisms=Counter(mechanisms),
        first_expired=_read(min(times)),
        last_expired=_read(max(times)),
    )


def _keep_counts(connection: Connection, rows: Sequence[Any]) -> None:
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


def _read(stored: str) -> datetime:
    return datetime.strptime(stored, _TIME_FORMAT).replace(tzinfo=UTC)


def _on_postgresql(connection: Connection, place: ColumnElement[Any], ripe: Any) -> Gone | None:
    """Counting is the server's, in one statement."""
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
