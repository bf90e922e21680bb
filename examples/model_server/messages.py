"""The shapes of the Anthropic API that the local model server speaks: Messages, their stream, counted tokens, errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from examples.model_server import responder
from examples.model_server.wire import Asked, BadRequest, Json, Reply, sse, texts
from examples.model_server.wire import read as read_turns

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def read(body: bytes, *, counting: bool) -> Asked:
    """Parse the body of Messages, or of the counting of their tokens."""
    asked = read_turns(body, responses=False)
    if asked.limit is None and not counting:
        raise BadRequest("max_tokens: Field required")
    system = "\n".join(texts(json.loads(body).get("system")))
    return replace(asked, everything=f"{system}\n{asked.everything}") if system else asked


def error(message: str, status: int) -> Json:
    """An error body."""
    return {"type": "error", "error": {"type": _ERRORS.get(status, "api_error"), "message": message}}


def count(asked: Asked) -> Json:
    """The answer of ``/v1/messages/count_tokens``."""
    return {"input_tokens": len(responder.pieces(asked.everything))}


def message(asked: Asked, said: Reply) -> Json:
    """A ``message`` object."""
    block: Json = {"type": "text", "text": said.text}
    if said.tool is not None:
        block = {"type": "tool_use", "id": f"toolu_{said.id}", "name": said.tool, "input": json.loads(said.arguments)}
    return {
        "id": f"msg_{said.id}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [block],
        "stop_reason": _stop(said),
        "stop_sequence": None,
        "usage": {"input_tokens": said.input_tokens, "output_tokens": said.output_tokens},
    }


def _stop(said: Reply) -> str:
    if said.tool is not None:
        return "tool_use"
    return "max_tokens" if said.cut else "end_turn"


def message_stream(asked: Asked, said: Reply) -> Iterator[bytes]:
    """The events of a streamed message."""

    def event(kind: str, **fields: object) -> bytes:
        return sse({"type": kind, **fields}, event=kind)

    whole = message(asked, said)
    (block,) = whole["content"]
    usage = {**whole["usage"], "output_tokens": 1}
    yield event("message_start", message={**whole, "content": [], "stop_reason": None, "usage": usage})
    empty = {**block, "input": {}} if said.tool is not None else {**block, "text": ""}
    yield event("content_block_start", index=0, content_block=empty)
    yield event("ping")
    if said.tool is not None:
        for start in range(0, len(said.arguments), 12):
            delta = {"type": "input_json_delta", "partial_json": said.arguments[start : start + 12]}
            yield event("content_block_delta", index=0, delta=delta)
    for piece in responder.pieces(said.text):
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
    yield event("content_block_stop", index=0)
    stopped = {"stop_reason": _stop(said), "stop_sequence": None}
    yield event("message_delta", delta=stopped, usage={"output_tokens": said.output_tokens})
    yield event("message_stop")
