"""The shapes of the OpenAI API that the local model server speaks: Chat Completions, Responses, their streams, errors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from examples.model_server import responder

CREATED = 1_767_225_600
"""A fixed time (2026-01-01), so that the same request gets the same bytes."""

Json = dict[str, Any]


class BadRequest(Exception):
    """The body is not a request of this endpoint; the message is for the caller."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a request body asks for, whichever endpoint it came to."""

    model: str
    text: str
    """The last message of the user."""
    everything: str
    """All texts that were sent, for counting tokens."""
    limit: int | None
    stream: bool
    stream_usage: bool
    tools: tuple[str, ...]


def texts(value: object) -> Iterator[str]:
    """The text of a content value: a string, or a list of parts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            if isinstance(part, dict):
                yield from texts(part.get("text") or part.get("output") or part.get("content"))


def read(body: bytes, *, responses: bool) -> Asked:
    """Parse the body of either endpoint."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("We could not parse the JSON body of your request.") from None
    if not isinstance(data, dict) or not isinstance(data.get("model"), str):
        raise BadRequest("you must provide a model parameter")
    turns = data.get("input") if responses else data.get("messages")
    if responses and isinstance(turns, str):
        turns = [{"role": "user", "content": turns}]
    if not isinstance(turns, list) or not turns:
        raise BadRequest(f"you must provide a non-empty {'input' if responses else 'messages'} parameter")
    seen: list[str] = [data["instructions"]] if isinstance(data.get("instructions"), str) else []
    said = ""
    for turn in turns:
        if not isinstance(turn, dict):
            raise BadRequest("each message must be an object")
        content = "\n".join(texts(turn.get("content", turn.get("output"))))
        seen.append(content)
        if turn.get("role") in ("user", "tool") or turn.get("type") == "function_call_output":
            said = content
    limit = data.get("max_output_tokens") if responses else data.get("max_completion_tokens", data.get("max_tokens"))
    tools: list[str] = []
    for tool in data.get("tools") or ():
        name = tool.get("name") or (tool.get("function") or {}).get("name") if isinstance(tool, dict) else None
        if isinstance(name, str):
            tools.append(name)
    return Asked(
        model=data["model"],
        text=said,
        everything="\n".join(seen),
        limit=limit if isinstance(limit, int) else None,
        stream=data.get("stream") is True,
        stream_usage=bool((data.get("stream_options") or {}).get("include_usage")),
        tools=tuple(tools),
    )


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is said back, before it has a shape."""

    id: str
    text: str
    cut: bool
    tool: str | None
    arguments: str
    input_tokens: int
    output_tokens: int


def reply(asked: Asked) -> Reply:
    """The deterministic answer to a request."""
    wish = responder.directive(asked.text)
    calls = wish is not None and wish.name == "tool" and bool(asked.tools)
    text, cut = responder.shorten(responder.answer(asked.text), asked.limit)
    arguments = json.dumps({"note": " ".join(asked.text.split())[:200]})
    return Reply(
        id=hashlib.sha256(asked.everything.encode("utf-8", "surrogatepass")).hexdigest()[:24],
        text="" if calls else text,
        cut=cut and not calls,
        tool=asked.tools[0] if calls else None,
        arguments=arguments,
        input_tokens=len(responder.pieces(asked.everything)),
        output_tokens=len(responder.pieces(text)),
    )


def error(message: str, kind: str = "invalid_request_error", code: str | None = None) -> Json:
    """An error body."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def models() -> Json:
    """The body of ``GET /v1/models``."""
    names = ("gpt-5-mini", "gpt-5", "gpt-4o-mini")
    data = [{"id": name, "object": "model", "created": CREATED, "owned_by": "local-model-server"} for name in names]
    return {"object": "list", "data": data}


# Chat Completions


def chat(asked: Asked, said: Reply) -> Json:
    """A ``chat.completion`` object."""
    message: Json = {"role": "assistant", "content": said.text or None, "refusal": None, "annotations": []}
    if said.tool is not None:
        function = {"name": said.tool, "arguments": said.arguments}
        message["tool_calls"] = [{"id": f"call_{said.id}", "type": "function", "function": function}]
    return {
        "id": f"chatcmpl-{said.id}",
        "object": "chat.completion",
        "created": CREATED,
        "model": asked.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(said)}],
        "usage": _chat_usage(said),
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _finish(said: Reply) -> str:
    if said.tool is not None:
        return "tool_calls"
    return "length" if said.cut else "stop"


