"""A service token only ever ends sooner: it comes unrevoked, is revoked once, its time is never prolonged, and its row stays.

Whoever may write to the table, and has no key, could otherwise set a revocation back, or put an earlier seal of the row in its place.
"""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_TABLE: Final = "aiguard_service_tokens"
_FRESH: Final = "NEW.revoked_at IS NULL"
_ONWARD: Final = (
    "NEW.id = OLD.id AND NEW.service = OLD.service AND NEW.created_at = OLD.created_at AND NEW.expires_at <= OLD.expires_at "
    "AND (OLD.revoked_at IS NULL OR (NEW.revoked_at = OLD.revoked_at AND NEW.sealed = OLD.sealed))"
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        taken = f"EXISTS (SELECT 1 FROM {_TABLE} WHERE id = NEW.id)"  # noqa: S608 - a name from this file
        for name, verb, allowed in (
            ("fresh", "INSERT", f"{_FRESH} AND NOT {taken}"),
            ("onward", "UPDATE", _ONWARD),
            ("stays", "DELETE", "FALSE"),
        ):
            op.execute(
                f"CREATE TRIGGER {_TABLE}_{name} BEFORE {verb} ON {_TABLE} WHEN ({allowed}) IS NOT TRUE "
                f"BEGIN SELECT RAISE(ABORT, '{_TABLE}: a token only ends sooner'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {_TABLE}_only_end() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$ BEGIN "
        f"IF TG_OP = 'INSERT' THEN IF ({_FRESH}) IS TRUE THEN RETURN NEW; END IF; END IF; "
        f"IF TG_OP = 'UPDATE' THEN IF ({_ONWARD}) IS TRUE THEN RETURN NEW; END IF; END IF; "
        "RAISE EXCEPTION '%: a token only ends sooner', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    for name, when in (
        ("rows", "BEFORE INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW"),
        ("truncate", "BEFORE TRUNCATE ON {} FOR EACH STATEMENT"),
    ):
        op.execute(f"CREATE TRIGGER {_TABLE}_{name} {when.format(_TABLE)} EXECUTE FUNCTION {_TABLE}_only_end()")
        op.execute(f"ALTER TABLE {_TABLE} ENABLE ALWAYS TRIGGER {_TABLE}_{name}")


def downgrade() -> None:
    raise NotImplementedError("evidence is not dropped by a downgrade; restore a backup instead")
