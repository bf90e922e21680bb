"""Services call with tokens, and everybody as often as policy says: over HTTP, as their users do it."""

from __future__ import annotations

import http.client
import json
import logging
import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import flask_login
import pytest
from click.testing import CliRunner
from tests.flask_door.conftest import NewDesk
from tests.flask_door.door_support import JANE, POLICY, Desk, is_problem
from tests.flask_door.test_access import Person, with_login, with_reply

from aiguard.cli import main
from aiguard.credentials import Credentials, Issued
from aiguard.db.engine import make_engine
from aiguard.flask import service_actor
from aiguard.types import Actor, utc_now

HI = {"message": "hi"}


def issue(desk: Desk, **terms: Any) -> Issued:
    """A token of the application's database."""
    guard = desk.guard.guard
    engine = make_engine(f"sqlite:///{desk.database}")
    try:
        terms = {"service": "nightly-batch", "scopes": ["support:reply"], "now": utc_now(), **terms}
        return Credentials(engine=engine, keyring=guard.keys, policy=guard.policy).create(**terms)
    finally:
        engine.dispose()


def bearer(issued: Issued) -> dict[str, str]:
    return {"Authorization": f"Bearer {issued.token.reveal()}"}


def settings_of(desk: Desk) -> dict[str, str]:
    return {key: str(value) for key, value in desk.app.config.items() if key.startswith("AIGUARD_")}


