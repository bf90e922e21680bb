"""The ASGI door: :class:`AIGuardMiddleware` around any ASGI 3 application, without any framework.

The law of this room: **one chunk in, one chunk out**. A message is handed on, changed, held or refused while its sender
waits, so nothing piles up, and an application that is not guarded at a route is given its very own ``receive`` and ``send``.
"""

from __future__ import annotations

from aiguard.asgi.application import AIGuardMiddleware
from aiguard.policy.routes import RouteRule

__all__ = ["AIGuardMiddleware", "RouteRule"]
