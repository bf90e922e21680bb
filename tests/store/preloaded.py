"""An application for gunicorn ``--preload``: a conversation is open, and every thread of the guard's runs, before the workers are forked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from tests.support.guards import JANE, POLICY

from aiguard import open_guard
from aiguard.detect import known_types
from aiguard.policy import parse_policy
from aiguard.settings import Settings

guard = open_guard(Settings.load(), policy=parse_policy(POLICY, "test policy", known_types()))
SAID = "Write to bo@example.org"


def ask() -> tuple[str, str]:
    """What left for the model, and what came back to the person."""
    sent: list[str] = []

    def model(messages: Any, **_: Any) -> str:
        sent.append(messages[0]["content"])
        return f"Done: {sent[0]}"

    with guard.acting_as(JANE, scope="support:reply", conversation="case 7"):
        answer = guard.call(model, [{"role": "user", "content": SAID}], model="local:small")
        return sent[0], guard.restore(answer)


BEFORE = ask()


def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Goes on with the conversation."""
    sent, restored = ask()
    start_response("200 OK", [("content-type", "application/json")])
    said = {"worker": os.getpid(), "before": BEFORE[0], "sent": sent, "restored": restored}
    return [json.dumps(said).encode()]
