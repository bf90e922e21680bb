"""Detection over the parts of a body: each part by itself, and across the seams of one message.

A model reads the text parts of one message as one text, so a card number cut into two content parts is still a card number.
Parts of the same message are therefore also looked at joined, and what crosses a seam is found in each part it touches.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from aiguard.types import Detector, Finding, Part, PartKind


def _message(part: Part) -> tuple[str, str, str, str] | None:
    """What a part shares with its neighbours of the same message: role, first two pointer steps and field name."""
    steps = part.pointer.split("/")
    if part.kind is not PartKind.TEXT or part.channel != "prose" or len(steps) < 4:
        return None
    name = next((step for step in reversed(steps) if not step.isdigit()), "")
    return part.role, steps[1], steps[2], name


def _groups(parts: Sequence[Part]) -> list[list[int]]:
    """Indexes of the parts that make up one message, for every message of more than one text part."""
    groups: dict[tuple[str, str, str, str], list[int]] = {}
    for index, part in enumerate(parts):
        key = _message(part)
        if key is not None and part.text:
            groups.setdefault(key, []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def joined_texts(parts: Sequence[Part]) -> list[str]:
    """The text of each message that has several text parts, joined as a model reads it."""
    return ["".join(parts[index].text for index in group) for group in _groups(parts)]


def detect_parts(detector: Detector, parts: Sequence[Part]) -> list[list[Finding]]:
    """The findings of each part, in the parts' order, seams included.

    Raises whatever the detector raises: a part that could not be looked at must stop the exchange.
    """
    found = [list(detector.detect(part.text, context=part.context)) for part in parts]
    for group in _groups(parts):
        text = "".join(parts[index].text for index in group)
        starts = [0]
        for index in group:
            starts.append(starts[-1] + len(parts[index].text))
        for finding in detector.detect(text):
            touched = [
                (
                    index,
                    max(finding.start, start) - start,
                    min(finding.end, end) - start,
                )
                for index, (start, end) in zip(group, pairwise(starts), strict=True)
                if finding.start < end and finding.end > start
            ]
            if len(touched) < 2:
                continue
            for index, start, end in touched:
                piece = Finding(
                    type=finding.type,
                    start=start,
                    end=end,
                    score=finding.score,
                    recognizer=finding.recognizer,
                )
                found[index].append(piece)
    return [sorted(findings, key=lambda f: (f.start, f.end)) for findings in found]
