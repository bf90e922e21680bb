"""Inserting many rows of one table as fast as the driver can, and asking the driver without a detour.

SQLAlchemy's ``executemany`` turns every row into driver parameters by itself, which costs more than the insert. Here the rows of a
batch go to SQLite by the driver's own ``executemany``, and to PostgreSQL as one statement that unpacks an array of each column: what is
sent does not wait for the answer to what was sent before (a pipeline), since every wait is a change of threads and of processes.
Everything else (the transaction, the connection, the errors) stays SQLAlchemy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, cast

from sqlalchemy import BigInteger, Column, Connection, Integer, LargeBinary, SmallInteger, String, Table
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from aiguard.db.base import UtcTime, utc_text

Row = Mapping[str, Any]


class BulkInsert:
    """``INSERT`` of rows that all have a value for each of ``columns`` (by default, all of the table's).

    A row whose primary key is there already is refused, or gets the new values of the columns that ``renew`` names. An instant may be
    given as what :func:`~aiguard.db.base.utc_text` makes of it.
    """

    def __init__(self, table: Table, columns: Sequence[str] | None = None, *, renew: Sequence[str] = ()) -> None:
        names = [column.name for column in table.columns] if columns is None else list(columns)
        if len(names) < 2:
            raise ValueError("a bulk insert needs at least two columns")
        self._names, self._plain = names, insert(table)
        if renew:
            new = {name: self._plain.excluded[name] for name in renew}
            self._plain = self._plain.on_conflict_do_update(index_elements=list(table.primary_key), set_=new)
        self._values: Callable[[Row], tuple[Any, ...]] = itemgetter(*names)
        self._times = [place for place, name in enumerate(names) if isinstance(table.c[name].type, UtcTime)]
        kinds = [_kind(table.c[name]) for name in names]
        self._arrays = [_ARRAYS[kind] for kind in kinds]
        into = f"INTO {table.name} ({', '.join(names)})"
        keys = [column.name for column in table.primary_key]
        news = ", ".join(f"{name} = excluded.{name}" for name in renew)
        end = f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {news}" if renew else ""
        self._marks = f"INSERT {into} VALUES ({', '.join('?' * len(names))}){end}"  # noqa: S608 - names of our own tables
        # No lengths in these casts: they would cut silently what the column then refuses.
        arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
        self._unpack = f"INSERT {into} SELECT * FROM unnest({arrays}){end}"  # noqa: S608 - as above

    def __call__(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Insert ``rows`` on a connection that writes. Raises what SQLAlchemy raises."""
        insert_all(connection, ((self, rows),))

    def add(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Part of :func:`insert_all`."""
        self.add_values(connection, list(map(self._values, rows)))

    def add_values(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Part of :func:`insert_all`, for rows that are a value for each of the columns, in their order."""
        if not rows:
            return
        if not _known(connection):
            connection.execute(
                self._plain, [dict(zip(self._names, self._with_times(row), strict=True)) for row in rows]
            )
        elif _is_postgres(connection):
            columns = zip(*rows, strict=True)
            arrays = [array(values) for array, values in zip(self._arrays, columns, strict=True)]
            straight(connection, self._unpack, arrays)
        else:
            _driver(connection).executemany(self._marks, map(self._with_texts, rows) if self._times else rows)

    def _with_texts(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """The values of a row, its instants as text."""
        for place in self._times:
            at = values[place]
            if type(at) is not str and at is not None:
                values = (*values[:place], _as_text(_in_utc(at)), *values[place + 1 :])
        return values

    def _with_times(self, row: tuple[Any, ...]) -> Sequence[Any]:
        """The values of a row, its instants as SQLAlchemy takes them."""
        values = list(row)
        for place in self._times:
            if isinstance(values[place], str):
                values[place] = datetime.fromisoformat(values[place]).replace(tzinfo=UTC)
        return values


def insert_all(connection: Connection, parts: Iterable[tuple[BulkInsert, Sequence[Row]]]) -> None:
    """Insert rows of several tables, in order, without waiting in between. Raises what SQLAlchemy raises."""
    with together(connection):
        for table, rows in parts:
            table.add(connection, rows)


@contextmanager
def together(connection: Connection) -> Iterator[None]:
    """Send what :func:`straight` is given in here without waiting for answers, where the driver can. Raises what SQLAlchemy raises.

    Answers are waited for when one is looked at, and at the end of the outermost: an error may come from any statement before.
    """
    with _as_sqlalchemy_tells_it(connection):
        driver = _driver(connection)
        if not in_pipelines(connection) or driver.pgconn.pipeline_status:
            yield
            return
        with driver.pipeline() as pipeline:
            try:
                yield
            except BaseException:
                with suppress(Exception):  # psycopg would log what else failed, with the values it quotes
                    pipeline.sync()
                raise


def in_pipelines(connection: Connection) -> bool:
    """Whether :func:`together` makes a difference: psycopg, with a libpq of PostgreSQL 14 or later."""
    if connection.dialect.driver != "psycopg":
        return False
    from psycopg import Pipeline

    return Pipeline.is_supported()


def straight(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> Any:
    """Execute with the driver of SQLite or psycopg, in its own style of parameters; the cursor. Raises what SQLAlchemy raises."""
    with _as_sqlalchemy_tells_it(connection):
        return _driver(connection).execute(sql, parameters)


def reaches(connection: Connection) -> bool:
    """Whether :func:`straight` can be used: an application's engine may have a driver that is not known here."""
    return _known(connection)


def _known(connection: Connection) -> bool:
    return connection.dialect.driver in ("psycopg", "pysqlite")


def _is_postgres(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _driver(connection: Connection) -> Any:
    driver = connection.connection.driver_connection
    assert driver is not None
    return driver


@contextmanager
def _as_sqlalchemy_tells_it(connection: Connection) -> Iterator[None]:
    dialect = connection.dialect
    try:
        yield
    except dialect.loaded_dbapi.Error as error:
        if dialect.is_disconnect(error, connection.connection.driver_connection, None):
            connection.invalidate(error)
            lost = True
        else:
            lost = False
        raise DBAPIError.instance(
            None,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=lost,
            dialect=dialect,
        ) from None


def _kind(column: Column[Any]) -> str:
    for kind, name in _KINDS:
        if isinstance(column.type, kind):
            return name
    raise TypeError(f"a bulk insert does not know the type of {column.name}")


def _texts(values: Sequence[str | None]) -> str:
    """An array of texts as PostgreSQL reads it."""
    if None in values:
        return "{" + ",".join("NULL" if each is None else f'"{_escaped(each)}"' for each in values) + "}"
    texts = cast("Sequence[str]", values)
    joined = '","'.join(texts)
    if "\\" in joined or joined.count('"') != 2 * (len(values) - 1):
        joined = '","'.join(map(_escaped, texts))
    return f'{{"{joined}"}}'


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _numbers(values: Sequence[int | None]) -> str:
    return "{" + ",".join("NULL" if each is None else str(int(each)) for each in values) + "}"


def _bytes(values: Sequence[bytes | None]) -> str:
    return "{" + ",".join("NULL" if each is None else f'"\\\\x{each.hex()}"' for each in values) + "}"


def _instants(values: Sequence[datetime | str | None]) -> str:
    return "{" + ",".join("NULL" if each is None else f'"{_instant(each)}+00"' for each in values) + "}"


def _instant(at: datetime | str) -> str:
    return at if isinstance(at, str) else _as_text(_in_utc(at))


_KINDS: Final = (
    (UtcTime, "timestamptz"), (LargeBinary, "bytea"), (SmallInteger, "smallint"), (BigInteger, "bigint"), (Integer, "integer"),
    (String, "text"),
)  # fmt: skip
_ARRAYS: Final[Mapping[str, Callable[[Sequence[Any]], str]]] = {
    "timestamptz": _instants, "bytea": _bytes, "smallint": _numbers, "bigint": _numbers, "integer": _numbers, "text": _texts,
}  # fmt: skip


# The rows of one exchange often have the same times. Only of UTC: elsewhere an hour comes twice a year.
_as_text: Final = lru_cache(maxsize=1024)(utc_text)


def _in_utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a stored time needs a timezone; use datetime.now(UTC)")
    return at.astimezone(UTC)
