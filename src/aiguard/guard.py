"""``Guard``: the thin facade that applications hold. It grants access, and it runs calls through the pipeline.

A guard decides nothing itself: access is decided by ``identity``, calls by ``pipeline``. It keeps no state between exchanges
but the vaults of conversations, each bound to one tenant and one actor. ``runtime.py`` builds it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from aiguard.artifacts import Artifacts, Shelf
from aiguard.bearer import NoTokens, Registry, ServiceTokens
from aiguard.detect.models import Model
from aiguard.detect.tuned import Detectors
from aiguard.drivers import Hands, arun, recall, run, settle, settled
from aiguard.errors import (
    AccessDenied,
    Blocked,
    ConfigurationError,
    ControlFailed,
    NotAuthenticated,
    RateLimited,
    StoreError,
)
from aiguard.gate import Gate
from aiguard.identity import (
    Access,
    Authoriser,
    Conversation,
    acting,
    current_access,
    decide_access,
    has_scope,
    hold,
    inside_generator,
    named,
)
from aiguard.identity.rates import Counters, Exceeded, MemoryCounters, uses_of
from aiguard.injection import Defence, token_upper_bound
from aiguard.output import AnswerRules
from aiguard.pipeline import Controls, Delivered, Opened, exchange
from aiguard.pipeline import restore as restore_text
from aiguard.plain import AnyModel, AnyModelAsync, AnyModelAsyncStream, AnyModelStream, PlainCall
from aiguard.policy import Feature, Policy
from aiguard.pouring import AsyncPour, Flow, Pour
from aiguard.problems import DECISION_HEADER
from aiguard.providers import RawRequest, RawResponse, RawStream
from aiguard.providers.clients import guarded_client, provider_of
from aiguard.providers.exchange import AsyncSend, Send
from aiguard.providers.wire import WireRequest, WireResponse, wire_for
from aiguard.redact import KeptVault, Vault
from aiguard.revealing import Requests, Reveals
from aiguard.scan import Recognizer
from aiguard.settings import Settings
from aiguard.store import VaultTable
from aiguard.streamed import AnswerStream, TextAnswer, relay
from aiguard.types import (
    Actor,
    AuditRecord,
    Clock,
    Decision,
    Detector,
    Effect,
    KeyRing,
    Reason,
    Recorder,
    Stage,
    SubjectKeys,
    new_id,
    utc_now,
)

logger = logging.getLogger("aiguard")

ClientT = TypeVar("ClientT")

PROVIDER_URLS = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com/v1"}
"""Where each provider's API is, unless settings say otherwise."""

MAX_CONVERSATIONS = 10_000
"""Conversations whose tokens are kept in memory at once; the least recently used goes first (its tokens stay unrestored)."""

