"""What an application has registered, wherever it stands: in mounts, hosts and included routers."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiguard.guard import Guard
from aiguard.identity import ScopeMarker, find_unguarded, markers_of
from aiguard.inventory import Entry

MAX_DEPTH: Final = 16
"""Applications mounted inside one another; deeper, they mount one another in a circle."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """One route. ``methods`` is empty for a socket; ``markers`` are the guards that a request of it runs through."""

    path: str
    methods: tuple[str, ...]
    endpoint: Any
    route: Any
    markers: tuple[ScopeMarker, ...]
    dependencies: tuple[Any, ...] = ()
    """What FastAPI calls for the route's parameters."""
    mounted: bool = False
    """Whether it is an application of which nothing is known, and not an endpoint."""


class Watch:
    """Notices that a route was added, removed or replaced: asked at every request, so it only compares identities."""

    def __init__(self, app: Any) -> None:
        self._seen = [(owner, list(owner.routes)) for owner in _owners(app, 0)]

    @property
    def owners(self) -> Iterator[Any]:
        """The application, its routers, and the applications that are mounted in it."""
        return (owner for owner, _ in self._seen)

    def unchanged(self) -> bool:
        """Whether every list of routes holds what it held."""
        return all(
            len(routes := owner.routes) == len(seen) and all(map(operator.is_, routes, seen))
            for owner, seen in self._seen
        )


def _owners(owner: Any, depth: int) -> Iterator[Any]:
    """Whatever has a list of routes, from ``owner`` down."""
    if depth > MAX_DEPTH:
        return
    yield owner
    for route in owner.routes:
        if _has_own_guard(route):
            continue
        names = ("original_router", "_base_app", "app")  # an included router, what is mounted, what a host has
        for inner in (*(getattr(route, name, None) for name in names), route):
            if isinstance(getattr(inner, "routes", None), list):
                yield from _owners(inner, depth + 1)
                break


def registered(app: Any) -> Iterator[Registered]:
    """Every route of ``app`` that has an endpoint, with its whole path; not those of a mounted application with its own guard."""
    yield from _within(getattr(app, "routes", ()), "", 0)


def _has_own_guard(route: Any) -> bool:
    """Whether what is mounted at ``route`` is an application that another ``AIGuard`` guards."""
    mounted = getattr(route, "_base_app", None) or getattr(route, "app", None)
    return getattr(getattr(mounted, "state", None), "aiguard", None) is not None


def _within(routes: Iterable[Any], prefix: str, depth: int) -> Iterator[Registered]:
    if depth > MAX_DEPTH:
        return
    for route in routes:
        if callable(candidates := getattr(route, "effective_candidates", None)):  # FastAPI's included routers
            yield from _within(candidates(), prefix, depth + 1)
            continue
        effective = getattr(route, "starlette_route", None) or route
        path = prefix + (getattr(effective, "path", "") or "")
        endpoint = getattr(effective, "endpoint", None)
        if endpoint is not None:
            dependant = getattr(effective, "dependant", None)
            yield Registered(
                path=path,
                methods=tuple(sorted(getattr(effective, "methods", None) or ())),
                endpoint=endpoint,
                route=getattr(route, "original_route", None) or effective,
                markers=tuple(_markers(endpoint, dependant)),
                dependencies=tuple(each.call for each in _dependencies(dependant, 0)),
            )
            continue
        if _has_own_guard(effective):
            continue
        inner = getattr(effective, "routes", None) or getattr(getattr(effective, "app", None), "routes", None)
        if inner:
            yield from _within(inner, path, depth + 1)
        elif (mounted := getattr(effective, "app", None)) is not None and not hasattr(mounted, "routes"):
            below = (
                f"{path}/{{path:path}}"  # an ASGI application that says nothing of its routes: files, another framework
            )
            yield Registered(path=below, methods=(), endpoint=mounted, route=effective, markers=(), mounted=True)


def functions_of(endpoint: Any) -> list[Callable[..., Any]]:
    """The functions that serve an endpoint: itself, or the methods of a class."""
    if not inspect.isclass(endpoint):
        return [endpoint]
    names = ("get", "head", "post", "put", "patch", "delete", "options", "on_connect", "on_receive", "on_disconnect")
    return [method for name in names if callable(method := getattr(endpoint, name, None))]


def _markers(endpoint: Any, dependant: Any) -> Iterator[ScopeMarker]:
    for function in functions_of(endpoint):
        yield from markers_of(function)
    for each in _dependencies(dependant, 0):
        if isinstance(marker := getattr(each.call, "marker", None), ScopeMarker):
            yield marker


def _dependencies(dependant: Any, depth: int) -> Iterator[Any]:
    """FastAPI's dependencies of a route, those of dependencies included."""
    for inner in getattr(dependant, "dependencies", ()) if depth <= MAX_DEPTH else ():
        yield inner
        yield from _dependencies(inner, depth + 1)


def unguarded(routes: Sequence[Registered]) -> Iterator[tuple[Registered, str]]:
    """Each route whose function was meant to be guarded and is not, with the scope."""
    for route in routes:
        functions = {str(number): function for number, function in enumerate(functions_of(route.endpoint))}
        for _, scope in find_unguarded(functions):
            yield route, scope


def guard_of(app: Any) -> Guard | None:
    """The guard of an application, or None."""
    return getattr(getattr(app.state, "aiguard", None), "guard", None)


def middleware_of(app: Any) -> Iterator[Sequence[Any]]:
    """The rules that each of aiguard's own middleware in ``app`` was given beside the policy's."""
    for each in getattr(app, "user_middleware", ()):
        if getattr(each.cls, "__module__", "").startswith("aiguard.asgi"):
            yield tuple(each.kwargs.get("rules", ()))


def entries_of(app: Any) -> list[Entry]:
    """Every route of an application, for the inventory."""
    routes = list(registered(app))
    meant = {id(route): scope for route, scope in unguarded(routes)}
    return [
        Entry(
            path=route.path,
            methods=tuple(method for method in route.methods if method not in ("HEAD", "OPTIONS")),
            endpoint=f"{route.endpoint.__module__}.{getattr(route.endpoint, '__qualname__', type(route.endpoint).__name__)}",
            functions=(route.endpoint, *route.dependencies),
            markers=route.markers,
            meant=meant.get(id(route)),
            kind="http" if route.methods or route.mounted or inspect.isclass(route.endpoint) else "websocket",
        )
        for route in routes
    ]


def is_guarded(scope: MutableMapping[str, Any]) -> bool:
    """Whether the route that was matched demands a scope."""
    endpoint = scope.get("endpoint")
    effective = (scope.get("fastapi") or {}).get("effective_route_context") if "fastapi" in scope else None
    dependant = getattr(effective, "dependant", None) or getattr(scope.get("route"), "dependant", None)
    return endpoint is not None and next(_markers(endpoint, dependant), None) is not None
