"""A JSON document scrubbed while it arrives, to exactly what :func:`aiguard.bodies.scrub_body` makes of the whole.

Strings come out in pieces, keys and numbers when they are complete, all in their order. Texts of one message (``/messages/0/content/*/text``)
are read together as well, as :func:`aiguard.detect.parts.detect_parts` does, so the end of such a text waits until its
message goes on or ends, and what stands behind it waits too.
"""

from __future__ import annotations

import codecs
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Final

from aiguard.bodies import BodyTooLarge
from aiguard.detect.parts import detect_parts, message_of
from aiguard.detect.stream import PartScan
from aiguard.errors import MalformedInput
from aiguard.framing.jsonreader import Glue, JsonReader, Left, Piece, Whole
from aiguard.framing.jsontree import MAX_BYTES, MAX_STEP, Leaf, context_of, encode_text, pointer
from aiguard.redact import redact
from aiguard.scan.held import HeldText
from aiguard.scan.incremental import HeldTooLong
from aiguard.types import Detector, Finding, Operator, Part, PartKind

MAX_SEEN: Final = 512
"""Short texts whose findings are remembered, since names of fields repeat in every row."""

MAX_SEEN_TEXT: Final = 64
"""Characters of one of them."""

MAX_WAITING: Final = 512
"""Characters of a text that waits to be read with others of its message until it is known that there are others."""


MESSAGE_STEPS: Final = 3
"""Steps of the shortest path of a text that is read with others."""

MAX_BETWEEN: Final = 1024
"""Pieces of what needs no scan any more before they are put together."""


MAX_AHEAD: Final = 1024
"""Characters before the first text that are held, since as long as nothing went out, a refusal can be an answer."""


class _Message:
    """The texts that are read as one, joined. Offsets are characters from the beginning of the first."""

    def __init__(self, detector: Detector, max_held: int) -> None:
        self._detector = detector
        self._max_held = max_held
        self._scan: PartScan | None = None
        self._waiting = ""
        self._size = 0
        self.texts = 0
        self.settled = 0
        """Whatever follows, the findings before this are known."""
        self.found: deque[Finding] = deque()  # by their start
        self.closed = False

    def begin(self, *, short: bool) -> int:
        """Another text begins; gives where. A ``short`` one that is there at once may turn out to be the only one."""
        self.texts += 1
        if self._scan is None and not (short and self.texts == 1):
            self._scan = PartScan(self._detector, max_held=self._max_held)
            waiting, self._waiting = self._waiting, ""
            self._look(waiting)
        return self._size

    def add(self, text: str) -> None:
        """The next characters of it."""
        self._size += len(text)
        if self._scan is None:
            self._waiting += text
        else:
            self._look(text)

    def close(self) -> None:
        """Nothing is read with them any more. What stands in a text that remained alone counts as read by itself."""
        if self.texts == 1:
            self.found.clear()
        elif self._scan is not None:
            piece = self._scan.finish()
            self._note(piece.findings)
        self._scan, self.settled, self.closed = None, self._size, True

    def between(self, start: int, end: int) -> list[Finding]:
        """The findings there; those that end before are let go."""
        while self.found and self.found[0].end <= start:
            self.found.popleft()
        return [each for each in takewhile(lambda one: one.start < end, self.found) if each.end > start]

    def _look(self, text: str) -> None:
        assert self._scan is not None
        piece = self._scan.feed(text)
        self._note(piece.findings)
        self.settled += len(piece.text)

    def _note(self, findings: Sequence[Finding]) -> None:
        at = self.settled
        self.found += [replace(each, start=each.start + at, end=each.end + at) for each in findings]


