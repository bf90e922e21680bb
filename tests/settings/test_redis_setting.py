from __future__ import annotations

import logging

import pytest
from tests.support.guards import POLICY

from aiguard.detect import known_types
from aiguard.errors import SettingsError
from aiguard.policy import parse_policy
from aiguard.runtime import open_counters
from aiguard.settings import Environment, Settings

LIMITED = POLICY.replace('scope = "support:reply"', 'scope = "support:reply"\nrate = "2/minute"', 1)


def load(url):
    return Settings.load({}, environ={"AIGUARD_REDIS_URL": url}).redis_url


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://:secret@10.0.0.7:6379/2",
        "rediss://user:secret@redis.internal:6380/0?ssl_cert_reqs=required&ssl_ca_certs=/etc/ca.pem",
        "redis+unix:///run/redis.sock?db=1",
    ],
)
def test_a_redis_url_is_taken_as_it_stands(url):
    assert load(url) == url
    assert "secret" not in repr(Settings(redis_url=url))


@pytest.mark.parametrize(
    "url",
    [
        "redis.internal:6379",
        "http://redis.internal",
        "memcached://redis.internal",
        "async+redis://redis.internal",
        "redis://",
        "redis://host:port/0",
        "redis+unix://",
        "redis://host#x",
        "redis://host?socket_timeout=3600",
        "redis://host?retry_on_timeout=1&db=2",
        "redis://[::1",
    ],
)
def test_a_redis_url_that_cannot_be_meant_is_refused_and_not_echoed(url):
    with pytest.raises(SettingsError, match="AIGUARD_REDIS_URL") as raised:
        load(url.replace("://", "://me:hunter2hunter2@", 1) if "redis://host" in url else url)
    assert "hunter2" not in str(raised.value)


def counters(policy, **settings):
    return open_counters(Settings(**settings), parse_policy(policy, "p", known_types()))


def test_counting_per_process_is_worth_a_word_in_production_and_where_there_is_a_rate(caplog):
    counters(LIMITED, environment=Environment.DEVELOPMENT)
    counters(POLICY, environment=Environment.PRODUCTION)
    assert caplog.records == []
    counters(LIMITED, environment=Environment.PRODUCTION)
    (record,) = caplog.records
    assert (record.levelno, "AIGUARD_REDIS_URL" in record.getMessage()) == (logging.WARNING, True)
    assert "support-reply" in record.getMessage()


def test_a_redis_that_is_away_at_start_is_an_error_in_the_log_and_the_application_starts(caplog, tmp_path):
    away = f"redis+unix://{tmp_path}/none.sock"
    counters(POLICY, redis_url=away)
    assert caplog.records == []
    counters(LIMITED, redis_url=away)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert str(tmp_path) not in record.getMessage()
