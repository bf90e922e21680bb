"""Stages 6 and 7 of an answer that is still arriving.

``relay`` is to a streamed answer what ``deliver`` is to a whole one: a generator that performs no I/O and is driven by the thin
drivers. What becomes of each text is decided in :mod:`aiguard.channels`. Where texts are read as one, an event waits until it is known what
the end of the text before it belongs to (:mod:`aiguard.seams`); events keep their order.

The outcome is committed before the event that completes the answer is delivered. A refusal in the middle ends the stream; what was
delivered before it is a safe beginning, and its length is on record.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from aiguard.channels import Block, Channel, Rules
from aiguard.detect.notes import noting
from aiguard.effects import Commit
from aiguard.errors import AccessDenied, Blocked, MalformedInput, ProviderFailed, StoreError
from aiguard.framing.jsontree import JsonDocument
from aiguard.framing.sse import SseEvent, SseReader
from aiguard.pipeline import Controls, Delivered, Opened, keep
from aiguard.plain import SizeLimit
from aiguard.providers.wire.shape import read
from aiguard.providers.wire.streams import Delta, Frame, Key, WireStream, put
from aiguard.refusing import control_failed, record_failure, refuse, store_failed
from aiguard.seams import Run
from aiguard.trail import Refuse, Trail
from aiguard.types import Part, PartKind, Reason, Stage

MAX_CHANNELS = 512
"""Texts of one answer (choices, items, parts, calls) at most."""

MAX_REMEMBERED = 256
"""Events without news (ids and model names repeat in each) that are remembered as clean."""


@dataclass(frozen=True, slots=True)
class Receive:
    """Effect: wait for the next piece of the answer; None at its end. Raises what receiving raised."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deliver:
    """Effect: hand ``data`` on, bytes of a wire format or text."""

    data: Any


