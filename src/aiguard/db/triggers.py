"""The triggers that refuse changes: whether each is there, in force, and what the migrations make.

A trigger of the right name that does nothing is worth nothing, so what it does is compared: on SQLite the statement that made it, on PostgreSQL when it
fires, for what, and the body, language and settings of its function. Blanks count for nothing, and neither does the schema's name.

What somebody added to our tables is told as well. It lets nothing through that another trigger refuses, but it may keep a row from being
written, or from being deleted, without a word: triggers, and on PostgreSQL rules and row security.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, text

from aiguard.db.base import PREFIX

LOG: Final = "aiguard_audit_"
"""What the names of the audit log's tables begin with."""

_BLANKS: Final = re.compile(r"\s+")
_SQLITE: Final = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
_POSTGRESQL: Final = """
SELECT t.tgname, t.tgenabled::text, c.relname, t.tgtype, t.tgqual IS NULL, t.tgattr::text, encode(t.tgargs, 'hex'),
  p.proname, p.pronamespace = c.relnamespace, l.lanname, p.prosecdef, p.prosrc, coalesce(array_to_string(p.proconfig, '; '), ''),
  quote_ident(n.nspname)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang
WHERE NOT t.tgisinternal AND pg_table_is_visible(t.tgrelid)
"""
_RULES: Final = """
SELECT 'the rule ' || r.rulename, c.relname FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
WHERE r.rulename <> '_RETURN' AND pg_table_is_visible(c.oid)
UNION ALL
SELECT 'row security', c.relname FROM pg_class c WHERE c.relrowsecurity AND pg_table_is_visible(c.oid)
"""
_PLACE: Final = re.compile(r"(?<=search_path=)[^;]+(?=, pg_temp)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    """Names of triggers, in order."""

    missing: tuple[str, ...]
    """Not there, or not in force in every session."""

    altered: tuple[str, ...]
    """There, and not what the migrations make."""

    added: tuple[str, ...] = ()
    """What migrations do not make, with its table: ``the trigger … on …``, ``the rule …``, ``row security …``."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.altered or self.added)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Trigger:
    name: str
    table: str
    digest: str
    """Of what it does."""
    in_force: bool = True
    """Whether it fires in every session."""

    @property
    def ours(self) -> bool:
        """Whether its name is that of its table: on PostgreSQL each table has names of its own."""
        return self.name.startswith(f"{self.table}_")


def faults(connection: Connection, beginning: str = "") -> Faults:
    """What is wrong with the triggers of a database that is at the code's revision, of those whose names, or tables' names, begin so."""
    known = TRIGGERS[connection.dialect.name]
    there = {each.name: each.digest for each in _all(connection) if each.in_force and each.name in known and each.ours}
    wanted = {name: value for name, value in known.items() if name.startswith(beginning)}
    return Faults(
        missing=tuple(sorted(name for name in wanted if name not in there)),
        altered=tuple(sorted(name for name, value in wanted.items() if there.get(name, value) != value)),
        added=added(connection, beginning or PREFIX),
    )


def added(connection: Connection, beginning: str = PREFIX) -> tuple[str, ...]:
    """What migrations do not make, on tables whose names begin so: whatever it does, whenever it fires."""
    known = TRIGGERS[connection.dialect.name]
    told = [
        (f"the trigger {each.name}", each.table) for each in _all(connection) if not (each.name in known and each.ours)
    ]
    if connection.dialect.name == "postgresql":
        told += [(str(what), str(table)) for what, table in connection.execute(text(_RULES))]
    return tuple(sorted(f"{what} on {table}" for what, table in told if table.startswith(beginning)))


def found(connection: Connection) -> dict[str, str]:
    """The triggers in force, with a digest of what each does."""
    return {each.name: each.digest for each in _all(connection) if each.in_force}


def _all(connection: Connection) -> list[_Trigger]:
    if connection.dialect.name == "sqlite":
        return [
            _Trigger(name=str(name), table=str(table).lower(), digest=_digest(str(sql)))
            for name, table, sql in connection.execute(text(_SQLITE))
        ]
    return [
        _Trigger(name=str(row[0]), table=str(row[2]), digest=_digest(_told(row[2:])), in_force=row[1] == "A")
        for row in connection.execute(text(_POSTGRESQL)).all()
    ]


def _told(row: tuple[object, ...]) -> str:
    *facts, settings, place = row
    same = _PLACE.sub(
        lambda found: "its own" if found[0].strip('"') == str(place).strip('"') else found[0], str(settings)
    )
    return "|".join(map(str, (*facts, same)))


def _digest(definition: str) -> str:
    return hashlib.sha256(_BLANKS.sub(" ", definition).strip().encode()).hexdigest()[:32]


TRIGGERS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "sqlite": {
            "aiguard_audit_checkpoints_no_delete": "7ff38f33b42e74db89249eccceb9d693",
            "aiguard_audit_checkpoints_no_replace": "6f8fb6427a450e12e1b0098136d75130",
            "aiguard_audit_checkpoints_no_update": "7f38a6245bc52e1dbe93d76ad04413e1",
            "aiguard_audit_erased_no_delete": "90c5c9b990571838202cc6f9344f80ad",
            "aiguard_audit_erased_no_replace": "0b9d694f2e5467515aac19fb7d773c14",
            "aiguard_audit_erased_no_update": "58e432363d5e94dc3391206cc206ef19",
            "aiguard_audit_events_no_delete": "cda30c0ed47857e862ce59524a5838ee",
            "aiguard_audit_events_no_replace": "13cc72b3b265e7136e6ad7c4daf2a828",
            "aiguard_audit_events_no_update": "0f879852ff404d4737c33329baa17afd",
            "aiguard_audit_logs_no_delete": "cb5f4f3ed32d7f0abd32649124d806aa",
            "aiguard_audit_logs_no_replace": "8aa3afcd7344a9b975dc3c3877f274a6",
            "aiguard_audit_logs_no_shrink": "17f337b4ba5536f31f79d8032ee03172",
            "aiguard_audit_nodes_no_delete": "fc652a3401844aacaf1ced74129a377b",
            "aiguard_audit_nodes_no_replace": "67a916ad004827bef69e666d954edff4",
            "aiguard_audit_nodes_no_update": "d17bf11d4b743f1692dde9999c62e6eb",
            "aiguard_audit_payloads_no_delete": "36e1e0f41fff9f40f24110c5794d1790",
            "aiguard_audit_payloads_no_replace": "e4989f5a67eb5ca3d049d052a1aa3dab",
            "aiguard_audit_payloads_no_update": "09c0c920ae9a4562bd287d4e20ccbcd0",
            "aiguard_audit_prunes_no_delete": "6406ec0dd15d520b592686567a35a709",
            "aiguard_audit_prunes_no_replace": "93072f58c2568ee0718e32939c167bcc",
            "aiguard_audit_prunes_no_update": "454f597dcff47134373508aa52c3ed76",
            "aiguard_audit_tiles_no_delete": "b32b72ef639aba10c9a8f90ccefaf32e",
            "aiguard_audit_tiles_no_replace": "3c4a9ca42a6491e6bbe9552d6d9c1bcb",
            "aiguard_audit_tiles_no_update": "98ab490fca99565b3bec24b4ee5a8ce0",
            "aiguard_holds_fresh": "b824b49dcb36834bb47bebbfe89376c7",
            "aiguard_holds_onward": "5fff216d73d2aa59311c949408adfc4c",
            "aiguard_holds_over": "55c3731c438dc23bec255a3a9107f4e8",
            "aiguard_service_tokens_fresh": "ea678822dc695d3b0c61becf1325936f",
            "aiguard_service_tokens_onward": "0a80cba9e8eb1804e85afd92cfd61d15",
            "aiguard_service_tokens_stays": "450897447f5aa58f3542306a46992925",
            "aiguard_vault_requests_fresh": "757899584e34251e23d43c78c5b3aa1d",
            "aiguard_vault_requests_onward": "5b68f59d3dcd59574e4a9f19d4502a7f",
            "aiguard_vault_requests_over": "0da3f644e2e22f5e19152848dae72a6b",
        },
        "postgresql": {
            "aiguard_audit_checkpoints_rows": "df8c2ad9853c0c8bed3358cb24a8c699",
            "aiguard_audit_checkpoints_truncate": "d29592944d69046806874e203d4bf10e",
            "aiguard_audit_erased_rows": "aa7e664a967b9508dcf31d535ecbd9de",
            "aiguard_audit_erased_truncate": "1ef22429541fc93540530f7707e7afa2",
            "aiguard_audit_events_rows": "f28427e111ac09ed9fecd5840712cb02",
            "aiguard_audit_events_truncate": "72c1ec18550084074bb487c002a33738",
            "aiguard_audit_logs_rows": "8b4f3d3bf3aeb821cc54ae0bdea01009",
            "aiguard_audit_logs_truncate": "6351f38c884b7c8159eee877ee7a00fd",
            "aiguard_audit_nodes_rows": "5257659fe918f9ba2d850f1f8e718a90",
            "aiguard_audit_nodes_truncate": "34688bdfda5695b4cffec897a310e997",
            "aiguard_audit_payloads_rows": "180ffbc7dbe3ba67e386392115959a94",
            "aiguard_audit_payloads_truncate": "dc6434cb43bb8d1c689c6d4cba83ac2c",
            "aiguard_audit_prunes_rows": "293f2d669279fd3b8e3e2f0f8b84a72f",
            "aiguard_audit_prunes_truncate": "056f076b5d05c56e1527267787ecb4fc",
            "aiguard_audit_tiles_rows": "deb2241d3e6be15e732c4e057549c6e2",
            "aiguard_audit_tiles_truncate": "b30f26eb52282a00631afb0ae3de4793",
            "aiguard_holds_rows": "76676c2ab97e4cb664f917475eba295f",
            "aiguard_holds_truncate": "3c29d3c9b4c4c13a92f14cf5fdb47ba0",
            "aiguard_service_tokens_rows": "fef9451e6d7c2de253f0ab6b74cbb84d",
            "aiguard_service_tokens_truncate": "458f7d4fc6e1ee4dac68713490e6c345",
            "aiguard_vault_requests_rows": "dab99b6350f35c9f082f15b96f4946fa",
            "aiguard_vault_requests_truncate": "8e7e5330f57cec80ce4ba3313a734ade",
        },
    }
)
"""What the migrations make, by database; a test makes it anew. A migration that changes a trigger changes it here."""
