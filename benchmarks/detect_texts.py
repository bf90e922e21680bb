"""Texts for the detection benchmark: prompts of 2 KB with labelled values, drawn with a fixed seed, and without any.

Values are valid ones that nobody has: check digits are computed, telephone numbers are the examples of ``phonenumbers``,
addresses end in ``example`` domains. Beside them stand figures that are none of these: order numbers, dates, versions, amounts.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from typing import Final

import phonenumbers

from aiguard.evals import Label, Row
from benchmarks.stream import SENTENCES

TYPES: Final = ("EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "IP_ADDRESS")
"""What the benchmark's texts hold: types that several detectors know."""

SIZE: Final = 2_048
"""Characters of a prompt."""

_FIRST = ("jane", "omar", "li", "ana", "tom", "ines", "raj", "eva", "noah", "mia")
_LAST = ("doe", "haddad", "wei", "silva", "berg", "costa", "patel", "novak", "king", "rossi")
_CARDS = (("4", 16), ("51", 16), ("37", 15), ("6011", 16))
_IBANS = {"DE": 18, "GB": 0, "NL": 0, "ES": 20, "PL": 24, "AT": 16}
_REGIONS = ("US", "GB", "DE", "FR", "IN", "BR", "AU", "JP", "SE", "ZA")


def _digits(draw: random.Random, size: int) -> str:
    return "".join(draw.choices(string.digits, k=size))


def _email(draw: random.Random) -> str:
    return (
        f"{draw.choice(_FIRST)}{draw.choice(('.', '_', ''))}{draw.choice(_LAST)}{draw.randint(1, 99)}@mail.example.org"
    )


def _phone(draw: random.Random) -> str:
    number = phonenumbers.example_number(draw.choice(_REGIONS)) or phonenumbers.PhoneNumber()
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _card(draw: random.Random) -> str:
    prefix, size = draw.choice(_CARDS)
    body = prefix + _digits(draw, size - len(prefix) - 1)
    total = sum(
        digit if place % 2 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(map(int, reversed(body)))
    )
    number = f"{body}{-total % 10}"
    return " ".join(number[at : at + 4] for at in range(0, size, 4)) if draw.random() < 0.5 and size == 16 else number


def _iban(draw: random.Random) -> str:
    country = draw.choice(sorted(_IBANS))
    bank = "".join(draw.choices(string.ascii_uppercase, k=4)) if not _IBANS[country] else ""
    body = bank + _digits(draw, _IBANS[country] or (14 if country == "GB" else 10))
    check = 98 - int("".join(str(int(char, 36)) for char in f"{body}{country}00")) % 97
    whole = f"{country}{check:02d}{body}"
    return " ".join(whole[at : at + 4] for at in range(0, len(whole), 4)) if draw.random() < 0.5 else whole


def _ssn(draw: random.Random) -> str:
    return f"{draw.randint(101, 649)}-{draw.randint(10, 99)}-{draw.randint(1000, 9999)}"


def _address(draw: random.Random) -> str:
    return ".".join(str(draw.randint(11, 250)) for _ in range(4))


_SAID: Final[dict[str, tuple[Callable[[random.Random], str], tuple[str, ...]]]] = {
    "EMAIL_ADDRESS": (_email, ("Write to {} if that is easier. ", "My address is {}, as before. ")),
    "PHONE_NUMBER": (_phone, ("Please call me at {} in the evening. ", "My phone number is {} now. ")),
    "CREDIT_CARD": (_card, ("I paid with my credit card {} in May. ", "The card {} was charged twice. ")),
    "IBAN_CODE": (_iban, ("Refund it to {} please. ", "The IBAN {} is mine. ")),
    "US_SSN": (_ssn, ("My SSN is {} by the way. ", "Social security number {} is on the form. ")),
    "IP_ADDRESS": (_address, ("The login came from {} at night. ", "Our server {} did not answer. ")),
}
_PLAIN: Final = (
    "The order 10{} was placed on 2024-11-{}. ",
    "Version 2.{}.{} of the manual says otherwise. ",
    "It weighs {} kg and cost {}.00 dollars. ",
    "Shelf {}, row {}, second box. ",
)


def _figures(draw: random.Random) -> str:
    return draw.choice(_PLAIN).format(draw.randint(10, 28), draw.randint(10, 28))


def _said(draw: random.Random) -> tuple[str, str, str]:
    """A sentence with a value, the value, its type."""
    type = draw.choice(TYPES)
    make, ways = _SAID[type]
    value = make(draw)
    return draw.choice(ways).format(value), value, type


def prompts(count: int, *, every: int, seed: int) -> list[Row]:
    """``count`` prompts of English in which about every ``every``-th sentence holds a value; 0 for none at all."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        text, labels = "", []
        while len(text) < SIZE - 100:
            if every and draw.randrange(every) == 0:
                sentence, value, type = _said(draw)
                at = len(text) + sentence.index(value)
                labels.append(Label(start=at, end=at + len(value), type=type))
                text += sentence
            else:
                text += _figures(draw) if every and draw.random() < 0.2 else draw.choice(SENTENCES) + " "
        rows.append(Row(text=text.ljust(SIZE), labels=tuple(labels)))
    return rows


def hostile(unit: str, size: int) -> str:
    """``unit`` over and over, ``size`` characters in all."""
    return (unit * (size // len(unit) + 1))[:size]