CONVERSATION_TTL = 3_600.0
"""Seconds since its last use after which a conversation's tokens are forgotten."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """Where what a guard keeps is found again."""

    vaults: VaultTable
    artifacts: Shelf
    requests: Requests


class Guard:
    """Guards the calls of one application.

    Args:
        policy: what is allowed.
        settings: where things are.
        detector: finds what is in texts; policy adds to it and leaves out.
        recognizers: entity types of the application's own.
        models: language models by the name under which policy asks for them.
        recorder: commits decisions and artifacts; a call waits for it.
        keys: seals, and makes pseudonyms.
        authoriser: ``(actor, scope) -> Decision``; by default the actor must carry the scope.
        count_tokens: an upper bound of the tokens in some texts; by default their UTF-8 bytes, which no byte-level
            tokenizer exceeds. Give your model's own counter to use ``max_input_tokens`` to the full.
        clock: where time comes from.
        on_close: called once by :meth:`close`.
        tokens: where service tokens are found; by default there are none.
        counters: where uses are counted for rate limits; by default in this process.
        record_within: writes an event in the transaction of a session; by default that cannot be asked for.
        store: where what is kept is found again; without one, conversations' values stay in this process.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        settings: Settings,
        detector: Detector,
        recorder: Recorder,
        keys: KeyRing,
        authoriser: Authoriser = has_scope,
        recognizers: Sequence[Recognizer] = (),
        models: Mapping[str, Model] | None = None,
        count_tokens: Callable[[Sequence[str]], int] = token_upper_bound,
        clock: Clock = utc_now,
        on_close: Callable[[], None] | None = None,
        tokens: Registry | None = None,
        counters: Counters | None = None,
        record_within: Callable[[Any, AuditRecord], None] | None = None,
        store: Kept | None = None,
    ) -> None:
        self.policy = policy
        self.settings = settings
        self.keys = keys
        detectors = Detectors(policy, detector, recognizers=recognizers, models=models)
        self.detector = detectors.base
        self._authoriser = authoriser
        self.now = clock
        self._on_close = on_close
        self._record_within = record_within
        # Built now: a rule that cannot be built stops the start, not a request.
        defence = Defence.for_policy(policy.signatures)
        answers = {name: _answer_rules(feature) for name, feature in policy.features.items()}
        self.hands = Hands(
            recorder=recorder,
            store_timeout=settings.store_timeout_seconds,
            archive=store.vaults if store is not None else None,
        )
        self.controls = Controls(
            policy=policy,
            environment=settings.environment,
            realm=self,
            detectors=detectors.of,
            defences=lambda _feature: defence,
            answer_rules=lambda feature: answers[feature.name],
            pseudonym=keys.pseudonym,
            count_tokens=count_tokens,
            looks_clean=self._looks_clean,
            now=clock,
        )
        self.tokens = ServiceTokens(
            registry=NoTokens() if tokens is None else tokens,
            hands=self.hands,
            names=self.names,
            max_lifetime=policy.service_tokens.max_lifetime,
            policy_hash=policy.hash,
            clock=clock,
        )
        self._counters = MemoryCounters() if counters is None else counters
        self._conversations = _Conversations(keys, kept=store is not None)
        gate = Gate(hands=self.hands, names=self.names, authoriser=authoriser, policy_hash=policy.hash, clock=clock)
        self.artifacts = Artifacts(
            shelf=store.artifacts if store is not None else None, gate=gate, controls=self.controls, hands=self.hands
        )
        self._reveals = Reveals(
            values=store.vaults if store is not None else None,
            requests=store.requests if store is not None else None,
            gate=gate,
            rule=policy.vault,
            name_of=lambda actor: self.recorded_names(actor, None)["actor"],
        )

    # --- access -------------------------------------------------------------------------------------------------

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
        """Stage 1 for one caller: decide, record, and grant.

        With ``wait=False`` a grant is handed out while its record is being committed; the door then calls :meth:`settle`
        before it answers, and the pipeline waits for it before it sends. A refusal is always on record first. It blocks
        for that, and while Redis counts a use where policy sets a rate; async doors call it in a thread.

        Raises:
            NotAuthenticated: ``actor`` is None.
            AccessDenied: the scope is missing, or policy knows no such feature.
            RateLimited: the actor, or its tenant, has used the feature as often as policy allows for now.
            ControlFailed: the authoriser threw, uses could not be counted, or the decision could not be recorded.
        """
        named = self.policy.features.get(feature) if feature is not None else self.policy.feature_for_scope(scope)
        decision = decide_access(actor, scope, self._authoriser, policy_hash=self.policy.hash)
        if decision.allowed and named is not None and named.scope != scope:
            decision = decide_access(actor, named.scope, self._authoriser, policy_hash=self.policy.hash)
        if decision.allowed and named is None:
            reason = Reason(code="feature.unknown", detail=f"policy knows no feature for the scope {scope}")
            decision = decision.with_(effect=Effect.BLOCK, reasons=(reason,))
        exceeded: Exceeded | None = None
        if decision.allowed and named is not None:
            decision, exceeded = self._within_rates(decision, actor, named)
        recorded = self._record_access(decision, actor, scope, named, subject, route, exceeded)
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
            realm=self,
            vault=Vault(),
            route=route,
            recorded=None if wait else recorded,
        )

    def settle(self, access: Access) -> None:
        """Wait until the record of a grant is durable; :class:`ControlFailed` if it cannot be."""
        if access.recorded is not None:
            decision = Decision(effect=Effect.ALLOW, id=access.decision_id, policy_hash=self.policy.hash)
            self._settle(decision, access.recorded)

    @contextmanager
    def acting_as(
        self,
        actor: Actor,
        *,
        scope: str,
        feature: str | None = None,
        subject: str | None = None,
        conversation: str | None = None,
    ) -> Iterator[Access]:
        """Use AI as ``actor`` for the block: jobs, scripts, tests. Decided and recorded like a request's access.

        Raises:
            ConfigurationError: the block stands in a generator, whose steps would take on the identity of whoever runs them.
            Blocked: as :meth:`admit`.
        """
        if inside_generator():
            raise ConfigurationError(
                "guard.acting_as(...) cannot be opened inside a generator: between two steps its identity would be the "
                "caller's, and at the next step the caller's its own; open it around the loop that runs the generator"
            )
        access = self.admit(actor, scope, feature=feature, subject=subject)
        if conversation is not None:
            access = access.within(self._conversations.get(access, conversation))
        with acting(access):
            yield access

    @contextmanager
    def conversation(self, id: str) -> Iterator[Conversation]:
        """Keep tokens stable over the calls of one conversation of the current actor.

        The same value gets the same token in every block with this ``id``, tenant and actor, in any process; another
        actor who names the same ``id`` gets another conversation.

        Raises:
            ConfigurationError: there is no current access.
        """
        access = current_access()
        if access is None or access.realm is not self:
            raise ConfigurationError("guard.conversation(...) needs a guarded route or guard.acting_as(...) around it")
        if inside_generator() and not access.lease.stepping:
            raise ConfigurationError(
                "guard.conversation(...) cannot be opened inside a generator, but in one that a guarded view streams; "
                "open it around the loop that runs the generator"
            )
        conversation = self._conversations.get(access, id)
        with hold(access.within(conversation)):
            yield conversation

    # --- calls --------------------------------------------------------------------------------------------------

    def client(self, cls: type[ClientT], **options: Any) -> ClientT:
        """A client of the given SDK class whose every request passes the pipeline.

        ``options`` go to the class, without those that would lead around the guard (base URL, HTTP client, credential):
        they come from settings.
        """
        need_credential(cls, self.settings)
        return connect(cls, lambda: self, self.settings, **options)

    def call(self, fn: AnyModel, messages: Any, *, model: str, **options: Any) -> Any:
        """Call ``fn(messages, model=…, max_output_tokens=…, **options)`` through the pipeline.

        For models that are not behind HTTP. ``messages`` is a string or a JSON-able list of ``{"role", "content"}``;
        ``model`` is ``provider:model`` as policy lists it. Options and answer must be JSON-able; all of it is scanned.
        """
        plain = PlainCall(messages=messages, model=model, options=options)
        return run(exchange(self.controls, current_access(), plain), self.hands, plain.sender(fn)).answer

    async def acall(self, fn: AnyModelAsync, messages: Any, *, model: str, **options: Any) -> Any:
        """:meth:`call` for an async ``fn``."""
        plain = PlainCall(messages=messages, model=model, options=options)
        return (await arun(exchange(self.controls, current_access(), plain), self.hands, plain.asender(fn))).answer

    def stream(self, fn: AnyModelStream, messages: Any, *, model: str, **options: Any) -> Pour[str]:
        """:meth:`call` for an ``fn`` that returns an iterable of texts: the answer's text, piece by piece.

        What comes out is, put together, what :meth:`call` would have returned. The request is decided and sent before this
        returns; a refusal in the middle is raised by the iterator. Close it (``contextlib.closing``) to stop early.
        """
        plain = PlainCall(messages=messages, model=model, options=options, streams=True)
        done = run(exchange(self.controls, current_access(), plain), self.hands, plain.sender(fn))
        opened: Opened = done.answer
        return Pour(relay(opened, TextAnswer(self.controls, opened)), self.hands, opened)

    async def astream(self, fn: AnyModelAsyncStream, messages: Any, *, model: str, **options: Any) -> AsyncPour[str]:
        """:meth:`stream` for an ``fn`` that returns, or resolves to, an async iterable of texts."""
        plain = PlainCall(messages=messages, model=model, options=options, streams=True)
        done = await arun(exchange(self.controls, current_access(), plain), self.hands, plain.asender(fn))
        opened: Opened = done.answer
        return AsyncPour(relay(opened, TextAnswer(self.controls, opened)), self.hands, opened)

    # --- what was kept ------------------------------------------------------------------------------------------

    def restore(self, text: str) -> str:
        """``text`` with the tokens of the current conversation turned back for its actor, links left as they are.

        For what an application kept with tokens in it and shows again. It reads the database; an async application
        calls it in a thread.

        Raises:
            ConfigurationError: there is no current access, or its feature's policy turns no tokens back.
            StoreError: the database could not be read.
        """
        access = current_access()
        if access is None or access.realm is not self:
            raise ConfigurationError("guard.restore(...) needs a guarded route or guard.acting_as(...) around it")
        if not self.policy.features[access.feature].output.restore:
            raise ConfigurationError("the feature's policy says restore = false, so its tokens are not turned back")
        vault = cast("Vault", access.tokens)
        if isinstance(vault, KeptVault):
            recall(self.hands, vault)
        restored, values = restore_text(vault, text)
        access.lease.note_restored(values)
        return restored

    def reveal(self, token: str, actor: Actor | None, reason: str, *, request: str | None = None) -> str:
        """The value behind a token of a conversation, for an actor with the scope ``vault:reveal`` in the same tenant.

        Args:
            token: as it stands in a kept prompt, ``[EMAIL_…]``.
            actor: who wants to see it.
            reason: why, one sentence for the audit log: a ticket, a matter, never a person's data.
            request: the id of an approved request, where policy says ``[vault] four_eyes = true``.

        Raises:
            AccessDenied, NotAuthenticated: refused, and on record; also for a token that stands for nothing.
            ControlFailed: it could not be recorded, so nothing is shown.
            ConfigurationError: there is no reason.
        """
        return self._reveals.reveal(token, actor, reason, request=request)

    def request_reveal(self, token: str, actor: Actor | None, reason: str) -> str:
        """Ask for a value that a second person has to approve; the request's id. It stands for a day, and for one use."""
        return self._reveals.ask(token, actor, reason)

    def approve_reveal(self, request: str, actor: Actor | None, reason: str) -> None:
        """Approve somebody else's request; needs the scope ``vault:approve``. Raises as :meth:`reveal` does."""
        self._reveals.approve(request, actor, reason)

    # --- records ------------------------------------------------------------------------------------------------

    def record(
        self,
        type: str,
        decision_id: str | None = None,
        *,
        resource: str = "",
        payload: Mapping[str, Any] | None = None,
        session: Any = None,
    ) -> str:
        """Commit one audit event about the current access, and wait for it; the decision id that it is told under.

        Args:
            type: one of ``aiguard.audit.CATALOGUE``, or the application's own ``app.…``.
            decision_id: what it belongs to; by default the current access's decision, else a new one.
            resource: a feature's name or a route template.
            payload: types, counts and ids; never text of a person.
            session: an SQLAlchemy session or connection on the evidence database. Then the event stands or falls with its
                transaction, and enters the log a moment after the commit. An ``AsyncSession`` lends its own by
                ``await session.run_sync(lambda own: guard.record(…, session=own))``.

        Raises:
            StoreError: the event may not be recorded, or the database could not be used.
            ConfigurationError: ``session`` leads to another database.
        """
        access = current_access()
        id = decision_id or (access.decision_id if access is not None else new_id("agd"))
        record = AuditRecord(
            type=type,
            decision_id=id,
            resource=resource,
            policy_hash=self.policy.hash,
            payload=payload or {},
            at=self.now(),
            **self.names(access.actor if access else None, access.subject if access else None),
        )
        if session is None:
            settle(self.hands.recorder, [record], self.hands.store_timeout)
        elif self._record_within is None:
            raise ConfigurationError(
                "this guard has no outbox; build it with aiguard.open_guard(...), or leave session out"
            )
        else:
            self._record_within(session, record)
        return id

    def close(self) -> None:
        """Write what is queued and let the database go."""
        if self._on_close is not None:
            self._on_close()
            self._on_close = None

    def _within_rates(
        self, decision: Decision, actor: Actor | None, feature: Feature
    ) -> tuple[Decision, Exceeded | None]:
        """The decision once this use is counted, and the rate that refused it."""
        if not feature.rate and not feature.tenant_rate:
            return decision, None
        names = self.names(actor, None)
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
        subject: str | None,
        route: str,
        exceeded: Exceeded | None,
    ) -> Future[None]:
        limit = {} if exceeded is None else {"limit": exceeded.use.rate.limit, "window_s": exceeded.use.rate.seconds}
        record = AuditRecord(
            type="access.allowed" if decision.allowed else "access.denied",
            decision_id=decision.id,
            resource=feature.name if feature is not None else "",
            policy_hash=self.policy.hash,
            payload={
                "effect": str(decision.effect),
                "stage": str(Stage.ADMIT),
                "scope": scope,
                "route": route,
                "reasons": [reason.code for reason in decision.reasons],
                "kind": actor.kind if actor is not None else "none",
                **limit,
            },
            at=self.now(),
            **self.names(actor, subject or (actor.id if actor is not None else None)),
        )
        return self.hands.recorder.commit([record])

    def _settle(self, decision: Decision, recorded: Future[None]) -> None:
        try:
            settled(recorded, self.hands.store_timeout)
        except StoreError as error:
            failure = type(error).__name__
        else:
            return
        logger.critical("access decision %s could not be recorded: %s", decision.id, failure)
        reason = Reason(code="store.unavailable", detail="the decision could not be recorded, so access is refused")
        raise ControlFailed(decision.with_(effect=Effect.BLOCK, reasons=(reason,)))

    def names(self, actor: Actor | None, subject: str | None) -> dict[str, str]:
        """The keyed pseudonyms of an actor, a data subject and their tenant; they find people's keys."""
        return named(self.keys.pseudonym, actor, subject)

    def recorded_names(self, actor: Actor | None, subject: str | None) -> dict[str, str]:
        """What rows and events say for them: for people, the names that come from their own keys. Asks the key store."""
        names = self.names(actor, subject)
        if isinstance(self.keys, SubjectKeys):
            keys = self.keys.subject_keys([names[role] for role in ("actor", "subject") if names[role]])
            names |= {role: keys[names[role]].name for role in ("actor", "subject") if names[role]}
        return names

    def _looks_clean(self, text: str) -> bool:
        return (
            len(text) <= 120
            and all(c.isascii() and (c.isalnum() or c in "._:/-") for c in text)
            and not self.detector.detect(text)
        )


