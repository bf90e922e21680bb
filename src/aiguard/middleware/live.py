"""Server-sent events and lines of JSON, scrubbed while they arrive.

Each event and each line is looked at by itself, and the texts that run on from one to the next are looked at as the one text that
their reader makes of them (:mod:`aiguard.middleware.channels`), so that a value cut over several ``data:`` frames is found. Order,
names, ids, retry times and comments are kept. Everything is written anew from what was looked at.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final

from aiguard.detect.parts import detect_parts
from aiguard.framing.jsontree import GENERIC, JsonDocument, NotJson, Path, context_of
from aiguard.framing.ndjson import NdjsonReader
from aiguard.framing.sse import SseEvent, SseReader
from aiguard.middleware.channels import Queue, Run
from aiguard.middleware.leaves import FACTS, PIECES, Places
from aiguard.types import Detector, Finding, Operator, Part, PartKind

DONE: Final = "[DONE]"
"""The data of the event that ends a stream of OpenAI's and of those who follow it. What is held goes out before it."""

_COUNTER: Final = re.compile(r"[0-9]{1,8}")
"""An id that counts events. By itself, any number could be somebody's."""

MAX_CLEAN: Final = 512
"""Names and facts that are remembered as clean, since each event of a stream repeats them."""

MAX_CLEAN_TEXT: Final = 64
"""Characters of one of them."""

_SAYS_NOTHING: Final = (
    PIECES
    | FACTS
    | GENERIC
    | {"choice", "choices", "candidates", "chunks", "event", "item", "items", "messages", "part", "result", "results"}
)
"""Keys above a piece's own that name no value."""

MAX_RECORD: Final = 1 << 20
"""Bytes of one event or line."""

MESSAGE_DEPTH: Final = 2
"""Steps of a path beyond which a text may be a piece of a message."""


class _Records(ABC):
    """What both kinds of stream share: a queue, and a memory of what was clean."""

    _only_pieces: ClassVar[bool]
    """Whether a text that certainly runs on is read as a piece only. Else a record may also be read by itself, as a row is."""

    def __init__(
        self,
        *,
        detector: Detector,
        rules: Mapping[str, Operator],
        pseudonym: Callable[[str, str], str],
        max_bytes: int,
        deltas: Sequence[str] | None = None,
    ) -> None:
        self._detector = detector
        self._queue = Queue(detector=detector, rules=rules, pseudonym=pseudonym, max_held=max_bytes)
        self._places = Places(deltas)
        self._runs_on = deltas is None or bool(deltas)
        self._clean: set[tuple[Path, PartKind, str]] = set()
        self._open(min(max_bytes, MAX_RECORD))

    @abstractmethod
    def _open(self, largest: int) -> None:
        """Begin to read records of up to ``largest`` bytes."""

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """What was done so far, by type and operator."""
        return dict(self._queue.rules.counts)

    @property
    def blocked(self) -> tuple[str, ...]:
        """Types found so far whose operator is ``block``; nothing comes out after the first."""
        return tuple(sorted(self._queue.rules.blocked))

    @property
    def held(self) -> int:
        """Bytes of the records that wait for what follows."""
        return self._queue.held

    def _document(
        self,
        document: JsonDocument,
        of: str,
        beside: Sequence[str],
        write: Callable[[bytes, Sequence[str]], bytes],
        size: int,
    ) -> None:
        """A record that is a JSON document, with texts ``beside`` it."""
        runs, over = self._places.runs(document, of)
        for key in over:
            self._queue.end(key)
        count = len(runs)
        findings = self._found_in(document, runs)
        findings += self._found([Part(text=text) for text in beside]) if any(beside) else [()] * len(beside)
        self._queue.add(
            [*document.texts, *beside],
            findings,
            [*runs, *([None] * len(beside))],
            lambda shown: write(document.render(shown[:count]), shown[count:]),
            size,
        )

    def _found_in(self, document: JsonDocument, runs: Sequence[Run | None]) -> list[Sequence[Finding]]:
        """What each part holds by itself, and across the seams of one message; but for those that are pieces and no more."""
        leaves, texts = document.leaves, document.texts
        keys = [(leaf.path, leaf.kind, text) for leaf, text in zip(leaves, texts, strict=True)]
        sure = [at for at, run in enumerate(runs) if run is not None and run.sure] if self._only_pieces else ()
        pieces = {at for at in sure if not _named(context_of(leaves[at]))}
        fresh = [at for at, key in enumerate(keys) if key not in self._clean and texts[at] and at not in pieces]
        found: list[Sequence[Finding]] = [()] * len(keys)
        parts = [document.part(at) for at in fresh]
        for at, findings in zip(fresh, detect_parts(self._detector, parts), strict=True):
            found[at] = findings
            leaf = leaves[at]
            # Only what cannot be a piece of a message, whose pieces are looked at together.
            joins = leaf.kind is PartKind.TEXT and len(leaf.path) > MESSAGE_DEPTH
            if not findings and not joins and len(texts[at]) <= MAX_CLEAN_TEXT and len(self._clean) < MAX_CLEAN:
                self._clean.add(keys[at])
        return found

    def _found(self, parts: Sequence[Part]) -> list[Sequence[Finding]]:
        return list(detect_parts(self._detector, parts))


