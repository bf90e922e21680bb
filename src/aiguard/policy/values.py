"""The small values a policy is written in: operators, durations, model ids, names.

Each parser takes what TOML gives and returns a value, or raises :class:`ValueError` with a sentence that says what is
wrong and what to write instead. None of them echoes the value it refuses: a secret pasted in the wrong place must not
come back in an error message.
"""

from __future__ import annotations

import difflib
import itertools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, get_args, get_type_hints

from aiguard.policy import builtin
from aiguard.types import Operator, Rate, Sensitivity

OPERATORS: Final[tuple[str, ...]] = get_args(get_type_hints(Operator)["name"])

_DURATION: Final = re.compile(r"(?P<count>[0-9]{1,9})(?P<unit>h|d|w)", re.ASCII)
_ISO_DURATION: Final = re.compile(
    r"P(?:(?P<weeks>[0-9]{1,9})W|(?:(?P<days>[0-9]{1,9})D)?(?:T(?P<hours>[0-9]{1,9})H)?)", re.ASCII
)
_RATE: Final = re.compile(
    r"(?P<limit>[0-9]{1,9})/(?:(?P<count>[0-9]{1,6}) )?(?P<unit>second|minute|hour|day)s?", re.ASCII
)
_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_MODEL: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}:[!-)+-~]{1,200}", re.ASCII)
_SCOPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,127}", re.ASCII)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_TYPE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``did you mean "x"?`` for the nearest known name, else a list of the known ones if that is short, else ``""``."""
    choices = sorted(known)
    folded = {choice.casefold(): choice for choice in choices}
    close = difflib.get_close_matches(name.casefold()[:80], folded, n=1, cutoff=0.6)
    if not close:
        close = [choice for choice in folded if choice.startswith(name.casefold()) and len(name) > 2][:1]
    if close:
        return f'did you mean "{folded[close[0]]}"?'
    if len(choices) <= 12:
        return "known here: " + ", ".join(choices)
    return ""


def depth(data: object) -> int:
    """How deep tables and arrays nest, counted without recursion."""
    deepest = 0
    waiting: list[tuple[object, int]] = [(data, 1)]
    while waiting:
        node, level = waiting.pop()
        if isinstance(node, (dict, list)):
            deepest = max(deepest, level)
            waiting.extend((child, level + 1) for child in (node.values() if isinstance(node, dict) else node))
    return deepest


def parse_operator(value: object) -> Operator:
    """``"mask"`` or ``{ op = "mask", keep_last = 4 }``; ``reason`` may stand beside ``op = "allow"``."""
    if isinstance(value, Operator):
        return value
    table: Mapping[str, Any] = {"op": value} if isinstance(value, str) else value if isinstance(value, Mapping) else {}
    name = table.get("op")
    if not isinstance(name, str):
        raise ValueError('write an operator as "mask" or as { op = "mask", keep_last = 4 }')
    if name not in OPERATORS:
        hint = did_you_mean("tokenize" if name == "tokenise" else name, OPERATORS)
        raise ValueError(f"is not an operator; {hint}")
    for key in table:
        if key not in ("op", "keep_last", "reason"):
            raise ValueError(f"an operator table has no such key; {did_you_mean(key, ('op', 'keep_last', 'reason'))}")
    keep_last = table.get("keep_last", 0)
    if type(keep_last) is not int or not 0 <= keep_last <= 8:
        raise ValueError("keep_last is a whole number from 0 to 8: more would show what the mask is there to hide")
    if keep_last and name != "mask":
        raise ValueError('keep_last only means something with op = "mask"; remove it')
    if "reason" in table:
        if name != "allow":
            raise ValueError('reason only means something with op = "allow"; write a comment instead')
        parse_line(table["reason"])
    return Operator(name=name, keep_last=keep_last)  # type: ignore[arg-type]  # membership checked above


def parse_duration(value: object) -> timedelta:
    """``30d``, ``12h``, ``2w`` or ISO 8601 in whole weeks, days and hours (``P30D``, ``PT12H``, ``P1DT12H``)."""
    if isinstance(value, timedelta):
        duration = value
    else:
        remedy = 'write a duration as "30d", "12h", "2w" or "P30D" (months and years differ in length: count days)'
        if not isinstance(value, str):
            raise ValueError(remedy)
        if short := _DURATION.fullmatch(value):
            unit = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}[short["unit"]]
            factors = [(unit, int(short["count"]))]
        elif (iso := _ISO_DURATION.fullmatch(value)) and any(iso.groups()) and not value.endswith("T"):
            factors = [
                (timedelta(weeks=1), int(iso["weeks"] or 0)),
                (timedelta(days=1), int(iso["days"] or 0)),
                (timedelta(hours=1), int(iso["hours"] or 0)),
            ]
        else:
            raise ValueError(remedy)
        try:
            duration = sum((unit * count for unit, count in factors), timedelta())
        except OverflowError:
            raise ValueError("is longer than 100 years; no retention rule needs that") from None
    if duration <= timedelta():
        raise ValueError('must be longer than nothing; to keep nothing, write keep = { ... = "none" }')
    if duration > timedelta(days=builtin.MAX_RETENTION_DAYS):
        raise ValueError("is longer than 100 years; no retention rule needs that")
    return duration


