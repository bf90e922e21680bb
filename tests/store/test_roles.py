"""What each PostgreSQL role can do, and what it cannot, with real accounts on a real server."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from tests.support.guards import JANE, POLICY, Model, user
from tests.support.postgres import new_postgres, server_uri

import aiguard.runtime
from aiguard import Actor, audit, open_guard, retention, roles
from aiguard.cli import main
from aiguard.db import make_engine, upgrade, writing
from aiguard.db.base import Base
from aiguard.detect import known_types
from aiguard.errors import AccessDenied, ConfigurationError
from aiguard.policy import parse_policy
from aiguard.settings import Environment, Settings
from aiguard.types import utc_now

RITA = Actor(id="rita", tenant="acme", scopes=frozenset({"artifact:read:prompt", "vault:reveal"}))
ACCOUNTS = {"web": roles.APP, "jobs": roles.RETENTION, "audit": roles.AUDITOR}


@pytest.fixture(params=[None, "guarded"])
def database(request, monkeypatch, tmp_path):
    """The URL of a database with roles applied by the command, and what to set for its schema."""
    url = new_postgres(empty=request.param is not None)
    with psycopg.connect(server_uri(), autocommit=True) as connection:
        for account in ACCOUNTS:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (account,)).fetchone():
                connection.execute(f"CREATE ROLE {account} LOGIN")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "development")
    monkeypatch.setenv("AIGUARD_KEYS", base64.b64encode(b"m" * 32).decode())
    monkeypatch.setenv("AIGUARD_DATABASE_URL", url)
    if request.param:
        monkeypatch.setenv("AIGUARD_DATABASE_SCHEMA", request.param)
    arguments = ["db", "roles", "--apply", "--app", "web", "--retention", "jobs", "--auditor", "audit"]
    for command in (["db", "upgrade"], arguments, arguments):  # twice: it may be run again
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
    return url, request.param


def signed_in(database, account):
    url, schema = database
    return make_engine(make_url(url).set(username=account), schema=schema, lock_timeout=1)


def guard_as(database, account):
    url, schema = database
    settings = Settings(
        environment=Environment.PRODUCTION,
        database=make_url(url).set(username=account).render_as_string(hide_password=False),
        database_schema=schema,
        keys=(b"m" * 32,),
        log_protection=False,
    )
    return open_guard(settings, policy=parse_policy(POLICY, "test policy", known_types()))


def may(engine, statement):
    try:
        with writing(engine) as connection:
            connection.execute(text(statement))
            connection.rollback()
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") not in ("42501", "23000"):  # insufficient privilege, append-only
            raise
        return False
    return True


def talk(guard):
    model = Model()
    with guard.acting_as(JANE, scope="support:reply", conversation="c1"):
        guard.call(model, user("write to jane.roe@example.org"), model="local:small")
    return model.received[0][0][0]["content"].split()[-1]


def test_each_role_does_its_work_and_nothing_else(database):
    guard = guard_as(database, "web")
    token = talk(guard)
    talk(guard)
    assert guard.reveal(token, RITA, "OPS-17") == "jane.roe@example.org"
    assert len(guard.artifacts.read(RITA, "OPS-17", subject="jane", data_class="prompt")) == 2

    web, jobs, auditor = (signed_in(database, account) for account in ("web", "jobs", "audit"))
    for statement in (
        "DELETE FROM aiguard_artifacts",
        "UPDATE aiguard_artifacts SET expires_at = now() + interval '9 years'",
        "DELETE FROM aiguard_audit_events",
        "UPDATE aiguard_audit_events SET actor = ''",
        "TRUNCATE aiguard_audit_events CASCADE",
        "DELETE FROM aiguard_data_keys",
        "UPDATE aiguard_data_keys SET kek = ''",
        "DELETE FROM aiguard_vault",
        "INSERT INTO aiguard_service_tokens SELECT * FROM aiguard_service_tokens",
        "UPDATE aiguard_service_tokens SET revoked_at = NULL",
        "UPDATE aiguard_holds SET released_by = 'me'",
        "UPDATE aiguard_vault_requests SET requested_by = ''",
        "TRUNCATE aiguard_vault_requests",
        "DROP TRIGGER aiguard_audit_events_rows ON aiguard_audit_events",
        "ALTER TABLE aiguard_audit_events DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "DROP TABLE aiguard_artifacts",
    ):
        assert not may(web, statement), statement
        assert not may(auditor, statement), statement

    people = guard.keys
    assert audit.tail(auditor, people)
    for table in ("aiguard_artifacts", "aiguard_vault", "aiguard_data_keys", "aiguard_service_tokens"):
        assert not may(auditor, f"SELECT * FROM {table}"), table
    assert may(auditor, "SELECT id, subject, expires_at FROM aiguard_artifacts_listed")
    assert not may(jobs, "SELECT * FROM aiguard_service_tokens")
    assert not may(jobs, "UPDATE aiguard_audit_events SET actor = ''")

    as_jobs = guard_as(database, "jobs")
    later = utc_now() + timedelta(days=8)
    assert retention.prune(jobs, as_jobs.keys, later).deleted == 2  # the outputs
    person = retention.find_person(as_jobs.keys, JANE.id, tenant=JANE.tenant)
    report = retention.erase(jobs, as_jobs.keys, person, requested_by="dpo", now=utc_now())
    assert report.counts["artifacts"] == 2
    as_jobs.close()
    guard.close()
    for engine in (web, jobs, auditor):
        engine.dispose()


def test_an_application_cannot_use_an_approval_twice_with_sql_of_its_own(database):
    url, schema = database
    settings = Settings(
        environment=Environment.PRODUCTION,
        database=make_url(url).set(username="web").render_as_string(hide_password=False),
        database_schema=schema,
        keys=(b"m" * 32,),
        log_protection=False,
    )
    policy = parse_policy(f"{POLICY}\n[vault]\nfour_eyes = true\n", "test policy", known_types())
    guard = open_guard(settings, policy=policy)
    token = talk(guard)
    request = guard.request_reveal(token, RITA, "OPS-17")
    guard.approve_reveal(request, Actor(id="sven", tenant="acme", scopes=frozenset({"vault:approve"})), "OPS-17")
    assert guard.reveal(token, RITA, "OPS-17", request=request) == "jane.roe@example.org"
    web = signed_in(database, "web")
    for statement in (
        "UPDATE aiguard_vault_requests SET used_at = NULL",
        "UPDATE aiguard_vault_requests SET approved_by = '', approval = NULL",
        "DELETE FROM aiguard_vault_requests",
        "ALTER TABLE aiguard_vault_requests DISABLE TRIGGER ALL",
        "DROP TRIGGER aiguard_vault_requests_rows ON aiguard_vault_requests",
    ):
        assert not may(web, statement), statement
    with writing(web) as connection, pytest.raises(DBAPIError, match="what was decided stays"):
        connection.execute(text(f"UPDATE {schema or 'public'}.aiguard_vault_requests SET used_at = NULL"))
    with pytest.raises(AccessDenied):
        guard.reveal(token, RITA, "OPS-17", request=request)
    jobs = signed_in(database, "jobs")
    assert not may(jobs, "DELETE FROM aiguard_vault_requests")
    assert not may(jobs, "DELETE FROM aiguard_holds")
    guard.close()
    for engine in (web, jobs):
        engine.dispose()


def test_every_table_is_granted_to_somebody_and_every_grant_has_a_table():
    assert aiguard.runtime.__name__
    named = {f"aiguard_{name}" for grants in roles.GRANTS.values() for name in grants}
    assert set(Base.metadata.tables) <= named
    assert named - set(Base.metadata.tables) == {"aiguard_schema_version", roles.LISTING}


def test_the_sql_is_printed_for_whoever_runs_it(monkeypatch):
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "development")
    printed = CliRunner().invoke(main, ["db", "roles", "--app", "web"]).output
    assert "CREATE ROLE aiguard_app NOLOGIN" in printed
    assert 'GRANT aiguard_app TO "web";' in printed


@pytest.mark.parametrize("account", ['x"; DROP TABLE y; --', "", "a b", "é"])
def test_an_account_that_could_break_out_of_its_quotes_is_refused(account):
    with pytest.raises(ConfigurationError):
        roles.statements(None, {roles.APP: [account]})


def test_sqlite_has_no_roles(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(ConfigurationError, match="PostgreSQL"):
        roles.apply(engine)
    engine.dispose()


@pytest.fixture
def signed_in_as(database, monkeypatch):
    """Makes commands sign in with an account."""
    guard = guard_as(database, "web")
    with guard.acting_as(JANE, scope="support:reply", conversation="c1"):
        guard.call(Model(), user("Write to jane@example.org"), model="local:small")
    guard.close()
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "production")

    def sign_in(account):
        url = make_url(database[0]).set(username=account).render_as_string(hide_password=False)
        monkeypatch.setenv("AIGUARD_DATABASE_URL", url)

    return sign_in


@pytest.mark.parametrize("keys", [True, False], ids=["with master keys", "without"])
def test_an_auditor_looks_with_the_command_line_and_needs_no_key(signed_in_as, monkeypatch, keys):
    signed_in_as("audit")
    if not keys:
        monkeypatch.delenv("AIGUARD_KEYS")
    rest = ("hold list", "retention status", "retention runs", "retention anonymised", "subject erasures")
    for command in (
        *(f"audit {name}" for name in ("tail", "search --type exchange.*", "export", "stats")),
        *rest,
        "audit verify",
    ):
        result = CliRunner().invoke(main, command.split())
        assert result.exit_code == (4 if command == "audit verify" else 0), (command, result.output)
        if command.startswith("audit") and result.exit_code == 0:
            assert "exchange.completed" in result.stdout, command


def test_what_an_account_may_not_do_is_said_as_that(signed_in_as):
    signed_in_as("audit")
    placing = "hold place --matter m --custodian c --review 9d --feature f"
    for command in (
        "prune --apply",
        "keys list",
        "subject export jane",
        placing,
        "run-due",
        "db check",
        "audit tail --reason OPS-7",
    ):
        Path("aiguard.toml").write_text(POLICY, encoding="utf-8")
        result = CliRunner().invoke(main, command.split())
        assert result.exit_code == 1, (command, result.output)
        assert "aiguard db roles" in result.stderr, (command, result.stderr)
        assert "upgrade" not in result.stderr, (command, result.stderr)


def test_a_role_for_an_account_that_is_not_there_is_said_as_that(database):
    result = CliRunner().invoke(main, ["db", "roles", "--apply", "--app", "nobody_here"])
    assert result.exit_code == 1
    assert "nobody_here" in result.stderr
    assert "upgrade" not in result.stderr


def test_jobs_do_their_work_by_the_command_line_in_any_schema(signed_in_as):
    signed_in_as("jobs")
    Path("aiguard.toml").write_text(POLICY, encoding="utf-8")
    for command in ("prune", "prune --apply", "run-due", "retention status", "audit stats", "subject erasures"):
        result = CliRunner().invoke(main, command.split())
        assert result.exit_code == 0, (command, result.output)
    placed = CliRunner().invoke(
        main,
        [
            "hold",
            "place",
            "--matter",
            "m",
            "--custodian",
            "c",
            "--review",
            "9d",
            "--feature",
            "support-reply",
            "--by",
            "ann",
            "--json",
        ],
    )
    assert json.loads(placed.output)["covers"] > 0
    erased = CliRunner().invoke(main, f"subject erase {JANE.id} --tenant {JANE.tenant} --yes".split())
    assert erased.exit_code == 3, erased.output


def test_a_trigger_of_another_schema_does_not_stand_for_one_that_is_missing(database, monkeypatch):
    url, schema = database
    elsewhere = make_engine(url, schema="elsewhere")
    upgrade(elsewhere)
    elsewhere.dispose()
    own = make_engine(url, schema=schema)
    with writing(own) as connection:
        connection.execute(text("DROP TRIGGER aiguard_audit_events_rows ON aiguard_audit_events"))
    own.dispose()
    result = CliRunner().invoke(main, ["audit", "verify"])
    assert "trigger aiguard_audit_events_rows" in result.output.replace("the trigger", "trigger"), result.output


def test_a_table_of_the_session_does_not_stand_for_the_one_that_a_trigger_looks_into(signed_in_as, database):
    signed_in_as("jobs")
    jobs = signed_in(database, "jobs")
    shadows = (
        "CREATE TEMP TABLE aiguard_audit_prunes (cut bigint)",
        "INSERT INTO aiguard_audit_prunes VALUES (1000000)",
        "CREATE TEMP TABLE aiguard_audit_erased (seq bigint, tombstone bigint)",
        "INSERT INTO aiguard_audit_erased SELECT n, n FROM generate_series(0, 1000) AS n",
    )
    place = database[1] or "public"
    for table in ("aiguard_audit_payloads", "aiguard_audit_events"):
        with writing(jobs) as connection:
            for statement in shadows:
                connection.execute(text(statement))
            with pytest.raises(DBAPIError, match="append-only"):
                connection.execute(text(f"DELETE FROM {place}.{table}"))
            connection.rollback()
    jobs.dispose()
