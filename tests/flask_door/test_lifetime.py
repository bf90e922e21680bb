"""Identity lives exactly as long as the response: not a step shorter, and not into anything that comes after."""

from __future__ import annotations

import contextvars
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import pytest
from tests.flask_door.conftest import NewDesk
from tests.flask_door.door_support import EMAIL, JANE, Desk, eventually

from aiguard.errors import AccessDenied
from aiguard.flask import require_ai_scope
from aiguard.identity import Access, current_access
from aiguard.problems import DECISION_HEADER

needs_scope = require_ai_scope("support:reply")
WRAPPERS: dict[str, Callable[[Iterator[str]], Iterator[str]]] = {
    "plain": lambda chunks: chunks,
    "with_context": flask.stream_with_context,
}


class Seen:
    """The accesses that were current at various places, kept beyond their time as a careless application would."""

    def __init__(self) -> None:
        self.accesses: list[Access] = []

    def note(self) -> str:
        access = current_access()
        if access is None:
            return "nobody"
        self.accesses.append(access)
        return access.actor.id

    @property
    def alive(self) -> list[bool]:
        return [access.alive for access in self.accesses]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture(params=sorted(WRAPPERS))
def streaming(request: pytest.FixtureRequest, desk: Desk, seen: Seen) -> Desk:
    wrap = WRAPPERS[request.param]

    @desk.app.route("/stream/<int:steps>")
    @needs_scope
    def stream(steps: int) -> flask.Response:
        def chunks() -> Iterator[str]:
            for step in range(steps):
                yield f"{seen.note()}: {desk.ask(f'step {step} for {EMAIL}')}\n"

        return flask.Response(wrap(chunks()), mimetype="text/plain")

    @desk.app.get("/who")
    def who() -> str:
        return seen.note()

    return desk


def test_a_view_that_streams_has_its_identity_at_every_step(streaming: Desk, seen: Seen) -> None:
    answer = streaming.browser().get("/stream/3", headers=JANE)
    assert answer.get_data(as_text=True).splitlines() == [
        f"jane: You said: step {step} for {EMAIL}" for step in range(3)
    ]
    answer.close()
    assert seen.alive == [False, False, False]
    assert EMAIL not in streaming.server.texts


def test_between_two_steps_and_afterwards_the_thread_belongs_to_nobody(streaming: Desk, seen: Seen) -> None:
    browser = streaming.browser()
    answer = browser.get("/stream/3", headers=JANE)
    steps = iter(answer.response)
    assert next(steps).startswith(b"jane")
    assert current_access() is None
    assert streaming.browser().get("/who").get_data() == b"nobody"
    assert next(steps).startswith(b"jane")
    assert seen.alive == [True, True]
    answer.close()
    assert seen.alive == [False, False]
    assert streaming.browser().get("/who").get_data() == b"nobody"


