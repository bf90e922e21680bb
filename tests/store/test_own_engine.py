"""The application's own engine, and a schema of our own beside the application's tables."""

from __future__ import annotations

import pytest
from flask import Flask, current_app
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.orm import Session
from tests.support.guards import JANE, POLICY, Model, user
from tests.support.postgres import new_postgres

from aiguard import open_guard
from aiguard.db import adopt, make_engine, upgrade
from aiguard.detect import known_types
from aiguard.errors import SettingsError
from aiguard.flask import AIGuard
from aiguard.policy import parse_policy
from aiguard.settings import Environment, Settings
from aiguard.types import Actor

RITA = Actor(id="rita", tenant="acme", scopes=frozenset({"artifact:read:prompt", "artifact:read:output"}))


def guard_on(engine, environment=Environment.TEST, **more):
    settings = Settings(environment=environment, keys=(b"m" * 32,), log_protection=False, **more)
    return open_guard(settings, policy=parse_policy(POLICY, "test policy", known_types()), engine=engine)


def talk_and_read(guard):
    with guard.acting_as(JANE, scope="support:reply", conversation="c1"):
        guard.call(Model(), user("write to jane.roe@example.org"), model="local:small")
    return guard.artifacts.read(RITA, "OPS-17", subject="jane")


@pytest.fixture
def theirs(empty_url):
    """An engine as an application makes it, with a table of the application's."""
    make_engine(empty_url).dispose()  # makes the directory on SQLite
    engine = create_engine(make_url(empty_url).set(drivername=_driver(empty_url)))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (note TEXT)"))
    yield engine
    engine.dispose()


def _driver(url):
    return "sqlite" if url.startswith("sqlite") else "postgresql+psycopg"


def test_a_guard_keeps_and_reads_through_the_applications_engine_without_a_url(theirs):
    guard = guard_on(theirs)
    assert [each.data_class for each in talk_and_read(guard)] == ["prompt", "output"]
    guard.close()
    with theirs.connect() as connection:  # still theirs, and usable
        assert connection.execute(text("SELECT count(*) FROM aiguard_artifacts")).scalar_one() == 2
        assert connection.execute(text("SELECT count(*) FROM orders")).scalar_one() == 0


def test_an_event_shares_the_transaction_of_the_applications_session(theirs):
    guard = guard_on(theirs)
    for end in ("commit", "rollback"):
        with Session(theirs) as session, guard.acting_as(JANE, scope="support:reply"):
            session.execute(text("INSERT INTO orders (note) VALUES (:end)"), {"end": end})
            guard.record("app.ordered", payload={"how": end}, session=session)
            getattr(session, end)()
    guard.close()
    with theirs.connect() as connection:
        assert connection.execute(text("SELECT note FROM orders")).scalars().all() == ["commit"]
        told = "SELECT (SELECT count(*) FROM aiguard_audit_events WHERE type = 'app.ordered') + (SELECT count(*) FROM aiguard_audit_outbox)"
        assert connection.execute(text(told)).scalar_one() == 1


def test_production_refuses_the_applications_engine_at_a_wrong_revision(theirs):
    with pytest.raises(Exception, match="aiguard db upgrade"):
        guard_on(theirs, Environment.PRODUCTION)
    with theirs.connect() as connection:  # it was not disposed of
        connection.execute(text("SELECT 1"))


def test_a_function_gives_the_engine_once_there_is_an_application(theirs, tmp_path):
    app = Flask("shop")
    app.config.update(AIGUARD_ENVIRONMENT="test", AIGUARD_LOG_PROTECTION="false", AIGUARD_KEY_FILE=str(tmp_path / "k"))
    app.extensions["engine"] = theirs
    policy = parse_policy(POLICY, "test policy", known_types())
    extension = AIGuard(app, policy=policy, engine=lambda: current_app.extensions["engine"])
    with app.app_context():
        assert len(talk_and_read(extension.guard)) == 2
        extension.guard.close()


def async_engine():
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:9/none")
    engine.dialect.is_async = True
    return engine


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (lambda: create_engine("sqlite://"), "file"),
        (async_engine, "async"),
        (lambda: "sqlite:///a.db", "Engine"),
    ],
)
def test_what_cannot_be_worked_with_is_refused_with_the_remedy(given, word):
    with pytest.raises(SettingsError, match=word):
        adopt(given)


class TestOnPostgreSQL:
    @pytest.fixture
    def backend(self):
        return "postgresql"

    @pytest.mark.parametrize("level", ["AUTOCOMMIT", "SERIALIZABLE", "REPEATABLE READ"])
    def test_whatever_isolation_the_application_chose_commits_are_whole(self, empty_url, level):
        engine = create_engine(make_url(empty_url).set(drivername="postgresql+psycopg"), isolation_level=level)
        guard = guard_on(engine)
        talk_and_read(guard)
        guard.close()
        with engine.connect() as connection:
            if level == "AUTOCOMMIT":
                assert getattr(connection.connection.driver_connection, "autocommit", False)
            else:
                assert connection.get_isolation_level() == level
            shown = "SELECT current_setting('statement_timeout') || current_setting('lock_timeout')"
            assert connection.execute(text(shown)).scalar_one() == "00"
            size, stored = connection.execute(
                text("SELECT (SELECT size FROM aiguard_audit_logs), (SELECT count(*) FROM aiguard_audit_events)")
            ).one()
            assert size == stored
        engine.dispose()

    def test_our_tables_live_in_a_schema_of_their_own(self, theirs):
        one, two = (guard_on(theirs, database_schema=name) for name in ("guarded", "other_app"))
        assert len(talk_and_read(one)) == 2
        assert two.artifacts.read(RITA, "OPS-17", subject="jane") == []
        with Session(theirs) as session, one.acting_as(JANE, scope="support:reply"):
            one.record("app.ordered", payload={"how": "commit"}, session=session)
            session.commit()
        one.close()
        two.close()
        where = (
            "SELECT DISTINCT table_schema FROM information_schema.tables WHERE table_name LIKE 'aiguard%' ORDER BY 1"
        )
        with theirs.connect() as connection:
            assert connection.execute(text(where)).scalars().all() == ["guarded", "other_app"]
            told = (
                "SELECT (SELECT count(*) FROM guarded.aiguard_audit_events WHERE type = 'app.ordered')"
                " + (SELECT count(*) FROM guarded.aiguard_audit_outbox)"
            )
            assert connection.execute(text(told)).scalar_one() == 1
            assert connection.execute(text("SHOW search_path")).scalar_one() == '"$user", public'

    def test_a_url_with_a_schema_works_the_same(self):
        url = new_postgres(empty=True)
        engine = make_engine(url, schema="guarded")
        upgrade(engine)
        assert upgrade(engine)
        guard = guard_on(None, database=url, database_schema="guarded")
        assert len(talk_and_read(guard)) == 2
        guard.keys.store.scrub()
        guard.close()
        engine.dispose()

    @pytest.mark.parametrize("name", ["", "Upper", "a-b", 'a"; DROP', "pg_own", "x" * 64])
    def test_a_schema_that_is_no_plain_name_is_refused(self, name):
        with pytest.raises(SettingsError, match="AIGUARD_DATABASE_SCHEMA"):
            make_engine("postgresql://nobody@127.0.0.1:9/none", schema=name)


def test_sqlite_has_no_schemas(tmp_path):
    with pytest.raises(SettingsError, match="PostgreSQL"):
        make_engine(f"sqlite:///{tmp_path}/a.db", schema="guarded")
