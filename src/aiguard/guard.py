"""``Guard``: the thin facade that applications hold. It grants access, and it runs calls through the pipeline.

A guard decides nothing itself: access is decided by ``identity``, calls by ``pipeline``. It keeps no state between exchanges
but the vaults of conversations, each bound to one tenant and one actor. ``runtime.py`` builds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from aiguard.admission import Admission
from aiguard.artifacts import Artifacts, Shelf
from aiguard.bearer import NoTokens, Registry, ServiceTokens
from aiguard.conversations import Conversations
from aiguard.detect.models import Model
from aiguard.detect.tuned import Detectors
from aiguard.drivers import Hands, arun, recall, run, settle
from aiguard.errors import ConfigurationError
from aiguard.gate import Gate
from aiguard.handler import connect, need_credential
from aiguard.identity import (
    Access,
    Authoriser,
    Conversation,
    acting,
    current_access,
    has_scope,
    hold,
    inside_generator,
    named,
)
from aiguard.identity.rates import Counters, MemoryCounters
from aiguard.injection import Defence, token_upper_bound
from aiguard.output import AnswerRules
from aiguard.pipeline import Controls, Opened, exchange
from aiguard.plain import AnyModel, AnyModelAsync, AnyModelAsyncStream, AnyModelStream, PlainCall
from aiguard.policy import Feature, Policy
from aiguard.pouring import AsyncPour, Pour
from aiguard.redact import KeptVault, Vault
from aiguard.restoring import restore as restore_text
from aiguard.revealing import Requests, Reveals
from aiguard.scan import Recognizer
from aiguard.settings import Settings
from aiguard.store import VaultTable
from aiguard.streamed import TextAnswer, relay
from aiguard.types import Actor, AuditRecord, Clock, Detector, KeyRing, Recorder, SubjectKeys, new_id, utc_now

ClientT = TypeVar("ClientT")


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
        self.lines = detectors.lines
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
        self._admission = Admission(
            realm=self,
            policy=policy,
            authoriser=authoriser,
            counters=MemoryCounters() if counters is None else counters,
            hands=self.hands,
            names=self.names,
            clock=clock,
        )
        self._conversations = Conversations(keys, kept=store is not None)
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
        return self._admission.admit(actor, scope, feature=feature, subject=subject, route=route, wait=wait)

    def settle(self, access: Access) -> None:
        """Wait until the record of a grant is durable; :class:`ControlFailed` if it cannot be."""
        self._admission.settle(access)

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
        ``model`` is ``provider:model`` as policy lists it. Options and answer must be JSON-able; all of it is scanned. An answer
        larger than ``AIGUARD_MAX_RESPONSE_BYTES`` is refused.
        """
        plain = self._plain(messages, model, options)
        return run(exchange(self.controls, current_access(), plain), self.hands, plain.sender(fn)).answer

    async def acall(self, fn: AnyModelAsync, messages: Any, *, model: str, **options: Any) -> Any:
        """:meth:`call` for an async ``fn``."""
        plain = self._plain(messages, model, options)
        return (await arun(exchange(self.controls, current_access(), plain), self.hands, plain.asender(fn))).answer

    def stream(self, fn: AnyModelStream, messages: Any, *, model: str, **options: Any) -> Pour[str]:
        """:meth:`call` for an ``fn`` that returns an iterable of texts: the answer's text, piece by piece.

        What comes out is, put together, what :meth:`call` would have returned. The request is decided and sent before this
        returns; a refusal in the middle is raised by the iterator. Close it (``contextlib.closing``) to stop early.
        """
        plain = self._plain(messages, model, options, streams=True)
        done = run(exchange(self.controls, current_access(), plain), self.hands, plain.sender(fn))
        opened: Opened = done.answer
        return Pour(relay(opened, TextAnswer(self.controls, opened, plain.limit())), self.hands, opened)

    async def astream(self, fn: AnyModelAsyncStream, messages: Any, *, model: str, **options: Any) -> AsyncPour[str]:
        """:meth:`stream` for an ``fn`` that returns, or resolves to, an async iterable of texts."""
        plain = self._plain(messages, model, options, streams=True)
        done = await arun(exchange(self.controls, current_access(), plain), self.hands, plain.asender(fn))
        opened: Opened = done.answer
        return AsyncPour(relay(opened, TextAnswer(self.controls, opened, plain.limit())), self.hands, opened)

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
            **self.names_under(access),
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

    def names(self, actor: Actor | None, subject: str | None) -> dict[str, str]:
        """The keyed pseudonyms of an actor, a data subject and their tenant; they find people's keys."""
        return named(self.keys.pseudonym, actor, subject)

    def names_under(self, access: Access | None) -> dict[str, str]:
        """The names that records under an access carry; nobody's without one. Of another guard's access, names of this one's keys."""
        if access is not None and access.realm is self and access.names is not None:
            return dict(access.names)
        return self.names(access.actor if access else None, access.subject if access else None)

    def recorded_names(self, actor: Actor | None, subject: str | None) -> dict[str, str]:
        """What rows and events say for them: for people, the names that come from their own keys. Asks the key store."""
        names = self.names(actor, subject)
        if isinstance(self.keys, SubjectKeys):
            keys = self.keys.subject_keys([names[role] for role in ("actor", "subject") if names[role]])
            names |= {role: keys[names[role]].name for role in ("actor", "subject") if names[role]}
        return names

    def _plain(self, messages: Any, model: str, options: Mapping[str, Any], *, streams: bool = False) -> PlainCall:
        most = self.settings.max_response_bytes
        return PlainCall(messages=messages, model=model, options=options, max_answer_bytes=most, streams=streams)

    def _looks_clean(self, text: str) -> bool:
        return (
            len(text) <= 120
            and all(c.isascii() and (c.isalnum() or c in "._:/-") for c in text)
            and not self.detector.detect(text)
        )


def _answer_rules(feature: Feature) -> AnswerRules:
    return AnswerRules(block_patterns=feature.output.block_patterns, json_schema=feature.output.json_schema)
