"""What is over goes, and what went can be proved.

Law of this folder: an artifact is deleted in the same transaction that records its deletion, so there is never one
without the other; and only what has expired by the given ``now`` is touched.

``pruning`` plans and deletes.
"""

from __future__ import annotations

from aiguard.retention.pruning import Plan, PlanLine, Pruned, plan, prune

__all__ = ["Plan", "PlanLine", "Pruned", "plan", "prune"]
