"""What a stream holds back: from the first character of its end that anything an engine looks for could still depend on.

It is worked out once for an engine, from the prefix closures of its patterns (:mod:`aiguard.scan.closure`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from aiguard.scan.closure import Headed, Mentions, NotClosed, Tails, alphabet_within, closure, head
from aiguard.scan.engine import Engine
from aiguard.scan.recognizer import Recognizer
from aiguard.scan.words import trigger

RUN_CLASS: Final = r"[A-Za-z0-9_.~@:/?&=+%#;\-]"
"""The characters that an encoded segment may be made of."""

RUN: Final = re.compile(f"{RUN_CLASS}+")
IN_RUN: Final = frozenset(char for char in map(chr, range(128)) if RUN.match(char))


@dataclass(frozen=True, slots=True)
class Plan:
    """What an engine's streams hold back."""

    tails: Tails
    """For recognizers that need no words before a match; and for encoded segments."""
    named: Tails
    """For those of them that a name gives away: in one automaton with the others their states would be multiplied."""
    worded: tuple[Tails, ...]
    """For each recognizer that does: nothing is held for it while none of its words stands near."""
    spoken: Callable[[bytes], Iterable[Tails]]
    """Those of ``worded`` of which a word may stand in a text."""
    by_list: Mapping[int, Sequence[Tails]]
    """Those of ``worded`` for which a list of the engine's speaks."""
    heads: Mentions
    gapped: tuple[Headed, ...]
    """For each recognizer whose pattern has a gap, which any text could stand in: nothing is held for it where its head does not stand."""
    lone: Tails
    """For recognizers that only ever report a whole text."""
    longest_lone: int
    opening: int
    """Characters at the beginning that are held whole, for recognizers whose search differs in short texts."""
    look_behind: int
    quick: bool
    """Whether the engine's own set of words knows those of all of ``worded``."""


MAX_PLANS: Final = 64
"""Plans that are kept of an engine and those tuned from it. Each takes as much as a second to work out, and some megabytes."""


@lru_cache(maxsize=32)  # asked for every string of a document
def plan_of(engine: Engine, also: tuple[str, ...]) -> Plan | None:
    """The plan of an engine, worked out once for all that differ in nothing that it depends on.

    None where a pattern cannot be taken apart, so that a stream must keep everything.
    """
    key = also, tuple(_weighed(recognizer, engine.threshold_of(recognizer)) for recognizer in engine.recognizers)
    plans: dict[Hashable, Plan | None] = engine.plans
    if key in plans:
        return plans[key]
    plan = _worked_out(engine, also)
    if len(plans) >= MAX_PLANS:
        plans.pop(next(iter(plans)), None)
    plans[key] = plan
    return plan


def _weighed(recognizer: Recognizer, threshold: float) -> tuple[bool, ...]:
    """All that a plan asks of a threshold."""
    scores = recognizer.base_score, recognizer.context_score, recognizer.alone_score
    return tuple(score >= threshold for score in scores)


def _worked_out(engine: Engine, also: tuple[str, ...]) -> Plan | None:
    patterns = [RUN_CLASS + "+", *also]
    names: list[str] = []
    lone: list[Recognizer] = []
    worded: list[tuple[Recognizer, Tails]] = []
    lists: dict[int, list[Tails]] = {}
    gapped: list[tuple[str, Headed]] = []
    opening = 0
    quick = True
    try:
        for recognizer in engine.recognizers:
            threshold = engine.threshold_of(recognizer)
            if max(recognizer.base_score, recognizer.context_score, recognizer.alone_score) < threshold:
                continue  # it reports nothing, so nothing waits for it
            speaks = recognizer.context and recognizer.context_score >= threshold
            only_whole = recognizer.base_score < threshold and not speaks
            if not only_whole and not alphabet_within(recognizer.pattern, IN_RUN):
                held = [closure(recognizer.pattern, loose=True)]
                if speaks_on := "".join(stop for stop in ".:" if stop in recognizer.not_before):
                    held.append(f"(?:{recognizer.pattern})[{speaks_on}]")  # which speaks only with what follows it
                if _needs_words(recognizer, threshold):
                    worded.append((recognizer, Tails(held)))
                    number = engine.filters.list_of(recognizer)
                    quick = quick and number is not None
                    lists.setdefault(number or 0, []).append(worded[-1][1])
                elif (begins := head(recognizer.pattern, IN_RUN, named=not recognizer.boundary)) is not None:
                    (patterns if recognizer.boundary else names).append(begins[1])
                    exact = [closure(recognizer.pattern), *held[1:]]
                    gapped.append((begins[0], Headed(begins[0], exact)))
                elif recognizer.boundary:
                    patterns += held
                else:
                    names += held
            if recognizer.alone_score:
                lone.append(recognizer)
                if recognizer.context and recognizer.base_score < threshold and not _spoken(recognizer):
                    opening = max(opening, recognizer.max_length)
        return Plan(
            tails=Tails(patterns),
            named=Tails(names),
            worded=tuple(tails for _, tails in worded),
            spoken=_by_lists(engine, lists) if quick else _by_mentions(worded),
            by_list=lists,
            heads=Mentions([pattern for pattern, _ in gapped]),
            gapped=tuple(tails for _, tails in gapped),
            lone=Tails([closure(recognizer.pattern) for recognizer in lone]),
            longest_lone=max((recognizer.max_length for recognizer in lone), default=0),
            opening=opening,
            look_behind=max((recognizer.context_window for recognizer in engine.recognizers), default=0) + 2,
            quick=quick,
        )
    except NotClosed:
        return None


def _by_lists(engine: Engine, lists: Mapping[int, Sequence[Tails]]) -> Callable[[bytes], Iterable[Tails]]:
    return lambda data: [tails for number in engine.filters.lists_in(data) for tails in lists.get(number, ())]


def _by_mentions(worded: Sequence[tuple[Recognizer, Tails]]) -> Callable[[bytes], Iterable[Tails]]:
    mentions = Mentions([trigger(recognizer.context) for recognizer, _ in worded])
    return lambda data: [worded[index][1] for index in mentions.of(data)]


def _needs_words(recognizer: Recognizer, threshold: float) -> bool:
    """Whether a match counts only after words, which a search over figures alone can never step across."""
    return bool(recognizer.context) and recognizer.base_score < threshold and _spoken(recognizer)


def _spoken(recognizer: Recognizer) -> bool:
    """Whether all its context words have letters, so that none of them stands within figures."""
    return all(any(map(str.isalpha, word)) for word in recognizer.context)
