from __future__ import annotations

import json
from typing import Any

import pytest
from tests.providers.variants import CARD, MARKER, variants

from aiguard.errors import MalformedInput
from aiguard.providers import RawRequest, RawResponse, UnknownShape, wire_for
from aiguard.types import PartKind

JSON = (("content-type", "application/json"),)
SCHEMA = {"type": "object", "properties": {"to": {"type": "string", "maxLength": 10}}, "required": ["to"]}
CACHE = {"type": "ephemeral", "ttl": "1h"}
SIGNATURE = "EqoBCkgIARABGAIiQL2UoU0b1OHYi+/zz=="
CITATION = {
    "type": "char_location",
    "cited_text": "as it was",
    "document_index": 0,
    "document_title": "minutes",
    "start_char_index": 0,
    "end_char_index": 9,
}
COUNTED: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "system": [{"type": "text", "text": "be nice", "cache_control": CACHE}],
    "messages": [
        {"role": "user", "content": "hello"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "sam writes", "signature": SIGNATURE},
                {"type": "redacted_thinking", "data": SIGNATURE},
                {"type": "text", "text": "sure", "citations": [CITATION]},
                {
                    "type": "tool_use",
                    "id": "toolu_1",
                    "name": "mail",
                    "input": {"to": "sam", "deep": [1, {"copies": 2.5}]},
                    "caller": {"type": "direct"},
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": '{"sent": "sam"}', "is_error": False},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": [{"type": "text", "text": "noon"}],
                    "cache_control": CACHE,
                },
                {
                    "type": "document",
                    "title": "minutes",
                    "context": "of monday",
                    "source": {"type": "text", "media_type": "text/plain", "data": "as it was"},
                    "citations": {"enabled": True},
                },
                {
                    "type": "document",
                    "source": {"type": "content", "content": [{"type": "text", "text": "a piece"}]},
                },
                {
                    "type": "search_result",
                    "source": "wiki",
                    "title": "page",
                    "content": [{"type": "text", "text": "found"}],
                    "citations": {"enabled": False},
                },
            ],
        },
        {"role": "system", "content": "be brief"},
    ],
    "cache_control": {"type": "ephemeral"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "speed": "standard",
    "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "summarized"},
    "tool_choice": {"type": "tool", "name": "mail", "disable_parallel_tool_use": True},
    "tools": [
        {
            "name": "mail",
            "description": "sends",
            "input_schema": SCHEMA,
            "strict": True,
            "input_examples": [{"to": "you"}],
            "allowed_callers": ["direct"],
            "eager_input_streaming": True,
        },
        {"type": "custom", "name": "other", "input_schema": {"type": "object"}},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "max_characters": 500},
    ],
}
MESSAGES: dict[str, Any] = COUNTED | {
    "inference_geo": "eu",
    "max_tokens": 100,
    "metadata": {"user_id": "u2"},
    "service_tier": "auto",
    "stop_sequences": ["END"],
    "stream": False,
    "temperature": 0.2,
    "top_k": 5,
    "top_p": 0.9,
}
BODIES = {"/v1/messages": MESSAGES, "/v1/messages/count_tokens": COUNTED}
ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [
        {"type": "thinking", "thinking": "sam writes", "signature": SIGNATURE},
        {"type": "redacted_thinking", "data": SIGNATURE},
        {"type": "text", "text": "hello there", "citations": [CITATION]},
        {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "mail",
            "input": {"to": "alice@example.com", "copies": 2},
            "caller": {"type": "direct"},
        },
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "stop_details": None,
    "usage": {
        "input_tokens": 3,
        "cache_creation_input_tokens": 10,
        "cache_read_input_tokens": 20,
        "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 10},
        "output_tokens": 2,
        "output_tokens_details": {"thinking_tokens": 1},
        "service_tier": "standard",
        "inference_geo": "eu",
    },
}
ANSWERS: dict[str, dict[str, Any]] = {"/v1/messages": ANSWER, "/v1/messages/count_tokens": {"input_tokens": 12}}
SHORT = {"model": "m", "messages": []}


def raw(path: str, body: Any, **more: Any) -> RawRequest:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"method": "POST", "headers": JSON, "content": content, **more}
    return RawRequest(provider="anthropic", url="", path=path, **given)


def request(path: str, body: Any) -> Any:
    return wire_for("anthropic").request(raw(path, body))


def answer(path: str, body: Any, *, status: int = 200, headers: Any = JSON) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return wire_for("anthropic").response(
        request(path, SHORT), RawResponse(status=status, headers=headers, content=content)
    )


def rendered(taken: Any, limit: int | None = None) -> Any:
    return json.loads(taken.render([None] * len(taken.parts), max_output_tokens=limit).content)


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
    assert accepted > (60 if path == "/v1/messages" else 1)
    assert MARKER not in "".join(refused)


