"""A whole blueprint, or application, behind one guard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import pytest
from tests.flask_door.conftest import NewDesk
from tests.flask_door.door_support import JANE, Desk, is_problem

from aiguard.errors import UnguardedRoute
from aiguard.flask import require_ai_scope
from aiguard.flask.routes import entries_of
from aiguard.identity import current_access


def who() -> str:
    access = current_access()
    return access.actor.id if access is not None else "nobody"


def guarded_blueprint(desk: Desk, kind: str = "sync", scope: str = "support:reply") -> list[str]:
    """Registers a blueprint, with another inside, whose views are guarded by one function before them."""
    ran: list[str] = []
    outer = flask.Blueprint("outer", __name__, url_prefix="/outer")
    inner = flask.Blueprint("inner", __name__, url_prefix="/inner")

    def before() -> None:
        ran.append("before")

    async def before_async() -> None:
        ran.append("before")

    outer.before_request(require_ai_scope(scope)(before_async if kind == "async" else before))

    @outer.get("/who")
    @inner.get("/who")
    def shows() -> str:
        ran.append("view")
        return who()

    @inner.get("/ask")
    def asks() -> dict[str, str]:
        return {"reply": desk.ask("jane.doe@example.org")}

    @outer.get("/stream")
    def streams() -> flask.Response:
        def pieces() -> Iterator[str]:
            for _ in range(3):
                yield f"{who()} "

        return flask.Response(flask.stream_with_context(pieces()))

    @outer.get("/plain")
    def streams_plainly() -> flask.Response:
        return flask.Response(f"{who()} " for _ in range(3))

    @outer.get("/more")
    @require_ai_scope("support:triage")
    def more() -> str:
        return "in"

    outer.register_blueprint(inner)
    desk.app.register_blueprint(outer)
    desk.app.add_url_rule("/free", "free", who)
    return ran


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_guard_before_a_blueprint_guards_all_of_it_and_only_it(kind: str, desk: Desk) -> None:
    ran = guarded_blueprint(desk, kind)
    browser = desk.browser()
    for path in ("/outer/who", "/outer/inner/who", "/outer/inner/ask", "/outer/stream"):
        is_problem(browser.get(path), 401)
        is_problem(browser.get(path, headers={"X-User": "bob", "X-Scopes": ""}), 403)
    assert ran == []
    assert browser.get("/outer/who", headers=JANE).text == "jane"
    assert browser.get("/outer/inner/who", headers=JANE).text == "jane"
    assert browser.get("/outer/inner/ask", headers=JANE).get_json() == {"reply": "You said: jane.doe@example.org"}
    assert "jane.doe" not in desk.server.texts
    assert browser.get("/free", headers=JANE).text == "nobody"
    assert who() == "nobody"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_stream_of_such_a_blueprint_has_the_identity_at_every_step(kind: str, desk: Desk) -> None:
    guarded_blueprint(desk, kind)
    answer = desk.browser().get("/outer/stream", headers=JANE)
    assert answer.text == "jane jane jane "
    answer.close()
    assert who() == "nobody"


def test_a_thread_that_puts_such_a_stream_aside_serves_the_next_request_as_nobody(desk: Desk) -> None:
    guarded_blueprint(desk)
    first = desk.browser().get("/outer/plain", headers=JANE, buffered=False)
    assert who() == "nobody"
    assert desk.browser().get("/free").text == "nobody"
    second = desk.browser().get("/outer/plain", headers={**JANE, "X-User": "tom"}, buffered=False)
    pieces = [(next(first.response), next(second.response), who()) for _ in range(3)]
    assert pieces == [(b"jane ", b"tom ", "nobody")] * 3
    first.close()
    second.close()


def test_a_view_in_it_may_ask_for_more(desk: Desk) -> None:
    guarded_blueprint(desk)
    assert "support:triage" in is_problem(desk.browser().get("/outer/more", headers=JANE), 403)["detail"]
    both = {**JANE, "X-Scopes": "support:reply support:triage"}
    assert desk.browser().get("/outer/more", headers=both).text == "in"


def test_a_whole_application_can_be_guarded_so(desk: Desk) -> None:
    desk.app.add_url_rule("/who", "who", who)
    desk.app.before_request(require_ai_scope("support:reply")(lambda: None))
    is_problem(desk.browser().get("/who"), 401)
    assert desk.browser().get("/who", headers=JANE).text == "jane"
    is_problem(desk.browser().get("/nothing-there"), 401)


def test_the_scope_of_such_a_guard_is_checked_and_listed(new_desk: NewDesk) -> None:
    desk = new_desk().protect()
    guarded_blueprint(desk)
    listed = {entry.endpoint: [marker.scope for marker in entry.markers] for entry in entries_of(desk.app)}
    assert listed["outer.inner.shows"] == ["support:reply"]
    assert listed["outer.more"] == ["support:reply", "support:triage"]
    assert listed["free"] == []
    other = new_desk().protect()
    guarded_blueprint(other, scope="nobody:knows")
    with pytest.raises(UnguardedRoute, match="nobody:knows"):
        other.browser().get("/free")


def test_a_view_that_answers_nothing_is_still_flasks_to_complain_about(desk: Desk) -> None:
    def nothing() -> Any:
        return None

    desk.app.add_url_rule("/nothing", "nothing", require_ai_scope("support:reply")(nothing))
    assert desk.browser().get("/nothing", headers=JANE).status_code == 500
    assert who() == "nobody"