class AnswerStream:
    """Bytes of a streamed answer in, bytes that may be delivered out. Raises what the pipeline's stages raise."""

    def __init__(self, controls: Controls, opened: Opened, wire: WireStream) -> None:
        self._rules = Rules(controls, opened)
        self._wire = wire
        self._reader = SseReader()
        self._channels: dict[Key, Channel] = {}
        self._ended: list[Channel] = []
        self._ends: set[Key] = set()
        self._clean: dict[tuple[str, ...], None] = {}
        self._last: list[bytes] = []
        self._run: Run | None = None
        self._joined: dict[Key, Block] = {}
        self._waiting: deque[tuple[SseEvent, Frame | None]] = deque()
        self._complete = False
        self._over = False
        self.failed = False
        self.delivered = 0
        """Characters of the answer that were handed out."""

    def feed(self, chunk: bytes) -> bytes:
        """What may be delivered now."""
        out: list[bytes] = []
        for event in self._reader.feed(chunk):
            self._arrived(event)
            while self._waiting and self._known(self._waiting[0][1]):
                pieces = self._event(*self._waiting.popleft())
                (self._last if self._complete else out).extend(pieces)
        return b"".join(out)

    def finish(self) -> bytes:
        """What is delivered last, once the outcome is on record."""
        self._reader.finish()
        if self._reader.truncated or not self._complete:
            raise MalformedInput("the stream ended before the answer was complete")
        self._last += self._end(())
        if not self.failed:
            prose = [text for channel in self._all() if channel.said and (text := "".join(channel.shown))]
            wider = ["".join(channel.shown) for channel in self._all()]
            self._rules.obey(prose, wider=[*wider, "".join(prose), "".join(wider)])
        return b"".join(self._last)

    def kept(self) -> tuple[list[Part], list[str]]:
        """The texts of the answer as they may be stored."""
        parts = [
            Part(
                text="",
                role="assistant" if channel.said or channel.kind == "tool" else "reasoning",
                channel=channel.kind,
            )
            for channel in self._all()
        ]
        return parts, [channel.transform.kept for channel in self._all()]

    def _all(self) -> list[Channel]:
        return [*self._ended, *self._channels.values()]

    def _arrived(self, event: SseEvent) -> None:
        """Take an event apart, and look at what it says across the seams of texts."""
        if self._over or event.data is None:
            return
        frame = None
        if self._wire.is_end(event):
            self._over = True
            self._break()
        else:
            frame = self._wire.read(event, JsonDocument.parse(event.data).value)
            if frame.usage:
                self._rules.trail.usage = frame.usage
            self.failed = self.failed or frame.failed
            for delta in frame.deltas:
                if delta.place is not None and delta.text:
                    self._join(delta, delta.place)
            if frame.breaks or () in frame.ends:
                self._break()
            elif self._run is not None and not self._run.kept:
                for key in self._ended_by(frame):
                    if self._joined.get(key, (None,))[0] is self._run:
                        self._run.keep(self._channels[key].transform.fork())
        self._waiting.append((event, frame))

    def _join(self, delta: Delta, place: tuple[int, ...]) -> None:
        """Put the next piece of a text where it stands among those that are read as one."""
        run, mine = self._run, self._joined.get(delta.channel)
        if run is None or not run.continues(place):
            if mine is not None and mine[0].several:
                raise MalformedInput("a text of the stream goes on after others began")
            self._break()
            run = mine[0] if mine is not None else None
            if run is None:
                run = self._run = Run(place)
        elif mine is None and not run.kept:
            previous = next(key for key, (other, _) in self._joined.items() if other is run)
            run.keep(self._channels[previous].transform.fork())
        self._joined[delta.channel] = (run, run.add(place, delta.text))

    def _break(self) -> None:
        """What comes now is not read as one with what came before."""
        if self._run is not None:
            self._run.close()
            self._run = None

    def _known(self, frame: Frame | None) -> bool:
        """Whether it is known what the texts hold that the event ends."""
        return frame is None or all(self._channels[key].over for key in self._ended_by(frame))

    def _ended_by(self, frame: Frame) -> list[Key]:
        return [key for key in self._channels if any(key[: len(end)] == end for end in frame.ends)]

    def _event(self, event: SseEvent, frame: Frame | None) -> list[bytes]:
        if frame is None:
            self._complete = True
            return [*self._end(()), SseEvent(data=event.data).encode()]
        ended = self._ended_by(frame)
        texts: list[str] = []
        for delta in frame.deltas:
            if not delta.text and delta.channel not in self._channels:
                texts.append("")  # where it stands is told by its first character
                continue
            channel = self._channel(delta)
            text = channel.feed(delta.text)
            if delta.channel in ended or any(delta.channel[: len(end)] == end for end in frame.ends):
                text += self._close(delta.channel)
            texts.append(text)
            self.delivered += len(text)
        out = [piece for end in frame.ends for piece in self._end(end)]
        self._ends.update(frame.ends)
        value = self._looked_at(frame)
        for delta, text in zip(frame.deltas, texts, strict=True):
            put(value, delta.path, text)
            known_channel = self._channels.get(delta.channel)
            if known_channel is not None:
                known_channel.example = (event, value, delta.path)
        self._complete = self._complete or frame.terminal
        return [*out, self._wire.write(event, value).encode()]

    def _channel(self, delta: Delta) -> Channel:
        channel = self._channels.get(delta.channel)
        if channel is None:
            if any(delta.channel[:size] in self._ends for size in range(len(delta.channel) + 1)):
                raise MalformedInput("a text of the stream goes on after its end")
            if len(self._channels) + len(self._ended) >= MAX_CHANNELS:
                raise MalformedInput(f"the stream holds more than {MAX_CHANNELS} texts")
            channel = self._channels[delta.channel] = Channel(self._rules, delta, self._joined.get(delta.channel))
        return channel

    def _close(self, key: Key) -> str:
        channel = self._channels.pop(key)
        self._ended.append(channel)
        self._ends.add(key)
        return channel.finish()

    def _end(self, end: Key) -> list[bytes]:
        """Let out what is held of the channels that end here, each in an event like its last one."""
        out: list[bytes] = []
        for key in [key for key in self._channels if key[: len(end)] == end]:
            example = self._channels[key].example
            rest = self._close(key)
            if not rest:
                continue
            if example is None:
                raise MalformedInput("a text of the stream ended before it began")
            event, value, path = example
            put(value, path, rest)
            self.delivered += len(rest)
            out.append(self._wire.write(event, value).encode())
        return out

    def _looked_at(self, frame: Frame) -> Any:
        """The event's value with everything else in it treated as an answer's parts are."""
        body = read(frame.check, JsonDocument.of(frame.value))
        texts = tuple(part.text for part in body.parts)
        if texts in self._clean:
            return frame.value
        shown, _ = self._rules.treat(body.parts, count=frame.once)
        self._rules.obey(
            wider=[text for part, text in zip(body.parts, shown, strict=True) if part.kind is not PartKind.NUMBER]
        )
        if tuple(shown) == texts:
            if frame.deltas and len(self._clean) < MAX_REMEMBERED:
                self._clean[texts] = None
            return frame.value
        return json.loads(body.render(shown))


