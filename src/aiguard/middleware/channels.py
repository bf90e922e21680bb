"""Texts that run on from record to record: what a client puts together again is scrubbed as the one text that it is.

A *record* is a server-sent event or a line of JSON. Its texts are looked at by themselves, and those that run on are looked at
once more together with what came before them in their *channel*. A record waits until every text of it is settled, and the records
behind it wait with it, so that their order is kept and each keeps its own text: of a value that is cut over several records, the
replacement stands where the value begins, and the rest of it is taken out of the records behind.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from aiguard.bodies import BodyTooLarge
from aiguard.detect.stream import PartScan
from aiguard.redact import redact
from aiguard.scan.held import HeldText
from aiguard.scan.incremental import HeldTooLong, Piece
from aiguard.types import Detector, Finding, Operator

MAX_CHANNELS: Final = 256
"""Texts that run on at the same time. The one that was silent for longest ends when there are more."""

MAX_GUESS: Final = 8192
"""Characters that are held for a text of which nobody said that it runs on: longer than any value but a private key."""

Pseudonym = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Run:
    """A text that runs on in the channel ``key``. ``sure`` unless that is only a guess."""

    key: Hashable
    sure: bool = True


class _Segment(NamedTuple):
    """The text ``at`` of a waiting record: characters ``start`` to ``end`` of a channel."""

    at: int
    channel: Channel
    start: int
    end: int


class _Record(NamedTuple):
    """A record: its texts as they may be shown, but for those that ``waiting`` names."""

    texts: list[str]
    waiting: list[_Segment]
    write: Callable[[Sequence[str]], bytes]
    size: int


class Rules:
    """What is done to findings, and what was done so far."""

    def __init__(self, rules: Mapping[str, Operator], pseudonym: Pseudonym) -> None:
        self._rules = rules
        self._pseudonym = pseudonym
        self.counts: Counter[tuple[str, str]] = Counter()
        self.blocked: set[str] = set()

    def acts_on(self, finding: Finding) -> bool:
        """Whether anything happens to it. What is allowed is counted here, and nowhere else."""
        if (self._rules.get(finding.type) or self._rules["*"]).name != "allow":
            return True
        self.counts[finding.type, "allow"] += 1
        return False

    def redact(self, text: str, findings: Sequence[Finding]) -> str:
        """``text`` with its findings treated."""
        if not findings:
            return text
        done = redact(text, findings, self._rules, vault=None, pseudonym=self._pseudonym)
        self.counts.update(done.counts)
        self.blocked.update(done.blocked)
        return done.text


class Channel:
    """One text that comes in segments. Offsets are characters from its beginning."""

    def __init__(self, detector: Detector) -> None:
        self._scan = PartScan(detector)
        self._text = HeldText()  # from _base on: what no record has let go, and some of what one has
        self._base = 0
        self._end = 0
        self._done = 0  # everything before it was let go or replaced
        self._found: dict[tuple[int, int, str], Finding] = {}
        self.settled = 0
        """Whatever follows, the findings before this are known."""

    @property
    def held(self) -> int:
        """Characters that something may still depend on."""
        return self._end - self.settled

    def add(self, text: str, findings: Sequence[Finding], rules: Rules) -> tuple[int, int]:
        """The next segment, with the findings that it has by itself; gives its place."""
        start, self._end = self._end, self._end + len(text)
        self._text.add(text)
        if findings:
            self._note(findings, start, rules)
        self._settle(self._scan.feed(text), rules)
        return start, self._end

    def finish(self, rules: Rules) -> None:
        """Settle what there is. Nothing can be added any more."""
        self._settle(self._scan.finish(), rules)

    def _settle(self, piece: Piece, rules: Rules) -> None:
        if piece.findings:
            self._note(piece.findings, self.settled, rules)
        self.settled += len(piece.text)

    def _note(self, findings: Sequence[Finding], offset: int, rules: Rules) -> None:
        for finding in findings:
            key = (finding.start + offset, finding.end + offset, finding.type)
            if key not in self._found and rules.acts_on(finding):
                self._found[key] = replace(finding, start=key[0], end=key[1])

    def take(self, start: int, end: int, rules: Rules) -> str:
        """The settled segment from ``start`` to ``end`` as it may be shown. Segments are taken in order, once."""
        whole, base = str(self._text), self._base
        if not self._found and start >= self._done:
            text, self._done = whole[start - base : end - base], end
            self._let_go(end)
            return text
        at = max(start, self._done)
        pieces: list[str] = []
        for first, last, group in self._clusters():
            if first >= end:
                break
            if first < at:  # its beginning was replaced with what stood before
                at = max(at, last)
                continue
            value = whole[first - base : last - base]
            inside = [replace(one, start=one.start - first, end=one.end - first) for one in group]
            pieces += (whole[at - base : first - base], rules.redact(value, inside))
            at = last
        if at < end:
            pieces.append(whole[at - base : end - base])
        self._done = max(at, end)
        self._let_go(end)
        self._found = {key: one for key, one in self._found.items() if one.end > end}
        return "".join(pieces)

    def _let_go(self, end: int) -> None:
        """Drop what stands before ``end``, once it is half of the text: many segments may be taken of a long one."""
        if 2 * (end - self._base) >= len(self._text):
            self._text.take(end - self._base)
            self._base = end

    def _clusters(self) -> list[tuple[int, int, list[Finding]]]:
        """Runs of overlapping findings."""
        clusters: list[tuple[int, int, list[Finding]]] = []
        for finding in sorted(self._found.values(), key=lambda one: (one.start, -one.end)):
            if clusters and finding.start < clusters[-1][1]:
                first, last, group = clusters[-1]
                clusters[-1] = first, max(last, finding.end), [*group, finding]
            else:
                clusters.append((finding.start, finding.end, [finding]))
        return clusters


class Queue:
    """Records in, in their order; what may be written of them out.

    Args:
        detector: looks at the texts that run on.
        rules: type to operator, ``"*"`` for the rest.
        pseudonym: the keyed hash that the operator ``hash`` writes.
        max_held: bytes of records that wait, at most.

    Raises :class:`~aiguard.bodies.BodyTooLarge` when more has to be held.
    """

    def __init__(
        self, *, detector: Detector, rules: Mapping[str, Operator], pseudonym: Pseudonym, max_held: int
    ) -> None:
        self._detector = detector
        self.rules = Rules({"*": Operator(name="replace"), **rules}, pseudonym)
        self._max = max_held
        self._channels: OrderedDict[Hashable, Channel] = OrderedDict()
        self._records: deque[_Record] = deque()
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes of the records that wait."""
        return self._held

    def add(
        self,
        texts: Sequence[str],
        findings: Sequence[Sequence[Finding]],
        runs: Sequence[Run | None],
        write: Callable[[Sequence[str]], bytes],
        size: int,
    ) -> None:
        """A record: its texts, what each holds by itself, which of them run on, and how it is written."""
        shown = list(texts)
        waiting: list[_Segment] = []
        for at, run in enumerate(runs):
            text, found = texts[at], findings[at]
            if run is None or not text:
                if found:
                    shown[at] = self.rules.redact(text, [one for one in found if self.rules.acts_on(one)])
                continue
            channel = self._channel(run.key)
            try:
                start, end = channel.add(text, found, self.rules)
            except HeldTooLong as error:
                raise BodyTooLarge(str(error)) from None
            waiting.append(_Segment(at, channel, start, end))
            if not run.sure and channel.held > MAX_GUESS:
                self.end(run.key)
        self._held += size
        if self._held > self._max:
            raise BodyTooLarge(f"more than {self._max} bytes of a stream would have to be held, so it ends here")
        self._records.append(_Record(shown, waiting, write, size))

    def end(self, key: Hashable) -> None:
        """The text of that channel ends here; another may begin."""
        channel = self._channels.pop(key, None)
        if channel is not None:
            channel.finish(self.rules)

    def end_all(self) -> None:
        """Every text ends here."""
        for key in tuple(self._channels):
            self.end(key)

    def taken(self) -> bytes:
        """What can be written now. Nothing once a type was found that is blocked."""
        out: list[bytes] = []
        while self._records:
            record = self._records[0]
            if any(segment.end > segment.channel.settled for segment in record.waiting):
                break
            self._records.popleft()
            self._held -= record.size
            for segment in record.waiting:
                record.texts[segment.at] = segment.channel.take(segment.start, segment.end, self.rules)
            out.append(record.write(record.texts))
            if self.rules.blocked:
                return b""
        return b"" if self.rules.blocked else b"".join(out)

    def _channel(self, key: Hashable) -> Channel:
        channel = self._channels.get(key)
        if channel is None:
            if len(self._channels) >= MAX_CHANNELS:
                self.end(next(iter(self._channels)))
            channel = self._channels[key] = Channel(self._detector)
        self._channels.move_to_end(key)
        return channel
