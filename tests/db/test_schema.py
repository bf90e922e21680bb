from __future__ import annotations

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, event, inspect, text

from aiguard import audit, retention, runtime, store
from aiguard.audit.signing import AuditCheckpoint
from aiguard.db import check, make_engine, upgrade, writing
from aiguard.db.base import Base
from aiguard.db.schema import VERSION_TABLE, current_revision
from aiguard.errors import SchemaRevisionError, StoreUnavailable
from aiguard.identity.tables import StoredToken


@pytest.fixture
def empty(empty_url):
    engine = make_engine(empty_url, lock_timeout=0.5)
    yield engine
    engine.dispose()


def test_a_database_without_tables_is_refused_with_the_command_to_run(empty: Engine):
    with pytest.raises(SchemaRevisionError, match="run `aiguard db upgrade`"):
        check(empty)


def test_an_upgrade_brings_it_to_the_codes_revision_and_a_second_one_changes_nothing(empty: Engine):
    assert upgrade(empty) == upgrade(empty) == current_revision(empty)
    check(empty)


def test_a_revision_from_the_future_is_refused_and_left_alone(engine: Engine):
    with writing(engine) as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    for step in (check, upgrade):
        with pytest.raises(SchemaRevisionError, match="9999"):
            step(engine)
    assert current_revision(engine) == "9999"


def test_an_older_revision_is_named(engine: Engine):
    with writing(engine) as connection:
        connection.execute(text(f"DELETE FROM {VERSION_TABLE}"))
    with pytest.raises(SchemaRevisionError, match="no aiguard tables"):
        check(engine)


def test_the_migrations_make_exactly_what_the_models_say(engine: Engine):
    models = (audit.AuditEvent, AuditCheckpoint, store.Artifact, store.DataKeyRow, retention.Hold, StoredToken)
    assert {model.__tablename__ for model in models} <= set(Base.metadata.tables)
    assert runtime.__name__  # brings every room with it
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_every_table_and_index_carries_the_prefix(engine: Engine):
    inspector = inspect(engine)
    names = inspector.get_table_names()
    names += [str(index["name"]).removeprefix("ix_") for table in names for index in inspector.get_indexes(table)]
    assert names
    assert all(name.removeprefix("uq_").startswith("aiguard_") for name in names)


def test_an_upgrade_that_breaks_off_leaves_no_table_behind(empty: Engine):
    @event.listens_for(empty, "before_cursor_execute")
    def power_cut(_connection, _cursor, statement, *_rest):
        if "CREATE TABLE aiguard_audit_events" in statement:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        upgrade(empty)
    event.remove(empty, "before_cursor_execute", power_cut)
    assert inspect(empty).get_table_names() == []
    upgrade(empty)
    check(empty)


def test_processes_that_start_together_upgrade_once(empty_url, backend):
    script = (
        "import sys; from aiguard.db import make_engine, upgrade, check; "
        "e = make_engine(sys.argv[1]); sys.stdin.readline(); upgrade(e); check(e)"
    )
    command = [sys.executable, "-c", script, empty_url]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        _, trouble = racer.communicate(timeout=60)
        assert racer.returncode == 0, trouble


def test_a_server_that_is_not_there_is_unavailable():
    engine = make_engine("postgresql://nobody@127.0.0.1:9/none", lock_timeout=1)
    for step in (check, upgrade):
        with pytest.raises(StoreUnavailable):
            step(engine)
