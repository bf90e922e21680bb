"""Scrubbing hooks: what a view reads, and what a caller sees, whatever the body is and however it is read."""

from __future__ import annotations

import gzip
import http.client
import json
import logging
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlencode

import flask
import pytest
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.flask_door.conftest import NewDesk
from tests.flask_door.door_support import CARD, EMAIL, JANE, Desk, is_problem

from aiguard.flask import require_ai_scope
from aiguard.types import Finding

VALUES = (EMAIL, CARD, "4111111111111111")
LIMIT = 1 << 20


def clean(data: bytes | str) -> bool:
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    return not any(value in text for value in VALUES)


@pytest.fixture
def desk(new_desk: NewDesk) -> Desk:
    """An application that answers with what its views could read of the request, by every way there is."""
    desk = new_desk().protect()

    @desk.app.post("/tickets/<int:id>")
    def ticket(id: int) -> dict[str, Any]:
        return {
            "data": flask.request.get_data(as_text=True),
            "json": flask.request.get_json(silent=True),
            "forced": flask.request.get_json(silent=True, force=True),
            "form": flask.request.form.to_dict(flat=False),
            "stream": flask.request.stream.read().decode(),
            "length": flask.request.content_length,
        }

    desk.guard.scrub_request("/tickets/<int:id>")
    return desk


READERS: dict[str, Callable[[], Any]] = {
    "get_json": lambda: flask.request.get_json(silent=True),
    "json, forced": lambda: flask.request.get_json(force=True, silent=True),
    "data": lambda: str(flask.request.data, "utf-8"),
    "get_data": lambda: flask.request.get_data(as_text=True),
    "get_data, uncached": lambda: flask.request.get_data(cache=False).decode(),
    "form": lambda: flask.request.form.to_dict(flat=False),
    "values": lambda: flask.request.values.to_dict(flat=False),
    "form data": lambda: flask.request.get_data(as_text=True, parse_form_data=True),
    "stream": lambda: flask.request.stream.read().decode(),
    "wsgi.input": lambda: flask.request.environ["wsgi.input"].read().decode(),
}
BODIES: dict[str, tuple[bytes, str]] = {
    "json": (json.dumps({"note": f"call {EMAIL}", "card": CARD, EMAIL: 1}).encode(), "application/json"),
    "a number": (b'{"card": 4111111111111111}', "application/json"),
    "problem json": (json.dumps([EMAIL]).encode(), "application/problem+json"),
    "a form": (urlencode({"note": EMAIL, "card": CARD, EMAIL: "x"}).encode(), "application/x-www-form-urlencoded"),
    "text": (f"call {EMAIL} or {CARD}".encode(), "text/plain"),
    "html": (f"<b>{EMAIL}</b>".encode(), "text/html; charset=utf-8"),
    "escaped json": (rb'{"note": "jane.doe\u0040example.org"}', "application/json"),
    "escaped json called text": (rb'{"note": "jane.doe\u0040example.org"}', "text/plain"),
}


@pytest.mark.parametrize("body", BODIES)
def test_a_view_sees_scrubbed_values_however_it_reads_them(new_desk: NewDesk, body: str) -> None:
    desk = new_desk().protect()
    desk.guard.scrub_request("/read/<reader>")

    @desk.app.post("/read/<reader>")
    def read(reader: str) -> dict[str, Any]:
        return {"read": READERS[reader]()}

    content, content_type = BODIES[body]
    for reader in READERS:
        answer = desk.browser().post(f"/read/{reader}", data=content, content_type=content_type)
        assert answer.status_code == 200
        assert clean(answer.get_data()), reader
        if reader in ("get_data", "get_data, uncached", "stream", "wsgi.input"):
            assert "REDACTED" in answer.get_data(as_text=True), reader


