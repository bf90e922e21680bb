from __future__ import annotations

import stat
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from tests.support.records import scalars

from aiguard.db import make_engine, reading, upgrade, writing
from aiguard.db.failures import as_store_error
from aiguard.errors import SettingsError, StoreUnavailable


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_and_its_directories_are_private(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/a/b/evidence.db")
    upgrade(engine)
    with reading(engine) as connection:
        connection.execute(text("SELECT 1"))
        files = sorted((tmp_path / "a/b").iterdir())
        assert [file.name for file in files] == ["evidence.db", "evidence.db-shm", "evidence.db-wal"]
        assert {mode(file) for file in files} == {0o600}
    assert mode(tmp_path / "a") == mode(tmp_path / "a/b") == 0o700
    engine.dispose()


def test_a_directory_that_exists_keeps_its_mode(tmp_path):
    (tmp_path / "shared").mkdir(mode=0o755)
    make_engine(f"sqlite:///{tmp_path}/shared/evidence.db")
    assert mode(tmp_path / "shared") == 0o755


def test_sqlite_is_durable_and_overwrites_what_it_deletes(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/evidence.db")
    pragmas = {name: scalars(engine, f"PRAGMA {name}")[0] for name in ("journal_mode", "synchronous", "secure_delete")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}
    assert scalars(engine, "PRAGMA foreign_keys") == [1]
    engine.dispose()


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true", "mysql://u:hunter2@h/d", "hunter2"],
)
def test_what_cannot_hold_evidence_is_refused_without_showing_the_url(url):
    with pytest.raises(SettingsError) as refused:
        make_engine(url)
    assert "hunter2" not in str(refused.value)


def test_a_directory_that_cannot_be_made_is_a_setting_to_change(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError, match="cannot be created"):
        make_engine(f"sqlite:///{tmp_path}/file/evidence.db")


def test_a_reader_does_not_make_a_database_by_mistake(tmp_path):
    with pytest.raises(SettingsError, match="no database"):
        make_engine(f"sqlite:///{tmp_path}/evidence.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_an_error_told_by_us_names_a_code_and_no_value(engine: Engine):
    secret = "mo@example.org"

    def insert_twice():
        with writing(engine) as connection:
            statement = text("INSERT INTO aiguard_audit_logs (log, size) VALUES (:log, 0)")
            connection.execute(statement, [{"log": secret}, {"log": secret}])

    with pytest.raises(SQLAlchemyError) as failed:
        insert_twice()
    told = as_store_error(failed.value)
    assert not isinstance(told, StoreUnavailable)
    assert ("SQLITE_CONSTRAINT" if engine.dialect.name == "sqlite" else "23505") in str(told)
    assert secret not in f"{told} {told!r} {told.__cause__} {told.__context__}"


def test_a_write_that_raises_leaves_nothing(engine: Engine):
    def break_off():
        with writing(engine) as connection:
            connection.execute(text("UPDATE aiguard_audit_logs SET size = 7"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert scalars(engine, "SELECT size FROM aiguard_audit_logs") == [0]
