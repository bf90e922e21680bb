"""OpenAI's wire format: Chat Completions and Responses, without streaming.

Field lists follow the public API reference as the official Python SDK types it. What the format refuses, and why, is
beside each refusal; the rule is that what no stage can look at does not leave.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from aiguard.errors import MalformedInput
from aiguard.framing.jsontree import JsonDocument
from aiguard.providers.errors import UnknownShape
from aiguard.providers.exchange import RawRequest, RawResponse
from aiguard.providers.wire import WireRequest
from aiguard.providers.wire.openai_chat import CHAT_ANSWER, CHAT_REQUEST
from aiguard.providers.wire.openai_responses import RESPONSES_ANSWER, RESPONSES_REQUEST
from aiguard.providers.wire.shape import MAX_TOKENS, MODEL, Body, Check, free, read
from aiguard.types import Part

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""Size of one answer. A model's longest answer is below 1 MB; the rest is room for tool calls and many choices."""


@dataclass(frozen=True, slots=True)
class _Endpoint:
    name: str
    path: str
    request: Check
    answer: Check
    limit_fields: tuple[str, ...]
    """Where the output limit may stand; the first is written when the request has none."""
    always: Mapping[str, Any]
    """Fields that are set whatever the request says, because the provider's default is not ours."""
    listed: str
    """The answer's field that must be a list, or it is not an answer."""


