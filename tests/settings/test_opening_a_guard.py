"""``open_guard``: it gives a guard that works, or leaves nothing behind."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from aiguard import Settings, logs, open_guard
from aiguard.audit.read import counts
from aiguard.db import make_engine
from aiguard.errors import ConfigurationError

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
