"""What a Flask application has registered, for the inventory."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, Final

from flask import Flask

from aiguard.guard import Guard
from aiguard.identity import ScopeMarker, find_unguarded, markers_of
from aiguard.inventory import Entry

EXTENSION: Final = "aiguard"
"""Where an application keeps its state, in ``app.extensions``."""


def guard_of(app: Flask) -> Guard | None:
    """The guard of an application, or None."""
    return getattr(app.extensions.get(EXTENSION), "guard", None)


def entries_of(app: Flask) -> list[Entry]:
    """Every rule of the URL map that has a view, in the map's order."""
    meant = dict(find_unguarded(app.view_functions))
    found = []
    for rule in app.url_map.iter_rules():
        view = app.view_functions.get(rule.endpoint)
        if view is None:
            continue
        found.append(
            Entry(
                path=rule.rule,
                methods=tuple(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})),
                endpoint=rule.endpoint,
                functions=tuple(functions_of(view)),
                markers=tuple(required(app, rule.endpoint)),
                meant=meant.get(rule.endpoint),
                scrubbed=tuple(_scrubbed(app, rule.rule, rule.endpoint, rule.methods or set())),
                kind="websocket" if rule.websocket else "http",
            )
        )
    return found


def required(app: Flask, endpoint: str) -> list[ScopeMarker]:
    """The guards that a request of ``endpoint`` runs through: those before its application and blueprints, then the view's."""
    steps = endpoint.split(".")[:-1]
    names = [None, *(".".join(steps[:length]) for length in range(1, len(steps) + 1))]
    functions = [function for name in names for function in app.before_request_funcs.get(name, ())]
    return [marker for function in (*functions, app.view_functions[endpoint]) for marker in markers_of(function)]


def functions_of(view: Callable[..., Any]) -> Iterator[Any]:
    """What serves a view: itself, and its class."""
    yield view
    view_class = getattr(view, "view_class", None)
    if inspect.isclass(view_class):
        yield view_class


def _scrubbed(app: Flask, path: str, endpoint: str, methods: set[str]) -> Iterator[str]:
    scrubs = getattr(app.extensions.get(EXTENSION), "scrubs", ((), ()))
    for rules, way in zip(scrubs, ("request", "response"), strict=True):
        for rule in rules:
            if any(rule.applies(method, path, endpoint) for method in methods):
                yield f"scrub_{way}"
