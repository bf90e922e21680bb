from __future__ import annotations

import re

import pytest
from sqlalchemy import text

from aiguard.db import reading, writing
from aiguard.db.triggers import LOG, TRIGGERS, Faults, faults, found


def look(engine, beginning=""):
    with reading(engine) as connection:
        return faults(connection, beginning)


def run(engine, *statements):
    with writing(engine) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def statement_of(engine, trigger):
    with reading(engine) as connection:
        return str(
            connection.execute(text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": trigger}).scalar_one()
        )


def test_a_database_has_the_triggers_that_the_migrations_make(engine):
    with reading(engine) as connection:
        assert found(connection) == TRIGGERS[engine.dialect.name]
    assert not look(engine)


def test_every_table_of_the_log_has_its_triggers(engine):
    with reading(engine) as connection:
        kind = (
            "sqlite_master WHERE type = 'table' AND name"
            if engine.dialect.name == "sqlite"
            else "pg_tables WHERE tablename"
        )
        column = "name" if engine.dialect.name == "sqlite" else "tablename"
        tables = set(
            connection.execute(text(f"SELECT {column} FROM {kind} LIKE 'aiguard\\_audit\\_%' ESCAPE '\\'")).scalars()
        )
    free = {"aiguard_audit_outbox"}  # its rows come and go
    assert {
        table for table in tables if any(name.startswith(f"{table}_") for name in TRIGGERS[engine.dialect.name])
    } == tables - free


@pytest.mark.parametrize("name", TRIGGERS["sqlite"])
def test_a_trigger_that_was_replaced_by_a_harmless_one_is_told_on_sqlite(backend, request, name):
    if backend != "sqlite":
        pytest.skip("SQLite's")
    engine = request.getfixturevalue("engine")
    made = statement_of(engine, name)
    harmless = re.sub(r" WHEN .* BEGIN| BEGIN", " WHEN FALSE BEGIN", made, count=1, flags=re.DOTALL)
    assert harmless != made
    run(engine, f"DROP TRIGGER {name}", harmless)
    assert look(engine) == Faults(missing=(), altered=(name,))
    run(engine, f"DROP TRIGGER {name}")
    assert look(engine) == Faults(missing=(name,), altered=())
    run(engine, made.replace(" ON ", "\n  ON "))  # blanks say nothing
    assert not look(engine)


def postgresql(backend, request):
    if backend != "postgresql":
        pytest.skip("PostgreSQL's")
    return request.getfixturevalue("engine")


_EVENTS = "aiguard_audit_events"
_LETS = "CREATE FUNCTION lets() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$"
_ROWS = f"CREATE TRIGGER {_EVENTS}_rows BEFORE {{}} ON {_EVENTS} FOR EACH {{}} EXECUTE FUNCTION {{}}()"
_ALWAYS = f"ALTER TABLE {_EVENTS} ENABLE ALWAYS TRIGGER {_EVENTS}_rows"


@pytest.mark.parametrize(
    ("events", "each", "function"),
    [
        ("UPDATE OR DELETE", "ROW", "lets"),
        ("UPDATE", "ROW", "aiguard_event_rows"),
        ("UPDATE OF subject OR DELETE", "ROW", "aiguard_event_rows"),
        ("UPDATE OR DELETE", "STATEMENT", "aiguard_event_rows"),
        ("UPDATE OR DELETE", "ROW WHEN (OLD.seq < 0)", "aiguard_event_rows"),
    ],
)
def test_a_trigger_that_was_replaced_by_a_harmless_one_is_told_on_postgresql(backend, request, events, each, function):
    engine = postgresql(backend, request)
    run(engine, _LETS, f"DROP TRIGGER {_EVENTS}_rows ON {_EVENTS}", _ROWS.format(events, each, function), _ALWAYS)
    assert look(engine) == Faults(missing=(), altered=(f"{_EVENTS}_rows",))
    run(engine, f"DROP TRIGGER {_EVENTS}_rows ON {_EVENTS}")
    assert look(engine) == Faults(missing=(f"{_EVENTS}_rows",), altered=())
    run(engine, _ROWS.format("UPDATE OR DELETE", "ROW", "aiguard_event_rows"))
    assert look(engine).missing == (f"{_EVENTS}_rows",)  # not in force for a session in replica mode
    run(engine, _ALWAYS)
    assert not look(engine)


@pytest.mark.parametrize("state", ["DISABLE", "ENABLE", "ENABLE REPLICA"])
def test_a_trigger_that_is_not_in_force_in_every_session_is_missing(backend, request, state):
    engine = postgresql(backend, request)
    run(engine, f"ALTER TABLE {_EVENTS} {state} TRIGGER {_EVENTS}_truncate")
    assert look(engine) == Faults(missing=(f"{_EVENTS}_truncate",), altered=())


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE OR REPLACE FUNCTION aiguard_event_rows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$",
        "ALTER FUNCTION aiguard_event_rows() SET search_path = elsewhere, pg_temp",
        "ALTER FUNCTION aiguard_event_rows() RESET ALL",
        "ALTER FUNCTION aiguard_event_rows() SECURITY DEFINER",
    ],
)
def test_a_function_that_was_replaced_is_told_for_each_trigger_that_calls_it(backend, request, statement):
    engine = postgresql(backend, request)
    run(engine, statement)
    assert look(engine) == Faults(
        missing=(), altered=(f"{_EVENTS.replace('events', 'erased')}_rows", f"{_EVENTS}_rows")
    )


