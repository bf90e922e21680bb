"""What goes out through the ASGI middleware: scrubbed, with headers that fit, or withheld."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from tests.support.guards import MemoryRecorder, make_guard
from tests.web.drive import CARD, GONE, MAIL, RULE, Echo, answering, call, cut, guarded, http_scope

from aiguard.asgi import AIGuardMiddleware

BODY = json.dumps({"note": f"write to {MAIL}", "card": CARD}).encode()
SHARED, _ = guarded(None)
ABOUT_BYTES = [
    ("ETag", '"abc"'),
    ("Content-MD5", "x"),
    ("Digest", "sha-256=x"),
    ("Content-Digest", "sha-256=:x:"),
    ("Repr-Digest", "sha-256=:x:"),
    ("Accept-Ranges", "bytes"),
    ("Content-Length", "999"),
    ("Trailer", "x-sum"),
]


def get(app: Any, **options: Any) -> Any:
    return call(app, method="GET", content_type=None, length=False, **options)


def test_a_json_response_goes_out_scrubbed_with_its_own_length_and_no_word_about_the_old_bytes():
    middleware, recorder = guarded(answering(BODY, headers=[*ABOUT_BYTES, ("X-Own", "1")]))
    answer = get(middleware)
    assert answer.json == {"note": f"write to {GONE}", "card": "**** **** **** ****"}
    assert {name.lower() for name in answer.headers} == {"x-own", "content-type", "content-length"}
    assert recorder.types() == ["response.scrubbed"]


@given(st.lists(st.integers(0), max_size=8))
def test_any_chunking_of_a_response_gives_the_client_the_same(cuts):
    SHARED.app = answering(cut(BODY, cuts))
    answer = get(SHARED)
    assert answer.json["note"] == f"write to {GONE}"


def test_a_response_that_stays_as_it_was_keeps_its_validators():
    body = b'{"fine":true}'
    answer = get(guarded(answering(body, headers=[("ETag", '"abc"')]))[0])
    assert answer.body == body
    assert {name.lower(): value for name, value in answer.headers.items()}["etag"] == '"abc"'


@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("br", brotli.compress), ("zstd", zstandard.compress)]
)
def test_a_packed_response_is_unpacked_looked_at_and_sent_plain(coding, pack):
    answer = get(guarded(answering(pack(BODY), headers=[("Content-Encoding", coding), ("ETag", "x")]))[0])
    assert answer.json["note"] == f"write to {GONE}"
    assert "content-encoding" not in {name.lower() for name in answer.headers}
    assert "etag" not in {name.lower() for name in answer.headers}


def test_the_application_is_asked_for_a_whole_plain_body_and_offered_no_way_around():
    app = Echo()
    headers = [("accept-encoding", "gzip, br"), ("range", "bytes=0-9"), ("if-range", "x"), ("te", "trailers")]
    extensions: dict[str, Any] = {
        "http.response.pathsend": {},
        "http.response.zerocopysend": {},
        "http.response.push": {},
        "tls": {},
    }
    get(guarded(app)[0], headers=headers, extensions=extensions)
    assert app.headers["accept-encoding"] == "identity"
    assert not {"range", "if-range", "te"} & set(app.headers)
    assert set(app.scope["extensions"]) == {"tls"}


@pytest.mark.parametrize("status", [204, 304])
def test_a_response_without_a_body_has_none_whatever_the_application_sends(status):
    answer = get(guarded(answering(BODY, status=status, headers=ABOUT_BYTES))[0])
    assert answer.status == status
    assert answer.whole
    assert answer.body == b""
    assert not {"content-length", "etag"} & {name.lower() for name in answer.headers}


def test_head_is_answered_without_a_body_and_without_the_length_of_the_one_that_was_not_looked_at():
    answer = call(guarded(answering(BODY, headers=ABOUT_BYTES))[0], method="HEAD", content_type=None, length=False)
    assert answer.status == 200
    assert answer.body == b""
    assert "content-length" not in {name.lower() for name in answer.headers}


def test_an_empty_response_passes_whatever_its_type_is():
    answer = get(guarded(answering(b"", "image/png"))[0])
    assert answer.status == 200
    assert answer.headers["content-length"] == "0"


WITHHELD: dict[str, Any] = {
    "a blocked type": answering(b'{"a":"my social security number is 536-90-4399"}'),
    "malformed JSON": answering(b'{"a":'),
    "an image": answering(b"\x89PNG", "image/png"),
    "no type": answering(b"hello", None),
    "two types": answering(b"hello", headers=[("Content-Type", "text/plain")]),
    "another charset": answering(b"hello", "text/plain; charset=latin-1"),
    "not UTF-8": answering(b"\xff", "text/plain"),
    "a part of a range": answering(BODY, status=206),
    "an unknown coding": answering(BODY, headers=[("Content-Encoding", "compress")]),
    "a truncated coding": answering(gzip.compress(BODY)[:-9], headers=[("Content-Encoding", "gzip")]),
    "a bomb": answering(gzip.compress(bytes(50 << 20)), headers=[("Content-Encoding", "gzip")]),
    "too large": answering([b" " * (1 << 20)] * 10, "text/html"),
    "a header with a line ending": answering(BODY, headers=[("X-A", "a\r\nSet-Cookie: x")]),
    "a header name that is none": answering(BODY, headers=[("X A", "a")]),
    "a status that is not final": answering(BODY, status=103),
}


@pytest.mark.parametrize("case", WITHHELD)
def test_a_response_that_cannot_be_looked_at_is_withheld(case):
    middleware, recorder = guarded(WITHHELD[case])
    answer = get(middleware)
    assert answer.status == 502
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.whole
    assert answer.error is None
    assert recorder.types() == ["response.refused"]
    assert answer.json["decision_id"] == recorder.events[0].decision_id
    assert "536-90" not in answer.body.decode()


@pytest.mark.parametrize("kind", ["http.response.pathsend", "http.response.zerocopysend", "http.response.start"])
def test_a_message_that_sends_a_body_past_the_middleware_is_refused(kind):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": kind, "path": "/etc/hostname", "status": 200, "headers": []})

    assert get(guarded(app)[0]).status == 502


def test_trailers_are_not_passed_on():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/html"), (b"trailer", b"x-sum")]
        await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": True})
        await send({"type": "http.response.body", "body": b"hello", "more_body": False})
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", MAIL.encode())]})

    answer = get(guarded(app)[0])
    assert answer.body == b"hello"
    assert "trailers" not in answer.messages[0]
    assert len(answer.messages) == 2


@pytest.mark.parametrize("length", [[], [(b"content-length", b"400")]], ids=["streamed", "with a length"])
def test_an_exception_of_the_application_stays_its_own(length):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json"), *length]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": BODY[:30], "more_body": True})
        raise KeyError("own")

    answer = get(guarded(app)[0])
    assert isinstance(answer.error, KeyError)
    assert answer.status == (500 if length else 200)
    assert answer.whole == bool(length)
    assert length or answer.body == b'{"note":"write to '
    assert MAIL.encode() not in answer.body


@pytest.mark.parametrize("debug", [False, True])
def test_what_stands_around_the_middleware_has_nothing_to_say_about_an_exception(debug):
    async def page(request: Request) -> JSONResponse:
        raise LookupError(f"no account for {MAIL}")

    async def explain(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=500)

    guard, recorder = make_guard()
    app = Starlette(
        debug=debug,
        routes=[Route("/guarded/x", page)],
        exception_handlers={} if debug else {Exception: explain},
        middleware=[Middleware(AIGuardMiddleware, guard=guard, rules=[{"path": "/guarded/*"}])],
    )
    answer = TestClient(app, raise_server_exceptions=False).get("/guarded/x")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert MAIL not in answer.text
    (event,) = recorder.events
    assert (event.type, event.payload["reasons"]) == ("response.refused", ["response.failed"])
    assert event.decision_id == answer.json()["decision_id"]
    with pytest.raises(LookupError) as raised:
        TestClient(app).get("/guarded/x")
    assert vars(raised.value)["aiguard_decision_id"] == recorder.events[-1].decision_id


def test_an_exception_after_the_client_hung_up_is_not_answered():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if (await receive())["type"] == "http.disconnect":
            raise ConnectionError

    async def leaving() -> dict[str, Any]:
        return next(messages)

    async def send(message: Any) -> None:
        raise AssertionError

    messages: Any = iter([{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}])
    middleware, recorder = guarded(app)
    with pytest.raises(ConnectionError):
        asyncio.run(middleware(http_scope(method="GET"), leaving, send))
    assert not recorder.events


def test_an_application_that_catches_the_end_of_its_response_cannot_send_another():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for body in (b"\x89PNG", f"again {MAIL}".encode()):
            try:
                await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"image/png")]})
                await send({"type": "http.response.body", "body": body})
            except OSError:
                continue

    answer = get(guarded(app)[0])
    assert answer.status == 502
    assert MAIL not in answer.body.decode()


def test_a_response_is_withheld_when_the_decision_cannot_be_recorded():
    answer = get(guarded(answering(BODY), recorder=MemoryRecorder(fail_from=1))[0])
    assert answer.status == 503
    assert MAIL not in answer.body.decode()


def test_a_rule_for_requests_leaves_responses_alone():
    middleware, _ = guarded(answering(BODY, headers=[("ETag", "x")]), {**RULE, "direction": "request"})
    answer = get(middleware)
    assert answer.body == BODY


def test_a_client_that_hangs_up_ends_the_application_s_stream_once():
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        try:
            while True:
                await send({"type": "http.response.body", "body": b" ", "more_body": True})
                await asyncio.sleep(0.001)
        finally:
            ended.append("once")

    async def main() -> None:
        async def receive() -> Any:
            await asyncio.sleep(0)
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None: ...

        task = asyncio.ensure_future(guarded(app)[0](http_scope(method="GET"), receive, send))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ended == ["once"]
