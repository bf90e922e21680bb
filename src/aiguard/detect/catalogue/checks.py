"""Check digits that ``python-stdnum`` does not have, written from the issuers' own descriptions.

Each takes the candidate as it was written, separators included, and costs no more than its length.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

_DOCUMENT: Final = (7, 3, 1)


_MULTIPLIED: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6), (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1), (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4), (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)  # fmt: skip
_PERMUTED: Final = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def aadhaar(text: str) -> bool:
    """Indian Aadhaar number: J. Verhoeff's check over the dihedral group D5, and no palindrome."""
    digits = _digits(text)
    total = 0
    for index, digit in enumerate(reversed(digits)):
        total = _MULTIPLIED[total][int(_PERMUTED[index % 8][digit])]
    return total == 0 and len(digits) == 12 and digits != digits[::-1] and len(set(digits)) > 2


def luhn(text: str) -> bool:
    """The mod 10 check of ISO/IEC 7812-1, annex B, over the digits of ``text``."""
    total = 0
    for index, digit in enumerate(reversed(_digits(text))):
        value = digit * 2 if index & 1 else digit
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def has_digits(text: str) -> bool:
    """At least three digits."""
    return len(_digits(text)) >= 3


def spanish_short(text: str) -> bool:
    """Spanish identity number without its leading zero: the letter is that of the number modulo 23."""
    compact = _compact(text)
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(compact[:-1]) % 23] == compact[-1]


_POST_AREA: Final = re.compile(
    r"A[BL]|B[ABDHLNRST]?|C[ABFHMORTVW]|D[ADEGHLNTY]|E[CHNX]?|F[KY]|G[LUY]?|H[ADGPRSUX]|I[GMPV]|JE|K[ATWY]|L[ADELNSU]?|M[EKL]?"
    r"|N[EGNPRW]?|O[LX]|P[AEHLOR]|R[GHM]|S[AEGKLMNOPRSTWY]?|T[ADFNQRSW]|UB|W[ACDFNRSV]?|YO|ZE"
)
_UNITS: Final = frozenset({"GB", "TB", "ST", "ND", "RD", "TH", "FT", "HZ", "HR", "LB", "ED"})


def british_postcode(text: str) -> bool:
    """An area that exists; after a single letter no unit: ``M2 8GB`` is a computer."""
    area = text[:2] if text[1].isalpha() else text[0]
    return _POST_AREA.fullmatch(area) is not None and not (len(area) == 1 and text[-2:] in _UNITS)


def german_pension(text: str) -> bool:
    """German pension insurance number: a birth date, and the check digit of VKVV § 4."""
    compact = _compact(text)
    day, month = int(compact[2:4]), int(compact[4:6])
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return False
    digits = _lettered(compact[:-1])
    weights = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
    return sum(_cross(d * w) for d, w in zip(digits, weights, strict=True)) % 10 == int(compact[-1])


def german_health_card(text: str) -> bool:
    """German health insurance number (KVNR): § 290 SGB V, annex 1."""
    compact = _compact(text)
    digits = _lettered(compact[:-1])
    return sum(_cross(d * (1 + (i & 1))) for i, d in enumerate(digits)) % 10 == int(compact[-1])


def travel_document(text: str) -> bool:
    """Nine characters with three digits, and where a tenth stands, the check digit of ICAO 9303 part 3."""
    compact = _compact(text).removesuffix("D") if len(_compact(text)) == 11 else _compact(text)
    if sum(char.isdigit() for char in compact) < 3:
        return False
    return len(compact) != 10 or _weighted(compact[:9], _DOCUMENT) % 10 == int(compact[9], 36)


def german_doctor(text: str) -> bool:
    """German doctor number (LANR): six digits, their check digit, two of the speciality."""
    digits = _digits(text)
    return (10 - sum(d * w for d, w in zip(digits[:6], (4, 9) * 3, strict=True)) % 10) % 10 == digits[6]


