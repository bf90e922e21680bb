from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.providers.provider_doubles import CHAT_ANSWER, RESPONSES_ANSWER
from tests.providers.variants import CARD, MARKER, variants

from aiguard.errors import ConfigurationError, MalformedInput
from aiguard.providers import RawRequest, RawResponse, UnknownShape, wire_for
from aiguard.types import PartKind

JSON = (("content-type", "application/json"),)
SCHEMA = {"type": "object", "properties": {"to": {"type": "string", "maxLength": 10}}, "required": ["to"]}
CHAT: dict[str, Any] = {
    "model": "gpt-5-mini",
    "messages": [
        {"role": "developer", "content": "be nice", "name": "desk"},
        {"role": "system", "content": [{"type": "text", "text": "be brief"}]},
        {"role": "user", "content": "hello", "name": "sam"},
        {"role": "user", "content": [{"type": "text", "text": "again"}]},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "sure"}, {"type": "refusal", "refusal": "no"}],
            "refusal": None,
            "annotations": [],
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "mail", "arguments": '{"to": "sam", "deep": [1, {"copies": 2.5}]}'},
                },
                {"id": "call_2", "type": "custom", "custom": {"name": "shell", "input": "run it"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": '{"sent": "sam"}'},
        {"role": "tool", "tool_call_id": "call_2", "content": "done"},
    ],
    "frequency_penalty": 0.5,
    "max_completion_tokens": 100,
    "metadata": {"ticket": "42a"},
    "n": 2,
    "parallel_tool_calls": True,
    "prediction": {"type": "content", "content": "as before"},
    "prompt_cache_key": "tenant",
    "reasoning_effort": "low",
    "response_format": {"type": "json_schema", "json_schema": {"name": "out", "strict": True, "schema": SCHEMA}},
    "safety_identifier": "u1",
    "seed": 7,
    "service_tier": "default",
    "stop": ["END"],
    "store": False,
    "stream": False,
    "temperature": 0.2,
    "tool_choice": {"type": "function", "function": {"name": "mail"}},
    "tools": [
        {
            "type": "function",
            "function": {"name": "mail", "description": "sends", "parameters": SCHEMA, "strict": True},
        },
        {
            "type": "custom",
            "custom": {
                "name": "shell",
                "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}},
            },
        },
    ],
    "top_p": 0.9,
    "user": "u2",
    "verbosity": "low",
}
RESPONSES: dict[str, Any] = {
    "model": "gpt-5-mini",
    "instructions": "be nice",
    "input": [
        {"role": "user", "content": "hello"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "again"}]},
        {"type": "message", "role": "developer", "content": "be brief"},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "phase": "final_answer",
            "content": [
                {"type": "output_text", "text": "sure", "annotations": [], "logprobs": []},
                {"type": "refusal", "refusal": "no"},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "thinking"}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "mail", "arguments": '{"to":"sam","n":3}'},
        {"type": "function_call_output", "call_id": "call_1", "output": '["sent", {"at": "noon"}]'},
        {"type": "custom_tool_call", "call_id": "call_2", "name": "shell", "input": "run it"},
        {
            "type": "custom_tool_call_output",
            "call_id": "call_2",
            "output": [{"type": "input_text", "text": "ran"}],
        },
    ],
    "include": [],
    "max_output_tokens": 100,
    "max_tool_calls": 3,
    "metadata": {"ticket": "42a"},
    "parallel_tool_calls": False,
    "prompt_cache_key": "tenant",
    "reasoning": {"effort": "low", "summary": "auto"},
    "safety_identifier": "u1",
    "service_tier": "auto",
    "temperature": 0.2,
    "text": {"format": {"type": "json_schema", "name": "out", "schema": SCHEMA}, "verbosity": "low"},
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "mail"}]},
    "tools": [
        {"type": "function", "name": "mail", "description": "sends", "parameters": SCHEMA, "strict": True},
        {"type": "custom", "name": "shell", "description": "runs"},
    ],
    "top_p": 0.9,
    "truncation": "auto",
    "user": "u2",
}
BODIES = {"/chat/completions": CHAT, "/responses": RESPONSES}
ANSWERS = {"/chat/completions": CHAT_ANSWER, "/responses": RESPONSES_ANSWER}


