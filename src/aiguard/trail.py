"""What an exchange leaves behind: its decision, its audit events and its artifacts, built as values.

Everything that is recorded about an exchange is written here and nowhere else, so that what may stand in a record (types,
counts, codes, keyed pseudonyms) can be read in one place. The pipeline decides when a record is committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiguard.errors import Blocked
from aiguard.identity import Access, named
from aiguard.policy import Feature, Policy
from aiguard.redact import Noting
from aiguard.types import (
    ArtifactRecord,
    AuditRecord,
    Decision,
    Effect,
    Reason,
    Sensitivity,
    Stage,
    VaultRecord,
    Verdict,
    new_id,
)

MAX_REASONS = 16
"""Reasons kept on one decision; an exchange that breaks more rules than this is refused all the same."""


class Refuse(Exception):
    """A stage refuses. The pipeline records it and raises ``error`` with the exchange's decision."""

    def __init__(self, error: type[Blocked], stage: Stage, *reasons: Reason) -> None:
        super().__init__(error.__name__)
        self.error = error
        self.stage = stage
        self.reasons = reasons


@dataclass(kw_only=True, slots=True)
class Trail:
    """The growing record of one exchange. ``pseudonym`` is the key ring's keyed one-way name for an id."""

    policy: Policy
    environment: str
    pseudonym: Callable[[str, str], str]
    now: Callable[[], datetime]
    access: Access | None
    provider: str
    feature: Feature | None = None
    id: str = field(default_factory=lambda: new_id("agd"))
    model: str = ""
    endpoint: str = ""
    parts: int = 0
    sensitivity: Sensitivity = Sensitivity.PUBLIC
    redactions: Counter[tuple[str, str]] = field(default_factory=Counter)
    answer_redactions: Counter[tuple[str, str]] = field(default_factory=Counter)
    verdict: Verdict = field(default_factory=Verdict)
    input_bound: int = 0
    max_output_tokens: int | None = None
    restored: int = 0
    usage: Mapping[str, int] = field(default_factory=dict)
    flags: list[Reason] = field(default_factory=list)
    would_block: list[Reason] = field(default_factory=list)
    monitored: bool = False
    decided: bool = False
    streamed: int | None = None
    """Characters of a streamed answer that were delivered; None for an answer that came at once."""
    begun: bool = False
    """Whether the event of the decision to send was made."""
    ended: bool = False
    """Whether an event of the outcome was made."""
    names: dict[str, str] | None = field(default=None, repr=False)
    tokens: tuple[VaultRecord, ...] = ()
    """Values of the conversation that were tokenised and are to be kept with the decision."""

    def decision(self, effect: Effect, stage: Stage, reasons: Iterable[Reason]) -> Decision:
        """A decision under this exchange's id."""
        kept = tuple(reasons)[:MAX_REASONS]
        return Decision(effect=effect, reasons=kept, stage=stage, id=self.id, policy_hash=self.policy.hash)

    def note(self, late: Iterable[str]) -> None:
        """Flag the models that were left out because they were late, each once."""
        for name in late:
            detail = f"the model {name} took longer than its budget; patterns only were used"
            reason = Reason(code="detector.fallback", detail=detail)
            if reason not in self.flags:
                self.flags.append(reason)

    def keep_tokens(self, noted: Noting) -> None:
        """Have the values that were tokenised kept for the conversation, unless they are already."""
        now, ttl = self.now(), self.policy.vault.ttl
        self.tokens = tuple(
            VaultRecord(
                vault=noted.vault.id,
                code=each.code,
                type=each.type,
                value=each.value,
                decision_id=self.id,
                created_at=now,
                expires_at=now + ttl,
                **self._names(),
            )
            for each in noted.used.values()
            if not noted.vault.lasts(each.code, now, ttl)
        )

    def allowed(self) -> AuditRecord:
        """The event that is committed before anything is sent."""
        self.begun = True
        flagged = bool(self.flags or self.would_block)
        payload = self._body() | {
            "effect": str(Effect.FLAG if flagged else Effect.ALLOW),
            "stage": str(Stage.SEND),
            "reasons": _codes(self.flags),
            "would_block": _codes(self.would_block),
        }
        return self._event("exchange.decided", payload)

    def refused(self, refusal: Refuse) -> AuditRecord:
        """The event of a refusal; after a send it is the answer that was withheld."""
        payload = self._body() | {
            "effect": str(Effect.BLOCK),
            "stage": str(refusal.stage),
            "reasons": _codes(refusal.reasons),
            "would_block": _codes(self.would_block),
            "sent": self.decided,
        }
        if self.decided:
            payload |= self._answer_body()
        return self._event("output.blocked" if self.decided else "exchange.blocked", payload, ends=True)

    def withheld(self, reasons: Iterable[Reason]) -> AuditRecord:
        """The event of content that an application wanted to keep and policy does not."""
        payload = {
            "parent": self._parent(),
            "effect": str(Effect.BLOCK),
            "stage": str(Stage.KEEP),
            "reasons": _codes(reasons),
            "findings": tally(self.redactions),
        }
        return self._event("artifact.refused", payload)

    def failed(self, error: BaseException, elapsed_ms: float) -> AuditRecord:
        """The event of a send that raised: only the exception's type is kept."""
        payload = {"parent": self._parent(), "error": type(error).__name__, "elapsed_ms": round(elapsed_ms, 1)}
        if self.streamed is not None:
            payload |= self._answer_body()
        return self._event("exchange.failed", payload, ends=True)

    def rejected(self, status: int, elapsed_ms: float) -> AuditRecord:
        """The event of an error answer (HTTP status 400 and above) that was scanned and handed on."""
        payload = self._answer_body() | {
            "parent": self._parent(),
            "error": "provider.status",
            "status": status,
            "elapsed_ms": round(elapsed_ms, 1),
        }
        return self._event("exchange.failed", payload, ends=True)

    def completed(self, elapsed_ms: float, artifacts: Sequence[ArtifactRecord]) -> AuditRecord:
        """The event of an answer that was delivered."""
        payload = self._answer_body() | {
            "parent": self._parent(),
            "elapsed_ms": round(elapsed_ms, 1),
            "artifacts": [artifact.id for artifact in artifacts],
            "would_block": _codes(self.would_block),
        }
        return self._event("exchange.completed", payload, ends=True)

    def aborted(self) -> AuditRecord:
        """The event of a streamed answer whose reader went away before its end."""
        return self._event("exchange.aborted", self._answer_body() | {"parent": self._parent()}, ends=True)

    def artifact(self, data_class: str, content: str) -> ArtifactRecord:
        """An artifact under the policy's retention rule for its data class."""
        if self.access is None or self.feature is None:  # nothing is kept for an exchange that nobody was admitted to
            raise AssertionError("an artifact needs an admitted exchange")
        rule = self.policy.retention_for(
            data_class, feature=self.feature.name, tenant=self.access.actor.tenant, sensitivity=self.sensitivity
        )
        if rule is None:  # a policy that keeps a class has a rule for it
            raise AssertionError("an artifact needs a retention rule")
        created = self.now()
        return ArtifactRecord(
            decision_id=self.id,
            data_class=data_class,
            content=content,
            feature=self.feature.name,
            **self._names(),
            sensitivity=self.sensitivity,
            policy_hash=self.policy.hash,
            basis=rule.basis,
            owner=rule.owner,
            mechanism=str(rule.mechanism),
            retention=rule.written or str(rule.duration),
            retention_hash=self.policy.retention_hash,
            created_at=created,
            expires_at=created + rule.duration,
        )

    def _parent(self) -> str:
        return self.access.decision_id if self.access is not None else ""

    def _names(self) -> dict[str, str]:
        if self.names is None:  # every record of an exchange carries the same ones
            access = self.access
            own = named(self.pseudonym, access.actor if access else None, access.subject if access else None)
            self.names = own if access is None or access.names is None else dict(access.names)
        return self.names

    def _body(self) -> dict[str, Any]:
        return {
            "parent": self._parent(),
            "provider": self.provider,
            "endpoint": self.endpoint,
            "model": self.model,
            "route": self.access.route if self.access is not None else "",
            "parts": self.parts,
            "sensitivity": self.sensitivity.name.lower(),
            "findings": tally(self.redactions),
            "injection": {"score": round(self.verdict.score, 3), "signatures": list(self.verdict.signatures)},
            "input_tokens_bound": self.input_bound,
            "max_output_tokens": self.max_output_tokens,
            "monitored": self.monitored,
            "environment": self.environment,
        }

    def _answer_body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "answer_findings": tally(self.answer_redactions),
            "restored": self.restored,
            "usage": dict(self.usage),
        }
        if self.flags:
            body["flags"] = _codes(self.flags)
        return body if self.streamed is None else body | {"streamed_chars": self.streamed}

    def _event(self, type: str, payload: Mapping[str, Any], *, ends: bool = False) -> AuditRecord:
        self.ended = self.ended or ends
        return AuditRecord(
            type=type,
            decision_id=self.id,
            **self._names(),
            resource=self.feature.name if self.feature is not None else "",
            policy_hash=self.policy.hash,
            payload=payload,
            at=self.now(),
        )


def _codes(reasons: Iterable[Reason]) -> list[str]:
    return [reason.code for reason in reasons][:MAX_REASONS]


def tally(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Counts by type and operator, as records carry them."""
    table: dict[str, dict[str, int]] = {}
    for (type, operator), count in sorted(counts.items()):
        table.setdefault(type, {})[operator] = count
    return table
