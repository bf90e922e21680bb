from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, LargeBinary, String, Table, Text, delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from tests.support import records as r

from aiguard.db import writing
from aiguard.db.base import UtcTime
from aiguard.db.bulk import BulkInsert
from aiguard.errors import StoreError, StoreUnavailable
from aiguard.store import Artifact


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "things"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(64))
    words: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime | None] = mapped_column(UtcTime)
    data: Mapped[bytes] = mapped_column(LargeBinary)


THINGS = cast("Table", Thing.__table__)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=11))])
TIMES = st.datetimes(datetime(1990, 1, 2), datetime(2199, 1, 1), timezones=ZONES)  # noqa: DTZ001 - bounds are naive
THING = st.fixed_dictionaries(
    {
        "name": TEXTS,
        "words": st.none() | TEXTS | st.sampled_from(["\\N", "\\.", "\t", "\n", "\r\n", "\\", "NULL", "a\\tb"]),
        "at": st.none() | TIMES,
        "data": st.binary(max_size=40),
    }
)


@pytest.fixture
def things(engine):
    Base.metadata.create_all(engine)
    return engine


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(THING, max_size=40))
def test_it_writes_exactly_what_sqlalchemy_would(things, rows):
    numbered = [{"id": number, **row} for number, row in enumerate(rows)]
    found = []
    for write in (BulkInsert(THINGS), lambda connection, rows: rows and connection.execute(insert(THINGS), rows)):
        with writing(things) as connection:
            write(connection, numbered)
            found.append([dict(row) for row in connection.execute(select(THINGS).order_by(THINGS.c.id)).mappings()])
            connection.execute(delete(THINGS))
    assert found[0] == found[1] == numbered


class TurnedBack(tzinfo):
    """A zone whose clocks are turned back by an hour: what follows has ``fold``."""

    def utcoffset(self, dt):
        return timedelta(hours=1 if dt is not None and dt.fold else 2)

    def dst(self, dt):
        return timedelta(0)

    def tzname(self, dt):
        return "turned back"


def test_an_hour_that_comes_twice_a_year_is_two_hours(things):
    once = datetime(2026, 10, 25, 2, 30, tzinfo=TurnedBack())
    rows = [{"id": n, "name": "", "words": None, "at": once.replace(fold=n), "data": b""} for n in (0, 1)]
    with writing(things) as connection:
        BulkInsert(THINGS)(connection, rows)
        first, second = connection.execute(select(THINGS.c.at).order_by(THINGS.c.id)).scalars()
        connection.execute(delete(THINGS))
    assert second - first == timedelta(hours=1)


def test_a_row_that_is_refused_takes_the_whole_insert_with_it_and_says_only_a_code(engine, writer):
    first = r.artifact(content="Zq7 marker")
    writer.commit([first]).result(5)
    failure = writer.commit([r.artifact(), r.artifact(id=first.id, basis="Zq7 marker")]).exception(5)
    assert isinstance(failure, StoreError)
    assert not isinstance(failure, StoreUnavailable)
    assert "Zq7" not in f"{failure!r} {failure.__cause__!r} {failure.__context__!r}"
    assert r.scalars(engine, "SELECT count(*) FROM aiguard_artifacts") == [1]


def test_the_error_is_sqlalchemys_and_holds_no_row(engine):
    row = {column.name: None for column in cast("Table", Artifact.__table__).columns} | {"owner": "Zq7 marker"}
    with pytest.raises(IntegrityError) as refused, writing(engine) as connection:
        BulkInsert(cast("Table", Artifact.__table__))(connection, [row])
    assert "Zq7" not in str(refused.value) or "DETAIL" in str(refused.value)  # PostgreSQL's own message quotes the row
    assert refused.value.params is None


def test_a_time_without_a_zone_is_refused_on_both(things):
    naive = {"id": 1, "name": "", "words": None, "at": datetime(2026, 1, 1), "data": b""}  # noqa: DTZ001
    with pytest.raises(ValueError, match="timezone"), writing(things) as connection:
        BulkInsert(THINGS)(connection, [naive])
