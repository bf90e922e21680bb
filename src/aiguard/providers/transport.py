"""The HTTP transport of a guarded client: thin shells around the checks in :mod:`aiguard.providers.egress`.

A transport is below everything that an SDK's client does (retries, raw responses, ``client.post``), so no method can
go around it. It turns the request into a :class:`RawRequest`, gives it to the handler together with ``send``, and turns the
handler's :class:`RawResponse` back. ``send`` writes a request of its own: its origin, credential and headers come from
settings, whatever the client object says.

SDKs use ``httpx2`` or, in older releases, ``httpx``; both have the same interface, so the classes are made for the module
that the SDK imports.
"""

from __future__ import annotations

import functools
import importlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, Literal

from aiguard.providers import egress
from aiguard.providers.errors import EgressRefused, refuse_egress
from aiguard.providers.exchange import (
    Handler,
    Headers,
    RawRequest,
    RawResponse,
    RefusalListener,
)

Flavour = Literal["httpx2", "httpx"]

_USER_AGENT: Final = "aiguard"


class Carried(BaseException):
    """Carries ``error`` past an SDK that would wrap any :class:`Exception` of its transport and retry it.

    Only :mod:`aiguard.providers.clients` raises transports to this, and takes it off again, so it is never seen outside.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(type(error).__name__)


class _Shell:
    """What the sync and the async transport share: everything but the waiting."""

    def __init__(
        self,
        *,
        handler: Handler,
        provider: str,
        origin: egress.Origin,
        credential: Callable[[], str],
        headers: Headers = (),
        inner: Any,
        library: Any,
        carry: bool = False,
        max_response_bytes: int = egress.MAX_RESPONSE_BYTES,
        max_response_seconds: float = egress.MAX_RESPONSE_SECONDS,
    ) -> None:
        self._handler = handler
        self._provider = provider
        self._origin = origin
        self._credential = credential
        self._headers = headers
        self._inner = inner
        self._library = library
        self._carry = carry
        self._max_bytes = max_response_bytes
        self._max_seconds = max_response_seconds

    def __repr__(self) -> str:
        return f"{type(self).__name__}(provider={self._provider!r})"

    def _incoming(self, request: Any) -> tuple[Headers, str]:
        """The headers that may leave and the path below the base URL, or a refusal."""
        url = request.url
        path = self._origin.relative(
            scheme=url.scheme,
            host=url.host,
            port=url.port,
            userinfo=url.userinfo,
            target=url.raw_path.decode("ascii", "replace"),
        )
        return egress.request_headers(request.headers.multi_items()), path

    def _raw(self, request: Any, headers: Headers, path: str, content: bytes) -> RawRequest:
        return RawRequest(
            provider=self._provider,
            method=request.method,
            url=self._origin.url(path),
            path=path,
            headers=headers,
            content=content,
        )

    def _outgoing(self, raw: RawRequest, request: Any) -> Any:
        """The request that is really sent. Only the timeout of the original survives."""
        egress.check_path(raw.path)
        headers = [
            *egress.request_headers(raw.headers),
            *self._headers,
            ("user-agent", _USER_AGENT),
            ("accept-encoding", "identity"),
            ("authorization", egress.authorization(self._credential())),
        ]
        timeout = request.extensions.get("timeout")
        return self._library.Request(
            raw.method,
            self._origin.url(raw.path),
            headers=headers,
            content=raw.content,
            # Other extensions could choose another target or server name (httpcore: ``target``, ``sni_hostname``).
            extensions={} if timeout is None else {"timeout": timeout},
        )

    def _answer(self, raw: RawResponse, request: Any) -> Any:
        egress.check_status(raw.status)
        headers = [*egress.response_headers(raw.headers, from_handler=True)]
        return self._library.Response(raw.status, headers=headers, content=raw.content, request=request)

    def _reader(self, response: Any) -> egress.BodyReader:
        egress.check_status(response.status_code)
        return egress.BodyReader(response.headers.multi_items(), self._max_bytes)

    def _received(self, response: Any, body: bytes) -> RawResponse:
        return RawResponse(
            status=response.status_code,
            headers=egress.response_headers(response.headers.multi_items()),
            content=body,
        )

    def _in_time(self, began: float) -> None:
        if time.monotonic() - began > self._max_seconds:
            raise self._library.ReadTimeout("the model server did not finish its answer in time")

    def _refused(self, refusal: EgressRefused) -> None:
        if isinstance(self._handler, RefusalListener):
            self._handler.refused(refusal, provider=self._provider)


class _Sync(_Shell):
    def handle_request(self, request: Any) -> Any:
        try:
            return self._exchange(request)
        except self._library.HTTPError:
            raise
        except Exception as raised:
            if not self._carry:
                raise
            error = raised
        raise Carried(error)

    def _exchange(self, request: Any) -> Any:
        try:
            headers, path = self._incoming(request)
            content = _collect(request.stream)
        except EgressRefused as refusal:
            self._refused(refusal)
            raise

        def send(raw: RawRequest) -> RawResponse:
            response = self._inner.handle_request(self._outgoing(raw, request))
            try:
                reader = self._reader(response)
                began = time.monotonic()
                for chunk in response.stream:
                    self._in_time(began)
                    reader.feed(chunk)
            finally:
                response.close()
            return self._received(response, reader.finish())

        return self._answer(
            self._handler.handle(self._raw(request, headers, path, content), send),
            request,
        )

    def close(self) -> None:
        self._inner.close()


class _Async(_Shell):
    async def handle_async_request(self, request: Any) -> Any:
        try:
            return await self._exchange(request)
        except self._library.HTTPError:
            raise
        except Exception as raised:
            if not self._carry:
                raise
            error = raised
        raise Carried(error)

    async def _exchange(self, request: Any) -> Any:
        try:
            headers, path = self._incoming(request)
            content = await _acollect(request.stream)
        except EgressRefused as refusal:
            self._refused(refusal)
            raise

        async def send(raw: RawRequest) -> RawResponse:
            response = await self._inner.handle_async_request(self._outgoing(raw, request))
            try:
                reader = self._reader(response)
                began = time.monotonic()
                async for chunk in response.stream:
                    self._in_time(began)
                    reader.feed(chunk)
            finally:
                await response.aclose()
            return self._received(response, reader.finish())

        answer = await self._handler.ahandle(self._raw(request, headers, path, content), send)
        return self._answer(answer, request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@functools.cache
def transports(flavour: Flavour) -> tuple[type[Any], type[Any]]:
    """``GuardedTransport`` and ``AsyncGuardedTransport``, as transports of that library.

    Both take ``handler``, ``provider``, ``origin``, ``credential`` (called for every request, so that keys can rotate),
    ``headers``, ``inner`` (the real transport), ``library``, ``carry`` (see :class:`Carried`) and the limits on answers.
    """
    library = importlib.import_module(flavour)
    return (
        type("GuardedTransport", (_Sync, library.BaseTransport), {"__module__": __name__}),
        type(
            "AsyncGuardedTransport",
            (_Async, library.AsyncBaseTransport),
            {"__module__": __name__},
        ),
    )


def _collect(stream: Iterator[bytes]) -> bytes:
    body = bytearray()
    for chunk in stream:
        body += chunk
        _check_size(len(body))
    return bytes(body)


async def _acollect(stream: AsyncIterator[bytes]) -> bytes:
    body = bytearray()
    async for chunk in stream:
        body += chunk
        _check_size(len(body))
    return bytes(body)


def _check_size(size: int) -> None:
    if size > egress.MAX_REQUEST_BYTES:
        raise refuse_egress(
            "egress.size",
            f"the request's body is larger than {egress.MAX_REQUEST_BYTES} bytes",
            status=413,
        )
