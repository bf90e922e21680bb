"""Which functions are meant to be guarded, so that a door can find the routes that are not.

``@require_ai_scope`` placed *outside* ``@app.route`` guards nothing: the route registered the bare function. Every
decorated function is therefore remembered here, and a door compares what it has registered with what was meant.
"""

from __future__ import annotations

import contextlib
import inspect
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_MARK = "__aiguard_scope__"
_INNER = ("__wrapped__", "__func__", "func")  # functools.wraps, methods, functools.partial
_PASSES_ON = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
_meant: weakref.WeakKeyDictionary[Callable[..., Any], ScopeMarker] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True, slots=True)
class ScopeMarker:
    """What ``@require_ai_scope`` asked for."""

    scope: str
    feature: str | None = None


def mark(wrapper: Callable[..., Any], original: Callable[..., Any], marker: ScopeMarker) -> None:
    """Remember that ``original``, and whatever it wraps, is meant to be reached only through ``wrapper``."""
    setattr(wrapper, _MARK, marker)
    for layer in _chain(original, closures=True):
        with contextlib.suppress(TypeError):  # not weakly referenceable (a builtin): nothing could register it bare
            _meant[layer] = marker


def _chain(view: Callable[..., Any], *, closures: bool = False) -> Iterable[Callable[..., Any]]:
    """``view`` and everything it wraps, outermost first; with ``closures``, also below decorators without ``wraps``."""
    seen: set[int] = set()
    current: Any = view
    while callable(current) and id(current) not in seen:
        seen.add(id(current))
        yield current
        inner = next((found for name in _INNER if (found := getattr(current, name, None)) is not None), None)
        current = _enclosed(current) if inner is None and closures else inner


def _enclosed(function: Any) -> Any:
    """What a decorator's inner function calls: the only callable it closes over, if it passes any arguments on."""
    if not inspect.isfunction(function) or function.__code__.co_flags & _PASSES_ON != _PASSES_ON:
        return None
    cells = [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
    callables = [content for content in cells if callable(content)]
    return callables[0] if len(callables) == 1 else None


def _filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:  # a variable that was not assigned yet
        return False
    return True


def marker_of(view: Callable[..., Any]) -> ScopeMarker | None:
    """The first of :func:`markers_of`, or None."""
    found = markers_of(view)
    return found[0] if found else None


def markers_of(view: Callable[..., Any]) -> list[ScopeMarker]:
    """The marker of the outermost guard that a call of ``view`` runs through, or nothing.

    A class-based view (one with ``view_class``) counts as marked when the class' decorators or any of its methods are;
    the markers of all its methods are given.
    """
    for layer in _chain(view):
        # functools.wraps copies the wrapped function's __dict__, so the mark alone proves nothing about order: only
        # that some layer at or below this one is a guard, which is what matters for a call that goes through it.
        marker = layer.__dict__.get(_MARK) if hasattr(layer, "__dict__") else None
        if isinstance(marker, ScopeMarker):
            return [marker]
    view_class = getattr(view, "view_class", None)
    methods = inspect.getmembers(view_class, callable) if inspect.isclass(view_class) else []
    markers = [getattr(method, _MARK, None) for _, method in methods]
    return [marker for marker in markers if isinstance(marker, ScopeMarker)]


def find_unguarded(views: Mapping[str, Callable[..., Any]]) -> list[tuple[str, str]]:
    """The ``(endpoint, scope)`` of each registered view that was meant to be guarded and is not."""
    found = []
    for endpoint, view in views.items():
        if marker_of(view) is not None:
            continue
        for layer in _chain(view):
            try:
                meant = _meant.get(layer)
            except TypeError:  # not weakly referenceable, so it was never remembered
                continue
            if meant is not None:
                found.append((endpoint, meant.scope))
                break
    return found