def test_a_client_that_goes_away_ends_the_identity_of_its_stream(streaming: Desk, seen: Seen) -> None:
    with streaming.served() as port:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            lines = "".join(f"{name}: {value}\r\n" for name, value in JANE.items())
            connection.sendall(f"GET /stream/5000 HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
            assert b"200 OK" in connection.recv(1000)
        assert eventually(lambda: bool(seen.accesses) and not any(seen.alive), 10)
    assert len(seen.accesses) < 5000


def test_a_head_request_takes_no_step_and_leaves_nothing_alive(
    streaming: Desk, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted: list[Access] = []
    admit = streaming.guard.guard.admit

    def noted(*args: Any, **kwargs: Any) -> Access:
        granted.append(admit(*args, **kwargs))
        return granted[-1]

    monkeypatch.setattr(streaming.guard.guard, "admit", noted)
    answer = streaming.browser().head("/stream/3", headers=JANE)
    answer.close()
    assert answer.status_code == 200
    assert seen.accesses == []
    assert [access.alive for access in granted] == [False]


def test_a_stream_that_another_function_throws_away_leaves_nothing_alive(streaming: Desk, seen: Seen) -> None:
    granted: list[Access] = []

    @streaming.app.after_request
    def replace(response: flask.Response) -> flask.Response:
        granted.append(response.response._access)  # type: ignore[union-attr]
        return flask.Response("something else")

    answer = streaming.browser().get("/stream/3", headers=JANE)
    assert answer.get_data() == b"something else"
    answer.close()
    assert [access.alive for access in granted] == [False]


def test_a_step_that_fails_ends_the_identity(desk: Desk, seen: Seen) -> None:
    @desk.app.get("/stream")
    @needs_scope
    def stream() -> flask.Response:
        def chunks() -> Iterator[str]:
            yield seen.note()
            raise OSError

        return flask.Response(chunks())

    answer = desk.browser().get("/stream", headers=JANE)
    steps = iter(answer.response)
    assert next(steps) == b"jane"
    with pytest.raises(OSError):
        next(steps)
    assert seen.alive == [False]


def test_a_refusal_in_the_middle_of_a_stream_stops_it_after_what_was_safe(desk: Desk) -> None:
    @desk.app.get("/stream")
    @needs_scope
    def stream() -> flask.Response:
        def chunks() -> Iterator[str]:
            yield desk.ask("hello")
            yield desk.ask("hello", model="gpt-unlisted")

        return flask.Response(chunks())

    with desk.served() as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/stream", headers=JANE)
        answer = connection.getresponse()
        with pytest.raises(http.client.IncompleteRead) as cut:
            answer.read()
        connection.close()
    assert cut.value.partial == b"You said: hello"
    assert desk.event_types()[-1] == "exchange.blocked"


def test_a_generator_that_was_put_aside_is_worthless_after_the_response(desk: Desk) -> None:
    kept: list[Iterator[str]] = []

    @desk.app.get("/reply")
    @needs_scope
    def reply() -> str:
        def later() -> Iterator[str]:
            yield desk.ask("first")
            yield desk.ask("second")

        kept.append(later())
        return next(kept[0])

    assert desk.browser().get("/reply", headers=JANE).get_data() == b"You said: first"
    with pytest.raises(AccessDenied) as refused:
        next(kept[0])
    assert refused.value.reasons[0].code == "access.none"
    assert len(desk.server.received) == 1


def test_a_thread_that_outlives_the_response_is_refused_even_with_a_copy_of_its_context(desk: Desk) -> None:
    done, outcome = threading.Event(), []
    threads: list[threading.Thread] = []

    @desk.app.get("/reply")
    @needs_scope
    def reply() -> str:
        def work() -> None:
            done.wait(5)
            try:
                outcome.append(desk.ask("too late"))
            except AccessDenied as refused:
                outcome.append(refused.reasons[0].code)

        threads.append(threading.Thread(target=contextvars.copy_context().run, args=(work,)))
        threads[0].start()
        return "at once"

    assert desk.browser().get("/reply", headers=JANE).get_data() == b"at once"
    done.set()
    threads[0].join(5)
    assert outcome == ["access.none"]
    assert not desk.server.received


def test_a_thread_inside_the_response_may_act_with_a_copy_of_the_context_and_not_without(desk: Desk) -> None:
    @desk.app.get("/reply")
    @needs_scope
    def reply() -> list[str]:
        def attempt(text: str) -> str:
            try:
                return desk.ask(text)
            except AccessDenied as refused:
                return refused.reasons[0].code

        with ThreadPoolExecutor() as pool:
            with_context = pool.submit(contextvars.copy_context().run, attempt, "hello")
            without = pool.submit(attempt, "hello")
            return [with_context.result(), without.result()]

    assert desk.browser().get("/reply", headers=JANE).get_json() == ["You said: hello", "access.none"]


@pytest.mark.parametrize("ending", ["returns", "raises", "aborts", "streams and raises"])
def test_however_a_request_ends_its_identity_ends_with_it(desk: Desk, seen: Seen, ending: str) -> None:
    @desk.app.get("/reply")
    @needs_scope
    def reply() -> Any:
        seen.note()
        if ending == "raises":
            raise OSError
        if ending == "aborts":
            flask.abort(404)
        return flask.Response(iter(["x"])) if ending.startswith("streams") else "fine"

    @desk.app.after_request
    def after(response: flask.Response) -> flask.Response:
        if ending == "streams and raises" and response.status_code == 200:
            raise OSError
        return response

    answer = desk.browser().get("/reply", headers=JANE)
    answer.close()
    assert answer.status_code == {"returns": 200, "aborts": 404}.get(ending, 500)
    assert seen.alive == [False]


def test_the_identity_is_gone_once_a_direct_call_in_a_request_context_is_over(desk: Desk, seen: Seen) -> None:
    @needs_scope
    def reply() -> str:
        return seen.note()

    with desk.app.test_request_context("/", headers=JANE):
        assert reply().get_data() == b"jane"  # type: ignore[attr-defined]
        assert current_access() is None
    assert seen.alive == [False]


def test_a_context_that_a_test_preserves_ends_with_its_block(desk: Desk, seen: Seen) -> None:
    @desk.app.get("/reply")
    @needs_scope
    def reply() -> str:
        return seen.note()

    with desk.browser() as browser:
        assert browser.get("/reply", headers=JANE).get_data() == b"jane"
        assert current_access() is None
    assert seen.alive == [False]


def test_functions_that_run_after_the_view_have_no_identity(desk: Desk, seen: Seen) -> None:
    names: list[str] = []

    @desk.app.after_request
    def after(response: flask.Response) -> flask.Response:
        names.append(seen.note())
        return response

    desk.app.teardown_request(lambda _error: names.append(seen.note()))

    @desk.app.get("/reply")
    @needs_scope
    def reply() -> str:
        return seen.note()

    assert desk.browser().get("/reply", headers=JANE).get_data() == b"jane"
    assert names == ["nobody", "nobody"]


def test_an_app_called_by_another_within_one_request_ends_only_its_own(new_desk: NewDesk, seen: Seen) -> None:
    inner, outer = new_desk().protect(), new_desk().protect()

    @inner.app.get("/reply")
    @needs_scope
    def reply() -> str:
        return inner.ask(seen.note())

    @outer.app.get("/reply")
    @needs_scope
    def forward() -> str:
        chunks = inner.app.wsgi_app(flask.request.environ, lambda *_args: lambda _data: None)
        said = b"".join(chunks).decode()
        chunks.close()  # type: ignore[attr-defined]
        return outer.ask(f"{seen.note()} {said}")

    assert outer.browser().get("/reply", headers=JANE).get_data() == b"You said: jane You said: jane"
    assert seen.alive == [False, False]
    assert seen.accesses[0].realm is inner.guard.guard
    assert seen.accesses[1].realm is outer.guard.guard


# --- law 10: concurrency changes nothing, and law 4: what was hidden comes back to the right person only --------------


def test_eight_threads_of_actors_each_get_their_own_values_back_and_nobody_else_s(desk: Desk) -> None:
    """Every answer quotes the token of this request, and the one that the model saw in the request before it."""
    last: list[str] = []
    lock = threading.Lock()

    def echo_and_betray(said: str) -> str:
        with lock:
            other = last[-1] if last else ""
            last.append(said)
        return f"{said} / {other}"

    desk.server.answer = echo_and_betray

    @desk.app.post("/reply")
    @needs_scope
    def reply() -> flask.Response:
        message = flask.request.get_json()["message"]
        if flask.request.args.get("stream"):
            return flask.Response(iter_once(lambda: desk.ask(message)), mimetype="text/plain")
        return flask.Response(desk.ask(message), mimetype="text/plain")

    def iter_once(make: Callable[[], str]) -> Iterator[str]:
        yield make()

    def one_caller(number: int, port: int) -> list[str]:
        wrong = []
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for turn in range(50):
            email = f"person{number}.turn{turn}@example.org"
            headers = {"X-User": f"person{number}", "X-Scopes": "support:reply", "Content-Type": "application/json"}
            path = "/reply?stream=1" if turn % 2 else "/reply"
            connection.request("POST", path, json.dumps({"message": f"I am {email}"}), headers)
            answer = connection.getresponse()
            body = answer.read().decode()
            own, _, other = body.partition(" / ")
            if answer.status != 200 or own != f"I am {email}" or "@" in other:
                wrong.append(f"{answer.status} {body[:100]}")
            connection.close()
        return wrong

    assert desk.client is not None  # made once, before eight threads would each make one
    with desk.served() as port, ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda number: one_caller(number, port), range(8)))
    assert [wrong for wrong in results if wrong] == []
    assert len(desk.server.received) == 400
    assert "@example.org" not in desk.server.texts


