"""The events of OpenAI's streamed answers: chunks of Chat Completions, and typed events of Responses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from aiguard.framing.jsontree import Path
from aiguard.framing.sse import SseEvent
from aiguard.providers.errors import UnknownShape, safe_name
from aiguard.providers.wire.openai_chat import ANSWER_CALL, FINISH, TIER, TIMESTAMP, TOKENS, USAGE
from aiguard.providers.wire.openai_responses import CONTENT_PART, ITEM, RESPONSES_ANSWER
from aiguard.providers.wire.shape import (
    MAX_TOKENS,
    Check,
    each,
    enum,
    free,
    json_text,
    known,
    marked,
    optional,
    text,
    where_fits,
)
from aiguard.providers.wire.streams import Delta, Frame, Key, Kind, dump

MAX_INDEX: Final = 4096
"""Choices, items, parts or calls of one answer at most."""

DONE: Final = "[DONE]"

_ERROR: Final = free
_PROSE: Final = marked(where_fits(optional(text)), channel="prose")
_CHUNK: Final = known(
    dict.fromkeys(("id", "model", "system_fingerprint"), free)
    | {
        "object": where_fits(enum("chat.completion.chunk")),
        "created": TIMESTAMP,
        "service_tier": where_fits(optional(TIER)),
        "usage": USAGE,
        "choices": each(
            known(
                {
                    "index": TOKENS,
                    "finish_reason": FINISH,
                    "delta": marked(
                        known(
                            {
                                "role": where_fits(enum("assistant")),
                                "content": _PROSE,
                                "refusal": _PROSE,
                                "tool_calls": each(ANSWER_CALL),
                            }
                        ),
                        role="assistant",
                    ),
                }
            )
        ),
    }
)


def _index(value: Mapping[str, Any], name: str = "index") -> int:
    index = value.get(name, 0)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < MAX_INDEX:
        raise UnknownShape(f"an event's {safe_name(name)} is not a whole number from 0 to {MAX_INDEX - 1}")
    return index


class ChatStream:
    """Chunks of a Chat Completion."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self._stated: dict[Key, str] = {}

    def read(self, event: SseEvent, value: Any) -> Frame:
        """Take a chunk apart; the text of every delta is taken out of ``value``."""
        if event.event not in {"", "message"} or not isinstance(value, dict):
            raise UnknownShape("an event of the stream is not a chunk of a chat completion")
        if "error" in value:
            return Frame(value=value, check=_ERROR, ends=((),), terminal=True, failed=True)
        choices = value.get("choices")
        if not isinstance(choices, list):
            raise UnknownShape("an event of the stream is not a chunk of a chat completion: it has no list 'choices'")
        value.pop("obfuscation", None)
        deltas: list[Delta] = []
        ends: list[Key] = []
        for position, choice in enumerate(choices):
            if not isinstance(choice, dict):
                raise UnknownShape("a choice of the stream is not an object")
            choice.pop("logprobs", None)
            index = _index(choice)
            self._open.add(index)
            delta = choice.get("delta")
            if isinstance(delta, dict):
                deltas += self._texts(delta, index, ("choices", position, "delta"))
            texts = {name: item for name, item in choice.items() if isinstance(item, str) and name != "finish_reason"}
            self._state((index,), texts | {"delta": delta})
            if choice.get("finish_reason") is not None:
                self._finished.add(index)
                ends.append((index,))
        return Frame(
            value=value,
            check=_CHUNK,
            deltas=tuple(deltas),
            ends=tuple(ends),
            terminal=bool(self._finished) and self._open <= self._finished,
            usage=usage_of(value.get("usage")),
        )

    def is_end(self, event: SseEvent) -> bool:
        """``data: [DONE]``."""
        return event.data is not None and event.data.strip() == DONE

    def write(self, event: SseEvent, value: Any) -> SseEvent:
        """The chunk with another value, without whatever else its block held: an ``id`` is text that nothing looks at."""
        return SseEvent(event=event.event, data=dump(value))

    def _state(self, place: Key, value: Any) -> None:
        """Refuse what goes on over several events and is no channel: readers put it together, and it was looked at in pieces.

        What is said once, or the same each time (the id and the name of a call), was looked at whole.
        """
        if isinstance(value, dict):
            for name, item in value.items():
                if name != "annotations":  # each of them comes whole
                    self._state((*place, name), item)
        elif isinstance(value, list):
            for position, item in enumerate(value):
                number = item.get("index") if isinstance(item, dict) else None
                self._state((*place, number if type(number) is int else position), item)
        elif isinstance(value, str) and value and self._stated.setdefault(place, value) != value:
            raise UnknownShape("a text of the stream goes on in a field that is not supported")

    def _texts(self, delta: dict[str, Any], index: int, path: Path) -> Iterator[Delta]:
        for name in ("content", "refusal"):
            if not isinstance(delta.get(name), str | None):
                raise UnknownShape(f"the field {name!r} of a delta of the stream is not a text")
        for name, item in delta.items():
            if not isinstance(item, str) or name == "role":
                continue
            if not name.isascii() or not name.replace("_", "").isalnum() or len(name) > 40:
                raise UnknownShape("a delta of the stream has a field that is not supported")
            kind: Kind = "prose" if name in {"content", "refusal"} else "meta"
            yield _take(delta, name, (index, name), kind, (*path, name))
        calls = delta.get("tool_calls")
        for position, call in enumerate(calls if isinstance(calls, list) else ()):
            if not isinstance(call, dict):
                raise UnknownShape("a tool call of the stream is not an object")
            number = _index(call)
            for name, field in (("function", "arguments"), ("custom", "input")):
                inner = call.get(name)
                if isinstance(inner, dict) and isinstance(inner.get(field), str):
                    where = (*path, "tool_calls", position, name, field)
                    yield _take(inner, field, (index, "tool_calls", number, name), "tool", where)
        legacy = delta.get("function_call")
        if isinstance(legacy, dict) and isinstance(legacy.get("arguments"), str):
            yield _take(legacy, "arguments", (index, "function_call"), "tool", (*path, "function_call", "arguments"))


