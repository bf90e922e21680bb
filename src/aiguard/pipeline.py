"""The map: one exchange, seven stages, always in this order.

``exchange`` is a generator that performs no I/O. It yields effects (detect, commit, send) and is driven by the thin sync
and async drivers in ``drivers.py``, so there is one implementation of every rule. It ends in exactly one of three ways: it returns
the answer, it raises :class:`~aiguard.errors.Blocked`, or it re-raises what sending raised. In each case the audit log
says so under the exchange's id.

Two promises are kept here and nowhere else:

* the decision is committed before anything is sent, and the outcome before anything is delivered; if either cannot be
  committed, nothing is sent, or nothing is delivered;
* an exception in a control is a refusal.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, cast

from aiguard import detect, redact
from aiguard.calls import Call, Request
from aiguard.effects import Commit, Detect, Effect, Recall, Send
from aiguard.errors import (
    AccessDenied,
    Blocked,
    ContentBlocked,
    InputRefused,
    MalformedInput,
    OutputBlocked,
    ProviderFailed,
    StoreError,
)
from aiguard.identity import Access, named
from aiguard.injection import Defence
from aiguard.output import AnswerRules, LinkScan
from aiguard.policy import Feature, Policy
from aiguard.refusing import ControlError, control_failed, enforce, record_failure, refuse, store_failed
from aiguard.restoring import TOKEN_PREFIXES, beside, restore, restores
from aiguard.scan.incremental import begins_at_once
from aiguard.trail import Refuse, Trail
from aiguard.types import ArtifactRecord, Detector, Finding, Operator, Part, PartKind, Reason, Stage
from aiguard.types import Effect as _Outcome

logger = logging.getLogger("aiguard")

_REPLACE = Operator(name="replace")
_TOKENIZE = Operator(name="tokenize")
_BLOCK = _Outcome.BLOCK


@dataclass(frozen=True, kw_only=True, slots=True)
class Controls:
    """What the stages are given: the rooms' objects and the facts they decide on.

    ``realm`` is the guard that this is: an access that another guard granted is not accepted.
    """

    policy: Policy
    environment: str
    realm: object
    detectors: Callable[[Feature], Detector]
    defences: Callable[[Feature], Defence]
    answer_rules: Callable[[Feature], AnswerRules]
    pseudonym: Callable[[str, str], str]
    count_tokens: Callable[[Sequence[str]], int]
    looks_clean: Callable[[str], bool]
    now: Callable[[], datetime]


def exchange(controls: Controls, access: Access | None, call: Call) -> Generator[Effect, Any, Delivered]:
    """Run one call through the seven stages. Of an answer that is still arriving, the first five: it comes back :class:`Opened`.

    Raises:
        Blocked: a control refused, or the decision could not be recorded.
        Exception: whatever sending raised, with the exchange's id as ``aiguard_decision_id``.
        BaseException: the caller is going away (a cancelled task, an interrupt).
    """
    started = time.perf_counter()
    trail = Trail(
        policy=controls.policy,
        environment=controls.environment,
        pseudonym=controls.pseudonym,
        now=controls.now,
        access=access,
        provider=call.provider,
    )
    try:
        return (yield from _stages(controls, trail, access, call))
    except (Exception, GeneratorExit):
        raise
    except BaseException as error:
        if trail.begun and not trail.ended:  # what was decided has an outcome, also where nobody waits for it
            yield from record_failure(trail, error, _since(started))
        raise


def _stages(controls: Controls, trail: Trail, access: Access | None, call: Call) -> Generator[Effect, Any, Delivered]:
    outgoing = yield from decide(controls, trail, access, call)
    started = time.perf_counter()
    unusable: Refuse | None = None
    raw: Any = None
    try:
        raw = yield Send(payload=outgoing.payload)
    except Blocked as error:  # the transport refuses the answer: a redirect, too large, unreadable
        unusable = Refuse(type(error), Stage.VALIDATE, *error.reasons)
    except BaseException as error:
        yield from record_failure(trail, error, _since(started))
        error.aiguard_decision_id = trail.id  # type: ignore[attr-defined]
        raise
    if unusable is not None:
        yield from refuse(trail, unusable)
    if call.arriving(raw):
        slow = not begins_at_once(controls.detectors(outgoing.feature), also=TOKEN_PREFIXES)
        opened = Opened(trail=trail, outgoing=outgoing, raw=raw, started=started, slow=slow)
        return Delivered(answer=opened, decision_id=trail.id)
    return (yield from deliver(controls, trail, outgoing, call, raw, started))


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    """What the first five stages let out."""

    access: Access
    feature: Feature
    request: Request
    payload: Any
    keepable: Sequence[str]
    """Each part's text as it may be stored: redacted, also where monitor mode sent more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivered:
    """An answer that passed all stages, and the id it is recorded under."""

    answer: Any
    decision_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """An answer that is still arriving: what stages 6 and 7 need to go on with it.

    ``started`` is a ``perf_counter``. ``slow`` says that detection may take its time, as a language model does, and an engine
    whose first stream of this process this is.
    """

    trail: Trail
    outgoing: Outgoing
    raw: Any
    started: float
    slow: bool = False