def test_only_those_that_are_asked_for_are_looked_at(engine):
    if engine.dialect.name == "sqlite":
        run(engine, "DROP TRIGGER aiguard_holds_onward")
    else:
        run(engine, "ALTER TABLE aiguard_holds DISABLE TRIGGER ALL")
    assert look(engine).missing
    assert not look(engine, LOG)


def added(engine, beginning=""):
    return look(engine, beginning).added


def test_a_trigger_that_somebody_added_to_a_table_of_ours_is_told(engine):
    if engine.dialect.name == "sqlite":
        run(engine, "CREATE TRIGGER quiet BEFORE INSERT ON AIGUARD_holds BEGIN SELECT RAISE(IGNORE); END")
    else:
        nothing = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
        run(
            engine,
            nothing,
            "CREATE TRIGGER quiet BEFORE INSERT ON aiguard_holds FOR EACH ROW EXECUTE FUNCTION nothing()",
        )
    assert look(engine) == Faults(missing=(), altered=(), added=("the trigger quiet on aiguard_holds",))
    assert not look(engine, LOG)


def test_one_of_the_name_of_ours_on_another_table_of_ours_is_told(backend, request):
    engine = postgresql(backend, request)
    nothing = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
    name = "aiguard_holds_rows"
    run(
        engine,
        nothing,
        f"CREATE TRIGGER {name} BEFORE DELETE ON aiguard_artifacts FOR EACH ROW EXECUTE FUNCTION nothing()",
        f"ALTER TABLE aiguard_artifacts ENABLE ALWAYS TRIGGER {name}",
    )
    assert look(engine) == Faults(missing=(), altered=(), added=(f"the trigger {name} on aiguard_artifacts",))
    run(engine, f"DROP TRIGGER {name} ON aiguard_holds")
    assert look(engine).missing == (name,)


@pytest.mark.parametrize("state", ["DISABLE", "ENABLE", "ENABLE REPLICA", "ENABLE ALWAYS"])
def test_one_that_was_added_is_told_whenever_it_fires(backend, request, state):
    engine = postgresql(backend, request)
    nothing = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
    made = f"CREATE TRIGGER quiet BEFORE INSERT ON {_EVENTS} FOR EACH ROW EXECUTE FUNCTION nothing()"
    run(engine, nothing, made, f"ALTER TABLE {_EVENTS} {state} TRIGGER quiet")
    assert added(engine, LOG) == (f"the trigger quiet on {_EVENTS}",)


def test_a_rule_and_row_security_on_a_table_of_ours_are_told(backend, request):
    engine = postgresql(backend, request)
    run(
        engine,
        "CREATE RULE keeps AS ON DELETE TO aiguard_artifacts DO INSTEAD NOTHING",
        "ALTER TABLE aiguard_holds ENABLE ROW LEVEL SECURITY",
    )
    assert look(engine) == Faults(
        missing=(), altered=(), added=("row security on aiguard_holds", "the rule keeps on aiguard_artifacts")
    )
    assert not look(engine, LOG)
    run(engine, f"CREATE RULE keeps AS ON INSERT TO {_EVENTS} DO INSTEAD NOTHING")
    assert added(engine, LOG) == (f"the rule keeps on {_EVENTS}",)


def test_what_an_application_has_on_its_own_tables_is_its_own(engine):
    run(engine, "CREATE TABLE notes (id integer)")
    if engine.dialect.name == "sqlite":
        run(engine, "CREATE TRIGGER quiet BEFORE INSERT ON notes BEGIN SELECT RAISE(IGNORE); END")
    else:
        run(
            engine,
            "CREATE VIEW aiguard_report AS SELECT 1",
            "CREATE RULE keeps AS ON DELETE TO notes DO INSTEAD NOTHING",
        )
    assert not look(engine)
