"""One body on its way through: content codings off, texts scrubbed, and nothing let out that was not looked at.

A gate is *whole* where it lets nothing out before the end, so that a refusal can still be answered and the length is known:
forms, and every body that says how long it is. JSON, texts, events and lines of JSON that come without a length go on as
they arrive; a refusal then ends them after a beginning that was safe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from aiguard.bodies import UnreadableBody, check_charset, is_json, scrub_body
from aiguard.framing.encodings import ContentDecoder
from aiguard.guard import Guard
from aiguard.middleware.documents import DocumentStream
from aiguard.middleware.heads import BodyHead
from aiguard.middleware.live import EventStream, LineStream
from aiguard.middleware.records import What, decided, held_back
from aiguard.middleware.texts import TextStream
from aiguard.policy.routes import RouteRule

LIVE: Final = frozenset({"text/event-stream", "application/x-ndjson", "application/ndjson", "application/jsonl"})
"""Types of streams: their readers wait for what comes next, so that headers go out before the first of it."""


MAX_QUERY: Final = 1 << 16
"""Bytes of a query string; servers take fewer."""


class _Stream(Protocol):
    def feed(self, data: bytes, /) -> bytes: ...

    def finish(self) -> bytes: ...

    @property
    def counts(self) -> Mapping[tuple[str, str], int]: ...

    @property
    def blocked(self) -> tuple[str, ...]: ...


class Gate:
    """What may pass of one body: ``feed(chunk)`` for each chunk, then ``finish()``.

    Args:
        guard: whose detector looks, and whose keys hash.
        rule: what may be in the body, and what happens to what is found.
        what: ``request`` or ``response``.
        head: what the headers say about the body.
        whole: let nothing out before :meth:`finish`.

    Raises:
        Blocked: (not recorded yet) from the first byte on, when the body may not pass; the gate has ended then.
    """

    def __init__(self, guard: Guard, rule: RouteRule, what: What, head: BodyHead, *, whole: bool) -> None:
        self._guard = guard
        self._rule = rule
        self._what = what
        self._head = head
        self.whole = whole or not streams(head)
        limit = guard.settings.max_response_bytes
        if what == "request":
            limit = rule.max_body_bytes or guard.settings.max_body_bytes
        self._limit = limit
        self._decoder: ContentDecoder | None = None
        self._stream: _Stream | None = None
        self._fed = bytearray() if self.whole else None
        self._ended = False
        self.same = False
        """Whether what came out is, byte for byte, what went in."""

    def hold(self) -> None:
        """Become whole, if nothing came yet."""
        if self._stream is None and not self.whole:
            self.whole, self._fed = True, bytearray()

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """What was done so far, by type and operator."""
        return {} if self._stream is None else self._stream.counts

    @property
    def held(self) -> int:
        """Bytes, unpacked, that are held until the end."""
        return self._decoder.size if self.whole and self._decoder is not None else 0

    def feed(self, chunk: bytes) -> bytes:
        """What may pass now."""
        if self._ended:
            raise ValueError("this gate has ended")
        if not chunk:
            return b""
        try:
            with decided(self._guard, self._what):
                stream = self._open()
                assert self._decoder is not None
                if self._fed is not None:
                    self._fed += chunk
                return self._passed(stream.feed(self._decoder.feed(chunk)))
        except BaseException:
            self._ended = True
            raise

    def finish(self) -> bytes:
        """What was kept until the end. An empty body passes whatever its type is."""
        if self._ended:
            raise ValueError("this gate has ended")
        self._ended = True
        if self._stream is None:
            self.same = True
            return b""
        with decided(self._guard, self._what):
            assert self._decoder is not None
            self._decoder.finish()
            content = self._passed(self._stream.finish())
        self.same = self._fed is not None and self._decoder.identity and content == self._fed
        self._fed = None
        return content

    def _open(self) -> _Stream:
        """The stream behind the decoder, made when there is something to look at."""
        if self._stream is None:
            head = self._head
            if self._rule.content_types and head.essence not in self._rule.content_types:
                raise UnreadableBody("a body of this content type is not among those that the route takes")
            bounded = self.whole or self._what == "request" or is_json(head.essence)
            limit = self._limit if bounded else None
            self._decoder = ContentDecoder(head.codings, max_bytes=limit)
            self._stream = self._open_whole() if self.whole else self._open_live()
        return self._stream

    def _open_whole(self) -> _Stream:
        if self._head.essence in LIVE:
            return _Held(self._open_live())
        return _Whole(self._guard, self._rule, self._head.content_type, self._limit)

    def _open_live(self) -> _Stream:
        guard, rule, essence = self._guard, self._rule, self._head.essence
        check_charset(self._head.content_type)
        if essence in LIVE:
            make = EventStream if essence == "text/event-stream" else LineStream
            return make(
                detector=guard.detector,
                rules=rule.redact,
                pseudonym=guard.keys.pseudonym,
                max_bytes=self._limit,
                deltas=rule.deltas,
            )
        make_text = DocumentStream if is_json(essence) else TextStream
        return make_text(
            detector=guard.detector, rules=rule.redact, pseudonym=guard.keys.pseudonym, max_bytes=self._limit
        )

    def _passed(self, content: bytes) -> bytes:
        assert self._stream is not None
        if self._stream.blocked:
            raise held_back(self._guard, self._what, self._stream.blocked)
        return content


def scrubbed_query(guard: Guard, rule: RouteRule, query: bytes) -> tuple[bytes, Mapping[tuple[str, str], int]]:
    """A query string as the application may see it, and what was done; it is read as a form is, and written anew.

    Raises:
        Blocked: (not recorded yet) it is not one, or holds what policy stops.
    """
    with decided(guard, "request"):
        scrubbed = scrub_body(
            query,
            "application/x-www-form-urlencoded",
            detector=guard.detector,
            rules=rule.redact,
            pseudonym=guard.keys.pseudonym,
            max_bytes=MAX_QUERY,
        )
        if scrubbed.blocked:
            raise held_back(guard, "request", scrubbed.blocked)
    return scrubbed.content, scrubbed.counts


def streams(head: BodyHead) -> bool:
    """Whether a body of this type can go on while it arrives."""
    return head.essence.startswith("text/") or head.essence in LIVE or is_json(head.essence)


def read_ahead(head: BodyHead) -> bool:
    """Whether a request is looked at as a whole before the application runs: one with a length, and any JSON document.

    Nobody can use a part of a document, and an application that never ran need not be told that the rest of it was refused.
    """
    return not streams(head) or head.length is not None or is_json(head.essence)


def held_whole(head: BodyHead, limit: int) -> bool:
    """Whether a response is looked at as a whole: one that says how long it is, unless it is a text beyond ``limit`` bytes."""
    return not streams(head) or (head.length is not None and (head.length <= limit or is_json(head.essence)))


class _Held:
    """A stream whose output waits for its end."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._out = bytearray()

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        return self._stream.counts

    @property
    def blocked(self) -> tuple[str, ...]:
        return self._stream.blocked

    def feed(self, data: bytes, /) -> bytes:
        self._out += self._stream.feed(data)
        return b""

    def finish(self) -> bytes:
        self._out += self._stream.finish()
        return bytes(self._out)


class _Whole:
    """A body that is looked at when all of it is there."""

    def __init__(self, guard: Guard, rule: RouteRule, content_type: str, limit: int) -> None:
        self._guard = guard
        self._rule = rule
        self._type = content_type
        self._limit = limit
        self._held = bytearray()
        self.counts: Mapping[tuple[str, str], int] = {}
        self.blocked: tuple[str, ...] = ()

    def feed(self, data: bytes, /) -> bytes:
        self._held += data
        return b""

    def finish(self) -> bytes:
        scrubbed = scrub_body(
            bytes(self._held),
            self._type,
            detector=self._guard.detector,
            rules=self._rule.redact,
            pseudonym=self._guard.keys.pseudonym,
            max_bytes=self._limit,
            files=self._rule.files,
        )
        self._held.clear()
        self.counts, self.blocked = scrubbed.counts, scrubbed.blocked
        return scrubbed.content
