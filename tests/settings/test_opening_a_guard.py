"""``open_guard``: it gives a guard that works, or leaves nothing behind."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.redis import RedisServer

from aiguard import Actor, Settings, logs, open_guard
from aiguard.audit.read import counts
from aiguard.db import make_engine
from aiguard.detect.lists import hashed
from aiguard.errors import ConfigurationError
from aiguard.scan import Recognizer

POLICY = """
[features.digest]
scope = "support:digest"
owner = "support-platform"
models = ["local:small"]
"""


def settings_in(folder: Path, policy: str) -> Settings:
    (folder / "aiguard.toml").write_text(policy)
    return Settings.load(
        {
            "AIGUARD_ENVIRONMENT": "test",
            "AIGUARD_POLICY": str(folder / "aiguard.toml"),
            "AIGUARD_DATABASE_URL": f"sqlite:///{folder / 'aiguard.db'}",
            "AIGUARD_KEY_FILE": str(folder / "master.key"),
            "AIGUARD_RUN_DUE_SECONDS": "300",
        },
        environ={},
    )


THREADS = {"aiguard-outbox", "aiguard-retention", "aiguard-checkpoints"}


def running() -> set[str]:
    return THREADS.intersection(thread.name for thread in threading.enumerate())


@pytest.mark.parametrize("broken", ['detect = { models = ["names"] }', 'output = { block_patterns = ["(?P<a>x"] }'])
def test_a_guard_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path, broken: str) -> None:
    protected = logs.installed()
    with pytest.raises(ConfigurationError):
        open_guard(settings_in(tmp_path, POLICY + broken))
    assert running() == set()
    assert logs.installed() is protected


def test_a_policy_that_no_guard_was_made_of_is_not_said_to_be_loaded(tmp_path: Path) -> None:
    guard = open_guard(settings_in(tmp_path, POLICY))
    guard.record("app.started")
    guard.close()
    with pytest.raises(ConfigurationError):
        open_guard(settings_in(tmp_path, POLICY + 'detect = { models = ["names"] }'))
    assert "policy.loaded" not in counts(make_engine(f"sqlite:///{tmp_path / 'aiguard.db'}"))


def test_what_was_opened_is_closed_with_the_guard(tmp_path: Path) -> None:
    protected = logs.installed()
    guard = open_guard(settings_in(tmp_path, POLICY))
    assert running() == THREADS
    assert logs.installed()
    guard.close()
    assert running() == set()
    assert logs.installed() is protected


def test_connections_to_redis_are_let_go_with_the_guard(
    tmp_path: Path, redis_server: RedisServer, redis_url: str
) -> None:
    def connections() -> int:
        return int(redis_server.client().info("clients")["connected_clients"])

    before = connections()
    policy = POLICY.replace('scope = "support:digest"', 'scope = "support:digest"\nrate = "5/minute"')
    guard = open_guard(replace(settings_in(tmp_path, policy), redis_url=redis_url))
    with guard.acting_as(Actor(id="mira", scopes=frozenset({"support:digest"})), scope="support:digest"):
        assert connections() > before
    guard.close()
    deadline = time.monotonic() + 5
    while connections() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert connections() == before


OWN = f"""
[recognizers.EMPLOYEE_ID]
pattern = 'EMP-[0-9]{{6}}'
examples = ["EMP-123456 called"]

[recognizers.ROOM]
pattern = '[A-Z][0-9]{{2}}'
context = ["room"]
score = 0.2
examples = ["in room B12"]

[features.second]
scope = "support:second"
owner = "support-platform"
models = ["local:small"]

[features.second.detect]
exclude = ["EMAIL_ADDRESS"]
scores = {{ ROOM = 0.2 }}

[features.second.detect.allow]
exact = ["desk@example.org"]

[features.second.detect.deny]
exact = ["Project Bluebird"]
hashed = {{ salt = "0123456789abcdef", hmac_sha256 = ["{hashed("Silver Heron", "0123456789abcdef")}"] }}
"""


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged by ``desk``, as a handler prints it."""
    printed: list[str] = []

    class Printing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            printed.append(self.format(record))

    handler = Printing()
    logging.getLogger("desk").addHandler(handler)
    yield printed
    logging.getLogger("desk").removeHandler(handler)


def test_log_lines_lose_what_policy_names_in_any_feature_as_well(tmp_path: Path, lines: list[str]) -> None:
    guard = open_guard(settings_in(tmp_path, POLICY + OWN))
    try:
        for text in ("EMP-123456", "A37", "project bluebird", "a silver heron", "desk@example.org", "10.2.3.4"):
            logging.getLogger("desk").warning("for %s", text)
    finally:
        guard.close()
    assert [line.removeprefix("for ") for line in lines] == [
        "[REDACTED_EMPLOYEE_ID]",
        "[REDACTED_ROOM]",
        "[REDACTED_DENIED_TERM]",
        "a [REDACTED_DENIED_TERM]",
        "[REDACTED_EMAIL]",
        "[REDACTED_IP]",
    ]


def test_each_guard_of_a_process_adds_to_what_log_lines_lose(tmp_path: Path, lines: list[str]) -> None:
    def say() -> str:
        logging.getLogger("desk").warning("EMP-123456 jane.doe@example.org")
        return lines[-1]

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    plain = open_guard(settings_in(tmp_path / "a", POLICY))
    assert say() == "EMP-123456 [REDACTED_EMAIL]"
    own = open_guard(settings_in(tmp_path / "b", POLICY + OWN))
    assert say() == "[REDACTED_EMPLOYEE_ID] [REDACTED_EMAIL]"
    plain.close()
    assert say() == "[REDACTED_EMPLOYEE_ID] [REDACTED_EMAIL]"
    own.close()
    assert not logs.installed()


def test_recognizers_of_the_applications_own_count_for_log_lines(tmp_path: Path, lines: list[str]) -> None:
    own = Recognizer(name="desk:ticket", type="TICKET", pattern=r"TCK-[0-9]{4}", base_score=0.9)
    guard = open_guard(settings_in(tmp_path, POLICY), recognizers=[own])
    logging.getLogger("desk").warning("see TCK-1234")
    guard.close()
    assert lines == ["see [REDACTED_TICKET]"]


def test_a_policy_that_adds_nothing_leaves_log_lines_to_the_catalogue_once(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    first = open_guard(settings_in(tmp_path, POLICY))
    second = open_guard(settings_in(tmp_path / "b", POLICY))
    try:
        assert len(logs.scrubbers()) == 1
    finally:
        first.close()
        second.close()
