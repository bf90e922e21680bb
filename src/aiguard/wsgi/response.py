"""The response of an application behind the middleware, as the server iterates it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from aiguard.errors import Blocked, MalformedInput
from aiguard.middleware.gates import Gate, held_whole
from aiguard.middleware.heads import Header, ResponseHead, response_head
from aiguard.middleware.records import Unheard, bare, broken, decided, scrubbed, unreadable

if TYPE_CHECKING:
    from aiguard.wsgi.exchange import Application, WsgiExchange
    from aiguard.wsgi.reading import Environ


class GuardedResponse(Iterator[bytes]):
    """Calls the application, and is the iterable of what may be sent of its answer.

    The server's ``start_response`` is called when it is known what the headers must say: before the first bytes of a
    body that goes on as it comes, or at the end of one that is looked at as a whole.
    """

    def __init__(self, exchange: WsgiExchange, app: Application, environ: Environ) -> None:
        self._exchange = exchange
        self._guard = exchange.guard
        self._rule = exchange.plan.response
        self._status = ""
        self._head: ResponseHead | None = None
        self._plain: list[tuple[str, str]] = []
        self._gate: Gate | None = None
        self._started = False
        self._ended = False
        self._closed = False
        self._server_write: Callable[[bytes], Any] | None = None
        self._body: Any = None
        try:
            self._body = app(environ, self._start)
            self._chunks: Iterator[bytes] = iter(self._body)
            if self._gate is not None and isinstance(self._body, list | tuple) and len(self._body) == 1:
                self._gate.hold()  # one piece is a whole body (PEP 3333)
        except Exception:
            if exchange.refusal is None or self._started:
                self.close()
                raise
            self._chunks = iter(())

    # --- what the server does -----------------------------------------------------------------------------------

    def __next__(self) -> bytes:
        """The next bytes that may be sent."""
        while not self._ended:
            failure: Exception | None = None
            chunk: bytes | None = None
            try:
                chunk = next(self._chunks, None)
            except Exception as error:
                if self._exchange.refusal is None:
                    self._broke(error)
                    raise
                failure = error
            if self._exchange.refusal is not None:
                return self._refused(self._exchange.refusal)
            assert failure is None
            refusal: Blocked | None = None
            try:
                out = self._step(chunk)
            except Blocked as blocked:
                refusal = bare(blocked)
            if refusal is not None:
                return self._refused(self._exchange.refuse(refusal, "response", self._gate))
            if out:
                return out
        raise StopIteration

    def close(self) -> None:
        """Close the application's iterable, once. What was scrubbed of a response without an end is put on record."""
        if self._closed:
            return
        self._closed = True
        gate, self._gate = self._gate, None
        if gate is not None and not self._ended and self._exchange.refusal is None and gate.counts:
            record = scrubbed(self._guard, "response", self._exchange.plan.rule.path, gate.counts)
            self._guard.hands.recorder.commit([record])
        self._ended = True
        close = getattr(self._body, "close", None)
        self._body = None
        if close is not None:
            close()

    def _broke(self, error: Exception) -> None:
        """The application ended its response by an exception, which is its own."""
        if not self._ended and self._gate is not None and self._started:
            counts, route = self._gate.counts, self._exchange.plan.rule.path
            self._guard.hands.recorder.commit(broken(self._guard, route, error, counts))
        self._ended = True

    # --- what the application does ------------------------------------------------------------------------------

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        """``start_response`` of the application (PEP 3333)."""
        exchange = self._exchange
        if exc_info is not None and self._started:
            try:
                raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        if exc_info is None and self._status:
            raise AssertionError(
                "start_response was called twice; give exc_info to put an error in place of a response"
            )
        if exchange.refusal is not None:
            raise Unheard(f"the response is not sent any more: decision {exchange.refusal.decision_id}")
        self._status, self._plain = status, list(headers)
        refusal: Blocked | None = None
        if self._rule is not None:
            try:
                self._begin()
            except Blocked as blocked:
                refusal = bare(blocked)
        if refusal is not None:
            exchange.refuse(refusal, "response")
            raise Unheard(f"the response is not sent any more: decision {refusal.decision_id}")
        return self._write

    def _write(self, data: bytes) -> None:
        """The callable that ``start_response`` gives."""
        exchange = self._exchange
        if exchange.refusal is not None:
            raise Unheard(f"the response is not sent any more: decision {exchange.refusal.decision_id}")
        refusal: Blocked | None = None
        try:
            out = self._step(data) if data else b""
        except Blocked as blocked:
            refusal = bare(blocked)
        if refusal is not None:
            exchange.refuse(refusal, "response", self._gate)
            raise Unheard(f"the response is not sent any more: decision {refusal.decision_id}")
        if out:
            assert self._server_write is not None
            self._server_write(out)

    # --- both ---------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        assert self._rule is not None
        with decided(self._guard, "response"):
            if not self._status[:3].isdecimal():
                raise MalformedInput("its status is none")
            self._head = head = response_head(int(self._status[:3]), _bytes(self._plain), method=self._exchange.method)
            whole = held_whole(head.body, self._guard.settings.max_response_bytes)
            self._gate = Gate(self._guard, self._rule, "response", head.body, whole=whole)

    def _step(self, chunk: bytes | None) -> bytes:
        """What may be sent once ``chunk`` is there, or (None) the end."""
        if not self._status:
            if chunk == b"":
                return b""
            raise unreadable(self._guard, "response", "the application sent a body without calling start_response")
        if self._rule is None:
            self._ended = chunk is None
            self._go(None)
            return chunk or b""
        head, gate = self._head, self._gate
        assert head is not None
        assert gate is not None
        out = b"" if head.bodiless or chunk is None else gate.feed(chunk)
        if chunk is None:
            out += gate.finish()
            if gate.counts:
                self._exchange.commit(
                    "response", scrubbed(self._guard, "response", self._exchange.plan.rule.path, gate.counts)
                )
            self._ended = True
            self._go(head.headers(length=len(out) if gate.whole else None, same=gate.same))
        elif out and not gate.whole:
            self._go(head.headers(length=None))
        return out

    def _go(self, headers: list[Header] | None) -> None:
        """Call the server's ``start_response``, once."""
        if not self._started:
            self._started = True
            plain = self._plain
            if headers is not None:
                plain = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
            self._server_write = self._exchange.start_response(self._status, plain)

    def _refused(self, refusal: Blocked) -> bytes:
        """The answer to a refusal, or, where a response has begun, its end: an exception that the server ends it by."""
        self._ended = True
        self.close()
        if self._started:
            raise bare(refusal)
        self._started = True
        return b"".join(self._exchange.answer(refusal))


def _bytes(headers: list[tuple[str, str]]) -> list[Header]:
    try:
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    except (UnicodeEncodeError, AttributeError, TypeError, ValueError):
        pass
    raise MalformedInput("a header of it is not a pair of latin-1 texts")
