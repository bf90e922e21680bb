"""Calls to models that are not behind HTTP: any callable that takes messages and returns text or JSON-able data.

The request and the answer are laid open as JSON, by the same code as bodies on the wire, so every string, key and number is
a part. The messages' roles say which parts the developer wrote.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiguard.errors import ConfigurationError, MalformedInput
from aiguard.framing.jsontree import JsonDocument
from aiguard.types import Part

AnyModel = Callable[..., Any]
AnyModelAsync = Callable[..., Awaitable[Any]]

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
        self._document = _document({"messages": messages, "options": dict(options)}, "messages and options")
        roles = {}
        if isinstance(messages, Sequence) and not isinstance(messages, str):
            for index, message in enumerate(messages):
                role = message.get("role", "") if isinstance(message, Mapping) else ""
                roles[str(index)] = role if isinstance(role, str) else ""
        parts = []
        for part in self._document.parts():
            steps = part.pointer.split("/")
            role = roles.get(steps[2], "user") if len(steps) > 2 and steps[1] == "messages" else "user"
            parts.append(replace(part, role=role, trusted=role in _TRUSTED_ROLES))
        self.parts: tuple[Part, ...] = tuple(parts)

    def render(self, texts: Sequence[str | None], *, max_output_tokens: int | None) -> _Payload:
        """What the callable is given."""
        value = json.loads(self._document.render(texts))
        options = dict(value["options"])
        options["model"] = self.model
        options["max_output_tokens"] = max_output_tokens
        return _Payload(messages=value["messages"], options=options)


class PlainAnswer:
    """The answer laid open: a text, or JSON-able data."""

    def __init__(self, raw: Any) -> None:
        if isinstance(raw, bytes) or raw is None:
            raise MalformedInput(f"the model returned {type(raw).__name__}; return a text or JSON-able data")
        self._document = _document({"answer": raw}, "the model's answer")
        self.parts: tuple[Part, ...] = tuple(replace(part, role="assistant") for part in self._document.parts()[1:])
        self.usage: Mapping[str, int] = {}

    def render(self, texts: Sequence[str | None]) -> Any:
        """The answer in the shape it came in."""
        return json.loads(self._document.render([None, *texts]))["answer"]


class PlainCall:
    """One call of a plain callable, as the pipeline sees it."""

    def __init__(self, *, messages: Any, model: str, options: Mapping[str, Any]) -> None:
        provider, colon, name = model.partition(":")
        if not colon or not provider or not name:
            raise ConfigurationError('guard.call needs model="provider:model", as policy lists it')
        asked = options.get("max_output_tokens")
        if asked is not None and (not isinstance(asked, int) or isinstance(asked, bool) or asked < 1):
            raise ConfigurationError("max_output_tokens is a positive whole number")
        self.provider = provider
        self._model = name
        self._asked = asked
        self._messages = messages
        self._options = {key: value for key, value in options.items() if key not in _RESERVED}

    def read(self) -> PlainRequest:
        """Lay the request open; :class:`MalformedInput` for what is not JSON-able."""
        return PlainRequest(self._messages, self._model, self._options, self._asked)

    def answer(self, _request: PlainRequest, raw: Any) -> PlainAnswer:
        """Lay the answer open; :class:`MalformedInput` for what is not a text or JSON-able."""
        return PlainAnswer(raw)

    def said(self, answer: PlainAnswer, texts: Sequence[str]) -> list[str]:
        """The answer itself when it is a text, else its JSON."""
        whole = answer.render(list(texts))
        return [whole if isinstance(whole, str) else json.dumps(whole, ensure_ascii=False)]

    def status(self, _raw: Any) -> int:
        """Always 200: what a callable returns is an answer."""
        return 200

    def sender(self, fn: AnyModel) -> Callable[[_Payload], Any]:
        """How a sync callable is called."""

        def send(payload: _Payload) -> Any:
            answer = fn(payload.messages, **payload.options)
            if inspect.isawaitable(answer):
                if inspect.iscoroutine(answer):
                    answer.close()
                raise ConfigurationError("guard.call was given an async callable; await guard.acall(...) instead")
            return answer

        return send

    def asender(self, fn: AnyModelAsync) -> Callable[[_Payload], Awaitable[Any]]:
        """How an async callable is called."""

        async def send(payload: _Payload) -> Any:
            return await fn(payload.messages, **payload.options)

        return send


def _document(value: Any, what: str) -> JsonDocument:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise MalformedInput(f"{what} are nested too deeply or refer to themselves") from None
    except (TypeError, ValueError) as error:
        raise MalformedInput(f"{what} must be JSON-able ({type(error).__name__})") from None
    return JsonDocument.parse(text)