def connect(cls: type[ClientT], resolve: Callable[[], Guard], settings: Settings, **options: Any) -> ClientT:
    """A guarded client of ``cls`` for whichever guard ``resolve`` gives at the time of a call.

    It reaches the base URL of ``settings``. A guard in charge whose settings name another one is refused the use of the
    client, so that no credential goes to another's server.
    """
    provider = provider_of(cls)
    base_url = _base_url(settings, provider)

    def credential() -> str:
        current = resolve().settings
        if _base_url(current, provider) != base_url:
            raise ConfigurationError(
                f"the client was made for another base URL than this application's; create it after init_app({provider})"
            )
        return current.credential(provider).reveal()

    options.setdefault("timeout", settings.provider_timeout_seconds)
    return guarded_client(
        cls,
        handler=ExchangeHandler(resolve),
        credential=credential,
        base_url=base_url,
        max_response_bytes=settings.max_response_bytes,
        **options,
    )


def need_credential(cls: type[Any], settings: Settings) -> None:
    """Let a missing credential stop the start and not the first request; on a developer's machine it may come later."""
    if not settings.environment.relaxed:
        settings.credential(provider_of(cls))


def _base_url(settings: Settings, provider: str) -> str:
    return settings.base_url(provider) or PROVIDER_URLS[provider]


