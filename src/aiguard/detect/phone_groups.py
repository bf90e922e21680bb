"""Whether figures in groups are a telephone number that nothing names and that no trunk prefix begins: ``91 23 45 67``, ``521 2345``.

Most figures in groups are something else, so it must be written as numbers are in some country and assigned in one, and nothing
around it may be another number: columns, dumps, years and ranges are not.
"""

from __future__ import annotations

import itertools
import re
from typing import Final

from aiguard.detect import phones

_SHAPES: Final = frozenset(
    {
        (4, 4), (3, 4), (3, 3, 3), (2, 2, 2, 2), (3, 2, 2), (2, 3, 2, 2), (2, 3, 4), (3, 2, 2, 2), (3, 5), (2, 6),
        (1, 2, 2, 2, 2), (1, 3, 4), (2, 2, 4), (3, 3, 4), (2, 4, 4), (3, 2, 4),
    }
)  # fmt: skip
"""Groups of the national formats in the phonenumbers metadata that have no trunk prefix, but for those that are amounts or days."""

_SPREAD: Final = 20
_YEARS: Final = re.compile(r"(?:1[5-9]|20)\d\d")
_POSTCODE: Final = re.compile(r"\d{3}-00\d\d")
"""As most postcodes of Japan are."""

_BEFORE: Final = re.compile(
    r"(?:\d[)\]]?[.,:;]?|[$€£¥〒%#+=@\\/<^&~]|<[A-Za-z]{1,20}|\b[A-Z][A-Z0-9]+|\b(?:[0-9]+[A-Fa-f]|[A-Fa-f]+[0-9])[0-9A-Fa-f]*|[\w)][.\-]{1,2}|--|\.\.|\d ?-|[\"'”»] )[ \t]{0,4}"
    r"(?:\r?\n[ \t]{0,8})?\Z"
)
"""What no telephone number stands behind: another number, a sign of currency, a code, a hexadecimal group."""

_LABELS: Final = frozenset(
    {"TEL", "MOB", "FAX", "GSM", "PH", "TLF", "CELL", "PHONE", "TELEFON", "MOBIL", "TF", "HP", "WA"}
)
_CAPITALS: Final = re.compile(r"\b([A-Z]+)[ \t]{0,4}\Z")


def apart(before: str) -> bool:
    """Whether a telephone number may stand behind ``before``."""
    found = _BEFORE.search(before)
    if found is None:
        return True
    label = _CAPITALS.search(before)
    return label is not None and label[1] in _LABELS


_GOES_ON: Final = re.compile(r"\d[-./:]\Z|\b(?:[A-Z]{2,5}|[A-Z][a-z]{2})-\Z")


def begins(before: str) -> bool:
    """Whether figures behind ``before`` begin there: those of ``01-04-2024``, ``CVE-2024-6655`` and ``Nov-22-1996`` do not."""
    found = _GOES_ON.search(before)
    return found is None or found[0][:-1].upper() in _LABELS


def local(text: str) -> bool:
    """An assigned number in groups as some country writes it, with one kind of separator, that is no years, no amount and not counted up."""
    groups = re.findall(r"\d+", text)
    digits = "".join(groups)
    if tuple(map(len, groups)) not in _SHAPES or len(set(re.findall(r"\D+", text))) != 1:
        return False
    if (
        digits[0] == "0"
        or len(set(digits)) < 4
        or digits.endswith("000")
        or _dated(groups)
        or _POSTCODE.fullmatch(text)
    ):
        return False
    if len(groups) > 2 and len(set(map(len, groups))) == 1:
        steps = {int(after) - int(before) for before, after in itertools.pairwise(groups)}
        if len(steps) == 1 or min(steps) > 0 or max(steps) < 0:
            return False  # counted, or sorted as what is drawn or measured is
        if len(groups) == 4 and max(map(int, groups)) - min(map(int, groups)) < _SPREAD:
            return False  # measured: of the same thing, again and again
    if len(groups) == 2 and all(group.endswith("00") for group in groups):
        return False
    return phones.assigned_somewhere(digits)


def _dated(groups: list[str]) -> bool:
    return any(len(group) == 4 and _YEARS.fullmatch(group) for group in (groups[0], groups[-1]))