def test_json_keeps_its_shape_and_says_what_was_there(desk: Desk) -> None:
    answer = desk.browser().post("/tickets/7", json={"note": f"call {EMAIL}", "tags": ["a", {"n": 1.5}], "ok": True})
    assert answer.get_json()["json"] == {"note": "call [REDACTED_EMAIL]", "tags": ["a", {"n": 1.5}], "ok": True}
    event = desk.events()[-1]
    assert event.type == "request.scrubbed"
    assert event.payload == {"route": "/tickets/<int:id>", "findings": {"EMAIL_ADDRESS": {"replace": 1}}}


def test_a_form_keeps_its_fields_in_order(desk: Desk) -> None:
    body = urlencode([("a", "1"), ("mail", EMAIL), ("a", "ä b&c=d")])
    answer = desk.browser().post("/tickets/7", data=body, content_type="application/x-www-form-urlencoded")
    assert parse_qsl(answer.get_json()["data"]) == [("a", "1"), ("mail", "[REDACTED_EMAIL]"), ("a", "ä b&c=d")]


def test_the_content_length_is_that_of_what_is_left(desk: Desk) -> None:
    answer = desk.browser().post("/tickets/7", data=f"call {EMAIL}", content_type="text/plain").get_json()
    assert answer["data"] == "call [REDACTED_EMAIL]"
    assert answer["length"] == len("call [REDACTED_EMAIL]")


def test_a_body_without_findings_is_not_an_event(desk: Desk) -> None:
    assert desk.browser().post("/tickets/7", json={"note": "hello"}).get_json()["json"] == {"note": "hello"}
    assert desk.events() == []


def test_a_request_without_a_body_is_not_touched(desk: Desk) -> None:
    assert desk.browser().post("/tickets/7").status_code == 200


def test_rules_name_operators_methods_and_routes(new_desk: NewDesk) -> None:
    desk = new_desk().protect()
    desk.guard.scrub_request(
        "/notes/*", methods=["post"], rules={"CREDIT_CARD": {"op": "mask", "keep_last": 4}, "EMAIL_ADDRESS": "hash"}
    )

    @desk.app.route("/notes/<name>", methods=["POST", "PUT"])
    @desk.app.route("/other", methods=["POST"], endpoint="other")
    def note(name: str = "") -> str:
        return flask.request.get_data(as_text=True)

    browser, text = desk.browser(), f"{CARD} {EMAIL} 192.0.2.7"
    masked = browser.post("/notes/x", data=text, content_type="text/plain").get_data(as_text=True)
    assert masked.startswith("**** **** **** 1111 [EMAIL:")
    assert masked.endswith("] [REDACTED_IP]")
    assert browser.put("/notes/x", data=text, content_type="text/plain").get_data(as_text=True) == text
    assert browser.post("/other", data=text, content_type="text/plain").get_data(as_text=True) == text


def test_several_rules_for_a_route_are_applied_one_after_another(desk: Desk) -> None:
    desk.guard.scrub_request("ticket", rules={"IP_ADDRESS": "mask"})
    answer = desk.browser().post("/tickets/7", data=f"{EMAIL} 192.0.2.7", content_type="text/plain")
    assert clean(answer.get_data())
    assert "192.0.2.7" not in answer.get_data(as_text=True)


def test_a_type_that_a_rule_blocks_refuses_the_request_and_says_which(desk: Desk) -> None:
    desk.guard.scrub_request("ticket", rules={"CREDIT_CARD": "block", "EMAIL_ADDRESS": "allow"})
    # The first rule of the fixture has replaced all there was: rules see what the ones before them have left.
    assert desk.browser().post("/tickets/7", json={"card": CARD}).status_code == 200


def test_a_blocked_type_is_a_problem_of_the_content(new_desk: NewDesk) -> None:
    desk = new_desk().protect()
    desk.guard.scrub_request("note", rules={"CREDIT_CARD": "block"})
    ran: list[int] = []

    @desk.app.post("/note")
    def note() -> str:
        ran.append(1)
        return "kept"

    answer = desk.browser().post("/note", json={"card": CARD})
    problem = is_problem(answer, 422)
    assert "CREDIT_CARD" in problem["detail"]
    assert clean(answer.get_data())
    assert ran == []
    assert desk.event_of(answer).type == "request.refused"


