from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
import sys
import types
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai.resources.beta.realtime.realtime import Realtime as BetaRealtime
from tests.providers.provider_doubles import CHAT_ANSWER, Answer, ModelServer, Refusing, Shouting

from aiguard.errors import Blocked, ConfigurationError, ContentBlocked, MalformedInput, ProviderFailed, SettingsError
from aiguard.providers import clients
from aiguard.providers.clients import guarded_client
from aiguard.providers.errors import AnswerRefused, EgressRefused
from aiguard.providers.sdks import PLACEHOLDER

SECRET = "sk-real-secret-0123456789"
USER = [{"role": "user", "content": "hi there"}]


_opened: list[openai.OpenAI] = []


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def client_for(server: ModelServer, handler: Any, *, credential: Any = SECRET, **options: Any) -> openai.OpenAI:
    client = guarded_client(openai.OpenAI, handler=handler, credential=credential, base_url=server.base_url, **options)
    _opened.append(client)
    return client


def async_client_for(server: ModelServer, handler: Any, **options: Any) -> openai.AsyncOpenAI:
    return guarded_client(openai.AsyncOpenAI, handler=handler, credential=SECRET, base_url=server.base_url, **options)


def ask(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(model="gpt-5-mini", messages=USER, **more)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr(openai._base_client, "MAX_RETRY_DELAY", 0.02)


class TestWhatLeavesAndWhatComesBack:
    def test_chat_passes_the_handler_in_both_directions(self, server: ModelServer) -> None:
        client = client_for(server, Shouting(limit=77))

        answer = ask(client)

        assert isinstance(client, openai.OpenAI)
        assert answer.choices[0].message.content == "HELLO THERE"
        assert answer.usage.total_tokens == 5
        assert [(r.method, r.path) for r in server.received] == [("POST", "/v1/chat/completions")]
        assert server.received[0].json == {
            "model": "gpt-5-mini",
            "messages": [{"role": "user", "content": "HI THERE"}],
            "max_completion_tokens": 77,
        }

    def test_responses_pass_the_handler_and_are_never_kept_by_the_provider(self, server: ModelServer) -> None:
        answer = client_for(server, Shouting()).responses.create(model="gpt-5-mini", input="hi there")

        assert answer.output_text == "HELLO THERE"
        call = answer.output[1]
        assert call.type == "function_call"
        assert json.loads(call.arguments) == {"TO": "ALICE@EXAMPLE.COM", "COPIES": 2}
        assert server.received[0].json == {"model": "gpt-5-mini", "input": "HI THERE", "store": False}

    def test_a_whole_tool_conversation_goes_round(self, server: ModelServer) -> None:
        client = client_for(server, Shouting(lambda text: text.replace("alice", "[NAME]")))
        first = client.responses.create(
            model="gpt-5-mini",
            input="mail alice",
            tools=[
                {
                    "type": "function",
                    "name": "mail",
                    "strict": True,
                    "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
                }
            ],
        )
        items: Any = [{"role": "user", "content": "mail alice"}]
        items += [item.to_dict() for item in first.output]
        items.append({"type": "function_call_output", "call_id": "call_1", "output": '{"sent":"alice"}'})

        client.responses.create(model="gpt-5-mini", input=items)

        sent = server.received[1].json["input"]
        assert json.loads(sent[2]["arguments"]) == {"to": "[NAME]@example.com", "copies": 2}
        assert json.loads(sent[3]["output"]) == {"sent": "[NAME]"}
        assert b"alice" not in server.received[0].body + server.received[1].body

    def test_the_async_client_does_the_same(self, server: ModelServer) -> None:
        async def go() -> Any:
            async with async_client_for(server, Shouting()) as client:
                assert isinstance(client, openai.AsyncOpenAI)
                return await client.responses.create(model="gpt-5-mini", input="hi there")

        assert asyncio.run(go()).output_text == "HELLO THERE"
        assert server.received[0].json["input"] == "HI THERE"
        assert server.received[0].header("authorization") == f"Bearer {SECRET}"

    def test_raw_and_streaming_response_helpers_see_the_guarded_answer(self, server: ModelServer) -> None:
        client = client_for(server, Shouting())

        raw = client.chat.completions.with_raw_response.create(model="gpt-5-mini", messages=USER)  # type: ignore[arg-type]
        with client.chat.completions.with_streaming_response.create(model="gpt-5-mini", messages=USER) as streamed:  # type: ignore[arg-type]
            body = streamed.read()

        assert b"HELLO THERE" in raw.content
        assert b"HELLO THERE" in body


class TestWhoItSpeaksAs:
    def test_the_credential_is_sent_but_the_client_does_not_hold_it(self, server: ModelServer) -> None:
        client = client_for(server, Shouting())

        ask(client)

        assert client.api_key == PLACEHOLDER
        assert server.received[0].header("authorization") == f"Bearer {SECRET}"
        assert SECRET not in repr(client) + repr(vars(client)) + repr(client._client._transport)

    def test_a_rotated_credential_is_used_from_the_next_request_on(self, server: ModelServer) -> None:
        keys = iter(["sk-one", "sk-two"])
        client = client_for(server, Shouting(), credential=lambda: next(keys))

        ask(client)
        ask(client)

        assert [r.header("authorization") for r in server.received] == ["Bearer sk-one", "Bearer sk-two"]

    @pytest.mark.parametrize("secret", ["", " ", "sk one", "sk\r\nx: y", "sk-é"])
    def test_a_credential_that_no_header_can_hold_is_refused_without_showing_it(
        self, server: ModelServer, secret: str
    ) -> None:
        client = client_for(server, Shouting(), credential=secret)

        with pytest.raises(SettingsError) as caught:
            ask(client)
        assert not server.received
        assert "sk" not in str(caught.value).replace("ask", "")

    def test_headers_of_the_caller_and_of_the_sdk_stay_behind(self, server: ModelServer) -> None:
        client = client_for(server, Shouting(), headers={"OpenAI-Organization": "org-ours"})

        ask(
            client.with_options(default_headers={"X-Note": "alice@example.com"}),
            extra_headers={
                "Authorization": "Bearer sk-mine",
                "api-key": "sk-mine",
                "Cookie": "a=b",
                "X-Data": "secret",
            },
        )

        names = {name.lower() for name, _ in server.received[0].headers}
        assert names == {
            "host",
            "accept",
            "accept-encoding",
            "authorization",
            "content-length",
            "content-type",
            "openai-organization",
            "user-agent",
        }
        assert server.received[0].header("authorization") == f"Bearer {SECRET}"

    def test_only_known_headers_of_the_answer_come_back(self, server: ModelServer) -> None:
        headers = {
            "content-type": "application/json",
            "x-request-id": "req_1",
            "set-cookie": "tracked=1",
            "x-note": "alice@example.com",
            "retry-after": "alice",
            "x-aiguard-decision-id": "agd_" + "0" * 26,
        }
        server.answers = [Answer.of(CHAT_ANSWER, headers=headers)]
        client = client_for(server, Shouting())

        raw = client.chat.completions.with_raw_response.create(model="gpt-5-mini", messages=USER)  # type: ignore[arg-type]

        assert dict(raw.headers) == {
            "x-request-id": "req_1",
            "content-type": "application/json",
            "content-length": str(len(raw.content)),
        }
        assert not client._client.cookies

    def test_the_handlers_decision_id_reaches_the_caller(self, server: ModelServer) -> None:
        class Labelling(Shouting):
            def handle(self, request: Any, send: Any) -> Any:
                answer = super().handle(request, send)
                return replace(answer, headers=(*answer.headers, ("x-aiguard-decision-id", "agd_" + "1" * 26)))

        client = client_for(server, Labelling())

        raw = client.chat.completions.with_raw_response.create(model="gpt-5-mini", messages=USER)  # type: ignore[arg-type]

        assert raw.headers["x-aiguard-decision-id"] == "agd_" + "1" * 26


class TestWhereItCannotGo:
    def test_environment_variables_change_nothing(self, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
        elsewhere = "http://127.0.0.1:9"
        for name, value in {
            "OPENAI_BASE_URL": elsewhere,
            "OPENAI_API_KEY": "sk-env",
            "OPENAI_ADMIN_KEY": "sk-admin",
            "OPENAI_ORG_ID": "org-env",
            "OPENAI_PROJECT_ID": "proj-env",
            "OPENAI_WEBHOOK_SECRET": "whsec-env",
            "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer sk-env\nX-Env: 1",
            "HTTP_PROXY": elsewhere,
            "HTTPS_PROXY": elsewhere,
            "ALL_PROXY": elsewhere,
        }.items():
            monkeypatch.setenv(name, value)
        client = client_for(server, Shouting())

        ask(client)
        ask(client.copy(timeout=5))

        assert len(server.received) == 2
        assert "env" not in repr([r.headers for r in server.received])
        assert (client.organization, client.project, client.admin_api_key, client.webhook_secret) == (None,) * 4

    @pytest.mark.parametrize(
        "url",
        ["http://127.0.0.1:9/v1", "https://127.0.0.1/v1", "http://user:pw@HOST/v1", "http://HOST/v2", "http://HOST"],
    )
    def test_another_base_url_on_the_client_is_refused_at_the_transport(self, server: ModelServer, url: str) -> None:
        handler = Shouting()
        client = client_for(server, handler)
        client.base_url = url.replace("HOST", server.origin.removeprefix("http://"))

        with pytest.raises(EgressRefused) as caught:
            ask(client)
        assert handler.refusals == [caught.value]
        assert not handler.requests
        assert not server.connections

    @pytest.mark.parametrize(
        ("path", "code"),
        [
            ("/../admin", "egress.path"),
            ("/%2e%2e/admin", "egress.path"),
            ("/chat%2fcompletions", "egress.path"),
            ("//chat/completions", "egress.path"),
            ("/chat/completions/", "egress.path"),
            ("/chat/completions?x=1", "egress.query"),
            ("/chat/./completions/..", "egress.path"),
            ("http://127.0.0.1:9/v1/chat/completions", "egress.origin"),
            ("//127.0.0.1:9/v1/chat/completions", "egress.origin"),
        ],
    )
    def test_a_path_that_is_not_a_plain_endpoint_is_refused(self, server: ModelServer, path: str, code: str) -> None:
        handler = Shouting()
        client = client_for(server, handler)

        with pytest.raises((EgressRefused, MalformedInput)) as caught:
            client.post(path, cast_to=object, body={"model": "m", "messages": []})
        if isinstance(caught.value, EgressRefused):
            assert {reason.code for reason in caught.value.reasons} <= {code, "egress.path"}
        assert not server.received

    def test_a_query_from_the_caller_is_refused(self, server: ModelServer) -> None:
        with pytest.raises(EgressRefused, match="query string"):
            ask(client_for(server, Shouting()), extra_query={"note": "alice@example.com"})
        assert not server.received

    @pytest.mark.parametrize("follow", [True, False])
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_redirects_are_refused_whatever_the_client_says(
        self, server: ModelServer, status: int, *, follow: bool
    ) -> None:
        server.answers = [Answer(status=status, headers={"location": server.base_url + "/stolen"})]
        handler = Shouting()
        client = client_for(server, handler)
        client._client.follow_redirects = follow

        with pytest.raises(AnswerRefused, match="redirects elsewhere") as caught:
            ask(client)
        assert isinstance(caught.value, ProviderFailed)
        assert handler.failures == [caught.value]
        assert len(server.received) == 1

    def test_endpoints_that_no_wire_format_knows_are_refused(self, server: ModelServer) -> None:
        client = client_for(server, Shouting())
        calls: list[Any] = [
            client.models.list,
            lambda: client.embeddings.create(model="m", input="x"),
            lambda: client.completions.create(model="m", prompt="x"),
            lambda: client.responses.retrieve("resp_1"),
            lambda: client.responses.delete("resp_1"),
            client.chat.completions.list,
            lambda: client.moderations.create(input="x"),
            lambda: client.images.generate(prompt="x"),
            lambda: client.files.create(file=b"secret", purpose="batch"),
            lambda: client.audio.speech.create(model="m", voice="v", input="x"),
            lambda: client.audio.transcriptions.create(model="m", file=b"x"),
            client.beta.assistants.list,
            client.conversations.create,
            lambda: client.get("/files", cast_to=object),
            lambda: client.delete("/chat/completions", cast_to=object),
            lambda: client.post("/chat/completions", cast_to=object, content=b"\xff\xfe"),
        ]
        for call in calls:
            with pytest.raises((MalformedInput, EgressRefused)):
                call()
        assert not server.received

    def test_encoded_or_oversized_request_bodies_are_refused(self, server: ModelServer) -> None:
        client = client_for(server, Shouting())
        body = gzip.compress(json.dumps({"model": "m", "messages": USER}).encode())

        with pytest.raises(EgressRefused, match="encoded body"):
            client.post(
                "/chat/completions",
                cast_to=object,
                content=body,
                options={"headers": {"content-encoding": "gzip", "content-type": "application/json"}},
            )
        with pytest.raises(EgressRefused, match="larger than") as caught:
            ask(client, user="x" * 11_000_000)
        assert caught.value.http_status == 413
        assert not server.received


class TestHoldingOnToTheTransport:
    def test_copies_are_guarded_too(self, server: ModelServer) -> None:
        handler = Shouting()
        client = client_for(server, handler)

        for copy in (client.copy(), client.with_options(timeout=3, max_retries=0), client.copy().with_options()):
            ask(copy)
            assert copy._client is client._client
        assert len(handler.requests) == 3

    @pytest.mark.parametrize(
        "options",
        [
            {"http_client": httpx2.Client()},
            {"base_url": "http://127.0.0.1:9"},
            {"websocket_base_url": "ws://127.0.0.1:9"},
            {"api_key": "sk-mine"},
            {"admin_api_key": "sk-mine"},
            {"organization": "org"},
            {"project": "proj"},
            {"provider": object()},
            {"workload_identity": {}},
            {"data_residency": "eu"},
            {"default_query": {"a": "b"}},
            {"set_default_query": {"a": "b"}},
            {"_extra_kwargs": {"x": 1}},
        ],
        ids=lambda options: next(iter(options)),
    )
    def test_options_that_lead_elsewhere_are_refused_on_construction_and_copy(
        self, server: ModelServer, options: dict[str, Any]
    ) -> None:
        client = client_for(server, Shouting())

        with pytest.raises(ConfigurationError):
            client.with_options(**options)
        with pytest.raises(ConfigurationError):
            client.copy(**options)
        with pytest.raises((ConfigurationError, TypeError)):
            client_for(server, Shouting(), **options)

    def test_the_class_of_a_guarded_client_makes_no_unguarded_ones(self, server: ModelServer) -> None:
        guarded = type(client_for(server, Shouting()))

        for options in ({}, {"api_key": "sk"}, {"http_client": httpx2.Client()}):
            with pytest.raises(ConfigurationError, match="guarded clients"):
                guarded(**options)

    @pytest.mark.parametrize("cls", [openai.AzureOpenAI, type("Mine", (openai.OpenAI,), {}), dict, None, "OpenAI"])
    def test_other_classes_cannot_be_guarded(self, cls: Any) -> None:
        with pytest.raises(ConfigurationError, match="cannot be guarded"):
            guarded_client(cls, handler=Shouting(), credential="k", base_url="http://127.0.0.1:9")

    @pytest.mark.parametrize(
        "base_url",
        [
            "",
            "ftp://x/v1",
            "api.openai.com",
            "https://u:p@x/v1",
            "https://x/v1?a=b",
            "https://x/v1#f",
            "https://x:99999",
            "https:///v1",
            "https://x/a/../b",
            "https://x/%2e",
            "https://b\u00fccher.example",
        ],
    )
    def test_a_base_url_that_is_not_plain_is_refused_in_settings(self, base_url: str) -> None:
        with pytest.raises(SettingsError):
            guarded_client(openai.OpenAI, handler=Shouting(), credential="k", base_url=base_url)


def websocket_doors(client: Any) -> list[Any]:
    """Every ``connect`` of the SDK that opens a WebSocket, as a manager that has not connected yet."""
    return [
        client.responses.connect(),
        client.beta.responses.connect(),
        client.beta.realtime.connect(model="m"),
    ]


class TestWebSockets:
    @pytest.fixture(autouse=True)
    def websockets_is_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A stand-in, so that the SDK gets as far as connecting; connecting fails the test."""

        def connect(*_args: Any, **_kwargs: Any) -> Any:
            raise AssertionError("a WebSocket was opened")

        for name in (
            "websockets",
            "websockets.sync",
            "websockets.sync.client",
            "websockets.asyncio",
            "websockets.asyncio.client",
            "websockets.exceptions",
            "websockets.version",
            "websockets.uri",
        ):
            module = types.ModuleType(name)
            module.connect = type("connect", (), {"__init__": connect})  # type: ignore[attr-defined]
            module.ClientConnection = object  # type: ignore[attr-defined]
            module.version = "15.0"  # type: ignore[attr-defined]
            module.parse_uri = connect  # type: ignore[attr-defined]
            for error in ("ConnectionClosed", "ConnectionClosedOK", "ConnectionClosedError", "SecurityError"):
                setattr(module, error, Exception)
            monkeypatch.setitem(sys.modules, name, module)

    def test_every_sync_door_is_refused(self, server: ModelServer) -> None:
        client = client_for(server, Shouting())

        for manager in websocket_doors(client):
            with pytest.raises(ConfigurationError, match="WebSocket"):
                manager.enter()
        for name in ("realtime", "live"):
            with pytest.raises(ConfigurationError, match="WebSocket"):
                getattr(client, name)

    def test_every_async_door_is_refused(self, server: ModelServer) -> None:
        async def go() -> None:
            client = async_client_for(server, Shouting())
            for manager in websocket_doors(client):
                with pytest.raises(ConfigurationError, match="WebSocket"):
                    await manager.enter()
            for name in ("realtime", "live"):
                with pytest.raises(ConfigurationError, match="WebSocket"):
                    getattr(client, name)

        asyncio.run(go())

    def test_resources_built_by_hand_are_refused_as_well(self, server: ModelServer) -> None:
        from openai.resources.live.live import Live
        from openai.resources.realtime.realtime import Realtime

        client = client_for(server, Shouting())
        managers: list[Any] = [
            Realtime(client).connect(model="m"),
            Realtime(client).translations.connect(model="m"),
            Live(client).connect(),
            Live(client).sideband.connect(session_id="s"),
            Live(client).forks.connect(session_id="s"),
            BetaRealtime(client).connect(model="m"),
        ]
        for manager in managers:
            with pytest.raises(ConfigurationError, match="WebSocket"):
                manager.enter()

    def test_no_door_of_the_installed_sdk_goes_without_the_address_that_refuses(self) -> None:
        """Whoever adds a door to the SDK must read ``websocket_base_url``, or this list tells us."""
        root = Path(openai.__file__).parent / "resources"
        doors = [file for file in root.rglob("*.py") if re.search(r"def connect\(", file.read_text())]

        assert len(doors) >= 3
        assert [file.name for file in doors if ".websocket_base_url is not None" not in file.read_text()] == []

    def test_the_websocket_address_cannot_be_set(self, server: ModelServer) -> None:
        client = client_for(server, Shouting())

        with pytest.raises(ConfigurationError, match="WebSocket"):
            client.websocket_base_url = server.origin


class TestFailures:
    def test_blocked_comes_out_as_itself_once(self, server: ModelServer) -> None:
        handler = Refusing()

        with pytest.raises(Blocked) as caught:
            ask(client_for(server, handler, max_retries=2))
        assert type(caught.value) is ContentBlocked
        assert len(handler.requests) == 1
        assert not server.received

    def test_blocked_comes_out_of_the_async_client_as_itself_once(self, server: ModelServer) -> None:
        handler = Refusing()

        async def go() -> None:
            async with async_client_for(server, handler, max_retries=2) as client:
                await client.responses.create(model="m", input="x")

        with pytest.raises(Blocked) as caught:
            asyncio.run(go())
        assert type(caught.value) is ContentBlocked
        assert len(handler.requests) == 1

    def test_blocked_comes_out_as_itself_of_an_sdk_that_wraps_errors(
        self, server: ModelServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Older releases turn any exception of the transport into APIConnectionError, after retrying it."""
        monkeypatch.setattr(clients, "_wraps_errors", lambda _sdk: True)
        handler = Refusing()
        client = client_for(server, handler, max_retries=2)
        send = client._client.send

        def wrapping(*args: Any, **kwargs: Any) -> Any:
            try:
                return send(*args, **kwargs)
            except Exception as error:
                raise httpx2.ConnectError("wrapped") from error

        monkeypatch.setattr(client._client, "send", wrapping)

        with pytest.raises(ContentBlocked):
            ask(client)
        assert len(handler.requests) == 1
        server.close()
        with pytest.raises(openai.APIConnectionError):
            ask(client_for(server, Shouting(), max_retries=0))

    def test_blocked_comes_out_as_itself_of_an_async_sdk_that_wraps_errors(
        self, server: ModelServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clients, "_wraps_errors", lambda _sdk: True)
        handler = Refusing()

        async def go() -> None:
            async with async_client_for(server, handler, max_retries=2) as client:
                send = client._client.send

                async def wrapping(*args: Any, **kwargs: Any) -> Any:
                    try:
                        return await send(*args, **kwargs)
                    except Exception as error:
                        raise httpx2.ConnectError("wrapped") from error

                monkeypatch.setattr(client._client, "send", wrapping)
                await client.responses.create(model="m", input="x")

        with pytest.raises(ContentBlocked):
            asyncio.run(go())
        assert len(handler.requests) == 1

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_the_sdk_retries_and_every_attempt_passes_the_handler(self, server: ModelServer, status: int) -> None:
        error = {"error": {"message": "busy", "type": "server_error", "param": None, "code": None}}
        server.answers = [Answer.of(error, status=status), Answer.of(error, status=status), Answer.of(CHAT_ANSWER)]
        handler = Shouting()

        answer = ask(client_for(server, handler, max_retries=2))

        assert answer.choices[0].message.content == "HELLO THERE"
        assert len(handler.requests) == len(server.received) == 3

    def test_a_providers_error_comes_out_as_the_sdks_error(self, server: ModelServer) -> None:
        server.answers = [Answer.of({"error": {"message": "no such model", "code": "not_found"}}, status=404)]

        with pytest.raises(openai.NotFoundError, match="no such model"):
            ask(client_for(server, Shouting()))

    def test_an_error_page_is_replaced_by_an_error_of_ours(self, server: ModelServer) -> None:
        page = b"<html>alice@example.com asked for /v1</html>"
        server.answers = [Answer(status=400, headers={"content-type": "text/html"}, body=page)]

        with pytest.raises(openai.BadRequestError, match="body that is not JSON") as caught:
            ask(client_for(server, Shouting()))
        assert "alice" not in str(caught.value) + caught.value.response.text

    def test_a_refused_connection_stays_the_sdks_connection_error(self, server: ModelServer) -> None:
        server.close()
        handler = Shouting()

        with pytest.raises(openai.APIConnectionError) as caught:
            ask(client_for(server, handler, max_retries=1))
        assert len(handler.failures) == 2
        assert caught.value.__cause__ is handler.failures[-1]
        assert getattr(caught.value.__cause__, "aiguard_decision_id", None) == "agd_1"

    def test_the_clients_timeout_holds(self, server: ModelServer) -> None:
        server.answers = [Answer.of(CHAT_ANSWER, delay=2)]

        with pytest.raises(openai.APITimeoutError):
            ask(client_for(server, Shouting(), timeout=0.2, max_retries=0))

    def test_a_body_that_drips_below_the_read_timeout_is_cut_off(self, server: ModelServer) -> None:
        server.answers = [Answer.of(CHAT_ANSWER, drip=0.02)]

        with pytest.raises(openai.APITimeoutError):
            ask(client_for(server, Shouting(), timeout=5, max_retries=0, max_response_seconds=0.3))

    def test_a_body_that_breaks_off_is_a_connection_error(self, server: ModelServer) -> None:
        server.answers = [Answer.of(CHAT_ANSWER, length=10_000)]

        with pytest.raises(openai.APIConnectionError):
            ask(client_for(server, Shouting(), max_retries=0))

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"garbage",
            b"[]",
            b"{}",
            b'{"choices":{}}',
            b'{"choices":[],"choices":[]}',
            b'{"choices":[NaN]}',
            b"\xff",
        ],
    )
    def test_a_garbage_answer_is_refused(self, server: ModelServer, body: bytes) -> None:
        server.answers = [Answer(body=body)]

        with pytest.raises(MalformedInput):
            ask(client_for(server, Shouting()))

    def test_an_answer_of_another_type_is_refused(self, server: ModelServer) -> None:
        server.answers = [Answer(headers={"content-type": "text/event-stream"}, body=b"data: {}\n\n")]

        with pytest.raises(MalformedInput, match="content type"):
            ask(client_for(server, Shouting()))

    def test_a_huge_answer_is_refused(self, server: ModelServer) -> None:
        server.answers = [Answer(body=b'{"choices":["' + b"x" * 300_000 + b'"]}')]

        with pytest.raises(AnswerRefused, match="larger than 200000 bytes"):
            ask(client_for(server, Shouting(), max_response_bytes=200_000))

    @pytest.mark.parametrize("encoding", ["gzip", "deflate"])
    def test_an_encoded_answer_is_decoded(self, server: ModelServer, encoding: str) -> None:
        body = json.dumps(CHAT_ANSWER).encode()
        packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
        server.answers = [
            Answer(headers={"content-type": "application/json", "content-encoding": encoding}, body=packed)
        ]

        assert ask(client_for(server, Shouting())).choices[0].message.content == "HELLO THERE"

    @pytest.mark.parametrize(
        ("encoding", "body", "message"),
        [
            ("gzip", gzip.compress(b" " * 60_000_000), "larger than"),
            ("gzip", gzip.compress(b"{}")[:-6], "cut off"),
            ("gzip", b"not gzip", "not what its encoding says"),
            ("gzip", gzip.compress(b"{}") + gzip.compress(b"{}"), "not what its encoding says"),
            ("br", b"x", "not asked for"),
            ("gzip, gzip", gzip.compress(gzip.compress(b"{}")), "not asked for"),
        ],
        ids=["bomb", "cut", "garbage", "two members", "brotli", "twice"],
    )
    def test_encodings_that_cannot_be_read_safely_are_refused(
        self, server: ModelServer, encoding: str, body: bytes, message: str
    ) -> None:
        server.answers = [Answer(headers={"content-type": "application/json", "content-encoding": encoding}, body=body)]

        with pytest.raises(AnswerRefused, match=message):
            ask(client_for(server, Shouting()))

    def test_the_async_client_refuses_redirects_bombs_and_other_origins_alike(self, server: ModelServer) -> None:
        bomb = {"content-type": "application/json", "content-encoding": "gzip"}
        server.answers = [
            Answer(status=302, headers={"location": "/x"}),
            Answer(headers=bomb, body=gzip.compress(b" " * 60_000_000)),
        ]
        handler = Shouting()

        async def go() -> None:
            async with async_client_for(server, handler) as client:
                for _ in range(2):
                    with pytest.raises(AnswerRefused):
                        await client.responses.create(model="m", input="x")
                client.base_url = "http://127.0.0.1:9/v1"
                with pytest.raises(EgressRefused):
                    await client.responses.create(model="m", input="x")

        asyncio.run(go())
        assert len(server.received) == 2
        assert len(handler.refusals) == 1


def test_debug_logging_of_the_sdk_and_the_http_library_shows_no_content_and_no_credential(
    server: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers = [Answer.of(CHAT_ANSWER, headers={"content-type": "application/json", "x-note": "not-logged"})]
    for name in ("openai", "httpx2", "httpcore2"):
        caplog.set_level(logging.DEBUG, name)

    ask(client_for(server, Shouting(lambda text: text)))

    assert any(record.name.startswith("httpx2") for record in caplog.records)
    assert "hi there" not in caplog.text
    assert "hello there" not in caplog.text
    assert SECRET not in caplog.text
