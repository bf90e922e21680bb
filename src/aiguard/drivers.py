"""The thin drivers that carry out a pipeline's effects, sync and async.

They decide nothing. What an effect returns or raises goes back into the generator; a refusal that comes out of it is raised
afresh from here, without the frames, the cause and the context of the stages, whose local variables hold the text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import CancelledError as FutureCancelled
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any

from aiguard.detect.notes import noting
from aiguard.detect.parts import detect_parts
from aiguard.effects import Commit, Detect, Effect, Recall, Send
from aiguard.errors import Blocked, StoreError, StoreUnavailable
from aiguard.pipeline import Delivered
from aiguard.redact import KeptVault
from aiguard.scan import Engine
from aiguard.types import Detector, Finding, Part, Recorder, VaultArchive

OFFLOAD_CHARACTERS = 50_000
"""Characters from which the async driver detects in a thread, so that the event loop goes on. About 1 ms of scanning.

Whatever is not the built-in engine is always asked in a thread, since it may take its time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hands:
    """What the drivers work with. ``store_timeout`` is in seconds; past it a commit counts as failed."""

    recorder: Recorder
    store_timeout: float
    archive: VaultArchive | None = None
    """Where the values of conversations are kept; without one they are kept by this process alone."""


Steps = Generator[Effect, Any, Delivered]


def run(steps: Steps, hands: Hands, send: Callable[[Any], Any]) -> Delivered:
    """Drive ``steps`` to its end in this thread, sending with ``send``."""
    value: Any = None
    error: BaseException | None = None
    while True:
        effect, refusal = advance(steps, value, error)
        if refusal is not None:
            raise refusal.with_traceback(None) from None
        if isinstance(effect, Delivered):
            return effect
        value = error = None
        try:
            match effect:
                case Detect(parts=parts, detector=detector, leaves=leaves, notes=notes):
                    with noting(notes):
                        value = detect_parts(detector, parts, leaves=leaves)
                case Commit(records=records, wait=wait, after=after):
                    pending = hands.recorder.commit(records)
                    if wait:
                        settled(pending, hands.store_timeout)
                    if after is not None:
                        settled(after, hands.store_timeout)
                case Recall(vault=vault):
                    recall(hands, vault)
                case Send(payload=payload):
                    value = send(payload)
        except BaseException as raised:  # noqa: BLE001 - thrown into the stages, which decide
            error = raised


async def arun(steps: Steps, hands: Hands, send: Callable[[Any], Awaitable[Any]]) -> Delivered:
    """Drive ``steps`` to its end on the running event loop, sending with ``send``."""
    value: Any = None
    error: BaseException | None = None
    while True:
        effect, refusal = advance(steps, value, error)
        if refusal is not None:
            raise refusal.with_traceback(None) from None
        if isinstance(effect, Delivered):
            return effect
        value = error = None
        try:
            match effect:
                case Detect(parts=parts, detector=detector, leaves=leaves, notes=notes):
                    with noting(notes):
                        value = await _detect(detector, parts, leaves=leaves)
                case Commit(records=records, wait=wait, after=after):
                    pending = hands.recorder.commit(records)
                    if wait:
                        await asettled(pending, hands.store_timeout)
                    if after is not None:
                        await asettled(after, hands.store_timeout)
                case Recall(vault=vault):
                    await asyncio.to_thread(recall, hands, vault)
                case Send(payload=payload):
                    value = await send(payload)
        except BaseException as raised:  # noqa: BLE001 - thrown into the stages, which decide
            error = raised


def recall(hands: Hands, vault: KeptVault) -> None:
    """Bring a conversation's vault up to what the archive knows; :class:`StoreError` where that cannot be said."""
    if hands.archive is None:
        raise StoreError("this guard has no archive for the values of conversations")
    if not vault.recalling.acquire(timeout=hands.store_timeout):
        raise StoreUnavailable(f"the conversation's vault was not recalled within {hands.store_timeout:g} s")
    try:
        vault.sync(hands.archive.recall(actor=vault.actor, conversation=vault.conversation, known=vault.known))
    finally:
        vault.recalling.release()


def advance(
    steps: Generator[Any, Any, Delivered], value: Any, error: BaseException | None
) -> tuple[Any, Blocked | None]:
    """One step of the stages: the next effect or the result, or else the refusal they ended in, without its context."""
    try:
        return steps.send(value) if error is None else steps.throw(error), None
    except StopIteration as stop:
        delivered: Delivered = stop.value
        return delivered, None
    except Blocked as refusal:
        refusal.__cause__ = refusal.__context__ = None
        return None, refusal


async def _detect(detector: Detector, parts: Sequence[Part], *, leaves: bool) -> list[list[Finding]]:
    if not isinstance(detector, Engine) or sum(len(part.text) for part in parts) > OFFLOAD_CHARACTERS:
        return await asyncio.to_thread(detect_parts, detector, parts, leaves=leaves)
    return detect_parts(detector, parts, leaves=leaves)


def settled(pending: Future[None], timeout: float) -> None:
    """Wait for a commit, at most ``timeout`` seconds; any failure is a :class:`StoreError`."""
    try:
        pending.result(timeout)
    except FutureTimeout:
        pending.cancel()
        raise StoreUnavailable(f"the database did not answer within {timeout:g} s") from None
    except FutureCancelled:
        raise StoreUnavailable("the record was cancelled before it was written") from None
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the store raises, the record is not known to be kept
        raise StoreError(f"the record could not be written ({type(error).__name__})") from None


async def asettled(pending: Future[None], seconds: float) -> None:
    """:func:`settled` on the event loop."""
    try:
        await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(pending)), seconds)
    except TimeoutError:
        pending.cancel()
        raise StoreUnavailable(f"the database did not answer within {seconds:g} s") from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if not pending.cancelled() or task is None or task.cancelling():
            raise
        # Somebody else waited for the same record and gave up; this task goes on.
        raise StoreUnavailable("the record was cancelled before it was written") from None
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the store raises, the record is not known to be kept
        raise StoreError(f"the record could not be written ({type(error).__name__})") from None


def settle(recorder: Recorder, records: Sequence[Any], timeout: float) -> None:
    """Commit ``records`` and wait, for decisions that are made outside the pipeline (sign-in, scrubbing, admin)."""
    settled(recorder.commit(records), timeout)
