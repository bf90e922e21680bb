"""What somebody decided does not go back: a reveal that was approved or used up, a legal hold and its release.

A request to reveal a value is approved once and used once, and goes only when its time is over, by the database's own clock; a hold
covers what it covered when it was placed, is released once, by somebody else, and stays. Whoever may write to these tables, and is not their
owner, can neither undo that nor put a row there that says it of itself.

On PostgreSQL the trigger on the log's size compares by the server's own operators too, whatever a session puts before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_REQUESTS: Final = "aiguard_vault_requests"
_HOLDS: Final = "aiguard_holds"
_FIXED: Final = {
    _REQUESTS: ("id", "vault", "code", "tenant", "requested_by", "requested_at", "expires_at", "person"),
    _HOLDS: (
        "id", "matter", "custodian", "placed_by", "placed_at", "review_at", "subject", "actor", "tenant", "feature", "data_class",
        "decision_id", "created_from", "created_until",
    ),
}  # fmt: skip
_FRESH: Final = {
    _REQUESTS: "NEW.approved_by = '' AND NEW.approval IS NULL AND NEW.used_at IS NULL",
    _HOLDS: "NEW.released_by = '' AND NEW.released_at IS NULL",
}
_ONWARD: Final = {
    _REQUESTS: (
        "(OLD.approval IS NULL OR ({approved_by} AND {approval})) AND (OLD.used_at IS NULL OR ({used_at} AND {approval}))"
    ),
    _HOLDS: (
        "OLD.released_at IS NULL AND NEW.released_at IS NOT NULL AND NEW.released_by <> '' AND NEW.released_by <> OLD.placed_by"
    ),
}
_OVER: Final = {
    _REQUESTS: {
        "sqlite": "OLD.expires_at < strftime('%Y-%m-%d %H:%M:%f', 'now')",
        "postgresql": "OLD.expires_at < now()",
    },
    _HOLDS: {"sqlite": "FALSE", "postgresql": "FALSE"},
}


def upgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        for table in _FIXED:
            _sqlite(table)
        return
    for table in _FIXED:
        _postgresql(table)
    place = bind.dialect.identifier_preparer.quote(bind.execute(sa.text("SELECT current_schema()")).scalar_one())
    for function in ("aiguard_log_rows", "aiguard_append_only"):
        op.execute(f"ALTER FUNCTION {place}.{function}() SET search_path = pg_catalog, pg_temp")


def _sqlite(table: str) -> None:
    taken = f"EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)"  # noqa: S608 - names from this file
    for name, verb, allowed in (
        ("fresh", "INSERT", f"({_FRESH[table]}) AND NOT {taken}"),
        ("onward", "UPDATE", _onward(table, "IS")),
        ("over", "DELETE", _OVER[table]["sqlite"]),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_{name} BEFORE {verb} ON {table} WHEN ({allowed}) IS NOT TRUE "
            f"BEGIN SELECT RAISE(ABORT, '{table}: what was decided stays'); END"
        )


def _postgresql(table: str) -> None:
    checks = (
        ("INSERT", _FRESH[table]),
        ("UPDATE", _onward(table, "IS NOT DISTINCT FROM")),
        ("DELETE", _OVER[table]["postgresql"]),
    )
    body = " ".join(
        f"IF TG_OP = '{verb}' THEN IF ({allowed}) IS TRUE THEN RETURN {'OLD' if verb == 'DELETE' else 'NEW'}; END IF; END IF;"
        for verb, allowed in checks
    )
    op.execute(
        f"CREATE FUNCTION {table}_decided() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN {body} "
        "RAISE EXCEPTION '%: what was decided stays', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_rows BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_decided()"
    )
    op.execute(
        f"CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {table}_decided()"
    )
    for suffix in ("rows", "truncate"):
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{suffix}")


def _onward(table: str, same: str) -> str:
    columns: Sequence[str] = ("approved_by", "approval", "used_at")
    kept = [f"NEW.{name} {same} OLD.{name}" for name in _FIXED[table]]
    return " AND ".join([*kept, _ONWARD[table].format(**{name: f"NEW.{name} {same} OLD.{name}" for name in columns})])


def downgrade() -> None:
    raise NotImplementedError("evidence is not dropped by a downgrade; restore a backup instead")
