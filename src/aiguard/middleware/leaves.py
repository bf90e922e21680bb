"""Which texts of a JSON document run on in the next one of its stream.

A stream of JSON says nothing about it: ``{"id":"c1","delta":"jane."}`` and ``{"id":"c1","delta":"doe@example.org"}`` are put
together by their reader under ``delta`` and not under ``id``. An item of a list is told from others by its ``index`` if it has one,
and not by its place in the list. The ``index`` of a whole document may tell texts apart, or go up with each document, so texts beside one
are read in both ways until it turns out to count. A rule may name the places (``deltas``). Where it does not, texts under
the usual names of pieces run on, texts under the usual names of facts do not, and of any other it is guessed that they do, until they
turn out to be the same in every document.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

from aiguard.framing.jsontree import JsonDocument, Leaf, Path
from aiguard.middleware.channels import MAX_CHANNELS, Run
from aiguard.types import PartKind

PIECES: Final = frozenset(
    {
        "answer", "arguments", "body", "c", "chunk", "completion", "content", "data", "delta", "generated_text", "input_json_delta",
        "message", "msg", "output", "output_text", "parts", "partial", "partial_json", "piece", "reasoning", "reasoning_content",
        "refusal", "reply", "response", "summary", "t", "text", "thinking", "token", "tokens", "transcript", "v", "value", "word",
    }
)  # fmt: skip
"""Keys under which model servers and applications send pieces of a text."""

FACTS: Final = frozenset(
    {
        "created", "created_at", "date", "done_reason", "event", "finish_reason", "format", "id", "index", "kind", "lang", "language",
        "level", "locale", "mime_type", "model", "name", "object", "op", "phase", "provider", "role", "seq", "service_tier", "signature",
        "stage", "state", "status", "stop_reason", "stop_sequence", "system_fingerprint", "time", "timestamp", "ts", "type", "version",
    }
)  # fmt: skip
"""Keys of what each document says for itself."""

_FACT_ENDS: Final = re.compile(r".(?:_id|Id|_at|At|_type|Type|_reason|Reason|_status|Status)\Z")
_WHOLE: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{5,18}(?:Z|[+-][0-9]{2}:?[0-9]{2})?|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
"""A moment and a UUID: what nobody sends as a piece of a text."""
_NUMBERS: Final = ("index", "output_index", "content_index", "summary_index", "choice_index")
"""Numbers beside a text that say which of several it belongs to."""
MAX_ROUND: Final = 8
"""Texts that the numbers of whole documents tell apart. One more that never came back to an old one, and they count documents."""
_COUNTED: Final = frozenset({"token", "tokens"})
"""What a document holds whose ``index`` counts tokens, as text-generation-inference sends them."""


Key = tuple[Hashable, ...]


class Places:
    """Where the texts of a stream's documents run on. One for a stream: it remembers what it guessed.

    Args:
        deltas: RFC 6901 pointers, ``*`` for any one step, of the texts that run on, and no others do; None to go by names.
    """

    def __init__(self, deltas: Sequence[str] | None) -> None:
        self._named = None if deltas is None else [_steps(pointer) for pointer in deltas]
        self._first: dict[Hashable, str] = {}
        self._guessed: set[Hashable] = set()
        self._rounds: dict[Hashable, _Round] = {}

    def runs(self, document: JsonDocument, of: str) -> tuple[list[Run | None], list[Hashable]]:
        """For each part, the text that it runs on in; and the texts that turned out to have ended.

        ``of`` is the kind of document: an event's name.
        """
        runs: list[Run | None] = []
        over: list[Hashable] = []
        for leaf, text in zip(document.leaves, document.texts, strict=True):
            if leaf.kind is not PartKind.TEXT or not text:
                runs.append(None)
                continue
            runs.append(self._run(document.value, leaf, text, of, over))
        return runs, over

    def _run(self, value: Any, leaf: Leaf, text: str, of: str, over: list[Hashable]) -> Run | None:
        if self._named is not None:
            fits = any(_fits(steps, leaf.path) for steps in self._named)
            return Run(self._keys(value, leaf.path, of, over)) if fits else None
        name = next((step for step in reversed(leaf.path) if isinstance(step, str)), "")
        if name in PIECES or not name:
            return Run(self._keys(value, leaf.path, of, over))
        if name in FACTS or _FACT_ENDS.search(name) or _WHOLE.fullmatch(text):
            return None
        keys = tuple(each for each in self._keys(value, leaf.path, of, over) if each[0] == of)
        key = keys[0]
        if key in self._guessed:
            return Run(keys, sure=False)
        first = self._first.get(key)
        if first is None:
            if len(self._first) < 2 * MAX_CHANNELS:
                self._first[key] = text
        elif first == text and any(map(str.isalpha, text)):
            over.extend(keys)
            return None
        else:
            self._guessed.add(key)
        return Run(keys, sure=False)

    def _keys(self, value: Any, path: Path, of: str, over: list[Hashable]) -> tuple[Key, ...]:
        """The ways to read the text.

        They are by its place in documents of that name; by its place in all, for readers who ask for no name; and by the numbers
        of the document too, where they may tell it from others.
        """
        whole, steps, numbers = _told_apart(value, path)
        place: Key = (of, steps, numbers)
        ways: tuple[Key, ...] = (place, (None, steps, numbers)) if of else (place,)
        if not whole or not _COUNTED.isdisjoint(path):
            return ways
        seen = self._rounds.get(place)
        if seen is None:
            if len(self._rounds) >= MAX_CHANNELS:
                return (*ways, (*place, whole))
            seen = self._rounds[place] = _Round()
        over.extend((*place, one) for one in seen.counted(whole))
        return ways if seen.counts else (*ways, (*place, whole))


class _Round:
    """Numbers beside the texts of one place that are those of whole documents."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, ...], None] = {}
        self._last: tuple[int, ...] = ()
        self._apart = False
        self.counts = False
        """Whether they turned out to count documents."""

    def counted(self, numbers: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Note the numbers of the next document; gives those that tell nothing apart, once that turned out."""
        if self._apart or self.counts or numbers == self._last:
            return []
        if numbers in self._seen:
            self._apart = True
            self._seen.clear()
            return []
        self._seen[numbers] = None
        self._last = numbers
        if len(self._seen) <= MAX_ROUND:
            return []
        self.counts = True
        told, self._seen = list(self._seen), {}
        return told


def _steps(pointer: str) -> tuple[str, ...]:
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def _fits(steps: tuple[str, ...], path: Path) -> bool:
    return len(steps) == len(path) and all(step in ("*", str(at)) for step, at in zip(steps, path, strict=True))


def _told_apart(value: Any, path: Path) -> tuple[tuple[int, ...], Path, tuple[int, ...]]:
    """The numbers of the whole document; and the path with, of each item of a list, its number instead of its place, and other numbers."""
    steps: list[str | int] = []
    whole: tuple[int, ...] = ()
    numbers: list[int] = []
    for depth, step in enumerate(path):
        if isinstance(value, Mapping):
            found = [number for name in _NUMBERS if type(number := value.get(name)) is int]
            if not depth:
                whole = tuple(found)
            elif found:
                if type(steps[-1]) is int:
                    steps[-1] = found.pop(0)
                numbers += found
        steps.append(step)
        value = value[step]
    return whole, tuple(steps), tuple(numbers)
