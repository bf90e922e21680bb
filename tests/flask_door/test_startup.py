"""What stops an application from serving, and how the extension is set up."""

from __future__ import annotations

import functools
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import flask_login
import pytest
from flask.views import MethodView
from openai import OpenAI
from tests.flask_door.conftest import NewDesk
from tests.flask_door.door_support import JANE, POLICY, Desk, header_actor

from aiguard import Actor, Operator, logs
from aiguard.errors import ConfigurationError, PolicyError, SchemaRevisionError, SettingsError, UnguardedRoute
from aiguard.flask import AIGuard, require_ai_scope

needs_scope = require_ai_scope("support:reply")


def with_wraps(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return inner


def without_wraps(view: Callable[..., Any]) -> Callable[..., Any]:
    def inner(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return inner


def partial(view: Callable[..., Any]) -> Callable[..., Any]:
    return functools.partial(view)


def nothing(view: Callable[..., Any]) -> Callable[..., Any]:
    return view


BETWEEN = [nothing, with_wraps, without_wraps, partial, flask_login.login_required]


def refuses_to_serve(desk: Desk) -> pytest.ExceptionInfo[UnguardedRoute]:
    with pytest.raises(UnguardedRoute) as refused:
        desk.browser().get("/another-route-altogether")
    return refused


@pytest.mark.parametrize("between", BETWEEN, ids=lambda decorator: decorator.__name__)
def test_an_app_whose_guard_stands_outside_the_route_does_not_serve(desk: Desk, between: Callable[..., Any]) -> None:
    @needs_scope
    @between
    @desk.app.get("/reply")
    def reply() -> str:
        return "unguarded"

    message = str(refuses_to_serve(desk).value)
    assert "'reply'" in message
    assert "'support:reply'" in message
    assert "directly below @app.route" in message


@pytest.mark.parametrize("between", BETWEEN[:-1], ids=lambda decorator: decorator.__name__)
def test_an_app_whose_guard_stands_below_the_route_serves(desk: Desk, between: Callable[..., Any]) -> None:
    def reply() -> str:
        return "guarded"

    desk.app.add_url_rule("/reply", "reply", between(needs_scope(reply)))
    assert desk.browser().get("/reply", headers=JANE).get_data() == b"guarded"
    assert desk.browser().get("/reply").status_code == 401


def test_a_view_registered_a_second_time_without_its_guard_is_found(desk: Desk) -> None:
    def reply() -> str:
        return "unguarded"

    desk.app.add_url_rule("/good", "good", needs_scope(reply))
    desk.app.add_url_rule("/bare", "bare", reply)
    assert "'bare'" in str(refuses_to_serve(desk).value)


def test_a_class_based_view_decorated_after_it_was_registered_is_found(desk: Desk) -> None:
    class Reply(MethodView):
        def get(self) -> str:
            return "unguarded"

    view = Reply.as_view("reply")
    desk.app.add_url_rule("/reply", view_func=view)
    needs_scope(view)
    refuses_to_serve(desk)


def test_a_blueprint_s_view_with_its_guard_outside_is_found(desk: Desk) -> None:
    blueprint = flask.Blueprint("desk", __name__)

    @needs_scope
    @blueprint.get("/reply")
    def reply() -> str:
        return "unguarded"

    desk.app.register_blueprint(blueprint)
    assert "'desk.reply'" in str(refuses_to_serve(desk).value)


def test_a_route_that_is_added_or_replaced_while_the_app_serves_is_checked_too(desk: Desk) -> None:
    @desk.app.get("/reply")
    @needs_scope
    def reply() -> str:
        return "guarded"

    assert desk.browser().get("/reply", headers=JANE).status_code == 200

    def bare() -> str:
        return "unguarded"

    needs_scope(bare)
    desk.app.view_functions["reply"] = bare  # as a reloader or a plugin does
    refuses_to_serve(desk)


def test_an_open_view_that_calls_a_guarded_one_is_no_mistake(desk: Desk) -> None:
    @desk.app.get("/reply")
    @needs_scope
    def reply() -> str:
        return "guarded"

    @desk.app.get("/open")
    def open_to_all() -> Any:
        return reply()

    assert desk.browser().get("/open").status_code == 401
    assert desk.browser().get("/open", headers=JANE).get_data() == b"guarded"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("support:repyl",), r"'support:repyl', for which policy has no feature"),
        (("support:reply", "support-repyl"), r"names the feature 'support-repyl', which policy does not know"),
    ],
)
def test_a_scope_or_feature_that_policy_does_not_know_stops_the_app(
    desk: Desk, arguments: tuple[str, ...], told: str
) -> None:
    class Reply(MethodView):
        @needs_scope
        def get(self) -> str:
            return "guarded"

        @require_ai_scope(arguments[0], feature=arguments[1] if len(arguments) > 1 else None)
        def post(self) -> str:
            return "unknown"

    desk.app.add_url_rule("/reply", view_func=Reply.as_view("reply"))
    with pytest.raises(UnguardedRoute, match=told):
        desk.browser().get("/reply", headers=JANE)


