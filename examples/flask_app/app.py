"""The support desk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, abort, jsonify, render_template, request
from flask_login import current_user, login_required
from openai import OpenAI

from aiguard.flask import AIGuard, require_ai_scope
from examples.flask_app import accounts
from examples.flask_app.tickets import TICKETS

MODEL = "gpt-5-mini"
REPLY = (
    "You help the agents of a mail-order shop. Draft a short, friendly answer to the customer's message in the customer's"
    " language. Text in square brackets such as [EMAIL_X7K2M9QA] stands for something you may not see; repeat it unchanged."
)
SUMMARIZE = (
    "Summarise the customer's message in two sentences for the next agent. Repeat text in square brackets unchanged."
)


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """The application. ``config`` goes on top of the defaults; ``AIGUARD_*`` is read from it and from the environment."""
    app = Flask(__name__)
    app.config.from_mapping(config or {})
    accounts.init_app(app)

    guard = AIGuard(app)
    client = guard.client(OpenAI)
    app.extensions["desk_client"] = client
    guard.scrub_request("/tickets/<ticket>/notes", methods=["POST"])

    @app.post("/support/reply")
    @require_ai_scope("support:reply")
    def reply() -> Response:
        message, ticket, model = asked()
        app.logger.debug("reply asked for ticket %s: %s", ticket, message)
        with guard.conversation(ticket):
            answer = client.responses.create(model=model, instructions=REPLY, input=message)
        return jsonify(reply=answer.output_text, ticket=ticket)

    @app.post("/support/summarize")
    @require_ai_scope("support:summarize")
    def summarize() -> Response:
        message, ticket, model = asked()
        with guard.conversation(ticket):
            answer = client.chat.completions.create(
                model=model,
                messages=[{"role": "developer", "content": SUMMARIZE}, {"role": "user", "content": message}],
            )
        return jsonify(reply=answer.choices[0].message.content, ticket=ticket)

    @app.post("/tickets/<ticket>/notes")
    @login_required  # type: ignore[untyped-decorator]
    def add_note(ticket: str) -> tuple[Response, int]:
        """No model here: the hook above has replaced what must not be kept before this view reads the body."""
        note = request.get_json().get("note")
        if not isinstance(note, str) or not 0 < len(note) <= 10_000:
            abort(422)
        notes = app.extensions.setdefault("desk_notes", {}).setdefault(ticket, [])
        notes.append(note)
        return jsonify(ticket=ticket, notes=notes), 201

    @app.get("/")
    @login_required  # type: ignore[untyped-decorator]
    def desk() -> str:
        return render_template("desk.html", tickets=TICKETS, user=current_user)

    @app.get("/health")
    def health() -> Response:
        return jsonify(status="ok")

    return app


def asked() -> tuple[str, str, str]:
    """The message, ticket and model of the JSON body. Which models may be used is for policy to say."""
    body = request.get_json()
    if not isinstance(body, dict):
        abort(422)
    message, ticket, model = body.get("message"), body.get("ticket", "none"), body.get("model", MODEL)
    if not (isinstance(message, str) and isinstance(ticket, str) and isinstance(model, str) and message and ticket):
        abort(422)
    return message, ticket, model