def _take(holder: dict[str, Any], name: str, channel: Key, kind: Kind, path: Path) -> Delta:
    content, holder[name] = holder[name], ""
    return Delta(channel=channel, kind=kind, path=path, text=content)


_NUMBERS: Final = dict.fromkeys(
    ("sequence_number", "output_index", "content_index", "summary_index", "annotation_index"), TOKENS
)
_TYPED: Final = _NUMBERS | {"item_id": free}


def _typed(type: str, fields: Mapping[str, Check] | None = None) -> Check:
    return known(_TYPED | {"type": where_fits(enum(type))} | dict(fields or {}))


_DELTAS: Final[Mapping[str, tuple[str, Kind, tuple[str, ...]]]] = {
    "response.output_text.delta": ("text", "prose", ("output_index", "content_index")),
    "response.refusal.delta": ("refusal", "prose", ("output_index", "content_index")),
    "response.reasoning_summary_text.delta": ("summary", "prose", ("output_index", "summary_index")),
    "response.reasoning_text.delta": ("reasoning", "prose", ("output_index", "content_index")),
    "response.function_call_arguments.delta": ("arguments", "tool", ("output_index",)),
    "response.custom_tool_call_input.delta": ("input", "tool", ("output_index",)),
}
_WHOLE: Final = marked(where_fits(text), role="assistant", channel="prose")
_ARGUMENTS: Final = marked(where_fits(json_text), role="assistant", channel="tool")
_DONES: Final[Mapping[str, tuple[str, Check]]] = {
    "response.output_text.done": ("text", _typed("response.output_text.done", {"text": _WHOLE})),
    "response.refusal.done": ("refusal", _typed("response.refusal.done", {"refusal": _WHOLE})),
    "response.reasoning_summary_text.done": (
        "summary",
        _typed("response.reasoning_summary_text.done", {"text": _WHOLE}),
    ),
    "response.reasoning_text.done": ("reasoning", _typed("response.reasoning_text.done", {"text": _WHOLE})),
    "response.function_call_arguments.done": (
        "arguments",
        _typed("response.function_call_arguments.done", {"arguments": _ARGUMENTS, "name": free}),
    ),
    "response.custom_tool_call_input.done": (
        "input",
        _typed("response.custom_tool_call_input.done", {"input": _ARGUMENTS}),
    ),
}
_PART: Final = marked(CONTENT_PART, role="assistant")
_RESPONSE: Final[Mapping[str, Check]] = {"response": RESPONSES_ANSWER}
_OTHERS: Final[Mapping[str, Check]] = {
    name: _typed(name, fields)
    for name, fields in {
        "response.created": _RESPONSE,
        "response.queued": _RESPONSE,
        "response.in_progress": _RESPONSE,
        "response.completed": _RESPONSE,
        "response.failed": _RESPONSE,
        "response.incomplete": _RESPONSE,
        "response.output_item.added": {"item": ITEM},
        "response.output_item.done": {"item": ITEM},
        "response.content_part.added": {"part": _PART},
        "response.content_part.done": {"part": _PART},
        "response.reasoning_summary_part.added": {"part": _PART},
        "response.reasoning_summary_part.done": {"part": _PART, "status": free},
        "response.output_text.annotation.added": {"annotation": free},
        "error": {"code": free, "message": free, "param": free},
    }.items()
}
_LAST: Final = frozenset({"response.completed", "response.failed", "response.incomplete", "error"})
_DONE: Final = _LAST | {name for name in _OTHERS if name.endswith(".done")}
_FAILED: Final = frozenset({"response.failed", "error"})


