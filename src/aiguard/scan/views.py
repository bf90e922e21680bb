"""Other ways to read a text, each with a map back to the original characters.

``normalise`` is the reading that a model makes of a text written to slip past a filter: compatibility forms are
folded (NFKC, character by character), characters that are not seen are removed (zero-width, bidi controls, tags, soft
hyphens, control characters that are no blank, marks that are drawn over or around the character before them) and letters of other
scripts that look Latin are folded to Latin. A finding in the view is mapped to the
original characters, invisible ones inside it included.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, Protocol

_CONFUSABLES = {
    # Cyrillic
    "а": "a", "е": "e", "о": "o", "р": "p", "с": "c", "у": "y", "х": "x", "і": "i", "ј": "j", "ѕ": "s", "һ": "h",
    "ԁ": "d", "ԛ": "q", "ԝ": "w", "ɡ": "g", "А": "A", "В": "B", "Е": "E", "К": "K", "М": "M", "Н": "H", "О": "O",
    "Р": "P", "С": "C", "Т": "T", "У": "Y", "Х": "X", "І": "I", "Ј": "J", "Ѕ": "S", "ӏ": "l", "Ӏ": "I",
    # Greek
    "ο": "o", "α": "a", "ν": "v", "ρ": "p", "ι": "i", "κ": "k", "υ": "u", "χ": "x", "ϲ": "c", "Α": "A", "Β": "B",
    "Ε": "E", "Ζ": "Z", "Η": "H", "Ι": "I", "Κ": "K", "Μ": "M", "Ν": "N", "Ο": "O", "Ρ": "P", "Τ": "T", "Υ": "Y",
    "Χ": "X",
    # small capitals, and an i without its dot or an I with one
    "ᴀ": "a", "ʙ": "b", "ᴄ": "c", "ᴅ": "d", "ᴇ": "e", "ꜰ": "f", "ɢ": "g", "ʜ": "h", "ɪ": "i", "ᴊ": "j", "ᴋ": "k", "ʟ": "l", "ᴍ": "m",
    "ɴ": "n", "ᴏ": "o", "ᴘ": "p", "ꞯ": "q", "ʀ": "r", "ꜱ": "s", "ᴛ": "t", "ᴜ": "u", "ᴠ": "v", "ᴡ": "w", "ʏ": "y", "ᴢ": "z", "ı": "i", "İ": "I",
    # punctuation
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "⁃": "-", "﹣": "-", "·": ".", "․": ".",
    "。": ".", "‘": "'", "’": "'", "“": '"', "”": '"', "⁄": "/", "∕": "/", "ʻ": "'", "ʼ": "'", "∶": ":", "ː": ":",
}  # fmt: skip

# White letters on black discs and squares, and those of which two are a flag: Unicode says nothing of them.
_CONFUSABLES.update({chr(first + at): chr(0x41 + at) for first in (0x1F150, 0x1F170, 0x1F1E6) for at in range(26)})

_TAG = re.compile("[\U000e0020-\U000e007e]")

_SPACES = {
    ord(c): " "
    for c in "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\u2028\u2029\u0085\u2800"
}

CONTROLS: Final = bytes(code for code in (*range(0x20), 0x7F) if chr(code) not in "\t\n\v\f\r")
"""ASCII that is not seen, and no blank."""

_INVISIBLE = frozenset(
    (
        *CONTROLS,
        *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0),
        *(code for code in range(0x80, 0xA0) if code != 0x85),
        *range(0x0300, 0x0370),  # accents of letters that were taken apart (NFD)
        *range(0x1AB0, 0x1B00),
        *range(0x1DC0, 0x1E00),
        *range(0x20D0, 0x2100),  # what makes a key or a sign of a digit
        *(0x3099, 0x309A),
        *range(0x180B, 0x1810),
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        *range(0xFE00, 0xFE10),
        *range(0xFE20, 0xFE30),
        *range(0xFFF0, 0xFFFC),
        *range(0x1BCA0, 0x1BCA4),
        *range(0x1D173, 0x1D17B),
        *range(0xE0000, 0xE1000),
    )
)


_UNSEEN: Final = frozenset({"Cf", "Co", "Cs"})
"""Categories of Unicode that nobody sees: formats, private use, half a character."""

_FEW: Final = 12
"""Different characters up to which replacing one after another is quicker than a look-up for every character."""


class _Fold(dict[int, str]):
    """Code point -> what it reads as; filled as characters are met, so a scan costs one look-up a character."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if code in _INVISIBLE or unicodedata.category(char) in _UNSEEN:
            folded = ""
        elif code in _SPACES:
            folded = " "
        elif char in _CONFUSABLES:
            folded = _CONFUSABLES[char]
        else:
            folded = _decimal(char) or unicodedata.normalize("NFKC", char)
            folded = _digit(char) if folded == char else "".join(map(_read, folded))
        if len(self) < 0x20000:
            self[code] = folded
        return folded


