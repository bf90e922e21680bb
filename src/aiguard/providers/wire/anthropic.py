"""Anthropic's wire format: Messages and the counting of their tokens; streams are read in :mod:`.anthropic_streams`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiguard.framing.jsontree import JsonDocument
from aiguard.providers.errors import UnknownShape
from aiguard.providers.exchange import RawRequest, RawResponse
from aiguard.providers.wire import WireRequest
from aiguard.providers.wire.anthropic_answers import COUNT, MESSAGE, usage_of
from aiguard.providers.wire.anthropic_messages import COUNT_REQUEST, MESSAGES_REQUEST
from aiguard.providers.wire.anthropic_streams import MessageStream
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
from aiguard.providers.wire.shape import Check, read
from aiguard.providers.wire.streams import WireStream


@dataclass(frozen=True, slots=True)
class _Endpoint:
    name: str
    request: Check
    answer: Check
    listed: tuple[str, type]
    """A field that the answer must have and its type, or it is not an answer."""
    limit_field: str | None


_ENDPOINTS: Final = {
    "/v1/messages": _Endpoint("messages", MESSAGES_REQUEST, MESSAGE, ("content", list), "max_tokens"),
    "/v1/messages/count_tokens": _Endpoint("messages.count_tokens", COUNT_REQUEST, COUNT, ("input_tokens", int), None),
}
_UNREADABLE: Final[dict[str, Any]] = {"type": "error", "error": {"type": "unreadable_error"}}


class AnthropicWire:
    """Reads Anthropic's requests and answers, and those of servers that speak the same format."""

    name = "anthropic"

    def request(self, raw: RawRequest) -> JsonRequest:
        """Take a request apart.

        Raises:
            UnknownShape: the endpoint, a field or a content type is not supported.
            MalformedInput: the body is not strict JSON.
        """
        endpoint = _ENDPOINTS.get(raw.path)
        if endpoint is None or raw.method != "POST":
            raise UnknownShape(
                "this endpoint is not supported; supported: POST /v1/messages and POST /v1/messages/count_tokens "
                "(batches, model lists, files, skills, agents and sessions are refused)"
            )
        value = request_object(raw)
        model = model_of(value)
        limit = None
        if endpoint.limit_field is not None:
            _, limit = output_limit(value, (endpoint.limit_field,))
        body = read(
            endpoint.request, JsonDocument.of({key: item for key, item in value.items() if key != endpoint.limit_field})
        )
        return JsonRequest(
            endpoint=endpoint.name,
            model=model,
            parts=body.parts,
            max_output_tokens=limit,
            stream=value.get("stream") is True,
            raw=raw,
            body=body,
            limit_field=endpoint.limit_field,
        )

    def stream(self, request: WireRequest) -> WireStream:  # noqa: ARG002 - as the protocol has it
        """Reads the events of a streamed Message."""
        return MessageStream()

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
        name, kind = endpoint.listed
        if not isinstance(value, dict) or type(value.get(name)) is not kind:
            raise UnknownShape(f"the answer is not one of {endpoint.name}: it lacks the field {name!r}, or its type")
        body = read(endpoint.answer, document)
        reported = value.get("usage") if endpoint.limit_field is not None else None
        return JsonResponse(parts=body.parts, usage=usage_of(reported), raw=raw, body=body)