class ResponsesStream:
    """Typed events of a Response. Events are numbered anew, since texts that were held back come in events of their own."""

    def __init__(self) -> None:
        self._number = 0
        self._begun: set[int] = set()
        """Items of which an event held more than the beginning of a text: a delta would go on with what was looked at alone."""

    def read(self, event: SseEvent, value: Any) -> Frame:
        """Take an event apart; the text of a delta is taken out of ``value``."""
        type = value.get("type") if isinstance(value, dict) else None
        if not isinstance(type, str) or event.event not in {"", type}:
            raise UnknownShape("an event of the stream has no type, or another than its name")
        value.pop("obfuscation", None)
        drop_logprobs(value)
        if type in _DELTAS:
            return self._delta(type, value)
        if type in _DONES:
            channel, check = _DONES[type]
            places = next(places for name, _, places in _DELTAS.values() if name == channel)
            return Frame(value=value, check=check, ends=((channel, *(_index(value, place) for place in places)),))
        if type not in _OTHERS:
            raise UnknownShape(f"the stream has an event that is not supported: {safe_name(type)}")
        response = value.get("response")
        if type not in _DONE:
            self._begun.update(_begun(value))
        return Frame(
            value=value,
            check=_OTHERS[type],
            ends=tuple(self._ends(type, value)),
            terminal=type in _LAST,
            breaks=_breaks(type, value),
            failed=type in _FAILED,
            usage=usage_of(response.get("usage")) if isinstance(response, dict) else {},
        )

    def is_end(self, event: SseEvent) -> bool:
        """``data: [DONE]``, which some servers of this format send."""
        return event.data is not None and event.data.strip() == DONE

    def write(self, event: SseEvent, value: Any) -> SseEvent:
        """The event with another value and the next number, without whatever else its block held."""
        if isinstance(value, dict) and "sequence_number" in value:
            value["sequence_number"] = self._number
            self._number += 1
        return SseEvent(event=event.event, data=dump(value))

    def _delta(self, type: str, value: dict[str, Any]) -> Frame:
        channel, kind, places = _DELTAS[type]
        if not isinstance(value.get("delta"), str):
            raise UnknownShape("a delta of the stream is not a text")
        key: Key = (channel, *(_index(value, place) for place in places))
        if value["delta"] and key[1] in self._begun:
            raise UnknownShape("a text of the stream goes on that another event began")
        delta = replace(
            _take(value, "delta", key, kind, ("delta",)),
            said=channel not in {"summary", "reasoning"},
            place=tuple(_index(value, place) for place in places) if channel == "text" else None,
        )
        return Frame(value=value, check=_typed_delta(type), deltas=(delta,))

    @staticmethod
    def _ends(type: str, value: dict[str, Any]) -> Iterator[Key]:
        if type in _LAST:
            yield ()
        elif type == "response.output_item.done":
            for name in dict.fromkeys(name for name, _, _ in _DELTAS.values()):
                yield (name, _index(value, "output_index"))
        elif type == "response.content_part.done":
            for name in ("text", "refusal", "reasoning"):
                yield (name, _index(value, "output_index"), _index(value, "content_index"))


def _begun(value: Mapping[str, Any]) -> Iterator[int]:
    """The items of which an event holds some of the text that deltas could go on with: a client's library joins the two."""
    response = value.get("response")
    output = response.get("output") if isinstance(response, dict) else None
    for index, item in enumerate(output if isinstance(output, list) else ()):
        if _says(item):
            yield index
    if _says(value.get("item")) or _says({"content": [value.get("part")]}):
        yield _index(value, "output_index")


def _says(item: Any) -> bool:
    """Whether an item holds arguments, or a part with a text."""
    if not isinstance(item, dict):
        return False
    parts = [part for name in ("content", "summary") if isinstance(listed := item.get(name), list) for part in listed]
    texts = [item.get("arguments"), item.get("input")]
    texts += [part.get(name) for part in parts if isinstance(part, dict) for name in ("text", "refusal")]
    return any(isinstance(text, str) and text for text in texts)


def _breaks(type: str, value: Mapping[str, Any]) -> bool:
    """Whether an item or a part begins that is no text."""
    if type == "response.output_item.added":
        item = value.get("item")
        return not isinstance(item, dict) or item.get("type") != "message"
    if type == "response.content_part.added":
        part = value.get("part")
        return not isinstance(part, dict) or part.get("type") != "output_text"
    return False


_DELTA_CHECKS: Final = {type: _typed(type, {"delta": free}) for type in _DELTAS}


def _typed_delta(type: str) -> Check:
    return _DELTA_CHECKS[type]


def usage_of(reported: Any) -> Mapping[str, int]:
    """Tokens as the provider counted them: ``input_tokens``, ``output_tokens`` and ``total_tokens``, as far as it did."""
    if not isinstance(reported, dict):
        return {}
    names = {
        "input_tokens": ("input_tokens", "prompt_tokens"),
        "output_tokens": ("output_tokens", "completion_tokens"),
        "total_tokens": ("total_tokens",),
    }
    usage: dict[str, int] = {}
    for ours, theirs in names.items():
        for name in theirs:
            amount = reported.get(name)
            if isinstance(amount, int) and not isinstance(amount, bool) and 0 <= amount <= MAX_TOKENS:
                usage.setdefault(ours, amount)
    return usage


def drop_logprobs(value: Any) -> bool:
    """Empty every ``logprobs``: it repeats the text one token a string, where no recognizer sees a whole value."""
    dropped = False
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            for name in ("logprobs", "top_logprobs"):
                if isinstance(item.get(name), list | dict) and item[name]:
                    item[name] = [] if isinstance(item[name], list) else None
                    dropped = True
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return dropped
