"""Detection in one part that is still arriving, with the findings of :func:`aiguard.detect.parts.detect_text` of the whole.

What a text says behind its backslash escapes and underscores is read a line at a time: once a line holds one, it is held to its
end. The underscores of the conversation's own tokens do not count.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from aiguard.detect.parts import detect_text
from aiguard.scan.incremental import MAX_HELD, HeldTooLong, IncrementalScan, Piece
from aiguard.types import Detector, Finding

LOOK_BEHIND: Final = 256
"""Characters before a line that its second reading sees, for words that speak for a value."""

_TRIGGER: Final = re.compile(r"[\\_]")
_OPEN_TOKEN: Final = re.compile(r"\\?\[[A-Za-z0-9_\\ \t\u00a0-]{0,420}\Z")
"""The beginning of what may become a token; longer than any label and code."""


def _none(_text: str) -> Sequence[Finding]:
    return ()


class PartScan:
    """The settled pieces of one part, with their findings, whatever the chunks are.

    Args:
        detector: an :class:`~aiguard.scan.Engine` streams; any other detector is asked at the end (:attr:`buffered`).
        tokens: finds the conversation's own tokens, whose findings are handed out as well.
        prefixes: RE2 closures of the pattern of a token.
        token_type: the type under which ``tokens`` reports them.
        max_held: characters; beyond it :class:`~aiguard.scan.incremental.HeldTooLong` is raised.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        tokens: Callable[[str], Sequence[Finding]] | None = None,
        prefixes: Sequence[str] = (),
        token_type: str = "TOKEN_LITERAL",  # noqa: S107 - a type, not a secret
        max_held: int = MAX_HELD,
    ) -> None:
        self._detector = detector
        self._tokens: Callable[[str], Sequence[Finding]] = tokens or _none
        self._token_type = token_type
        self._max_held = max_held
        self._scan = IncrementalScan(detector, literals=tokens, also=tuple(prefixes), max_held=max_held)
        self._text = ""  # from the first character that was not handed out
        self._behind = ""
        self._ready = 0  # characters of _text that the scan has settled
        self._found: list[Finding] = []  # in _text
        self._line = ""  # waiting for its end, not scanned yet
        self._frozen = False

    @property
    def buffered(self) -> bool:
        """Whether nothing comes out before the end, because the detector needs the whole text."""
        return self._scan.buffered

    @property
    def held(self) -> int:
        """Characters that are held back."""
        return self._scan.held if self.buffered else len(self._text) + len(self._line)

    def fork(self) -> PartScan:
        """Another scan of the same text so far, which goes on by itself."""
        other = copy.copy(self)
        other.part()
        return other

    def part(self) -> None:
        """After a copy: share nothing that changes."""
        self._scan = self._scan.fork()
        self._found = list(self._found)

    def feed(self, chunk: str) -> Piece:
        """The part of the text that the chunk settled, often empty."""
        if self.buffered:
            return self._scan.feed(chunk)
        self._line += chunk
        if len(self._line) > self._max_held:
            raise HeldTooLong(
                f"a line with escapes is longer than {self._max_held} characters, so the stream ends here"
            )
        while self._line:
            if self._frozen:
                end = self._line.find("\n", max(0, len(self._line) - len(chunk) - 1)) + 1
                if not end:
                    break
                line, self._line = self._line[:end], self._line[end:]
                self._frozen = False
                self._again(line)
                self._push(line)
                continue
            at = self._trigger()
            if at is None:
                at = len(self._line)
                opening = _OPEN_TOKEN.search(self._line)
                at = opening.start() if opening is not None else at
                if at:
                    plain, self._line = self._line[:at], self._line[at:]
                    self._push(plain)
                break
            plain, self._line = self._line[:at], self._line[at:]
            self._push(plain)
            self._frozen = True
        return self._settled()

    def finish(self) -> Piece:
        """The rest."""
        if self.buffered:
            rest = self._scan.finish()
            return Piece(rest.text, [*detect_text(self._detector, rest.text), *self._tokens(rest.text)])
        if self._line:
            line, self._line = self._line, ""
            if self._frozen or _TRIGGER.search(line):
                self._again(line)
            self._push(line)
        self._take(self._scan.finish())
        text, found = self._text, self._found
        self._text, self._found = "", []
        return Piece(text, found)

    def _trigger(self) -> int | None:
        """Where the first backslash or underscore stands that is not part of one of our tokens; None while there is none."""
        spans = None
        for match in _TRIGGER.finditer(self._line):
            if spans is None:
                spans = [(token.start, token.end) for token in self._tokens(self._line)]
                opening = _OPEN_TOKEN.search(self._line)
                if opening is not None:
                    spans.append((opening.start(), len(self._line)))
            if not any(start <= match.start() < end for start, end in spans):
                return match.start()
        return None

    def _again(self, line: str) -> None:
        """The findings of a line that only its second readings show."""
        before = (self._behind + self._text)[-LOOK_BEHIND:]
        waiting = len(before) - len(self._text) if len(before) > len(self._text) else 0
        whole = before + line
        shift = len(self._text) - len(before)
        tokens = {(token.start, token.end) for token in self._tokens(whole)}
        plain = {(finding.start, finding.end, finding.type) for finding in self._detector.detect(whole)}
        for finding in detect_text(self._detector, whole):
            start = max(finding.start, waiting)
            if finding.end <= waiting or (finding.start, finding.end) in tokens:
                continue
            if (finding.start, finding.end, finding.type) not in plain:
                self._found.append(replace(finding, start=start + shift, end=finding.end + shift))

    def _push(self, text: str) -> None:
        self._text += text
        self._take(self._scan.feed(text))

    def _take(self, piece: Piece) -> None:
        self._found += [
            replace(finding, start=finding.start + self._ready, end=finding.end + self._ready)
            for finding in piece.findings
        ]
        self._ready += len(piece.text)

    def _settled(self) -> Piece:
        cut = self._ready
        for finding in sorted(self._found, key=lambda each: each.start, reverse=True):
            if finding.start < cut < finding.end:
                cut = finding.start
        if cut <= 0:
            return Piece()
        text, self._text = self._text[:cut], self._text[cut:]
        found = [finding for finding in self._found if finding.start < cut]
        self._found = [
            replace(finding, start=finding.start - cut, end=finding.end - cut)
            for finding in self._found
            if finding.start >= cut
        ]
        self._ready -= cut
        self._behind = (self._behind + text)[-LOOK_BEHIND:]
        return Piece(text, found)
