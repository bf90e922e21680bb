"""Bodies that go on while they arrive: the same bytes as of the whole, one chunk in and one out, ended safely."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.guards import MemoryRecorder, make_guard
from tests.web.drive import GONE, MAIL, RULE, acall, answering, call, cut, guarded, http_scope, whole_body
from tests.web.test_wsgi import call as wcall
from tests.web.test_wsgi import guarded as wguarded

from aiguard.asgi import AIGuardMiddleware as Asgi
from aiguard.errors import Blocked
from aiguard.wsgi import AIGuardMiddleware as Wsgi

SSN = "my social security number is 536-90-4399"
TEXT = f"one line by {MAIL}\nanother line by {MAIL}, and more\n".encode()
CLEAN = f"one line by {GONE}\nanother line by {GONE}, and more\n".encode()
EVENTS = f"data: hello from\n\ndata: write to {MAIL} now\n\ndata: [DONE]\n\n".encode()
SAID = {"by": MAIL, "rows": [{"n": 1, "text": f"line by {MAIL}, and more"}] * 3}
DOCUMENT = json.dumps(SAID, indent=1).encode()
CLEAN_DOCUMENT = json.dumps(SAID, separators=(",", ":")).replace(MAIL, GONE).encode()
GUARD, RECORDER = make_guard()
ASGI = Asgi(None, guard=GUARD, rules=[RULE])  # type: ignore[arg-type]
WSGI = Wsgi(None, guard=GUARD, rules=[RULE])  # type: ignore[arg-type]
CHUNKED: dict[str, Any] = {
    "CONTENT_LENGTH": None,
    "CONTENT_TYPE": "text/plain",
    "HTTP_TRANSFER_ENCODING": "chunked",
    "wsgi.input_terminated": True,
}


def get(app: Any, **options: Any) -> Any:
    return call(app, method="GET", content_type=None, length=False, **options)


@given(st.lists(st.integers(0), max_size=12))
def test_any_chunking_of_a_text_gives_what_the_whole_gives(cuts):
    ASGI.app = answering(cut(TEXT, cuts), "text/plain")
    assert get(ASGI).body == CLEAN

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return cut(TEXT, cuts)

    WSGI.app = app
    assert wcall(WSGI, b"", method="GET", check=False).body == CLEAN


@given(st.lists(st.integers(0), max_size=12))
def test_any_chunking_of_events_gives_what_the_whole_gives(cuts):
    ASGI.app = answering(cut(EVENTS, cuts), "text/event-stream")
    body = get(ASGI).body
    assert MAIL.encode() not in body
    assert body.replace(b"\n", b"").count(b"data: ") >= 3
    assert GONE.encode() in body


@given(st.lists(st.integers(0), max_size=12))
def test_any_chunking_of_a_document_gives_the_bytes_of_the_whole_at_both_doors(cuts):
    chunks = [piece for piece in cut(DOCUMENT, cuts) if piece]
    ASGI.app = answering(chunks, "application/json")
    assert get(ASGI).body == CLEAN_DOCUMENT

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "application/vnd.answer+json")])
        return chunks

    WSGI.app = app
    assert wcall(WSGI, b"", method="GET", check=False).body == CLEAN_DOCUMENT


def test_a_document_goes_out_while_the_application_writes_it_and_a_block_ends_it_uncleanly():
    chunks = [b'{"answer": "Hello, ', b"it is there, ", f"mind that {SSN}".encode(), b' and more"', b', "never": 1}']
    answer = get(guarded(answering(chunks, "application/json"), {**RULE, "redact": {"US_SSN": "block"}})[0])
    assert b"".join(answer.chunks[:2]).startswith(b'{"answer":"Hello, it is ')
    assert not answer.whole
    assert isinstance(answer.error, Blocked)
    assert b"536" not in answer.body
    assert b"never" not in answer.body


def test_a_document_that_goes_wrong_before_its_first_text_is_answered_with_a_refusal():
    for chunks in ([b'{"n": 12,', b" 13}"], [b'{"n": 1, "n"', b': "so it goes"}']):
        answer = get(guarded(answering(chunks, "application/json"))[0])
        assert answer.status == 502
        assert answer.json["decision_id"].startswith("agd_")


def test_what_is_settled_goes_out_while_the_application_goes_on():
    seen: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for line in TEXT.splitlines(keepends=True):
            await send({"type": "http.response.body", "body": line, "more_body": True})
            seen.append(b"".join(answer.chunks))
        await send({"type": "http.response.body", "body": b""})

    answer: Any = None

    async def main() -> None:
        nonlocal answer
        from tests.web import drive

        made = drive.Answer
        holder: list[Any] = []

        class Kept(made):  # type: ignore[misc,valid-type]
            def __init__(self) -> None:
                super().__init__()
                holder.append(self)
                nonlocal answer
                answer = self

        drive.Answer = Kept  # type: ignore[misc,assignment]
        try:
            await acall(guarded(app)[0], method="GET", content_type=None, length=False)
        finally:
            drive.Answer = made  # type: ignore[misc]

    asyncio.run(main())
    assert answer.body == CLEAN
    assert seen[1].startswith(b"one line by " + GONE.encode())


@pytest.mark.parametrize("kind", ["text/event-stream", "application/x-ndjson"])
def test_the_headers_of_a_stream_go_out_before_its_first_event(kind):
    sent: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind.encode())]})
        assert sent == ["http.response.start"]
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(guarded(app)[0](http_scope(method="GET"), receive, send))
    assert sent == ["http.response.start", "http.response.body"]


def test_a_block_in_the_middle_ends_an_asgi_response_uncleanly_after_a_safe_beginning():
    heard: list[type[BaseException]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        try:
            for line in ["safe\n" * 40, SSN + "\n", "never\n"]:
                await send({"type": "http.response.body", "body": line.encode(), "more_body": True})
        except OSError as error:
            heard.append(type(error))
            raise

    middleware, recorder = guarded(app)
    answer = get(middleware)
    assert answer.status == 200
    assert not answer.whole
    assert isinstance(answer.error, Blocked)
    assert answer.error.__cause__ is None
    assert answer.error.__context__ is None
    assert answer.body.startswith(b"safe\n")
    assert b"536" not in answer.body
    assert b"never" not in answer.body
    assert len(heard) == 1
    assert recorder.types() == ["response.refused"]


def test_a_block_in_the_middle_ends_a_wsgi_response_uncleanly_after_a_safe_beginning():
    closed: list[str] = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            yield from [b"safe\n" * 40, SSN.encode() + b"\n", b"never\n"]
        finally:
            closed.append("once")

    middleware, recorder = wguarded(app)
    got = wcall(middleware, b"", method="GET", check=False)
    assert isinstance(got.error, Blocked)
    assert got.body.startswith(b"safe\n")
    assert b"536" not in got.body
    assert closed == ["once"]
    assert recorder.types() == ["response.refused"]


def test_a_block_before_anything_went_out_is_an_answer():
    assert get(guarded(answering(SSN.encode(), "text/plain"))[0]).status == 502


def test_a_stream_whose_record_fails_does_not_come_to_its_end():
    middleware, _ = guarded(answering([TEXT, b""], "text/event-stream"), recorder=MemoryRecorder(fail_from=1))
    middleware.app = answering([EVENTS, b""], "text/event-stream")
    answer = get(middleware)
    assert not answer.whole
    assert isinstance(answer.error, Blocked)
    assert answer.error.http_status == 503


def test_a_stream_that_its_application_breaks_off_is_recorded_for_what_went_out(caplog):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": TEXT + f"and {MAIL}".encode(), "more_body": True})
        raise KeyError(MAIL)

    def same(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield TEXT + f"and {MAIL}".encode()
        raise KeyError(MAIL)

    middleware, recorder = guarded(app)
    answer = get(middleware)
    other, others = wguarded(same)
    got = wcall(other, b"", method="GET")
    assert not answer.whole
    assert answer.body == got.body == CLEAN + b"and "
    for error, seen in ((answer.error, recorder), (got.error, others)):
        assert isinstance(error, KeyError)
        assert seen.types() == ["response.scrubbed", "response.broken"]
        assert {event.decision_id for event in seen.events} == {error.aiguard_decision_id}  # type: ignore[attr-defined]
        assert error.aiguard_decision_id in caplog.text  # type: ignore[attr-defined]
    assert MAIL not in caplog.text


def test_a_text_with_a_length_is_looked_at_as_a_whole_and_keeps_its_length_right():
    headers = [("Content-Length", str(len(TEXT)))]
    answer = get(guarded(answering(cut(TEXT, [3, 9]), "text/plain", headers=headers))[0])
    assert answer.body == CLEAN
    assert answer.headers["content-length"] == str(len(CLEAN))


# --- requests -------------------------------------------------------------------------------------------------------


def test_a_request_without_a_length_reaches_an_asgi_application_while_it_arrives():
    got: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert b"content-length" not in dict(scope["headers"])
        message = await receive()
        got.append(message["body"])
        assert message["more_body"]
        got.append(await whole_body(receive))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    middleware, recorder = guarded(app)
    answer = call(middleware, TEXT.splitlines(keepends=True), content_type="text/plain", length=False)
    assert answer.status == 204
    assert b"".join(got) == CLEAN
    assert recorder.types() == ["request.scrubbed"]


def test_a_request_without_a_length_reaches_a_wsgi_application_while_it_arrives():
    got: list[bytes] = []

    def app(environ: Any, start_response: Any) -> Any:
        source = environ["wsgi.input"]
        got.extend([source.readline(), source.read(5), source.read()])
        start_response("204 No Content", [])
        return []

    middleware, recorder = wguarded(app)
    wcall(middleware, TEXT, check=False, **CHUNKED)
    assert got[0] == CLEAN.splitlines(keepends=True)[0]
    assert b"".join(got) == CLEAN
    assert recorder.types() == ["request.scrubbed"]


@pytest.mark.parametrize(
    ("chunks", "status"),
    [([b"safe\n" * 40, SSN.encode() + b"\n"], 422), ([b"x" * 700_000] * 2, 413), ([b"safe\n" * 40, b"\xff\n"], 400)],
)
def test_a_request_that_turns_out_bad_is_a_hang_up_to_the_application_and_a_problem_to_the_client(chunks, status):
    heard: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while heard[-1:] != ["http.disconnect"]:
            heard.append((await receive())["type"])
        heard.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    middleware, recorder = guarded(app)
    answer = call(middleware, chunks, content_type="text/plain", length=False)
    assert answer.status == status
    assert answer.error is None
    assert heard[-2:] == ["http.disconnect"] * 2
    assert recorder.types() == ["request.refused"]

    def wapp(environ: Any, start_response: Any) -> Any:
        environ["wsgi.input"].read()
        raise AssertionError

    wmiddleware, recorder = wguarded(wapp)
    got = wcall(wmiddleware, b"".join(chunks), check=False, **CHUNKED)
    assert got.status.startswith(f"{status} ")
    assert got.error is None
    assert recorder.types() == ["request.refused"]


def test_a_request_that_stops_arriving_is_a_408():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    middleware, _ = guarded(app, {**RULE, "max_body_seconds": 1})
    answer = call(middleware, [b"safe\n" * 40], content_type="text/plain", length=False, hang=True)
    assert answer.status == 408


def test_a_hundred_streams_at_once_are_each_their_own():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        number = scope["query_string"].decode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for step in range(5):
            body = f"data: {number} {step} {MAIL}\n\n".encode()
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})

    middleware, _ = guarded(app, {**RULE, "query": "pass"})

    async def main() -> list[Any]:
        return await asyncio.gather(
            *(
                acall(middleware, method="GET", content_type=None, length=False, query_string=b"%d" % n)
                for n in range(100)
            )
        )

    for number, answer in enumerate(asyncio.run(main())):
        said = answer.body.decode()
        assert said.count(GONE) == 5
        assert all(f" {number} {step} " in said for step in range(5))
