"""What a FastAPI application's OpenAPI document says about its guarded operations: how to sign in, and how they refuse."""

from __future__ import annotations

from typing import Any, Final

from aiguard.problems import MEDIA_TYPE
from aiguard.starlette.dependency import SCHEME
from aiguard.starlette.routes import registered
from aiguard.starlette.state import State

REFUSALS: Final = {
    "400": "The input was refused: a control could not read it, or policy does not let it through.",
    "401": "Nobody is signed in, or the service token is no good.",
    "403": "The caller lacks the scope, or policy does not allow the call.",
    "413": "The body or the prompt is larger than is allowed.",
    "422": "The content holds something that policy stops.",
    "429": "The caller has used the feature up for now.",
    "502": "The model server failed, or its answer was withheld.",
    "503": "A control could not do its work, so nothing was let through.",
    "504": "The model server did not answer in time.",
}
_PROBLEM: Final = {
    "type": "object",
    "description": "RFC 9457 problem details of a refusal.",
    "required": ["type", "title", "status", "detail", "instance", "decision_id", "reasons"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri"},
        "decision_id": {"type": "string"},
        "scope": {"type": "string"},
        "reasons": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"code": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


def document_refusals(app: Any, state: State) -> None:
    """Let ``app.openapi()`` name the scope, the security scheme and the refusals of every guarded operation."""
    generate = getattr(app, "openapi", None)
    if not callable(generate):
        return

    def openapi() -> dict[str, Any]:
        document: dict[str, Any] = generate()
        for route in registered(state.app):
            for marker in route.markers:
                for method in route.methods:
                    operation = document.get("paths", {}).get(route.path, {}).get(method.lower())
                    if operation is not None:
                        _describe(document, operation, marker.scope)
        return document

    app.openapi = openapi


def _describe(document: dict[str, Any], operation: dict[str, Any], scope: str) -> None:
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).setdefault("AIGuardProblem", _PROBLEM)
    schemes = components.setdefault("securitySchemes", {})
    schemes.setdefault(SCHEME, {"type": "http", "scheme": "bearer"})
    security = operation.setdefault("security", [])
    if not any(SCHEME in each for each in security):
        security.append({SCHEME: []})
    operation["x-aiguard-scope"] = scope
    responses = operation.setdefault("responses", {})
    for status, description in REFUSALS.items():
        # FastAPI has a 422 of its own; ours stands beside it, as another media type.
        response = responses.setdefault(status, {"description": description})
        if "$ref" not in response:
            reference = {"schema": {"$ref": "#/components/schemas/AIGuardProblem"}}
            response.setdefault("content", {}).setdefault(MEDIA_TYPE, reference)
