"""The events of a streamed Message.

A Message is a sequence of blocks, each of which begins empty, grows by deltas of its own kind and ends. That order is held to: a
text that went on after its end, or began before its block, would be two texts to whoever reads the parts and one to whoever reads
the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiguard.framing.sse import SseEvent
from aiguard.providers.errors import UnknownShape, safe_name
from aiguard.providers.wire.anthropic_answers import BLOCKS, CITATION, MESSAGE, STOP, USAGE, block, usage_of
from aiguard.providers.wire.openai_chat import TOKENS
from aiguard.providers.wire.sealed import maybe_sealed
from aiguard.providers.wire.shape import Check, enum, free, known, marked, where_fits
from aiguard.providers.wire.streams import Delta, Frame, Kind, dump

MAX_BLOCKS: Final = 4096
"""Blocks of one answer at most."""

_EMPTY: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("text", "citations"),
    "thinking": ("thinking", "signature"),
    "tool_use": ("input",),
}
"""What deltas fill, and must therefore be empty where a block begins."""

_GROWS: Final[Mapping[str, tuple[str, str, Kind, bool]]] = {
    "text_delta": ("text", "text", "prose", True),
    "thinking_delta": ("thinking", "thinking", "meta", False),
    "input_json_delta": ("tool_use", "partial_json", "tool", False),
}
"""Deltas that go on with a text: the type of their block, their field, where it is headed, and whether the model says it."""


def _typed(name: str, fields: Mapping[str, Check] | None = None) -> Check:
    return known({"type": where_fits(enum(name)), **(fields or {})})


def _delta(name: str, fields: Mapping[str, Check], *, role: str) -> Check:
    inner = marked(_typed(name, fields), role=role)
    return _typed("content_block_delta", {"index": TOKENS, "delta": inner})


_GROWTH: Final = {
    name: _delta(name, {field: free}, role="assistant" if said else "reasoning")
    for name, (_, field, _, said) in _GROWS.items()
}
_SIGNATURE: Final = _delta("signature_delta", {"signature": maybe_sealed}, role="reasoning")
_CITATION: Final = _delta("citations_delta", {"citation": CITATION}, role="assistant")
_START: Final = _typed("message_start", {"message": MESSAGE})
_BLOCK_START: Final = _typed("content_block_start", {"index": TOKENS, "content_block": block})
_BLOCK_STOP: Final = _typed("content_block_stop", {"index": TOKENS})
_CHANGE: Final = _typed("message_delta", {"delta": known(STOP), "usage": USAGE})
_STOP: Final = _typed("message_stop")
_PING: Final = _typed("ping")
_ERROR: Final = _typed("error", {"error": free})


class MessageStream:
    """Events of a Message."""

    def __init__(self) -> None:
        self._begun = False
        self._over = False
        self._blocks: list[str] = []
        """Each block's type, ``""`` once it has ended."""
        self._signed: set[int] = set()
        self._citations = 0
        self._usage: dict[str, Any] = {}

    def read(self, event: SseEvent, value: Any) -> Frame:
        """Take an event apart; the text of a delta is taken out of ``value``."""
        kind = value.get("type") if isinstance(value, dict) else None
        if not isinstance(kind, str) or event.event not in {"", kind}:
            raise UnknownShape("an event of the stream has no type, or another than its name")
        if self._over:
            raise UnknownShape("the stream goes on after the end of its message")
        match kind:
            case "ping":
                return Frame(value=value, once=True, check=_PING)
            case "error":
                self._over = True
                return Frame(value=value, once=True, check=_ERROR, ends=((),), terminal=True, failed=True)
            case "message_start":
                return self._message_start(value)
        if not self._begun:
            raise UnknownShape("the stream does not begin with a message")
        match kind:
            case "content_block_start":
                return self._block_start(value)
            case "content_block_delta":
                return self._block_delta(value)
            case "content_block_stop":
                index = self._open(value)
                self._blocks[index] = ""
                return Frame(value=value, once=True, check=_BLOCK_STOP, ends=((index,),))
            case "message_delta":
                return Frame(value=value, once=True, check=_CHANGE, usage=self._count(value.get("usage")))
            case "message_stop":
                self._over = True
                return Frame(value=value, once=True, check=_STOP, ends=((),), terminal=True)
        raise UnknownShape(f"the stream has an event that is not supported: {safe_name(kind)}")

    def is_end(self, event: SseEvent) -> bool:  # noqa: ARG002 - as the protocol has it
        """Never: a Message ends with an event like the others."""
        return False

    def write(self, event: SseEvent, value: Any) -> SseEvent:  # noqa: ARG002 - as the protocol has it
        """The event with another value and its type as its name, without whatever else its block held."""
        return SseEvent(event=value["type"], data=dump(value))

    def _message_start(self, value: dict[str, Any]) -> Frame:
        message = value.get("message")
        if self._begun or not isinstance(message, dict) or message.get("content") != []:
            raise UnknownShape("the stream begins twice, or with a message that is not empty")
        self._begun = True
        return Frame(value=value, once=True, check=_START, usage=self._count(message.get("usage")))

    def _block_start(self, value: dict[str, Any]) -> Frame:
        if self._index(value) != len(self._blocks) or len(self._blocks) >= MAX_BLOCKS:
            raise UnknownShape(f"a block of the stream begins out of order, or there are more than {MAX_BLOCKS}")
        content = value.get("content_block")
        kind = content.get("type") if isinstance(content, dict) else None
        if not isinstance(content, dict) or not isinstance(kind, str):
            raise UnknownShape("a block of the stream has no type")
        if any(content.get(name) for name in _EMPTY.get(kind, ())):
            raise UnknownShape(f"a block of the stream, of type {safe_name(kind)}, does not begin empty")
        self._blocks.append(kind if kind in BLOCKS else "other")
        return Frame(value=value, once=True, check=_BLOCK_START, breaks=kind != "text")

    def _block_delta(self, value: dict[str, Any]) -> Frame:
        index = self._open(value)
        delta = value.get("delta")
        kind = delta.get("type") if isinstance(delta, dict) else None
        if not isinstance(delta, dict) or not isinstance(kind, str):
            raise UnknownShape("a delta of the stream has no type")
        if kind in _GROWS:
            of, field, headed, said = _GROWS[kind]
            if self._blocks[index] == of and isinstance(delta.get(field), str) and index not in self._signed:
                grown = Delta(
                    channel=(index, field),
                    kind=headed,
                    path=("delta", field),
                    text=delta[field],
                    said=said,
                    place=(index,) if of == "text" else None,
                )
                delta[field] = ""
                return Frame(value=value, once=True, check=_GROWTH[kind], deltas=(grown,))
        elif kind == "signature_delta":
            if self._blocks[index] == "thinking" and index not in self._signed:
                self._signed.add(index)
                return Frame(value=value, once=True, check=_SIGNATURE, ends=((index, "thinking"),))
        elif kind == "citations_delta" and self._blocks[index] == "text":
            return self._citation(index, value, delta.get("citation"))
        raise UnknownShape(f"a block of the stream has a delta that is not one of its own: {safe_name(kind)}")

    def _citation(self, index: int, value: dict[str, Any], citation: Any) -> Frame:
        """A citation comes whole, so what it quotes is a text that ends where it begins."""
        cited = citation.get("cited_text") if isinstance(citation, dict) else None
        if not isinstance(cited, str):
            return Frame(value=value, once=True, check=_CITATION)
        self._citations += 1
        citation["cited_text"] = ""
        key = (index, "citation", self._citations)
        path = ("delta", "citation", "cited_text")
        quoted = Delta(channel=key, kind="prose", path=path, text=cited, said=False)
        return Frame(value=value, once=True, check=_CITATION, deltas=(quoted,), ends=(key,))

    def _count(self, reported: Any) -> Mapping[str, int]:
        """Tokens so far: a count that an event leaves out is as it was."""
        if isinstance(reported, dict):
            self._usage |= {name: amount for name, amount in reported.items() if amount is not None}
        return usage_of(self._usage)

    def _open(self, value: Mapping[str, Any]) -> int:
        index = self._index(value)
        if index >= len(self._blocks) or not self._blocks[index]:
            raise UnknownShape("an event of the stream belongs to a block that is not open")
        return index

    @staticmethod
    def _index(value: Mapping[str, Any]) -> int:
        index = value.get("index")
        if type(index) is not int or index < 0:
            raise UnknownShape("an event of the stream does not say which block it belongs to")
        return index
