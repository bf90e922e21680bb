"""Guarded clients: how a request of an SDK gets into the pipeline, and its answer back to the SDK.

``connect`` makes the client. Its transport hands every request to an :class:`ExchangeHandler`, which runs it through the
pipeline of whichever guard is in charge at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from aiguard.drivers import arun, run
from aiguard.errors import Blocked, ConfigurationError
from aiguard.identity import current_access
from aiguard.pipeline import Delivered, Opened, exchange
from aiguard.pouring import AsyncPour, Flow, Pour
from aiguard.problems import DECISION_HEADER
from aiguard.providers import RawRequest, RawResponse, RawStream
from aiguard.providers.clients import guarded_client, provider_of
from aiguard.providers.exchange import AsyncSend, Send
from aiguard.providers.wire import WireRequest, WireResponse, wire_for
from aiguard.settings import Settings
from aiguard.streamed import AnswerStream, relay
from aiguard.types import AuditRecord

if TYPE_CHECKING:
    from aiguard.guard import Guard

ClientT = TypeVar("ClientT")

PROVIDER_URLS = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com/v1"}
"""Where each provider's API is, unless settings say otherwise."""


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
            **guard.names_under(access),
        )
        guard.hands.recorder.commit([record])


def _poured(done: Delivered, pour: Pour[bytes] | AsyncPour[bytes], close: Callable[[], Any]) -> RawStream:
    headers = (("content-type", "text/event-stream"), (DECISION_HEADER, done.decision_id))
    return RawStream(status=done.answer.raw.status, headers=headers, chunks=pour, close=close)


def _labelled(delivered: Delivered) -> RawResponse:
    answer: RawResponse = delivered.answer
    return replace(answer, headers=(*answer.headers, (DECISION_HEADER, delivered.decision_id)))
