"""Scrubbing hooks as every web door uses them: scrub a body, record what was found, refuse what may not pass.

A door brings the bytes and puts the result back; what is decided, recorded and said is the same at each of them.
"""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiguard.bodies import REPLACE_ALL, ScrubbedBody, UnreadableBody, check_rules, check_sender, scrub_body
from aiguard.detect import known_types
from aiguard.errors import (
    Blocked,
    ConfigurationError,
    ContentBlocked,
    ControlFailed,
    InputRefused,
    MalformedInput,
    OutputBlocked,
    StoreError,
)
from aiguard.guard import Guard
from aiguard.problems import raised_in
from aiguard.trail import tally
from aiguard.types import Decision, Detector, Effect, Operator, Reason, Stage, new_id

Rules = Mapping[str, Operator | str | Mapping[str, object]]
"""Entity type to operator, written as in a policy; ``"*"`` for the rest, which is replaced where nothing is said."""

logger = logging.getLogger("aiguard")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScrubRule:
    """Which routes and methods to scrub, and how. ``routes`` are shell patterns of route templates or endpoint names."""

    routes: tuple[str, ...]
    methods: frozenset[str]
    rules: Mapping[str, Operator]

    @classmethod
    def of(
        cls, routes: Sequence[str], methods: Sequence[str], rules: Rules | None, *, detector: Detector | None = None
    ) -> ScrubRule:
        """A checked rule; :class:`ConfigurationError` names what cannot work. ``detector`` may know types of its own."""
        if not routes:
            raise ConfigurationError("name at least one route to scrub; '*' is every route")
        known = {*known_types(), *(detector.types if detector is not None else ())}
        upper = frozenset(method.upper() for method in methods)
        operators = REPLACE_ALL if rules is None else check_rules(rules, known)
        return cls(routes=tuple(routes), methods=upper, rules=operators)

    def applies(self, method: str, *names: str) -> bool:
        """Whether a request with this method and these names (route template, endpoint) is meant."""
        if self.methods and method not in self.methods:
            return False
        return any(matches(pattern, name) for pattern in self.routes for name in names)


def matches(pattern: str, name: str) -> bool:
    """Whether a route template or endpoint is meant by a pattern: it is equal, or the shell pattern fits."""
    return pattern == name or fnmatch.fnmatchcase(name, pattern)


def scrub_request_body(
    guard: Guard, rule: ScrubRule, content: bytes, *, content_type: str, encoding: str, route: str
) -> ScrubbedBody:
    """A request's body as the application may see it; :class:`InputRefused` or :class:`ContentBlocked` otherwise."""
    refusal: Blocked | None = None
    try:
        scrubbed = _scrub(guard, rule, content, content_type, encoding, guard.settings.max_body_bytes)
    except MalformedInput as error:
        decision = _blocked(guard, "input.malformed", str(error), getattr(error, "status", None))
        refusal = recorded(guard, InputRefused(decision), "request.refused", {"route": route})
    except Exception as error:  # noqa: BLE001 - a control that throws has not said yes
        refusal = _failed(guard, error, "request.refused", route, Stage.CLASSIFY)
    if refusal is not None:
        raise refusal
    _settle(guard, scrubbed, ContentBlocked, "request", route)
    return scrubbed


def scrub_response_body(
    guard: Guard,
    rule: ScrubRule,
    content: bytes,
    *,
    content_type: str,
    encoding: str,
    route: str,
    exempt: Callable[[str], bool] | None,
    headers: Iterable[str] = (),
) -> ScrubbedBody:
    """A response's body as the caller may see it; :class:`OutputBlocked` otherwise. ``headers`` are the names of all it has."""
    refusal: Blocked | None = None
    try:
        check_sender(headers)
        scrubbed = _scrub(guard, rule, content, content_type, encoding, guard.settings.max_response_bytes, exempt)
    except MalformedInput as error:
        decision = _blocked(
            guard, "output.malformed", f"the response cannot be scrubbed: {error}", stage=Stage.VALIDATE
        )
        refusal = recorded(guard, OutputBlocked(decision), "response.refused", {"route": route})
    except Exception as error:  # noqa: BLE001 - a control that throws has not said yes
        refusal = _failed(guard, error, "response.refused", route, Stage.VALIDATE)
    if refusal is not None:
        raise refusal
    _settle(guard, scrubbed, OutputBlocked, "response", route)
    return scrubbed


