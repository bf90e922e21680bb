"""From a reason, or from what a control or the store threw, to a refusal that is on record; and from a failed send to its outcome."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from typing import Any

from aiguard.effects import Commit
from aiguard.errors import AccessDenied, Blocked, ControlFailed, StoreError, SubjectErased
from aiguard.trail import Refuse, Trail
from aiguard.types import Effect, Reason, Stage

logger = logging.getLogger("aiguard")


def enforce(trail: Trail, error: type[Blocked], stage: Stage, reasons: Sequence[Reason]) -> None:
    """Refuse for ``reasons``, if there are any; in monitor mode record them and go on."""
    if not reasons:
        return
    if not trail.monitored:
        raise Refuse(error, stage, *reasons)
    trail.would_block.extend(reason for reason in reasons if reason not in trail.would_block)


def refuse(trail: Trail, refusal: Refuse) -> Generator[Commit, Any, None]:
    """Commit the refusal, then raise it. A refusal that cannot be recorded is still a refusal, with the store's reason."""
    try:
        yield Commit(records=(trail.refused(refusal),))
    except StoreError as error:
        refusal = store_failed(trail, error)
    # Raised outside every except block: an error's context would carry frames that hold the text.
    raise refusal.error(trail.decision(Effect.BLOCK, refusal.stage, refusal.reasons)) from None


def record_failure(trail: Trail, error: BaseException, elapsed_ms: float) -> Generator[Commit, Any, None]:
    """Commit that sending raised. Nobody waits for it when the caller is going away (a cancelled task, an interrupt)."""
    record = trail.failed(error, elapsed_ms)
    try:
        yield Commit(records=(record,), wait=isinstance(error, Exception))
    except StoreError as failure:
        logger.critical(
            "exchange %s failed and its outcome could not be recorded: %s", trail.id, type(failure).__name__
        )


def store_failed(trail: Trail, error: StoreError) -> Refuse:
    """The refusal for a record that could not be committed."""
    if isinstance(error, SubjectErased):
        what = "nothing of it is kept, and its answer is withheld" if trail.decided else "nothing was sent"
        reason = Reason(
            code="subject.erased", detail=f"the person was erased since they were admitted; {what}", status=403
        )
        return Refuse(AccessDenied, Stage.KEEP, reason)
    logger.critical("decision %s could not be recorded: %s", trail.id, type(error).__name__)
    what = "delivered" if trail.decided else "sent"
    detail = f"the decision could not be recorded, so nothing was {what}; see the server's log under this id"
    return Refuse(ControlFailed, Stage.KEEP, Reason(code="store.unavailable", detail=detail))


def control_failed(trail: Trail, error: Exception) -> Refuse:
    """The refusal for a control that threw. Only the exception's type is named: its message may quote the input."""
    logger.error("a control raised %s in exchange %s%s", type(error).__name__, trail.id, _where(error))
    detail = f"a control failed ({type(error).__name__}), so nothing was let through"
    return Refuse(
        ControlFailed, Stage.VALIDATE if trail.decided else Stage.CLASSIFY, Reason(code="control.failed", detail=detail)
    )


class ControlError(Exception):
    """A room broke its contract; always a refusal."""


def _where(error: Exception) -> str:
    """The file and line an exception came from: enough to find a fault without its message."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return f" ({frame.tb_frame.f_code.co_filename}:{frame.tb_lineno})" if frame is not None else ""
