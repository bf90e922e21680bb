from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from aiguard.identity import ScopeMarker, find_unguarded, mark, marker_of


def guard(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    mark(wrapper, view, ScopeMarker(scope="s"))
    return wrapper


def other(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return wrapper


def test_a_view_registered_before_it_was_decorated_is_found() -> None:
    def view() -> None: ...

    guarded = guard(view)
    assert find_unguarded({"bare": view, "good": guarded}) == [("bare", "s")]


def test_a_view_registered_bare_below_another_decorator_is_found() -> None:
    def view() -> None: ...

    guarded = guard(other(view))
    assert find_unguarded({"bare": view, "also": other(view), "good": guarded}) == [("bare", "s"), ("also", "s")]


def test_a_guard_below_another_decorator_counts() -> None:
    def view() -> None: ...

    view_with_both = other(guard(view))
    assert find_unguarded({"good": view_with_both}) == []
    assert marker_of(view_with_both) == ScopeMarker(scope="s")


def test_a_view_that_was_never_meant_to_be_guarded_is_left_alone() -> None:
    def view() -> None: ...

    assert find_unguarded({"open": view}) == []
    assert marker_of(view) is None
