"""``guard.artifacts``: keeping content beside exchanges, and reading what was kept.

Reading a class of data needs the scope ``artifact:read:<class>`` and a reason, stays within the actor's tenant, and leaves an
``artifact.read`` event about each person whose data was shown. What is kept here is scanned and redacted like a prompt, under the
retention rule of its class.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from aiguard.detect import sensitivity_of
from aiguard.detect.parts import detect_parts
from aiguard.drivers import Hands, settle
from aiguard.errors import Blocked, ConfigurationError, ContentBlocked
from aiguard.gate import Gate
from aiguard.identity import current_access
from aiguard.pipeline import Controls
from aiguard.policy import builtin
from aiguard.redact import Redacted, redact
from aiguard.refusing import control_failed
from aiguard.store import SealedArtifact, StoredArtifact
from aiguard.trail import Refuse, Trail, tally
from aiguard.types import Actor, AuditRecord, Effect, Operator, Part, Reason, Stage

MAX_READ: Final = 1_000
"""Artifacts of one read. Whoever needs more is exporting, and does it in steps that are on record."""

MAX_DIMENSIONS: Final = 65_536
"""Numbers of an embedding."""

READ_SCOPE: Final = "artifact:read:"


class Shelf(Protocol):
    """Where artifacts are; ``store.ArtifactTable`` is one."""

    def select(
        self,
        *,
        tenant: str,
        id: str | None = None,
        decision_id: str | None = None,
        subject: str | None = None,
        data_class: str | None = None,
        limit: int,
    ) -> Sequence[SealedArtifact]:
        """Artifacts whose time is not over, oldest first; ``subject`` is a lookup."""
        ...

    def open(self, sealed: SealedArtifact) -> StoredArtifact:
        """With its content."""
        ...


class Artifacts:
    """What a guard keeps, for those who may see it."""

    def __init__(self, *, shelf: Shelf | None, gate: Gate, controls: Controls, hands: Hands) -> None:
        self._shelf = shelf
        self._gate = gate
        self._controls = controls
        self._hands = hands

    def read(
        self,
        actor: Actor | None,
        reason: str,
        *,
        id: str | None = None,
        decision_id: str | None = None,
        subject: str | None = None,
        data_class: str | None = None,
        limit: int = 100,
    ) -> list[StoredArtifact]:
        """The kept artifacts that fit, of the actor's tenant, oldest first, with their content.

        Args:
            actor: who wants to see them; needs ``artifact:read:<class>`` for each class that fits.
            reason: why, one sentence for the audit log: a ticket, a matter, never a person's data.
            id: one artifact.
            decision_id: what one exchange left.
            subject: what is about one person, by the application's id.
            data_class: only this class.
            limit: how many at most, up to 1,000.

        Raises:
            AccessDenied, NotAuthenticated: refused, and on record.
            ControlFailed: it could not be recorded, so nothing is shown.
            IntegrityError: a row was altered, or its key is gone.
            ConfigurationError: nothing says which artifacts, or there is no reason.
        """
        if self._shelf is None:
            raise ConfigurationError("this guard has no store; build it with aiguard.open_guard(...)")
        if id is None and decision_id is None and subject is None:
            raise ConfigurationError("say which artifacts: id, decision_id or subject")
        if not 1 <= limit <= MAX_READ:
            raise ConfigurationError(f"limit is a number from 1 to {MAX_READ}")
        if data_class is not None and data_class not in builtin.RETENTION_CLASSES:
            raise ConfigurationError("there is no such data class; known: " + ", ".join(builtin.RETENTION_CLASSES))
        asked = [READ_SCOPE + data_class] if data_class is not None else []
        # Nobody learns whether something is kept without a scope that could show it.
        decision = self._gate.allow(actor, asked or [_any_scope(actor)], reason, refused="artifact.refused")
        assert actor is not None
        lookup = self._gate.names(actor, subject)["subject"] if subject is not None else None
        found = self._shelf.select(
            tenant=self._gate.tenant(actor),
            id=id,
            decision_id=decision_id,
            subject=lookup,
            data_class=data_class,
            limit=limit,
        )
        needed = sorted({READ_SCOPE + each.known.data_class for each in found} - set(asked))
        if needed:
            decision = self._gate.allow(actor, needed, reason, refused="artifact.refused")
        scopes = [*asked, *needed] or [_any_scope(actor)]
        about: dict[str, list[SealedArtifact]] = {}
        for each in found:
            about.setdefault(each.known.subject, []).append(each)
        told = [
            (
                person,
                {
                    "scopes": scopes,
                    "classes": dict(Counter(each.known.data_class for each in some)),
                    "artifacts": [each.known.id for each in some],
                },
            )
            for person, some in (about or {"": []}).items()
        ]
        self._gate.record("artifact.read", actor, decision, reason, told)
        return [self._shelf.open(each) for each in found]

    def keep(
        self,
        data_class: str,
        content: str | Iterable[float],
        *,
        decision_id: str | None = None,
        feature: str | None = None,
    ) -> str:
        """Keep content that belongs to the current access's feature, and wait until it is on disk; the artifact's id.

        Args:
            data_class: ``eval``, ``embedding``, or a class that the feature keeps. Policy has a retention rule for it.
            content: a text, which is scanned and redacted by the feature's rules; for ``embedding`` finite numbers.
            decision_id: what it belongs to; by default the current access's decision.
            feature: by default the current access's.

        Raises:
            ConfigurationError: there is no current access, or policy keeps nothing of that class.
            ContentBlocked: the text holds what policy lets nowhere. On record.
            ControlFailed: the text could not be looked at. On record.
            StoreError: it could not be kept.
        """
        access = current_access()
        if access is None or access.realm is not self._controls.realm:
            raise ConfigurationError(
                "guard.artifacts.keep(...) needs a guarded route or guard.acting_as(...) around it"
            )
        policy = self._controls.policy
        known = policy.features.get(feature or access.feature)
        if known is None or known.name != access.feature:
            raise ConfigurationError("content is kept for the feature of the current access")
        if data_class not in ("eval", "embedding") and data_class not in known.keep.classes:
            raise ConfigurationError(
                f"the feature {known.name} does not keep {_named(data_class)}; see `keep` in policy"
            )
        if data_class not in policy.retention:
            raise ConfigurationError(f"policy has no [retention.{_named(data_class)}] rule, so nothing of it is kept")
        trail = Trail(
            policy=policy,
            environment=self._controls.environment,
            pseudonym=self._controls.pseudonym,
            now=self._controls.now,
            access=access,
            provider="",
            feature=known,
            id=decision_id or access.decision_id,
        )
        if data_class == "embedding":
            text = _numbers(content)
        elif isinstance(content, str):
            text = self._clean(trail, content)
        else:
            raise ConfigurationError("the content is a text")
        artifact = trail.artifact(data_class, text)
        event = AuditRecord(
            type="artifact.kept",
            decision_id=trail.id,
            resource=known.name,
            policy_hash=policy.hash,
            payload={
                "parent": access.decision_id,
                "data_class": data_class,
                "artifacts": [artifact.id],
                "findings": tally(trail.redactions),
            },
            at=self._controls.now(),
            actor=artifact.actor,
            tenant=artifact.tenant,
            subject=artifact.subject,
        )
        settle(self._hands.recorder, [artifact, event], self._hands.store_timeout)
        return artifact.id

    def _clean(self, trail: Trail, content: str) -> str:
        refusal: Refuse | None = None
        try:
            done = self._redacted(trail, content)
        except Exception as error:  # noqa: BLE001 - a control that throws has not said yes, and may quote the text
            refusal = control_failed(trail, error)
        if refusal is not None:
            raise self._withheld(trail, refusal.error, refusal.reasons)
        if done.blocked:
            reasons = tuple(
                Reason(code="content.blocked", detail=f"the content holds a {type}, which policy does not keep")
                for type in sorted(done.blocked)
            )
            raise self._withheld(trail, ContentBlocked, reasons)
        return done.text

    def _redacted(self, trail: Trail, content: str) -> Redacted:
        assert trail.feature is not None
        found = detect_parts(self._controls.detectors(trail.feature), [Part(text=content)])[0]
        trail.sensitivity = sensitivity_of(found, self._controls.policy.sensitivity)
        rules = {
            type: Operator(name="replace") if rule.name == "tokenize" else rule
            for type, rule in trail.feature.redact.items()
        }
        done = redact(content, found, rules, vault=None, pseudonym=self._controls.pseudonym)
        trail.redactions.update(done.counts)
        return done

    def _withheld(self, trail: Trail, error: type[Blocked], reasons: Sequence[Reason]) -> Blocked:
        """The refusal, once it is on record."""
        settle(self._hands.recorder, [trail.withheld(reasons)], self._hands.store_timeout)
        return error(trail.decision(Effect.BLOCK, Stage.KEEP, reasons))


def _any_scope(actor: Actor | None) -> str:
    """A reading scope that the actor has; for the others, one that names what is missing."""
    mine = sorted(scope for scope in (actor.scopes if actor is not None else ()) if scope.startswith(READ_SCOPE))
    return mine[0] if mine else READ_SCOPE + "prompt"


def _named(data_class: str) -> str:
    return data_class if data_class in builtin.RETENTION_CLASSES else "that class"


def _numbers(content: Any) -> str:
    try:
        numbers = [float(each) for each in content]
    except (TypeError, ValueError):
        raise ConfigurationError("an embedding is a sequence of numbers") from None
    if isinstance(content, str) or not 1 <= len(numbers) <= MAX_DIMENSIONS or not all(map(math.isfinite, numbers)):
        raise ConfigurationError(f"an embedding is a sequence of 1 to {MAX_DIMENSIONS} finite numbers")
    return json.dumps(numbers, separators=(",", ":"))
