"""Anthropic's Messages for tests: whole, as a stream in any pieces, and a stream put together again as the SDK does it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

USAGE = {"input_tokens": 7, "output_tokens": 1, "cache_read_input_tokens": 4}


def message(blocks: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A whole answer."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "small",
        "content": [*blocks],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE | {"output_tokens": 9},
        **more,
    }


def says(text: str) -> dict[str, Any]:
    """An answer of one text."""
    return message([{"type": "text", "text": text}])


def event(value: dict[str, Any]) -> bytes:
    """One event, named as Anthropic does."""
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()


def cut(text: str, sizes: Sequence[int]) -> list[str]:
    """``text`` in pieces of these sizes, again and again."""
    pieces: list[str] = []
    start = 0
    for size in cycle(sizes):
        if start >= len(text):
            return pieces
        pieces.append(text[start : start + size])
        start += size
    return pieces


def events(whole: dict[str, Any], sizes: Sequence[int] = (5,)) -> Iterator[dict[str, Any]]:
    """The events of an answer, its texts in pieces of these sizes."""
    begun = whole | {"content": [], "stop_reason": None, "usage": USAGE}
    yield {"type": "message_start", "message": begun}
    yield {"type": "ping"}
    for index, block in enumerate(whole["content"]):
        empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
        start = block | empty.get(block["type"], {})
        start.pop("citations", None)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas(block, sizes):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    changed = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": changed, "usage": {"output_tokens": whole["usage"]["output_tokens"]}}
    yield {"type": "message_stop"}


def deltas(block: dict[str, Any], sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    """What a block grows by."""
    if block["type"] == "text":
        for citation in block.get("citations") or ():
            yield {"type": "citations_delta", "citation": citation}
        yield from ({"type": "text_delta", "text": piece} for piece in cut(block["text"], sizes))
    elif block["type"] == "thinking":
        yield from ({"type": "thinking_delta", "thinking": piece} for piece in cut(block["thinking"], sizes))
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif block["type"] == "tool_use":
        written = json.dumps(block["input"]) if block["input"] else ""
        yield {"type": "input_json_delta", "partial_json": ""}
        yield from ({"type": "input_json_delta", "partial_json": piece} for piece in cut(written, sizes))


def stream(whole: dict[str, Any], sizes: Sequence[int] = (5,)) -> list[bytes]:
    """An answer as a stream, one event a chunk."""
    return [event(value) for value in events(whole, sizes)]


def put_together(data: bytes) -> dict[str, Any]:
    """The answer that a stream's events amount to."""
    result: dict[str, Any] = {}
    written: dict[int, str] = {}
    for lines in data.decode().split("\n\n"):
        if not lines:
            continue
        value = json.loads(lines.split("data: ", 1)[1])
        assert lines.startswith(f"event: {value['type']}\n")
        match value["type"]:
            case "message_start":
                result = value["message"]
            case "content_block_start":
                assert value["index"] == len(result["content"])
                result["content"].append(value["content_block"])
            case "content_block_delta":
                _grow(result["content"][value["index"]], value["delta"], value["index"], written)
            case "message_delta":
                result |= value["delta"]
                result["usage"] |= value["usage"]
    for index, text in written.items():
        result["content"][index]["input"] = json.loads(text) if text else {}
    return result


def _grow(block: dict[str, Any], delta: dict[str, Any], index: int, written: dict[int, str]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "citations_delta":
            block.setdefault("citations", []).append(delta["citation"])
        case "input_json_delta":
            written[index] = written.get(index, "") + delta["partial_json"]