def raw(path: str, body: Any, **more: Any) -> RawRequest:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given_fields = {"method": "POST", "headers": JSON, "content": content, **more}
    return RawRequest(provider="openai", url="", path=path, **given_fields)


def request(path: str, body: Any) -> Any:
    return wire_for("openai").request(raw(path, body))


def answer(path: str, body: Any, *, status: int = 200, headers: Any = JSON) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = request(path, {"model": "m", "messages": []} if "chat" in path else {"model": "m", "input": ""})
    return wire_for("openai").response(asked, RawResponse(status=status, headers=headers, content=content))


@pytest.mark.parametrize("path", BODIES)
def test_whatever_is_put_anywhere_in_a_request_is_a_part_or_refused(path: str) -> None:
    accepted = 0
    refused: list[str] = []
    for _, body in variants(BODIES[path]):
        if body.get("model") == MARKER:
            continue  # The model is checked against policy's list.
        try:
            taken = request(path, body)
        except MalformedInput as error:
            refused.append(str(error))
            continue
        seen = [part for part in taken.parts if MARKER in part.text or str(CARD) in part.text]
        assert len(seen) == 1, body
        accepted += 1
        hidden = [part.text.replace(MARKER, "safe").replace(str(CARD), "safe") for part in taken.parts]
        sent = taken.render(hidden, max_output_tokens=None).content
        assert MARKER.encode() not in sent
        assert str(CARD).encode() not in sent
    assert accepted > 60
    assert len(refused) > 60
    assert MARKER not in "".join(refused)


@pytest.mark.parametrize("path", ANSWERS)
def test_whatever_is_put_anywhere_in_an_answer_is_a_part_or_refused(path: str) -> None:
    accepted = 0
    refused: list[str] = []
    for _, body in variants(ANSWERS[path]):
        try:
            taken = answer(path, body)
        except MalformedInput as error:
            refused.append(str(error))
            continue
        hidden = [part.text.replace(MARKER, "safe").replace(str(CARD), "safe") for part in taken.parts]
        shown = taken.render(hidden).content
        assert MARKER.encode() not in shown
        assert str(CARD).encode() not in shown
        accepted += 1
    assert accepted > 35
    assert MARKER not in "".join(refused)


@pytest.mark.parametrize("path", BODIES)
def test_an_untouched_request_means_the_same_to_the_provider(path: str) -> None:
    taken = request(path, BODIES[path])
    sent = json.loads(taken.render([None] * len(taken.parts), max_output_tokens=taken.max_output_tokens).content)
    wanted = copy.deepcopy(BODIES[path])
    if path == "/responses":
        wanted["store"] = False

    for body in (sent, wanted):
        items: list[dict[str, Any]] = body.get("messages") or body["input"]
        for item in items:
            for holder in (item, *[call.get("function", {}) for call in item.get("tool_calls", [])]):
                for name in ("arguments", "output", "content"):
                    if isinstance(holder.get(name), str) and holder[name][:1] in ("{", "["):
                        holder[name] = json.loads(holder[name])
    assert sent == wanted


def test_each_part_says_who_wrote_it_and_where_it_goes() -> None:
    parts = {part.text: part for part in request("/chat/completions", CHAT).parts if part.kind is PartKind.TEXT}

    assert [(parts[text].role, parts[text].trusted) for text in ("be nice", "be brief", "hello", "sure", "done")] == [
        ("developer", True),
        ("system", True),
        ("user", False),
        ("assistant", False),
        ("tool", False),
    ]
    assert (parts["sends"].trusted, parts["sends"].role) == (True, "developer")
    assert {parts[text].channel for text in ("run it",)} == {"tool"}
    assert {parts[text].channel for text in ("hello", "again", "sure", "no", "done")} == {"prose"}
    assert {parts[text].channel for text in ("42a", "call_1", "u2", "tenant")} == {"meta"}
    assert parts["42a"].context == "ticket"
    assert parts["hello"].context == ""