def _read(char: str) -> str:
    """A character of a compatibility form, which is never one that is decomposed further."""
    return "" if ord(char) in _INVISIBLE else _CONFUSABLES.get(char, char)


def _decimal(char: str) -> str:
    digit = unicodedata.decimal(char, None)
    return "" if digit is None else str(digit)


def _digit(char: str) -> str:
    """Of a digit that is none of a number by Unicode (``❹``), the digit; any other character as it is."""
    digit = unicodedata.digit(char, None)
    return char if digit is None else str(digit)


_FOLD = _Fold((code, "" if code in _INVISIBLE else chr(code)) for code in range(128))


class _Tags(dict[int, str]):
    """Code point -> the ASCII character that a Unicode tag spells; everything else is left out."""

    def __missing__(self, code: int) -> str:
        return chr(code - 0xE0000) if 0xE0020 <= code < 0xE007F else ""


_TAGS = _Tags()

FOLD: Final[dict[int, str]] = _FOLD
"""The table of the normalised reading, for :meth:`str.translate`."""

TAGS: Final[dict[int, str]] = _TAGS
"""The table of what Unicode tags spell."""


class Reading(Protocol):
    """A text to scan that was read from another; :meth:`span` maps a span of it back."""

    @property
    def original(self) -> str:
        """What it was read from."""
        ...

    @property
    def text(self) -> str:
        """What to scan; the same object as the original where spans need no mapping."""
        ...

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The characters of the original that ``start..end`` was read from."""
        ...


class AsItStands:
    """The first reading of every text: itself."""

    __slots__ = ("original", "text")

    def __init__(self, text: str) -> None:
        self.original = self.text = text

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The same."""
        return start, end


@dataclass(frozen=True, slots=True)
class View:
    """One reading of ``original``. ``text`` is what to scan; :meth:`span` maps a span of it back."""

    original: str = field(repr=False)
    text: str = field(repr=False)
    _table: dict[int, str] = field(default_factory=dict, repr=False, compare=False)
    _ends: list[array[int]] = field(default_factory=list, repr=False, compare=False)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original characters that the view's ``start..end`` was read from (non-empty when ``start < end``)."""
        if self.text is self.original:
            return start, end
        if not self._ends:  # built at the first finding only: most texts have none
            table = self._table
            self._ends.append(array("Q", accumulate(map(len, map(table.__getitem__, map(ord, self.original))))))
        ends = self._ends[0]
        return bisect_right(ends, start), bisect_right(ends, end - 1) + 1


def reads_as_it_stands(text: str) -> bool:
    """Whether no reading of ``text`` can differ from it: the quick answer for most texts."""
    if not text.isascii():
        return False
    return len(text.encode().translate(None, CONTROLS)) == len(text)


def normalise(text: str) -> View:
    """The normalised view of ``text``; the view's text *is* the original (same object) when nothing changes."""
    if reads_as_it_stands(text):
        return View(text, text)
    return View(text, _folded(text), _FOLD)


