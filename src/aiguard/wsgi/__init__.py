"""The WSGI door: :class:`AIGuardMiddleware` around any WSGI application (PEP 3333), without any framework.

The law of this room: **whatever an application does with its callables, the client sees what was looked at**. Headers wait
for the body that they describe, ``write()`` goes the way of the iterable, and ``close()`` reaches the application once.
"""

from __future__ import annotations

from aiguard.policy.routes import RouteRule
from aiguard.wsgi.application import AIGuardMiddleware

__all__ = ["AIGuardMiddleware", "RouteRule"]
