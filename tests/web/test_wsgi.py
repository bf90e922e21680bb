"""The WSGI middleware: the same decisions as the ASGI one, whatever an application does with its callables."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.guards import MemoryRecorder, make_guard
from tests.web.drive import CARD, GONE, MAIL, RULE, cut

from aiguard.errors import ConfigurationError
from aiguard.wsgi import AIGuardMiddleware

BODY = json.dumps({"note": f"write to {MAIL}", "card": CARD}).encode()
TEXT = [("Content-Type", "application/json")]


@dataclass
class Got:
    status: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: BaseException | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def guarded(app: Any, *rules: dict[str, Any], **options: Any) -> tuple[AIGuardMiddleware, MemoryRecorder]:
    guard, recorder = make_guard(**options)
    return AIGuardMiddleware(app, guard=guard, rules=rules or (RULE,)), recorder


def environ(body: bytes = b"", *, path: str = "/guarded/x", method: str = "POST", **more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "x",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if body or method == "POST":
        base |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
    base.update(more)
    return {name: value for name, value in base.items() if value is not None}


def call(app: Any, body: bytes = b"", *, check: bool = True, **options: Any) -> Got:
    """Serve one request as a server would, checked against PEP 3333."""
    got = Got()
    sent = environ(body, **options)

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        assert not got.status, "the server's start_response is called once"
        got.status, got.headers = status, {name.lower(): value for name, value in headers}

        def write(data: bytes) -> None:
            got.body += data

        return write

    served = validator(app) if check else app
    try:
        result = served(sent, start_response)
        try:
            for chunk in result:
                got.body += chunk
        finally:
            if hasattr(result, "close"):
                result.close()
    except Exception as error:  # noqa: BLE001 - what a server would see
        got.error = error
    if got.error is None and "content-length" in got.headers and sent["REQUEST_METHOD"] != "HEAD":
        assert int(got.headers["content-length"]) == len(got.body)
    return got


class EchoApp:
    def __init__(self) -> None:
        self.environ: dict[str, Any] = {}
        self.body = b""
        self.calls = 0

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.environ = dict(environ)
        self.calls += 1
        length = environ.get("CONTENT_LENGTH")
        self.body = environ["wsgi.input"].read(int(length)) if length else b""
        start_response("200 OK", [("Content-Type", environ.get("CONTENT_TYPE", "text/plain"))])
        return [self.body]


def answering(*chunks: bytes, headers: Any = TEXT, status: str = "200 OK") -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, list(headers))
        return list(chunks)

    return app


def test_both_directions_are_scrubbed_and_recorded():
    app = EchoApp()
    middleware, recorder = guarded(app, {**RULE, "direction": "request"}, {**RULE, "direction": "response"})
    got = call(middleware, BODY)
    assert json.loads(app.body)["note"] == f"write to {GONE}"
    assert app.environ["CONTENT_LENGTH"] == str(len(app.body))
    assert got.json["card"] == "**** **** **** ****"
    assert recorder.types() == ["request.scrubbed"]
    answer, recorder = guarded(answering(BODY))
    assert call(answer, b"{}").json["note"] == f"write to {GONE}"
    assert recorder.types() == ["response.scrubbed"]


SHARED, _ = guarded(None)


@given(st.lists(st.integers(0), max_size=8))
def test_any_chunking_of_a_response_gives_the_client_the_same(cuts):
    SHARED.app = answering(*cut(BODY, cuts))
    assert call(SHARED, b"{}").json["note"] == f"write to {GONE}"


def test_a_route_that_no_rule_names_is_given_its_very_own_environment_and_callable():
    seen: list[Any] = []

    def app(*arguments: Any) -> Any:
        seen.extend(arguments)
        return seen

    sent = environ(BODY, path="/open")
    assert guarded(app)[0](sent, print) is seen
    assert seen[0] is sent
    assert seen[1] is print


REFUSED: dict[str, tuple[bytes, dict[str, Any], int]] = {
    "a blocked type": (b'{"a":"my social security number is 536-90-4399"}', {}, 422),
    "malformed JSON": (b'{"a":', {}, 400),
    "an image": (b"\x89PNG", {"CONTENT_TYPE": "image/png"}, 415),
    "an unknown coding": (BODY, {"HTTP_CONTENT_ENCODING": "compress"}, 415),
    "a bomb": (gzip.compress(bytes(50 << 20)), {"HTTP_CONTENT_ENCODING": "gzip"}, 413),
    "too long by its length": (b"x", {"CONTENT_LENGTH": "2000000"}, 413),
    "too long without one": (
        b"x" * 2_000_000,
        {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
        413,
    ),
    "shorter than it says": (b"{}", {"CONTENT_LENGTH": "5"}, 400),
    "a length that is none": (b"{}", {"CONTENT_LENGTH": "x"}, 400),
    "a length and chunks": (b"{}", {"HTTP_TRANSFER_ENCODING": "chunked"}, 400),
    "chunks that the server does not end": (b"{}", {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}, 411),
    "a broken query": (b"", {"QUERY_STRING": "a=%zz"}, 400),
    "a WebSocket": (b"", {"HTTP_UPGRADE": "WebSocket"}, 403),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_that_cannot_be_let_through_is_a_problem_and_the_application_never_runs(case):
    body, options, status = REFUSED[case]
    app = EchoApp()
    middleware, recorder = guarded(app)
    got = call(middleware, body, check=False, **options)
    assert got.error is None
    assert got.status.startswith(f"{status} ")
    assert got.headers["content-type"] == "application/problem+json"
    assert got.json["decision_id"] == recorder.events[0].decision_id
    assert app.calls == 0
    assert recorder.types() == ["request.refused"]


def test_a_packed_body_and_one_in_chunks_reach_the_application_plain():
    app = EchoApp()
    middleware, _ = guarded(app)
    call(middleware, gzip.compress(BODY), HTTP_CONTENT_ENCODING="gzip")
    assert json.loads(app.body)["note"] == f"write to {GONE}"
    assert "HTTP_CONTENT_ENCODING" not in app.environ
    chunked = {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    call(middleware, BODY, check=False, **chunked)
    assert json.loads(app.body)["note"] == f"write to {GONE}"
    assert "HTTP_TRANSFER_ENCODING" not in app.environ


def test_a_body_without_a_length_that_the_server_does_not_end_is_no_body():
    app = EchoApp()

    def reading(environ: Any, start_response: Any) -> Any:
        app.body = environ["wsgi.input"].read()
        return answering(b"{}")(environ, start_response)

    call(guarded(reading)[0], BODY, check=False, CONTENT_LENGTH=None)
    assert app.body == b""


def test_a_server_that_cannot_read_a_body_refuses_it():
    class Broken(io.BytesIO):
        def read(self, size: Any = -1) -> bytes:
            raise RuntimeError("invalid chunk")

    got = call(guarded(EchoApp())[0], BODY, check=False, **{"wsgi.input": Broken()})
    assert got.status.startswith("400 ")


def test_the_query_is_scrubbed_everywhere_it_stands():
    app = EchoApp()
    call(guarded(app)[0], b"{}", QUERY_STRING=f"q={MAIL}", RAW_URI=f"/guarded/x?q={MAIL}")
    assert MAIL not in repr(app.environ)


@pytest.mark.parametrize("path", ["/GUARDED/x", "//guarded//x", "/a/../guarded/x"])
def test_no_spelling_and_no_mount_goes_around_a_rule(path):
    app = EchoApp()
    call(guarded(app)[0], BODY, PATH_INFO=path)
    assert MAIL.encode() not in app.body
    call(guarded(app, {**RULE, "path": "/mnt/guarded/*"})[0], BODY, SCRIPT_NAME="/mnt")
    assert MAIL.encode() not in app.body


@pytest.mark.parametrize("name", ["RAW_URI", "REQUEST_URI"])
def test_a_step_of_a_path_may_hold_a_slash_that_was_escaped(name):
    app = EchoApp()
    rule = {**RULE, "path": "/guarded/{id}"}
    sent: dict[str, Any] = {"PATH_INFO": "/guarded/a/b", name: "/guarded/a%2Fb?q=%41"}
    call(guarded(app, rule)[0], BODY, **sent)
    assert app.body
    assert MAIL.encode() not in app.body


# --- what an application may do with its callables ------------------------------------------------------------------


def test_an_application_may_write():
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", TEXT)
        write(BODY[:10])
        write(b"")
        write(BODY[10:])
        return []

    assert call(guarded(app)[0], b"{}").json["note"] == f"write to {GONE}"


def test_an_application_may_call_start_response_late_and_be_a_generator():
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        yield b""
        start_response("200 OK", TEXT)
        yield BODY[:10]
        yield BODY[10:]

    assert call(guarded(app)[0], b"{}", check=False).json["note"] == f"write to {GONE}"


def test_an_application_may_put_an_error_in_place_of_its_response():
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        try:
            yield BODY[:10]
            raise KeyError("own")
        except KeyError:
            start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
            yield f"sorry {MAIL}".encode()

    got = call(guarded(app)[0], b"{}", check=False)
    assert got.status == "500 Oops"
    assert got.body == f"sorry {GONE}".encode()


def test_start_response_twice_without_an_error_is_the_application_s_mistake():
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        start_response("200 OK", TEXT)
        return []

    got = call(guarded(app)[0], b"{}", check=False)
    assert isinstance(got.error, AssertionError)
    assert not got.status


def test_a_file_is_read_and_scrubbed():
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "999")])
        return environ["wsgi.file_wrapper"](io.BytesIO(f"it is {MAIL}".encode()))

    wrapper: dict[str, Any] = {"wsgi.file_wrapper": FileWrapper}
    got = call(guarded(app)[0], b"{}", **wrapper)
    assert got.body == f"it is {GONE}".encode()


@pytest.mark.parametrize("ends", ["its end", "a refusal", "an exception"])
def test_the_application_s_iterable_is_closed_once(ends):
    closed: list[str] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield BODY[:10]
            if ends == "an exception":
                raise KeyError("own")
            yield BODY[10:] if ends == "its end" else b"\xff"

        def close(self) -> None:
            closed.append("once")

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return Body()

    got = call(guarded(app)[0], b"{}")
    assert closed == ["once"]
    assert isinstance(got.error, KeyError) == (ends == "an exception")
    if ends == "a refusal":
        assert got.status.startswith("502 ")


def test_a_server_that_stops_iterating_closes_the_application():
    closed: list[str] = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", TEXT)
        try:
            while True:
                yield b" "
        finally:
            closed.append("once")

    body = guarded(answering())[0]
    body.app = app
    result: Any = body(environ(b"{}"), lambda *_: print)
    result.close()
    result.close()
    assert list(result) == []
    assert closed in (["once"], [])  # a generator that never ran has nothing to end


WITHHELD: dict[str, Any] = {
    "a blocked type": answering(b'{"a":"my social security number is 536-90-4399"}'),
    "an image": answering(b"\x89PNG", headers=[("Content-Type", "image/png")]),
    "no type": answering(b"hello", headers=[]),
    "a part of a range": answering(BODY, status="206 Partial"),
    "a header with a line ending": answering(BODY, headers=[*TEXT, ("X-A", "a\r\nB: c")]),
    "a header that is not latin-1": answering(BODY, headers=[*TEXT, ("X-A", "\u20ac")]),
    "a status that is none": answering(BODY, status="OK"),
    "a truncated coding": answering(gzip.compress(BODY)[:-9], headers=[*TEXT, ("Content-Encoding", "gzip")]),
    "no start_response": lambda _environ, _start: [b"hello"],
    "too large": answering(*[b" " * (1 << 20)] * 10),
}


@pytest.mark.parametrize("case", WITHHELD)
def test_a_response_that_cannot_be_looked_at_is_withheld(case):
    middleware, recorder = guarded(WITHHELD[case])
    got = call(middleware, b"{}", check=False)
    assert got.error is None
    assert got.status.startswith("502 ")
    assert got.headers["content-type"] == "application/problem+json"
    assert recorder.types() == ["response.refused"]
    assert b"536-90" not in got.body


def test_what_is_said_of_the_old_bytes_is_not_said_of_the_new():
    headers = [
        *TEXT,
        ("ETag", "x"),
        ("Digest", "x"),
        ("Accept-Ranges", "bytes"),
        ("Content-Length", "9"),
        ("X-Own", "1"),
    ]
    got = call(guarded(answering(BODY, headers=headers))[0], b"{}", check=False)
    assert set(got.headers) == {"content-type", "content-length", "x-own"}
    head = call(guarded(answering(BODY, headers=headers))[0], method="HEAD", check=False)
    assert head.body == b""
    assert "content-length" not in head.headers
    none = call(guarded(answering(BODY, headers=headers, status="304 Not Modified"))[0], b"{}", check=False)
    assert none.body == b""
    assert "etag" not in none.headers


def test_the_application_is_asked_for_a_whole_plain_body_and_offered_no_way_around():
    app = EchoApp()
    ways: dict[str, Any] = {"gunicorn.socket": object(), "wsgi.early_hints": print}
    call(guarded(app)[0], b"{}", HTTP_ACCEPT_ENCODING="gzip", HTTP_RANGE="bytes=0-1", **ways)
    assert app.environ["HTTP_ACCEPT_ENCODING"] == "identity"
    assert not {"HTTP_RANGE", "gunicorn.socket", "wsgi.early_hints"} & set(app.environ)


def test_nothing_goes_on_when_the_decision_cannot_be_recorded():
    app = EchoApp()
    got = call(guarded(app, recorder=MemoryRecorder(fail_from=1))[0], BODY)
    assert got.status.startswith("503 ")
    assert app.calls == 0
    got = call(guarded(answering(BODY), recorder=MemoryRecorder(fail_from=1))[0], b"{}")
    assert got.status.startswith("503 ")
    assert MAIL.encode() not in got.body


def test_a_middleware_without_a_rule_does_not_start():
    with pytest.raises(ConfigurationError, match="no route rule"):
        AIGuardMiddleware(EchoApp(), guard=make_guard()[0])
