"""A provider's wire format as a table of its endpoints, each a POST of one JSON object that is answered by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

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
from aiguard.providers.wire.shape import Check, read
from aiguard.providers.wire.streams import WireStream


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """One endpoint."""

    name: str
    request: Check
    answer: Check
    listed: tuple[str, type]
    """A field that the answer must have and its type, or it is not an answer."""
    stream: Callable[[], WireStream]
    """Reads the events of a streamed answer."""
    limit_fields: tuple[str, ...] = ()
    """Where the output limit may stand; the first is written when the request has none. Empty: nothing is generated."""
    always: Mapping[str, Any] = field(default_factory=dict)
    """Fields that are set whatever the request says, because the provider's default is not ours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonWire:
    """Reads one provider's requests and answers, and those of servers that speak the same format."""

    name: str
    endpoints: Mapping[str, Endpoint]
    """By path."""
    supported: str
    """What a refusal of another endpoint says."""
    unreadable: Mapping[str, Any]
    """An error of this provider's shape, for one that cannot be read."""
    usage: Callable[[Any], Mapping[str, int]]
    """Reads the tokens that an answer reports."""
    prune: Callable[[Any], bool] = lambda _: False
    """Takes out of an answer what must not be delivered; whether there was any."""

    def request(self, raw: RawRequest) -> JsonRequest:
        """Take a request apart.

        Raises:
            UnknownShape: the endpoint, a field or a content type is not supported.
            MalformedInput: the body is not strict JSON.
        """
        endpoint = self.endpoints.get(raw.path)
        if endpoint is None or raw.method != "POST":
            raise UnknownShape(f"this endpoint is not supported; supported: {self.supported}")
        value = request_object(raw)
        model = model_of(value)
        limit_field, limit = output_limit(value, endpoint.limit_fields) if endpoint.limit_fields else (None, None)
        for name, wanted in endpoint.always.items():
            if value.get(name) not in (None, wanted):
                raise UnknownShape(f"the field {name!r} is refused: the provider would keep the exchange; leave it out")
        managed = {*endpoint.limit_fields, *endpoint.always}
        body = read(endpoint.request, JsonDocument.of({key: item for key, item in value.items() if key not in managed}))
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
        return self._endpoint(request).stream()

    def response(self, request: WireRequest, raw: RawResponse) -> JsonResponse:
        """Take an answer apart: a success in the endpoint's format, or an error in any.

        An error that is not JSON is replaced by a short JSON error of ours.

        Raises:
            MalformedInput: a success that is not what its endpoint answers with.
        """
        if raw.status >= 400:
            return error_answer(raw, self.unreadable)
        endpoint = self._endpoint(request)
        need_json(raw.headers)
        document = JsonDocument.parse(raw.content, max_bytes=MAX_ANSWER_BYTES)
        value = document.value
        name, kind = endpoint.listed
        if not isinstance(value, dict) or type(value.get(name)) is not kind:
            raise UnknownShape(f"the answer is not one of {endpoint.name}: it lacks the field {name!r}, or its type")
        if self.prune(value):
            document = JsonDocument(value)
        body = read(endpoint.answer, document)
        usage = self.usage(value.get("usage")) if endpoint.limit_fields else {}
        return JsonResponse(parts=body.parts, usage=usage, raw=raw, body=body)

    def _endpoint(self, request: WireRequest) -> Endpoint:
        return next(known for known in self.endpoints.values() if known.name == request.endpoint)