def test_the_answer_carries_the_id_of_its_exchange(desk: Desk) -> None:
    @desk.app.get("/reply")
    @needs_scope
    def reply() -> str:
        raw = desk.client.chat.completions.with_raw_response.create(
            model="gpt-5-mini", messages=[{"role": "user", "content": "hello"}]
        )
        return raw.headers[DECISION_HEADER]

    id = desk.browser().get("/reply", headers=JANE).get_data(as_text=True)
    assert [event.type for event in desk.events() if event.decision_id == id] == [
        "exchange.decided",
        "exchange.completed",
    ]


def test_a_conversation_keeps_tokens_for_its_actor_and_gives_another_actor_none(desk: Desk) -> None:
    desk.server.answer = lambda said: said

    @desk.app.post("/reply")
    @needs_scope
    def reply() -> str:
        with desk.guard.conversation("ticket-1"):
            return desk.ask(flask.request.get_json()["message"])

    browser = desk.browser()
    eve = {"X-User": "eve", "X-Scopes": "support:reply"}
    elsewhere = {**JANE, "X-Tenant": "elsewhere"}
    browser.post("/reply", json={"message": f"I am {EMAIL}"}, headers=JANE)
    token = json.loads(desk.server.received[0])["messages"][-1]["content"].removeprefix("I am ")
    assert token.startswith("[EMAIL_")
    desk.server.answer = lambda _said: f"write to {token}"
    assert browser.post("/reply", json={"message": "whom?"}, headers=JANE).get_data(as_text=True) == f"write to {EMAIL}"
    for other in (eve, elsewhere):
        told = browser.post("/reply", json={"message": "whom?"}, headers=other).get_data(as_text=True)
        assert told == f"write to {token}"


def test_a_token_that_a_caller_types_is_not_turned_into_somebody_s_value(desk: Desk) -> None:
    desk.server.answer = lambda said: said

    @desk.app.post("/reply")
    @needs_scope
    def reply() -> str:
        with desk.guard.conversation("ticket-1"):
            return desk.ask(flask.request.get_json()["message"])

    browser = desk.browser()
    browser.post("/reply", json={"message": f"I am {EMAIL}"}, headers=JANE)
    token = json.loads(desk.server.received[0])["messages"][-1]["content"].removeprefix("I am ")
    told = browser.post("/reply", json={"message": f"what is {token}?"}, headers=JANE)
    assert told.get_data(as_text=True) == f"what is {token}?"
