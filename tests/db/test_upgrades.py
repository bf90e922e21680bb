"""An upgrade from any revision keeps every row that is there, and ends with the schema of a database that was made anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Connection,
    DateTime,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    inspect,
    select,
)
from sqlalchemy import types as sql

from aiguard.db import check, make_engine, reading, upgrade, writing
from aiguard.db.schema import VERSION_TABLE, _run, _scripts
from aiguard.db.triggers import faults

_, SCRIPTS = _scripts()
REVISIONS = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]
DECIDED = ("approved_by", "released_by")
"""Texts that say that something was decided; from revision 0025 on a row cannot come with one."""
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def upgrade_to(engine: Engine, revision: str) -> None:
    config, scripts = _scripts()
    with writing(engine) as connection:
        _run(connection, config, scripts, revision)


def tables(connection: Connection) -> dict[str, Table]:
    metadata = MetaData()
    metadata.reflect(connection)
    return {table.name: table for table in metadata.sorted_tables if table.name != VERSION_TABLE}


def value(column: Any, number: int, *, decided: bool) -> Any:
    if column.nullable and not decided:
        return None
    if column.name in DECIDED and not decided:
        return ""
    match column.type:
        case Boolean():
            return bool(number % 2)
        case sql.TIMESTAMP() | DateTime():
            moment = NOW + timedelta(days=number)
            return moment if column.type.timezone else moment.replace(tzinfo=None)
        case Integer():
            return number
        case LargeBinary():
            return bytes([number]) * 40
        case JSON():
            return {"number": number, "text": "Zoë"}
        case _:
            return f"{column.name}-{number}"[: column.type.length or None]


def fill(engine: Engine, revision: str) -> None:
    with writing(engine) as connection:
        for table in tables(connection).values():
            rows = [
                {column.name: value(column, number, decided=revision < "0025") for column in table.columns}
                for number in (2, 3, 4)
            ]
            connection.execute(table.insert(), rows)


def rows_of(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    with reading(engine) as connection:
        return {
            name: [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]
            for name, table in tables(connection).items()
        }


def shape(engine: Engine) -> dict[str, Any]:
    looked = inspect(engine)
    return {
        name: (
            sorted((column["name"], str(column["type"]), column["nullable"]) for column in looked.get_columns(name)),
            sorted((str(index["name"]), index["column_names"], index["unique"]) for index in looked.get_indexes(name)),
            looked.get_pk_constraint(name)["constrained_columns"],
        )
        for name in looked.get_table_names()
    }


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_row_outlives_the_upgrade_from_any_revision(empty_url: str, revision: str) -> None:
    engine = make_engine(empty_url, lock_timeout=5)
    upgrade_to(engine, revision)
    fill(engine, revision)
    before = rows_of(engine)
    upgrade(engine)
    check(engine)
    after = rows_of(engine)
    for name, rows in before.items():
        assert len(rows) >= 3
        known = [{column: row[column] for column in rows[0]} for row in after[name]]
        if name == "aiguard_audit_logs" and revision < "0020":
            assert all(row["instance"] for row in after[name])
        assert known == rows, name
    with reading(engine) as connection:
        assert not faults(connection)
    engine.dispose()


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_whatever_revision_an_upgrade_begins_at_the_schema_is_the_same(
    empty_url: str, revision: str, engine: Engine
) -> None:
    older = make_engine(empty_url, lock_timeout=5)
    upgrade_to(older, revision)
    upgrade(older)
    assert shape(older) == shape(engine)
    older.dispose()
