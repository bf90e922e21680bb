"""Which recognizers can find anything in a text: RE2 sets, each kept small enough to stay fast on text never seen before.

RE2 builds the states of a set's automaton as texts call for them. What every pattern counts and every word boundary
multiplies the states there can be, and beyond its memory budget a set begins again from nothing, over and over: the exact
patterns and words in one set cost 15 µs a character of varied text for ever. So the set gets less than the patterns say, never more:

* :func:`coarse`: the pattern with its long repeats cut short, read as bytes;
* :class:`Words`: each context word once, whoever asks for it, and boundaries only where it begins or ends with a short word.

What passes is looked at with the exact patterns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import re2

from aiguard.scan.closure import NotClosed, constants, emit, parse, scoped
from aiguard.scan.named import before_value
from aiguard.scan.words import in_ascii, spellings

SET_MEMORY: Final = 32 << 20
"""Budget of one set's automaton in bytes, used only as far as texts demand; beyond it the set starts again."""

_KEPT: Final = 8
"""Repetitions of letters that a coarse pattern still counts. Figures and capitals are counted to the end: text has few."""

_UNBOUNDED: Final = 4
"""Letters of a word from which on it needs no boundary: it seldom stands within others."""

_BEYOND_ASCII: Final = r"\x80-\xff"
_FLAGS: Final = re.IGNORECASE | re.DOTALL | re.MULTILINE


_SHORT: Final = re.compile(
    r"""(?x)(?:
    [A-Za-z0-9\ _:;=/@\#%&"'<>,!~\-] | \\[bdsw.\-/+*?()\[\]{}|^$]
    | \[ (?: [A-Za-z0-9\ _:;=/@\#%&"'<>,!~.+*?(){}|$\-] | \\[ds.\-/+*?()\[\]{}|^$] )+ \]
    | \(\?: | \( | \) | \| | \? | \{[0-8](?:,[1-8])?\} | (?<=\\d) \{[0-9]{1,2}(?:,[0-9]{1,2})?\}
    )*"""
)
"""Patterns of ASCII without long repeats, which are the same over bytes."""


