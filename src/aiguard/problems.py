"""Refusals as RFC 9457 problem details, the same at every web door."""

from __future__ import annotations

import json
from dataclasses import dataclass

from aiguard.errors import Blocked, ProviderFailed
from aiguard.types import Decision, Effect, Reason, Stage

MEDIA_TYPE = "application/problem+json"

DECISION_HEADER = "x-aiguard-decision-id"
"""The response header under which an SDK's raw response carries the exchange's id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A refusal ready to be sent: status, headers and the JSON body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def problem(blocked: Blocked, *, scope: str | None = None) -> Problem:
    """The problem details of a refusal: title, status, reasons and the decision's id; never anything of the input."""
    status = blocked.http_status
    document = {
        "type": f"urn:aiguard:problem:{_slug(type(blocked).__name__)}",
        "title": blocked.title,
        "status": status,
        "detail": "; ".join(reason.detail for reason in blocked.reasons) or blocked.title,
        "instance": f"urn:aiguard:decision:{blocked.decision_id}",
        "decision_id": blocked.decision_id,
        "reasons": [{"code": reason.code, "detail": reason.detail} for reason in blocked.reasons],
    }
    if scope is not None:
        document["scope"] = scope
    headers = [("Content-Type", MEDIA_TYPE), ("Cache-Control", "no-store")]
    if status == 401:
        headers.append(("WWW-Authenticate", 'Session realm="ai"'))  # RFC 9110: a 401 names a scheme
    return Problem(status=status, headers=tuple(headers), body=json.dumps(document).encode())


def provider_failure(error: BaseException, *, policy_hash: str) -> ProviderFailed | None:
    """What a door answers for an SDK's exception about an exchange: 504 for a timeout, else 502; None for any other.

    The exchange's id comes from the exception that sending raised, or from the response that an SDK's error carries.
    """
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            return None
        found = getattr(seen, "aiguard_decision_id", None)
        if found is None:
            headers = getattr(getattr(seen, "response", None), "headers", None)
            found = headers.get(DECISION_HEADER) if headers is not None else None
        if isinstance(found, str):
            break
        seen = seen.__cause__ or seen.__context__
    else:
        return None
    status = getattr(error, "status_code", None)
    kind = f"status {status}" if isinstance(status, int) else type(error).__name__
    if "Timeout" in type(error).__name__:
        reason = Reason(code="provider.timeout", detail="the model server did not answer in time", status=504)
    else:
        reason = Reason(code="provider.failed", detail=f"the model server failed ({kind})", status=502)
    decision = Decision(effect=Effect.BLOCK, reasons=(reason,), stage=Stage.SEND, id=found, policy_hash=policy_hash)
    return ProviderFailed(decision)


def _slug(name: str) -> str:
    return "".join("-" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))