class WireCall:
    """One HTTP request of an SDK, as the pipeline sees it: its provider's wire format lays it open."""

    def __init__(self, raw: RawRequest) -> None:
        self.provider = raw.provider
        self._raw = raw
        self._wire = wire_for(raw.provider)

    def read(self) -> WireRequest:
        """Lay the request open; :class:`MalformedInput` for an unknown endpoint, field or shape."""
        return self._wire.request(self._raw)

    def answer(self, request: WireRequest, raw: RawResponse) -> WireResponse:
        """Lay the answer open; :class:`MalformedInput` for what cannot be read."""
        return self._wire.response(request, raw)

    def said(self, answer: WireResponse, texts: Sequence[str]) -> list[str]:
        """The texts that the answer's messages show."""
        read = zip(answer.parts, texts, strict=True)
        return [text for part, text in read if part.channel == "prose" and part.role == "assistant"]

    def status(self, raw: RawResponse) -> int:
        """The HTTP status of the answer."""
        return raw.status

    def relay(self, guard: Guard, opened: Opened) -> Flow:
        """Stages 6 and 7 of an answer that is still arriving."""
        request = cast("WireRequest", opened.outgoing.request)
        return relay(opened, AnswerStream(guard.controls, opened, self._wire.stream(request)))

    def arriving(self, raw: RawResponse | RawStream) -> bool:
        """Whether the transport handed on a stream."""
        return isinstance(raw, RawStream)


