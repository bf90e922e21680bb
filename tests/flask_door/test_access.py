"""Who may reach a guarded view, and what everybody else is told."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from typing import Any

import flask
import flask_login
import pytest
from flask.views import MethodView, View
from tests.flask_door.conftest import NewDesk
from tests.flask_door.door_support import EMAIL, JANE, Desk, is_problem

from aiguard import Actor, Decision
from aiguard.errors import AccessDenied, ConfigurationError
from aiguard.flask import require_ai_scope


def with_reply(desk: Desk, **options: Any) -> Desk:
    @desk.app.post("/reply")
    @require_ai_scope("support:reply", **options)
    def reply() -> dict[str, str]:
        return {"reply": desk.ask(flask.request.get_json()["message"])}

    return desk


def test_nobody_signed_in_is_told_so_with_the_id_under_which_it_is_recorded(desk: Desk) -> None:
    with_reply(desk)
    answer = desk.browser().post("/reply", json={"message": f"I am {EMAIL}"})
    problem = is_problem(answer, 401)
    assert problem["scope"] == "support:reply"
    assert "sign in" in problem["detail"]
    assert problem["reasons"][0]["code"] == "actor.missing"
    assert "WWW-Authenticate" in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    assert EMAIL not in answer.get_data(as_text=True)
    event = desk.event_of(answer)
    assert event.type == "access.denied"
    assert event.actor == ""
    assert event.payload["scope"] == "support:reply"
    assert event.payload["route"] == "/reply"
    assert not desk.server.received


def test_a_caller_without_the_scope_is_told_which_one_is_missing(desk: Desk) -> None:
    with_reply(desk)
    answer = desk.browser().post("/reply", json={"message": f"I am {EMAIL}"}, headers={"X-User": "bob"})
    problem = is_problem(answer, 403)
    assert problem["scope"] == "support:reply"
    assert "support:reply" in problem["detail"]
    assert EMAIL not in answer.get_data(as_text=True)
    event = desk.event_of(answer)
    assert event.type == "access.denied"
    assert event.resource == "support-reply"
    assert event.actor
    assert event.actor != "bob"
    assert event.payload["reasons"] == ["scope.missing"]
    assert not desk.server.received


def test_a_caller_with_the_scope_is_answered_and_gets_the_value_back_that_the_model_never_saw(desk: Desk) -> None:
    with_reply(desk)
    answer = desk.browser().post("/reply", json={"message": f"I am {EMAIL}"}, headers=JANE)
    assert answer.get_json() == {"reply": f"You said: I am {EMAIL}"}
    assert EMAIL not in desk.server.texts
    assert desk.event_types() == ["access.allowed", "exchange.decided", "exchange.completed"]


def test_an_exchange_names_the_access_it_rests_on(desk: Desk) -> None:
    with_reply(desk)
    desk.browser().post("/reply", json={"message": "hello"}, headers=JANE)
    access, decided, completed = desk.events()
    assert decided.parent_id == completed.parent_id == access.decision_id


def test_an_async_view_is_guarded_like_any_other(desk: Desk) -> None:
    @desk.app.post("/reply")
    @require_ai_scope("support:reply")
    async def reply() -> dict[str, str]:
        return {"reply": desk.ask(f"I am {EMAIL}")}

    browser = desk.browser()
    is_problem(browser.post("/reply"), 401)
    is_problem(browser.post("/reply", headers={"X-User": "bob"}), 403)
    assert browser.post("/reply", headers=JANE).get_json() == {"reply": f"You said: I am {EMAIL}"}
    assert EMAIL not in desk.server.texts


def test_a_refusal_inside_an_async_view_is_a_problem_too(desk: Desk) -> None:
    @desk.app.post("/reply")
    @require_ai_scope("support:reply")
    async def reply() -> dict[str, str]:
        return {"reply": desk.ask("hello", model="gpt-unlisted")}

    problem = is_problem(desk.browser().post("/reply", headers=JANE), 403)
    assert problem["reasons"][0]["code"] == "model.unlisted"


def test_a_class_based_view_is_guarded_by_its_decorators(desk: Desk) -> None:
    class Reply(View):
        methods = ("POST",)
        decorators = [require_ai_scope("support:reply")]  # noqa: RUF012 - as Flask spells it

        def dispatch_request(self) -> dict[str, str]:
            return {"reply": desk.ask("hello")}

    desk.app.add_url_rule("/reply", view_func=Reply.as_view("reply"))
    is_problem(desk.browser().post("/reply"), 401)
    assert desk.browser().post("/reply", headers=JANE).get_json() == {"reply": "You said: hello"}


def test_a_method_view_is_guarded_method_by_method(desk: Desk) -> None:
    class Reply(MethodView):
        def get(self) -> str:
            return "open to all"

        @require_ai_scope("support:reply")
        def post(self) -> dict[str, str]:
            return {"reply": desk.ask("hello")}

        @require_ai_scope("support:triage")
        async def put(self) -> dict[str, str]:
            return {"reply": desk.ask("hello")}

    desk.app.add_url_rule("/reply", view_func=Reply.as_view("reply"))
    browser = desk.browser()
    assert browser.get("/reply").get_data(as_text=True) == "open to all"
    assert browser.post("/reply", headers=JANE).get_json() == {"reply": "You said: hello"}
    assert is_problem(browser.put("/reply", headers=JANE), 403)["scope"] == "support:triage"


def test_a_class_cannot_be_decorated_by_mistake() -> None:
    with pytest.raises(TypeError, match="decorators list"):
        require_ai_scope("support:reply")(type("Reply", (View,), {}))


def test_the_decorator_without_its_scope_says_how_it_is_written() -> None:
    with pytest.raises(TypeError, match="in parentheses"):
        require_ai_scope(lambda: "view")  # type: ignore[arg-type]


def test_a_blueprint_s_views_are_guarded_and_recorded_under_their_whole_route(desk: Desk) -> None:
    blueprint = flask.Blueprint("desk", __name__, url_prefix="/desk/<team>")

    @blueprint.post("/reply")
    @require_ai_scope("support:reply")
    def reply(team: str) -> dict[str, str]:
        return {"reply": desk.ask(team)}

    desk.app.register_blueprint(blueprint)
    is_problem(desk.browser().post("/desk/red/reply"), 401)
    assert desk.browser().post("/desk/red/reply", headers=JANE).get_json() == {"reply": "You said: red"}
    assert {event.payload["route"] for event in desk.events() if event.type.startswith("access")} == {
        "/desk/<team>/reply"
    }


def test_a_feature_can_be_named_beside_the_scope_and_then_both_scopes_are_needed(desk: Desk) -> None:
    with_reply(desk, feature="support-triage")
    answer = desk.browser().post("/reply", json={"message": "hi"}, headers=JANE)
    assert "support:triage" in is_problem(answer, 403)["detail"]
    both = {"X-User": "jane", "X-Scopes": "support:reply support:triage"}
    assert desk.browser().post("/reply", json={"message": "hi"}, headers=both).status_code == 200
    assert desk.events()[-1].resource == "support-triage"


def test_the_inner_of_two_guards_is_the_one_a_refusal_names(desk: Desk) -> None:
    @desk.app.post("/reply")
    @require_ai_scope("support:reply")
    @require_ai_scope("support:triage")
    def reply() -> str:
        return desk.ask("hello")

    assert is_problem(desk.browser().post("/reply", headers=JANE), 403)["scope"] == "support:triage"
    assert is_problem(desk.browser().post("/reply"), 401)["scope"] == "support:reply"


# --- whom the data is about -----------------------------------------------------------------------------------------


def test_the_data_is_about_the_actor_unless_the_route_says_about_whom(desk: Desk) -> None:
    @desk.app.post("/own")
    @require_ai_scope("support:reply")
    def own() -> str:
        return desk.ask("hello")

    @desk.app.post("/customers/<id>")
    @require_ai_scope("support:reply", subject=lambda: flask.request.view_args["id"])  # type: ignore[index]
    def about(id: str) -> str:
        return desk.ask(f"hello {id}")

    desk.browser().post("/own", headers=JANE)
    desk.browser().post("/customers/tom", headers=JANE)
    names = desk.guard.guard.recorded_names
    jane = Actor(id="jane")
    assert {event.subject for event in desk.events()[:3]} == {names(jane, "jane")["subject"]}
    assert {event.subject for event in desk.events()[3:]} == {names(jane, "tom")["subject"]}


def test_the_extension_s_subject_resolver_serves_every_route(new_desk: NewDesk) -> None:
    desk = with_reply(new_desk().protect(subject=lambda: "tom"))
    desk.browser().post("/reply", json={"message": "hi"}, headers=JANE)
    names = desk.guard.guard.recorded_names(Actor(id="jane"), "tom")
    assert {event.subject for event in desk.events()} == {names["subject"]}


@pytest.mark.parametrize("answer", [7, "", b"tom", ["tom"]])
def test_a_subject_that_is_no_id_refuses_the_request(new_desk: NewDesk, answer: Any) -> None:
    desk = with_reply(new_desk().protect(subject=lambda: answer))
    problem = is_problem(desk.browser().post("/reply", json={"message": "hi"}, headers=JANE), 503)
    assert problem["reasons"][0]["code"] == "actor.failed"
    assert not desk.server.received


# --- who decides ----------------------------------------------------------------------------------------------------


def raising(*_args: Any) -> Any:
    raise RuntimeError(f"the directory says {EMAIL} is unknown")


@pytest.mark.parametrize("answer", [True, None, "yes", 1])
def test_an_authoriser_that_does_not_answer_with_a_decision_has_not_said_yes(new_desk: NewDesk, answer: Any) -> None:
    desk = with_reply(new_desk().protect(authoriser=lambda _actor, _scope: answer))
    problem = is_problem(desk.browser().post("/reply", json={"message": "hi"}, headers=JANE), 503)
    assert problem["reasons"][0]["code"] == "authoriser.invalid"
    assert desk.event_types() == ["access.denied"]
    assert not desk.server.received


def test_an_authoriser_that_raises_has_not_said_yes(new_desk: NewDesk) -> None:
    desk = with_reply(new_desk().protect(authoriser=raising))
    answer = desk.browser().post("/reply", json={"message": "hi"}, headers=JANE)
    assert "RuntimeError" in is_problem(answer, 503)["detail"]
    assert EMAIL not in answer.get_data(as_text=True)
    assert desk.event_types() == ["access.denied"]


def test_an_authoriser_s_own_reason_reaches_the_caller(new_desk: NewDesk) -> None:
    def office_hours(actor: Actor, scope: str) -> Decision:
        assert (actor.id, scope) == ("jane", "support:reply")
        return Decision.deny("come back between nine and five", code="hours.closed")

    desk = with_reply(new_desk().protect(authoriser=office_hours))
    problem = is_problem(desk.browser().post("/reply", json={"message": "hi"}, headers=JANE), 403)
    assert problem["detail"] == "come back between nine and five"
    assert desk.events()[-1].payload["reasons"] == ["hours.closed"]


def test_an_authoriser_can_allow_without_a_scope_on_the_actor(new_desk: NewDesk) -> None:
    desk = with_reply(new_desk().protect(authoriser=lambda _actor, _scope: Decision.allow()))
    assert desk.browser().post("/reply", json={"message": "hi"}, headers={"X-User": "bob"}).status_code == 200


@pytest.mark.parametrize(
    "resolver",
    [
        raising,
        lambda: {"id": "jane"},
        lambda: Actor(id=""),
        lambda: Actor(id=7),  # type: ignore[arg-type]
        lambda: Actor(id="jane", tenant=7),  # type: ignore[arg-type]
        lambda: Actor(id="jane", scopes="support:reply"),  # type: ignore[arg-type]
    ],
    ids=["raises", "a dict", "no id", "a number", "a tenant that is a number", "scopes in one text"],
)
def test_a_caller_who_cannot_be_resolved_is_nobody_s_guess(new_desk: NewDesk, resolver: Callable[[], Any]) -> None:
    desk = with_reply(new_desk().protect(actor=resolver))
    answer = desk.browser().post("/reply", json={"message": "hi"}, headers=JANE)
    problem = is_problem(answer, 503)
    assert problem["reasons"][0]["code"] == "actor.failed"
    assert EMAIL not in answer.get_data(as_text=True)
    event = desk.event_of(answer)
    assert event.type == "access.denied"
    assert event.payload["scope"] == "support:reply"
    assert not desk.server.received


def test_a_resolver_may_answer_the_request_itself(new_desk: NewDesk) -> None:
    desk = with_reply(new_desk().protect(actor=lambda: flask.abort(418)))
    assert desk.browser().post("/reply", json={"message": "hi"}).status_code == 418


@pytest.mark.parametrize("id", ["j" * 10_000, "\ud800", "jane\x00doe", "ж", "jane.doe@example.org"])
def test_any_text_can_be_an_actor_s_id_and_none_of_it_is_in_the_log(new_desk: NewDesk, id: str) -> None:
    desk = with_reply(new_desk().protect(actor=lambda: Actor(id=id, tenant=id, scopes=frozenset({"support:reply"}))))
    assert desk.browser().post("/reply", json={"message": "hi"}).status_code == 200
    assert all(id not in json.dumps(dict(event.payload)) for event in desk.events())
    assert all(event.actor not in ("", id) for event in desk.events())


# --- flask-login ------------------------------------------------------------------------------------------------------


class Person(flask_login.UserMixin):  # type: ignore[misc]
    def __init__(self, id: str, scopes: Any, tenant: Any = None) -> None:
        self.id = id
        self.ai_scopes = scopes
        self.tenant = tenant


def with_login(desk: Desk, people: dict[str, Person]) -> Desk:
    manager = flask_login.LoginManager(desk.app)
    manager.user_loader(people.get)

    @desk.app.post("/login/<id>")
    def login(id: str) -> str:
        flask_login.login_user(people[id])
        return "welcome"

    return desk


def test_flask_login_says_who_is_calling_unless_told_otherwise(new_desk: NewDesk) -> None:
    desk = new_desk()
    people = {
        "ann": Person("ann", {"support:reply"}, tenant=7),
        "tom": Person("tom", lambda: ["support:reply"]),
        "eve": Person("eve", ()),
        "bad": Person("bad", "support:reply"),
    }
    with_login(desk, people)
    with_reply(desk.protect(actor=None))
    is_problem(desk.browser().post("/reply", json={"message": "hi"}), 401)
    for id, status in [("ann", 200), ("tom", 200), ("eve", 403), ("bad", 503)]:
        browser = desk.browser()
        browser.post(f"/login/{id}")
        assert browser.post("/reply", json={"message": "hi"}).status_code == status, id
    names = desk.guard.guard.recorded_names(Actor(id="ann", tenant="7"), None)
    assert names["actor"] in {event.actor for event in desk.events()}
    assert names["tenant"] in {event.tenant for event in desk.events()}


def test_a_signed_in_user_without_an_id_is_nobody_in_particular(new_desk: NewDesk) -> None:
    class Unsaved(Person):
        def get_id(self) -> Any:
            return None

    desk = new_desk()
    flask_login.LoginManager(desk.app).request_loader(lambda _request: Unsaved("", {"support:reply"}))
    with_reply(desk.protect(actor=None))
    is_problem(desk.browser().post("/reply", json={"message": "hi"}), 503)


def test_a_login_manager_may_be_set_up_after_the_guard(new_desk: NewDesk) -> None:
    desk = with_reply(new_desk().protect(actor=None))
    with_login(desk, {})
    is_problem(desk.browser().post("/reply", json={"message": "hi"}), 401)


def test_without_a_login_manager_the_app_does_not_serve_and_says_what_to_do(new_desk: NewDesk) -> None:
    desk = with_reply(new_desk().protect(actor=None))
    with pytest.raises(ConfigurationError, match=r"has no LoginManager.*actor="):
        desk.browser().get("/anything")


def test_without_flask_login_the_app_does_not_serve_and_says_what_to_do(
    new_desk: NewDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = with_reply(new_desk().protect(actor=None))
    real = builtins.__import__

    def missing(name: str, *args: Any) -> Any:
        if name == "flask_login":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigurationError, match=r"flask-login is not installed.*actor="):
        desk.browser().get("/anything")


def test_an_app_without_guarded_views_needs_no_login_manager(new_desk: NewDesk) -> None:
    desk = new_desk().protect(actor=None)
    assert desk.browser().get("/anything").status_code == 404


def test_a_guarded_view_of_an_app_without_a_guard_is_refused() -> None:
    app = flask.Flask("bare")
    app.testing = True

    @app.post("/reply")
    @require_ai_scope("support:reply")
    def reply() -> str:
        return "unguarded"

    with pytest.raises(ConfigurationError, match="has no AIGuard"):
        app.test_client().post("/reply")


def test_outside_of_a_guarded_view_the_client_is_refused_and_recorded(desk: Desk) -> None:
    @desk.app.get("/open")
    def open_to_all() -> str:
        return desk.ask("hello")

    problem = is_problem(desk.browser().get("/open"), 403)
    assert problem["reasons"][0]["code"] == "access.none"
    assert desk.event_types() == ["exchange.blocked"]
    with pytest.raises(AccessDenied):
        desk.ask("hello")
    assert not desk.server.received


def test_a_job_acts_for_a_person_with_the_extension_s_help(desk: Desk) -> None:
    jane = Actor(id="jane", scopes=frozenset({"support:reply"}))
    with desk.guard.acting_as(jane, scope="support:reply"):
        assert desk.ask(EMAIL) == f"You said: {EMAIL}"
    assert EMAIL not in desk.server.texts