# --- what cannot be read is refused -------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def multipart() -> tuple[bytes, str]:
    boundary = "xyz"
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="note"\r\n\r\n{EMAIL}\r\n--{boundary}--\r\n'
    return part.encode(), f"multipart/form-data; boundary={boundary}"


REFUSED: dict[str, tuple[bytes, str, dict[str, str], int]] = {
    "malformed json": (b'{"note": ', "application/json", {}, 400),
    "duplicate keys": (b'{"note": "a", "note": "b"}', "application/json", {}, 400),
    "nan": (b"[NaN]", "application/json", {}, 400),
    "infinity": (b"[1e999]", "application/json", {}, 400),
    "half a surrogate pair": (rb'["\ud800"]', "application/json", {}, 400),
    "ten thousand levels": (nested(10_000), "application/json", {}, 400),
    "invalid utf-8 in json": (b'{"note": "\xff"}', "application/json", {}, 400),
    "utf-16 json": ('{"note": "a"}'.encode("utf-16"), "application/json", {}, 400),
    "a byte order mark": (b'\xef\xbb\xbf{"note": "a"}', "application/json", {}, 400),
    "invalid utf-8 in text": (b"caf\xe9", "text/plain", {}, 400),
    "invalid utf-8 in a form": (b"note=%ff", "application/x-www-form-urlencoded", {}, 400),
    "a broken form": (b"note=%zz", "application/x-www-form-urlencoded", {}, 400),
    "json called a form": (b'{"note": "a b"}', "application/x-www-form-urlencoded", {}, 400),
    "ambiguous json called text": (rb'{"a": "\u0041", "a": "b"}', "text/plain", {}, 400),
    "no content type": (b"hello", "", {}, 415),
    "another content type": (b"hello", "application/octet-stream", {}, 415),
    "xml": (b"<a/>", "application/xml", {}, 415),
    "a csv": (b"\x00", "image/png", {}, 415),
    "multipart": (*multipart(), {}, 415),
    "another charset": ("é".encode("latin-1"), "text/plain; charset=latin-1", {}, 415),
    "gzip": (gzip.compress(b"{}"), "application/json", {"Content-Encoding": "gzip"}, 415),
    "two encodings": (b"{}", "application/json", {"Content-Encoding": "identity, br"}, 415),
    "twenty megabytes": (b'"' + b"x" * 20_000_000 + b'"', "application/json", {}, 413),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_body_that_no_control_can_read_is_refused_with_a_reason(desk: Desk, case: str) -> None:
    content, content_type, headers, status = REFUSED[case]
    answer = desk.browser().post("/tickets/7", data=content, content_type=content_type or None, headers=headers)
    is_problem(answer, status)
    event = desk.event_of(answer)
    assert event.type == "request.refused"
    assert event.payload["route"] == "/tickets/<int:id>"


def test_a_body_as_large_as_the_limit_is_read_and_one_byte_more_is_not(new_desk: NewDesk) -> None:
    desk = new_desk(AIGUARD_MAX_BODY_BYTES=1000).protect()
    desk.guard.scrub_request("*")

    @desk.app.post("/note")
    def note() -> str:
        return str(len(flask.request.get_data()))

    browser = desk.browser()
    assert browser.post("/note", data=b"x" * 1000, content_type="text/plain").get_data() == b"1000"
    is_problem(browser.post("/note", data=b"x" * 1001, content_type="text/plain"), 413)


def test_what_grows_by_scrubbing_is_still_read_in_full(new_desk: NewDesk) -> None:
    desk = new_desk(AIGUARD_MAX_BODY_BYTES=1000).protect()
    desk.guard.scrub_request("*")

    @desk.app.post("/note")
    @require_ai_scope("support:reply")
    def note() -> str:
        return str(flask.request.get_data(as_text=True).count("[REDACTED_EMAIL]"))

    body = " ".join(["ann@ex.co"] * 100)
    answer = desk.browser().post("/note", data=body, content_type="text/plain", headers=JANE)
    assert answer.get_data() == b"100"


def test_the_application_s_own_lower_limit_counts(new_desk: NewDesk) -> None:
    desk = new_desk(MAX_CONTENT_LENGTH=100).protect()
    desk.guard.scrub_request("*")

    @desk.app.post("/note")
    def note() -> str:
        return "read"

    is_problem(desk.browser().post("/note", data=b"x" * 101, content_type="text/plain"), 413)


@pytest.mark.parametrize("guarded", ["a scrubbed route", "a guarded view"])
@pytest.mark.parametrize("how", ["with a length", "in chunks"])
def test_over_a_socket_a_body_of_twenty_megabytes_is_refused_before_it_is_read(
    new_desk: NewDesk, how: str, guarded: str
) -> None:
    desk = new_desk().protect()

    def note() -> str:
        return str(len(flask.request.get_data()))

    if guarded == "a guarded view":
        note = require_ai_scope("support:reply")(note)
    else:
        desk.guard.scrub_request("note")
    desk.app.add_url_rule("/note", "note", note, methods=["POST"])
    with desk.served() as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.putrequest("POST", "/note")
        for name, value in JANE.items():
            connection.putheader(name, value)
        connection.putheader("Content-Type", "text/plain")
        if how == "in chunks":
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders()
            connection.send(b"%x\r\n" % (LIMIT + 1) + b"x" * (LIMIT + 1) + b"\r\n")
        else:
            connection.putheader("Content-Length", "20000000")
            connection.endheaders()
        answer = connection.getresponse()
        assert answer.status == 413
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert json.loads(answer.read())["reasons"][0]["code"] == "request.413"
        connection.close()
    assert desk.event_types()[-1] == "request.refused"


def test_a_body_in_chunks_is_scrubbed_like_any_other(desk: Desk) -> None:
    with desk.served() as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        pieces = [b'{"note": "jane.d', b"oe@example.o", b'rg"}']
        connection.request(
            "POST", "/tickets/7", body=iter(pieces), headers={"Content-Type": "application/json"}, encode_chunked=True
        )
        answer = json.loads(connection.getresponse().read())
        connection.close()
    assert answer["json"] == {"note": "[REDACTED_EMAIL]"}


ANY_BODY = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([EMAIL, CARD]),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just(EMAIL), inner, max_size=4),
        max_leaves=12,
    ).map(lambda tree: json.dumps(tree).encode()),
    st.lists(st.tuples(st.text(max_size=9), st.sampled_from([EMAIL, CARD, "x"]))).map(
        lambda fields: urlencode(fields, errors="replace").encode()
    ),
)
ANY_TYPE = st.sampled_from(
    [
        "application/json",
        "application/vnd.api+json; charset=UTF-8",
        "application/x-www-form-urlencoded",
        "text/plain",
        "text/csv; charset=utf-16",
        "multipart/form-data; boundary=x",
        "application/json; charset=\x7f",
        ";;;",
        "",
    ]
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=ANY_BODY, content_type=ANY_TYPE)
def test_any_body_is_either_scrubbed_or_refused_with_a_problem(desk: Desk, body: bytes, content_type: str) -> None:
    answer = desk.browser().post("/tickets/7", data=body, content_type=content_type)
    if answer.status_code == 200:
        read = answer.get_json()
        assert all(clean(json.dumps(read[way], ensure_ascii=False)) for way in read)
    else:
        assert answer.status_code in (400, 413, 415)
        is_problem(answer, answer.status_code)
    assert clean(answer.get_data())