class _Text:
    """A text that arrives in pieces, or (without a ``scan``) waits with what it holds by itself. Offsets are from its beginning."""

    def __init__(self, scan: PartScan | None, text: str = "", found: Sequence[Finding] = ()) -> None:
        self._scan = scan
        self._text = HeldText([text])  # from _done on
        self._done = 0
        self._ready = len(text)  # what its own scan has settled
        self._found = list(found)
        self._message: _Message | None = None
        self._start = 0
        self._quoted = False
        self.ended = scan is None

    @property
    def joined(self) -> bool:
        """Whether it is read with others of its message."""
        return self._message is not None

    def join(self, message: _Message, *, short: bool = False) -> None:
        """Read it with the others of its message."""
        self._message, self._start = message, message.begin(short=short)

    def feed(self, text: str, *, last: bool) -> None:
        """The next characters."""
        assert self._scan is not None
        self._text.add(text)
        pieces = [self._scan.feed(text), *([self._scan.finish()] if last else [])]
        for piece in pieces:
            at = self._ready
            self._found += [replace(each, start=each.start + at, end=each.end + at) for each in piece.findings]
            self._ready += len(piece.text)
        if self._message is not None:
            self._message.add(text)
        if last:
            self._scan, self.ended = None, True

    def take(self, redacted: Callable[[str, Sequence[Finding]], str]) -> str:
        """What may be shown now, as JSON, with the quote before the first of it and behind the last."""
        cut, found = self._settled()
        out = "" if self._quoted else '"'
        self._quoted = True
        if cut > self._done:
            text = self._text.take(cut - self._done)
            inside = [
                replace(each, start=each.start - self._done, end=each.end - self._done)
                for each in found
                if each.start < cut
            ]
            self._done = cut
            self._found = [each for each in self._found if each.start >= cut]
            out += encode_text(redacted(text, inside))[1:-1]
        return f'{out}"' if self.over else out

    @property
    def begun(self) -> bool:
        """Whether some of it was taken."""
        return self._done > 0

    @property
    def over(self) -> bool:
        """Whether all of it was taken."""
        return self.ended and not self._text

    def _settled(self) -> tuple[int, list[Finding]]:
        """Up to where it may be taken, and what it holds from where it was taken on."""
        cut, found, message = self._ready, self._found, self._message
        if message is not None:
            own = set(found)
            length = self._done + len(self._text)
            across = [
                replace(each, start=max(each.start - self._start, 0), end=min(each.end - self._start, length))
                for each in message.between(self._start + self._done, self._start + length)
            ]
            cut = min(cut, message.settled - self._start)
            if message.texts == 1 and not message.closed:  # it counts only where there is another text
                cut = min([cut, *(each.start for each in across if each not in own)])
            found = list({(each.start, each.end, each.type): each for each in (*found, *across)}.values())
        for each in sorted(found, key=lambda one: one.start, reverse=True):
            if each.start < cut < each.end:
                cut = each.start
        return cut, sorted(found, key=lambda one: (one.start, one.end))