def recorded(guard: Guard, refusal: Blocked, type: str, payload: Mapping[str, Any], *, resource: str = "") -> Blocked:
    """``refusal`` once it is on record; one that cannot be recorded says so instead."""
    codes = [reason.code for reason in refusal.reasons]
    try:
        guard.record(type, refusal.decision_id, resource=resource, payload={**payload, "reasons": codes})
    except StoreError:
        detail = "the decision could not be recorded, so the request is refused"
        return ControlFailed(_blocked(guard, "store.unavailable", detail).with_(id=refusal.decision_id))
    return refusal


def unresolved(guard: Guard, error: Exception, *, scope: str, route: str = "") -> Blocked:
    """The refusal, on record, where an application could not say who is calling, or about whom (fail closed)."""
    name = type(error).__name__
    detail = f"who is calling could not be resolved ({name})"
    decision = _blocked(guard, "actor.failed", detail, stage=Stage.ADMIT)
    logger.error("resolving the actor or subject raised %s in %s; decision %s", name, raised_in(error), decision.id)
    return recorded(guard, ControlFailed(decision), "access.denied", {"scope": scope, "route": route})


def _scrub(
    guard: Guard,
    rule: ScrubRule,
    content: bytes,
    content_type: str,
    encoding: str,
    max_bytes: int,
    exempt: Callable[[str], bool] | None = None,
) -> ScrubbedBody:
    if encoding not in ("", "identity"):
        raise UnreadableBody("an encoded body cannot be looked at; send it without Content-Encoding")
    return scrub_body(
        content,
        content_type,
        detector=guard.detector,
        rules=rule.rules,
        pseudonym=guard.keys.pseudonym,
        exempt=exempt,
        max_bytes=max_bytes,
    )


def _settle(guard: Guard, scrubbed: ScrubbedBody, error: type[Blocked], what: str, route: str) -> None:
    payload = {"route": route, "findings": tally(scrubbed.counts)}
    if scrubbed.blocked:
        reasons = tuple(
            Reason(code="content.blocked", detail=f"the {what} holds a {type}, which policy does not let through")
            for type in scrubbed.blocked
        )
        stage = Stage.REDACT if what == "request" else Stage.VALIDATE
        decision = Decision(effect=Effect.BLOCK, reasons=reasons, stage=stage, policy_hash=guard.policy.hash)
        raise recorded(guard, error(decision), f"{what}.refused", payload)
    if not scrubbed.counts:
        return
    failed = False
    try:
        guard.record(f"{what}.scrubbed", new_id("agd"), payload=payload)
    except StoreError:
        failed = True
    if failed:
        detail = "the decision could not be recorded, so nothing goes on"
        raise ControlFailed(_blocked(guard, "store.unavailable", detail))


def _failed(guard: Guard, error: Exception, type_: str, route: str, stage: Stage) -> Blocked:
    name = type(error).__name__
    decision = _blocked(guard, "control.failed", f"scrubbing failed ({name}), so nothing goes on", stage=stage)
    logger.error("scrubbing raised %s in %s; decision %s", name, raised_in(error), decision.id)
    return recorded(guard, ControlFailed(decision), type_, {"route": route})


def _blocked(
    guard: Guard, code: str, detail: str, status: int | None = None, *, stage: Stage = Stage.CLASSIFY
) -> Decision:
    reason = Reason(code=code, detail=detail, status=status)
    return Decision(effect=Effect.BLOCK, reasons=(reason,), stage=stage, policy_hash=guard.policy.hash)
