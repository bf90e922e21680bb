"""Inserting many rows of one table as fast as the driver can.

SQLAlchemy's ``executemany`` turns every row into driver parameters by itself, which costs more than the insert. Here the rows of a
batch go to SQLite in few statements of many rows (each call into it hands the interpreter's lock to whoever waits for it, and there are
many who wait), and to PostgreSQL as one ``COPY``. Everything else (the transaction, the connection, the errors) stays SQLAlchemy's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Table, insert
from sqlalchemy.exc import DBAPIError

from aiguard.db.base import UtcTime

CHUNKS: Final = (64, 8, 1)
"""Rows of one SQLite statement. Few sizes, so that the driver keeps the compiled statements."""

Row = Mapping[str, Any]


class BulkInsert:
    """``INSERT`` of rows that all have a value for each of ``columns`` (by default, all of the table's)."""

    def __init__(self, table: Table, columns: Sequence[str] | None = None) -> None:
        names = [column.name for column in table.columns] if columns is None else list(columns)
        if len(names) < 2:
            raise ValueError("a bulk insert needs at least two columns")
        self._names, self._plain = names, insert(table)
        self._values: Callable[[Row], tuple[Any, ...]] = itemgetter(*names)
        self._times = [place for place, name in enumerate(names) if isinstance(table.c[name].type, UtcTime)]
        self._head = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES "  # noqa: S608 - names of our own tables
        self._row = f"({', '.join('?' * len(names))})"
        self._copy = f"COPY {table.name} ({', '.join(names)}) FROM STDIN"

    def __call__(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Insert ``rows`` on a connection that writes. Raises what SQLAlchemy raises."""
        driver = connection.connection.driver_connection
        assert driver is not None
        if connection.dialect.driver not in ("psycopg", "pysqlite"):  # an application's engine may have another
            if rows:
                connection.execute(self._plain, [{name: row[name] for name in self._names} for row in rows])
            return
        postgres = connection.dialect.name == "postgresql"
        try:
            if postgres:
                self._into_postgres(driver, rows)
            else:
                self._into_sqlite(driver, rows)
        except connection.dialect.loaded_dbapi.Error as error:
            if connection.dialect.is_disconnect(error, driver, None):
                connection.invalidate(error)
            raise DBAPIError.instance(
                None,
                None,
                error,
                connection.dialect.loaded_dbapi.Error,
                hide_parameters=True,
                dialect=connection.dialect,
            ) from None

    def _into_sqlite(self, driver: Any, rows: Sequence[Row]) -> None:
        cursor = driver.cursor()
        start = 0
        for size in CHUNKS:
            sql = self._head + ", ".join([self._row] * size)
            while len(rows) - start >= size:
                some = [self._sqlite_values(row) for row in rows[start : start + size]]
                cursor.execute(sql, some[0] if size == 1 else list(chain.from_iterable(some)))
                start += size
        cursor.close()

    def _sqlite_values(self, row: Row) -> Sequence[Any]:
        values = self._values(row)
        if not self._times:
            return values
        written = list(values)
        for place in self._times:
            written[place] = _as_text(written[place])
        return written

    def _into_postgres(self, driver: Any, rows: Sequence[Row]) -> None:
        with driver.cursor() as cursor, cursor.copy(self._copy) as copy:
            for row in rows:
                values = self._values(row)
                for place in self._times:  # PostgreSQL would take a time without a zone for one in its own
                    _aware(values[place])
                copy.write_row(values)


@lru_cache(maxsize=1024)  # the rows of one exchange often have the same times
def _as_text(value: datetime | None) -> str | None:
    """As :class:`~aiguard.db.base.UtcTime` writes it on SQLite."""
    _aware(value)
    return None if value is None else value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _aware(value: datetime | None) -> None:
    if value is not None and value.tzinfo is None:
        raise ValueError("a stored time needs a timezone; use datetime.now(UTC)")