@pytest.mark.parametrize("path", BODIES)
def test_an_untouched_request_means_the_same_to_the_provider(path: str) -> None:
    taken = request(path, BODIES[path])
    sent = rendered(taken, taken.max_output_tokens)

    result = sent["messages"][2]["content"][0]
    result["content"] = json.dumps(json.loads(result["content"]))
    assert sent == BODIES[path]


def test_an_untouched_answer_is_the_same() -> None:
    taken = answer("/v1/messages", ANSWER)

    assert json.loads(taken.render([None] * len(taken.parts)).content) == ANSWER


def test_each_part_of_a_request_says_who_wrote_it_and_where_it_goes() -> None:
    parts = {part.text: part for part in request("/v1/messages", MESSAGES).parts if part.kind is PartKind.TEXT}

    assert {
        text: (parts[text].role, parts[text].trusted, parts[text].channel)
        for text in ("be nice", "be brief", "hello", "sure", "sam", "noon", "of monday", "found", "sends", "u2")
    } == {
        "be nice": ("system", True, "prose"),
        "be brief": ("system", True, "prose"),
        "hello": ("user", False, "prose"),
        "sure": ("assistant", False, "prose"),
        "sam": ("tool", False, "prose"),
        "noon": ("tool", False, "prose"),
        "of monday": ("user", False, "prose"),
        "found": ("user", False, "prose"),
        "sends": ("developer", True, "meta"),
        "u2": ("", False, "meta"),
    }
    assert (parts["sam writes"].role, parts["sam writes"].channel) == ("reasoning", "meta")
    assert (parts[SIGNATURE].role, parts[SIGNATURE].channel) == ("reasoning", "meta")
    inside = [part for part in request("/v1/messages", MESSAGES).parts if part.channel == "tool"]
    assert [(part.text, part.context) for part in inside if part.kind is not PartKind.KEY] == [
        ("sam", "to"),
        ("1", "deep"),
        ("2.5", "copies"),
    ]


def test_answers_say_what_is_shown_what_goes_to_tools_and_what_is_only_thought() -> None:
    parts = answer("/v1/messages", ANSWER).parts

    assert [(part.text, part.role) for part in parts if part.channel == "prose"] == [
        ("hello there", "assistant"),
        ("as it was", "document"),
    ]
    assert [part.text for part in parts if part.channel == "tool"] == ["to", "alice@example.com", "copies", "2"]
    assert {part.text for part in parts if part.role == "reasoning"} == {"sam writes", SIGNATURE}


def test_tokens_from_and_for_a_cache_count_as_input() -> None:
    assert answer("/v1/messages", ANSWER).usage == {"input_tokens": 33, "output_tokens": 2, "total_tokens": 35}
    odd = {"input_tokens": -1, "output_tokens": True}
    assert answer("/v1/messages", ANSWER | {"usage": odd}).usage == {}
    assert answer("/v1/messages/count_tokens", {"input_tokens": 12}).usage == {}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"stream": 1}, "'stream'"),
        ({"container": "container_1"}, "'container'.*no control has seen"),
        ({"mcp_servers": [{"type": "url", "url": "https://x"}]}, "'mcp_servers'.*elsewhere"),
        ({"context_management": {"edits": []}}, "'context_management'"),
        ({"diagnostics": {"previous_message_id": "msg_1"}}, "'diagnostics'"),
        ({"max_tokens": 10**9}, "'max_tokens'"),
        ({"max_tokens": 0}, "'max_tokens'"),
        ({"max_tokens": True}, "'max_tokens'"),
        ({"model": "m\n"}, "'model'"),
        ({"model": None}, "'model'"),
        ({"something_new": 1}, "'something_new'"),
        ({"alice@example.com": 1}, "not shown"),
        ({"metadata": {"user_id": "x", "name": "alice"}}, "'name'"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "'tool'"),
        ({"messages": [{"role": "user"}]}, "'content'"),
        ({"messages": ["hello"]}, "'messages'"),
        ({"system": [{"type": "image", "source": {}}]}, "'image'"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "hosted tools"),
        ({"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}, "hosted tools"),
        ({"tools": [{"type": "bash_20250124", "name": "alice"}]}, "'name'"),
        ({"tools": [{"name": "f", "input_schema": {}, "defer_loading": True}]}, "'defer_loading'"),
        ({"tools": [{"name": "f", "input_schema": {}, "allowed_callers": ["code_execution_20250825"]}]}, "'allowed_callers'"),
        ({"thinking": {"type": "loud"}}, "'loud'"),
    ],
)  # fmt: skip
def test_what_no_stage_can_look_at_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(UnknownShape, match=named):
        request("/v1/messages", MESSAGES | change)