class ExchangeHandler:
    """What guarded transports hand their requests to. ``resolve`` gives the guard in charge at the time of the call.

    The answer carries the exchange's id in the header ``x-aiguard-decision-id``.
    """

    def __init__(self, resolve: Callable[[], Guard]) -> None:
        self._resolve = resolve

    def handle(self, request: RawRequest, send: Send) -> RawResponse | RawStream:
        """Run one request through the pipeline, sending with ``send``."""
        guard, call = self._resolve(), WireCall(request)
        done = run(exchange(guard.controls, current_access(), call), guard.hands, send)
        if not isinstance(done.answer, Opened):
            return _labelled(done)
        pour: Pour[bytes] = Pour(call.relay(guard, done.answer), guard.hands, done.answer)
        return _poured(done, pour, pour.close)

    async def ahandle(self, request: RawRequest, send: AsyncSend) -> RawResponse | RawStream:
        """:meth:`handle` on the event loop."""
        guard, call = self._resolve(), WireCall(request)
        done = await arun(exchange(guard.controls, current_access(), call), guard.hands, send)
        if not isinstance(done.answer, Opened):
            return _labelled(done)
        pour: AsyncPour[bytes] = AsyncPour(call.relay(guard, done.answer), guard.hands, done.answer)
        return _poured(done, pour, pour.aclose)

    def refused(self, refusal: Blocked, *, provider: str) -> None:
        """Record what a transport refused before any stage saw it. Nobody waits: nothing was sent, nothing will be."""
        guard, access = self._resolve(), current_access()
        record = AuditRecord(
            type="exchange.blocked",
            decision_id=refusal.decision_id,
            resource=access.feature if access is not None else "",
            policy_hash=guard.policy.hash,
            payload={
                "provider": provider,
                "parent": access.decision_id if access is not None else "",
                "effect": str(refusal.decision.effect),
                "stage": str(refusal.decision.stage),
                "reasons": [reason.code for reason in refusal.reasons],
                "sent": False,
            },
            at=guard.now(),
            **guard.names(access.actor if access else None, access.subject if access else None),
        )
        guard.hands.recorder.commit([record])