# --- who reads first ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", ["get_json", "get_data", "form", "stream"])
def test_functions_that_run_before_the_view_see_scrubbed_values_too(new_desk: NewDesk, reader: str) -> None:
    desk = new_desk()
    early: list[Any] = []

    @desk.app.before_request
    def first() -> None:
        early.append(READERS[reader]())

    desk.protect()
    desk.guard.scrub_request("note")
    desk.app.before_request(lambda: early.append(READERS["get_data"]()))

    @desk.app.post("/note")
    def note() -> str:
        return flask.request.get_data(as_text=True)

    for content, content_type in (BODIES["json"], BODIES["a form"]):
        answer = desk.browser().post("/note", data=content, content_type=content_type)
        assert answer.status_code == 200
        assert clean(answer.get_data())
    assert clean(repr(early))
    assert "REDACTED" in repr(early)


def test_a_form_that_was_parsed_before_anything_could_scrub_it_is_not_passed_on(
    new_desk: NewDesk, caplog: pytest.LogCaptureFixture
) -> None:
    desk = new_desk().protect()
    desk.guard.scrub_request("note")

    class Early(SecureCookieSessionInterface):
        def open_session(self, app: flask.Flask, request: flask.Request) -> SecureCookieSession | None:
            request.form.get("session")
            return super().open_session(app, request)

    desk.app.session_interface = Early()

    @desk.app.post("/note")
    def note() -> str:
        return flask.request.form["note"]

    with caplog.at_level(logging.ERROR):
        answer = desk.browser().post("/note", data={"note": EMAIL})
    assert answer.status_code == 500
    assert clean(answer.get_data())
    assert "read before it could be scrubbed" in caplog.text


