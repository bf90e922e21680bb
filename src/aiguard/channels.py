"""The texts of a streamed answer on their way out.

Each text is a *channel* with its own transforms, in the order of the pipeline: findings are redacted by the feature's output rules, the
actor's tokens are turned back outside links, blocked patterns stop. What comes out of a channel, put together, is what the whole
text would have become. Rules that need the whole (a JSON schema, a detector that cannot stream, JSON that tokens are restored in,
arguments of tools) wait for the channel's end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, cast

from aiguard import redact
from aiguard.detect.parts import detect_parts, place_of
from aiguard.detect.stream import PartScan
from aiguard.errors import OutputBlocked
from aiguard.framing.jsontree import JsonDocument
from aiguard.framing.sse import SseEvent
from aiguard.output import LinkScan, pattern_broken
from aiguard.output.stream import LinkAware, PatternGate
from aiguard.pipeline import Controls, Opened
from aiguard.providers.wire.shape import json_text, known, marked, read, where_fits
from aiguard.providers.wire.streams import Delta, Kind
from aiguard.redact.vault import TOKEN_LITERAL, Vault
from aiguard.refusing import enforce
from aiguard.restoring import TOKEN_PREFIXES, beside, restore, restores
from aiguard.seams import BlockScan, Run, merged
from aiguard.types import Finding, Operator, Part, Reason, Stage

Block = tuple[Run, int]
"""A text that is read as one with those beside it: their run, and where it begins in it."""

_REPLACE = Operator(name="replace")
_CALLS = known({"arguments": marked(where_fits(json_text), role="assistant", channel="tool")})


class Transform(Protocol):
    """One text of the answer on its way out."""

    def feed(self, text: str) -> str:
        """What can be shown now."""
        ...

    def finish(self) -> str:
        """The rest."""
        ...


class Rules:
    """What all channels of one answer share: the feature's rules, the vault, and where counts go."""

    def __init__(self, controls: Controls, opened: Opened) -> None:
        self.controls, self.opened = controls, opened
        self.detector = controls.detectors(opened.outgoing.feature)
        self.trail, outgoing = opened.trail, opened.outgoing
        self.output = outgoing.feature.output
        self.vault = cast("Vault", outgoing.access.tokens)
        self.lease = outgoing.access.lease
        self.links = "links" in self.output.restore_in
        self.operators = {t: _REPLACE if rule.name == "tokenize" else rule for t, rule in self.output.redact.items()}
        self.answer_rules = controls.answer_rules(outgoing.feature)
        self.patterns = self.output.block_patterns
        self.whole = self.output.json_schema is not None
        self.seams: dict[str, list[Finding]] = {}
        """What stands across the seams of the text that ended last, of those that read so: the next events repeat it."""
        self.said = LinkScan()
        """Has seen all texts that are read as one up to here."""
        self.openings: dict[str, LinkScan] = {}
        """For such a text that has ended, what had seen all before it."""

    def own(self, text: str) -> list[Finding]:
        """The conversation's own tokens in ``text``."""
        return [t for t in self.vault.literals(text) if self.vault.restore(text[t.start : t.end]).count]

    def redact(self, text: str, found: Sequence[Finding], *, count: bool = True) -> str:
        """``text`` with its findings treated as the feature says; a type that is blocked ends the answer."""
        own = [f for f in found if f.type == TOKEN_LITERAL]
        spans = beside((f for f in found if f.type != TOKEN_LITERAL), own)
        if not spans:
            return text
        done = redact.redact(text, spans, self.operators, vault=None, pseudonym=self.controls.pseudonym)
        if count:
            self.trail.answer_redactions.update(done.counts)
        reasons = [
            Reason(code="output.blocked", detail=f"the answer holds a {type}, which policy does not deliver")
            for type in done.blocked
        ]
        enforce(self.trail, OutputBlocked, Stage.VALIDATE, reasons)
        return done.text

    def restored(self, text: str, how: Callable[[Vault, str], tuple[str, list[str]]]) -> str:
        """``text`` with the actor's tokens turned back."""
        result, values = how(self.vault, text)
        self.trail.restored += len(values)
        self.lease.note_restored(values)
        return result

    def plain_restored(self, text: str, *, last: bool = False) -> str:  # noqa: ARG002 - as it is of no token that text ends in
        """A stretch in which tokens are turned back wherever they stand."""

        def turn_back(vault: Vault, stretch: str) -> tuple[str, list[str]]:
            done = vault.restore(stretch)
            return done.text, [done.text[start:end] for start, end in done.spans]

        return self.restored(text, turn_back)

    def scan(self) -> PartScan:
        """A scan of one text."""
        return PartScan(self.detector, tokens=self.own, prefixes=TOKEN_PREFIXES)

    def treat(
        self,
        parts: Sequence[Part],
        *,
        across: Sequence[Finding] = (),
        count: bool = True,
        after: LinkScan | None = None,
    ) -> tuple[list[str], list[str]]:
        """Whole parts, as the pipeline treats them: as shown, and as they may be kept. ``across`` is found in each besides.

        ``after`` has seen the texts that are read before them, where they are such texts and nothing else.
        """
        shown, kept = [], []
        said = LinkScan()
        for part, found in zip(parts, detect_parts(self.detector, parts), strict=True):
            own = self.own(part.text)
            more = self.seams.get(part.text, ()) if _is_repeated(part.pointer) else ()
            text = self.redact(part.text, merged(found, [*across, *more]) + own, count=count)
            kept.append(text)
            if self.trail.monitored:
                text = part.text
            if (own or after is not None or place_of(part) is not None) and restores(self.output, part):
                how = partial(restore, links=self.links, after=after or self._after(part, said))
                text = self.restored(text, how) if count else how(self.vault, text)[0]
            shown.append(text)
        return shown, kept

    def _after(self, part: Part, said: LinkScan) -> LinkScan | None:
        """What has seen the texts before a part of an event: those of the event itself, or of the stream where it repeats one."""
        if place_of(part) is None:
            return None
        if _is_repeated(part.pointer) and (opening := self.openings.get(part.text)) is not None:
            return opening.copy()
        return said

    def obey(self, said: Sequence[str] | None = None, *, wider: Sequence[str] = ()) -> None:
        """Hold texts against the feature's patterns, and what is ``said`` against its schema as well."""
        broken = self.answer_rules.check(said, wider=wider) if said is not None else self.answer_rules.search(wider)
        enforce(self.trail, OutputBlocked, Stage.VALIDATE, [violation.reason for violation in broken])