@pytest.mark.parametrize(
    ("role", "block", "named"),
    [
        ("user", {"type": "image", "source": {"type": "url", "url": "https://x"}}, "'image'.*look inside"),
        ("user", {"type": "document", "source": {"type": "url", "url": "https://x"}}, "'url'.*look inside"),
        ("user", {"type": "document", "source": {"type": "file", "file_id": "file_1"}}, "'file'"),
        ("user", {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": ""}}, "not shown"),
        ("user", {"type": "container_upload", "file_id": "file_1"}, "'container_upload'"),
        ("user", {"type": "tool_use", "id": "t", "name": "f", "input": {}}, "'tool_use'"),
        ("user", {"type": "thinking", "thinking": "x", "signature": ""}, "'thinking'"),
        ("user", {"type": "tool_result", "tool_use_id": "a b", "content": "x"}, "'tool_use_id'"),
        ("user", {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": {}}]}, "'image'"),
        ("assistant", {"type": "tool_use", "id": "t", "name": "f", "input": "x"}, "'input'"),
        ("assistant", {"type": "thinking", "thinking": "x", "signature": "alice@example.com"}, "'signature'"),
        ("assistant", {"type": "redacted_thinking", "data": "call me"}, "'data'"),
        ("assistant", {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, "'server_tool_use'"),
        ("assistant", {"type": "tool_result", "tool_use_id": "t"}, "'tool_result'"),
        ("assistant", {"type": "text", "text": "x", "citations": [{"type": "web_search_result_location"}]}, "'web_search_result_location'"),
    ],
)  # fmt: skip
def test_blocks_that_no_stage_can_look_at_are_refused_by_name(role: str, block: dict[str, Any], named: str) -> None:
    with pytest.raises(UnknownShape, match=named):
        request("/v1/messages", SHORT | {"messages": [{"role": role, "content": [block]}]})


def test_a_null_is_as_good_as_leaving_a_field_out() -> None:
    names = set(MESSAGES) - {"model", "messages"}

    assert request("/v1/messages", MESSAGES | dict.fromkeys(names) | {"container": None}).max_output_tokens is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/v1/messages"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/messages"),
        ("POST", "/v1/files"),
        ("POST", "/v1/complete"),
        ("POST", "/v1/agents"),
    ],
)
def test_other_endpoints_are_refused(method: str, path: str) -> None:
    with pytest.raises(UnknownShape, match="endpoint is not supported"):
        wire_for("anthropic").request(raw(path, MESSAGES, method=method))


@pytest.mark.parametrize("name", ["max_tokens", "temperature", "metadata", "stream", "stop_sequences", "top_k"])
def test_counting_tokens_takes_nothing_that_makes_an_answer(name: str) -> None:
    with pytest.raises(UnknownShape, match=repr(name)):
        request("/v1/messages/count_tokens", COUNTED | {name: MESSAGES[name]})


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b"[" * 10_000, b'{"model":"m","model":"n"}', b"\xff", b'"m"']
)
def test_a_body_that_is_no_request_is_malformed_input(body: bytes) -> None:
    with pytest.raises(MalformedInput):
        request("/v1/messages", body)


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", ""])
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(UnknownShape, match="content type"):
        wire_for("anthropic").request(raw("/v1/messages", MESSAGES, headers=(("content-type", content_type),)))


def test_the_output_limit_is_read_and_set_where_there_is_one() -> None:
    asked = request("/v1/messages", MESSAGES)

    assert asked.max_output_tokens == 100
    assert rendered(asked, 9)["max_tokens"] == 9
    assert rendered(request("/v1/messages", SHORT), 9) == SHORT | {"max_tokens": 9}
    assert rendered(request("/v1/messages/count_tokens", SHORT), 9) == SHORT


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"content": "hello"}', b'{"content": [], "content": []}', b"not json"]
)
def test_a_success_that_is_no_message_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedInput):
        answer("/v1/messages", body)


@pytest.mark.parametrize("body", [b"{}", b'{"input_tokens": "12"}', b'{"input_tokens": true}'])
def test_a_success_that_is_no_count_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedInput):
        answer("/v1/messages/count_tokens", body)


def test_a_block_of_an_unknown_type_is_scanned_whole() -> None:
    odd = {"type": "novelty", "words": ["alice@example.com"], "n": 3}
    parts = answer("/v1/messages", ANSWER | {"content": [odd, "loose", None]}).parts

    assert {"novelty", "words", "alice@example.com", "n", "3", "loose"} <= {part.text for part in parts}


def test_errors_are_read_in_any_shape() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy, alice"}, "request_id": "req_1"}
    taken = answer("/v1/messages", error, status=529)
    assert "busy, alice" in {part.text for part in taken.parts}
    assert json.loads(taken.render([None] * len(taken.parts)).content) == error

    page = answer("/v1/messages", b"<html>alice</html>", status=502, headers=(("content-type", "text/html"),))
    made = page.render([None] * len(page.parts))
    assert dict(made.headers) == {"content-type": "application/json"}
    assert json.loads(made.content)["error"]["type"] == "unreadable_error"
    assert b"alice" not in made.content
