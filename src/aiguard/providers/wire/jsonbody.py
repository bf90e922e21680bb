"""Requests and answers whose body is one JSON object: what the formats of all providers share.

A format describes the body (:mod:`.shape`); here is how it is written anew from its parts, with the output limit set, and how an
error is read, whose shape no format knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from aiguard.errors import MalformedInput
from aiguard.framing.jsontree import JsonDocument
from aiguard.providers.errors import UnknownShape
from aiguard.providers.exchange import Headers, RawRequest, RawResponse
from aiguard.providers.wire.shape import MAX_TOKENS, MODEL, Body, free, read
from aiguard.types import Part

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""Size of one answer. A model's longest answer is below 1 MB; the rest is room for tool calls and many choices."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonRequest:
    """A request to a known endpoint; see :class:`aiguard.providers.wire.WireRequest`.

    ``limit_field`` is where the output limit is written; ``None`` for an endpoint that has none. ``always`` are fields that are set
    whatever the request says. None of them is in ``body``.
    """

    endpoint: str
    model: str
    parts: tuple[Part, ...] = field(repr=False)
    max_output_tokens: int | None
    stream: bool = False
    raw: RawRequest = field(repr=False)
    body: Body = field(repr=False)
    limit_field: str | None = None
    always: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def render(self, texts: Sequence[str | None], *, max_output_tokens: int | None) -> RawRequest:
        """The request that leaves.

        Raises:
            MalformedInput: a replacement made two keys of one object equal.
            ValueError: ``texts`` does not match ``parts``, or the limit is not within 1 to 10,000,000.
        """
        if max_output_tokens is not None and not 1 <= max_output_tokens <= MAX_TOKENS:
            raise ValueError(f"max_output_tokens must be within 1 to {MAX_TOKENS}")
        extra: dict[str, Any] = dict(self.always)
        if max_output_tokens is not None and self.limit_field is not None:
            extra[self.limit_field] = max_output_tokens
        content = self.body.render(texts)
        if extra:
            # The body is an object that is not empty (it has a model), and none of these fields is in it.
            content = content[:-1] + b"," + json.dumps(extra, separators=(",", ":")).encode("ascii")[1:]
        return replace(self.raw, headers=with_json(self.raw.headers), content=content, stream=self.stream)


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonResponse:
    """An answer; see :class:`aiguard.providers.wire.WireResponse`."""

    parts: tuple[Part, ...] = field(repr=False)
    usage: Mapping[str, int]
    raw: RawResponse = field(repr=False)
    body: Body = field(repr=False)

    def render(self, texts: Sequence[str | None]) -> RawResponse:
        """The answer that is delivered; errors as for :meth:`JsonRequest.render`."""
        return replace(self.raw, headers=with_json(self.raw.headers), content=self.body.render(texts))


def request_object(raw: RawRequest) -> dict[str, Any]:
    """A request's body.

    Raises:
        MalformedInput: it is not strict JSON, or not an object.
    """
    need_json(raw.headers)
    value = JsonDocument.parse(raw.content).value
    if not isinstance(value, dict):
        raise UnknownShape("the body is not an object")
    return value


def model_of(value: Mapping[str, Any]) -> str:
    """The model that a request asks for."""
    model = value.get("model")
    if not isinstance(model, str) or not MODEL.match(model):
        raise UnknownShape("the field 'model' is missing or holds characters that are not allowed there")
    return model


def output_limit(value: Mapping[str, Any], names: Sequence[str]) -> tuple[str, int | None]:
    """Which of ``names`` holds the output limit, and the limit; the smallest when there are several."""
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


def error_answer(raw: RawResponse, instead: Mapping[str, Any]) -> JsonResponse:
    """An error, all of it parts. One that is not JSON is replaced by ``instead``, in which a message is put."""
    try:
        body = read(free, JsonDocument.parse(raw.content, max_bytes=MAX_ANSWER_BYTES))
    except MalformedInput:
        message = (
            f"The model server answered with status {raw.status} and a body that is not JSON; the body was dropped."
        )
        made = {**instead, "error": {"message": message, **instead["error"]}}
        body = read(free, JsonDocument.of(made))
    return JsonResponse(parts=body.parts, usage={}, raw=raw, body=body)


def need_json(headers: Headers) -> None:
    """Refuse a body of another type than JSON."""
    for name, value in headers:
        if name == "content-type" and value.partition(";")[0].strip().lower() != "application/json":
            raise UnknownShape("the content type is not application/json")


def with_json(headers: Headers) -> Headers:
    """``headers`` of a body that was written here."""
    kept = tuple((name, value) for name, value in headers if name != "content-type")
    return (*kept, ("content-type", "application/json"))
