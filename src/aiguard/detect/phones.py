"""Whether digits are a telephone number, by the ``phonenumbers`` metadata.

The library's own parser costs some 50 µs a candidate; here a candidate is reduced to its digits and matched against
the same metadata, which is loaded region by region when a number of that region is met.
"""

from __future__ import annotations

import itertools
import re
from functools import lru_cache
from typing import Final

_EXTENSION: Final = re.compile(r"[ ,;]{0,2}(?:[xX]|[eE]xt\.?) ?\d{1,6}$")
_DATE: Final = re.compile(
    r"(?:(?:19|20)\d\d[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12]\d|3[01])"
    r"|(?:(?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12]\d|3[01])|(?:1[3-9]|2\d|3[01])[-./ ](?:0?[1-9]|1[0-2]))[-./ ](?:19|20)?\d\d)"
    r"(?:[ T]\d\d.?)?"
)
_DAY: Final = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
_CODE_POINTS: Final = re.compile(r"00\d\d(?: \d{4}){1,3}")
_COUNTED: Final = "12345678901234567890"
_PAIRS: Final = re.compile(r"\d\d(?: \d\d){2,4}")
_AMOUNT: Final = re.compile(r"\d+\.\d+|\d{1,3}(?:\.\d{3})+")
_DECIMALS: Final = re.compile(r"\A\d{3,}\.\d\d\Z|\d\.\d+ -?\d+(?:\.\d|\Z)")
_LISTED: Final = re.compile(r"\d{1,2}[.)] ")
_YEAR: Final = re.compile(r"(?:19|20)\d\d(?:[-./ ](?:\d{1,3}|(?:19|20)\d\d)|[-/](?:0\d{2,5}|\d{5,7}))")
# Regions whose national format (without a country code) is tried where the words before it speak of a telephone.
_TYPES: Final = (
    "fixed_line",
    "mobile",
    "toll_free",
    "shared_cost",
    "premium_rate",
    "voip",
    "personal_number",
    "uan",
)


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, _EXTENSION.sub("", text)))


def international(text: str) -> bool:
    """A number with ``+`` or ``00`` and a country code in use.

    Written without a space after the ``+``, its length must be one that the country has; otherwise its range too.
    """
    digits = _digits(text)
    plus = text.startswith("+")
    if not plus:
        digits = digits[2:]
    if not 7 <= len(digits) <= 15 or _CODE_POINTS.fullmatch(text):
        return False
    return _assigned(digits, strict=not (text[1:2].isdigit() if plus else not text.isdigit()))


@lru_cache(maxsize=4096)
def _assigned(digits: str, *, strict: bool) -> bool:
    import phonenumbers

    for size in (1, 2, 3):
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:size]))
        if regions is None:
            continue
        national = digits[size:]
        candidates = {national, national.removeprefix("0")}
        if strict:
            return any(_valid(region, number) for region in regions for number in candidates)
        return any(len(number) in _lengths(region) for region in regions for number in candidates)
    return False


@lru_cache(maxsize=300)
def _lengths(region: str) -> frozenset[int]:
    import phonenumbers

    metadata = None if region == "001" else phonenumbers.PhoneMetadata.metadata_for_region(region)
    if metadata is None or metadata.general_desc is None:
        return frozenset(range(4, 15))
    return frozenset(metadata.general_desc.possible_length)


@lru_cache(maxsize=4096)
def assigned_somewhere(digits: str) -> bool:
    """Whether some country has assigned a number, with its code, its national prefix or without either."""
    import phonenumbers

    if _assigned(digits, strict=True):
        return True
    for region in phonenumbers.SUPPORTED_REGIONS:
        program = _program(region)
        if program is not None:
            prefix = program[1]
            if program[0].fullmatch(digits) or (
                prefix and digits.startswith(prefix) and program[0].fullmatch(digits[len(prefix) :])
            ):
                return True
    return False


def anywhere(text: str) -> bool:
    """A number that some country has assigned, with its national prefix, its country code or without either.

    Figures in one run must be eight at least and not a date; figures parted by full stops in threes are an amount, and two
    groups of four and three or fewer begin with a year.
    """
    digits = _digits(text)
    if len(set(digits)) < 3 or _DATE.fullmatch(text) or _LISTED.match(text):
        return False
    if text[0] == "+":
        return 7 <= len(digits) <= 15
    if text.isdigit() and (len(text) < 8 or _DAY.fullmatch(text) or text in _COUNTED):
        return False
    if _AMOUNT.fullmatch(text) or _YEAR.fullmatch(text) or _published(digits):
        return False
    return assigned_somewhere(digits)


def _published(digits: str) -> bool:
    """The number of a book or a journal (ISBN, ISSN as EAN-13)."""
    if len(digits) != 13 or digits[:3] not in ("977", "978", "979"):
        return False
    return sum(int(digit) * (3 if index & 1 else 1) for index, digit in enumerate(digits)) % 10 == 0


def dialled(text: str) -> bool:
    """Digits as somebody dials them: an assigned number after the prefix of its country, or in one run after its code."""
    digits = _digits(text)
    if not 8 <= len(digits) <= 15 or len(set(digits)) < 3 or _DATE.fullmatch(text) or _AMOUNT.fullmatch(text):
        return False
    if not text.isdigit():
        return digits[0] == "0" and _prefixed(digits)
    if _DAY.fullmatch(text) or text in _COUNTED:
        return False
    if any(text.startswith(prefix) and _assigned(text[len(prefix) :], strict=True) for prefix in ("00", "011")):
        return True
    return (len(text) >= 10 and _assigned(text, strict=True)) or _prefixed(text)


