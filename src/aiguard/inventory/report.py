"""The table of an application's routes and functions, and what is wrong with it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from aiguard.errors import UnguardedRoute
from aiguard.functions import plain_functions
from aiguard.guard import Guard
from aiguard.identity import ScopeMarker
from aiguard.inventory.clients import application_modules, built_in_source, unguarded_in_process
from aiguard.inventory.reach import Hit, reach
from aiguard.middleware.table import RouteTable
from aiguard.policy import Policy

logger = logging.getLogger("aiguard")

Level = Literal["error", "warning"]

_PATH_FIELD: Final = re.compile(r"\{[^{}:]*:path\}|<path:[^<>]*>")
_FIELD: Final = re.compile(r"\{[^{}]*\}|<[^<>]*>")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A route, as a door found it. ``meant`` is the scope that it was meant to need and does not; ``scrubbed`` says by which hooks."""

    path: str
    methods: tuple[str, ...]
    endpoint: str
    functions: tuple[Any, ...] = field(repr=False)
    markers: tuple[ScopeMarker, ...] = ()
    meant: str | None = None
    scrubbed: tuple[str, ...] = ()
    kind: Literal["http", "websocket", "function"] = "http"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something wrong. ``code`` is stable; an error fails ``aiguard routes``, a warning only with ``--strict``."""

    level: Level
    code: str
    where: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the table."""

    kind: str
    path: str
    methods: tuple[str, ...]
    endpoint: str
    scopes: tuple[str, ...]
    features: tuple[str, ...]
    rules: tuple[str, ...]
    """Which rules of the middleware and which scrubbing hooks apply, with their direction."""
    reaches: tuple[str, ...]
    """Ways to a model that the code names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """What an application has."""

    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> int:
        """How many problems are errors."""
        return sum(problem.level == "error" for problem in self.problems)


def take(entries: Sequence[Entry], guard: Guard, *, tables: Sequence[RouteTable] = (), app: Any = None) -> Inventory:
    """Take the inventory: one row an entry and a plain function, and every problem, errors first.

    Args:
        entries: the application's routes.
        guard: whose policy they are held against.
        tables: the rules of the middleware in front of the application.
        app: the application, for code that reaches for it.
    """
    functions = [
        Entry(kind="function", path="", methods=(), endpoint=_name(function), functions=(), markers=(marker,))
        for function, marker in plain_functions()
    ]
    rows, problems = [], []
    for entry in (*entries, *sorted(functions, key=lambda each: each.endpoint)):
        hits = frozenset() if entry.kind == "function" else reach(entry.functions, app=app)
        rows.append(_row(entry, guard.policy, tables, hits))
        problems += _entry_problems(entry, guard.policy, hits)
    texts: set[str] = set()
    for module in application_modules():
        built, named = built_in_source(module)
        texts |= named
        problems += [
            _client_problem(
                each.kind, guardable=each.guardable, where=f"{each.module}:{each.line}", how="is built here"
            )
            for each in built
        ]
    if not any(problem.code == "client.unguarded" for problem in problems):
        problems += [
            _client_problem(kind, guardable=guardable, where="this process", how=f"lives {count} times")
            for (kind, guardable), count in sorted(unguarded_in_process().items())
        ]
    problems += _policy_problems(guard.policy, rows, texts, tables, entries)
    problems.sort(key=lambda problem: (problem.level != "error", problem.code, problem.where))
    return Inventory(rows=tuple(rows), problems=tuple(dict.fromkeys(problems)))


def warn_at_start(entries: Sequence[Entry], guard: Guard, *, app: Any) -> None:
    """The startup check: log what an inventory finds, or refuse to serve, as ``AIGUARD_STARTUP_CHECK`` says.

    Raises:
        UnguardedRoute: something is wrong and the setting is ``refuse``.
    """
    mode = guard.settings.startup_check
    if mode == "off":
        return
    try:
        problems = [each for each in take(entries, guard, app=app).problems if each.level == "error"]
    except Exception as error:
        if mode == "refuse":
            raise
        logger.warning("the application could not be examined at its start: %s", type(error).__name__)
        return
    for problem in problems:
        logger.warning("%s: %s (%s); aiguard routes says more", problem.where, problem.detail, problem.code)
    if problems and mode == "refuse":
        first = problems[0]
        raise UnguardedRoute(
            f"{first.where}: {first.detail} ({first.code}; {len(problems)} in all, which aiguard routes lists)"
        )


def _row(entry: Entry, policy: Policy, tables: Sequence[RouteTable], hits: Iterable[Hit]) -> Row:
    found = (_feature(marker, policy) for marker in entry.markers)
    return Row(
        kind=entry.kind,
        path=entry.path,
        methods=entry.methods,
        endpoint=entry.endpoint,
        scopes=tuple(dict.fromkeys(marker.scope for marker in entry.markers)),
        features=tuple(dict.fromkeys(feature for feature in found if feature is not None)),
        rules=(*_rules(entry, tables), *entry.scrubbed),
        reaches=tuple(sorted({hit.name for hit in hits})),
    )


def _feature(marker: ScopeMarker, policy: Policy) -> str | None:
    if marker.feature is not None:
        return marker.feature if marker.feature in policy.features else None
    return getattr(policy.feature_for_scope(marker.scope), "name", None)


def sample(path: str) -> str:
    """A path that a template stands for."""
    return _FIELD.sub("1", _PATH_FIELD.sub("1/1", path))


def _rules(entry: Entry, tables: Sequence[RouteTable]) -> list[str]:
    said: dict[str, None] = {}
    for table in tables if entry.kind != "function" else ():
        fitting = table.at(sample(entry.path), "", "")
        for method in entry.methods or ("GET",):
            plan = table.plan(fitting, method, ())
            if plan is None:
                continue
            if plan.request is not None:
                said[f"{plan.request.path} (request)"] = None
            if plan.response is not None:
                said[f"{plan.response.path} (response)"] = None
    return list(said)


def _entry_problems(entry: Entry, policy: Policy, hits: frozenset[Hit]) -> list[Problem]:
    where = " ".join(filter(None, (",".join(entry.methods), entry.path or entry.endpoint)))
    found = []
    if entry.meant is not None:
        detail = f"is meant to need the scope {entry.meant!r}, but the bare function is registered; put the decorator below the route's"
        found.append(Problem(level="error", code="route.unguarded", where=where, detail=detail))
    for marker in entry.markers:
        if marker.feature is not None and marker.feature not in policy.features:
            detail = f"names the feature {marker.feature!r}, which policy does not know"
            found.append(Problem(level="error", code="feature.unknown", where=where, detail=detail))
        elif marker.feature is None and policy.feature_for_scope(marker.scope) is None:
            detail = f"needs the scope {marker.scope!r}, for which policy has no feature"
            found.append(Problem(level="error", code="scope.unknown", where=where, detail=detail))
    ways = {
        kind: sorted({f"{hit.name} in {hit.where}" for hit in hits if hit.kind == kind})
        for kind in ("guarded", "unguarded", "acting")
    }
    if ways["unguarded"]:
        detail = f"can reach a client that is not guarded: {', '.join(ways['unguarded'])}; make it with guard.client(…)"
        found.append(Problem(level="error", code="client.reached", where=where, detail=detail))
    if ways["guarded"] and not entry.markers and entry.meant is None:
        if ways["acting"]:
            detail = f"needs no scope and acts as somebody it names itself: {', '.join(ways['acting'])}"
            found.append(Problem(level="warning", code="route.acts", where=where, detail=detail))
        else:
            detail = f"needs no scope, but can reach a model, which would be refused: {', '.join(ways['guarded'])}; add require_ai_scope"
            found.append(Problem(level="error", code="route.without-scope", where=where, detail=detail))
    return found


def _client_problem(kind: str, *, guardable: bool, where: str, how: str) -> Problem:
    if guardable:
        return Problem(
            level="error",
            code="client.unguarded",
            where=where,
            detail=f"{kind} {how}, and no guard sees what it sends; use guard.client(…)",
        )
    detail = f"{kind} {how}; call it only in functions that are given to guard.call(…) or guard.stream(…)"
    return Problem(level="warning", code="client.other", where=where, detail=detail)


def _policy_problems(
    policy: Policy, rows: Sequence[Row], texts: set[str], tables: Sequence[RouteTable], entries: Sequence[Entry]
) -> list[Problem]:
    used = {feature for row in rows for feature in row.features}
    found = []
    for name, feature in policy.features.items():
        if name not in used and not {name, feature.scope} & texts:
            detail = "is a feature that no route or function uses; take it out, or guard something with its scope"
            found.append(Problem(level="warning", code="feature.unused", where=name, detail=detail))
    paths = [sample(entry.path) for entry in entries if entry.kind != "function"]
    if policy.routes and not tables:
        detail = "[[routes]] of the policy guard nothing here: no aiguard.asgi or aiguard.wsgi middleware is around this application"
        found.append(Problem(level="warning", code="rule.nowhere", where="policy", detail=detail))
    for table in tables:
        for rule in table.rules:
            if not any(rule in table.at(path, "", "") for path in paths):
                detail = "is a rule of the middleware that fits no route here"
                found.append(Problem(level="warning", code="rule.unused", where=rule.path, detail=detail))
    return found


def _name(function: Any) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__name__)}"