def british_driver(text: str) -> bool:
    """British driver number: sixteen characters with a birth date in which women's months count from 51."""
    compact = _compact(text)
    if len(compact) != 16:
        return False
    month, day = int(compact[6:8]) % 50, int(compact[8:10])
    return 1 <= month <= 12 and 1 <= day <= 31


def hungarian_health(text: str) -> bool:
    """Hungarian social security number (TAJ): weights 3 and 7."""
    digits = _digits(text)
    return len(set(digits)) > 2 and sum(d * w for d, w in zip(digits[:8], (3, 7) * 4, strict=True)) % 10 == digits[8]


def polish_card(text: str) -> bool:
    """Polish identity card: three letters, a check digit, five digits."""
    compact = _compact(text)
    values = [int(char, 36) for char in compact]
    weights = (7, 3, 1, 0, 7, 3, 1, 7, 3)
    return sum(v * w for v, w in zip(values, weights, strict=True)) % 10 == values[3]


def snils(text: str) -> bool:
    """Russian pension account number: weights 9 to 1, modulo 101."""
    digits = _digits(text)
    total = sum(d * w for d, w in zip(digits[:9], range(9, 0, -1), strict=True))
    return len(set(digits[:9])) > 1 and total % 101 % 100 == digits[9] * 10 + digits[10]


def danish_cpr(text: str) -> bool:
    """A day of the calendar; numbers issued since 2007 have no check digit."""
    digits = _digits(text)
    year = 1900 + digits[4] * 10 + digits[5]
    return len(digits) == 10 and _day(year, digits[2] * 10 + digits[3], digits[0] * 10 + digits[1])


def individual_taxpayer(text: str) -> bool:
    """US individual taxpayer number: its middle figures are 50 to 65, 70 to 88, 90 to 92 or 94 to 99 (IRS, Publication 4757)."""
    digits = "".join(map(str, _digits(text)))
    group = int(digits[3:5])
    return len(digits) == 9 and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99)


def korean_business(text: str) -> bool:
    """Korean business number: weights 1, 3, 7, 1, 3, 7, 1, 3, 5, and the tens of the last product once more."""
    digits = _digits(text)
    total = sum(d * w for d, w in zip(digits[:9], (1, 3, 7, 1, 3, 7, 1, 3, 5), strict=True)) + digits[8] * 5 // 10
    return len(digits) == 10 and (10 - total % 10) % 10 == digits[9]


def thai(text: str) -> bool:
    """Thai citizen number: the province in places two and three (10 to 96, ISO 3166-2:TH), then weights 13 to 2, modulo 11."""
    digits = _digits(text)
    total = sum(d * w for d, w in zip(digits[:12], range(13, 1, -1), strict=True))
    return 10 <= digits[1] * 10 + digits[2] <= 96 and (11 - total % 11) % 10 == digits[12] and len(set(digits)) > 2


def kuwaiti(text: str) -> bool:
    """Kuwaiti civil number: weights 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, modulo 11."""
    digits = _digits(text)
    total = sum(d * w for d, w in zip(digits[:11], (2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), strict=True))
    return _day(2000, digits[3] * 10 + digits[4], digits[5] * 10 + digits[6]) and 11 - total % 11 == digits[11]


def brazilian_licence(text: str) -> bool:
    """Brazilian driver's number: two check digits, weights 9 to 1 and 1 to 9, modulo 11."""
    digits = _digits(text)
    first = sum(d * w for d, w in zip(digits[:9], range(9, 0, -1), strict=True)) % 11
    less = 2 if first >= 10 else 0
    second = sum(d * w for d, w in zip(digits[:9], range(1, 10), strict=True)) % 11 - less
    second = second + 11 if second < 0 else second
    return len(set(digits)) > 2 and digits[9:] == [first if first < 10 else 0, second if second < 10 else 0]


