"""A database or a Redis on another machine without TLS is told of before it is used."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from aiguard import open_guard
from aiguard.cli import main
from aiguard.db import make_engine, upgrade
from aiguard.settings import Environment, Settings

PLAIN = [
    "postgresql://aiguard:hunter2@db.internal/evidence",
    "postgresql+psycopg://aiguard@10.0.0.7:5432/evidence",
    "postgresql://aiguard@db.internal/evidence?sslmode=prefer",
    "postgresql://aiguard@db.internal/evidence?sslmode=disable",
    "postgresql://aiguard@/evidence?host=db.internal",
    "postgresql://aiguard@/evidence?host=/run/postgresql&host=db.internal",
    "postgresql://aiguard@/evidence?host=/run/postgresql,db.internal:5432",
    "postgresql://aiguard@localhost/evidence?hostaddr=10.0.0.7",
    "postgresql://aiguard@[2001:db8::7]/evidence",
    "redis://:hunter2@redis.internal:6379/0",
    "redis://10.0.0.7",
]
PROTECTED = [
    "postgresql://aiguard@db.internal/evidence?sslmode=require",
    "postgresql://aiguard@db.internal/evidence?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    "postgresql://aiguard@localhost/evidence",
    "postgresql://aiguard@127.0.0.2:5432/evidence",
    "postgresql://aiguard@[::1]/evidence",
    "postgresql:///evidence",
    "postgresql://aiguard@/evidence?host=/run/postgresql",
    "postgresql://aiguard@/evidence?host=@abstract",
    "postgresql://aiguard@/evidence?service=evidence",
    "sqlite:///aiguard.db",
    "rediss://redis.internal",
    "redis://localhost:6379",
    "redis+unix:///run/redis.sock",
]


@pytest.fixture(autouse=True)
def _no_libpq_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGSSLMODE", "PGHOST", "PGHOSTADDR", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)


def settings_with(url: str, environment: Environment = Environment.PRODUCTION) -> Settings:
    if url.startswith("redi"):
        return Settings(environment=environment, redis_url=url)
    return Settings(environment=environment, database=url)


@pytest.mark.parametrize("url", PLAIN)
def test_what_goes_over_a_network_without_tls_is_named(url: str) -> None:
    settings = settings_with(url)
    assert settings.unencrypted == ("AIGUARD_REDIS_URL" if url.startswith("redis") else "AIGUARD_DATABASE_URL",)
    assert settings.unencrypted[0] in settings.network_warning
    assert "hunter2" not in settings.network_warning
    assert "internal" not in settings.network_warning


@pytest.mark.parametrize("url", PROTECTED)
def test_tls_a_socket_and_this_machine_are_no_news(url: str) -> None:
    assert settings_with(url).unencrypted == ()
    assert settings_with(url).network_warning == ""


@pytest.mark.parametrize("environment", [Environment.DEVELOPMENT, Environment.TEST])
def test_on_a_developers_machine_it_is_no_news(environment: Environment) -> None:
    assert settings_with(PLAIN[0], environment).network_warning == ""


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_it_is_said_when_a_guard_is_opened_and_by_db_check(
    environment: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = f"sqlite:///{tmp_path / 'aiguard.db'}"
    upgrade(make_engine(database))
    (tmp_path / "aiguard.toml").write_text('[features.a]\nscope = "a"\nowner = "o"\nmodels = ["local:small"]\n')
    for name, value in {
        "AIGUARD_ENVIRONMENT": environment,
        "AIGUARD_POLICY": str(tmp_path / "aiguard.toml"),
        "AIGUARD_DATABASE_URL": database,
        "AIGUARD_KEYS": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "AIGUARD_REDIS_URL": "redis://redis.invalid:6379",
    }.items():
        monkeypatch.setenv(name, value)
    open_guard(Settings.load()).close()
    said = [record for record in caplog.records if "without TLS" in record.getMessage()]
    assert [(record.levelno, "AIGUARD_REDIS_URL" in record.getMessage()) for record in said] == [
        (logging.WARNING, True)
    ]
    checked = CliRunner().invoke(main, ["db", "check"], env=dict(os.environ))
    assert checked.exit_code == 0
    assert "warning: AIGUARD_REDIS_URL: reached over a network without TLS" in checked.stderr


def test_every_connection_of_ours_is_looked_at() -> None:
    url = "postgresql://db.internal/x"
    settings = Settings(
        database=url, key_store=url, redis_url="redis://r.internal", jobs_redis_url="redis://r.internal"
    )
    assert settings.unencrypted == (
        "AIGUARD_DATABASE_URL",
        "AIGUARD_KEY_STORE_URL",
        "AIGUARD_REDIS_URL",
        "AIGUARD_JOBS_REDIS_URL",
    )


def test_what_the_drivers_environment_says_counts_where_the_url_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert settings_with("postgresql://db.internal/evidence").unencrypted == ()
    assert settings_with("postgresql://db.internal/evidence?sslmode=disable").unencrypted
    monkeypatch.delenv("PGSSLMODE")
    monkeypatch.setenv("PGHOST", "db.internal")
    assert settings_with("postgresql:///evidence").unencrypted
    assert not settings_with("postgresql://localhost/evidence").unencrypted
