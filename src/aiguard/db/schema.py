"""The schema's revision: upgrade it, or refuse to run on a wrong one.

Migrations are Alembic scripts inside the package, run without an ``alembic.ini`` and recorded in a version table of
their own, so they never meet the migrations of the application.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from aiguard.db.base import PREFIX
from aiguard.db.engine import reading, schema_of, writing
from aiguard.db.failures import as_store_error
from aiguard.errors import SchemaRevisionError

VERSION_TABLE = f"{PREFIX}schema_version"
_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x6169677561726401
"""Key of the PostgreSQL advisory lock that upgrades hold."""


def upgrade(engine: Engine) -> str:
    """Bring the database to the code's revision and return it. Any number of processes may call this at once.

    The whole upgrade is one transaction under a lock, so a crash leaves the old revision.

    Raises:
        SchemaRevisionError: the database is at a revision that this version of the code does not know.
        StoreUnavailable: the database cannot be reached or stays locked.
    """
    config, scripts = _scripts()
    head = _head(scripts)
    try:
        with writing(engine) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                connection.execute(text("SET LOCAL lock_timeout = '60s'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
                if (schema := schema_of(engine)) is not None:
                    connection.execute(CreateSchema(schema, if_not_exists=True))
            current = _current(connection)
            if current == head:
                return head
            _refuse_unknown(current, scripts)
            _run(connection, config, scripts, head)
    except SQLAlchemyError as error:
        raise as_store_error(error) from None
    return head


def check(engine: Engine) -> None:
    """Raise :class:`SchemaRevisionError` unless the database is at the code's revision."""
    _, scripts = _scripts()
    head = _head(scripts)
    current = current_revision(engine)
    if current == head:
        return
    _refuse_unknown(current, scripts)
    state = "has no aiguard tables" if current is None else f"is at revision {current}"
    raise SchemaRevisionError(f"The database {state} and the code needs {head}; run `aiguard db upgrade`.")


def current_revision(engine: Engine) -> str | None:
    """The revision the database is at, or None when it has no aiguard tables."""
    try:
        with reading(engine) as connection:
            return _current(connection)
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None


def _scripts() -> tuple[Config, ScriptDirectory]:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config, ScriptDirectory.from_config(config)


def _head(scripts: ScriptDirectory) -> str:
    head = scripts.get_current_head()
    if head is None:
        raise SchemaRevisionError("The package holds no migrations; reinstall aiguard.")
    return head


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _refuse_unknown(current: str | None, scripts: ScriptDirectory) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise SchemaRevisionError(
            f"The database is at revision {current}, which this version of aiguard does not know; "
            "install the version that wrote it, or a newer one."
        )


def _run(connection: Connection, config: Config, scripts: ScriptDirectory, head: str) -> None:
    def steps(revision: Any, _context: MigrationContext) -> Any:
        return scripts._upgrade_revs(head, revision)  # noqa: SLF001 - what Alembic's own `upgrade` command calls

    with EnvironmentContext(config, scripts, fn=steps, destination_rev=head) as environment:
        environment.configure(connection=connection, version_table=VERSION_TABLE, transactional_ddl=True)
        with environment.begin_transaction():
            environment.run_migrations()
