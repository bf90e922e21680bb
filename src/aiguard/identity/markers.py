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
_meant: weakref.WeakKeyDictionary[Callable[..., Any], ScopeMarker] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True, slots=True)
class ScopeMarker:
    """What ``@require_ai_scope`` asked for."""

    scope: str
    feature: str | None = None


def mark(wrapper: Callable[..., Any], original: Callable[..., Any], marker: ScopeMarker) -> None:
    """Remember that ``original``, and whatever it wraps, is meant to be reached only through ``wrapper``."""
    setattr(wrapper, _MARK, marker)
    for layer in _chain(original):
        with contextlib.suppress(TypeError):  # not weakly referenceable (a builtin): nothing could register it bare
            _meant[layer] = marker


def _chain(view: Callable[..., Any]) -> Iterable[Callable[..., Any]]:
    """``view`` and everything it wraps, outermost first."""
    seen: set[int] = set()
    current: Any = view
    while callable(current) and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = getattr(current, "__wrapped__", None) or getattr(current, "__func__", None)


def marker_of(view: Callable[..., Any]) -> ScopeMarker | None:
    """The marker of the outermost guard that a call of ``view`` runs through, or None.

    A class-based view (one with ``view_class``) counts as marked when the class' decorators or any of its methods are.
    """
    for layer in _chain(view):
        # functools.wraps copies the wrapped function's __dict__, so the mark alone proves nothing about order: only
        # that some layer at or below this one is a guard, which is what matters for a call that goes through it.
        marker = layer.__dict__.get(_MARK) if hasattr(layer, "__dict__") else None
        if isinstance(marker, ScopeMarker):
            return marker
    view_class = getattr(view, "view_class", None)
    if inspect.isclass(view_class):
        for _, method in inspect.getmembers(view_class, callable):
            marker = getattr(method, _MARK, None)
            if isinstance(marker, ScopeMarker):
                return marker
    return None


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
