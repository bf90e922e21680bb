"""aiguard: enforceable security, privacy and governance controls in the path of AI calls.

::

     caller ──▶ 1 admit ──▶ 2 classify ──▶ 3 redact ──▶ 4 defend ──▶ 5 send ──▶ model
                who may      what is in      mask,        overriding    this model,
                use this?    the text?       tokenise,    the rules?    this credential,
                                             stop                       within limits?
     caller ◀── 7 keep ◀── 6 validate ◀───────────────────────────────────────────┘
                what may      may this answer be
                be stored?    delivered?

One *exchange* is one guarded call to a model. Its decision is committed before anything is sent and its outcome before
anything is delivered, under one id that the HTTP error, the audit event and the artifact share.

Start with ``aiguard.flask.AIGuard`` in a Flask application, ``aiguard.starlette.AIGuard`` in a Starlette or FastAPI one, or
:func:`open_guard` and :func:`require_ai_scope` anywhere else; :func:`scrub` does the plain job, without any.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aiguard.errors import AIGuardError, Blocked, ConfigurationError
from aiguard.types import Actor, Decision, Finding, Operator, Sensitivity

if TYPE_CHECKING:
    from aiguard.functions import require_ai_scope
    from aiguard.guard import Guard
    from aiguard.policy import Policy, load_policy
    from aiguard.runtime import open_guard
    from aiguard.scrubbing import StreamScrubber, scrub
    from aiguard.settings import Settings

__version__ = "0.1.0"

__all__ = [
    "AIGuardError",
    "Actor",
    "Blocked",
    "ConfigurationError",
    "Decision",
    "Finding",
    "Guard",
    "Operator",
    "Policy",
    "Sensitivity",
    "Settings",
    "StreamScrubber",
    "load_policy",
    "open_guard",
    "require_ai_scope",
    "scrub",
]

_LAZY = {
    "Guard": "aiguard.guard",
    "Policy": "aiguard.policy",
    "Settings": "aiguard.settings",
    "StreamScrubber": "aiguard.scrubbing",
    "load_policy": "aiguard.policy",
    "open_guard": "aiguard.runtime",
    "require_ai_scope": "aiguard.functions",
    "scrub": "aiguard.scrubbing",
}


def __getattr__(name: str) -> Any:
    # The catalogue, the database and the policy models load when they are first used, so that importing is cheap.
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'aiguard' has no attribute {name!r}")
