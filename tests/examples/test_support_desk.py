"""The support desk: sign-in and its defence against other sites, scopes, and answers through the guard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from examples.flask_app.app import create_app
from examples.flask_app.tickets import TICKETS
from examples.model_server.server import ModelServer, start
from flask import Flask
from flask.testing import FlaskClient

POLICY = Path(__file__).parents[2] / "examples" / "flask_app" / "aiguard.toml"
CSRF = "X-CSRF-Token"


@pytest.fixture
def model(tmp_path: Path) -> Iterator[ModelServer]:
    server = start(record=tmp_path / "received.jsonl")
    yield server
    server.shutdown()
    server.server_close()
    server.record.close()


@pytest.fixture
def app(tmp_path: Path, model: ModelServer) -> Iterator[Flask]:
    app = create_app(
        {
            "TESTING": True,
            "EXAMPLE_PASSWORDS": {"agent": "right", "viewer": "right too"},
            "AIGUARD_ENVIRONMENT": "test",
            "AIGUARD_POLICY": str(POLICY),
            "AIGUARD_DATABASE_URL": f"sqlite:///{tmp_path / 'desk.db'}",
            "AIGUARD_KEY_FILE": str(tmp_path / "master.key"),
            "AIGUARD_OPENAI_BASE_URL": model.url,
            "AIGUARD_OPENAI_API_KEY": "sk-test",
        }
    )
    yield app
    app.extensions["desk_client"].close()
    app.extensions["aiguard"].guard.close()


@pytest.fixture
def visitor(app: Flask) -> FlaskClient:
    return app.test_client()


def token_on(page: str) -> str:
    found = re.search(r'name="csrf-token" content="([^"]+)"', page)
    assert found is not None
    return found[1]


def sign_in(visitor: FlaskClient, name: str = "agent", password: str = "right") -> str:
    token = token_on(visitor.get("/sign-in").text)
    done = visitor.post("/sign-in", data={"name": name, "password": password, "csrf_token": token})
    assert done.status_code == 302
    return token_on(visitor.get("/").text)


def ask(visitor: FlaskClient, token: str, message: str, path: str = "/support/reply", **headers: str) -> Any:
    return visitor.post(path, json={"message": message, "ticket": "T-1"}, headers={CSRF: token, **headers})


def test_a_wrong_password_or_name_does_not_sign_in(visitor: FlaskClient) -> None:
    token = token_on(visitor.get("/sign-in").text)
    for name, password in (("agent", "wrong"), ("nobody", "right"), ("", ""), ("agent", "right too")):
        answer = visitor.post("/sign-in", data={"name": name, "password": password, "csrf_token": token})
        assert answer.status_code == 401
    assert visitor.get("/").status_code == 302


def test_signing_in_needs_the_token_of_the_page(visitor: FlaskClient) -> None:
    visitor.get("/sign-in")
    assert visitor.post("/sign-in", data={"name": "agent", "password": "right"}).status_code == 403
    stranger = visitor.application.test_client()  # without a session, as another site may send anybody
    for guess in ("", "\0", "None"):
        asked = {"name": "agent", "password": "right", "csrf_token": guess}
        assert stranger.post("/sign-in", data=asked).status_code == 403
    assert visitor.get("/").status_code == 302


def test_signing_out_ends_the_session(visitor: FlaskClient) -> None:
    token = sign_in(visitor)
    assert visitor.post("/sign-out", data={"csrf_token": token}).status_code == 302
    assert visitor.get("/").status_code == 302
    assert ask(visitor, token, "hello").status_code == 401


def test_the_page_lists_the_tickets_and_needs_nothing_from_elsewhere(visitor: FlaskClient) -> None:
    sign_in(visitor)
    page = visitor.get("/")
    assert all(ticket.id in page.text for ticket in TICKETS)
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text)


def test_another_site_cannot_ask_in_a_signed_in_persons_name(visitor: FlaskClient) -> None:
    token = sign_in(visitor)
    assert ask(visitor, "", "hello").status_code == 403
    assert ask(visitor, "guess", "hello").status_code == 403
    assert ask(visitor, token, "hello", Origin="https://elsewhere.example").status_code == 403
    assert ask(visitor, token, "hello", Origin="http://localhost").status_code == 200


def test_the_agent_gets_an_answer_with_their_own_values_in_it(visitor: FlaskClient, tmp_path: Path) -> None:
    answer = ask(visitor, sign_in(visitor), "Please write to jane.roe@customer-mail.com about ORD-A1B2C3D4")
    assert answer.status_code == 200
    assert "jane.roe@customer-mail.com" in answer.json["reply"]
    assert "jane.roe" not in (tmp_path / "received.jsonl").read_text()


def test_a_viewer_and_a_stranger_are_refused_with_a_reason_and_an_id(visitor: FlaskClient, app: Flask) -> None:
    refusals = [ask(app.test_client(), "", "hello"), ask(visitor, sign_in(visitor, "viewer", "right too"), "hello")]
    assert [refusal.status_code for refusal in refusals] == [401, 403]
    for refusal in refusals:
        assert refusal.content_type == "application/problem+json"
        assert refusal.json["decision_id"].startswith("agd_")
        assert refusal.json["reasons"][0]["detail"]


def test_a_pasted_key_stops_a_reply_and_is_taken_out_of_a_summary(visitor: FlaskClient) -> None:
    token = sign_in(visitor)
    message = "our key is ghp_DEMO" + "a1B2c3D4" * 4
    assert ask(visitor, token, message).status_code == 422
    assert ask(visitor, token, message, path="/support/summarize").status_code == 200


def test_a_note_is_scrubbed_before_the_view_reads_it(visitor: FlaskClient) -> None:
    token = sign_in(visitor)
    answer = visitor.post("/tickets/T-1/notes", json={"note": "call jane.roe@customer-mail.com"}, headers={CSRF: token})
    assert answer.status_code == 201
    assert answer.get_json()["notes"] == ["call [REDACTED_EMAIL]"]


def test_a_body_that_is_not_a_question_is_refused(visitor: FlaskClient) -> None:
    token = sign_in(visitor)
    bodies: tuple[Any, ...] = (
        [],
        {},
        {"message": 3},
        {"message": ""},
        {"message": "hi", "ticket": None},
        {"message": "hi", "model": []},
    )
    for body in bodies:
        assert visitor.post("/support/reply", json=body, headers={CSRF: token}).status_code == 422