def aiguard(desk: Desk, *arguments: str) -> str:
    """What ``aiguard …`` with the application's settings prints."""
    done = CliRunner(env=settings_of(desk)).invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def in_another_process(desk: Desk, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``aiguard …``, as a person runs it."""
    command = [sys.executable, "-m", "aiguard", *arguments]
    environment = {**os.environ, **settings_of(desk)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)


def post(port: int, headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/reply", json.dumps(HI), {"Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, dict(answer.headers.items()), body


def test_a_token_is_made_used_replaced_and_revoked_while_the_application_serves(
    new_desk: NewDesk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    desk = with_reply(new_desk().protect(actor=service_actor))
    made = in_another_process(
        desk, "token", "create", "--service", "nightly-batch", "--scope", "support:reply", "--expires", "30d"
    )
    token = made.stdout.strip()
    id = token[:20]
    assert made.stdout == f"{token}\n"
    assert token not in made.stderr
    assert id in made.stderr
    with desk.served() as port:
        assert post(port, {})[0] == 401
        assert post(port, {"Authorization": f"Bearer {token}"})[0] == 200
        replaced = json.loads(aiguard(desk, "token", "rotate", id, "--overlap", "24h", "--json"))
        for each in (token, replaced["token"]):
            assert post(port, {"Authorization": f"Bearer {each}"})[0] == 200
        aiguard(desk, "token", "revoke", id)
        status, headers, document = post(port, {"Authorization": f"Bearer {token}"})
        assert status == document["status"] == 401
        assert headers["WWW-Authenticate"] == 'Bearer realm="ai", error="invalid_token"'
        assert [reason["code"] for reason in document["reasons"]] == ["token.revoked"]
        assert document["scope"] == "support:reply"
        assert post(port, {"Authorization": f"Bearer {replaced['token']}"})[0] == 200
    listed = json.loads(aiguard(desk, "token", "list", "--all", "--json"))
    assert [row["state"] for row in listed] == ["revoked", "active"]
    assert all(row["last_used_at"] for row in listed)
    assert "digest" not in listed[0]
    assert "token" not in listed[0]
    kinds = [event.type for event in desk.events() if event.type.startswith("credential.")]
    assert kinds.count("credential.first_used") == 2
    assert {"credential.created", "credential.rotated", "credential.revoked", "credential.rejected"} <= set(kinds)
    for each in (token, replaced["token"]):
        assert each[21:60] not in caplog.text
        assert each[21:60] not in repr([event.payload for event in desk.events()])
        assert each.encode()[21:60] not in desk.database.read_bytes()


def test_a_service_is_the_actor_of_what_it_does(new_desk: NewDesk) -> None:
    desk = with_reply(new_desk().protect(actor=service_actor))
    issued = issue(desk, tenant="acme")
    assert desk.browser().post("/reply", json=HI, headers=bearer(issued)).status_code == 200
    actor = desk.guard.guard.recorded_names(Actor(id="nightly-batch", kind="service", tenant="acme"), None)["actor"]
    allowed = [event for event in desk.events() if event.type == "access.allowed"]
    assert [event.actor for event in allowed] == [actor]
    assert [event.payload["kind"] for event in allowed] == ["service"]


def test_a_service_needs_the_scope_like_anybody(new_desk: NewDesk) -> None:
    desk = with_reply(new_desk().protect(actor=service_actor))
    issued = issue(desk, scopes=["support:triage"])
    is_problem(desk.browser().post("/reply", json=HI, headers=bearer(issued)), 403)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda header: header + "x", "token.malformed"),
        (lambda header: header[:-1], "token.malformed"),
        (lambda header: f"{header}, {header}", "token.malformed"),
        (lambda header: "Bearer", "token.malformed"),
        (lambda header: "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", "token.malformed"),
    ],
)
def test_a_credential_that_is_no_token_is_401_and_on_record_without_it(
    new_desk: NewDesk, change: Any, code: str
) -> None:
    desk = with_reply(new_desk().protect(actor=service_actor))
    header = change(bearer(issue(desk))["Authorization"])
    response = desk.browser().post("/reply", json=HI, headers={"Authorization": header})
    document = is_problem(response, 401)
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="ai", error="invalid_token"'
    assert [reason["code"] for reason in document["reasons"]] == [code]
    event = desk.event_of(response)
    assert (event.type, event.payload["reasons"], event.payload["route"]) == ("credential.rejected", [code], "/reply")
    assert "credential" not in event.payload
    assert desk.server.received == []


def test_an_expired_token_is_401(new_desk: NewDesk) -> None:
    desk = with_reply(new_desk().protect(actor=service_actor))
    now = utc_now()
    issued = issue(desk, now=now - timedelta(days=2), expires_at=now - timedelta(days=1))
    document = is_problem(desk.browser().post("/reply", json=HI, headers=bearer(issued)), 401)
    assert document["reasons"][0]["code"] == "token.expired"


# --- beside flask-login ---


@pytest.fixture
def both(new_desk: NewDesk) -> Desk:
    desk = with_login(new_desk(), {"ann": Person("ann", {"support:reply"})})
    return with_reply(desk.protect(actor=None))


def test_people_sign_in_and_services_show_tokens_at_the_same_route(both: Desk) -> None:
    browser = both.browser()
    browser.post("/login/ann")
    assert browser.post("/reply", json=HI).status_code == 200
    assert both.browser().post("/reply", json=HI, headers=bearer(issue(both))).status_code == 200
    document = is_problem(both.browser().post("/reply", json=HI), 401)
    assert document["reasons"][0]["code"] == "actor.missing"
    assert {event.payload["kind"] for event in both.events() if event.type == "access.allowed"} == {"user", "service"}


def test_a_request_with_a_session_and_a_token_is_refused_since_it_has_two_callers(both: Desk) -> None:
    browser = both.browser()
    browser.post("/login/ann")
    response = browser.post("/reply", json=HI, headers=bearer(issue(both)))
    document = is_problem(response, 400)
    assert document["reasons"][0]["code"] == "actor.ambiguous"
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="ai", error="invalid_request"'
    assert both.event_of(response).type == "credential.rejected"


def test_a_bad_token_is_not_made_good_by_a_session(both: Desk) -> None:
    browser = both.browser()
    browser.post("/login/ann")
    header = {"Authorization": bearer(issue(both))["Authorization"][:-1]}
    is_problem(browser.post("/reply", json=HI, headers=header), 401)


def test_a_bearer_credential_of_the_application_s_own_stays_flask_login_s(new_desk: NewDesk) -> None:
    desk = new_desk()
    manager = flask_login.LoginManager(desk.app)
    manager.request_loader(
        lambda request: (
            Person("ann", {"support:reply"}) if request.headers.get("Authorization") == "Bearer ours" else None
        )
    )
    with_reply(desk.protect(actor=None))
    assert desk.browser().post("/reply", json=HI, headers={"Authorization": "Bearer ours"}).status_code == 200
    is_problem(desk.browser().post("/reply", json=HI, headers={"Authorization": "Bearer theirs"}), 401)


def test_an_application_s_own_resolver_is_asked_alone(desk: Desk) -> None:
    with_reply(desk)
    response = desk.browser().post("/reply", json=HI, headers={**JANE, "Authorization": "Bearer nonsense"})
    assert response.status_code == 200


# --- how often ---


def test_a_caller_who_comes_too_often_is_told_when_to_come_back(new_desk: NewDesk) -> None:
    desk = new_desk()
    limited = POLICY.replace('scope = "support:reply"', 'scope = "support:reply"\nrate = ["2/minute", "9/day"]', 1)
    (desk.folder / "aiguard.toml").write_text(limited)
    with_reply(desk.protect())
    statuses = [desk.browser().post("/reply", json=HI, headers=JANE).status_code for _ in range(2)]
    assert statuses == [200, 200]
    response = desk.browser().post("/reply", json=HI, headers=JANE)
    is_problem(response, 429)
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert response.headers["RateLimit-Policy"] == '"ai";q=2;w=60'
    assert desk.event_of(response).type == "access.denied"
    assert len(desk.server.received) == 2
    other = {**JANE, "X-User": "john"}
    assert desk.browser().post("/reply", json=HI, headers=other).status_code == 200
