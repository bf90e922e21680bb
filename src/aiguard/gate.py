"""The gate before kept content: a scope, a reason, and a record of it before anything is shown.

``guard.artifacts`` and ``guard.reveal`` are made of this. A refusal is on record before it is raised; what is allowed is on record
before it is returned. The reason goes into the audit log under the log's own rules: one sentence of ASCII without a person's data.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from aiguard.audit.payload import PayloadRefused
from aiguard.drivers import Hands, settle
from aiguard.errors import AccessDenied, Blocked, ConfigurationError, ControlFailed, NotAuthenticated, StoreError
from aiguard.identity import Authoriser, decide_access
from aiguard.types import Actor, AuditRecord, Clock, Decision, Effect, KnownName, Reason, Stage

logger = logging.getLogger("aiguard")

MAX_REASON: Final = 400
"""Characters of a reason, as the log takes them."""

Names = Callable[[Actor | None, str | None], Mapping[str, str]]


class Gate:
    """Decides whether somebody may see kept content, and has it recorded.

    Args:
        hands: whose recorder commits.
        names: an actor's and subject's pseudonyms.
        authoriser: says which scopes an actor has.
        policy_hash: of the policy in force.
        clock: where time comes from.
    """

    def __init__(self, *, hands: Hands, names: Names, authoriser: Authoriser, policy_hash: str, clock: Clock) -> None:
        self.names = names
        self.now = clock
        self._hands = hands
        self._authoriser = authoriser
        self._policy_hash = policy_hash

    def tenant(self, actor: Actor) -> str:
        """The pseudonym of the actor's tenant; empty for none."""
        return self.names(actor, None)["tenant"]

    def allow(self, actor: Actor | None, scopes: Sequence[str], reason: str, *, refused: str) -> Decision:
        """Whether ``actor`` has every scope and gives a reason. ``refused`` is the type of the event that says otherwise.

        Raises:
            NotAuthenticated, AccessDenied, ControlFailed: it was refused; that is on record.
            ConfigurationError: no reason was given, or it is too long.
        """
        if not isinstance(reason, str) or not reason.strip() or len(reason) > MAX_REASON:
            raise ConfigurationError(f"a reason of 1 to {MAX_REASON} characters is needed, which the audit log keeps")
        decision = Decision(effect=Effect.ALLOW, policy_hash=self._policy_hash)
        for scope in scopes:
            answer = decide_access(actor, scope, self._authoriser, policy_hash=self._policy_hash)
            if not answer.allowed:
                self.refuse(actor, answer.with_(id=decision.id), reason, refused=refused, scopes=scopes)
        return decision

    def refuse(
        self, actor: Actor | None, decision: Decision, reason: str, *, refused: str, scopes: Sequence[str] = ()
    ) -> NoReturn:
        """Record a refusal and raise it."""
        payload = {
            "effect": str(Effect.BLOCK),
            "stage": str(Stage.ADMIT),
            "scopes": list(scopes),
            "reasons": [each.code for each in decision.reasons],
        }
        self.record(refused, actor, decision, reason, [("", payload)])
        status = decision.reasons[0].status if decision.reasons else None
        kinds: dict[int, type[Blocked]] = {401: NotAuthenticated, 503: ControlFailed}
        raise kinds.get(status or 403, AccessDenied)(decision)

    def deny(
        self, actor: Actor | None, decision: Decision, code: str, detail: str, reason: str, *, refused: str
    ) -> NoReturn:
        """Refuse for a reason of our own."""
        why = Reason(code=code, detail=detail)
        self.refuse(actor, decision.with_(effect=Effect.BLOCK, reasons=(why,)), reason, refused=refused)

    def record(
        self,
        type: str,
        actor: Actor | None,
        decision: Decision,
        reason: str,
        told: Sequence[tuple[str, Mapping[str, Any]]],
    ) -> None:
        """Commit events, each about a person (by the name that rows carry) with its payload; all of them or none.

        Raises:
            ControlFailed: they could not be recorded, so nothing is shown.
            StoreError: the reason may not stand in the log.
        """
        names = self.names(actor, None)
        records = [
            AuditRecord(
                type=type,
                decision_id=decision.id,
                actor=names["actor"],
                tenant=names["tenant"],
                subject=KnownName(subject),
                policy_hash=self._policy_hash,
                payload={**payload, "note": reason},
                at=self.now(),
            )
            for subject, payload in told
        ]
        try:
            settle(self._hands.recorder, records, self._hands.store_timeout)
        except StoreError as error:
            if isinstance(error, PayloadRefused):
                raise
            failure = error.__class__.__name__
        else:
            return
        logger.critical("decision %s could not be recorded: %s", decision.id, failure)
        why = Reason(code="store.unavailable", detail="it could not be recorded, so nothing is shown")
        raise ControlFailed(decision.with_(effect=Effect.BLOCK, reasons=(why,)))
