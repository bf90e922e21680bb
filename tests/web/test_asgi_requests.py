"""What comes in through the ASGI middleware: the application sees what may stay, or nothing at all."""

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
from tests.support.guards import MemoryRecorder, make_guard
from tests.web.drive import CARD, GONE, MAIL, RULE, Echo, acall, call, cut, guarded, http_scope

from aiguard.asgi import AIGuardMiddleware
from aiguard.errors import ConfigurationError

BODY = json.dumps({"note": f"write to {MAIL}", "card": CARD}).encode()
SHARED, _ = guarded(None)


def test_a_json_body_reaches_the_application_scrubbed_with_its_own_length():
    app = Echo()
    middleware, recorder = guarded(app)
    answer = call(middleware, [BODY])
    assert json.loads(app.body) == {"note": f"write to {GONE}", "card": "**** **** **** ****"}
    assert app.headers["content-length"] == str(len(app.body))
    assert answer.status == 200
    assert recorder.types() == ["request.scrubbed"]
    event = recorder.events[0]
    assert event.payload["route"] == "/guarded/*"
    assert event.payload["findings"]["EMAIL_ADDRESS"] == {"replace": 1}


@given(st.lists(st.integers(0), max_size=8))
def test_any_chunking_of_a_body_gives_the_application_the_same(cuts):
    SHARED.app = app = Echo()
    call(SHARED, cut(BODY, cuts))
    assert MAIL.encode() not in app.body
    assert json.loads(app.body)["note"] == f"write to {GONE}"


@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("br", brotli.compress), ("zstd", zstandard.compress)]
)
def test_a_packed_body_is_unpacked_looked_at_and_handed_on_plain(coding, pack):
    app = Echo()
    middleware, _ = guarded(app)
    call(middleware, [pack(BODY)], headers=[("content-encoding", coding)])
    assert json.loads(app.body)["note"] == f"write to {GONE}"
    assert "content-encoding" not in app.headers


def test_the_application_hears_of_a_disconnect_after_a_replaced_body():
    heard: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        heard.append((await receive())["type"])

    call(guarded(app)[0], [BODY])
    assert heard == ["http.request", "http.disconnect"]


def test_a_route_that_no_rule_names_is_given_its_very_own_callables():
    seen: list[Any] = []

    async def app(*arguments: Any) -> None:
        seen.extend(arguments)

    async def receive() -> Any: ...
    async def send(message: Any) -> None: ...

    scope = http_scope("/open")
    asyncio.run(guarded(app)[0](scope, receive, send))
    assert seen[0] is scope
    assert seen[1] is receive
    assert seen[2] is send