def brazilian_social(text: str) -> bool:
    """Brazilian workers' number (PIS, NIT): weights 3, 2, 9 to 2, modulo 11."""
    digits = _digits(text)
    rest = sum(d * w for d, w in zip(digits[:10], (3, 2, 9, 8, 7, 6, 5, 4, 3, 2), strict=True)) % 11
    return len(set(digits)) > 2 and digits[10] == (0 if rest < 2 else 11 - rest)


def guatemalan(text: str) -> bool:
    """Guatemalan identification code: weights 2 to 9 over eight digits, modulo 11, then a department and a municipality."""
    digits = _digits(text)
    return sum(d * w for d, w in zip(digits[:8], range(2, 10), strict=True)) % 11 == digits[8]


def salvadoran(text: str) -> bool:
    """Salvadoran identity document: weights 9 to 2, modulo 10."""
    digits = _digits(text)
    return (10 - sum(d * w for d, w in zip(digits[:8], range(9, 1, -1), strict=True)) % 10) % 10 == digits[8]


def uruguayan(text: str) -> bool:
    """Uruguayan identity card: weights 2, 9, 8, 7, 6, 3, 4, modulo 10."""
    digits = _digits(text)
    return (10 - sum(d * w for d, w in zip(digits[:7], (2, 9, 8, 7, 6, 3, 4), strict=True)) % 10) % 10 == digits[7]


def routing(text: str) -> bool:
    """US routing number: a Federal Reserve district, then weights 3, 7, 1 (American Bankers Association, Key to Routing Numbers)."""
    digits = _digits(text)
    area = digits[0] * 10 + digits[1]
    known = area <= 12 or 21 <= area <= 32 or 61 <= area <= 72 or area == 80
    return known and len(set(digits)) > 2 and sum(d * w for d, w in zip(digits, (3, 7, 1) * 3, strict=True)) % 10 == 0


def south_african_tax(text: str) -> bool:
    """South African tax numbers, the one for VAT included: the Luhn check over all ten digits."""
    digits = _digits(text)
    return len(digits) == 10 and len(set(digits)) > 2 and luhn(text)


def clabe(text: str) -> bool:
    """Mexican bank account (CLABE): weights 3, 7, 1."""
    digits = _digits(text)
    total = sum(d * (3, 7, 1)[i % 3] % 10 for i, d in enumerate(digits[:17]))
    return len(digits) == 18 and (10 - total % 10) % 10 == digits[17]


def npi(text: str) -> bool:
    """US provider number: Luhn over 80840 and the number (45 CFR 162.406)."""
    digits = _digits(text)
    return len(digits) == 10 and len(set(digits)) > 2 and luhn("80840" + "".join(map(str, digits)))


def dea(text: str) -> bool:
    """US DEA registration: odd digits and twice the even ones."""
    d = _digits(text[2:])
    return (d[0] + d[2] + d[4] + 2 * (d[1] + d[3] + d[5])) % 10 == d[6]


def hong_kong(text: str) -> bool:
    """Hong Kong identity card: one or two letters, six digits, check character, modulo 11."""
    compact = _compact(text)
    values = [36] * (9 - len(compact)) + [int(char, 36) for char in compact]
    return sum(v * w for v, w in zip(values, range(9, 0, -1), strict=True)) % 11 == 0


def iranian(text: str) -> bool:
    """Iranian national code: weights 10 to 2, modulo 11."""
    digits = _digits(text)
    rest = sum(d * w for d, w in zip(digits[:9], range(10, 1, -1), strict=True)) % 11
    return len(set(digits)) > 2 and digits[9] == (rest if rest < 2 else 11 - rest)


def kazakh(text: str) -> bool:
    """Kazakh individual number: a date, then weights 1 to 11, or 3 to 2 round the clock where those give 10."""
    digits = _digits(text)
    rest = sum(d * w for d, w in zip(digits[:11], range(1, 12), strict=True)) % 11
    if rest == 10:
        rest = sum(d * w for d, w in zip(digits[:11], (*range(3, 12), 1, 2), strict=True)) % 11
    return rest == digits[11] and 1 <= digits[2] * 10 + digits[3] <= 12 and 1 <= digits[4] * 10 + digits[5] <= 31


