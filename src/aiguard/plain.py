"""Calls to models that are not behind HTTP: any callable that takes messages and returns text or JSON-able data.

The request and the answer are laid open as JSON, by the same code as bodies on the wire, so every string, key and number is
a part. The messages' roles say which parts the developer wrote.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiguard.errors import ConfigurationError, MalformedInput
from aiguard.framing.jsontree import JsonDocument, TooLarge
from aiguard.types import Part, PartKind

AnyModel = Callable[..., Any]
AnyModelAsync = Callable[..., Awaitable[Any]]
AnyModelStream = Callable[..., Iterable[str]]
AnyModelAsyncStream = Callable[..., AsyncIterable[str] | Awaitable[AsyncIterable[str]]]

_TRUSTED_ROLES = frozenset({"system", "developer"})
_RESERVED = frozenset({"model", "max_output_tokens", "messages"})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Payload:
    messages: Any
    options: Mapping[str, Any]


class PlainRequest:
    """The request laid open."""

    endpoint = "call"

    def __init__(self, messages: Any, model: str, options: Mapping[str, Any], max_output_tokens: int | None) -> None:
        self.model = model
        self.max_output_tokens = max_output_tokens
        self._document = JsonDocument.parse(
            _json({"messages": messages, "options": dict(options)}, "messages and options")
        )
        roles = {}
        if isinstance(messages, Sequence) and not isinstance(messages, str):
            for index, message in enumerate(messages):
                role = message.get("role", "") if isinstance(message, Mapping) else ""
                roles[str(index)] = role if isinstance(role, str) else ""
        parts = []
        for part in self._document.parts():
            steps = part.pointer.split("/")
            role = roles.get(steps[2], "user") if len(steps) > 2 and steps[1] == "messages" else "user"
            parts.append(replace(_own(part), role=role, trusted=role in _TRUSTED_ROLES))
        self.parts: tuple[Part, ...] = tuple(parts)

    def render(self, texts: Sequence[str | None], *, max_output_tokens: int | None) -> _Payload:
        """What the callable is given."""
        value = json.loads(self._document.render(texts))
        options = dict(value["options"])
        options["model"] = self.model
        options["max_output_tokens"] = max_output_tokens
        return _Payload(messages=value["messages"], options=options)


class PlainAnswer:
    """The answer laid open: a text, or JSON-able data. ``limit`` bounds its bytes, of data those of its JSON."""

    def __init__(self, raw: Any, limit: SizeLimit) -> None:
        if isinstance(raw, bytes) or raw is None:
            raise MalformedInput(f"the model returned {type(raw).__name__}; return a text or JSON-able data")
        if isinstance(raw, str):
            limit.take(raw)
        text = _json({"answer": raw}, "the model's answer")
        if not isinstance(raw, str):
            limit.take(text)
        self._document = JsonDocument.parse(text, max_bytes=4 * len(text))  # it was counted
        self.parts: tuple[Part, ...] = tuple(
            replace(_own(part), role="assistant") for part in self._document.parts()[1:]
        )
        self.usage: Mapping[str, int] = {}

    def render(self, texts: Sequence[str | None]) -> Any:
        """The answer in the shape it came in."""
        return json.loads(self._document.render([None, *texts]))["answer"]


class PlainCall:
    """One call of a plain callable, as the pipeline sees it."""

    def __init__(
        self, *, messages: Any, model: str, options: Mapping[str, Any], max_answer_bytes: int, streams: bool = False
    ) -> None:
        provider, colon, name = model.partition(":")
        if not colon or not provider or not name:
            raise ConfigurationError('guard.call needs model="provider:model", as policy lists it')
        asked = options.get("max_output_tokens")
        if asked is not None and (not isinstance(asked, int) or isinstance(asked, bool) or asked < 1):
            raise ConfigurationError("max_output_tokens is a positive whole number")
        self.provider = provider
        self._model = name
        self._asked = asked
        self._streams = streams
        self._max_bytes = max_answer_bytes
        self._messages = messages
        self._options = {key: value for key, value in options.items() if key not in _RESERVED}

    def read(self) -> PlainRequest:
        """Lay the request open; :class:`MalformedInput` for what is not JSON-able."""
        return PlainRequest(self._messages, self._model, self._options, self._asked)

    def answer(self, _request: PlainRequest, raw: Any) -> PlainAnswer:
        """Lay the answer open; :class:`MalformedInput` for what is not a text or JSON-able, or too large."""
        return PlainAnswer(raw, self.limit())

    def limit(self) -> SizeLimit:
        """What bounds one answer."""
        return SizeLimit(self._max_bytes)

    def said(self, answer: PlainAnswer, texts: Sequence[str]) -> list[str]:
        """The answer itself when it is a text, else its JSON."""
        whole = answer.render(list(texts))
        return [whole if isinstance(whole, str) else json.dumps(whole, ensure_ascii=False)]

    def status(self, _raw: Any) -> int:
        """Always 200: what a callable returns is an answer."""
        return 200

    def arriving(self, _raw: Any) -> bool:
        """Whether the call was made for a stream; without that, what a callable returns is there at once."""
        return self._streams

    def sender(self, fn: AnyModel) -> Callable[[_Payload], Any]:
        """How a sync callable is called."""

        def send(payload: _Payload) -> Any:
            answer = fn(payload.messages, **payload.options)
            if inspect.isawaitable(answer):
                if inspect.iscoroutine(answer):
                    answer.close()
                name, other = ("stream", "astream") if self._streams else ("call", "acall")
                raise ConfigurationError(f"guard.{name} was given an async callable; await guard.{other}(...) instead")
            return _pieces(answer) if self._streams else answer

        return send

    def asender(self, fn: Callable[..., Any]) -> Callable[[_Payload], Awaitable[Any]]:
        """How an async callable is called."""

        async def send(payload: _Payload) -> Any:
            answer = fn(payload.messages, **payload.options)
            if not self._streams:
                return await answer
            return _apieces(await answer if inspect.isawaitable(answer) else answer)

        return send


@dataclass(frozen=True, kw_only=True, slots=True)
class Pieces:
    """An answer that a callable gives piece by piece."""

    chunks: Any
    close: Callable[[], Any]


def _pieces(answer: Any) -> Pieces:
    if isinstance(answer, str | bytes) or not isinstance(answer, Iterable):
        raise ConfigurationError(
            f"guard.stream needs a callable that returns an iterable of texts, not {type(answer).__name__}; "
            "for a whole answer there is guard.call, for an async iterable guard.astream"
        )
    chunks: Iterator[Any] = iter(answer)

    def close() -> None:
        if hasattr(chunks, "close"):
            chunks.close()

    return Pieces(chunks=chunks, close=close)


def _apieces(answer: Any) -> Pieces:
    if not isinstance(answer, AsyncIterable):
        raise ConfigurationError(
            f"guard.astream needs a callable that gives an async iterable of texts, not {type(answer).__name__}"
        )
    chunks: AsyncIterator[Any] = aiter(answer)

    async def close() -> None:
        if hasattr(chunks, "aclose"):
            await chunks.aclose()

    return Pieces(chunks=chunks, close=close)


_PROSE = frozenset({"content", "input", "message", "messages", "output", "parts", "prompt", "text"})
"""Keys of messages and answers under which people and models write what they like, which may be nothing but a number."""


def _own(part: Part) -> Part:
    """The part without a context that is only our own envelope's key, or one that says nothing of what is written under it."""
    names = [step for step in part.pointer.split("/")[2:] if not step.isdigit()]
    prose = part.kind is PartKind.TEXT and _PROSE.issuperset(names)
    return replace(part, context="") if prose or not names else part


class SizeLimit:
    """Counts the bytes (UTF-8) of an answer that comes at once or in pieces."""

    def __init__(self, limit: int) -> None:
        self._limit = self._room = limit

    def take(self, text: str) -> None:
        """Count ``text``; :class:`TooLarge` beyond the limit."""
        self._room -= len(text)
        if self._room >= 0 and not text.isascii():
            self._room -= len(text.encode("utf-8", "surrogatepass")) - len(text)
        if self._room < 0:
            raise TooLarge(f"it is larger than {self._limit} bytes (AIGUARD_MAX_RESPONSE_BYTES)")


def _json(value: Any, what: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise MalformedInput(f"{what} are nested too deeply or refer to themselves") from None
    except (TypeError, ValueError) as error:
        raise MalformedInput(f"{what} must be JSON-able ({type(error).__name__})") from None
