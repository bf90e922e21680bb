"""May this actor use this scope? A pluggable question with one shape: ``(actor, scope) -> Decision``."""

from __future__ import annotations

from collections.abc import Callable

from aiguard.types import Actor, Decision, Effect, Reason, Stage, new_id

Authoriser = Callable[[Actor, str], Decision]
"""Answers whether ``actor`` may use ``scope``. Raising, or answering anything but a Decision, is a refusal."""


def has_scope(actor: Actor, scope: str) -> Decision:
    """The default authoriser: the actor carries exactly this scope."""
    if scope in actor.scopes:
        return Decision.allow(f"the actor has the scope {scope}", code="scope.granted")
    return Decision.deny(f"this needs the scope {scope}, which the caller does not have", code="scope.missing")


def decide_access(actor: Actor | None, scope: str, authoriser: Authoriser, *, policy_hash: str) -> Decision:
    """The decision of stage 1, failing closed, under an id of its own whatever the authoriser's answer has.

    Nobody signed in is a refusal with status 401; an authoriser that raises, or that answers with anything but a
    :class:`Decision` (a plain ``True`` included), is a refusal with status 503.
    """
    if actor is None:
        reason = Reason(code="actor.missing", detail=f"sign in first; this needs the scope {scope}", status=401)
        return Decision(effect=Effect.BLOCK, reasons=(reason,), stage=Stage.ADMIT, policy_hash=policy_hash)
    try:
        answer: object = authoriser(actor, scope)
    except Exception as error:  # noqa: BLE001 - fail closed: an authoriser that throws has not said yes
        reason = Reason(code="authoriser.failed", detail=f"the authoriser raised {type(error).__name__}", status=503)
        return Decision(effect=Effect.BLOCK, reasons=(reason,), stage=Stage.ADMIT, policy_hash=policy_hash)
    if not isinstance(answer, Decision):
        detail = f"the authoriser must return a Decision, not {type(answer).__name__}"
        reason = Reason(code="authoriser.invalid", detail=detail, status=503)
        return Decision(effect=Effect.BLOCK, reasons=(reason,), stage=Stage.ADMIT, policy_hash=policy_hash)
    return answer.with_(id=new_id("agd"), stage=Stage.ADMIT, policy_hash=policy_hash)


def checked_actor(actor: object) -> Actor | None:
    """What an actor resolver returned; :class:`TypeError` for anything but an actor whose id and tenant are texts, or None."""
    if actor is None:
        return None
    if not isinstance(actor, Actor):
        raise TypeError("an actor resolver returns an aiguard.Actor or None")
    if not isinstance(actor.id, str) or not isinstance(actor.tenant, str | None):
        raise TypeError("an Actor's id and tenant are texts")
    return actor


def checked_subject(subject: object) -> str | None:
    """What a subject resolver returned; :class:`TypeError` for anything but an id, or None for the actor's."""
    if subject is not None and not (isinstance(subject, str) and subject):
        raise TypeError("a subject resolver returns the id of a person as a text, or None for the actor")
    return subject