def singapore(text: str) -> bool:
    """Singapore NRIC and FIN, the M series of 2022 included."""
    if text[0].isupper() != text[-1].isupper():
        return False
    compact = _compact(text)
    total = sum(int(d) * w for d, w in zip(compact[1:8], (2, 7, 6, 5, 4, 3, 2), strict=True))
    total += {"T": 4, "G": 4, "M": 3}.get(compact[0], 0)
    if compact[0] == "M":
        return "KLJNPQRTUWX"[10 - total % 11] == compact[8]
    return ("JZIHGFEDCBA" if compact[0] in "ST" else "XWUTRQPNMLK")[total % 11] == compact[8]


def taiwanese(text: str) -> bool:
    """Taiwanese identity number: the letter's two digits, then weights 8 to 1 and the check digit."""
    first = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(text[0].upper()) + 10
    total = first // 10 + first % 10 * 9
    total += sum(d * w for d, w in zip(_digits(text[1:]), (8, 7, 6, 5, 4, 3, 2, 1, 1), strict=True))
    return total % 10 == 0


def turkish_plate(text: str) -> bool:
    """Turkish plate: the more letters, the fewer digits."""
    letters = sum(char.isalpha() for char in text)
    return len(_digits(text)) - 2 in {1: (3, 4, 5), 2: (3, 4), 3: (2, 3, 4)}[letters]


def egyptian(text: str) -> bool:
    """Egyptian national number: century, a day of the calendar, a governorate."""
    d = _digits(text)
    year = (1900 if d[0] == 2 else 2000) + d[1] * 10 + d[2]
    place = d[7] * 10 + d[8]
    return _day(year, d[3] * 10 + d[4], d[5] * 10 + d[6]) and (1 <= place <= 35 or place == 88)


def australian_medicare(text: str) -> bool:
    """Australian Medicare card: weights 1, 3, 7, 9."""
    digits = _digits(text)
    return sum(d * w for d, w in zip(digits[:8], (1, 3, 7, 9) * 2, strict=True)) % 10 == digits[8]


def new_zealand_health(text: str) -> bool:
    """New Zealand health index: letters without I and O, weights 7 to 2, modulo 11."""
    values = ["ABCDEFGHJKLMNPQRSTUVWXYZ".index(char) + 1 for char in text[:3].upper()] + _digits(text[3:6])
    rest = sum(v * w for v, w in zip(values, range(7, 1, -1), strict=True)) % 11
    return rest != 0 and (11 - rest) % 10 == int(text[6])


def vin(text: str) -> bool:
    """Vehicle identification number: the check digit in place nine (49 CFR 565.15)."""
    letters = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", (*range(1, 9), *range(1, 6), 7, 9, *range(2, 10)), strict=True))
    text = text.upper()
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum((int(c) if c.isdigit() else letters[c]) * w for c, w in zip(text, weights, strict=True))
    return "0123456789X"[total % 11] == text[8] and len(set(text)) > 5 and not text.isdigit() and not text.isalpha()


def _compact(text: str) -> str:
    return "".join(char for char in text.upper() if char.isalnum())


def _digits(text: str) -> list[int]:
    return [int(char) for char in text if char.isdecimal()]


def _lettered(text: str) -> list[int]:
    """Digits, with a letter read as its two-digit place in the alphabet."""
    return [int(digit) for char in text for digit in (char if char.isdigit() else f"{ord(char) - 64:02}")]


def _cross(value: int) -> int:
    return value // 10 + value % 10


def _weighted(text: str, weights: tuple[int, ...]) -> int:
    return sum(int(char, 36) * weights[index % len(weights)] for index, char in enumerate(text))


def _day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