def test_over_a_socket_an_unguarded_route_answers_500_and_runs_nothing(desk: Desk) -> None:
    ran = []

    @needs_scope
    @desk.app.get("/reply")
    def reply() -> str:
        ran.append(1)
        return "unguarded"

    with pytest.raises(UnguardedRoute):
        desk.browser().get("/reply")
    assert ran == []


# --- setting up -------------------------------------------------------------------------------------------------------


def test_a_second_guard_for_an_app_is_a_mistake(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="has an AIGuard already"):
        AIGuard(desk.app)
    with pytest.raises(ConfigurationError, match="has an AIGuard already"):
        desk.guard.init_app(desk.app)


def test_a_guard_that_comes_after_the_first_request_is_too_late(new_desk: NewDesk) -> None:
    desk = new_desk()
    desk.browser().get("/")
    with pytest.raises(ConfigurationError, match="before its first request"):
        desk.protect()


def test_a_client_made_at_import_time_serves_the_app_made_later(
    new_desk: NewDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = new_desk()
    monkeypatch.setenv("OPENAI_BASE_URL", desk.server.base_url)
    guard = AIGuard(actor=header_actor)
    desk.client = guard.client(OpenAI, max_retries=0)
    with pytest.raises(ConfigurationError, match="call init_app"):
        desk.ask("hello")

    @desk.app.get("/reply")
    @needs_scope
    def reply() -> str:
        return desk.ask("hello")

    guard.init_app(desk.app)
    assert desk.browser().get("/reply", headers=JANE).get_data() == b"You said: hello"


def test_a_client_made_for_another_server_sends_it_nothing(
    new_desk: NewDesk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    desk = new_desk()
    guard = AIGuard(actor=header_actor)
    desk.client = guard.client(OpenAI, max_retries=0)
    guard.init_app(desk.app)

    @desk.app.get("/reply")
    @needs_scope
    def reply() -> str:
        return desk.ask("hello")

    with caplog.at_level(logging.ERROR):
        assert desk.browser().get("/reply", headers=JANE).status_code == 500
    assert "create it after init_app" in caplog.text
    assert not desk.server.received


def test_a_missing_credential_is_said_in_the_log_and_is_not_the_model_server_s_failure(
    new_desk: NewDesk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    desk = new_desk(AIGUARD_OPENAI_API_KEY=None).protect()

    @desk.app.get("/reply")
    @needs_scope
    def reply() -> str:
        return desk.ask("hello")

    with caplog.at_level(logging.ERROR):
        assert desk.browser().get("/reply", headers=JANE).status_code == 500
    assert "AIGUARD_OPENAI_API_KEY" in caplog.text
    assert desk.event_types()[-1] == "exchange.failed"
    assert not desk.server.received


def test_one_extension_guards_two_apps_and_each_has_its_own_state(new_desk: NewDesk) -> None:
    red, blue = new_desk(), new_desk()
    guard = AIGuard(actor=header_actor)
    for desk in (red, blue):
        guard.init_app(desk.app)
        desk.guard = guard

    clients = {}
    for desk in (red, blue):
        with desk.app.app_context():
            clients[desk] = desk.client = guard.client(OpenAI, max_retries=0)
            assert guard.guard is desk.app.extensions["aiguard"].guard
    with pytest.raises(ConfigurationError, match="several applications"):
        _ = guard.guard

    def add(desk: Desk) -> None:
        @desk.app.get("/reply")
        @needs_scope
        def reply() -> flask.Response:
            def chunks() -> Any:  # no application context here: the access says whose guard it is
                yield desk.ask("hello")

            return flask.Response(chunks())

    for desk in (red, blue):
        add(desk)
        answer = desk.browser().get("/reply", headers=JANE)
        assert answer.get_data() == b"You said: hello"
        answer.close()
    for desk in (red, blue):
        with desk.app.app_context():
            assert desk.event_types() == ["access.allowed", "exchange.decided", "exchange.completed"]


def test_an_access_of_one_app_is_worth_nothing_in_another(new_desk: NewDesk) -> None:
    red, blue = new_desk().protect(), new_desk().protect()

    @red.app.get("/reply")
    @needs_scope
    def reply() -> str:
        return blue.ask("hello")

    answer = red.browser().get("/reply", headers=JANE)
    assert answer.get_json()["reasons"][0]["code"] == "access.foreign"
    assert blue.event_types() == ["exchange.blocked"]


def test_the_application_s_configuration_wins_over_the_environment(
    new_desk: NewDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "production")
    monkeypatch.setenv("AIGUARD_POLICY", "/nowhere.toml")
    monkeypatch.setenv("AIGUARD_MAX_BODY_BYTES", "77")
    desk = new_desk(AIGUARD_MAX_BODY_BYTES=1000).protect()
    assert desk.guard.guard.settings.environment == "test"
    assert desk.guard.guard.settings.max_body_bytes == 1000


def test_a_misspelt_setting_is_an_error_that_names_the_right_one(new_desk: NewDesk) -> None:
    with pytest.raises(SettingsError, match="did you mean AIGUARD_POLICY"):
        new_desk(AIGUARD_POLICI="x").protect()


def test_an_unset_environment_is_production_and_production_needs_keys(
    new_desk: NewDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIGUARD_ENVIRONMENT", raising=False)
    with pytest.raises(SettingsError, match="AIGUARD_KEYS is not set; in production"):
        new_desk(AIGUARD_ENVIRONMENT=None, AIGUARD_KEY_FILE=None).protect()


def test_production_does_not_create_its_own_database_schema(new_desk: NewDesk, tmp_path: Path) -> None:
    with pytest.raises(SchemaRevisionError):
        new_desk(
            AIGUARD_ENVIRONMENT="production",
            AIGUARD_KEY_FILE=None,
            AIGUARD_KEYS=[os.urandom(32)],
            AIGUARD_DATABASE_URL=f"sqlite:///{tmp_path / 'new.db'}",
        ).protect()


def corrupt(policy: Path) -> None:
    policy.write_bytes(b"\xff\xfe[features")


def not_toml(policy: Path) -> None:
    policy.write_text("[features.support-reply\n")


def unknown_key(policy: Path) -> None:
    policy.write_text(POLICY.replace("max_input_tokens", "max_inptu_tokens"))


def without_owner(policy: Path) -> None:
    policy.write_text(POLICY.replace('owner = "support-platform"\n', "", 1))


def a_directory(policy: Path) -> None:
    policy.unlink()
    policy.mkdir()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (Path.unlink, "aiguard.toml"),
        (a_directory, "aiguard.toml"),
        (corrupt, "UTF-8"),
        (not_toml, "TOML|toml"),
        (unknown_key, "max_inptu_tokens"),
        (without_owner, "owner"),
    ],
)
def test_a_policy_that_cannot_be_enforced_stops_the_start_and_leaves_nothing_behind(
    new_desk: NewDesk, spoil: Callable[[Path], None], told: str
) -> None:
    desk = new_desk()
    spoil(desk.folder / "aiguard.toml")
    protected = logs.installed()
    with pytest.raises(PolicyError, match=told):
        desk.protect()
    assert "aiguard" not in desk.app.extensions
    assert logs.installed() is protected


def test_an_app_can_try_again_after_a_policy_was_refused(new_desk: NewDesk) -> None:
    desk = new_desk()
    policy = desk.folder / "aiguard.toml"
    policy.write_text("nonsense")
    with pytest.raises(PolicyError):
        desk.protect()
    policy.write_text(POLICY)
    assert desk.protect().guard.guard.policy.hash.startswith("sha256:")


@pytest.mark.parametrize("kind", ["scrub_request", "scrub_response"])
def test_a_scrubbing_rule_for_a_route_that_does_not_exist_is_a_misspelt_one(desk: Desk, kind: str) -> None:
    @desk.app.post("/tickets/<int:id>")
    def ticket(id: int) -> str:
        return str(id)

    getattr(desk.guard, kind)("/tickets/<int:id>", "ticket", "*")
    assert desk.browser().get("/").status_code == 404
    getattr(desk.guard, kind)("/tickets/<id>")
    with pytest.raises(ConfigurationError, match="'/tickets/<id>', which does not exist"):
        desk.browser().get("/")


@pytest.mark.parametrize(
    ("routes", "rules", "told"),
    [
        ((), None, "at least one route"),
        (("*",), {"EMAIL_ADDRESS": "tokenize"}, "cannot tokenize"),
        (("*",), {"EMAIL_ADDRESS": Operator(name="tokenize")}, "cannot tokenize"),
        (("*",), {"EMAIL_ADDRESS": "redcat"}, "redcat"),
        (("*",), {"EMAIL_ADRESS": "mask"}, "did you mean.*EMAIL_ADDRESS"),
        (("*",), {"EMAIL_ADDRESS": {"op": "mask", "keep": 4}}, "keep_last"),
        (("*",), {"*": "allow"}, "every type nobody thought of"),
    ],
)
def test_a_scrubbing_rule_that_cannot_work_is_refused_where_it_is_written(
    desk: Desk, routes: tuple[str, ...], rules: Any, told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        desk.guard.scrub_request(*routes, rules=rules)


def test_without_flask_the_door_says_what_to_install() -> None:
    program = "import sys; sys.modules['flask'] = None; import aiguard; import aiguard.flask"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "MissingExtra: aiguard.flask needs Flask: pip install '.[flask]' in your clone of aiguard" in done.stderr


# --- commands ---------------------------------------------------------------------------------------------------------


def test_the_commands_show_the_policy_of_this_application(new_desk: NewDesk) -> None:
    desk = new_desk()
    desk.protect()
    shown = desk.app.test_cli_runner().invoke(args=["aiguard", "policy", "show"])
    assert shown.exit_code == 0, shown.output
    assert "support-reply" in shown.output
    assert desk.guard.guard.policy.hash in shown.output
    assert str(desk.folder / "aiguard.toml") in shown.output.replace("\n", "")


def test_the_commands_are_listed_in_the_help_of_flask(desk: Desk) -> None:
    told = desk.app.test_cli_runner().invoke(args=["--help"])
    assert "aiguard" in told.output


def test_nobody_can_be_admitted_outside_of_a_request_by_accident(desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="needs a guarded route"), desk.guard.conversation("t1"):
        pass
    jane = Actor(id="jane", scopes=frozenset({"support:reply"}))
    with desk.guard.acting_as(jane, scope="support:reply"), desk.guard.conversation("t1"):
        assert desk.ask("hello") == "You said: hello"
