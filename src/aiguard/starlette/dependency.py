"""The same guard as a FastAPI dependency, which its OpenAPI document shows as a security scheme."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection

from aiguard.errors import Blocked
from aiguard.identity import Access, ScopeMarker
from aiguard.identity.access import resume
from aiguard.problems import name_scope
from aiguard.starlette.current import current_connection
from aiguard.starlette.state import SubjectResolver
from aiguard.starlette.views import enter, failed, settle

if TYPE_CHECKING:
    _Base = object
else:
    try:
        from fastapi.security.base import SecurityBase as _Base
    except ImportError:
        _Base = object

SCHEME = "aiguard"
"""The name of the security scheme in an OpenAPI document."""


class AIScope(_Base):
    """A dependency: the endpoint is reached only by an actor with ``scope``, and is given its access.

    Made by :func:`ai_scope`. Identity ends with the response, or with the socket.
    """

    def __init__(self, scope: str, *, feature: str | None = None, subject: SubjectResolver | None = None) -> None:
        if not isinstance(scope, str):
            raise TypeError('write Depends(ai_scope("the:scope"))')
        self.marker = ScopeMarker(scope=scope, feature=feature)
        self.scheme_name = SCHEME
        self.model = _model()
        self._subject = subject

    async def __call__(self, connection: HTTPConnection) -> AsyncIterator[Access]:  # noqa: ARG002 - FastAPI injects it
        """Admit the caller, and turn what fails under the access into refusals."""
        current = current_connection()
        access = await enter(current, self.marker, self._subject)
        await settle(current, access)
        resume(access)
        refusal: Blocked | None = None
        try:
            yield access
        except Blocked as blocked:
            name_scope(blocked, self.marker.scope)
            raise
        except Exception as error:
            refusal = await failed(current, access, error)
            if refusal is None:
                raise
        if refusal is not None:
            raise refusal


def _model() -> Any:
    try:
        from fastapi.openapi.models import HTTPBearer
    except ImportError:
        return None
    return HTTPBearer(description="A service token of aiguard, or the application's own sign-in.")


def ai_scope(scope: str, *, feature: str | None = None, subject: SubjectResolver | None = None) -> AIScope:
    """The dependency of one scope; arguments as for :func:`~aiguard.starlette.require_ai_scope`.

    ``Depends(ai_scope("support:reply"))`` at a parameter, in ``dependencies`` of a route, a router or an application.
    """
    return AIScope(scope, feature=feature, subject=subject)
