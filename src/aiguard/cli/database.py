"""The evidence database, opened for a command: ``aiguard db upgrade`` and ``aiguard db check``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from aiguard import db
from aiguard.cli.context import current_settings
from aiguard.cli.output import out

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from aiguard.types import KeyRing


@contextmanager
def evidence() -> Iterator[tuple[Engine, KeyRing]]:
    """The database that settings name, at the right revision, and the keys that open it."""
    from aiguard.runtime import open_keys  # wires every room, which `db upgrade` does not need

    settings = current_settings()
    engine = db.make_engine(settings.database_url, create=False)
    try:
        db.check(engine)
        settings.check_ready()
        yield engine, open_keys(settings)
    finally:
        engine.dispose()


@click.group(name="db")
def database() -> None:
    """The evidence database's schema."""


@database.command()
def upgrade() -> None:
    """Bring the database to the revision that this version needs. Safe to run from several machines at once."""
    engine = db.make_engine(current_settings().database_url)
    try:
        out(f"the database is at revision {db.upgrade(engine)}")
    finally:
        engine.dispose()


@database.command()
def check() -> None:
    """Exit with 0 when the database is at the revision that this version needs, else say what to do."""
    engine = db.make_engine(current_settings().database_url, create=False)
    try:
        db.check(engine)
        out("the database is at the revision that this version needs")
    finally:
        engine.dispose()