def decide(controls: Controls, trail: Trail, access: Access | None, call: Call) -> Generator[Effect, Any, Outgoing]:
    """Stages 1-5, ending in a committed decision: what may leave, or a refusal."""
    refusal: Refuse
    try:
        admitted, feature = admit(controls, trail, access)
        request = call.read()
        trail.endpoint, trail.parts = request.endpoint, len(request.parts)
        if isinstance(admitted.tokens, redact.KeptVault):
            yield Recall(vault=admitted.tokens)
        findings = yield from find(controls, trail, feature, request.parts, leaves=True)
        classify(controls, trail, findings)
        safe = redact_request(controls, trail, admitted, feature, request.parts, findings)
        defend(controls, trail, feature, request.parts)
        sent = [part.text for part in request.parts] if trail.monitored else safe
        limit = clear_to_send(controls, trail, feature, request, sent)
        payload = request.render([None] * len(safe) if trail.monitored else safe, max_output_tokens=limit)
        outgoing = Outgoing(access=admitted, feature=feature, request=request, payload=payload, keepable=safe)
        yield Commit(records=(*trail.tokens, trail.allowed()), after=admitted.recorded)
    except Refuse as refused:
        refusal = refused
    except MalformedInput as error:
        status = getattr(error, "status", None)
        refusal = Refuse(InputRefused, Stage.CLASSIFY, Reason(code="input.malformed", detail=str(error), status=status))
    except StoreError as error:
        refusal = store_failed(trail, error)
    except Exception as error:  # noqa: BLE001 - a control that throws has not said yes
        refusal = control_failed(trail, error)
    else:
        trail.decided = True
        return outgoing
    yield from refuse(trail, refusal)
    raise AssertionError("refuse always raises")


def admit(controls: Controls, trail: Trail, access: Access | None) -> tuple[Access, Feature]:
    """Stage 1: there is a living access, this guard granted it, and policy still knows its feature."""
    if access is None or not access.alive:
        detail = (
            "a guarded client may be used only inside a route with @require_ai_scope, or inside guard.acting_as(...)"
        )
        raise Refuse(AccessDenied, Stage.ADMIT, Reason(code="access.none", detail=detail))
    if access.realm is not controls.realm:
        trail.names = named(controls.pseudonym, access.actor, access.subject)  # its own come from another's keys
        detail = "the access was granted by another application's guard"
        raise Refuse(AccessDenied, Stage.ADMIT, Reason(code="access.foreign", detail=detail))
    feature = controls.policy.features.get(access.feature)
    if feature is None:
        raise Refuse(
            AccessDenied, Stage.ADMIT, Reason(code="feature.unknown", detail="policy does not know the feature")
        )
    trail.feature = feature
    trail.monitored = controls.policy.monitor_allowed(feature, controls.environment, controls.now())
    if trail.monitored:
        logger.warning("feature %s is in monitor mode: what policy refuses is recorded and let through", feature.name)
    return access, feature


def find(
    controls: Controls, trail: Trail, feature: Feature, parts: Sequence[Part], *, leaves: bool = False
) -> Generator[Detect, Any, Sequence[Sequence[Finding]]]:
    """What is in each part; what a detector had to leave out is flagged on the record."""
    effect = Detect(parts=parts, detector=controls.detectors(feature), leaves=leaves)
    findings: Sequence[Sequence[Finding]] = yield effect
    trail.note(effect.notes)
    return findings


def classify(controls: Controls, trail: Trail, findings: Sequence[Sequence[Finding]]) -> None:
    """Stage 2: how sensitive is what was found?"""
    everything = [finding for found in findings for finding in found]
    trail.sensitivity = detect.sensitivity_of(everything, controls.policy.sensitivity)