def _poured(done: Delivered, pour: Pour[bytes] | AsyncPour[bytes], close: Callable[[], Any]) -> RawStream:
    headers = (("content-type", "text/event-stream"), (DECISION_HEADER, done.decision_id))
    return RawStream(status=done.answer.raw.status, headers=headers, chunks=pour, close=close)


def _labelled(delivered: Delivered) -> RawResponse:
    answer: RawResponse = delivered.answer
    return replace(answer, headers=(*answer.headers, (DECISION_HEADER, delivered.decision_id)))


class _Conversations:
    """The vaults of conversations: bounded, forgotten when unused, keyed by tenant, actor and id."""

    def __init__(self, keys: KeyRing, *, kept: bool) -> None:
        self._keys = keys
        self._kept = kept
        self._lock = threading.Lock()
        self._vaults: OrderedDict[str, tuple[float, Vault]] = OrderedDict()

    def get(self, access: Access, id: str) -> Conversation:
        if not id or len(id) > 512:
            raise ConfigurationError("a conversation id is a text of 1 to 512 characters")
        actor = access.actor
        tenant = "-" if actor.tenant is None else f"{len(actor.tenant)}:{actor.tenant}"
        owner = f"{tenant}:{actor.kind}:{len(actor.id)}:{actor.id}:{id}"
        name = self._keys.pseudonym("conversation", owner)
        now = time.monotonic()
        with self._lock:
            while self._vaults and next(iter(self._vaults.values()))[0] < now - CONVERSATION_TTL:
                self._vaults.popitem(last=False)
            _, vault = self._vaults.pop(name, (now, None))
            if vault is None:
                vault = self._new(access, name)
            self._vaults[name] = (now, vault)
            if len(self._vaults) > MAX_CONVERSATIONS:
                self._vaults.popitem(last=False)
        return Conversation(id=id, vault=vault)

    def _new(self, access: Access, name: str) -> Vault:
        if not self._kept:
            return Vault(name.encode())
        return KeptVault(actor=named(self._keys.pseudonym, access.actor, None)["actor"], conversation=name)


def _answer_rules(feature: Feature) -> AnswerRules:
    return AnswerRules(block_patterns=feature.output.block_patterns, json_schema=feature.output.json_schema)


def _refusal_for(decision: Decision) -> type[Blocked]:
    status = decision.reasons[0].status if decision.reasons else None
    return {401: NotAuthenticated, 503: ControlFailed}.get(status or 403, AccessDenied)
