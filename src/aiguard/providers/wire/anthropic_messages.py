"""What a Messages request looks like.

Field lists follow the public API reference as the official Python SDK types it.
"""

from __future__ import annotations

import re
from typing import Any, Final

from aiguard.providers.wire.sealed import sealed
from aiguard.providers.wire.shape import (
    IDENTIFIER,
    MAX_TOKENS,
    NAME,
    Check,
    array,
    boolean,
    by_field,
    count,
    either,
    enum,
    free,
    json_text,
    marked,
    matching,
    model,
    number,
    only,
    optional,
    record,
    text,
)

UNSEEN: Final = "no control can look inside it"
ELSEWHERE: Final = "the provider would send content elsewhere"
HELD: Final = "it adds what the provider keeps and no control has seen"
ROUTES: Final = f"text, documents of text, search results, thinking and tools of your own are supported, and {UNSEEN}"

_REGION: Final = re.compile(r"[a-z]{2,16}\Z")
_NOT_KEPT: Final = only(None, why=HELD)
_CACHE: Final = optional(record({"type": enum("ephemeral")}, {"ttl": enum("5m", "1h")}))
_CACHED: Final[dict[str, Check]] = {"cache_control": _CACHE}


def _type(name: str) -> dict[str, Check]:
    return {"type": enum(name)}


def _kinds(checks: dict[str, Check], **more: Any) -> Check:
    return by_field("type", checks, **more)


def _citation(kind: str, *indexes: str, **more: Check) -> Check:
    places = dict.fromkeys(indexes, count(0, MAX_TOKENS))
    return record(_type(kind) | {"cited_text": text} | places, {**more, "file_id": _NOT_KEPT})


_TITLED: Final[dict[str, Check]] = {"document_title": optional(text)}
_CITATIONS: Final = optional(
    array(
        _kinds(
            {
                "char_location": _citation(
                    "char_location", "document_index", "start_char_index", "end_char_index", **_TITLED
                ),
                "content_block_location": _citation(
                    "content_block_location", "document_index", "start_block_index", "end_block_index", **_TITLED
                ),
                "search_result_location": _citation(
                    "search_result_location",
                    "search_result_index",
                    "start_block_index",
                    "end_block_index",
                    source=text,
                    title=optional(text),
                ),
            }
        )
    )
)
_CITING: Final = optional(record({}, {"enabled": boolean}))


def _text_blocks(content: Check) -> Check:
    return record(_type("text") | {"text": content}, _CACHED | {"citations": _CITATIONS})


_TEXT: Final = _text_blocks(text)
_TEXTS: Final = array(_kinds({"text": _TEXT}, why=f"text blocks are supported, and {UNSEEN}"))
_SYSTEM: Final = marked(either(string=text, items=_TEXTS), role="system", trusted=True, channel="prose")
_SOURCE: Final = _kinds(
    {
        "text": record(_type("text") | {"media_type": enum("text/plain"), "data": text}),
        "content": record(_type("content") | {"content": either(string=text, items=_TEXTS)}),
    },
    why=f"documents of text or of text blocks are supported, and {UNSEEN}",
)
_READABLE: Final[dict[str, Check]] = {
    "text": _TEXT,
    "document": record(
        _type("document") | {"source": _SOURCE},
        _CACHED | {"title": optional(text), "context": optional(text), "citations": _CITING},
    ),
    "search_result": record(
        _type("search_result") | {"source": text, "title": text, "content": _TEXTS}, _CACHED | {"citations": _CITING}
    ),
}

# What the model thought goes back as it came: changed, it would not fit its signature, and the provider refuses it.
_THINKING: Final[dict[str, Check]] = {
    name: marked(check, role="reasoning", channel="meta")
    for name, check in {
        "thinking": record(_type("thinking") | {"thinking": text, "signature": sealed}),
        "redacted_thinking": record(_type("redacted_thinking") | {"data": sealed}),
    }.items()
}
_TOOL_USE: Final = record(
    _type("tool_use")
    | {"id": matching(IDENTIFIER), "name": matching(NAME), "input": marked(either(fields=free), channel="tool")},
    _CACHED | {"caller": optional(_kinds({"direct": record(_type("direct"))}, why=ELSEWHERE))},
    {"toolset_name": UNSEEN},
)
_TOOL_RESULT: Final = marked(
    record(
        _type("tool_result") | {"tool_use_id": matching(IDENTIFIER)},
        _CACHED
        | {
            "content": either(
                string=json_text, items=array(_kinds(_READABLE | {"text": _text_blocks(json_text)}, why=ROUTES))
            ),
            "is_error": boolean,
        },
        {"toolset_name": UNSEEN},
    ),
    role="tool",
)


