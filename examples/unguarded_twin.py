"""The support desk's twin without aiguard: same sign-in, same routes, same client, same log lines, no guard.

The demo runs it beside the desk for two reasons: what the leak finder must find in the twin's traces shows that it looks in
the right places, and the difference in time between the two is what the guard costs. Never copy from it.
"""

from __future__ import annotations

import argparse

from flask import Flask, Response, jsonify
from flask_login import login_required
from openai import OpenAI

from examples.flask_app import accounts
from examples.flask_app.app import REPLY, asked
from examples.flask_app.serve import serve


def create_app() -> Flask:
    """The application; the client takes address and key from ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY``."""
    app = Flask("examples.flask_app")
    accounts.init_app(app)
    client = OpenAI()

    @app.post("/support/reply")
    @login_required  # type: ignore[untyped-decorator]
    def reply() -> Response:
        message, ticket, model = asked()
        app.logger.debug("reply asked for ticket %s: %s", ticket, message)
        answer = client.responses.create(model=model, instructions=REPLY, input=message)
        return jsonify(reply=answer.output_text, ticket=ticket)

    @app.get("/")
    @login_required  # type: ignore[untyped-decorator]
    def desk() -> str:
        return f'<meta name="csrf-token" content="{accounts.csrf_token()}">'

    return app


def main() -> None:
    """Serve it on a loopback port."""
    parser = argparse.ArgumentParser(description="The support desk without its guard, for comparison only.")
    parser.add_argument("--port", type=int, default=5001)
    options = parser.parse_args()
    serve(create_app, options.port, ready=lambda address: print(f"UNGUARDED twin on {address}", flush=True))


if __name__ == "__main__":
    main()
