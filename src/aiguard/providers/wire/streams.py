"""What a wire format says about the events of a streamed answer.

An event is a JSON object. Some of its strings are *deltas*: the next piece of a text that goes on over many events, a *channel*.
Everything else in it is read as an answer is (:mod:`aiguard.providers.wire.shape`). A format takes the deltas out, names their
channels, and says which channels an event ends; what may be let out of a channel, and when, is decided elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from aiguard.framing.jsontree import Path
from aiguard.framing.sse import SseEvent
from aiguard.providers.wire.shape import Check

Key = tuple[str | int, ...]
"""A channel's name within its stream, such as ``("text", 0, 0)``."""

Kind = Literal["prose", "tool", "meta"]
"""``prose`` is read by people and streams; ``tool`` holds arguments, which are useless in part and wait for their end; ``meta``
streams and is never restored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delta:
    """The next piece of a channel, and where it stands in its event. In ``Frame.value`` an empty string stands there.

    ``said`` is False for what the model thinks and does not say: a schema does not apply to it. ``place`` is where the text
    stands among those that are read as one (``aiguard.detect.parts.adjacent``); None for one that stands by itself.
    """

    channel: Key
    kind: Kind
    path: Path
    text: str = field(repr=False)
    said: bool = True
    place: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """One event, taken apart.

    ``ends`` are beginnings of the keys of channels that end with the event, ``()`` among them ends all; what was held of them
    is let out before it. ``terminal``: the answer is complete with this event, so the outcome is recorded before it is
    delivered. ``breaks``: something that is no text begins, so the text before it does not go on after it. ``failed``: the model server
    says that it failed. ``once``: what the event says, no other event says again, so what is found in it counts.
    """

    value: Any = field(repr=False)
    check: Check
    deltas: tuple[Delta, ...] = ()
    ends: tuple[Key, ...] = ()
    terminal: bool = False
    breaks: bool = False
    failed: bool = False
    once: bool = False
    usage: Mapping[str, int] = field(default_factory=dict)


class WireStream(Protocol):
    """Reads the events of one streamed answer, in their order."""

    def read(self, event: SseEvent, value: Any) -> Frame:
        """Take an event apart; :class:`~aiguard.errors.MalformedInput` for one that is not known. ``value`` may be changed."""
        ...

    def is_end(self, event: SseEvent) -> bool:
        """Whether the event is the format's own end mark, which holds no JSON (``[DONE]``)."""
        ...

    def write(self, event: SseEvent, value: Any) -> SseEvent:
        """The event with another value: numbered anew where the format numbers its events."""
        ...


def put(value: Any, path: Path, text: str) -> None:
    """Write ``text`` at ``path``."""
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = text


def dump(value: Any) -> str:
    """A value as the data of an event, on one line."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