class TextAnswer:
    """A plain text that arrives in pieces, as a function gives it: :class:`AnswerStream` without a wire format."""

    failed = False

    def __init__(self, controls: Controls, opened: Opened, limit: SizeLimit) -> None:
        self._limit = limit
        self._rules = Rules(controls, opened)
        self._channel = Channel(self._rules, Delta(channel=(), kind="prose", path=(), text=""))
        self.delivered = 0

    def feed(self, chunk: object) -> str:
        """What may be delivered now."""
        if not isinstance(chunk, str):
            raise MalformedInput(f"the model gave a piece of type {type(chunk).__name__}; give texts")
        self._limit.take(chunk)
        out = self._channel.feed(chunk)
        self.delivered += len(out)
        return out

    def finish(self) -> str:
        """What is delivered last."""
        out = self._channel.finish()
        text = "".join(self._channel.shown)
        self._rules.obey([text], wider=[text])
        self.delivered += len(out)
        return out

    def kept(self) -> tuple[list[Part], list[str]]:
        """The text as it may be stored."""
        return [Part(text="", role="assistant")], [self._channel.transform.kept]


def relay(opened: Opened, stream: AnswerStream | TextAnswer) -> Generator[Receive | Deliver | Commit, Any, Delivered]:
    """Hand a streamed answer on.

    Raises:
        Blocked: a control refused in the middle, or the outcome could not be recorded.
        Exception: whatever receiving raised, with the exchange's id as ``aiguard_decision_id``.
    """
    trail, access = opened.trail, opened.outgoing.access
    trail.streamed = 0
    late: list[str] = []
    refusal: Refuse
    try:
        while True:
            if not access.alive:
                detail = "the response that the stream was opened for has ended; read a stream within its view or block"
                raise Refuse(AccessDenied, Stage.ADMIT, Reason(code="access.ended", detail=detail))
            chunk = yield from _received(trail, opened.started)
            if chunk is None:
                break
            with noting(late):
                data = stream.feed(chunk)
            trail.streamed = stream.delivered
            if data:
                yield Deliver(data=data)
        with noting(late):
            last = stream.finish()
        trail.note(late)
        trail.streamed = stream.delivered
        elapsed = _since(opened.started)
        if stream.failed:
            yield Commit(records=(trail.rejected(200, elapsed),))
        else:
            artifacts = keep(trail, opened.outgoing, *stream.kept())
            yield Commit(records=(*artifacts, trail.completed(elapsed, artifacts)))
    except _Broken as broken:
        failure = broken.error
    except Refuse as refused:
        failure, refusal = None, refused
    except MalformedInput as error:
        detail = f"the model server's answer could not be read: {error}"
        failure, refusal = None, Refuse(ProviderFailed, Stage.VALIDATE, Reason(code="answer.malformed", detail=detail))
    except StoreError as error:
        failure, refusal = None, store_failed(trail, error)
    except Exception as error:  # noqa: BLE001 - a control that throws has not said yes
        failure, refusal = None, control_failed(trail, error)
    else:
        if last:
            yield Deliver(data=last)
        return Delivered(answer=None, decision_id=trail.id)
    if failure is not None:
        raise failure
    yield from refuse(trail, refusal)
    raise AssertionError("refuse always raises")


def _received(trail: Trail, started: float) -> Generator[Receive | Commit, Any, Any]:
    """The next piece. What receiving raised is on record when it comes out of here, as :class:`_Broken`."""
    try:
        chunk = yield Receive()
    except GeneratorExit:
        raise
    except Blocked as error:  # the transport refuses the answer: too large, unreadable
        raise Refuse(type(error), Stage.VALIDATE, *error.reasons) from None
    except BaseException as error:  # noqa: BLE001 - recorded and raised again
        failure = error
    else:
        return chunk
    yield from record_failure(trail, failure, _since(started))
    failure.aiguard_decision_id = trail.id  # type: ignore[attr-defined]
    raise _Broken(failure)


class _Broken(BaseException):
    """Carries what receiving raised past the handlers of what the stages raise."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


__all__ = ["AnswerStream", "Deliver", "Receive", "TextAnswer", "relay"]
