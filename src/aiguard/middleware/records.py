"""What the middleware puts on record, and its refusals: types and counts, and the route as its rule names it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from aiguard.errors import (
    Blocked,
    ContentBlocked,
    ControlFailed,
    InputRefused,
    MalformedInput,
    OutputBlocked,
)
from aiguard.guard import Guard
from aiguard.problems import raised_in
from aiguard.trail import tally
from aiguard.types import AuditRecord, Decision, Effect, Reason, Stage, new_id

logger = logging.getLogger("aiguard")

What = Literal["request", "response"]

TIMEOUT: Final = 408
"""The status for a body that did not arrive in time (RFC 9110)."""


class Unheard(OSError):
    """Raised in an application that goes on reading or sending after its request or response was refused.

    To servers and frameworks it is what a client that hung up looks like. The refusal is on record under ``decision_id``.
    """


def scrubbed(guard: Guard, what: What, route: str, counts: Mapping[tuple[str, str], int]) -> AuditRecord:
    """That findings were taken out of a body."""
    return _record(guard, f"{what}.scrubbed", new_id("agd"), {"route": route, "findings": tally(counts)})


def broken(
    guard: Guard, route: str, error: BaseException, counts: Mapping[tuple[str, str], int]
) -> Sequence[AuditRecord]:
    """That the application broke a response off that had begun; its ``error`` then carries the decision's id."""
    id, payload = new_id("agd"), {"route": route}
    logger.warning(
        "a response at %s broke off (%s), and what was held of it is dropped; decision %s",
        route,
        type(error).__name__,
        id,
    )
    with contextlib.suppress(AttributeError, TypeError):
        error.aiguard_decision_id = id  # type: ignore[attr-defined]
    found = [_record(guard, "response.scrubbed", id, {**payload, "findings": tally(counts)})] if counts else []
    return [*found, _record(guard, "response.broken", id, payload)]


def refused(
    guard: Guard, what: What, route: str, refusal: Blocked, counts: Mapping[tuple[str, str], int] | None = None
) -> AuditRecord:
    """That a body was refused, or ended before its end."""
    payload = {"route": route, "reasons": [reason.code for reason in refusal.reasons]}
    return _record(
        guard, f"{what}.refused", refusal.decision_id, {**payload, "findings": tally(counts)} if counts else payload
    )


def unrecorded(guard: Guard, what: What, id: str | None = None) -> ControlFailed:
    """The refusal of what could not be put on record."""
    detail = "the decision could not be recorded, so nothing goes on"
    decision = _blocked(guard, what, "store.unavailable", detail)
    return ControlFailed(decision if id is None else decision.with_(id=id))


def unreadable(guard: Guard, what: What, detail: str, *, status: int | None = None) -> Blocked:
    """The refusal of a body, or of the headers before it, that no control can read."""
    if what == "request":
        return InputRefused(_blocked(guard, what, "input.malformed", detail, status))
    return OutputBlocked(_blocked(guard, what, "output.malformed", f"the response cannot be scrubbed: {detail}"))


def held_back(guard: Guard, what: What, types: tuple[str, ...]) -> Blocked:
    """The refusal of a body that holds what policy stops."""
    reasons = tuple(
        Reason(code="content.blocked", detail=f"the {what} holds a {type}, which policy does not let through")
        for type in types
    )
    decision = _blocked(guard, what, "", "").with_(reasons=reasons)
    return ContentBlocked(decision) if what == "request" else OutputBlocked(decision)


def broke_down(guard: Guard) -> Blocked:
    """What is answered where the application raised an exception and had not answered itself."""
    detail = "the application broke down before it answered; what it says of that is in its log"
    return OutputBlocked(_blocked(guard, "response", "response.failed", detail, 500))


def too_slow(guard: Guard, seconds: int) -> Blocked:
    """The refusal of a request's body that does not arrive in time."""
    detail = f"the body did not arrive within {seconds} s"
    return InputRefused(_blocked(guard, "request", "input.timeout", detail, TIMEOUT))


def no_websocket(guard: Guard) -> Blocked:
    """The refusal of a WebSocket at a route whose rule does not say what to do with one."""
    return InputRefused(
        _blocked(
            guard, "request", "websocket.refused", "this route takes no WebSocket: its rule does not say scan", 403
        )
    )


@contextlib.contextmanager
def decided(guard: Guard, what: What) -> Iterator[None]:
    """Turn what a control raises into its refusal: bytes that cannot be read, and whatever else went wrong."""
    refusal: Blocked | None = None
    try:
        yield
    except Blocked:
        raise
    except MalformedInput as error:
        refusal = unreadable(guard, what, str(error), status=getattr(error, "status", None))
    except Exception as error:  # noqa: BLE001 - a control that throws has not said yes
        refusal = _failed(guard, what, type(error).__name__, raised_in(error))
    if refusal is not None:
        raise refusal


def _failed(guard: Guard, what: What, name: str, where: str) -> Blocked:
    decision = _blocked(guard, what, "control.failed", f"scrubbing failed ({name}), so nothing goes on")
    logger.error("scrubbing raised %s in %s; decision %s", name, where, decision.id)
    return ControlFailed(decision)


def bare(refusal: Blocked) -> Blocked:
    """A refusal without the frames and the exceptions behind it, whose variables hold bodies."""
    refusal.__cause__ = refusal.__context__ = None
    return refusal.with_traceback(None)


def _record(guard: Guard, type: str, decision_id: str, payload: Mapping[str, object]) -> AuditRecord:
    return AuditRecord(
        type=type, decision_id=decision_id, policy_hash=guard.policy.hash, payload=payload, at=guard.now()
    )


def _blocked(guard: Guard, what: What, code: str, detail: str, status: int | None = None) -> Decision:
    stage = Stage.CLASSIFY if what == "request" else Stage.VALIDATE
    reason = Reason(code=code, detail=detail, status=status)
    return Decision(effect=Effect.BLOCK, reasons=(reason,), stage=stage, policy_hash=guard.policy.hash)
