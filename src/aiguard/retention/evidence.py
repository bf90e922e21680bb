"""What a deletion leaves in the log: counts, times, and a root hash over what went."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from aiguard.audit.merkle import leaf_hash, root_hash


def ids_root(ids: Iterable[str]) -> str:
    """The RFC 6962 root hash over sorted ids: whoever kept a list of them can prove that they were among the deleted."""
    return f"sha256:{root_hash(leaf_hash(id.encode()) for id in sorted(ids)).hex()}"


def instant(moment: datetime) -> str:
    """A time as payloads write it: UTC, microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
