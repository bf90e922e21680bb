"""Service tokens at the door: from an ``Authorization`` header to an actor, or to a refusal that is on record.

Every door asks here. :meth:`ServiceTokens.authenticate` reads the database once when there is a token, and nothing when there
is none; a refusal is committed before it is raised. So it blocks for as long as a key look-up takes (tens of microseconds on
SQLite), and an async door calls it in a thread; ``guard.admit`` likewise.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiguard.drivers import Hands, settle
from aiguard.errors import Blocked, ControlFailed, IntegrityError, MalformedInput, NotAuthenticated, StoreError
from aiguard.identity.tokens import ServiceToken, judge, read_header
from aiguard.types import (
    Actor,
    AuditRecord,
    Clock,
    CredentialUse,
    Decision,
    Effect,
    Reason,
    Record,
    Stage,
)

if TYPE_CHECKING:
    from aiguard.guard import Guard

logger = logging.getLogger("aiguard")

USE_INTERVAL: Final = 60.0
"""Seconds between two notes of one token's use by one process. To see whether a token is still needed, minutes will do."""

MAX_NOTED: Final = 10_000
"""Tokens whose last note a process remembers; one that was forgotten is noted a little earlier."""


class Registry(Protocol):
    """Where tokens are found; ``identity.tables.TokenTable`` is one."""

    def find(self, id: str) -> ServiceToken | None:
        """The token of that id; :class:`StoreError` or :class:`IntegrityError` where it cannot be said."""
        ...


class NoTokens:
    """A registry without tokens, for a guard that was built without a database: each one shown is unknown."""

    def find(self, id: str) -> ServiceToken | None:  # noqa: ARG002 - the protocol's
        """None."""
        return None


class ServiceTokens:
    """Says whose a token is.

    Args:
        registry: where tokens are found; asked at every request, so that a revocation counts at once in every process.
        hands: whose recorder commits.
        names: an actor's and subject's pseudonyms.
        max_lifetime: what policy allows.
        policy_hash: of the policy in force.
        clock: where time comes from.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        hands: Hands,
        names: Callable[[Actor | None, str | None], Mapping[str, str]],
        max_lifetime: timedelta,
        policy_hash: str,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._hands = hands
        self._names = names
        self._max_lifetime = max_lifetime
        self._policy_hash = policy_hash
        self._clock = clock
        self._noted: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def authenticate(self, authorization: str | None, *, route: str = "") -> Actor | None:
        """The service that an ``Authorization`` header's token belongs to; None where the header has no Bearer credential.

        Blocks for one look-up in the database. ``route`` is the route template, for the record.

        Raises:
            NotAuthenticated: the credential is malformed, unknown, revoked, expired, or not yet valid. On record.
            ControlFailed: the database does not answer, or the token's row was tampered with.
        """
        token, reason, seen = self._look_at(authorization)
        authorization = None  # no frame of a refusal's traceback holds the token
        if reason is not None:
            raise self._refused(reason, seen, route)
        if token is None:
            return None
        self._note_use(token)
        return token.actor

    def ambiguous(self, actor: Actor, *, route: str = "") -> Blocked:
        """The refusal, on record, of a request that shows ``actor``'s token and somebody else's sign-in."""
        detail = "the request carries a service token and another sign-in; send one of them"
        return self._refused(Reason(code="actor.ambiguous", detail=detail, status=400), actor, route)

    def _look_at(self, authorization: str | None) -> tuple[ServiceToken | None, Reason | None, ServiceToken | None]:
        """The token if it is good, why it is not, and the token that the caller proved to hold or at least named."""
        try:
            shown = read_header(authorization)
        except MalformedInput as error:
            return None, Reason(code="token.malformed", detail=str(error), status=401), None
        if shown is None:
            return None, None, None
        failure: Reason | None = None
        known: ServiceToken | None = None
        try:
            known = self._registry.find(shown.id)
        except IntegrityError:
            logger.critical("the row of the service token %s is not what was sealed; it is refused", shown.id)
            failure = Reason(code="token.integrity", detail="the service token's record is damaged", status=503)
        except Exception as error:  # noqa: BLE001 - fail closed: who is calling is not known
            logger.critical("a service token could not be looked up: %s", type(error).__name__)
            failure = Reason(code="store.unavailable", detail="who is calling could not be looked up", status=503)
        if failure is not None:
            return None, failure, None
        reason = judge(known, shown, self._clock(), self._max_lifetime)
        return (known if reason is None else None), reason, known

    def _refused(self, reason: Reason, seen: ServiceToken | Actor | None, route: str) -> Blocked:
        decision = Decision(effect=Effect.BLOCK, reasons=(reason,), stage=Stage.ADMIT, policy_hash=self._policy_hash)
        token = seen if isinstance(seen, ServiceToken) else None
        actor = seen.actor if isinstance(seen, ServiceToken) else seen
        payload: dict[str, Any] = {
            "effect": str(decision.effect),
            "stage": str(decision.stage),
            "route": route,
            "reasons": [reason.code],
            "kind": "service",
        }
        if token is not None:
            payload["credential"] = token.id
        try:
            self._commit([self._event("credential.rejected", decision.id, actor, payload)])
        except StoreError as error:
            logger.critical("refused sign-in %s could not be recorded: %s", decision.id, type(error).__name__)
            if reason.status != 503:
                reason = Reason(code="store.unavailable", detail="the refusal could not be recorded", status=503)
                decision = decision.with_(reasons=(reason,))
        return (ControlFailed if reason.status == 503 else NotAuthenticated)(decision)

    def _note_use(self, token: ServiceToken) -> None:
        """Hand the time of use to the writer, at most once a minute; nobody waits for it."""
        now = time.monotonic()
        with self._lock:
            before = self._noted.get(token.id)
            if before is not None and now - before < USE_INTERVAL:
                return
            self._noted[token.id] = now
            self._noted.move_to_end(token.id)
            if len(self._noted) > MAX_NOTED:
                self._noted.popitem(last=False)
        at = self._clock()
        records: list[Record] = [CredentialUse(credential=token.id, at=at)]
        if token.last_used_at is None and before is None:
            decision = Decision.allow(code="token.accepted")
            payload = {"effect": str(decision.effect), "reasons": ["token.accepted"], "credential": token.id}
            records.append(self._event("credential.first_used", decision.id, token.actor, payload))
        self._hands.recorder.commit(records)

    def _event(self, type: str, decision_id: str, actor: Actor | None, payload: Mapping[str, Any]) -> AuditRecord:
        return AuditRecord(
            type=type,
            decision_id=decision_id,
            policy_hash=self._policy_hash,
            payload=payload,
            at=self._clock(),
            **self._names(actor, None),
        )

    def _commit(self, records: Sequence[Record]) -> None:
        settle(self._hands.recorder, records, self._hands.store_timeout)


def bearer_actor(guard: Guard, authorization: str | None, *, route: str = "") -> Actor | None:
    """:meth:`ServiceTokens.authenticate` of a guard: what a door, or a resolver of your own, calls."""
    return guard.tokens.authenticate(authorization, route=route)