def _chat_usage(said: Reply) -> Json:
    return {
        "prompt_tokens": said.input_tokens,
        "completion_tokens": said.output_tokens,
        "total_tokens": said.input_tokens + said.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def chat_stream(asked: Asked, said: Reply) -> Iterator[bytes]:
    """The frames of a streamed chat completion."""

    def frame(delta: Json | None, finish: str | None = None, usage: Json | None = None) -> bytes:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        body = {
            "id": f"chatcmpl-{said.id}",
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": asked.model,
        }
        return sse({**body, "choices": choices, **({"usage": usage} if usage is not None else {})})

    yield frame({"role": "assistant", "content": ""})
    if said.tool is not None:
        call = {"index": 0, "id": f"call_{said.id}", "type": "function"}
        yield frame({"tool_calls": [{**call, "function": {"name": said.tool, "arguments": ""}}]})
        for start in range(0, len(said.arguments), 12):
            yield frame({"tool_calls": [{"index": 0, "function": {"arguments": said.arguments[start : start + 12]}}]})
    for piece in responder.pieces(said.text):
        yield frame({"content": piece})
    yield frame({}, _finish(said))
    if asked.stream_usage:
        yield frame(None, usage=_chat_usage(said))
    yield b"data: [DONE]\n\n"


# Responses


def response(asked: Asked, said: Reply, *, status: str | None = None) -> Json:
    """A ``response`` object."""
    if status is None:
        status = "incomplete" if said.cut else "completed"
    items = [] if status == "in_progress" else [_item(said, "incomplete" if said.cut else "completed")]
    usage: Json = {
        "input_tokens": said.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": said.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": said.input_tokens + said.output_tokens,
    }
    return {
        "id": f"resp_{said.id}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "max_output_tokens": asked.limit,
        "model": asked.model,
        "output": items,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if status == "in_progress" else usage,
        "user": None,
        "metadata": {},
    }


def _item(said: Reply, status: str) -> Json:
    if said.tool is not None:
        return {
            "id": f"fc_{said.id}",
            "type": "function_call",
            "status": status,
            "call_id": f"call_{said.id}",
            "name": said.tool,
            "arguments": said.arguments if status != "in_progress" else "",
        }
    content = [] if status == "in_progress" else [_text_part(said.text)]
    return {"id": f"msg_{said.id}", "type": "message", "status": status, "role": "assistant", "content": content}


def _text_part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def response_stream(asked: Asked, said: Reply) -> Iterator[bytes]:
    """The events of a streamed response."""
    number = -1

    def event(kind: str, **fields: object) -> bytes:
        nonlocal number
        number += 1
        return sse({"type": kind, "sequence_number": number, **fields}, event=kind)

    started = response(asked, said, status="in_progress")
    yield event("response.created", response=started)
    yield event("response.in_progress", response=started)
    yield event("response.output_item.added", output_index=0, item=_item(said, "in_progress"))
    place: Json = {"item_id": cast("str", _item(said, "in_progress")["id"]), "output_index": 0}
    if said.tool is not None:
        for start in range(0, len(said.arguments), 12):
            yield event("response.function_call_arguments.delta", **place, delta=said.arguments[start : start + 12])
        yield event("response.function_call_arguments.done", **place, name=said.tool, arguments=said.arguments)
    else:
        place["content_index"] = 0
        yield event("response.content_part.added", **place, part=_text_part(""))
        for piece in responder.pieces(said.text):
            yield event("response.output_text.delta", **place, delta=piece, logprobs=[])
        yield event("response.output_text.done", **place, text=said.text, logprobs=[])
        yield event("response.content_part.done", **place, part=_text_part(said.text))
    yield event("response.output_item.done", output_index=0, item=_item(said, "completed"))
    finished = response(asked, said)
    yield event(f"response.{finished['status']}", response=finished)


def sse(data: Mapping[str, Any], event: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode("utf-8", "replace")
