"""What a Chat Completions request and answer look like."""

from __future__ import annotations

from typing import Final

from aiguard.providers.wire.shape import (
    IDENTIFIER,
    MAX_TOKENS,
    NAME,
    Check,
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

ROUTES: Final = "text parts and function or custom tools are supported"
UNSEEN: Final = "no control can look inside it"
SPLIT: Final = "log probabilities split values so that no control can recognise them"

EFFORT: Final = enum("none", "minimal", "low", "medium", "high", "xhigh", "max")
TIER: Final = enum("auto", "default", "flex", "scale", "priority", "fast")
CACHE_OPTIONS: Final = record({}, {"mode": enum("implicit", "explicit"), "ttl": enum("30m")})
BREAKPOINT: Final = record({"mode": enum("explicit")})
STREAM_OPTIONS: Final = record({}, {"include_usage": optional(boolean), "include_obfuscation": optional(boolean)})
METADATA: Final = marked(free, channel="meta")


def _type(name: str) -> dict[str, Check]:
    return {"type": enum(name)}


_TEXT_PART: Final = record(_type("text") | {"text": text}, {"prompt_cache_breakpoint": BREAKPOINT})
_REFUSAL_PART: Final = record(_type("refusal") | {"refusal": text})
_PARTS: Final = array(by_field("type", {"text": _TEXT_PART}, why=ROUTES))
_ASSISTANT_PARTS: Final = array(by_field("type", {"text": _TEXT_PART, "refusal": _REFUSAL_PART}, why=ROUTES))
_CONTENT: Final = either(string=text, items=_PARTS)

_TOOL_CALL: Final = by_field(
    "type",
    {
        "function": record(
            _type("function")
            | {
                "id": matching(IDENTIFIER),
                "function": record(
                    {
                        "name": matching(NAME),
                        "arguments": marked(json_text, channel="tool"),
                    }
                ),
            }
        ),
        "custom": record(
            _type("custom")
            | {
                "id": matching(IDENTIFIER),
                "custom": record({"name": matching(NAME), "input": marked(json_text, channel="tool")}),
            }
        ),
    },
    why=ROUTES,
)

_INSTRUCTIONS: Final = record(
    {"role": enum("system", "developer"), "content": _CONTENT},
    {"name": optional(matching(NAME))},
)
_MESSAGE: Final = by_field(
    "role",
    {
        "system": marked(_INSTRUCTIONS, role="system", trusted=True, channel="prose"),
        "developer": marked(_INSTRUCTIONS, role="developer", trusted=True, channel="prose"),
        "user": marked(
            record({"role": enum("user"), "content": _CONTENT}, {"name": optional(text)}),
            role="user",
            channel="prose",
        ),
        "assistant": marked(
            record(
                {"role": enum("assistant")},
                {
                    "content": optional(either(string=text, items=_ASSISTANT_PARTS)),
                    "refusal": optional(text),
                    "name": optional(text),
                    "tool_calls": optional(array(_TOOL_CALL)),
                    # Answers carry an empty list, and people send answers back.
                    "annotations": optional(array(record())),
                },
                {"audio": UNSEEN, "function_call": "it is deprecated; use tool_calls"},
            ),
            role="assistant",
            channel="prose",
        ),
        "tool": marked(
            record(
                {
                    "role": enum("tool"),
                    "tool_call_id": matching(IDENTIFIER),
                    "content": either(string=json_text, items=_PARTS),
                }
            ),
            role="tool",
            channel="prose",
        ),
    },
)

GRAMMAR: Final = record({"syntax": enum("lark", "regex"), "definition": text})
_FUNCTION: Final = record(
    {"name": matching(NAME)},
    {
        "description": optional(text),
        "parameters": optional(free),
        "strict": optional(boolean),
    },
)
_CUSTOM: Final = record(
    {"name": matching(NAME)},
    {
        "description": optional(text),
        "format": optional(
            by_field(
                "type",
                {
                    "text": record(_type("text")),
                    "grammar": record(_type("grammar") | {"grammar": GRAMMAR}),
                },
            )
        ),
    },
)
_TOOL: Final = by_field(
    "type",
    {
        "function": record(_type("function") | {"function": _FUNCTION}),
        "custom": record(_type("custom") | {"custom": _CUSTOM}),
    },
    why=ROUTES,
)
_NAMED: Final = {"name": matching(NAME)}
_CHOSEN: Final = by_field(
    "type",
    {
        "function": record(_type("function") | {"function": record(_NAMED)}),
        "custom": record(_type("custom") | {"custom": record(_NAMED)}),
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
                _type("allowed_tools")
                | {"allowed_tools": record({"mode": enum("auto", "required"), "tools": array(_CHOSEN)})}
            ),
        },
    ),
)
SCHEMA_FIELDS: Final[dict[str, Check]] = {
    "description": optional(text),
    "strict": optional(boolean),
    "schema": free,
}
_RESPONSE_FORMAT: Final = by_field(
    "type",
    {
        "text": record(_type("text")),
        "json_object": record(_type("json_object")),
        "json_schema": record(_type("json_schema") | {"json_schema": record({"name": matching(NAME)}, SCHEMA_FIELDS)}),
    },
)
_DEVELOPER: Final = {"role": "developer", "trusted": True, "channel": "meta"}