class DocumentStream:
    """``feed(bytes)`` for each chunk of a JSON document in UTF-8, then ``finish()``; what comes out is the document as it may go on.

    Args:
        detector: one that cannot work on chunks makes each string wait for its end.
        rules: type to operator, ``"*"`` for the rest.
        pseudonym: the keyed hash that the operator ``hash`` writes.
        max_bytes: the most that is read.

    Raises:
        MalformedInput: it is no JSON, or ambiguous, or beyond a limit; what came out before is a beginning that was safe.
    """

    def __init__(
        self,
        *,
        detector: Detector,
        rules: Mapping[str, Operator],
        pseudonym: Callable[[str, str], str],
        max_bytes: int,
    ) -> None:
        self._detector = detector
        self._rules = rules
        self._pseudonym = pseudonym
        self._max = min(max_bytes, MAX_BYTES)
        self._size = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._reader = JsonReader()
        self._items: deque[str | _Text] = deque()
        self._between: list[str] = []  # behind the last of them
        self._ahead = ""
        self._begun = False
        self._text: _Text | None = None
        self._messages: dict[tuple[str, ...], _Message] = {}
        self._ending: tuple[list[tuple[str, ...]], ...] = ([], [], [])
        self._names: dict[int, set[str]] = {}
        self._seen: dict[tuple[str, str, PartKind], list[Finding]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._blocked: set[str] = set()

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """What was done so far, by type and operator."""
        return dict(self._counts)

    @property
    def blocked(self) -> tuple[str, ...]:
        """Types found so far whose operator is ``block``; nothing comes out after the first."""
        return tuple(sorted(self._blocked))

    def feed(self, data: bytes, /) -> bytes:
        """What the chunk settled, often nothing."""
        self._size += len(data)
        if self._size > self._max:
            raise BodyTooLarge(f"the body is more than {self._max} bytes, which is the most that is read")
        return self._passed(data, last=False)

    def finish(self) -> bytes:
        """The rest. An empty body stays one."""
        return self._passed(b"", last=True) if self._size else b""

    def _passed(self, data: bytes, *, last: bool) -> bytes:
        text = self._decoded(data, last=last)
        try:
            for token in self._reader.feed(text):
                self._take(token)
            if last:
                for token in self._reader.finish():
                    self._take(token)
                self._close(0)
        except HeldTooLong as error:
            problem = str(error)
        else:
            return self._out(last=last)
        raise BodyTooLarge(problem)

    def _decoded(self, data: bytes, *, last: bool) -> str:
        try:
            return self._decoder.decode(data, last)
        except UnicodeDecodeError:
            pass
        raise MalformedInput("the document is not valid UTF-8")

    def _out(self, *, last: bool) -> bytes:
        """What is settled, in its order. It begins with some text: a reader can do nothing with what stands before it."""
        self._join()
        out: list[str] = []
        while self._items:
            item = self._items[0]
            if isinstance(item, str):
                out.append(item)
            else:
                out.append(item.take(self._redacted))
                self._begun = self._begun or item.begun
                if not item.over:
                    break
            self._items.popleft()
        if self._blocked:
            return b""
        text = self._ahead + "".join(out)
        if not (self._begun or last) and len(text) < MAX_AHEAD:
            self._ahead = text
            return b""
        self._begun, self._ahead = True, ""
        return text.encode("utf-8")

    # --- tokens -------------------------------------------------------------------------------------------------

    def _take(self, token: Glue | Whole | Piece | Left) -> None:
        match token:
            case Glue(text):
                self._put(text)
            case Left(path, owner):
                self._names.pop(owner, None)
                if len(path) < len(self._ending):
                    self._close(len(path))
            case Piece(leaf, text, last):
                self._piece(leaf, text, last=last)
            case Whole(leaf, text) if leaf.kind is PartKind.TEXT:
                message = self._message(leaf, text)
                if message is None:
                    self._begun = self._begun or bool(text)
                    self._put(encode_text(self._redacted(text, self._found(leaf, text))))
                else:
                    waiting = _Text(None, text, self._found(leaf, text))
                    waiting.join(message, short=len(text) <= MAX_WAITING)
                    message.add(text)
                    self._append(waiting)
            case Whole(leaf, text):
                shown = self._redacted(text, self._found(leaf, text))
                if leaf.kind is PartKind.KEY:
                    names = self._names.setdefault(leaf.owner, set())
                    if shown in names:
                        raise MalformedInput(
                            "two keys of one object are equal after replacement, so a value would be lost"
                        )
                    names.add(shown)
                plain = leaf.kind is PartKind.NUMBER and shown == text
                self._put(text if plain else encode_text(shown))

    def _piece(self, leaf: Leaf, text: str, *, last: bool) -> None:
        arriving = self._text
        if arriving is None:
            scan = PartScan(self._detector, context=context_of(leaf), max_held=self._max)
            arriving = self._text = _Text(scan)
            self._append(arriving)
        if text and not arriving.joined and (message := self._message(leaf, text)) is not None:
            arriving.join(message)
        arriving.feed(text, last=last)
        if last:
            self._text = None

    def _put(self, text: str) -> None:
        self._between.append(text)
        if len(self._between) >= MAX_BETWEEN:
            self._join()

    def _append(self, text: _Text) -> None:
        self._join()
        self._items.append(text)

    def _join(self) -> None:
        if self._between:
            self._items.append("".join(self._between))
            self._between.clear()

    # --- messages -----------------------------------------------------------------------------------------------

    def _message(self, leaf: Leaf, text: str) -> _Message | None:
        """The message that a text belongs to; None where it is read by itself only."""
        if len(leaf.path) < MESSAGE_STEPS or not text:
            return None
        key = message_of(Part(text=text, pointer=pointer(leaf.path)))
        if key is None:
            return None
        message = self._messages.get(key)
        if message is None:
            message = self._messages[key] = _Message(self._detector, self._max)
            # Two places whose long keys begin alike are one in a pointer, so such a message may go on elsewhere.
            long = [len(str(step)) > MAX_STEP for step in leaf.path[:2]]
            self._ending[0 if long[0] else 1 if long[1] else 2].append(key)
        return message

    def _close(self, depth: int) -> None:
        """A container at that depth has ended, and the messages in it."""
        for keys in self._ending[depth:]:
            for key in keys:
                self._messages.pop(key).close()
            keys.clear()

    # --- findings -----------------------------------------------------------------------------------------------

    def _found(self, leaf: Leaf, text: str) -> list[Finding]:
        key = (text, context_of(leaf), leaf.kind)
        found = self._seen.get(key)
        if found is None:
            (found,) = detect_parts(self._detector, [Part(text=text, context=key[1], kind=leaf.kind)])
            if len(text) <= MAX_SEEN_TEXT and len(self._seen) < MAX_SEEN:
                self._seen[key] = found
        return found

    def _redacted(self, text: str, found: Sequence[Finding]) -> str:
        if not found:
            return text
        done = redact(text, found, self._rules, vault=None, pseudonym=self._pseudonym)
        self._counts.update(done.counts)
        self._blocked.update(done.blocked)
        return done.text
