"""OpenAI's wire format: Chat Completions and Responses; their streams are read in :mod:`.openai_streams`.

Field lists follow the public API reference as the official Python SDK types it. What the format refuses, and why, is
beside each refusal; the rule is that what no stage can look at does not leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiguard.framing.jsontree import JsonDocument
from aiguard.providers.errors import UnknownShape
from aiguard.providers.exchange import RawRequest, RawResponse
from aiguard.providers.wire import WireRequest
from aiguard.providers.wire.jsonbody import (
    MAX_ANSWER_BYTES,
    JsonRequest,
    JsonResponse,
    error_answer,
    model_of,
    need_json,
    output_limit,
    request_object,
)
from aiguard.providers.wire.openai_chat import CHAT_ANSWER, CHAT_REQUEST
from aiguard.providers.wire.openai_responses import RESPONSES_ANSWER, RESPONSES_REQUEST
from aiguard.providers.wire.openai_streams import ChatStream, ResponsesStream, drop_logprobs, usage_of
from aiguard.providers.wire.shape import Check, read
from aiguard.providers.wire.streams import WireStream

_UNREADABLE: Final = {"error": {"type": "unreadable_error", "param": None, "code": None}}


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


class OpenAIWire:
    """Reads OpenAI requests and answers, and those of servers that speak the same format."""

    name = "openai"

    def request(self, raw: RawRequest) -> JsonRequest:
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
        value = request_object(raw)
        model = model_of(value)
        limit_field, limit = output_limit(value, endpoint.limit_fields)
        managed = {*endpoint.limit_fields, *endpoint.always}
        for name, wanted in endpoint.always.items():
            if value.get(name) not in (None, wanted):
                raise UnknownShape(f"the field {name!r} is refused: the provider would keep the exchange; leave it out")
        document = JsonDocument.of({key: item for key, item in value.items() if key not in managed})
        body = read(endpoint.request, document)
        return JsonRequest(
            endpoint=endpoint.name,
            model=model,
            parts=body.parts,
            max_output_tokens=limit,
            stream=value.get("stream") is True,
            raw=raw,
            body=body,
            limit_field=limit_field,
            always=endpoint.always,
        )

    def stream(self, request: WireRequest) -> WireStream:
        """Reads the events of a streamed answer to ``request``."""
        return ChatStream() if request.endpoint == "chat.completions" else ResponsesStream()

    def response(self, request: WireRequest, raw: RawResponse) -> JsonResponse:
        """Take an answer apart: a success in the endpoint's format, or an error in any.

        An error that is not JSON is replaced by a short JSON error of ours.

        Raises:
            MalformedInput: a success that is not what its endpoint answers with.
        """
        if raw.status >= 400:
            return error_answer(raw, _UNREADABLE)
        endpoint = next(known for known in _ENDPOINTS.values() if known.name == request.endpoint)
        need_json(raw.headers)
        document = JsonDocument.parse(raw.content, max_bytes=MAX_ANSWER_BYTES)
        value = document.value
        if not isinstance(value, dict) or not isinstance(value.get(endpoint.listed), list):
            raise UnknownShape(f"the answer is not one of {endpoint.name}: it has no list named {endpoint.listed!r}")
        if drop_logprobs(value):
            document = JsonDocument(value)
        body = read(endpoint.answer, document)
        return JsonResponse(parts=body.parts, usage=usage_of(value.get("usage")), raw=raw, body=body)