def parse_rate(value: object) -> Rate:
    """``30/minute``, ``500/day`` or ``100/15 minutes``; units are second, minute, hour and day."""
    if isinstance(value, Rate):
        return value
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('is not a rate; write "30/minute", "500/day" or "100/15 minutes" (second, minute, hour, day)')
    rate = Rate(limit=int(match["limit"]), seconds=int(match["count"] or 1) * _SECONDS[match["unit"]])
    if rate.limit < 1 or rate.seconds < 1:
        raise ValueError("allows nothing; to forbid a feature, give nobody its scope")
    if rate.limit > builtin.MAX_RATE:
        raise ValueError(f"counts more than {builtin.MAX_RATE} uses; write it over a shorter window")
    if rate.seconds > builtin.MAX_RATE_SECONDS:
        raise ValueError(f"has a window of more than {builtin.MAX_RATE_SECONDS // 86_400} days; write a shorter one")
    return rate


def parse_rates(value: object) -> tuple[Rate, ...]:
    """One rate, or a list of rates over different windows, shortest first; an empty list is no limit."""
    written = [value] if isinstance(value, (str, Rate)) else value
    if not isinstance(written, (list, tuple)):
        raise ValueError('write rates as "30/minute" or as ["30/minute", "500/day"]')
    if len(written) > builtin.MAX_RATES:
        raise ValueError(f"holds more than {builtin.MAX_RATES} rates; two or three say all")
    rates = sorted((parse_rate(each) for each in written), key=lambda rate: rate.seconds)
    for shorter, longer in itertools.pairwise(rates):
        if shorter.seconds == longer.seconds:
            raise ValueError("limits the same window twice; keep the lower limit")
        if longer.limit <= shorter.limit:
            raise ValueError(
                "allows as much in a short window as in a longer one, so the shorter never counts; remove it or lower it"
            )
    return tuple(rates)


def parse_sensitivity(value: object) -> Sensitivity:
    """``public``, ``internal``, ``confidential`` or ``restricted``."""
    if isinstance(value, Sensitivity):
        return value
    names = [member.name.lower() for member in Sensitivity]
    if not isinstance(value, str) or value not in names:
        raise ValueError("is not a sensitivity; write one of " + ", ".join(names))
    return Sensitivity.parse(value)


def parse_model(value: object) -> str:
    """``provider:model``; no wildcards, because a feature lists what was reviewed."""
    if not isinstance(value, str) or not _MODEL.fullmatch(value):
        hint = " (name each model: wildcards would admit models nobody reviewed)" if "*" in str(value)[:300] else ""
        raise ValueError(f'is not a model id; write "provider:model", for example "openai:gpt-5-mini"{hint}')
    return value


def parse_scope(value: object) -> str:
    """A scope name: letters, digits and ``: . _ / -``, at most 128 characters."""
    if not isinstance(value, str) or not _SCOPE.fullmatch(value):
        raise ValueError('is not a scope name; write letters, digits and : . _ / -, for example "support:reply"')
    return value


def parse_name(value: object) -> str:
    """A feature's or an exception's name, as it appears in audit events: lower-case letters, digits, ``-``, ``_``."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError('is not a name; write lower-case letters, digits, - and _, for example "support-reply"')
    return value


def parse_type(value: object) -> str:
    """An entity type, ``EMAIL_ADDRESS`` style, or ``*``."""
    if not isinstance(value, str) or not (value == "*" or _TYPE.fullmatch(value)):
        raise ValueError("is not an entity type; types are written in capitals, for example EMAIL_ADDRESS")
    return value


def parse_region(value: object) -> str:
    """A region of the telephone numbering plans, by its ISO 3166-1 code: ``DE``."""
    import phonenumbers

    if not isinstance(value, str) or value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError('is not a region with a telephone numbering plan; write its ISO 3166-1 code, for example "DE"')
    return value


def parse_line(value: object) -> str:
    """One line of text for people (an owner, a basis, a reason): 1 to 300 characters, none of them control characters."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text that is not empty")
    text = value.strip()
    if len(text) > 300:
        raise ValueError("is longer than 300 characters; link to the document instead")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        raise ValueError("must be one line without control characters")
    return text


def parse_moment(value: object) -> datetime:
    """A point in time in UTC. A plain date means its first moment: the exception is over when that day begins."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("needs a time zone, for example 2026-12-31T00:00:00Z; or write just the date")
        try:
            return value.astimezone(UTC)
        except OverflowError:
            raise ValueError("is out of range") from None
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise ValueError("is not a date; write it without quotes, for example 2026-12-31")