@lru_cache(maxsize=4096)
def _prefixed(digits: str) -> bool:
    import phonenumbers

    for region in phonenumbers.SUPPORTED_REGIONS:
        program = _program(region)
        if program is None or not program[1] or program[1] == "1" or not digits.startswith(program[1]):
            continue
        if program[0].fullmatch(digits[len(program[1]) :]):
            return True
    return False


@lru_cache(maxsize=300)
def _program(region: str) -> tuple[re.Pattern[str], str] | None:
    import phonenumbers

    if region == "001":
        return None
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if metadata is None:
        return None
    patterns = [
        description.national_number_pattern
        for description in (getattr(metadata, name) for name in _TYPES)
        if description is not None and description.national_number_pattern not in (None, "NA")
    ]
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns)), metadata.national_prefix or ""


_FIRST_REGIONS: Final = ("GB", "DE", "FR", "AU", "IN", "JP", "KR", "CN", "IT", "NL", "TR", "ZA")
"""Asked first: most numbers with a trunk prefix are from one of them, and every region asked costs its metadata once."""

_ZIP: Final = re.compile(r"\d{5}-\d{4}")
"""An American postcode with its four more figures (``MA 02110-1301``)."""

_DAY_FIRST: Final = re.compile(r"[0-3]\d[-/. ][0-3]\d[-/. ](?:19|20)\d\d|[0-3]\d[-/.][0-3]\d[-/.]\d\d[ ]")


def grouped(text: str) -> bool:
    """An assigned number from its trunk prefix on (``0341 838 7176``), in groups as people write them, whatever stands before it.

    Ordinary figures are no such number: they do not begin with a nought, or are dates, or are counted up.
    """
    groups = re.findall(r"\d+", text)
    if len(groups) > 1 and all(len(group) == 4 and group[0] == "0" for group in groups):
        return False  # code points
    digits = "".join(groups)
    between = re.findall(r"(?<=\d)\D+(?=\d)", text)
    eight = [len(group) for group in groups] == [2, 3, 3] and between == [" ", " "]
    if (
        not (9 <= len(digits) <= 12 or eight)
        or digits[0] != "0"
        or digits[1] == "0"
        or _DAY_FIRST.match(text)
        or _ZIP.fullmatch(text)
        or len(set(digits)) < 4
    ):
        return False
    if len(set(between[1:])) > 1 or (between[0] == "/" and "/" in between[1:]):
        return False
    steps = {int(after) - int(before) for before, after in itertools.pairwise(groups)}
    if len(steps) == 1 and len(groups) > 2 and abs(max(steps)) <= 10:
        return False  # counted up or down
    pairs = all(len(group) == 2 for group in groups)
    if (pairs and (len(groups) != 5 or len(set(between)) > 1)) or ("." in between[1:] and not pairs):
        return False
    return _trunk(digits)


def eight(text: str) -> bool:
    """An assigned number from the prefix of Russia and Kazakhstan on: ``8 (912) 345-67-89``."""
    digits = _digits(text)
    return len(digits) == 11 and any(_valid(region, digits[1:]) for region in ("RU", "KZ"))


def short(text: str) -> bool:
    """Five or six figures that some country has assigned, and no round amount."""
    digits = _digits(text)
    return len(set(digits)) > 2 and not digits.endswith("000") and assigned_somewhere(digits)


def chinese(text: str) -> bool:
    """A mobile number of China in groups of three, four and four."""
    return _valid("CN", _digits(text)) and len(set(_digits(text))) > 3


def bracketed(text: str) -> bool:
    """An assigned number with its area in brackets: ``(11) 91234-5678``, but no year of a journal."""
    groups = re.findall(r"\d+", text)
    digits = "".join(groups)
    if not 8 <= len(digits) <= 12 or len(set(digits)) < 3 or re.match(r"\((?:19|20)\d\d\)", text):
        return False
    return _trunk(digits) if digits[0] == "0" else assigned_somewhere(digits)


@lru_cache(maxsize=4096)
def _trunk(digits: str) -> bool:
    """Whether some region has assigned the number, nought included or behind the nought."""
    import phonenumbers

    rest = [region for region in sorted(phonenumbers.SUPPORTED_REGIONS) if region not in _FIRST_REGIONS]
    for region in (*_FIRST_REGIONS, *rest):
        program = _program(region)
        if program is None or program[1] != "0":
            continue
        if program[0].fullmatch(digits[1:]):
            return True
    return False


def _valid(region: str, national: str) -> bool:
    program = _program(region)
    if program is None:
        return True  # non-geographic country codes: any length that E.164 allows
    return program[0].fullmatch(national) is not None


def north_american(text: str) -> bool:
    """Ten digits (or eleven from 1) whose area and exchange codes the numbering plan could assign."""
    digits = _digits(text)
    if len(digits) == 11 and digits[0] == "1":
        digits = digits[1:]
    return len(digits) == 10 and digits[0] in "23456789" and digits[3] in "23456789" and digits[1:3] != "11"


def national(text: str) -> bool:
    """Six to fifteen digits, grouped as people group telephone numbers, not a date; the words before must agree."""
    text = text.removeprefix("+")
    if (_DATE.fullmatch(text) and not _PAIRS.fullmatch(text)) or _YEAR.fullmatch(text) or _DECIMALS.search(text):
        return False
    groups = [group for group in re.split(r"\D+", _EXTENSION.sub("", text)) if group]
    digits = "".join(groups)
    if groups and _DAY.fullmatch(groups[0]):
        return False  # 20240312-7781: a number that something got on that day
    if not 6 <= len(digits) <= 15 or len(groups) > 6 or len(set(digits)) < 2:
        return False
    return sum(len(group) == 1 for group in groups[1:]) <= 1 and (len(groups) < 3 or len(groups[-1]) > 1)