_NO_ANCHOR: Final = re.compile(r"\\[^AzZ]|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_ANCHORS: Final = frozenset("^$")
_LINES: Final = {
    "AT_BEGINNING": "(?m:^)",
    "AT_BEGINNING_STRING": "(?m:^)",
    "AT_END": "(?m:$)",
    "AT_END_STRING": "(?m:$)",
}
"""Where texts begin and end, for a set that is asked of several texts at once, a line each."""


class Overflow(Exception):
    """A set ran out of memory, so nothing is known about the text."""


class Prefilter:
    """Patterns as bytes; :meth:`hits` never leaves out the index of one that matches (it may say others)."""

    def __init__(self, patterns: Sequence[bytes]) -> None:
        options = re2.Options()
        options.log_errors = False
        options.max_mem = SET_MEMORY
        options.encoding = re2.Options.Encoding.LATIN1
        self._set = re2.Set.SearchSet(options)
        for pattern in patterns:
            self._set.Add(pattern)
        # It matches where a text ends, which is reached by a pass that went through; matching everywhere costs a third of the pass.
        self._sentinel = self._set.Add(rb"\z")
        self._set.Compile()

    def hits(self, data: bytes) -> list[int]:
        """Indices into ``patterns``. Raises :class:`Overflow`."""
        found: list[int] = self._set.Match(data) or []  # a set says None for "nothing" and for "failed"
        try:
            found.remove(self._sentinel)
        except ValueError:
            raise Overflow from None
        return found


class Parted:
    """Several :class:`Prefilter` as one, for patterns that would multiply each other's states in a single automaton.

    What is found by a name before it keeps a state alive from the name on, in every text that says ``key`` or ``token``; in one set
    with hundreds of shapes those states are multiplied with theirs, and on varied text the set cost 1 µs a character instead of 0.02.
    """

    def __init__(self, *groups: Sequence[bytes]) -> None:
        self._parts: list[tuple[int, Prefilter]] = []
        first = 0
        for group in groups:
            if group:
                self._parts.append((first, Prefilter(group)))
            first += len(group)

    def hits(self, data: bytes) -> list[int]:
        """Indices into the groups one after another. Raises :class:`Overflow`."""
        found: list[int] = []
        for first, part in self._parts:
            hits = part.hits(data)
            if hits:
                found += [first + index for index in hits] if first else hits
        return found


class Words:
    """Which of many lists of words may have one in a text, and whether one of some ``atoms`` is in it (:mod:`aiguard.scan.atoms`).

    A text of ASCII is asked for what it can hold only: that automaton is half as large. That of all is built for the first other text.
    """

    def __init__(self, lists: Sequence[Sequence[str]], atoms: Iterable[str] = ()) -> None:
        self._lists: dict[str, list[int]] = {}
        for index, listed in enumerate(lists):
            for word in {word.lower() for word in listed}:
                self._lists.setdefault(word, []).append(index)
        self._atoms = sorted(atoms)
        self.atom: Final = len(lists)
        """The number that :meth:`hits` ends with where an atom is in a text."""
        self._plain = self._filter([word for word in self._lists if in_ascii(word)], filter(str.isascii, self._atoms))
        self._all: tuple[Prefilter, list[list[int]]] | None = None

    def _filter(self, words: Iterable[str], atoms: Iterable[str]) -> tuple[Prefilter, list[list[int]]]:
        """A set of words and atoms, and by their places in it the numbers that they have."""
        ordered, patterns = sorted(words), [*map(_atom, atoms)]
        numbers = [*(self._lists[word] for word in ordered), *([self.atom] for _ in patterns)]
        return Prefilter([*map(_word, ordered), *patterns]), numbers

    def hits(self, data: bytes) -> list[int]:
        """Numbers of the lists, in their order, and :attr:`atom`. Raises :class:`Overflow`."""
        if data.isascii():
            words, numbers = self._plain
        else:
            if self._all is None:  # two threads may both build it, and keep the same thing
                self._all = self._filter(self._lists, self._atoms)
            words, numbers = self._all
        found = words.hits(b" %b " % data)
        if len(found) > 1:
            return sorted(set().union(*[numbers[word] for word in found]))
        return numbers[found[0]] if found else found


def _atom(atom: str) -> bytes:
    """A pattern of bytes for an atom in letters of any size."""
    return b"".join(
        re.escape(char).encode() if char == char.upper() else f"(?:{char}|{char.upper()})".encode() for char in atom
    )


def _word(word: str) -> bytes:
    r"""A pattern of bytes for every place where :func:`aiguard.scan.words.words` finds ``word`` in a text once it is spaced.

    >>> _word("pin")
    b'(?:[^A-Za-z]p|P)[iI][nN][sS]?[^a-z]'
    """
    first, rest = word[0], b"".join(map(_letter, word[1:]))
    parts = word.split(" ")
    head = _letter(first)
    if "a" <= first <= "z" and len(parts[0]) < _UNBOUNDED:
        head = f"(?:[^A-Za-z]{first}|{first.upper()})".encode()
    bounded = "a" <= word[-1] <= "z" and len(parts[-1]) < _UNBOUNDED
    return head + rest + (b"[sS]?[^a-z]" if bounded else b"")


def _letter(char: str) -> bytes:
    if char == " ":
        return rb"[ _\-]?"
    upper = char.upper()
    if char.isascii():
        return re.escape(char).encode() if upper == char else f"[{char}{upper}]".encode()
    forms = spellings(char)
    return f"(?:{'|'.join(forms)})".encode() if len(forms) > 1 else char.encode()


def coarse(pattern: str, *, until_value: bool = False) -> bytes:
    r"""RE2 syntax over bytes that matches in every UTF-8 text in which ``pattern`` does.

    ``until_value``: of a pattern with a group for the value only what stands before it, unless that says too little.

    >>> coarse(r"\bsk-[A-Za-z0-9]{20,64}")
    b'\\bsk\\x{2D}(?:[A-Za-z0-9]){4}'
    """
    if not until_value and _SHORT.fullmatch(pattern) is not None:
        return pattern.encode()
    try:
        items, flags = parse(pattern)
    except NotClosed:
        return b""  # it cannot be taken apart: always a hit
    if until_value:
        items = before_value(items) or items
    made = _sequence(items, fold=bool(flags & re.IGNORECASE) or "(?i" in pattern, last=True)
    return scoped(made, flags).encode() if flags else made.encode()


def anchored(pattern: str) -> bool:
    r"""Whether ``pattern`` may ask where the whole text begins or ends, so that it may be missed in one that is a line of a longer one.

    >>> anchored(r"[^$]x\$"), anchored(r"x$"), anchored(r"\Ax")
    (False, True, True)
    """
    rest = _NO_ANCHOR.sub("", pattern)
    return not _ANCHORS.isdisjoint(rest) or "\\" in rest


def _sequence(items: Sequence[Any], *, fold: bool, last: bool = False) -> str:
    return "".join(
        _item(item, fold=fold, last=last and position == len(items)) for position, item in enumerate(items, 1)
    )


def _item(item: Any, *, fold: bool, last: bool) -> str:
    """One item; the ``last`` of a whole pattern need not go on as far as it may. ``fold``: capitals may be any letters."""
    op, value = str(item[0]), item[1]
    if op in {"MAX_REPEAT", "MIN_REPEAT"}:
        low, high, repeated = value
        body = _sequence(repeated, fold=fold)
        lettered = _lettered(repeated, fold=fold)
        least = min(low, _KEPT) if lettered else low
        if last:
            return f"(?:{body}){{{least}}}"
        unlimited = high is constants.MAXREPEAT or (lettered and high > least and high > 1)
        return f"(?:{body}){{{least},{'' if unlimited else high}}}"
    if op == "SUBPATTERN":
        return scoped(_sequence(value[3], fold=fold), value[1] & _FLAGS, value[2] & _FLAGS)
    if op == "BRANCH":
        return "(?:" + "|".join(_sequence(branch, fold=fold) for branch in value[1]) + ")"
    if op == "AT" and str(value) in _LINES:
        return _LINES[str(value)]
    if op == "LITERAL" and value > 0x7F:
        return f"[{_BEYOND_ASCII}]{{1,4}}"
    if op == "NOT_LITERAL" and value > 0x7F:
        return r"[\x00-\xff]{1,4}"
    if op == "IN":
        return _class(value)
    return emit(item)


def _class(items: Sequence[Any]) -> str:
    """A class of characters as one of bytes: one byte, or up to four beyond ASCII where it has characters there."""
    negated = bool(items) and str(items[0][0]) == "NEGATE"
    ascii_items: list[Any] = []
    beyond = negated
    for item in items:
        op, value = str(item[0]), item[1]
        if op == "LITERAL" and value > 0x7F:
            beyond = True
        elif op == "RANGE" and value[1] > 0x7F:
            beyond = True
            if value[0] <= 0x7F:
                ascii_items.append((item[0], (value[0], 0x7F)))
        else:
            beyond = beyond or (op == "CATEGORY" and "_NOT_" in str(value))
            ascii_items.append(item)
    plain = emit((constants.IN, ascii_items)) if len(ascii_items) > negated else r"[\x00-\x7f]" if negated else ""
    return f"(?:{plain}|[{_BEYOND_ASCII}]{{1,4}})" if beyond and plain else plain or f"[{_BEYOND_ASCII}]{{1,4}}"


def _lettered(items: Sequence[Any], *, fold: bool) -> bool:
    """Whether a repetition runs over words of a text: it has small letters, or anything beyond ASCII."""
    return any(_item_lettered(item, fold=fold) for item in items)


def _item_lettered(item: Any, *, fold: bool) -> bool:
    op, value = str(item[0]), item[1]
    if op == "SUBPATTERN":
        return _lettered(value[3], fold=fold)
    if op == "BRANCH":
        return any(_lettered(branch, fold=fold) for branch in value[1])
    if op in {"MAX_REPEAT", "MIN_REPEAT"}:
        return _lettered(value[2], fold=fold)
    if op == "LITERAL":
        return bool(value > 0x7F)
    if op != "IN":
        return op != "AT"
    return any(_wide(str(part[0]), part[1], fold=fold) for part in value)


def _wide(op: str, value: Any, *, fold: bool) -> bool:
    if op == "RANGE":
        return bool(value[1] > 0x7F or (value[1] > (0x40 if fold else 0x5A) and value[1] - value[0] >= 5))
    return op == "NEGATE" or (op == "LITERAL" and value > 0x7F) or (op == "CATEGORY" and str(value) != "CATEGORY_DIGIT")