def test_json_that_was_read_before_anything_could_scrub_it_is_scrubbed_for_the_view(new_desk: NewDesk) -> None:
    desk = new_desk().protect()
    desk.guard.scrub_request("note")
    desk.app.url_value_preprocessor(lambda _endpoint, _values: flask.request.get_json(silent=True))

    @desk.app.post("/note")
    def note() -> dict[str, Any]:
        return {"json": flask.request.get_json(), "data": flask.request.get_data(as_text=True)}

    assert clean(desk.browser().post("/note", json={"note": EMAIL}).get_data())


# --- responses ------------------------------------------------------------------------------------------------------


def answering(desk: Desk, make: Callable[[], Any], *, guarded: bool = False) -> Any:
    view: Any = make
    if guarded:
        view = require_ai_scope("support:reply")(make)
    desk.app.add_url_rule("/page", "page", view, methods=["GET"])
    desk.guard.scrub_response("page")
    answer = desk.browser().get("/page", headers=JANE)
    answer.get_data()
    answer.close()
    return answer


@pytest.fixture
def plain(new_desk: NewDesk) -> Desk:
    return new_desk().protect()


def test_a_response_is_scrubbed_and_its_headers_fit(plain: Desk) -> None:
    def page() -> flask.Response:
        response = flask.jsonify(mail=EMAIL, cards=[CARD, 4111111111111111])
        response.add_etag()
        response.headers["Content-MD5"] = "x"
        response.headers["Accept-Ranges"] = "bytes"
        return response

    answer = answering(plain, page)
    assert answer.get_json() == {"mail": "[REDACTED_EMAIL]", "cards": ["[REDACTED_CARD]", "[REDACTED_CARD]"]}
    assert answer.headers["Content-Length"] == str(len(answer.get_data()))
    assert not {"ETag", "Content-MD5", "Accept-Ranges"} & set(answer.headers.keys())
    event = plain.events()[-1]
    assert event.type == "response.scrubbed"
    assert event.payload["findings"] == {"CREDIT_CARD": {"replace": 2}, "EMAIL_ADDRESS": {"replace": 1}}