CHAT_REQUEST: Final = record(
    {"model": model, "messages": array(_MESSAGE)},
    {
        "frequency_penalty": optional(number),
        "logprobs": optional(only(False, why=SPLIT)),
        "metadata": METADATA,
        "modalities": optional(array(enum("text"))),
        "n": optional(count(1, 128)),
        "parallel_tool_calls": optional(boolean),
        "prediction": optional(record(_type("content") | {"content": marked(_CONTENT, channel="prose")})),
        "presence_penalty": optional(number),
        "prompt_cache_key": optional(text),
        "prompt_cache_options": optional(CACHE_OPTIONS),
        "prompt_cache_retention": optional(enum("in_memory", "in-memory", "24h")),
        "reasoning_effort": optional(EFFORT),
        "response_format": marked(_RESPONSE_FORMAT, **_DEVELOPER),
        "safety_identifier": optional(text),
        "seed": optional(number),
        "service_tier": optional(TIER),
        "stop": optional(either(string=text, items=array(text))),
        "store": optional(only(False, why="the provider would keep the exchange")),
        "stream": optional(boolean),
        "stream_options": optional(STREAM_OPTIONS),
        "temperature": optional(number),
        "tool_choice": optional(marked(_TOOL_CHOICE, **_DEVELOPER)),
        "tools": optional(marked(array(_TOOL), **_DEVELOPER)),
        "top_p": optional(number),
        "user": optional(text),
        "verbosity": optional(enum("low", "medium", "high")),
    },
    {
        "audio": UNSEEN,
        "function_call": "it is deprecated; use tool_choice",
        "functions": "it is deprecated; use tools",
        "logit_bias": "token ids are text that no control can read",
        "moderation": "it sends content to a second model",
        "top_logprobs": SPLIT,
        "web_search_options": "the provider would send content elsewhere",
    },
)

TIMESTAMP: Final = where_fits(count(1_000_000_000, 4_102_444_800))
TOKENS: Final = where_fits(count(0, MAX_TOKENS))
_DETAILS: Final = known(
    dict.fromkeys(
        (
            "cached_tokens",
            "cache_write_tokens",
            "audio_tokens",
            "reasoning_tokens",
            "accepted_prediction_tokens",
            "rejected_prediction_tokens",
            "text_tokens",
        ),
        TOKENS,
    )
)
USAGE: Final = known(
    dict.fromkeys(
        (
            "prompt_tokens",
            "completion_tokens",
            "input_tokens",
            "output_tokens",
            "total_tokens",
        ),
        TOKENS,
    )
    | dict.fromkeys(
        (
            "prompt_tokens_details",
            "completion_tokens_details",
            "input_tokens_details",
            "output_tokens_details",
        ),
        _DETAILS,
    )
)
_NO_AUDIO: Final = optional(only(None, why=UNSEEN))

ANSWER_CALL: Final = known(
    {
        "id": free,
        "type": where_fits(enum("function", "custom")),
        "index": TOKENS,
        "function": known({"name": free, "arguments": marked(where_fits(json_text), channel="tool")}),
        "custom": known({"name": free, "input": marked(where_fits(json_text), channel="tool")}),
    }
)
FINISH: Final = where_fits(optional(enum("stop", "length", "tool_calls", "content_filter", "function_call")))
CHAT_ANSWER: Final = known(
    dict.fromkeys(("id", "model", "system_fingerprint", "metadata"), free)
    | {
        "object": where_fits(enum("chat.completion")),
        "created": TIMESTAMP,
        "service_tier": where_fits(optional(TIER)),
        "usage": USAGE,
        "choices": each(
            known(
                {
                    "index": TOKENS,
                    "finish_reason": FINISH,
                    "message": marked(
                        known(
                            {
                                "role": where_fits(enum("assistant")),
                                "content": marked(where_fits(optional(text)), channel="prose"),
                                "refusal": marked(where_fits(optional(text)), channel="prose"),
                                "tool_calls": each(ANSWER_CALL),
                                "function_call": known(
                                    {
                                        "name": free,
                                        "arguments": marked(where_fits(json_text), channel="tool"),
                                    }
                                ),
                                "annotations": free,
                                "audio": _NO_AUDIO,
                            }
                        ),
                        role="assistant",
                    ),
                }
            )
        ),
    }
)
