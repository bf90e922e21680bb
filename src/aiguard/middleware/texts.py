"""A text that is scrubbed while it arrives, to exactly what :func:`aiguard.bodies.scrub_body` makes of the whole."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from aiguard.bodies import BodyTooLarge, check_encoding, scrub_body
from aiguard.detect.stream import PartScan
from aiguard.errors import MalformedInput
from aiguard.redact import redact
from aiguard.scan.incremental import HeldTooLong, Piece
from aiguard.types import Detector, Operator

_MAYBE_JSON: Final = ("{", "[", '"')
"""A text that begins so may be JSON whose escapes hide characters, which only its end can tell."""


class TextStream:
    """``feed(bytes)`` for each chunk of UTF-8, then ``finish()``; what comes out is the text as it may go on.

    Args:
        detector: one that cannot work on chunks makes the stream :attr:`buffered`.
        rules: type to operator, ``"*"`` for the rest.
        pseudonym: the keyed hash that the operator ``hash`` writes.
        max_bytes: the most that is held where the text has to be there as a whole.

    Raises:
        MalformedInput: the text is not UTF-8, or holds NUL characters.
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
        self._max = max_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._scan = PartScan(detector)
        self._start: list[str] = []
        self._blank = 0
        self._begun = False
        self._whole: bytearray | None = None
        self._counts: Counter[tuple[str, str]] = Counter()
        self._blocked: set[str] = set()

    @property
    def buffered(self) -> bool:
        """Whether nothing comes out before the end."""
        return self._whole is not None or self._scan.buffered

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
        check_encoding(data)
        text = self._decode(data)
        if not self._begun:
            shown = text.lstrip()
            self._blank += len(text)
            self._start.append(text)
            if not shown:
                if self._blank > self._max:
                    raise BodyTooLarge(f"the text begins with more than {self._max} blank characters")
                return b""
            text, self._begun = "".join(self._start), True
            self._start.clear()
            if shown.startswith(_MAYBE_JSON):
                self._whole = bytearray()
        if self._whole is not None:
            self._whole += text.encode("utf-8")
            if len(self._whole) > self._max:
                raise BodyTooLarge(f"a text that may be JSON is more than {self._max} bytes")
            return b""
        try:
            return self._redacted(self._scan.feed(text))
        except HeldTooLong as error:
            problem = str(error)
        raise BodyTooLarge(problem)

    def finish(self) -> bytes:
        """The rest."""
        self._decode(b"", last=True)
        if self._whole is None:
            head = self._redacted(self._scan.feed("".join(self._start))) if self._start else b""
            return head + self._redacted(self._scan.finish())
        scrubbed = scrub_body(
            bytes(self._whole),
            "text/plain",
            detector=self._detector,
            rules=self._rules,
            pseudonym=self._pseudonym,
            max_bytes=self._max,
        )
        self._counts.update(scrubbed.counts)
        self._blocked.update(scrubbed.blocked)
        return b"" if self._blocked else scrubbed.content

    def _redacted(self, piece: Piece) -> bytes:
        done = redact(piece.text, piece.findings, self._rules, vault=None, pseudonym=self._pseudonym)
        self._counts.update(done.counts)
        self._blocked.update(done.blocked)
        return b"" if self._blocked else done.text.encode("utf-8")

    def _decode(self, data: bytes, *, last: bool = False) -> str:
        try:
            return self._decoder.decode(data, last)
        except UnicodeDecodeError:
            pass
        raise MalformedInput("the body is not valid UTF-8")
