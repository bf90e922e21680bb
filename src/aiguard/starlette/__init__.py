"""The Starlette door, which is FastAPI's too.

::

    from aiguard.starlette import AIGuard, ai_scope, require_ai_scope

    app = Starlette(routes=[...])        # or FastAPI()
    guard = AIGuard(app)
    client = guard.client(AsyncOpenAI)   # a real openai.AsyncOpenAI

    @require_ai_scope("support:reply")   # what the route registers is what this returns
    async def reply(request): ...

    @app.post("/reply", dependencies=[Depends(ai_scope("support:reply"))])    # FastAPI's own way
    def reply(...): ...

The law of this folder: it brings what Starlette has and puts back what was decided; it decides nothing. Identity ends with the
last byte of the response, or with the socket. Only here are Starlette and FastAPI imported.
"""

from __future__ import annotations

try:
    import starlette  # noqa: F401
except ImportError as missing:  # pragma: no cover - exercised in a venv without Starlette
    from aiguard.errors import MissingExtra

    raise MissingExtra(
        "aiguard.starlette needs Starlette: pip install '.[starlette]' in your clone of aiguard"
    ) from missing

from aiguard.starlette.callers import service_actor, signed_in_actor
from aiguard.starlette.dependency import AIScope, ai_scope
from aiguard.starlette.extension import AIGuard
from aiguard.starlette.views import require_ai_scope

__all__ = ["AIGuard", "AIScope", "ai_scope", "require_ai_scope", "service_actor", "signed_in_actor"]
