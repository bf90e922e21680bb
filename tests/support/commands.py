"""Commands as a person runs them, in a folder of a developer's machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.support.guards import JANE, POLICY, Model, user

from aiguard import open_guard
from aiguard.cli import main
from aiguard.detect import known_types
from aiguard.guard import Guard
from aiguard.policy import parse_policy
from aiguard.settings import Settings
from aiguard.types import Actor


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one, and settings of development that know nothing else."""
    for name in ("KEYS", "KEYS_FILE", "KEY_FILE", "KEY_STORE_URL", "POLICY"):
        monkeypatch.delenv(f"AIGUARD_{name}", raising=False)
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "development")
    monkeypatch.setenv("AIGUARD_LOG_PROTECTION", "false")
    monkeypatch.setenv("AIGUARD_DATABASE_URL", f"sqlite:///{tmp_path}/data/aiguard.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, code: int = 0) -> Result:
    """Run ``aiguard`` with these arguments; it has to end with ``code``."""
    result = CliRunner().invoke(main, [*arguments])
    assert result.exit_code == code, result.output
    return result


def guard_here(**options: Any) -> Any:
    """A guard with the settings of this folder; tests look into it."""
    return open_guard(Settings.load(), policy=parse_policy(POLICY, "test policy", known_types()), **options)


def talk(guard: Guard, said: str, actor: Actor = JANE) -> str:
    """One exchange of a conversation."""
    with guard.acting_as(actor, scope="support:reply", conversation="c1"):
        answer: str = guard.call(Model(), user(said), model="local:small")
        return answer
