"""Jobs as an application writes them: guarded functions of a module, which RQ finds by their names."""

from __future__ import annotations

from typing import Any

from tests.support.guards import POLICY

from aiguard import Actor, require_ai_scope
from aiguard.detect import known_types
from aiguard.identity import current_access
from aiguard.policy import parse_policy
from aiguard.runtime import open_guard

SCOPES = {"mira": frozenset({"support:reply"}), "noor": frozenset[str]()}

guard = open_guard(policy=parse_policy(POLICY, "aiguard.toml", known_types()))


def agent(agent_id: str, *_: Any) -> Actor | None:
    return Actor(id=agent_id, scopes=SCOPES[agent_id]) if agent_id in SCOPES else None


@require_ai_scope("support:reply", guard=guard, actor=agent, subject=lambda _agent, customer, _message: customer)
def reply_later(_agent_id: str, customer: str, message: str) -> list[str]:
    """What the model was asked, what it answered, and for and about whom."""
    asked: list[str] = []

    def model(messages: Any, **_: Any) -> str:
        asked.append(str(messages))
        return f"re: {messages}"

    answer = guard.call(model, message, model="local:small")
    access = current_access()
    assert access is not None
    return [*asked, str(answer), access.actor.id, access.subject or "", customer]


def anybody_here() -> bool:
    """Whether a job before left somebody behind."""
    return current_access() is not None
