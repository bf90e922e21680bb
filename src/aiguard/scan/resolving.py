"""Which findings of a text stay where several recognizers found something in the same place."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from operator import attrgetter
from typing import Final

from aiguard.scan.recognizer import Recognizer
from aiguard.types import Finding

SPECIFIC: Final = 10
"""Priority below which a reading of a whole text says little (some code): it counts where there is no other."""


_start: Final = attrgetter("start")


class _Reach(dict[int, int]):
    """Priority -> how far findings of it reach; few distinct priorities."""

    def covers(self, end: int, rank: int) -> bool:
        """Whether a finding of at least that priority, which began before, reaches ``end``."""
        return any(far >= end for level, far in self.items() if level >= rank)

    def add(self, end: int, rank: int) -> None:
        """A finding of that priority reaches ``end``."""
        self[rank] = max(self.get(rank, 0), end)


class Resolver:
    """Unites overlapping findings of one type, and drops what lies within a finding of at least the same priority.

    A text that is nothing but one number is everything that its check digits allow: none of these readings drops another, so that
    policy can hold for each. Each finding is judged by those around it only, which is what lets a stream judge as the whole text does.
    """

    def __init__(self, recognizers: Iterable[Recognizer]) -> None:
        listed = tuple(recognizers)
        self._priority = {each.name: each.priority for each in listed}
        self._order = {name: index for index, name in enumerate(self._priority)}
        self._lone = {each.name: each.alone_score for each in listed if _reads_alone(each)}

    def __call__(self, found: list[Finding]) -> list[Finding]:
        """The findings that stay, sorted by start; ``found`` is used up."""
        found.sort(key=_start)
        if all(before.end <= after.start for before, after in pairwise(found)):
            return found
        priority, order = (
            self._priority,
            self._order,
        )  # the order, so that ties do not depend on what else the text holds
        found.sort(key=lambda f: (f.start, -f.end, -priority[f.recognizer], -f.score, order[f.recognizer]))
        kept: list[Finding] = []
        last_of: dict[str, int] = {}
        reach, lone_reach = _Reach(), _Reach()
        whole = (-1, -1)
        for finding in found:
            rank = priority[finding.recognizer]
            lone = self._lone.get(finding.recognizer) == finding.score
            another = whole == (finding.start, finding.end) and rank < SPECIFIC
            if another if lone else lone_reach and lone_reach.covers(finding.end, rank):
                continue
            if reach and reach.covers(finding.end, rank):
                continue
            if lone:
                whole = finding.start, finding.end
            index = last_of.get(finding.type)
            if index is not None and kept[index].end > finding.start:
                kept[index] = self._united(kept[index], finding)
                rank = priority[kept[index].recognizer]
            else:
                last_of[finding.type] = len(kept)
                kept.append(finding)
            (lone_reach if lone else reach).add(finding.end, rank)
        return kept

    def _united(self, first: Finding, second: Finding) -> Finding:
        """Two overlapping findings of one type as one, in the name of the more specific."""
        above = self._priority[second.recognizer] > self._priority[first.recognizer]
        return Finding(
            type=first.type,
            start=first.start,
            end=max(first.end, second.end),
            score=max(first.score, second.score),
            recognizer=second.recognizer if above else first.recognizer,
        )


def _reads_alone(recognizer: Recognizer) -> bool:
    """Whether the score of a finding tells that it was found because it is the whole text."""
    return recognizer.alone_score > recognizer.base_score and recognizer.alone_score != recognizer.context_score