def _is_repeated(pointer: str) -> bool:
    """Whether an event repeats a text there that has ended. One that repeats all texts has their seams in it."""
    return pointer.endswith("/text") and not pointer.startswith("/response/")


class _Streaming:
    """A text that is shown while it arrives."""

    def __init__(self, rules: Rules, *, restores: bool, block: Block | None) -> None:
        self._rules = rules
        self._scan = rules.scan() if block is None else BlockScan(rules.scan(), *block)
        self._restore: Callable[..., str] | None = None
        if restores:
            links = None if block is None else rules.said
            self._restore = rules.plain_restored if rules.links else LinkAware(rules.plain_restored, links).feed
        self._gate = PatternGate(() if rules.trail.monitored else rules.patterns)
        self.kept: list[str] = []

    def fork(self) -> PartScan:
        return self._scan.fork()

    def feed(self, text: str) -> str:
        piece = self._scan.feed(text)
        return self._next(piece.text, piece.findings, last=False) if piece.text else ""

    def finish(self) -> str:
        piece = self._scan.finish()
        return self._next(piece.text, piece.findings, last=True)

    def _next(self, text: str, found: Sequence[Finding], *, last: bool) -> str:
        redacted = self._rules.redact(text, found)
        self.kept.append(redacted)
        shown = text if self._rules.trail.monitored else redacted
        if self._restore is not None:
            shown = self._restore(shown, last=last)
        out = self._gate.feed(shown, last=last)
        if self._gate.broken is not None:
            enforce(self._rules.trail, OutputBlocked, Stage.VALIDATE, [pattern_broken(self._gate.broken).reason])
        return out