def test_a_response_without_findings_goes_out_byte_for_byte(plain: Desk) -> None:
    def page() -> flask.Response:
        response = flask.Response(b'{ "a" :  1.50e1 }\n', mimetype="application/json")
        response.add_etag()
        return response

    answer = answering(plain, page)
    assert answer.get_data() == b'{ "a" :  1.50e1 }\n'
    assert "ETag" in answer.headers
    assert plain.events() == []


@pytest.mark.parametrize("mimetype", ["text/plain", "text/html", "application/json"])
def test_a_streamed_response_is_read_in_full_first(plain: Desk, mimetype: str) -> None:
    def page() -> flask.Response:
        return flask.Response(iter(['{"mail": "jane.d', "oe@exam", 'ple.org"}']), mimetype=mimetype)

    answer = answering(plain, page)
    assert answer.get_data(as_text=True).replace(" ", "") == '{"mail":"[REDACTED_EMAIL]"}'


def test_a_file_is_scrubbed_like_any_other_response(plain: Desk) -> None:
    page = lambda: flask.send_file(BytesIO(EMAIL.encode()), mimetype="text/plain")  # noqa: E731
    assert answering(plain, page).get_data() == b"[REDACTED_EMAIL]"


@pytest.mark.parametrize(
    "response",
    [
        lambda: flask.Response(b"\x89PNG", mimetype="image/png"),
        lambda: flask.Response(EMAIL, mimetype="text/event-stream"),
        lambda: flask.Response(f'{{"a": "{EMAIL}", "a": 1}}', mimetype="application/json"),
        lambda: flask.Response(gzip.compress(EMAIL.encode()), headers={"Content-Encoding": "gzip"}),
        lambda: flask.Response(EMAIL[:9], status=206),
        lambda: flask.Response(b"\xff" + EMAIL.encode(), mimetype="text/plain"),
        lambda: flask.Response(EMAIL, content_type="text/plain; charset=utf-16"),
        lambda: flask.Response(EMAIL, content_type=""),
        lambda: flask.Response("", headers={"X-Accel-Redirect": "/protected/7.txt"}),
    ],
    ids=[
        "an image",
        "events",
        "ambiguous json",
        "gzip",
        "a range",
        "invalid utf-8",
        "another charset",
        "no type",
        "a file of the server's",
    ],
)
def test_a_response_that_cannot_be_looked_at_is_withheld(plain: Desk, response: Callable[[], flask.Response]) -> None:
    answer = answering(plain, response)
    is_problem(answer, 502)
    assert clean(answer.get_data())
    assert plain.event_of(answer).type == "response.refused"


def test_an_endless_response_is_read_only_as_far_as_the_limit(new_desk: NewDesk) -> None:
    desk = new_desk(AIGUARD_MAX_RESPONSE_BYTES=10_000).protect()
    closed: list[int] = []

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
        finally:
            closed.append(1)

    is_problem(answering(desk, lambda: flask.Response(endless(), mimetype="text/plain")), 502)
    assert closed == [1]


def test_a_response_that_a_rule_blocks_is_withheld(plain: Desk) -> None:
    plain.guard.scrub_response("page", rules={"CREDIT_CARD": "block"})
    answer = answering(plain, lambda: {"card": CARD})
    assert "CREDIT_CARD" in is_problem(answer, 502)["detail"]


def test_an_application_s_own_problem_document_is_scrubbed_and_ours_is_left_alone(plain: Desk) -> None:
    def page() -> Any:
        body = json.dumps({"detail": f"no account for {EMAIL}"})
        return flask.Response(body, status=404, mimetype="application/problem+json")

    @plain.app.get("/guarded")
    @require_ai_scope("support:reply")
    def guarded() -> str:
        return "x"

    plain.guard.scrub_response("guarded")
    assert answering(plain, page).get_json() == {"detail": "no account for [REDACTED_EMAIL]"}
    assert is_problem(plain.browser().get("/guarded"), 401)["scope"] == "support:reply"