def redact_request(
    controls: Controls,
    trail: Trail,
    access: Access,
    feature: Feature,
    parts: Sequence[Part],
    findings: Sequence[Sequence[Finding]],
) -> list[str]:
    """Stage 3: each part's text as it may leave; a type that policy blocks refuses the whole exchange."""
    if len(findings) != len(parts):
        raise ControlError("detection did not answer for every part")
    rules = {**feature.redact, redact.TOKEN_LITERAL: _TOKENIZE}
    vault = cast("redact.Vault", access.tokens)
    noted = redact.Noting(vault) if isinstance(vault, redact.KeptVault) else None
    if noted is not None:
        vault = noted
    safe: list[str] = []
    stopped: set[str] = set()
    for part, found in zip(parts, findings, strict=True):
        spans = list(found)
        if not part.trusted and part.channel == "prose":
            spans += vault.literals(part.text)
        if not spans:
            safe.append(part.text)
            continue
        redacted = redact.redact(part.text, spans, rules, vault=vault, pseudonym=controls.pseudonym)
        trail.redactions.update(redacted.counts)
        stopped.update(redacted.blocked)
        safe.append(redacted.text)
    reasons = [
        Reason(code="content.blocked", detail=f"the request holds a {type}, which policy does not let out")
        for type in sorted(stopped)
    ]
    enforce(trail, ContentBlocked, Stage.REDACT, reasons)
    if noted is not None:
        trail.keep_tokens(noted)
    return safe


def defend(controls: Controls, trail: Trail, feature: Feature, parts: Sequence[Part]) -> None:
    """Stage 4: is text that the developer did not write trying to give orders?"""
    untrusted = [part for part in parts if not part.trusted and part.kind is not PartKind.NUMBER]
    texts = [part.text for part in untrusted] + detect.joined_texts(untrusted)
    trail.verdict = controls.defences(feature).assess(texts)
    # Which signatures fired, and the score, are for the record: to whoever tries, they would tell what to word otherwise.
    if trail.verdict.score >= feature.injection.block:
        detail = "the request looks like an attempt to override the instructions"
        enforce(trail, ContentBlocked, Stage.DEFEND, [Reason(code="injection.blocked", detail=detail)])
    elif trail.verdict.score >= feature.injection.flag:
        detail = "the request resembles an attempt to override the instructions"
        trail.flags.append(Reason(code="injection.flagged", detail=detail))


def clear_to_send(controls: Controls, trail: Trail, feature: Feature, request: Request, texts: Sequence[str]) -> int:
    """Stage 5: an approved model, within the token limits. Returns the most tokens that the answer may have.

    ``texts`` is what is sent: what stands for a value may be longer than the value.
    """
    model = f"{trail.provider}:{request.model}"
    approved = feature.allows_model(model)
    trail.model = model if approved or controls.looks_clean(model) else "unlisted"
    if not approved:
        detail = f"the model {trail.model} is not one that the feature {feature.name} may call"
        enforce(trail, AccessDenied, Stage.SEND, [Reason(code="model.unlisted", detail=detail)])
    bound = controls.count_tokens(texts)
    if type(bound) is not int or bound < 0:
        raise ControlError("count_tokens did not answer with a number of tokens")
    trail.input_bound = bound
    if trail.input_bound > feature.max_input_tokens:
        detail = (
            f"the input may be up to {trail.input_bound} tokens (the estimate is an upper bound); "
            f"the feature {feature.name} allows {feature.max_input_tokens}"
        )
        enforce(trail, ContentBlocked, Stage.SEND, [Reason(code="tokens.input", detail=detail, status=413)])
    asked = request.max_output_tokens
    trail.max_output_tokens = feature.max_output_tokens if asked is None else min(asked, feature.max_output_tokens)
    return trail.max_output_tokens


