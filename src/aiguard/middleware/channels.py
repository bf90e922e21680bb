"""Texts that run on from record to record: what a client puts together again is scrubbed as the one text that it is.

A *record* is a server-sent event or a line of JSON. Its texts are looked at by themselves, and those that run on are looked at
once more together with what came before them in their *channel*. A record waits until every text of it is settled, and the records
behind it wait with it, so that their order is kept and each keeps its own text: of a value that is cut over several records, the
replacement stands where the value begins, and the rest of it is taken out of the records behind.

Of some texts nobody says which text they go on with: a reader may go by the place where they stand or by a number beside it. Such
a text has a channel for each way of reading. As long as both say the same, they share one, and part where they begin to differ.
"""

from __future__ import annotations

import copy
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
    """A text that runs on under each of ``keys``, which are ways to read it. ``sure`` unless that is only a guess."""

    keys: tuple[Hashable, ...]
    sure: bool = True


class _Segment(NamedTuple):
    """The text ``at`` of a waiting record: characters ``start`` to ``end`` of a channel."""

    at: int
    channel: Channel
    start: int
    end: int


class Cut(NamedTuple):
    """Characters ``start`` to ``end`` of a segment that are not shown.

    They are a ``value`` that may go on in later segments, with what was found in it, or (without findings) the rest of one that began before.
    """

    start: int
    end: int
    value: str = ""
    findings: Sequence[Finding] = ()


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
        self.keys: set[Hashable] = set()
        """The ways of reading that have come to this very text so far."""
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

    def fork(self) -> Channel:
        """Another one of the same text so far, which goes on by itself."""
        other = copy.copy(self)
        other.part()
        return other

    def part(self) -> None:
        """After a copy: share nothing that changes."""
        self.keys = set()
        self._scan = self._scan.fork()
        self._text = self._text.copy()
        self._found = dict(self._found)

    def take(self, start: int, end: int) -> list[Cut]:
        """What is not shown of the settled segment from ``start`` to ``end``. Segments are taken in order, once."""
        cuts: list[Cut] = []
        at = max(start, min(self._done, end))
        if at > start:
            cuts.append(Cut(0, at - start))
        if self._found:
            at = max(at, self._done)
            whole, base = str(self._text), self._base
            for first, last, group in self._clusters():
                if first >= end:
                    break
                if first < at:  # its beginning was replaced with what stood before
                    if at < min(last, end):
                        cuts.append(Cut(at - start, min(last, end) - start))
                else:
                    inside = [replace(one, start=one.start - first, end=one.end - first) for one in group]
                    cuts.append(Cut(first - start, min(last, end) - start, whole[first - base : last - base], inside))
                at = max(at, last)
            self._found = {key: one for key, one in self._found.items() if one.end > end}
        self._done = max(at, end)
        self._let_go(end)
        return cuts

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
        self._records.append(_Record(shown, waiting, write, size))
        for at, run in enumerate(runs):
            text, found = texts[at], findings[at]
            if run is None or not text:
                if found:
                    shown[at] = self.rules.redact(text, [one for one in found if self.rules.acts_on(one)])
                continue
            for channel in self._channels_of(run.keys):
                try:
                    start, end = channel.add(text, found, self.rules)
                except HeldTooLong as error:
                    raise BodyTooLarge(str(error)) from None
                waiting.append(_Segment(at, channel, start, end))
                if not run.sure and channel.held > MAX_GUESS:
                    for key in tuple(channel.keys):
                        self.end(key)
        self._held += size
        if self._held > self._max:
            raise BodyTooLarge(f"more than {self._max} bytes of a stream would have to be held, so it ends here")

    def end(self, key: Hashable) -> None:
        """The text of that channel ends here; another may begin."""
        channel = self._channels.pop(key, None)
        if channel is not None:
            channel.keys.discard(key)
            if not channel.keys:
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
            self._show(record)
            out.append(record.write(record.texts))
            if self.rules.blocked:
                return b""
        return b"" if self.rules.blocked else b"".join(out)

    def _show(self, record: _Record) -> None:
        """Put the record's waiting texts as they may be shown, whichever way they are read."""
        cuts: dict[int, list[Cut]] = {}
        for segment in record.waiting:
            if found := segment.channel.take(segment.start, segment.end):
                cuts.setdefault(segment.at, []).extend(found)
        for at, found in cuts.items():
            record.texts[at] = self._without(record.texts[at], found)

    def _without(self, text: str, cuts: Sequence[Cut]) -> str:
        """``text`` with its cuts made. Where they overlap they are one, and the first of them says what stands there."""
        pieces: list[str] = []
        done = 0
        made: list[Cut] = []
        for cut in sorted(cuts, key=lambda each: (each.start, -each.end, bool(each.findings))):
            if cut.start >= done:
                made = []
            if cut in made:
                continue  # found in both readings
            put = self.rules.redact(cut.value, cut.findings) if cut.findings else ""
            if not made:
                pieces += (text[done : cut.start], put)
            made.append(cut)
            done = max(done, cut.end)
        return "".join((*pieces, text[done:]))

    def _channels_of(self, keys: Sequence[Hashable]) -> list[Channel]:
        """The channels of a text that is read in the ways ``keys``, and of no other texts."""
        for key in keys:
            if key in self._channels:
                self._channels.move_to_end(key)
        known = [self._channels.get(key) for key in keys]
        if len(keys) > 1 or known[0] is None or len(known[0].keys) > 1:
            for shared in {id(each): each for each in known if each is not None and not each.keys <= {*keys}}.values():
                self._part(shared, keys)
            fresh: Channel | None = None
            for key in keys:
                if key not in self._channels:
                    if len(self._channels) >= MAX_CHANNELS:
                        self.end(next(iter(self._channels)))
                    fresh = Channel(self._detector) if fresh is None else fresh
                    fresh.keys.add(key)
                    self._channels[key] = fresh
        return list({id(each): each for each in map(self._channels.__getitem__, keys)}.values())

    def _part(self, shared: Channel, keys: Sequence[Hashable]) -> None:
        """Let the readings ``keys`` of a text go on by themselves, since the others do not go on with them."""
        own = shared.fork()
        for key in keys:
            if self._channels.get(key) is shared:
                shared.keys.discard(key)
                own.keys.add(key)
                self._channels[key] = own
        for record in self._records:
            record.waiting.extend([one._replace(channel=own) for one in record.waiting if one.channel is shared])
