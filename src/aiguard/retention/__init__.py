"""What is over goes, and what went can be proved.

Law of this folder: an artifact is deleted in the same transaction that records its deletion, so there is never one
without the other; and only what has expired by the given ``now`` is touched.

``planning`` counts what has expired and ``pruning`` deletes it at a ``pace``, in the way that its rule says (``removal``, ``shredding``);
``holds`` keeps what a matter needs, ``tables`` is what is remembered.
"""

from __future__ import annotations

from aiguard.retention.erasing import (
    Backups,
    ErasureReport,
    NobodyKnown,
    confirm,
    erase,
    erasure,
    erasures,
    resume,
)
from aiguard.retention.exporting import export
from aiguard.retention.extent import Extent, extent
from aiguard.retention.holds import HoldRefused, HoldScope, PlacedHold, holds, place, release
from aiguard.retention.people import Person, find_person, meet_person
from aiguard.retention.planning import Plan, PlanDrifted, PlanLine, confirmed, plan
from aiguard.retention.pruning import Pruned, prune
from aiguard.retention.removal import Gone, anonymised
from aiguard.retention.tables import AnonymisedCount, Erasure, Hold, JobRun, Latch

__all__ = [
    "AnonymisedCount",
    "Backups",
    "Erasure",
    "ErasureReport",
    "Extent",
    "Gone",
    "Hold",
    "HoldRefused",
    "HoldScope",
    "JobRun",
    "Latch",
    "NobodyKnown",
    "Person",
    "PlacedHold",
    "Plan",
    "PlanDrifted",
    "PlanLine",
    "Pruned",
    "anonymised",
    "confirm",
    "confirmed",
    "erase",
    "erasure",
    "erasures",
    "export",
    "extent",
    "find_person",
    "holds",
    "meet_person",
    "place",
    "plan",
    "prune",
    "release",
    "resume",
]