def test_responses_say_who_wrote_what_too() -> None:
    parts = {part.text: part for part in request("/responses", RESPONSES).parts if part.kind is PartKind.TEXT}

    assert (parts["be nice"].role, parts["be nice"].trusted) == ("system", True)
    assert (parts["hello"].role, parts["hello"].trusted, parts["hello"].channel) == ("user", False, "prose")
    assert (parts["sam"].role, parts["sam"].channel, parts["sam"].context) == ("assistant", "tool", "to")
    assert (parts["noon"].role, parts["noon"].trusted) == ("tool", False)
    assert parts["sends"].trusted
    only = request("/responses", {"model": "m", "input": "hello"}).parts
    assert [(part.text, part.role, part.channel) for part in only] == [("hello", "user", "prose")]


def test_answers_say_what_is_shown_and_what_goes_to_tools() -> None:
    parts = answer("/responses", RESPONSES_ANSWER).parts

    assert [part.text for part in parts if part.channel == "prose"] == ["hello there"]
    assert [part.text for part in parts if part.channel == "tool"] == ["to", "alice@example.com", "copies", "2"]
    assert {part.role for part in parts if part.channel != "meta"} == {"assistant"}


@pytest.mark.parametrize(
    ("path", "change", "named"),
    [
        ("/chat/completions", {"stream": 1}, "'stream'"),
        ("/chat/completions", {"store": True}, "'store'"),
        ("/chat/completions", {"logprobs": True}, "'logprobs'"),
        ("/chat/completions", {"logit_bias": {"1": 1}}, "'logit_bias'"),
        ("/chat/completions", {"audio": {"voice": "x"}}, "'audio'"),
        ("/chat/completions", {"modalities": ["text", "audio"]}, "'modalities'"),
        ("/chat/completions", {"functions": []}, "'functions'"),
        ("/chat/completions", {"web_search_options": {}}, "'web_search_options'"),
        ("/chat/completions", {"n": 1000}, "'n'"),
        ("/chat/completions", {"max_tokens": 10**9}, "'max_tokens'"),
        ("/chat/completions", {"max_tokens": True}, "'max_tokens'"),
        ("/chat/completions", {"model": "m\n"}, "'model'"),
        ("/chat/completions", {"model": None}, "'model'"),
        ("/chat/completions", {"something_new": 1}, "'something_new'"),
        ("/chat/completions", {"alice@example.com": 1}, "not shown"),
        ("/chat/completions", {"messages": [{"role": "function", "content": "x", "name": "f"}]}, "'function'"),
        ("/chat/completions", {"messages": [{"role": "user"}]}, "'content'"),
        ("/chat/completions", {"messages": [{"role": "user", "content": 5}]}, "'content'"),
        ("/chat/completions", {"messages": ["hello"]}, "'messages'"),
        (
            "/chat/completions",
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]},
            "'image_url'",
        ),
        ("/chat/completions", {"tools": [{"type": "web_search"}]}, "'web_search'"),
        ("/responses", {"stream": 1}, "'stream'"),
        ("/responses", {"store": True}, "'store'"),
        ("/responses", {"background": True}, "'background'"),
        ("/responses", {"previous_response_id": "resp_1"}, "'previous_response_id'"),
        ("/responses", {"conversation": "conv_1"}, "'conversation'"),
        ("/responses", {"prompt": {"id": "pmpt_1"}}, "'prompt'"),
        ("/responses", {"include": ["reasoning.encrypted_content"]}, "'include'"),
        ("/responses", {"top_logprobs": 3}, "'top_logprobs'"),
        ("/responses", {"tools": [{"type": "web_search"}]}, "'web_search'"),
        ("/responses", {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}, "'file_search'"),
        ("/responses", {"tools": [{"type": "mcp", "server_url": "https://x"}]}, "'mcp'"),
        ("/responses", {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "'code_interpreter'"),
        ("/responses", {"input": [{"type": "item_reference", "id": "msg_1"}]}, "'item_reference'"),
        ("/responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "'input_image'"),
        ("/responses", {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "x"}]}]}, "'input_file'"),
        ("/responses", {"input": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}]}, "'encrypted_content'"),
        ("/responses", {"input": [{"type": "function_call_output", "call_id": "a b", "output": "x"}]}, "'call_id'"),
        ("/responses", {"input": [{"type": "compaction", "encrypted_content": "x"}]}, "'compaction'"),
    ],
)  # fmt: skip
def test_what_no_stage_can_look_at_is_refused_by_name(path: str, change: dict[str, Any], named: str) -> None:
    with pytest.raises(UnknownShape, match=named):
        request(path, {**BODIES[path], **change})


