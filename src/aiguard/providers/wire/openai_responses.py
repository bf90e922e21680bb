"""What a Responses request and answer look like."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from aiguard.framing.jsontree import Path
from aiguard.providers.wire.openai_chat import (
    BREAKPOINT,
    CACHE_OPTIONS,
    EFFORT,
    METADATA,
    ROUTES,
    SCHEMA_FIELDS,
    SPLIT,
    STREAM_OPTIONS,
    TIER,
    TIMESTAMP,
    TOKENS,
    UNSEEN,
    USAGE,
)
from aiguard.providers.wire.shape import (
    IDENTIFIER,
    NAME,
    Check,
    Mark,
    Reader,
    array,
    boolean,
    by_field,
    count,
    each,
    either,
    enum,
    free,
    json_text,
    known,
    marked,
    matching,
    model,
    number,
    only,
    optional,
    record,
    text,
    where_fits,
)

STATE: Final = "it adds text that the provider keeps and no control has seen; send the items themselves"
_STATUS: Final = optional(enum("in_progress", "completed", "incomplete"))
_PHASE: Final = optional(enum("commentary", "final_answer"))
_ID: Final = matching(IDENTIFIER)
_DEVELOPER: Final = {"role": "developer", "trusted": True, "channel": "meta"}


def _type(name: str) -> dict[str, Check]:
    return {"type": enum(name)}


_INPUT_TEXT: Final = record(_type("input_text") | {"text": text}, {"prompt_cache_breakpoint": BREAKPOINT})
_OUTPUT_TEXT: Final = record(
    _type("output_text") | {"text": text},
    {
        # Answers carry both lists, empty unless asked for, and people send answers back.
        "annotations": optional(array(record())),
        "logprobs": optional(array(record())),
    },
)
_REFUSAL: Final = record(_type("refusal") | {"refusal": text})
_INPUT_PARTS: Final = array(by_field("type", {"input_text": _INPUT_TEXT}, why=ROUTES))
_ASSISTANT_PARTS: Final = array(
    by_field(
        "type",
        {"input_text": _INPUT_TEXT, "output_text": _OUTPUT_TEXT, "refusal": _REFUSAL},
        why=ROUTES,
    )
)


def _message(role: str, content: Check) -> Check:
    return record(
        {"role": enum(role), "content": content},
        {
            "type": enum("message"),
            "id": optional(_ID),
            "status": _STATUS,
            "phase": _PHASE,
        },
    )


_MESSAGE: Final = by_field(
    "role",
    {
        "user": marked(
            _message("user", either(string=text, items=_INPUT_PARTS)),
            role="user",
            channel="prose",
        ),
        "system": marked(
            _message("system", either(string=text, items=_INPUT_PARTS)),
            role="system",
            trusted=True,
            channel="prose",
        ),
        "developer": marked(
            _message("developer", either(string=text, items=_INPUT_PARTS)),
            role="developer",
            trusted=True,
            channel="prose",
        ),
        "assistant": marked(
            _message("assistant", either(string=text, items=_ASSISTANT_PARTS)),
            role="assistant",
            channel="prose",
        ),
    },
)
_CALLER: Final = optional(record(_type("direct")))
_ITEM_FIELDS: Final = {"id": optional(_ID), "status": _STATUS, "caller": _CALLER}
_OUTPUT: Final = either(string=json_text, items=_INPUT_PARTS)
_ITEM: Final = by_field(
    "type",
    {
        "message": _MESSAGE,
        "function_call": marked(
            record(
                _type("function_call")
                | {
                    "call_id": _ID,
                    "name": matching(NAME),
                    "arguments": marked(json_text, channel="tool"),
                },
                _ITEM_FIELDS | {"namespace": optional(matching(NAME)), "async": optional(boolean)},
            ),
            role="assistant",
        ),
        "custom_tool_call": marked(
            record(
                _type("custom_tool_call")
                | {
                    "call_id": _ID,
                    "name": matching(NAME),
                    "input": marked(json_text, channel="tool"),
                },
                _ITEM_FIELDS | {"namespace": optional(matching(NAME)), "async": optional(boolean)},
            ),
            role="assistant",
        ),
        "function_call_output": marked(
            record(
                _type("function_call_output") | {"call_id": _ID, "output": _OUTPUT},
                _ITEM_FIELDS
                | {
                    "name": optional(matching(NAME)),
                    "namespace": optional(matching(NAME)),
                },
            ),
            role="tool",
            channel="prose",
        ),
        "custom_tool_call_output": marked(
            record(
                _type("custom_tool_call_output") | {"call_id": _ID, "output": _OUTPUT},
                _ITEM_FIELDS,
            ),
            role="tool",
            channel="prose",
        ),
        "reasoning": marked(
            record(
                _type("reasoning") | {"summary": array(record(_type("summary_text") | {"text": text}))},
                {
                    "id": optional(_ID),
                    "status": _STATUS,
                    "content": optional(array(record(_type("reasoning_text") | {"text": text}))),
                },
                {"encrypted_content": UNSEEN},
            ),
            role="assistant",
            channel="prose",
        ),
    },
    absent="message",
    why="messages, function and custom tool calls with their outputs, and reasoning summaries are supported",
)

_FUNCTION: Final = record(
    _type("function") | {"name": matching(NAME)},
    {
        "description": optional(text),
        "parameters": optional(free),
        "output_schema": optional(free),
        "strict": optional(boolean),
        "allowed_callers": optional(array(enum("direct"))),
    },
)
_CUSTOM: Final = record(
    _type("custom") | {"name": matching(NAME)},
    {
        "description": optional(text),
        "format": optional(
            by_field(
                "type",
                {
                    "text": record(_type("text")),
                    "grammar": record(_type("grammar") | {"syntax": enum("lark", "regex"), "definition": text}),
                },
            )
        ),
        "allowed_callers": optional(array(enum("direct"))),
    },
)
_TOOL: Final = by_field(
    "type",
    {"function": _FUNCTION, "custom": _CUSTOM},
    why="hosted tools send content where no control sees it; function and custom tools are supported",
)
_NAMED: Final = {"name": matching(NAME)}
_CHOSEN: Final = by_field(
    "type",
    {
        "function": record(_type("function") | _NAMED),
        "custom": record(_type("custom") | _NAMED),
    },
)
_TOOL_CHOICE: Final = either(
    string=enum("none", "auto", "required"),
    fields=by_field(
        "type",
        {
            "function": _CHOSEN,
            "custom": _CHOSEN,
            "allowed_tools": record(
                _type("allowed_tools") | {"mode": enum("auto", "required"), "tools": array(_CHOSEN)}
            ),
        },
    ),
)
_FORMAT: Final = by_field(
    "type",
    {
        "text": record(_type("text")),
        "json_object": record(_type("json_object")),
        "json_schema": record(_type("json_schema") | {"name": matching(NAME)}, SCHEMA_FIELDS),
    },
)
_SUMMARY: Final = optional(enum("auto", "concise", "detailed"))

RESPONSES_REQUEST: Final = record(
    {
        "model": model,
        "input": either(string=marked(text, role="user", channel="prose"), items=array(_ITEM)),
    },
    {
        "background": optional(only(False, why="its answer would be fetched where no control sees it")),
        "include": optional(array(enum("message.output_text.annotations"))),
        "instructions": optional(marked(text, role="system", trusted=True, channel="prose")),
        "max_tool_calls": optional(count(1, 1000)),
        "metadata": METADATA,
        "parallel_tool_calls": optional(boolean),
        "prompt_cache_key": optional(text),
        "prompt_cache_options": optional(CACHE_OPTIONS),
        "prompt_cache_retention": optional(enum("in_memory", "in-memory", "24h")),
        "reasoning": optional(
            record(
                {},
                {
                    "effort": optional(EFFORT),
                    "summary": _SUMMARY,
                    "generate_summary": _SUMMARY,
                    "mode": optional(enum("standard", "pro")),
                    "context": optional(enum("auto", "current_turn", "all_turns")),
                },
            )
        ),
        "safety_identifier": optional(text),
        "service_tier": optional(TIER),
        "stream": optional(boolean),
        "stream_options": optional(STREAM_OPTIONS),
        "temperature": optional(number),
        "text": optional(
            marked(
                record(
                    {},
                    {
                        "format": optional(_FORMAT),
                        "verbosity": optional(enum("low", "medium", "high")),
                    },
                ),
                **_DEVELOPER,
            )
        ),
        "tool_choice": optional(marked(_TOOL_CHOICE, **_DEVELOPER)),
        "tools": optional(marked(array(_TOOL), **_DEVELOPER)),
        "top_p": optional(number),
        "truncation": optional(enum("auto", "disabled")),
        "user": optional(text),
    },
    {
        "access_programs": UNSEEN,
        "background_options": "its answer would be fetched where no control sees it",
        "context_management": "it rewrites the conversation into a form that no control can read",
        "conversation": STATE,
        "image": UNSEEN,
        "moderation": "it sends content to a second model",
        "previous_response_id": STATE,
        "prompt": STATE,
        "top_logprobs": SPLIT,
    },
)

_ANSWER_STATUS: Final = where_fits(
    optional(enum("completed", "failed", "in_progress", "cancelled", "queued", "incomplete"))
)
_ITEM_TYPE: Final = where_fits(
    enum(
        "message",
        "function_call",
        "custom_tool_call",
        "reasoning",
        "output_text",
        "refusal",
        "summary_text",
    )
)
_PROSE: Final = marked(where_fits(text), channel="prose")
CONTENT_PART: Final = known(
    {
        "type": _ITEM_TYPE,
        "text": _PROSE,
        "refusal": _PROSE,
        "annotations": free,
        "logprobs": free,
    }
)
_ANSWER_ITEM: Final = known(
    {
        "type": _ITEM_TYPE,
        "status": _ANSWER_STATUS,
        "role": where_fits(enum("assistant")),
        "content": each(CONTENT_PART),
        "summary": each(CONTENT_PART),
        "id": free,
        "call_id": free,
        "name": free,
        "arguments": marked(where_fits(json_text), channel="tool"),
        "input": marked(where_fits(json_text), channel="tool"),
        "result": optional(only(None, why=UNSEEN)),
    }
)


def ITEM(reader: Reader, value: Any, path: Path, mark: Mark) -> None:  # noqa: N802 - a check, as the constants beside it
    """An item of an answer. What the model thinks is not what it says: it has a role of its own."""
    thinks = isinstance(value, dict) and value.get("type") == "reasoning"
    _ANSWER_ITEM(reader, value, path, replace(mark, role="reasoning" if thinks else "assistant"))


_ECHOED: Final = (
    "background",
    "error",
    "id",
    "incomplete_details",
    "instructions",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
)
"""What the answer repeats from the request: scanned again, since a stranger could have written it."""
RESPONSES_ANSWER: Final = known(
    dict.fromkeys(_ECHOED, free)
    | {
        "object": where_fits(enum("response")),
        "created_at": TIMESTAMP,
        "completed_at": where_fits(optional(TIMESTAMP)),
        "status": _ANSWER_STATUS,
        "service_tier": where_fits(optional(TIER)),
        "max_output_tokens": where_fits(optional(TOKENS)),
        "usage": USAGE,
        "output": each(ITEM),
    }
)
