"""What a Message and a count of tokens look like as answers, whole; the events of a stream are made of the same blocks.

Tokens are turned back in what the model says and in what it quotes, not in what it thinks: thinking is signed, and has to go back
to the provider as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from aiguard.framing.jsontree import Path
from aiguard.providers.wire.openai_chat import TOKENS
from aiguard.providers.wire.sealed import maybe_sealed
from aiguard.providers.wire.shape import (
    MAX_TOKENS,
    Check,
    Mark,
    Reader,
    each,
    enum,
    free,
    known,
    marked,
    optional,
    text,
    where_fits,
)

QUOTED: Final = "document"
"""The role of what the model quotes from a document: shown, but not said by it."""

_PROSE: Final = marked(where_fits(optional(text)), channel="prose")
_INDEXES: Final[dict[str, Check]] = dict.fromkeys(
    (
        "document_index",
        "start_char_index",
        "end_char_index",
        "start_block_index",
        "end_block_index",
        "start_page_number",
        "end_page_number",
        "search_result_index",
    ),
    TOKENS,
)
_CITED: Final = enum("char_location", "content_block_location", "page_location", "search_result_location")
CITATION: Final = marked(
    known(_INDEXES | {"type": where_fits(_CITED), "cited_text": _PROSE}),
    role=QUOTED,
)
_CALLER: Final = known({"type": where_fits(enum("direct"))})


def _block(name: str, role: str, fields: Mapping[str, Check]) -> Check:
    return marked(known({"type": where_fits(enum(name)), **fields}), role=role)


BLOCKS: Final[Mapping[str, Check]] = {
    "text": _block("text", "assistant", {"text": _PROSE, "citations": each(CITATION)}),
    "thinking": _block("thinking", "reasoning", {"thinking": free, "signature": maybe_sealed}),
    "redacted_thinking": _block("redacted_thinking", "reasoning", {"data": maybe_sealed}),
    "tool_use": _block(
        "tool_use",
        "assistant",
        {"id": free, "name": free, "input": marked(free, channel="tool"), "caller": _CALLER},
    ),
}


def block(reader: Reader, value: Any, path: Path, mark: Mark) -> None:
    """A block of an answer. One of a type that is not known is scanned whole."""
    kind = value.get("type") if isinstance(value, dict) else None
    check = BLOCKS.get(kind) if isinstance(kind, str) else None
    if check is None:
        free(reader, value, path, replace(mark, channel="meta"))
    else:
        check(reader, value, path, mark)


USAGE: Final = known(
    dict.fromkeys(
        ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"),
        TOKENS,
    )
    | {
        "cache_creation": known(dict.fromkeys(("ephemeral_1h_input_tokens", "ephemeral_5m_input_tokens"), TOKENS)),
        "output_tokens_details": known({"thinking_tokens": TOKENS}),
        "service_tier": where_fits(optional(enum("standard", "priority", "batch"))),
        "speed": where_fits(optional(enum("standard", "fast"))),
    }
)
_STOP_REASON: Final = enum(
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"
)
STOP: Final[Mapping[str, Check]] = {
    "stop_reason": where_fits(optional(_STOP_REASON)),
    "stop_sequence": free,
    "stop_details": known({"type": where_fits(enum("refusal")), "category": free, "explanation": free}),
}
MESSAGE: Final = known(
    {
        **STOP,
        "id": free,
        "type": where_fits(enum("message")),
        "role": where_fits(enum("assistant")),
        "model": free,
        "content": each(block),
        "usage": USAGE,
    }
)
COUNT: Final = known({"input_tokens": TOKENS})


def usage_of(reported: Any) -> dict[str, int]:
    """Tokens as the provider counted them; those that were read from or written to a cache are input, as they are elsewhere."""
    if not isinstance(reported, dict):
        return {}

    def amount(name: str) -> int | None:
        value = reported.get(name)
        return value if type(value) is int and 0 <= value <= MAX_TOKENS else None

    usage: dict[str, int] = {}
    read = [amount(name) for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")]
    if read[0] is not None:
        usage["input_tokens"] = sum(tokens or 0 for tokens in read)
    written = amount("output_tokens")
    if written is not None:
        usage["output_tokens"] = written
    if len(usage) == 2:
        usage["total_tokens"] = sum(usage.values())
    return usage
