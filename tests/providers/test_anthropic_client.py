"""Guarded Anthropic clients over a socket: what leaves, what comes back, and how failures look to the application."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import types
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from tests.providers.provider_doubles import Answer, ModelServer, Refusing, Shouting
from tests.providers.test_anthropic_wire import ANSWER

from aiguard.errors import Blocked, ConfigurationError, ContentBlocked, MalformedInput, MissingExtra, SettingsError
from aiguard.providers.clients import guarded_client
from aiguard.providers.errors import AnswerRefused, EgressRefused
from aiguard.providers.sdks import PLACEHOLDER

SECRET = "sk-ant-real-secret-0123456789"
USER: Any = [{"role": "user", "content": "hi there"}]
ASKED: dict[str, Any] = {"model": "claude-sonnet-5", "max_tokens": 50, "messages": USER}

_opened: list[anthropic.Anthropic] = []


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anthropic._base_client, "INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr(anthropic._base_client, "MAX_RETRY_DELAY", 0.02)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    made = ModelServer()
    made.answers = [Answer.of(ANSWER)]
    yield made
    made.close()


def client_for(server: ModelServer, handler: Any, *, credential: Any = SECRET, **options: Any) -> anthropic.Anthropic:
    client = guarded_client(
        anthropic.Anthropic, handler=handler, credential=credential, base_url=server.origin, **options
    )
    _opened.append(client)
    return client


def async_client_for(server: ModelServer, handler: Any, **options: Any) -> anthropic.AsyncAnthropic:
    return guarded_client(
        anthropic.AsyncAnthropic, handler=handler, credential=SECRET, base_url=server.origin, **options
    )


class TestWhatLeavesAndWhatComesBack:
    def test_a_message_passes_the_handler_in_both_directions(self, server: ModelServer) -> None:
        client = client_for(server, Shouting(limit=77))

        answer = client.messages.create(**ASKED)

        assert isinstance(client, anthropic.Anthropic)
        assert [block.text for block in answer.content if block.type == "text"] == ["HELLO THERE"]
        assert [block.input for block in answer.content if block.type == "tool_use"] == [
            {"TO": "ALICE@EXAMPLE.COM", "COPIES": 2}
        ]
        assert answer.usage.output_tokens == 2
        assert [(r.method, r.path) for r in server.received] == [("POST", "/v1/messages")]
        assert server.received[0].json == {
            "model": "claude-sonnet-5",
            "messages": [{"role": "user", "content": "HI THERE"}],
            "max_tokens": 77,
        }

    def test_the_async_client_does_the_same(self, server: ModelServer) -> None:
        async def go() -> Any:
            async with async_client_for(server, Shouting()) as client:
                assert isinstance(client, anthropic.AsyncAnthropic)
                return await client.messages.create(**ASKED)

        assert asyncio.run(go()).content[2].text == "HELLO THERE"
        assert server.received[0].json["messages"][0]["content"] == "HI THERE"
        assert server.received[0].header("x-api-key") == SECRET

    def test_a_whole_tool_conversation_goes_round(self, server: ModelServer) -> None:
        client = client_for(server, Shouting(lambda text: text.replace("alice", "[NAME]")))
        tools: Any = [{"name": "mail", "input_schema": {"type": "object", "properties": {"to": {"type": "string"}}}}]
        first = client.messages.create(**ASKED | {"tools": tools})
        turns: Any = [
            {"role": "user", "content": "mail alice"},
            {"role": "assistant", "content": first.content},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": '{"sent":"alice"}'}],
            },
        ]

        client.messages.create(**ASKED | {"messages": turns, "tools": tools})

        sent = server.received[1].json["messages"]
        assert sent[1]["content"][0] == ANSWER["content"][0]
        assert sent[1]["content"][1] == ANSWER["content"][1]
        assert sent[1]["content"][3]["input"] == {"to": "[NAME]@example.com", "copies": 2}
        assert json.loads(sent[2]["content"][0]["content"]) == {"sent": "[NAME]"}
        assert b"alice" not in server.received[0].body + server.received[1].body

    def test_tokens_are_counted_of_what_would_leave(self, server: ModelServer) -> None:
        server.answers = [Answer.of({"input_tokens": 12})]

        counted = client_for(server, Shouting(limit=77)).messages.count_tokens(model="m", messages=USER)

        assert counted.input_tokens == 12
        assert server.received[0].path == "/v1/messages/count_tokens"
        assert server.received[0].json == {"model": "m", "messages": [{"role": "user", "content": "HI THERE"}]}

    def test_a_parsed_answer_is_the_guarded_one(self, server: ModelServer) -> None:
        import pydantic

        class Note(pydantic.BaseModel):
            to: str

        said = ANSWER | {"content": [{"type": "text", "text": '{"to": "alice"}'}]}
        server.answers = [Answer.of(said)]
        client = client_for(server, Shouting(lambda text: text.replace("alice", "[NAME]")))

        answer = client.messages.parse(output_format=Note, **ASKED)

        assert answer.parsed_output == Note(to="[NAME]")
        assert server.received[0].json["output_config"]["format"]["type"] == "json_schema"
        turns: Any = [*USER, {"role": "assistant", "content": answer.content}]
        client.messages.create(**ASKED | {"messages": turns})
        assert server.received[1].json["messages"][1]["content"] == [{"type": "text", "text": '{"to": "[NAME]"}'}]

    def test_beta_messages_are_messages_as_far_as_their_fields_are_known(self, server: ModelServer) -> None:
        client = client_for(server, Shouting())

        answer = client.beta.messages.create(**ASKED, betas=["context-1m-2025-08-07"])

        assert [block.text for block in answer.content if block.type == "text"] == ["HELLO THERE"]
        assert server.received[0].path == "/v1/messages"
        assert server.received[0].header("anthropic-beta") == "context-1m-2025-08-07"

    def test_raw_and_streaming_response_helpers_see_the_guarded_answer(self, server: ModelServer) -> None:
        client = client_for(server, Shouting())

        raw = client.messages.with_raw_response.create(**ASKED)
        with client.messages.with_streaming_response.create(**ASKED) as streamed:
            body = streamed.read()

        assert b"HELLO THERE" in raw.http_response.content
        assert b"HELLO THERE" in body


class TestWhoItSpeaksAs:
    def test_the_credential_is_sent_in_its_header_but_the_client_does_not_hold_it(self, server: ModelServer) -> None:
        client = client_for(server, Shouting())

        client.messages.create(**ASKED)

        assert client.api_key == PLACEHOLDER
        assert client.auth_token is None
        assert server.received[0].header("x-api-key") == SECRET
        assert server.received[0].header("authorization") is None
        assert SECRET not in repr(client) + repr(vars(client)) + repr(client._client._transport)

    @pytest.mark.parametrize("secret", ["", " ", "sk one", "sk\r\nx: y", "sk-é"])
    def test_a_credential_that_no_header_can_hold_is_refused_without_showing_it(
        self, server: ModelServer, secret: str
    ) -> None:
        with pytest.raises(SettingsError) as caught:
            client_for(server, Shouting(), credential=secret).messages.create(**ASKED)
        assert not server.received
        assert "sk" not in str(caught.value).replace("ask", "")

    def test_headers_of_the_caller_and_of_the_sdk_stay_behind(self, server: ModelServer) -> None:
        client = client_for(server, Shouting())
        extra = {"Authorization": "Bearer sk-mine", "X-Api-Key": "sk-mine", "Cookie": "a=b", "X-Data": "secret"}

        client.with_options(default_headers={"X-Note": "alice@example.com"}).messages.create(
            **ASKED, extra_headers=extra
        )

        assert {name.lower() for name, _ in server.received[0].headers} == {
            "host",
            "accept",
            "accept-encoding",
            "anthropic-version",
            "content-length",
            "content-type",
            "user-agent",
            "x-api-key",
        }
        assert server.received[0].header("x-api-key") == SECRET

    def test_known_beta_features_can_be_asked_for_and_others_are_refused(self, server: ModelServer) -> None:
        client = client_for(server, Shouting())
        beta = "interleaved-thinking-2025-05-14,context-1m-2025-08-07"

        client.messages.create(**ASKED, extra_headers={"anthropic-beta": beta})
        assert server.received[0].header("anthropic-beta") == beta
        for value in ("files-api-2025-04-14", beta + ",mcp-client-2025-11-20", "alice@example.com", "", beta + ","):
            with pytest.raises(EgressRefused, match="names a feature") as caught:
                client.messages.create(**ASKED, extra_headers={"anthropic-beta": value})
            assert "alice" not in str(caught.value)
        assert len(server.received) == 1

    @pytest.mark.parametrize(
        "more",
        [
            {"workspace_id": "wrkspc_1"},
            {"user_profile_id": "prof_1"},
            {"extra_headers": {"anthropic-version": "latest"}},
        ],
    )
    def test_another_account_or_version_is_refused(self, server: ModelServer, more: dict[str, Any]) -> None:
        handler = Shouting()
        with pytest.raises(EgressRefused, match="is refused"):
            client_for(server, handler).messages.create(**ASKED, **more)
        assert not server.received
        assert len(handler.refusals) == 1

    def test_only_known_headers_of_the_answer_come_back(self, server: ModelServer) -> None:
        headers = {
            "content-type": "application/json",
            "request-id": "req_1",
            "anthropic-ratelimit-requests-remaining": "17",
            "anthropic-ratelimit-tokens-reset": "2026-11-23T09:00:00Z",
            "anthropic-organization-id": "org",
            "set-cookie": "tracked=1",
            "x-note": "alice@example.com",
        }
        server.answers = [Answer.of(ANSWER, headers=headers)]

        raw = client_for(server, Shouting()).messages.with_raw_response.create(**ASKED)

        assert raw.request_id == "req_1"
        assert set(raw.headers) == {
            "content-type",
            "content-length",
            "request-id",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-tokens-reset",
        }


class TestWhereItCannotGo:
    def test_environment_variables_change_nothing(self, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
        elsewhere = "http://127.0.0.1:9"
        for name, value in {
            "ANTHROPIC_BASE_URL": elsewhere,
            "ANTHROPIC_API_KEY": "sk-env",
            "ANTHROPIC_AUTH_TOKEN": "tok-env",
            "ANTHROPIC_WEBHOOK_SIGNING_KEY": "whsec-env",
            "ANTHROPIC_CUSTOM_HEADERS": "anthropic-beta: env-2026-01-01\nX-Env: 1",
            "ANTHROPIC_PROFILE": "env",
            "HTTP_PROXY": elsewhere,
            "HTTPS_PROXY": elsewhere,
            "ALL_PROXY": elsewhere,
        }.items():
            monkeypatch.setenv(name, value)
        client = client_for(server, Shouting())

        client.messages.create(**ASKED)
        client.copy(timeout=5).messages.create(**ASKED)

        assert len(server.received) == 2
        assert "env" not in repr([r.headers for r in server.received])
        assert (client.auth_token, client.webhook_key, client.credentials) == (None,) * 3

    @pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://127.0.0.1", "http://user:pw@HOST"])
    def test_another_base_url_on_the_client_is_refused_at_the_transport(self, server: ModelServer, url: str) -> None:
        handler = Shouting()
        client = client_for(server, handler)
        client.base_url = url.replace("HOST", server.origin.removeprefix("http://"))

        with pytest.raises(EgressRefused) as caught:
            client.messages.create(**ASKED)
        assert handler.refusals == [caught.value]
        assert not server.connections

    def test_endpoints_that_no_wire_format_knows_are_refused(self, server: ModelServer) -> None:
        client = client_for(server, Shouting())
        calls: list[Any] = [
            client.models.list,
            client.messages.batches.list,
            lambda: client.messages.batches.create(requests=[{"custom_id": "a", "params": ASKED}]),  # type: ignore[typeddict-item]
            lambda: client.beta.messages.create(**ASKED, betas=["compact-2026-01-12"]),
            lambda: client.beta.messages.create(
                **ASKED, mcp_servers=[{"type": "url", "name": "x", "url": "https://x"}]
            ),
            lambda: client.beta.sessions.create(agent="agent_1", environment_id="env_1"),
            client.beta.models.list,
            lambda: client.files.upload(file=b"secret"),
            client.files.list,
            client.skills.list,
            lambda: client.get("/v1/messages", cast_to=object),
            lambda: client.post("/v1/complete", cast_to=object, body={"prompt": "x"}),
            lambda: client.post("/v1/messages", cast_to=object, content=b"\xff\xfe"),
            lambda: client.messages.create(**ASKED, extra_query={"note": "alice"}),
        ]
        for call in calls:
            with pytest.raises((MalformedInput, EgressRefused)):
                call()
        assert not server.received

    @pytest.mark.parametrize("status", [301, 307, 308])
    def test_redirects_are_refused(self, server: ModelServer, status: int) -> None:
        server.answers = [Answer(status=status, headers={"location": server.origin + "/stolen"})]
        handler = Shouting()

        with pytest.raises(AnswerRefused, match="redirects elsewhere"):
            client_for(server, handler).messages.create(**ASKED)
        assert len(server.received) == 1

    @pytest.mark.parametrize(
        "options",
        [
            {"http_client": httpx2.Client()},
            {"base_url": "http://127.0.0.1:9"},
            {"api_key": "sk-mine"},
            {"auth_token": "tok-mine"},
            {"credentials": lambda: None},
            {"config": {}},
            {"profile": "mine"},
            {"middleware": [lambda request, proceed: proceed(request)]},
            {"open_telemetry": {"traces": {"content_mode": "content"}}},
            {"default_query": {"a": "b"}},
            {"_extra_kwargs": {"x": 1}},
        ],
        ids=lambda options: next(iter(options)),
    )
    def test_options_that_lead_elsewhere_are_refused_on_construction_and_copy(
        self, server: ModelServer, options: dict[str, Any]
    ) -> None:
        client = client_for(server, Shouting())

        for again in (client.with_options, client.copy):
            with pytest.raises(ConfigurationError):
                again(**options)
        with pytest.raises((ConfigurationError, TypeError)):
            client_for(server, Shouting(), **options)

    def test_no_middleware_of_the_sdk_stands_between_the_application_and_the_guard(self, server: ModelServer) -> None:
        client = client_for(server, Shouting())

        with pytest.raises(ConfigurationError, match="middleware"):
            client.with_middleware(lambda request, proceed: proceed(request))

    def test_copies_are_guarded_too(self, server: ModelServer) -> None:
        handler = Shouting()
        client = client_for(server, handler)

        for copy in (client.copy(), client.with_options(timeout=3, max_retries=0), client.copy().with_options()):
            copy.messages.create(**ASKED)
            assert copy._client is client._client
        assert len(handler.requests) == 3

    @pytest.mark.parametrize(
        "cls",
        [
            anthropic.AnthropicBedrock,
            anthropic.AsyncAnthropicBedrock,
            anthropic.AnthropicVertex,
            type("Mine", (anthropic.Anthropic,), {}),
        ],
    )
    def test_other_classes_cannot_be_guarded(self, cls: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"cannot be guarded; supported: anthropic\.Anthropic"):
            guarded_client(cls, handler=Shouting(), credential="k", base_url="http://127.0.0.1:9")

    def test_the_class_of_a_guarded_client_makes_no_unguarded_ones(self, server: ModelServer) -> None:
        guarded = type(client_for(server, Shouting()))

        with pytest.raises(ConfigurationError, match="guarded clients"):
            guarded(api_key="sk")

    def test_without_the_sdk_the_error_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "anthropic", None)
        cls = types.new_class("Anthropic", exec_body=lambda members: members.update(__module__="anthropic._client"))

        with pytest.raises(MissingExtra, match=r"pip install .\.\[anthropic\]"):
            guarded_client(cls, handler=Shouting(), credential="k", base_url="http://127.0.0.1:9")


BLOCKED_CALLS: dict[str, Any] = {
    "create": lambda client: client.messages.create(**ASKED),
    "stream": lambda client: client.messages.create(**ASKED, stream=True),
    "raw": lambda client: client.messages.with_raw_response.create(**ASKED),
    "count": lambda client: client.messages.count_tokens(model="m", messages=USER),
    "post": lambda client: client.post("/v1/messages", cast_to=object, body=ASKED),
}


def _entered(manager: Any) -> None:
    with manager:
        pass


class TestFailures:
    @pytest.mark.parametrize(
        "call",
        [
            *BLOCKED_CALLS.values(),
            lambda client: _entered(client.messages.with_streaming_response.create(**ASKED)),
            lambda client: _entered(client.messages.stream(**ASKED)),
        ],
    )
    def test_blocked_comes_out_as_itself_and_is_not_retried(self, server: ModelServer, call: Any) -> None:
        handler = Refusing()
        client = client_for(server, handler, max_retries=3)

        with pytest.raises(Blocked) as caught:
            call(client)

        assert type(caught.value) is ContentBlocked
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        assert len(handler.requests) == 1
        assert not server.connections

    def test_blocked_comes_out_of_the_async_client_as_itself_and_is_not_retried(self, server: ModelServer) -> None:
        handler = Refusing()

        async def entered(manager: Any) -> None:
            async with manager:
                pass

        async def go() -> int:
            tried = 0
            async with async_client_for(server, handler, max_retries=3) as client:
                waits = [
                    *[call(client) for call in BLOCKED_CALLS.values()],
                    entered(client.messages.with_streaming_response.create(**ASKED)),
                    entered(client.messages.stream(**ASKED)),
                ]
                for wait in waits:
                    with pytest.raises(ContentBlocked) as caught:
                        await wait
                    assert caught.value.__cause__ is caught.value.__context__ is None
                    tried += 1
            return tried

        assert asyncio.run(go()) == len(handler.requests) == 7
        assert not server.connections

    @pytest.mark.parametrize("status", [429, 500, 529])
    def test_the_sdk_retries_and_every_attempt_passes_the_handler(self, server: ModelServer, status: int) -> None:
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
        server.answers = [Answer.of(error, status=status), Answer.of(error, status=status), Answer.of(ANSWER)]
        handler = Shouting()

        answer = client_for(server, handler).messages.create(**ASKED)

        assert answer.stop_reason == "tool_use"
        assert len(handler.requests) == len(server.received) == 3

    def test_errors_of_the_model_server_are_the_sdks_own(self, server: ModelServer) -> None:
        error = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}, "request_id": "req_1"}
        server.answers = [Answer.of(error, status=429)]

        with pytest.raises(anthropic.RateLimitError) as caught:
            client_for(server, Shouting(), max_retries=1).messages.create(**ASKED)
        assert caught.value.status_code == 429
        assert len(server.received) == 2

        server.answers = [Answer(status=529, body=b"<html>alice</html>", headers={"content-type": "text/html"})]
        with pytest.raises(anthropic.APIStatusError) as page:
            client_for(server, Shouting(), max_retries=0).messages.create(**ASKED)
        assert "alice" not in str(page.value)

    def test_no_connection_is_the_sdks_own_error_after_its_retries(self, server: ModelServer) -> None:
        server.close()
        handler = Shouting()

        with pytest.raises(anthropic.APIConnectionError) as caught:
            client_for(server, handler, max_retries=2).messages.create(**ASKED)
        assert len(handler.requests) == 3
        assert caught.value.__cause__ is handler.failures[-1]
        assert caught.value.__cause__.aiguard_decision_id == "agd_1"  # type: ignore[attr-defined]

    def test_a_timeout_is_the_sdks_own(self, server: ModelServer) -> None:
        server.answers = [Answer.of(ANSWER, delay=1.0)]

        with pytest.raises(anthropic.APITimeoutError):
            client_for(server, Shouting(), max_retries=0, timeout=0.1).messages.create(**ASKED)

    def test_a_control_that_throws_throws_out_of_the_sdk_too(self, server: ModelServer) -> None:
        class Broken(Shouting):
            def handle(self, request: Any, send: Any) -> Any:
                self.requests.append(request)
                raise KeyError("control")

        handler = Broken()
        with pytest.raises(KeyError, match="control"):
            client_for(server, handler).messages.create(**ASKED)
        assert len(handler.requests) == 1

    def test_an_answer_that_is_no_message_is_refused(self, server: ModelServer) -> None:
        server.answers = [Answer.of({"surprise": 1})]

        with pytest.raises(MalformedInput):
            client_for(server, Shouting()).messages.create(**ASKED)
        assert len(server.received) == 1

    def test_clients_are_let_go(self, server: ModelServer) -> None:
        client = guarded_client(anthropic.Anthropic, handler=Shouting(), credential=SECRET, base_url=server.origin)
        client.messages.create(**ASKED)
        client.close()
        del client
        gc.collect()
        assert len(server.received) == 1