@pytest.mark.parametrize("path", BODIES)
def test_a_null_is_as_good_as_leaving_a_field_out(path: str) -> None:
    names = ["temperature", "tools", "user", "stop", "audio", "logit_bias", "previous_response_id", "store", "stream"]
    known = [name for name in names if name in BODIES[path] or name in ("store", "stream")]

    assert request(path, {**BODIES[path], **dict.fromkeys(known)}).model == "gpt-5-mini"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/models"),
        ("GET", "/chat/completions"),
        ("POST", "/chat/completions/"),
        ("POST", "/embeddings"),
        ("DELETE", "/responses"),
    ],
)
def test_other_endpoints_are_refused(method: str, path: str) -> None:
    with pytest.raises(UnknownShape, match="endpoint is not supported"):
        wire_for("openai").request(raw(path, CHAT, method=method))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b"[" * 10_000, b'{"model":"m","model":"n"}', b"\xff", b'"m"']
)
def test_a_body_that_is_no_request_is_malformed_input(body: bytes) -> None:
    with pytest.raises(MalformedInput):
        request("/chat/completions", body)


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", "application/jsonp", ""])
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(UnknownShape, match="content type"):
        wire_for("openai").request(raw("/responses", RESPONSES, headers=(("content-type", content_type),)))


@pytest.mark.parametrize(
    ("path", "asked", "name"),
    [
        ("/chat/completions", {}, "max_completion_tokens"),
        ("/chat/completions", {"max_tokens": 50}, "max_tokens"),
        ("/chat/completions", {"max_completion_tokens": 50}, "max_completion_tokens"),
        ("/chat/completions", {"max_tokens": 60, "max_completion_tokens": 50}, "max_completion_tokens"),
        ("/responses", {}, "max_output_tokens"),
        ("/responses", {"max_output_tokens": 50}, "max_output_tokens"),
    ],
)
def test_the_output_limit_is_read_and_set(path: str, asked: dict[str, int], name: str) -> None:
    content: dict[str, Any] = {"messages": []} if "chat" in path else {"input": "x"}
    body = {"model": "m", **content, **asked}
    taken = request(path, body)

    assert taken.max_output_tokens == (50 if asked else None)
    sent = json.loads(taken.render([None] * len(taken.parts), max_output_tokens=9).content)
    assert {key: value for key, value in sent.items() if key.startswith("max_")} == {name: 9}
    unset = json.loads(taken.render([None] * len(taken.parts), max_output_tokens=None).content)
    assert not [key for key in unset if key.startswith("max_")]


@pytest.mark.parametrize("limit", [0, -1, 10**8])
def test_an_output_limit_out_of_bounds_is_an_error(limit: int) -> None:
    taken = request("/responses", {"model": "m", "input": "x"})

    with pytest.raises(ValueError, match="max_output_tokens"):
        taken.render([None], max_output_tokens=limit)