NESTED = b"[" * 10_000 + b"]" * 10_000
REFUSED: dict[str, tuple[list[bytes], dict[str, Any], int]] = {
    "a blocked type": ([b'{"a":"my social security number is 536-90-4399"}'], {}, 422),
    "malformed JSON": ([b'{"a":'], {}, 400),
    "duplicate keys": ([b'{"a":1,"a":2}'], {}, 400),
    "ten thousand levels": ([NESTED], {}, 400),
    "a lone surrogate": ([b'{"a":"\\ud800"}'], {}, 400),
    "NaN": ([b'{"a":NaN}'], {}, 400),
    "not UTF-8": ([b'{"a":"\xff"}'], {}, 400),
    "an image": ([b"\x89PNG"], {"content_type": "image/png"}, 415),
    "no type": ([b"hello"], {"content_type": None}, 415),
    "another charset": ([b"hello"], {"content_type": "text/plain; charset=utf-16"}, 415),
    "an unknown coding": ([BODY], {"headers": [("content-encoding", "compress")]}, 415),
    "a broken coding": ([BODY], {"headers": [("content-encoding", "gzip")]}, 400),
    "a truncated coding": ([gzip.compress(BODY)[:-9]], {"headers": [("content-encoding", "gzip")]}, 400),
    "garbage behind a coding": ([gzip.compress(BODY) + b"x"], {"headers": [("content-encoding", "gzip")]}, 400),
    "a bomb": ([gzip.compress(bytes(50 << 20))], {"headers": [("content-encoding", "gzip")]}, 413),
    "too long by its length": ([b"x"], {"length": False, "headers": [("content-length", "2000000")]}, 413),
    "too long without one": ([b"x" * 700_000] * 3, {"length": False}, 413),
    "two lengths": ([BODY], {"headers": [("content-length", "5")]}, 400),
    "a length and chunks": ([BODY], {"headers": [("transfer-encoding", "chunked")]}, 400),
    "a length that is none": ([BODY], {"length": False, "headers": [("content-length", "+5")]}, 400),
    "longer than it says": ([BODY], {"length": False, "headers": [("content-length", "5")]}, 400),
    "shorter than it says": ([BODY], {"length": False, "headers": [("content-length", "5000")]}, 400),
    "two types": ([BODY], {"headers": [("content-type", "text/plain")]}, 400),
    "a broken query": ([b""], {"query_string": b"a=%zz"}, 400),
    "a blocked type in the query": ([b""], {"query_string": b"ssn=social+security+number+536-90-4399"}, 422),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_that_cannot_be_let_through_is_a_problem_and_the_application_never_runs(case):
    chunks, options, status = REFUSED[case]
    app = Echo()
    middleware, recorder = guarded(app)
    answer = call(middleware, chunks, **options)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.whole
    assert answer.error is None
    assert app.calls == 0
    assert recorder.types() == ["request.refused"]
    assert answer.json["decision_id"] == recorder.events[0].decision_id
    assert "536-90" not in answer.body.decode() + repr(recorder.events)


def test_a_body_by_the_byte_is_ended_by_the_time_it_may_take():
    app = Echo()
    middleware, recorder = guarded(app, {**RULE, "max_body_seconds": 1})
    answer = call(middleware, [b"{"], hang=True, length=False, headers=[("content-length", "5")])
    assert answer.status == 408
    assert recorder.events[0].payload["reasons"] == ["input.timeout"]
    assert app.calls == 0


def test_a_client_that_hangs_up_in_its_request_ends_it_quietly():
    app = Echo()
    middleware, recorder = guarded(app)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError

    asyncio.run(middleware(http_scope(headers=[("content-length", "10")]), receive, send))
    assert app.calls == 0
    assert not recorder.events


def test_the_query_is_scrubbed_with_the_request_unless_the_rule_passes_it():
    app = Echo()
    call(guarded(app)[0], query_string=f"q={MAIL}&p=1".encode())
    assert app.scope["query_string"] == b"q=%5BREDACTED_EMAIL%5D&p=1"
    call(guarded(app, {**RULE, "query": "pass"})[0], query_string=f"q={MAIL}".encode())
    assert app.scope["query_string"] == f"q={MAIL}".encode()


def test_a_rule_for_one_method_or_direction_leaves_the_others():
    app = Echo()
    middleware, _ = guarded(app, {"path": "/guarded/*", "methods": ["put"], "direction": "request"})
    call(middleware, [BODY])
    assert app.body == BODY
    call(middleware, [BODY], method="PUT")
    assert MAIL.encode() not in app.body


def test_a_method_that_a_header_puts_in_place_of_another_counts():
    app = Echo()
    middleware, _ = guarded(app, {"path": "/guarded/*", "methods": ["PUT"]})
    call(middleware, [BODY], headers=[("X-HTTP-Method-Override", "put")])
    assert MAIL.encode() not in app.body


def test_a_body_of_a_type_that_the_rule_does_not_list_is_refused():
    app = Echo()
    middleware, _ = guarded(app, {**RULE, "content_types": ["application/json"]})
    assert call(middleware, [b"hello"], content_type="text/plain").status == 415
    assert call(middleware, [b"{}"], content_type="application/json; charset=utf-8").status == 200


def test_the_body_limit_of_a_rule_counts_instead_of_the_setting():
    middleware, _ = guarded(Echo(), {**RULE, "max_body_bytes": 10})
    assert call(middleware, [b'"12345678"']).status == 200
    assert call(middleware, [b'"123456789"']).status == 413
    packed = gzip.compress(b'"' + b"1" * 100 + b'"')
    assert call(middleware, [packed], headers=[("content-encoding", "gzip")]).status == 413


@pytest.mark.parametrize("broken", [1, 2])
def test_nothing_goes_on_when_the_decision_cannot_be_recorded(broken):
    app = Echo()
    middleware, _ = guarded(app, recorder=MemoryRecorder(fail_from=1))
    answer = call(middleware, [BODY if broken == 1 else b"{"])
    assert answer.status == 503
    assert app.calls == 0


def test_a_detector_that_fails_refuses_and_shows_nothing(caplog):
    class Broken:
        types = frozenset({"EMAIL_ADDRESS"})

        def detect(self, text: str, *, context: str = "") -> Any:
            raise RuntimeError(text)

    app = Echo()
    middleware, recorder = guarded(app, detector=Broken())
    answer = call(middleware, [BODY])
    assert answer.status == 503
    assert app.calls == 0
    assert MAIL not in answer.body.decode() + caplog.text + repr(recorder.events)


def test_a_middleware_without_a_rule_or_with_a_wrong_one_does_not_start():
    guard, _ = make_guard()
    for rules, why in [
        ((), "no route rule"),
        (({"path": "guarded"},), "is not a route"),
        (({"path": "/x", "redact": {"EMAIL_ADDRESS": "tokenize"}},), "before sign-in"),
        (({"path": "/x", "redact": {"*": "allow"}},), "nobody thought of"),
        (({"path": "/x", "redact": {"EMAIL_ADRESS": "mask"}},), "EMAIL_ADDRESS"),
        (({"path": "/x", "method": "GET"},), "method"),
        (("/x",), "RouteRule"),
    ]:
        with pytest.raises(ConfigurationError, match=why):
            AIGuardMiddleware(Echo(), guard=guard, rules=rules)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="not both"):
        AIGuardMiddleware(Echo(), guard=guard, rules=[RULE], settings=None)


def test_requests_at_the_same_time_do_not_mix():
    app_bodies: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        await asyncio.sleep(0)
        app_bodies.append(message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": message["body"]})

    middleware, _ = guarded(app)

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(acall(middleware, [json.dumps({"n": n, "m": MAIL}).encode()]) for n in range(50)))

    for number, answer in enumerate(asyncio.run(all_at_once())):
        assert answer.json == {"n": number, "m": GONE}