def deliver(
    controls: Controls, trail: Trail, outgoing: Outgoing, call: Call, raw: Any, started: float
) -> Generator[Effect, Any, Delivered]:
    """Stages 6 and 7: check the answer, keep what policy keeps, commit the outcome, and hand the answer over."""
    elapsed = _since(started)
    refusal: Refuse
    try:
        answer = call.answer(outgoing.request, raw)
        trail.usage = answer.usage
        findings = yield from find(controls, trail, outgoing.feature, answer.parts)
        shown, keepable = validate(controls, trail, outgoing, answer.parts, findings, partial(call.said, answer))
        delivered = answer.render(shown)
        if call.status(raw) >= 400:
            yield Commit(records=(trail.rejected(call.status(raw), elapsed),))
        else:
            artifacts = keep(trail, outgoing, answer.parts, keepable)
            yield Commit(records=(*artifacts, trail.completed(elapsed, artifacts)))
    except Refuse as refused:
        refusal = refused
    except MalformedInput as error:
        detail = f"the model server's answer could not be read: {error}"
        refusal = Refuse(ProviderFailed, Stage.VALIDATE, Reason(code="answer.malformed", detail=detail))
    except StoreError as error:
        refusal = store_failed(trail, error)
    except Exception as error:  # noqa: BLE001 - a control that throws has not said yes
        refusal = control_failed(trail, error)
    else:
        return Delivered(answer=delivered, decision_id=trail.id)
    yield from refuse(trail, refusal)
    raise AssertionError("refuse always raises")


def validate(
    controls: Controls,
    trail: Trail,
    outgoing: Outgoing,
    parts: Sequence[Part],
    findings: Sequence[Sequence[Finding]],
    said: Callable[[Sequence[str]], Sequence[str]],
) -> tuple[list[str], list[str]]:
    """Stage 6: each part as it is shown (tokens turned back for this actor) and as it may be stored (tokens kept)."""
    if len(findings) != len(parts):
        raise ControlError("detection did not answer for every part")
    output, vault, lease = outgoing.feature.output, cast("redact.Vault", outgoing.access.tokens), outgoing.access.lease
    rules = {type: _REPLACE if rule.name == "tokenize" else rule for type, rule in output.redact.items()}
    shown: list[str] = []
    keepable: list[str] = []
    stopped: set[str] = set()
    links = LinkScan()
    for part, found in zip(parts, findings, strict=True):
        own = [t for t in vault.literals(part.text) if vault.restore(part.text[t.start : t.end]).count]
        spans = beside(found, own)
        text = part.text
        if spans:
            redacted = redact.redact(text, spans, rules, vault=None, pseudonym=controls.pseudonym)
            trail.answer_redactions.update(redacted.counts)
            stopped.update(redacted.blocked)
            text = redacted.text
        keepable.append(text)
        if trail.monitored:
            text = part.text
        after = None if detect.place_of(part) is None else links
        if (own or after is not None) and restores(output, part):
            text, values = restore(vault, text, links="links" in output.restore_in, after=after)
            trail.restored += len(values)
            lease.note_restored(values)
        shown.append(text)
    reasons = [
        Reason(code="output.blocked", detail=f"the answer holds a {type}, which policy does not deliver")
        for type in sorted(stopped)
    ]
    read = list(zip(parts, shown, strict=True))
    prose = said(shown)
    everything = [text for part, text in read if part.kind is not PartKind.NUMBER]
    joined = ["".join(prose), "".join(text for part, text in read if part.kind is PartKind.TEXT)]
    broken = controls.answer_rules(outgoing.feature).check(prose, wider=[*everything, *joined])
    reasons += [violation.reason for violation in broken]
    enforce(trail, OutputBlocked, Stage.VALIDATE, reasons)
    return shown, keepable


def keep(
    trail: Trail, outgoing: Outgoing, answer_parts: Sequence[Part], answer_texts: Sequence[str]
) -> list[ArtifactRecord]:
    """Stage 7: the artifacts that policy lets us keep, already redacted."""
    rule, kept = outgoing.feature.keep, []
    if rule.prompt == "redacted":
        kept.append(trail.artifact("prompt", _transcript(outgoing.request.parts, outgoing.keepable)))
    if rule.output == "redacted":
        prose = [(part, text) for part, text in zip(answer_parts, answer_texts, strict=True) if part.channel != "meta"]
        kept.append(trail.artifact("output", _transcript([part for part, _ in prose], [text for _, text in prose])))
    if rule.metadata == "redacted":
        facts = {"model": trail.model, "endpoint": trail.endpoint, "usage": dict(trail.usage)}
        kept.append(trail.artifact("metadata", json.dumps(facts, sort_keys=True)))
    return kept


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _transcript(parts: Sequence[Part], texts: Sequence[str]) -> str:
    lines = [
        {"role": part.role, "text": text}  # a pointer is left out: its steps are keys, and keys may be content
        for part, text in zip(parts, texts, strict=True)
        if part.kind is PartKind.TEXT
    ]
    return json.dumps(lines, ensure_ascii=False)