@given(st.recursive(st.text(max_size=8) | st.integers(), lambda inner: st.dictionaries(st.text(max_size=5), inner)))
def test_tool_arguments_are_walked_and_put_back(arguments: Any) -> None:
    text = json.dumps({"root": arguments})
    try:
        text.encode()
        json.dumps(arguments, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": text}
    taken = request("/responses", {"model": "m", "input": [item]})

    sent = json.loads(taken.render([None] * len(taken.parts), max_output_tokens=None).content)

    assert json.loads(sent["input"][0]["arguments"]) == {"root": arguments}
    assert all(part.channel == "tool" for part in taken.parts if "/arguments" in part.pointer)


def test_broken_arguments_are_text_in_which_escapes_hide_nothing() -> None:
    item = {
        "type": "function_call",
        "call_id": "c",
        "name": "f",
        "arguments": '{"to": "\\u0061lice@example.com \\u0022 \\u000a',
    }
    taken = request("/responses", {"model": "m", "input": [item]})

    part = next(part for part in taken.parts if part.channel == "tool")

    assert part.text == '{"to": "alice@example.com \\u0022 \\u000a'
    sent = json.loads(taken.render([None] * len(taken.parts), max_output_tokens=None).content)
    assert sent["input"][0]["arguments"] == part.text


@pytest.mark.parametrize("arguments", ['{"a":1,"a":2}', '{"a":NaN}', "[" * 100 + "]" * 100, '{"a":"\\ud800"}'])
def test_ambiguous_arguments_are_refused(arguments: str) -> None:
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments}

    with pytest.raises(MalformedInput):
        request("/responses", {"model": "m", "input": [item]})


def test_log_probabilities_in_an_answer_are_emptied_because_they_split_values() -> None:
    body = copy.deepcopy(CHAT_ANSWER)
    body["choices"][0]["logprobs"] = {"content": [{"token": "ali", "logprob": -1}, {"token": "ce", "logprob": -1}]}

    taken = answer("/chat/completions", body)

    assert "ali" not in [part.text for part in taken.parts]
    assert json.loads(taken.render([None] * len(taken.parts)).content)["choices"][0]["logprobs"] is None


def test_audio_or_images_in_an_answer_are_refused() -> None:
    body = copy.deepcopy(CHAT_ANSWER)
    body["choices"][0]["message"]["audio"] = {"id": "a", "data": "UklGRg=="}
    image = copy.deepcopy(RESPONSES_ANSWER)
    image["output"].append({"type": "image_generation_call", "id": "ig", "result": "iVBORw0KGgo="})

    with pytest.raises(UnknownShape, match="'audio'"):
        answer("/chat/completions", body)
    with pytest.raises(UnknownShape, match="'result'"):
        answer("/responses", image)


def test_usage_is_reported_under_one_set_of_names() -> None:
    expected = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}

    assert answer("/chat/completions", CHAT_ANSWER).usage == expected
    assert answer("/responses", RESPONSES_ANSWER).usage == expected
    assert answer("/responses", {"output": [], "usage": {"input_tokens": "many", "output_tokens": -1}}).usage == {}


def test_an_error_answer_is_walked_like_anything_else() -> None:
    taken = answer("/responses", {"error": {"message": "alice may not", "code": 7}}, status=403)

    assert {"alice may not", "7"} <= {part.text for part in taken.parts}
    assert {part.channel for part in taken.parts} == {"meta"}


@pytest.mark.parametrize("body", [b"<html>alice</html>", b"", b"\xff", b"[" * 10_000])
def test_an_error_answer_that_is_not_json_is_replaced(body: bytes) -> None:
    taken = answer("/responses", body, status=500, headers=(("content-type", "text/html"),))
    rendered = taken.render([None] * len(taken.parts))

    assert json.loads(rendered.content)["error"]["type"] == "unreadable_error"
    assert ("content-type", "application/json") in rendered.headers
    assert b"alice" not in rendered.content


@given(st.binary(max_size=100))
def test_any_answer_is_read_or_malformed_input(body: bytes) -> None:
    try:
        answer("/chat/completions", body)
    except MalformedInput:
        return
    raise AssertionError("random bytes are not an answer")


@pytest.mark.parametrize("path", BODIES)
def test_reprs_show_no_content(path: str) -> None:
    taken = request(path, {**BODIES[path], "user": "alice@example.com"})

    assert "alice" not in repr(taken) + repr(taken.parts) + repr(raw(path, {"user": "alice"}))
    assert "hello" not in repr(answer(path, ANSWERS[path]))


def test_an_unknown_provider_has_no_wire_format() -> None:
    with pytest.raises(ConfigurationError):
        wire_for("nobody")
