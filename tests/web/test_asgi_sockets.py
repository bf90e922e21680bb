"""WebSockets at guarded routes: refused, or scrubbed frame by frame; and the application's lifespan."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.support.guards import MemoryRecorder, make_guard
from tests.web.drive import GONE, MAIL, RULE, guarded

from aiguard.asgi import AIGuardMiddleware
from aiguard.settings import Environment, Settings

SCAN = {**RULE, "websocket": "scan"}
SSN = "my social security number is 536-90-4399"


def socket_scope(path: str = "/guarded/ws", **more: Any) -> dict[str, Any]:
    return {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "extensions": {"websocket.http.response": {}},
        **more,
    }


def talk(app: Any, frames: list[dict[str, Any]], *, scope: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """What a client that sends these frames gets."""
    got: list[dict[str, Any]] = []
    waiting = [{"type": "websocket.connect"}, *({"type": "websocket.receive", **frame} for frame in frames)]
    waiting.append({"type": "websocket.disconnect", "code": 1000, "reason": f"by {MAIL}"})

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        got.append(message)

    asyncio.run(app(scope or socket_scope(), receive, send))
    return got


class EchoSocket:
    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.scope: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        while True:
            message = await receive()
            self.heard.append(message)
            if message["type"] == "websocket.connect":
                await send({"type": "websocket.accept"})
            elif message["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"]})
            else:
                return


def test_a_websocket_at_a_guarded_route_is_refused_in_its_handshake():
    app = EchoSocket()
    middleware, recorder = guarded(app)
    got = talk(middleware, [])
    assert [message["type"] for message in got] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert got[0]["status"] == 403
    assert json.loads(got[1]["body"])["decision_id"] == recorder.events[0].decision_id
    assert recorder.types() == ["request.refused"]
    assert app.heard == []


def test_where_the_server_cannot_answer_a_handshake_the_websocket_is_closed():
    got = talk(guarded(EchoSocket())[0], [], scope=socket_scope(extensions={}))
    assert got[0]["type"] == "websocket.close"
    assert got[0]["code"] == 1008


def test_one_rule_of_two_that_does_not_say_scan_is_enough():
    rules = [{**SCAN, "direction": "request"}, {**RULE, "direction": "response"}]
    assert talk(guarded(EchoSocket(), *rules)[0], [])[0]["status"] == 403


def test_a_websocket_at_another_route_is_left_alone():
    app = EchoSocket()
    got = talk(guarded(app)[0], [{"text": MAIL}], scope=socket_scope("/open"))
    assert got[1] == {"type": "websocket.send", "text": MAIL}


def test_frames_are_scrubbed_on_their_way_in():
    app = EchoSocket()
    middleware, recorder = guarded(app, {**SCAN, "direction": "request"})
    frames = [{"text": f"write to {MAIL}"}, {"text": json.dumps({"mail": MAIL})}, {"text": ""}, {"text": "[not json"}]
    talk(middleware, frames)
    assert [heard.get("text") for heard in app.heard[1:-1]] == [
        f"write to {GONE}",
        json.dumps({"mail": GONE}, separators=(",", ":")),
        "",
        "[not json",
    ]
    assert app.heard[-1]["reason"] == ""
    assert recorder.types() == ["request.scrubbed"] * 3
    assert "websocket.http.response" not in app.scope["extensions"]


def test_frames_are_scrubbed_on_their_way_out():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": f"it is {MAIL}"})
        await send({"type": "websocket.close", "code": 1000, "reason": f"bye {MAIL}"})

    middleware, recorder = guarded(app, {**SCAN, "direction": "response"})
    got = talk(middleware, [])
    assert got[1]["text"] == f"it is {GONE}"
    assert got[2]["reason"] == ""
    assert recorder.types() == ["response.scrubbed"] * 2


@pytest.mark.parametrize(
    ("frame", "code", "rule"),
    [
        ({"bytes": b"\x00"}, 1003, SCAN),
        ({"text": SSN}, 1008, SCAN),
        ({"text": '{"a":1,"a":2}'}, 1008, SCAN),
        ({"text": "half \ud800"}, 1008, SCAN),
        ({"text": "x" * 11}, 1008, {**SCAN, "max_body_bytes": 10}),
    ],
)
def test_a_frame_that_may_not_pass_closes_the_websocket(frame, code, rule):
    app = EchoSocket()
    middleware, recorder = guarded(app, rule)
    got = talk(middleware, [{"text": "hi"}, frame, {"text": "never"}])
    assert [message["type"] for message in got] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert got[-1]["code"] == code
    assert recorder.events[-1].decision_id in got[-1]["reason"]
    assert app.heard[-1] == {"type": "websocket.disconnect", "code": code, "reason": ""}
    assert recorder.types() == ["request.refused"]
    assert len(app.heard) == 3


@pytest.mark.parametrize(
    "message",
    [
        {"type": "websocket.send", "bytes": b"\x00"},
        {"type": "websocket.send", "text": SSN},
        {"type": "websocket.http.response.start", "status": 200, "headers": []},
    ],
)
def test_what_the_application_may_not_send_closes_the_websocket(message):
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await send(message)
        finally:
            ended.append("once")

    middleware, recorder = guarded(app, SCAN)
    got = talk(middleware, [])
    assert [each["type"] for each in got] == ["websocket.accept", "websocket.close"]
    assert ended == ["once"]
    assert recorder.types() == ["response.refused"]


def test_a_header_with_a_line_ending_is_not_accepted():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept", "headers": [(b"x", b"a\r\nb: c")]})

    assert talk(guarded(app, SCAN)[0], [])[0]["status"] == 502


def test_a_frame_does_not_go_on_when_the_decision_cannot_be_recorded():
    app = EchoSocket()
    middleware, _ = guarded(app, SCAN, recorder=MemoryRecorder(fail_from=1))
    got = talk(middleware, [{"text": MAIL}])
    assert got[-1]["type"] == "websocket.close"
    assert len(app.heard) == 2


def test_the_query_of_a_websocket_is_scrubbed():
    app = EchoSocket()
    talk(guarded(app, SCAN)[0], [], scope=socket_scope(query_string=f"q={MAIL}".encode()))
    assert MAIL.encode() not in app.scope["query_string"]
    got = talk(guarded(app, SCAN)[0], [], scope=socket_scope(query_string=b"q=%zz"))
    assert got[0]["status"] == 400


def test_a_guard_that_was_opened_here_is_closed_when_the_application_has_shut_down(tmp_path):
    policy = tmp_path / "aiguard.toml"
    policy.write_text('[[routes]]\npath = "/guarded/*"\n', encoding="utf-8")
    settings = Settings(
        environment=Environment.TEST,
        policy_path=policy,
        database=f"sqlite:///{tmp_path}/a.db",
        keys=(b"k" * 32,),
        log_protection=False,
    )
    order: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        order.append("application")
        await send({"type": "lifespan.shutdown.complete"})

    middleware = AIGuardMiddleware(app, settings=settings)
    close = middleware.guard._on_close

    def closing() -> None:
        order.append("guard")
        assert close is not None
        close()

    middleware.guard._on_close = closing
    waiting = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    got: list[str] = []

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        got.append(message["type"])

    asyncio.run(middleware({"type": "lifespan"}, receive, send))
    assert got == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert order == ["application", "guard"]


def test_the_lifespan_of_an_application_with_a_guard_of_its_own_is_passed_untouched():
    seen: list[Any] = []

    async def app(*arguments: Any) -> None:
        seen.extend(arguments)

    guard, _ = make_guard()
    scope = {"type": "lifespan"}
    asyncio.run(AIGuardMiddleware(app, guard=guard, rules=[RULE])(scope, print, print))  # type: ignore[arg-type]
    assert seen == [scope, print, print]
