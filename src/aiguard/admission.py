"""Stage 1 for one caller: may this actor use this feature now? The answer is on record before it counts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future

from aiguard.drivers import Hands, settled
from aiguard.errors import AccessDenied, Blocked, ControlFailed, NotAuthenticated, RateLimited, StoreError
from aiguard.identity import Access, Authoriser, decide_access
from aiguard.identity.rates import Counters, Exceeded, uses_of
from aiguard.policy import Feature, Policy
from aiguard.redact import Vault
from aiguard.types import Actor, AuditRecord, Clock, Decision, Effect, Reason, Stage, bound

logger = logging.getLogger("aiguard")


class Admission:
    """Grants access, in the name of one guard.

    Args:
        realm: the guard whose accesses these are; no other accepts them.
        policy: knows the features and their rates.
        authoriser: ``(actor, scope) -> Decision``.
        counters: where uses are counted.
        hands: whose recorder commits.
        names: an actor's and subject's pseudonyms.
        clock: where time comes from.
    """

    def __init__(
        self,
        *,
        realm: object,
        policy: Policy,
        authoriser: Authoriser,
        counters: Counters,
        hands: Hands,
        names: Callable[[Actor | None, str | None], dict[str, str]],
        clock: Clock,
    ) -> None:
        self._realm = realm
        self._policy = policy
        self._authoriser = authoriser
        self._counters = counters
        self._hands = hands
        self._names = names
        self._now = clock

    def admit(
        self,
        actor: Actor | None,
        scope: str,
        *,
        feature: str | None = None,
        subject: str | None = None,
        route: str = "",
        wait: bool = True,
    ) -> Access:
        """Decide, record, and grant, or raise; see :meth:`aiguard.Guard.admit`."""
        named = self._policy.features.get(feature) if feature is not None else self._policy.feature_for_scope(scope)
        decision = decide_access(actor, scope, self._authoriser, policy_hash=self._policy.hash)
        if decision.allowed and named is not None and named.scope != scope:
            decision = decide_access(actor, named.scope, self._authoriser, policy_hash=self._policy.hash)
        if decision.allowed and named is None:
            reason = Reason(code="feature.unknown", detail=f"policy knows no feature for the scope {scope}")
            decision = decision.with_(effect=Effect.BLOCK, reasons=(reason,))
        exceeded: Exceeded | None = None
        if decision.allowed and named is not None:
            decision, exceeded = self._within_rates(decision, actor, named)
        names = bound(self._names(actor, subject or (actor.id if actor is not None else None)))
        recorded = self._record_access(decision, actor, scope, named, names, route, exceeded)
        if wait or not decision.allowed:
            self._settle(decision, recorded)
        if exceeded is not None:
            rate = exceeded.use.rate
            raise RateLimited(decision, limit=rate.limit, window=rate.seconds, retry_after=exceeded.retry_after)
        if not decision.allowed or actor is None or named is None:
            raise _refusal_for(decision)(decision)
        return Access(
            actor=actor,
            feature=named.name,
            scope=scope,
            subject=subject or actor.id,
            decision_id=decision.id,
            realm=self._realm,
            vault=Vault(),
            route=route,
            recorded=None if wait else recorded,
            names=names,
        )

    def settle(self, access: Access) -> None:
        """Wait until the record of a grant is durable; :class:`ControlFailed` if it cannot be."""
        if access.recorded is not None:
            decision = Decision(effect=Effect.ALLOW, id=access.decision_id, policy_hash=self._policy.hash)
            self._settle(decision, access.recorded)

    def _within_rates(
        self, decision: Decision, actor: Actor | None, feature: Feature
    ) -> tuple[Decision, Exceeded | None]:
        """The decision once this use is counted, and the rate that refused it."""
        if not feature.rate and not feature.tenant_rate:
            return decision, None
        names = self._names(actor, None)
        exceeded: Exceeded | None = None
        try:
            exceeded = self._counters.take(uses_of(feature, names["actor"], names["tenant"]))
        except Exception as error:  # noqa: BLE001 - fail closed: a use that was not counted is not allowed
            why = error if isinstance(error, StoreError) else type(error).__name__
            logger.critical("uses of %s could not be counted: %s", feature.name, why)
            detail = "how often this was used could not be counted, so it is refused"
            reason = Reason(code="rate.unavailable", detail=detail, status=503)
        else:
            if exceeded is None:
                return decision, None
            rate = exceeded.use.rate
            detail = f"policy allows {rate.limit} uses in {rate.seconds} s; try again in {exceeded.retry_after} s"
            reason = Reason(code="rate.exceeded", detail=detail, status=429)
        return decision.with_(effect=Effect.BLOCK, reasons=(reason,)), exceeded

    def _record_access(
        self,
        decision: Decision,
        actor: Actor | None,
        scope: str,
        feature: Feature | None,
        names: dict[str, str],
        route: str,
        exceeded: Exceeded | None,
    ) -> Future[None]:
        limit = {} if exceeded is None else {"limit": exceeded.use.rate.limit, "window_s": exceeded.use.rate.seconds}
        record = AuditRecord(
            type="access.allowed" if decision.allowed else "access.denied",
            decision_id=decision.id,
            resource=feature.name if feature is not None else "",
            policy_hash=self._policy.hash,
            payload={
                "effect": str(decision.effect),
                "stage": str(Stage.ADMIT),
                "scope": scope,
                "route": route,
                "reasons": [reason.code for reason in decision.reasons],
                "kind": actor.kind if actor is not None else "none",
                **limit,
            },
            at=self._now(),
            **names,
        )
        return self._hands.recorder.commit([record])

    def _settle(self, decision: Decision, recorded: Future[None]) -> None:
        try:
            settled(recorded, self._hands.store_timeout)
        except StoreError as error:
            failure = type(error).__name__
        else:
            return
        logger.critical("access decision %s could not be recorded: %s", decision.id, failure)
        reason = Reason(code="store.unavailable", detail="the decision could not be recorded, so access is refused")
        raise ControlFailed(decision.with_(effect=Effect.BLOCK, reasons=(reason,)))


def _refusal_for(decision: Decision) -> type[Blocked]:
    status = decision.reasons[0].status if decision.reasons else None
    return {401: NotAuthenticated, 503: ControlFailed}.get(status or 403, AccessDenied)
