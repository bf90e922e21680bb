"""A database as an older version left it, for tests of what an upgrade does with its rows."""

from __future__ import annotations

from sqlalchemy import Connection, text

_DECIDED = ("aiguard_vault_requests", "aiguard_holds")


def without_decisions(connection: Connection) -> None:
    """Take away what keeps decisions from being undone (revisions 0025 and 0026)."""
    if connection.dialect.name == "sqlite":
        for name in ("fresh", "onward", "stays"):
            connection.execute(text(f"DROP TRIGGER aiguard_service_tokens_{name}"))
    else:
        connection.execute(text("DROP FUNCTION aiguard_service_tokens_only_end() CASCADE"))
    for table in _DECIDED:
        if connection.dialect.name == "sqlite":
            for name in ("fresh", "onward", "over"):
                connection.execute(text(f"DROP TRIGGER {table}_{name}"))
        else:
            connection.execute(text(f"DROP FUNCTION {table}_decided() CASCADE"))


def at_0023(connection: Connection) -> None:
    """The schema before requests said who asked, however their id is spelled."""
    without_decisions(connection)
    connection.execute(text("ALTER TABLE aiguard_vault_requests DROP COLUMN person"))
    connection.execute(text("UPDATE aiguard_schema_version SET version_num = '0023'"))
