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
import os
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, Literal

from aiguard import reaper
from aiguard.providers import egress
from aiguard.providers.dialects import dialect_of
from aiguard.providers.errors import EgressRefused, refuse_egress
from aiguard.providers.exchange import (
    Handler,
    Headers,
    RawRequest,
    RawResponse,
    RawStream,
    RefusalListener,
)

Flavour = Literal["httpx2", "httpx"]

_USER_AGENT: Final = "aiguard"

_inherited: list[Any] = []
"""Answers that the parent of this process reads. To let them go would take a lock that the fork may have left taken."""


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
        max_response_bytes: int = egress.MAX_RESPONSE_BYTES,
        max_response_seconds: float = egress.MAX_RESPONSE_SECONDS,
    ) -> None:
        self._handler = handler
        self._provider = provider
        self._dialect = dialect_of(provider)
        self._origin = origin
        self._credential = credential
        self._headers = headers
        self._inner = inner
        self._library = library
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
        return egress.request_headers(request.headers.multi_items(), self._dialect), path

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
            *egress.request_headers(raw.headers, self._dialect),
            *self._headers,
            ("user-agent", _USER_AGENT),
            ("accept-encoding", "identity"),
            egress.credential(self._credential(), self._dialect),
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

    def _answer(self, raw: RawResponse | RawStream, request: Any) -> Any:
        egress.check_status(raw.status)
        headers = [*egress.response_headers(raw.headers, from_handler=True)]
        if isinstance(raw, RawStream):
            return self._library.Response(raw.status, headers=headers, stream=self._body(raw), request=request)
        return self._library.Response(raw.status, headers=headers, content=raw.content, request=request)

    def _body(self, raw: RawStream) -> Any:
        """The stream's body, as a stream of the library."""
        raise NotImplementedError

    def _streams(self, raw: RawRequest, response: Any) -> bool:
        """Whether an answer is handed on while it arrives; an error, or anything but events, is read in full."""
        if not raw.stream or not 200 <= response.status_code < 300:
            return False
        kind = str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()
        return kind == "text/event-stream"

    def _reader(self, response: Any) -> egress.BodyReader:
        egress.check_status(response.status_code)
        return egress.BodyReader(response.headers.multi_items(), self._max_bytes)

    def _limit(self, response: Any) -> egress.SizeLimit:
        egress.check_status(response.status_code)
        egress.check_plain(response.headers.multi_items())
        return egress.SizeLimit(self._max_bytes)

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
            headers, path = self._incoming(request)
            content = _collect(request.stream)
        except EgressRefused as refusal:
            self._refused(refusal)
            raise

        def send(raw: RawRequest) -> RawResponse | RawStream:
            response = self._inner.handle_request(self._outgoing(raw, request))
            try:
                if self._streams(raw, response):
                    return self._opened(response)
                reader = self._reader(response)
                began = time.monotonic()
                for chunk in response.stream:
                    self._in_time(began)
                    reader.feed(chunk)
            except BaseException:
                response.close()
                raise
            response.close()
            return self._received(response, reader.finish())

        return self._answer(
            self._handler.handle(self._raw(request, headers, path, content), send),
            request,
        )

    def _opened(self, response: Any) -> RawStream:
        reading = _Reading(response, self._limit(response), self._in_time)
        return RawStream(
            status=response.status_code,
            headers=egress.response_headers(response.headers.multi_items()),
            chunks=reading.chunks(),
            close=reading.close,
        )

    def _body(self, raw: RawStream) -> Any:
        return _stream_class(self._library.__name__, is_async=False)(raw)

    def close(self) -> None:
        self._inner.close()


class _Async(_Shell):
    async def handle_async_request(self, request: Any) -> Any:
        try:
            headers, path = self._incoming(request)
            content = await _acollect(request.stream)
        except EgressRefused as refusal:
            self._refused(refusal)
            raise

        async def send(raw: RawRequest) -> RawResponse | RawStream:
            response = await self._inner.handle_async_request(self._outgoing(raw, request))
            try:
                if self._streams(raw, response):
                    return self._opened(response)
                reader = self._reader(response)
                began = time.monotonic()
                async for chunk in response.stream:
                    self._in_time(began)
                    reader.feed(chunk)
            except BaseException:
                await response.aclose()
                raise
            await response.aclose()
            return self._received(response, reader.finish())

        answer = await self._handler.ahandle(self._raw(request, headers, path, content), send)
        return self._answer(answer, request)

    def _opened(self, response: Any) -> RawStream:
        limit = self._limit(response)
        began = time.monotonic()

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in response.stream:
                self._in_time(began)
                limit.take(len(chunk))
                yield chunk

        return RawStream(
            status=response.status_code,
            headers=egress.response_headers(response.headers.multi_items()),
            chunks=chunks(),
            close=response.aclose,
        )

    def _body(self, raw: RawStream) -> Any:
        return _stream_class(self._library.__name__, is_async=True)(raw)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Reading:
    """An answer that is handed on while it arrives: its connection is let go when it is closed, or when nobody reads any more.

    What it is read from is held elsewhere as well, so that a garbage collection that finds the reader does not find that: the
    library's own generators let the connection go when they are collected, and take the lock of its pool for it.
    """

    def __init__(self, response: Any, limit: egress.SizeLimit, in_time: Callable[[float], None]) -> None:
        self._arriving = iter(response.stream)
        self._limit = limit
        self._in_time = in_time
        self._began = time.monotonic()
        reaper.ready()
        self._let_go = weakref.finalize(self, _let_go, [response.close, self._arriving], os.getpid())
        self._let_go.atexit = False

    def chunks(self) -> Iterator[bytes]:
        """The bytes, as they arrive."""
        for chunk in self._arriving:
            self._in_time(self._began)
            self._limit.take(len(chunk))
            yield chunk

    def close(self) -> None:
        """Let the connection go."""
        reaper.outside(self._let_go)


def _let_go(held: list[Any], process: int) -> None:
    """Close an answer whose reader has gone, or closed it, and drop what it was read from. In a forked child it is the parent's."""

    def close() -> None:
        try:
            held[0]()
        finally:
            held.clear()

    if process == os.getpid():
        reaper.outside(close)
    else:
        _inherited.append(held)


@functools.cache
def transports(flavour: Flavour) -> tuple[type[Any], type[Any]]:
    """``GuardedTransport`` and ``AsyncGuardedTransport``, as transports of that library.

    Both take ``handler``, ``provider``, ``origin``, ``credential`` (called for every request, so that keys can rotate),
    ``headers``, ``inner`` (the real transport), ``library`` and the limits on answers.
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


@functools.cache
def _stream_class(flavour: str, *, is_async: bool) -> type[Any]:
    """A body of that library over the chunks of a :class:`RawStream`."""
    library = importlib.import_module(flavour)

    def init(self: Any, raw: RawStream) -> None:
        self.raw = raw

    if is_async:

        async def aiterate(self: Any) -> AsyncIterator[bytes]:
            async for chunk in self.raw.chunks:
                yield chunk

        async def aclose(self: Any) -> None:
            await self.raw.close()

        methods: dict[str, Any] = {"__init__": init, "__aiter__": aiterate, "aclose": aclose}
        return type("GuardedAsyncStream", (library.AsyncByteStream,), methods)

    def iterate(self: Any) -> Iterator[bytes]:
        yield from self.raw.chunks

    def close(self: Any) -> None:
        self.raw.close()

    methods = {"__init__": init, "__iter__": iterate, "close": close}
    return type("GuardedStream", (library.SyncByteStream,), methods)


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