@pytest.mark.parametrize("streams", [False, True])
def test_a_refusal_that_another_function_writes_into_is_looked_at_again(new_desk: NewDesk, streams: bool) -> None:  # noqa: FBT001
    desk = new_desk().protect()
    desk.guard.scrub_response("*")

    @desk.app.after_request
    def sign(response: flask.Response) -> flask.Response:
        signed = json.dumps({**response.get_json(), "help": EMAIL})
        if streams:
            response.response = iter([signed])
        else:
            response.set_data(signed)
        return response

    @desk.app.get("/guarded")
    @require_ai_scope("support:reply")
    def guarded() -> str:
        return "x"

    answer = desk.browser().get("/guarded")
    assert answer.status_code == 401
    assert answer.get_json()["help"] == "[REDACTED_EMAIL]"


def test_error_pages_and_unknown_routes_are_looked_at_by_a_rule_for_all(plain: Desk) -> None:
    plain.guard.scrub_response("*")

    @plain.app.errorhandler(404)
    def missing(_error: Exception) -> tuple[str, int]:
        return f"nothing at {flask.request.path}", 404

    @plain.app.errorhandler(500)
    def broken(_error: Exception) -> tuple[str, int]:
        return f"mail {EMAIL}", 500

    @plain.app.get("/broken")
    def page() -> str:
        raise OSError

    answer = plain.browser().get(f"/{EMAIL}")
    assert (answer.status_code, answer.get_data()) == (404, b"nothing at /[REDACTED_EMAIL]")
    answer = plain.browser().get("/broken")
    assert (answer.status_code, answer.get_data()) == (500, b"mail [REDACTED_EMAIL]")


def test_an_error_page_whose_way_out_breaks_down_is_not_shown(plain: Desk) -> None:
    plain.guard.scrub_response("*")

    @plain.app.after_request
    def broken_hook(_response: flask.Response) -> flask.Response:
        raise OSError

    @plain.app.errorhandler(500)
    def broken(_error: Exception) -> tuple[str, int]:
        return f"mail {EMAIL}", 500

    @plain.app.get("/page")
    def page() -> str:
        return EMAIL

    with plain.served() as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/page")
        answer = connection.getresponse()
        assert answer.status == 500
        assert clean(answer.read())
        connection.close()


def test_what_other_functions_write_on_the_way_out_is_scrubbed_too(new_desk: NewDesk) -> None:
    desk = new_desk()

    def add(response: flask.Response) -> flask.Response:
        response.set_data(response.get_data() + f" {EMAIL}".encode())
        return response

    desk.app.after_request(add)
    desk.protect()
    desk.app.after_request(add)
    assert answering(desk, lambda: "page").get_data(as_text=True) == "page [REDACTED_EMAIL] [REDACTED_EMAIL]"


@pytest.mark.parametrize("kind", ["request", "response"])
def test_a_detector_that_fails_refuses(new_desk: NewDesk, kind: str) -> None:
    class Broken:
        types = frozenset({"EMAIL_ADDRESS"})

        def detect(self, text: str, *, context: str = "") -> list[Finding]:
            raise RuntimeError(text)

    desk = new_desk(AIGUARD_LOG_PROTECTION=False).protect(detector=Broken())
    getattr(desk.guard, f"scrub_{kind}")("*")

    @desk.app.errorhandler(500)
    def broken(_error: Exception) -> tuple[str, int]:
        return f"mail {EMAIL}", 500

    @desk.app.post("/page")
    def page() -> str:
        return EMAIL

    answer = desk.browser().post("/page", data=EMAIL, content_type="text/plain")
    problem = is_problem(answer, 503)
    assert problem["reasons"][0]["code"] == "control.failed"
    assert "RuntimeError" in problem["detail"]
    assert clean(answer.get_data())
    assert desk.event_of(answer).type == f"{kind}.refused"


