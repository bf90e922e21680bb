"""What the transport and the wire formats refuse with.

::

    MalformedInput
    └── UnknownShape      an endpoint, field or content type that the wire format does not know
    Blocked
    ├── AccessDenied
    │   └── EgressRefused     the request would go elsewhere, or carries what no stage can read
    └── ProviderFailed
        └── AnswerRefused     a redirect, an oversized or unreadable answer
"""

from __future__ import annotations

import re

from aiguard.errors import AccessDenied, MalformedInput, ProviderFailed
from aiguard.types import Decision, Effect, Reason, Stage

_SAFE_NAME = re.compile(r"[a-z][a-z_]{0,31}\Z")


class UnknownShape(MalformedInput):
    """A body, endpoint or answer that the wire format cannot read in full, so it is not passed along."""


class EgressRefused(AccessDenied):
    """The request was stopped at the transport, before any control saw it; nothing was sent."""


class AnswerRefused(ProviderFailed):
    """The model server's answer cannot be used: a redirect, too large, too slow, or encoded in a way we do not read."""


def refuse_egress(code: str, detail: str, *, status: int | None = None) -> EgressRefused:
    """The error for a request that may not leave; ``code`` is dotted and stable, ``detail`` a sentence of ours."""
    return EgressRefused(_blocked(code, detail, status))


def refuse_answer(code: str, detail: str, *, status: int | None = None) -> AnswerRefused:
    """The error for an answer that cannot be used."""
    return AnswerRefused(_blocked(code, detail, status))


def safe_name(name: object) -> str:
    """A field name as it may appear in a message: as it is when it looks like one, else ``(a name that is not shown)``."""
    if isinstance(name, str) and _SAFE_NAME.match(name):
        return repr(name)
    return "(a name that is not shown)"


def _blocked(code: str, detail: str, status: int | None) -> Decision:
    return Decision(
        effect=Effect.BLOCK,
        stage=Stage.SEND,
        reasons=(Reason(code=code, detail=detail, status=status),),
    )
