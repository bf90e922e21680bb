"""``aiguard routes``: what every route of an application needs, which rules apply to it, and what is wrong."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from aiguard.cli.context import current_application
from aiguard.cli.output import err, fail, out
from aiguard.errors import AIGuardError
from aiguard.guard import Guard
from aiguard.inventory import Inventory, Row, take
from aiguard.middleware.table import RouteTable

UNREADABLE: Final = 2
"""Exit code: the application could not be loaded or has no guard, so nothing was checked."""
MAX_WRAPPERS: Final = 32
"""Middleware around one application."""


@click.command()
@click.option(
    "--app",
    "spec",
    metavar="MODULE:APP",
    help="The application, as a server takes it; MODULE:create_app() calls a factory.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 on warnings too.")
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def routes(spec: str | None, *, strict: bool, as_data: bool) -> None:
    """List every route of an application with its scope, feature and rules, and say what is wrong.

    Finds routes that can reach a model without a scope, guards that a route does not run, scopes that policy does not
    know, clients that are not guarded, and features that nothing uses. Exits with 1 on an error, with 2 if the application
    cannot be looked at.
    """
    app = current_application() if spec is None else _load(spec)
    if app is None:
        raise click.UsageError("name the application: --app MODULE:APP")
    inventory = _inventory(app)
    if as_data:
        document = {"errors": inventory.errors, "warnings": len(inventory.problems) - inventory.errors}
        out(json.dumps({**document, **asdict(inventory)}, indent=2))
    else:
        _show(inventory)
    if inventory.errors or (strict and inventory.problems):
        raise SystemExit(1)


def _load(spec: str) -> Any:
    name, _, path = spec.partition(":")
    if not name or not path:
        raise click.UsageError("write --app MODULE:APP, for example --app shop.web:app")
    sys.path.insert(0, str(Path.cwd()))
    path, is_factory = (path[:-2], True) if path.endswith("()") else (path, False)
    try:
        found: Any = importlib.import_module(name)
        for step in path.split("."):
            found = getattr(found, step)
        return found() if is_factory else found
    except AIGuardError as error:
        fail(f"{spec} does not start: {error}", code=UNREADABLE)
    except Exception as error:  # noqa: BLE001 - whatever an application's import raises is the answer: it cannot be looked at
        fail(f"{spec} cannot be loaded ({type(error).__name__}: {error})", code=UNREADABLE)


def _inventory(app: Any) -> Inventory:
    """The inventory of an application, whatever middleware stands around it."""
    tables: list[RouteTable] = []
    guard: Guard | None = None
    for _ in range(MAX_WRAPPERS):
        if isinstance(table := getattr(app, "table", None), RouteTable):
            tables.append(table)
            guard = guard or app.guard
        if _is_flask(app):
            return _flask(app, guard, tables)
        if hasattr(app, "routes") and hasattr(app, "router"):
            return _starlette(app, guard, tables)
        app = getattr(app, "app", None) or getattr(app, "wsgi_app", None)
    return fail(
        "this is neither a Flask, Starlette or FastAPI application nor one of them with middleware around it; its routes "
        "cannot be listed",
        code=UNREADABLE,
    )


def _is_flask(app: Any) -> bool:
    return "flask" in sys.modules and isinstance(app, sys.modules["flask"].Flask)


def _flask(app: Any, guard: Guard | None, tables: list[RouteTable]) -> Inventory:
    from aiguard.flask.routes import entries_of, guard_of

    inner = app.wsgi_app
    for _ in range(MAX_WRAPPERS):
        if isinstance(table := getattr(inner, "table", None), RouteTable):
            tables.append(table)
            guard = guard or inner.guard
        inner = next(
            (found for name in ("app", "wsgi_app", "__wrapped__") if (found := getattr(inner, name, None))), None
        )
    return take(entries_of(app), _needed(guard_of(app) or guard), tables=tables, app=app)


def _starlette(app: Any, guard: Guard | None, tables: list[RouteTable]) -> Inventory:
    from aiguard.starlette.routes import entries_of, guard_of, middleware_of

    guard = _needed(guard_of(app) or guard)
    tables += [RouteTable(guard, rules) for rules in middleware_of(app)]
    return take(entries_of(app), guard, tables=tables, app=app)


def _needed(guard: Guard | None) -> Guard:
    if guard is None:
        fail(
            "this application has no AIGuard and no middleware of aiguard, so none of its routes is guarded",
            code=UNREADABLE,
        )
    return guard


def _show(inventory: Inventory) -> None:
    lines = [_cells(row) for row in inventory.rows]
    widths = [max((len(line[column]) for line in lines), default=0) for column in range(4)]
    for line in lines:
        aligned = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        out("  ".join([*aligned, *line[4:]]).rstrip())
    for problem in inventory.problems:
        err(f"{problem.level}: {problem.where}: {problem.detail} [{problem.code}]")
    routes = sum(row.kind != "function" for row in inventory.rows)
    warnings = len(inventory.problems) - inventory.errors
    out(f"{routes} routes, {len(inventory.rows) - routes} functions, {inventory.errors} errors, {warnings} warnings")


def _cells(row: Row) -> list[str]:
    """Methods, route, scope and feature, then whatever else there is to say."""
    kind = {"http": ",".join(row.methods) or "any", "websocket": "socket", "function": "call"}[row.kind]
    cells = [kind, row.path or row.endpoint, ", ".join(row.scopes) or "-", ", ".join(row.features) or "-"]
    cells += [f"rules: {', '.join(row.rules)}"] if row.rules else []
    return cells + ([f"reaches: {', '.join(row.reaches)}"] if row.reaches else [])