def _turn(role: str, blocks: dict[str, Check]) -> Check:
    content = either(string=text, items=array(_kinds(blocks, why=ROUTES)))
    return marked(record({"role": enum(role), "content": content}), role=role, channel="prose")


_MESSAGE: Final = by_field(
    "role",
    {
        "user": _turn("user", _READABLE | {"tool_result": _TOOL_RESULT}),
        "assistant": _turn("assistant", {"text": _TEXT, "tool_use": _TOOL_USE} | _THINKING),
        "system": record({"role": enum("system"), "content": _SYSTEM}),
    },
)

_DECLARED: Final[dict[str, Check]] = _CACHED | {
    "allowed_callers": array(enum("direct")),
    "defer_loading": only(False, why="the provider would choose what the model sees"),
    "eager_input_streaming": optional(boolean),
    "input_examples": array(free),
    "strict": boolean,
}
_CUSTOM_TOOL: Final = record(
    {"name": matching(NAME), "input_schema": either(fields=free)},
    _DECLARED | {"type": enum("custom"), "description": text},
)
_CLIENT_TOOLS: Final[dict[str, Check]] = {
    kind: record(_type(kind) | {"name": enum(name)}, _DECLARED | {"max_characters": optional(count(1, MAX_TOKENS))})
    for kind, name in {
        "bash_20250124": "bash",
        "memory_20250818": "memory",
        "text_editor_20250124": "str_replace_editor",
        "text_editor_20250429": "str_replace_based_edit_tool",
        "text_editor_20250728": "str_replace_based_edit_tool",
    }.items()
}
_TOOL: Final = _kinds(
    {"custom": _CUSTOM_TOOL} | _CLIENT_TOOLS,
    absent="custom",
    why="tools that your application runs are supported; hosted tools send content where no control sees it",
)
_PARALLEL: Final[dict[str, Check]] = {"disable_parallel_tool_use": boolean}
_TOOL_CHOICE: Final = _kinds(
    {
        "auto": record(_type("auto"), _PARALLEL),
        "any": record(_type("any"), _PARALLEL),
        "none": record(_type("none")),
        "tool": record(_type("tool") | {"name": matching(NAME)}, _PARALLEL),
    }
)
_DISPLAY: Final[dict[str, Check]] = {"display": optional(enum("summarized", "omitted"))}
_THINK: Final = _kinds(
    {
        "adaptive": record(_type("adaptive"), _DISPLAY),
        "between_tools": record(_type("between_tools")),
        "disabled": record(_type("disabled")),
        "enabled": record(_type("enabled") | {"budget_tokens": count(0, MAX_TOKENS)}, _DISPLAY),
    }
)
_DEVELOPER: Final = {"role": "developer", "trusted": True, "channel": "meta"}
_OUTPUT: Final = marked(
    record(
        {},
        {
            "effort": optional(enum("low", "medium", "high", "xhigh", "max")),
            "format": optional(_kinds({"json_schema": record(_type("json_schema") | {"schema": either(fields=free)})})),
        },
    ),
    **_DEVELOPER,
)

_NEEDED: Final[dict[str, Check]] = {"model": model, "messages": array(_MESSAGE)}
_COUNTED: Final[dict[str, Check]] = {
    "cache_control": _CACHE,
    "output_config": _OUTPUT,
    "speed": enum("standard", "fast"),
    "system": _SYSTEM,
    "thinking": _THINK,
    "tool_choice": marked(_TOOL_CHOICE, **_DEVELOPER),
    "tools": marked(array(_TOOL), **_DEVELOPER),
}
_REFUSED: Final = {
    "container": HELD,
    "context_management": "the provider would change what no control sees again",
    "diagnostics": "it compares with an exchange that the provider keeps",
    "mcp_servers": ELSEWHERE,
}

_ASKED: Final[dict[str, Check]] = _COUNTED | {
    "inference_geo": matching(_REGION),
    "metadata": record({}, {"user_id": optional(text)}),
    "service_tier": enum("auto", "standard_only"),
    "stop_sequences": array(text),
    "stream": boolean,
    "temperature": number,
    "top_k": count(0, MAX_TOKENS),
    "top_p": number,
}


def _request(fields: dict[str, Check]) -> Check:
    return record(_NEEDED, {name: optional(check) for name, check in fields.items()}, _REFUSED)


MESSAGES_REQUEST: Final = _request(_ASKED)
COUNT_REQUEST: Final = _request(_COUNTED)