class _Whole:
    """A text that waits for its end."""

    def __init__(self, rules: Rules, kind: Kind, *, said: bool, block: Block | None) -> None:
        self._rules = rules
        self._kind = kind
        self._said = said
        self._block = block
        self._texts: list[str] = []
        self.kept: list[str] = []

    def fork(self) -> PartScan:
        scan = self._rules.scan()
        scan.feed("".join(self._texts))
        return scan

    def feed(self, text: str) -> str:
        self._texts.append(text)
        return ""

    def finish(self) -> str:
        text = "".join(self._texts)
        if not text:
            return ""
        if self._kind == "tool":
            body = read(_CALLS, JsonDocument.of({"arguments": text}))
            shown, kept = self._rules.treat(body.parts)
            self.kept.append(_argument(body.render(kept)))
            self._rules.obey(wider=shown)
            return _argument(body.render(shown))
        across = [] if self._block is None else self._block[0].findings(self._block[1], len(text))
        part = Part(text=text, role="assistant", channel=self._kind)
        after = None if self._block is None else self._rules.said
        (result,), kept = self._rules.treat([part], across=across, after=after)
        self.kept += kept
        self._rules.obey([result] if self._said else None, wider=[result])
        return result


def _argument(body: bytes) -> str:
    return str(json.loads(body)["arguments"])


class _Undecided:
    """A text whose first characters decide whether it can be shown while it arrives: JSON that tokens are restored in cannot."""

    def __init__(self, rules: Rules, kind: Kind, *, said: bool, block: Block | None) -> None:
        self._rules = rules
        self._kind = kind
        self._said = said
        self._block = block
        self._restores = kind == "prose" and rules.output.restore
        self._begun: list[str] = []
        self._start = ""  # of what begun, its first character that is not a blank and what came after it
        self._inner: _Streaming | _Whole | None = None
        if kind == "tool" or (rules.whole and said):
            self._inner = _Whole(rules, kind, said=said, block=block)
        elif not self._restores:
            self._inner = self._streaming()

    @property
    def kept(self) -> str:
        return "".join(self._inner.kept) if self._inner is not None else ""

    def feed(self, text: str) -> str:
        if self._inner is not None:
            return self._inner.feed(text)
        self._begun.append(text)
        self._start = start = (self._start + text).lstrip()
        if not start or start == "[":
            return ""
        # A token of ours begins with a bracket and a capital letter, and JSON never does.
        json_like = start[0] == "{" or (start[0] == "[" and not ("A" <= start[1] <= "Z"))
        self._inner = self._waiting() if json_like else self._streaming()
        return self._inner.feed("".join(self._begun))

    def fork(self) -> PartScan:
        """A scan that has seen what arrived so far, to go on with."""
        if self._inner is not None:
            return self._inner.fork()
        scan = self._rules.scan()
        scan.feed("".join(self._begun))
        return scan

    def finish(self) -> str:
        if self._inner is None:
            self._inner = self._streaming()
            return self._inner.feed("".join(self._begun)) + self._inner.finish()
        return self._inner.finish()

    def _streaming(self) -> _Streaming:
        return _Streaming(self._rules, restores=self._restores, block=self._block)

    def _waiting(self) -> _Whole:
        return _Whole(self._rules, self._kind, said=self._said, block=self._block)


class Channel:
    """One text of the answer: its transform, what came out of it, and the last event it stood in.

    ``block`` says where it stands among texts that are read as one. It may be finished only where :attr:`over` holds.
    """

    def __init__(self, rules: Rules, delta: Delta, block: Block | None = None) -> None:
        self.kind = delta.kind
        self.said = delta.said and delta.kind == "prose"
        self.transform = _Undecided(rules, delta.kind, said=self.said, block=block)
        self._rules = rules
        self._block = block
        self._opening = None if block is None else rules.said.copy()
        self._raw: list[str] = []
        self.shown: list[str] = []
        self.example: tuple[SseEvent, Any, tuple[str | int, ...]] | None = None

    @property
    def over(self) -> bool:
        """Whether nothing that is still to come can change what it holds, provided that it has ended."""
        return self._block is None or self._block[0].over(self._block[1])

    def feed(self, text: str) -> str:
        """What can be shown now."""
        out = self.transform.feed(text)
        self.shown.append(out)
        if self._block is not None:
            self._raw.append(text)
        return out

    def finish(self) -> str:
        """The rest."""
        out = self.transform.finish()
        self.shown.append(out)
        if self._block is not None and self._opening is not None:
            run, start = self._block
            text = "".join(self._raw)
            self._rules.openings[text] = self._opening
            if run.several:
                self._rules.seams[text] = run.findings(start, len(text))
        return out