def test_an_exception_of_the_application_s_own_stream_stays_its_own(plain: Desk) -> None:
    def chunks() -> Iterator[str]:
        yield EMAIL
        raise OSError

    answer = answering(plain, lambda: flask.Response(chunks(), mimetype="text/plain"))
    assert answer.status_code == 500
    assert clean(answer.get_data())


def test_a_head_request_and_an_empty_response_pass(plain: Desk) -> None:
    plain.guard.scrub_response("*")
    taken: list[int] = []

    def chunks() -> Iterator[str]:
        taken.append(1)
        yield EMAIL

    plain.app.add_url_rule("/stream", "stream", lambda: flask.Response(chunks()))
    plain.app.add_url_rule("/page", "page", lambda: EMAIL)
    plain.app.add_url_rule("/empty", "empty", lambda: ("", 204))
    browser = plain.browser()
    head, page = browser.head("/page"), browser.get("/page")
    assert head.headers["Content-Length"] == page.headers["Content-Length"]
    assert browser.head("/stream").status_code == 200
    assert taken == []
    assert browser.get("/empty").status_code == 204


# --- with a model call ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [False, True])
def test_what_was_restored_for_this_actor_stays_and_what_is_another_s_does_not(plain: Desk, streams: bool) -> None:  # noqa: FBT001
    plain.server.answer = lambda said: f"{said}, or bob@example.net"

    def page() -> Any:
        if streams:
            return flask.Response(
                (chunk for chunk in [plain.ask(f"I am {EMAIL}"), " eve@example.com"]), mimetype="text/plain"
            )
        return plain.ask(f"I am {EMAIL}") + " eve@example.com"

    answer = answering(plain, page, guarded=True)
    assert answer.get_data(as_text=True) == f"I am {EMAIL}, or [REDACTED_EMAIL] [REDACTED_EMAIL]"
    assert EMAIL not in plain.server.texts


def test_what_was_restored_in_one_request_is_redacted_in_the_next(plain: Desk) -> None:
    plain.guard.scrub_response("*")
    told: list[str] = []

    @plain.app.get("/ask")
    @require_ai_scope("support:reply")
    def ask() -> str:
        told.append(plain.ask(f"I am {EMAIL}"))
        return told[0]

    @plain.app.get("/again")
    @require_ai_scope("support:reply")
    def again() -> str:
        return told[0]

    browser = plain.browser()
    assert browser.get("/ask", headers=JANE).get_data(as_text=True) == f"You said: I am {EMAIL}"
    assert browser.get("/again", headers=JANE).get_data(as_text=True) == "You said: I am [REDACTED_EMAIL]"


def test_a_refusal_in_a_stream_that_is_read_in_full_is_a_problem(plain: Desk) -> None:
    def page() -> flask.Response:
        return flask.Response(
            (plain.ask("hello", model=model) for model in ("gpt-5-mini", "gpt-unlisted")), mimetype="text/plain"
        )

    assert is_problem(answering(plain, page, guarded=True), 403)["reasons"][0]["code"] == "model.unlisted"


def test_scrubbing_that_cannot_be_recorded_lets_nothing_through(
    new_desk: NewDesk,
) -> None:
    import sqlite3

    desk = new_desk(AIGUARD_STORE_TIMEOUT_SECONDS=0.2).protect()
    desk.guard.scrub_request("note")
    desk.guard.scrub_response("page")
    ran: list[int] = []

    @desk.app.post("/note")
    def note() -> str:
        ran.append(1)
        return "kept"

    @desk.app.get("/page")
    def page() -> str:
        return EMAIL

    lock = sqlite3.connect(desk.database, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        browser = desk.browser()
        for answer in (
            browser.post("/note", json={"note": EMAIL}),
            browser.post("/note", data=b"{", content_type="application/json"),
            browser.get("/page"),
        ):
            assert is_problem(answer, 503)["reasons"][0]["code"] == "store.unavailable"
            assert clean(answer.get_data())
        assert ran == []
    finally:
        lock.rollback()
        lock.close()
