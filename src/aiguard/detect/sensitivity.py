"""How sensitive a text is, from what was found in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiguard.detect.kinds import known_types
from aiguard.types import Finding, Sensitivity


def sensitivity_of(findings: Iterable[Finding], overrides: Mapping[str, Sensitivity] | None = None) -> Sensitivity:
    """The highest sensitivity of any finding; ``PUBLIC`` when there is none.

    ``overrides`` is policy's ladder by type. A type that nobody knows counts as ``CONFIDENTIAL``: a detector thought
    it worth reporting.
    """
    kinds = known_types()
    highest = Sensitivity.PUBLIC
    for finding in findings:
        if overrides is not None and finding.type in overrides:
            level = overrides[finding.type]
        else:
            info = kinds.get(finding.type)
            level = Sensitivity.CONFIDENTIAL if info is None else info.sensitivity
        highest = max(highest, level)
    return highest