class EventStream(_Records):
    """Bytes of server-sent events in, those that may be shown out.

    Raises :class:`~aiguard.errors.MalformedInput` for bytes that are no event stream, and for JSON that is ambiguous.
    """

    _only_pieces = True

    def _open(self, largest: int) -> None:
        self._reader = SseReader(max_event=largest)

    def feed(self, data: bytes, /) -> bytes:
        """The events that the chunk settled. Comments do not wait: they keep connections open."""
        out: list[bytes] = []
        for event in self._reader.feed(data):
            out.append(self._event(event))
            out.append(self._queue.taken())
            if self._queue.rules.blocked:
                break
        return b"" if self._queue.rules.blocked else b"".join(out)

    def finish(self) -> bytes:
        """The rest. An event that its stream's end cuts off is left out, as clients do."""
        self._reader.finish()
        self._queue.end_all()
        return self._queue.taken()

    def _event(self, event: SseEvent) -> bytes:
        beside = [event.event, "" if _plain(event.id) else event.id or "", *event.comments]
        size = len(event.data or "") + sum(map(len, beside)) + 32
        data = event.data
        if data is None:
            if event.id is None and event.retry is None:
                return self._apart(event, beside)
            self._queue.add(beside, self._texts(beside), [None] * len(beside), lambda shown: _put(event, shown), size)
            return b""
        if data.strip() == DONE:
            self._queue.end_all()
        elif data.lstrip()[:1] in ("{", "["):
            try:
                document = JsonDocument.parse(data)
            except NotJson:
                pass
            else:
                self._document(
                    document,
                    _kind(event),
                    beside,
                    lambda body, shown: _put(event.with_data(body.decode("utf-8")), shown),
                    size,
                )
                return b""
        self._text(event, data, beside, size)
        return b""

    def _text(self, event: SseEvent, data: str, beside: Sequence[str], size: int) -> None:
        quoted = _unquoted(data)
        text = data if quoted is None else quoted

        def write(shown: Sequence[str]) -> bytes:
            said = shown[0] if quoted is None else json.dumps(shown[0], ensure_ascii=False)
            return _put(event.with_data(said), shown[1:])

        runs = self._runs_on and data.strip() != DONE
        found = [(), *self._texts(beside)] if runs else self._texts([text, *beside])
        self._queue.add(
            [text, *beside],
            found,
            [Run(((_kind(event),), (None,))) if runs else None, *([None] * len(beside))],
            write,
            size,
        )

    def _apart(self, event: SseEvent, beside: Sequence[str]) -> bytes:
        shown = [
            self._queue.rules.redact(text, [one for one in found if self._queue.rules.acts_on(one)])
            for text, found in zip(beside, self._texts(beside), strict=True)
        ]
        return _put(event, shown)

    def _texts(self, texts: Sequence[str]) -> list[Sequence[Finding]]:
        return self._found([Part(text=text) for text in texts])


class LineStream(_Records):
    """Bytes of JSON documents one a line in, those that may be shown out.

    Raises :class:`~aiguard.errors.MalformedInput` for a line that is not one strict document.
    """

    _only_pieces = False

    def _open(self, largest: int) -> None:
        self._reader = NdjsonReader(max_line=largest)

    def feed(self, data: bytes, /) -> bytes:
        """The lines that the chunk settled."""
        return self._lines(self._reader.feed(data))

    def finish(self) -> bytes:
        """The rest."""
        out = self._lines(self._reader.finish())
        self._queue.end_all()
        rest = self._queue.taken()
        return b"" if self._queue.rules.blocked else out + rest

    def _lines(self, documents: Sequence[JsonDocument]) -> bytes:
        out: list[bytes] = []
        for document in documents:
            size = sum(map(len, document.texts)) + 32
            self._document(document, "", (), lambda body, _: body + b"\n", size)
            out.append(self._queue.taken())
        return b"" if self._queue.rules.blocked else b"".join(out)


def _named(context: str) -> bool:
    """Whether a key above a piece's own says what stands under it: ``{"ssn": {"value": …}}``, but not ``{"delta": {"content": …}}``."""
    return not _SAYS_NOTHING.issuperset(context.lower().split()[:-1])


def _kind(event: SseEvent) -> str:
    """The name under which clients hear of it: an event that has none is a ``message``."""
    return event.event or "message"


def _unquoted(data: str) -> str | None:
    """The text that ``data`` is as a JSON string, as applications send pieces with line ends; None where it is none."""
    if len(data) < 2 or not (data[0] == data[-1] == '"'):
        return None
    try:
        document = JsonDocument.parse(data)
    except NotJson:
        return None
    return str(document.value)


def _put(event: SseEvent, beside: Sequence[str]) -> bytes:
    """The event with its name, id and comments as they may be shown."""
    name, id, *comments = beside
    return replace(event, event=name, id=event.id if _plain(event.id) else id, comments=tuple(comments)).encode()


def _plain(id: str | None) -> bool:
    """Whether there is nothing in an id to look at."""
    return id is None or _COUNTER.fullmatch(id) is not None