_ENDPOINTS: Final = {
    "/chat/completions": _Endpoint(
        "chat.completions",
        "/chat/completions",
        CHAT_REQUEST,
        CHAT_ANSWER,
        ("max_completion_tokens", "max_tokens"),
        {},
        "choices",
    ),
    "/responses": _Endpoint(
        "responses",
        "/responses",
        RESPONSES_REQUEST,
        RESPONSES_ANSWER,
        ("max_output_tokens",),
        # The provider keeps Responses for 30 days unless told otherwise.
        {"store": False},
        "output",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenAIRequest:
    """A request to one of the endpoints; see :class:`aiguard.providers.wire.WireRequest`."""

    endpoint: str
    model: str
    parts: tuple[Part, ...] = field(repr=False)
    max_output_tokens: int | None
    stream: bool = False
    _raw: RawRequest = field(repr=False)
    _body: Body = field(repr=False)
    _limit_field: str = ""
    _always: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def render(self, texts: Sequence[str | None], *, max_output_tokens: int | None) -> RawRequest:
        """The request that leaves.

        Raises:
            MalformedInput: a replacement made two keys of one object equal.
            ValueError: ``texts`` does not match ``parts``, or the limit is not within 1 to 10,000,000.
        """
        if max_output_tokens is not None and not 1 <= max_output_tokens <= MAX_TOKENS:
            raise ValueError(f"max_output_tokens must be within 1 to {MAX_TOKENS}")
        extra: dict[str, Any] = dict(self._always)
        if max_output_tokens is not None:
            extra[self._limit_field] = max_output_tokens
        content = self._body.render(texts)
        if extra:
            # The body is an object that is not empty (it has a model), and none of these fields is in it.
            content = content[:-1] + b"," + json.dumps(extra, separators=(",", ":")).encode("ascii")[1:]
        return replace(self._raw, headers=_with_json(self._raw.headers), content=content)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenAIResponse:
    """An answer; see :class:`aiguard.providers.wire.WireResponse`."""

    parts: tuple[Part, ...] = field(repr=False)
    usage: Mapping[str, int]
    _raw: RawResponse = field(repr=False)
    _body: Body = field(repr=False)

    def render(self, texts: Sequence[str | None]) -> RawResponse:
        """The answer that is delivered; errors as for :meth:`OpenAIRequest.render`."""
        return replace(
            self._raw,
            headers=_with_json(self._raw.headers),
            content=self._body.render(texts),
        )


class OpenAIWire:
    """Reads OpenAI requests and answers, and those of servers that speak the same format."""

    name = "openai"

    def request(self, raw: RawRequest) -> OpenAIRequest:
        """Take a request apart.

        Raises:
            UnknownShape: the endpoint, a field or a content type is not supported.
            MalformedInput: the body is not strict JSON.
        """
        endpoint = _ENDPOINTS.get(raw.path)
        if endpoint is None or raw.method != "POST":
            raise UnknownShape(
                "this endpoint is not supported; supported: POST /chat/completions and POST /responses "
                "(model lists, embeddings, files, images, audio, assistants and batches are refused)"
            )
        _need_json(raw.headers)
        value = JsonDocument.parse(raw.content).value
        if not isinstance(value, dict):
            raise UnknownShape("the body is not an object")
        model = value.get("model")
        if not isinstance(model, str) or not MODEL.match(model):
            raise UnknownShape("the field 'model' is missing or holds characters that are not allowed there")
        if value.get("stream") is True:
            raise UnknownShape("streaming is not supported yet; call without stream=True")
        limit_field, limit = _limit(value, endpoint.limit_fields)
        managed = {*endpoint.limit_fields, *endpoint.always}
        for name, wanted in endpoint.always.items():
            if value.get(name) not in (None, wanted):
                raise UnknownShape(f"the field {name!r} is refused: the provider would keep the exchange; leave it out")
        document = JsonDocument.of({key: item for key, item in value.items() if key not in managed})
        body = read(endpoint.request, document)
        return OpenAIRequest(
            endpoint=endpoint.name,
            model=model,
            parts=body.parts,
            max_output_tokens=limit,
            _raw=raw,
            _body=body,
            _limit_field=limit_field,
            _always=endpoint.always,
        )

    def response(self, request: WireRequest, raw: RawResponse) -> OpenAIResponse:
        """Take an answer apart: a success in the endpoint's format, or an error in any.

        An error that is not JSON is replaced by a short JSON error of ours.

        Raises:
            MalformedInput: a success that is not what its endpoint answers with.
        """
        if raw.status >= 400:
            return _error(raw)
        endpoint = next(known for known in _ENDPOINTS.values() if known.name == request.endpoint)
        _need_json(raw.headers)
        document = JsonDocument.parse(raw.content, max_bytes=MAX_ANSWER_BYTES)
        value = document.value
        if not isinstance(value, dict) or not isinstance(value.get(endpoint.listed), list):
            raise UnknownShape(f"the answer is not one of {endpoint.name}: it has no list named {endpoint.listed!r}")
        if _drop_logprobs(value):
            document = JsonDocument(value)
        body = read(endpoint.answer, document)
        return OpenAIResponse(parts=body.parts, usage=_usage(value.get("usage")), _raw=raw, _body=body)


def _error(raw: RawResponse) -> OpenAIResponse:
    try:
        body = read(free, JsonDocument.parse(raw.content, max_bytes=MAX_ANSWER_BYTES))
    except MalformedInput:
        message = (
            f"The model server answered with status {raw.status} and a body that is not JSON; the body was dropped."
        )
        made = {
            "error": {
                "message": message,
                "type": "unreadable_error",
                "param": None,
                "code": None,
            }
        }
        body = read(free, JsonDocument.of(made))
    return OpenAIResponse(parts=body.parts, usage={}, _raw=raw, _body=body)


def _limit(value: Mapping[str, Any], names: Sequence[str]) -> tuple[str, int | None]:
    """Which field holds the output limit, and the limit; the smallest when there are several."""
    found: dict[str, int] = {}
    for name in names:
        limit = value.get(name)
        if limit is None:
            continue
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_TOKENS:
            raise UnknownShape(f"the field {name!r} is not a whole number from 1 to {MAX_TOKENS}")
        found[name] = limit
    if not found:
        return names[0], None
    return next(iter(found)), min(found.values())


def _drop_logprobs(value: Any) -> bool:
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


def _usage(reported: Any) -> Mapping[str, int]:
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


def _need_json(headers: Sequence[tuple[str, str]]) -> None:
    for name, value in headers:
        if name == "content-type" and value.partition(";")[0].strip().lower() != "application/json":
            raise UnknownShape("the content type is not application/json")


def _with_json(headers: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    kept = tuple((name, value) for name, value in headers if name != "content-type")
    return (*kept, ("content-type", "application/json"))