def _folded(text: str) -> str:
    """``text.translate(FOLD)``, but quick where few different characters change, and the same object where none does."""
    changed = {char: folded for char in set(text) if (folded := _FOLD[ord(char)]) != char}
    if len(changed) > _FEW or not changed.keys().isdisjoint("".join(changed.values())):
        return text.translate(_FOLD)
    for char, folded in changed.items():
        text = text.replace(char, folded)
    return text


def readings(text: str) -> list[Reading]:
    """Every way ``text`` must be scanned: as it stands first, normalised, and what its Unicode tags spell."""
    views: list[Reading] = [AsItStands(text)]
    if reads_as_it_stands(text):
        return views
    folded = normalise(text)
    if folded.text is not text:
        views.append(folded)
        if _TAG.search(text):
            views.append(View(text, text.translate(_TAGS), _TAGS))
    return views


LONGEST_COMPACT: Final = 64
"""Characters of a text that is read without the separators between its figures: no number is longer."""

_SEPARATORS: Final = " .,:-/()"
_FIGURES: Final = re.compile(
    r"\s*(?:[A-Za-z]{1,4}(?:[ .,:\-/()]{1,3}[A-Za-z]{1,4})?[ .,:\-/()]{0,3})?[0-9][A-Za-z0-9 .,\-/()]*\s*"
)
_LETTERS: Final = re.compile(r"(?:[A-Za-z]{1,4}(?:[ .,:\-/()]{1,3}(?:[A-Za-z]{1,4}[ .,:\-/()]{0,3})?)?)?")
_MOST_LETTERS: Final = 12
_ORDINARY: Final = re.compile(
    r"\d{1,4}[-./ ]\d{1,2}[-./ ]\d{1,4}(?:[ T]\d\d?(?:[:.]\d\d){0,2})?|\d+[.,]\d+|\d{1,3}(?:[., ]\d{3})+(?:[.,]\d{1,2})?|\d+(?:\.\d+){2,}|(?:19|20)\d\d[-/ ]\d{1,4}"
    r"|[A-Za-z]{3,}[-/ ]\d+|\d{1,2}[.)] .*|[vV]\.? ?\d+(?:\.\d+)+(?:[.\-]?[A-Za-z]{1,5}\d{0,3})?|[-+]?\d{1,3}\.\d+[,;]? ?[-+]?\d{1,3}\.\d+"
)
_WORD: Final = re.compile(r"[A-Za-z]{6}")


class _Compact(dict[int, str]):
    """Code point -> what it reads as, without separators."""

    def __missing__(self, code: int) -> str:
        self[code] = read = "".join(char for char in _FOLD[code] if char not in _SEPARATORS)
        return read


_COMPACT = _Compact()


def figures(text: str) -> bool:
    """Whether ``text`` may begin a text that is nothing but a number in groups, with a few letters: ``0 5 7 8 1``, ``AT U13``.

    It holds for every beginning of a text for which :func:`compacted` has a reading.
    """
    if len(text) > LONGEST_COMPACT:
        return False
    read = normalise(text).text.strip()
    if _WORD.search(read) or sum(map(str.isalpha, read)) > _MOST_LETTERS:
        return False
    return _FIGURES.fullmatch(read) is not None or _LETTERS.fullmatch(read) is not None


def compacted(text: str) -> View | None:
    """A short text that is nothing but a number in groups, without what parts them; None for any other.

    A date, an amount, a version, a place on the globe, an address of a machine or a ticket (``ABC-1234``) is none.
    """
    if len(text) > LONGEST_COMPACT or not figures(text):
        return None
    read = normalise(text).text.strip()
    compact = text.translate(_COMPACT).strip()
    digits = sum(char.isdigit() for char in compact)
    if digits < 5 or len(compact) == len(read) or _ORDINARY.fullmatch(read):
        return None
    return View(text, text.translate(_COMPACT), _COMPACT)


_SPACED = re.compile(r"(?<!\w)(?:\w[ .\-_*]){4,}\w(?!\w)")


def despaced(text: str) -> str | None:
    """``text`` with letters that were s p a c e d  o u t put together again, or None when there are none."""
    joined, count = _SPACED.subn(lambda match: re.sub(r"[ .\-_*]", "", match[0]), text)
    return joined if count else None
