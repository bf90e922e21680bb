"""The Flask door.

::

    from aiguard.flask import AIGuard, require_ai_scope

    guard = AIGuard(app)                 # or AIGuard(); guard.init_app(app)
    client = guard.client(OpenAI)        # a real openai.OpenAI

    @app.post("/support/reply")
    @require_ai_scope("support:reply")   # below the route, so that the route registers what is guarded
    def reply(): ...

``init_app`` reads the ``AIGUARD_*`` keys of ``app.config`` and the environment (see ``docs/configuration.md``), keeps its
state in ``app.extensions["aiguard"]``, and wraps ``app.wsgi_app``: to check the registered routes before the first request, and
to end a caller's identity when the server closes the response.

The law of this folder: it brings what Flask has and puts back what was decided; it decides nothing. Only here is Flask imported.
"""

from __future__ import annotations

try:
    import flask  # noqa: F401
except ImportError as missing:  # pragma: no cover - exercised in a venv without Flask
    from aiguard.errors import MissingExtra

    raise MissingExtra("aiguard.flask needs Flask: pip install '.[flask]' in your clone of aiguard") from missing

from aiguard.flask.callers import service_actor
from aiguard.flask.extension import AIGuard
from aiguard.flask.views import require_ai_scope

__all__ = ["AIGuard", "require_ai_scope", "service_actor"]
