"""The retention matrix: what policy says about each class of data, one row a rule.

Pure: it reads a policy and nothing else. ``aiguard retention matrix`` prints it for the register of processing (GDPR Art. 30(1)(f)
asks for the time limits of each category).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from aiguard.policy import Policy
from aiguard.policy.builtin import RETENTION_CLASSES
from aiguard.policy.models import RetentionOverride, RetentionRule
from aiguard.retention.erasing import Backups


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixRow:
    """One rule, or a class that has none (then ``duration`` is ``None``). Times are :class:`~datetime.timedelta`."""

    data_class: str
    applies_to: str
    """What it selects within the class: ``feature=…, tenant=…, sensitivity>=…``, or ``everything else``."""
    kept_by: tuple[str, ...]
    """Features that keep this class."""
    duration: timedelta | None
    written: str
    trigger: str
    floor: timedelta | None
    cap: timedelta | None
    basis: str
    mechanism: str
    owner: str
    backup_ttl: timedelta | None


def matrix(policy: Policy) -> tuple[MatrixRow, ...]:
    """Every class in a fixed order; within a class the overrides in the order in which they count, then the class's own rule."""
    rows: list[MatrixRow] = []
    for name in RETENTION_CLASSES:
        kept_by = tuple(sorted(each.name for each in policy.features.values() if name in each.keep.classes))
        overrides = [each for each in policy.retention_overrides if each.data_class == name]
        rows += [_row(name, _selects(each), kept_by, each) for each in overrides]
        rule = policy.retention.get(name)
        if rule is not None or kept_by or overrides:
            rows.append(_row(name, "everything else" if overrides else "everything", kept_by, rule))
    return tuple(rows)


def backups_of(policy: Policy, key_store_days: int | None) -> Backups:
    """How long copies of what is erased may live, as far as anybody said.

    Copies of the data: the longest ``backup_ttl`` of all rules, unknown as soon as one rule does not say. Copies of a key store
    of its own: what settings say.
    """
    rules = [*policy.retention.values(), *policy.retention_overrides]
    said = [rule.backup_ttl for rule in rules if rule.backup_ttl is not None]
    known = bool(rules) and len(said) == len(rules)
    return Backups(data=-(-max(said) // timedelta(days=1)) if known else None, keys=key_store_days)


def _row(name: str, selects: str, kept_by: tuple[str, ...], rule: RetentionRule | None) -> MatrixRow:
    return MatrixRow(
        data_class=name,
        applies_to=selects,
        kept_by=kept_by,
        duration=rule.duration if rule else None,
        written=(rule.written or str(rule.duration)) if rule else "",
        trigger=rule.trigger if rule else "",
        floor=rule.floor if rule else None,
        cap=rule.cap if rule else None,
        basis=rule.basis if rule else "",
        mechanism=str(rule.mechanism) if rule else "",
        owner=rule.owner if rule else "",
        backup_ttl=rule.backup_ttl if rule else None,
    )


def _selects(rule: RetentionOverride) -> str:
    said = [
        f"feature={rule.feature}" if rule.feature is not None else "",
        f"tenant={rule.tenant}" if rule.tenant is not None else "",
        f"sensitivity>={rule.sensitivity.name.lower()}" if rule.sensitivity is not None else "",
    ]
    return ", ".join(filter(None, said))
