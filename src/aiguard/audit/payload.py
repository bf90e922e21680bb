"""The door of the log: only identifiers, counts and our own sentences get in.

The log cannot be edited, so a value that slipped into a payload would stay. A string must therefore look like an
*identifier* (letters first, no white space, no ``@``), a hash, a time or a duration; the fields named in
:data:`SENTENCES` may hold one sentence written by us or the policy's author, without long runs of digits. A number must
be finite and below :data:`NUMBER_LIMIT`, which no card number is. This is a net, not a detector: a bare first name
is an identifier to it, so callers still only pass what they mean to.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from aiguard.audit.canonical import SMALLEST_PLAIN, canonical
from aiguard.audit.events import fault_of, known
from aiguard.errors import StoreError
from aiguard.types import AuditRecord

NUMBER_LIMIT = 10**12
MAX_DEPTH = 6
MAX_VALUES = 2_000
MAX_BYTES = 32_768
_NAMES = 1024
SENTENCES = frozenset({"detail", "details", "meaning", "note"})
"""Keys whose value may be a sentence."""
TEMPLATES = frozenset({"route"})
"""Keys whose value is a route as the application's developer wrote it (``/@<name>``), never the path that was asked for."""

_IDENTIFIER = re.compile(r"[A-Za-z_<*$][A-Za-z0-9_.:/<>*+=|,$#{}\[\]-]{0,199}\Z")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}\Z")
"""An identifier that can be no address: most strings of most payloads."""
_POINTER = re.compile(r"/[A-Za-z0-9_.~/-]{0,199}\Z")
_NUMERIC = re.compile(
    r"\d{1,5}(ms|[smhdwy])\Z"  # a duration
    r"|\d{1,4}(\.\d{1,4}){0,2}\Z"  # a version, never four groups as an IP address has
    r"|\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00))?\Z"  # an instant
)
_TEMPLATE = re.compile(
    r"(?!.*[^/]@)(?!.*@[^/]*\.)(?:[^\s\x00-\x1f\x7f]| (?=[^<>]*>)){0,250}\Z"
)  # "/@<name>" and "/<any(a, b):kind>" are, "name@" and "@host.tld" are not
_SENTENCE = re.compile(r"[A-Za-z0-9 ,.;:'\"()/_<>{}\[\]%=+`*|#!?-]{1,400}\Z")
_DIGIT_RUN = re.compile(r"(?:\d[ .-]?){7}")
_ADDRESS = re.compile(  # an IPv4 or IPv6 address, wherever it stands
    r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])|::|(?<![A-Za-z0-9])(?:[0-9A-Fa-f]{1,4}:){3,}[0-9A-Fa-f]"
)
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,79}\Z")
_is_pseudonym = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}\Z").match
_is_id = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z").match
_is_hash = lru_cache(maxsize=64)(re.compile(r"(sha256:[0-9a-f]{64})?\Z").match)  # policies, of which few are in force


class PayloadRefused(StoreError):
    """An audit event holds something that could be personal. The message names the field and the rule, never the value."""


def check_record(record: AuditRecord) -> bytes:
    """The payload as canonical JSON (RFC 8785), or :class:`PayloadRefused`."""
    if not known(record.type):
        raise PayloadRefused(
            "The audit event's type is not in the catalogue; use one of aiguard.audit.CATALOGUE or `app.…`."
        )
    seen = ""
    for name, value in (("actor", record.actor), ("tenant", record.tenant), ("subject", record.subject)):
        if value is seen or not value:
            continue
        seen = value
        if not _is_pseudonym(value):
            raise PayloadRefused(f"The audit event's {name} is not a pseudonym; pass KeyRing.pseudonym({name!r}, …).")
    for name, value in (("id", record.id), ("decision_id", record.decision_id)):
        if not _is_id(value):
            raise PayloadRefused(f"The audit event's {name} is not an id.")
    if not _is_template(record.resource):
        raise PayloadRefused("The audit event's resource is not a feature name or a route template.")
    if not _is_hash(record.policy_hash):
        raise PayloadRefused("The audit event's policy_hash is not `sha256:` and 64 hex digits.")
    if record.at.tzinfo is None:
        raise PayloadRefused("The audit event's time has no timezone.")
    data = check_payload(record.payload)
    if fault := fault_of(record.type, record.payload):
        raise PayloadRefused(f"The payload of the audit event {record.type} {fault}.")
    return data


def check_payload(payload: Mapping[str, Any]) -> bytes:
    """Canonical JSON of a payload that passes, or :class:`PayloadRefused`."""
    if type(payload) is not dict and not isinstance(payload, Mapping):
        raise PayloadRefused("The audit payload is not an object.")
    try:
        _count(payload, "", 0)
    except _Unusual:
        walk = _Walk()
        plain = _plain(payload, "", "", 0, walk)
        data = canonical(plain, simple=walk.simple)
    else:
        data = canonical(payload, simple=True)
    if len(data) > MAX_BYTES:
        raise PayloadRefused(f"The audit payload is larger than {MAX_BYTES} bytes.")
    return data


class _Unusual(Exception):
    """Not of the kind that :func:`_count` knows; :func:`_plain` looks at it, and says what is wrong if something is."""


def _count(value: object, key: str, depth: int) -> int:
    """How many values are in ``value``, when all are as :func:`_plain` would leave them and none needs the long way to be written.

    Most payloads are, and walking them costs a third of copying them. What is refused here is only refused by :func:`_plain`.
    """
    if depth > MAX_DEPTH:
        raise _Unusual
    kind = type(value)
    if kind is str:
        if not _WORD.match(cast("str", value)) or key in TEMPLATES:
            _try_string(cast("str", value), key)
        return 1
    if kind is int:
        if -NUMBER_LIMIT < cast("int", value) < NUMBER_LIMIT:
            return 1
    elif kind is bool or value is None:
        return 1
    elif kind is float:
        number = cast("float", value)
        if SMALLEST_PLAIN <= abs(number) < NUMBER_LIMIT and not number.is_integer():
            return 1
    elif kind is dict:
        return _count_members(cast("dict[Any, object]", value), depth)
    elif kind is list or kind is tuple:
        count = 1
        for inner in cast("Sequence[object]", value):
            count += _count(inner, key, depth + 1)
            if count > MAX_VALUES:
                raise _Unusual
        return count
    raise _Unusual


def _count_members(value: dict[Any, object], depth: int) -> int:
    """:func:`_count` of an object. What most members are is looked at here, since a call costs more than the look."""
    if depth == MAX_DEPTH and value:
        raise _Unusual
    count = 1
    for name, inner in value.items():
        if name not in _names:
            _check_name(name)
        kind = type(inner)
        if kind is str:
            if not _WORD.match(cast("str", inner)) or name in TEMPLATES:
                _try_string(cast("str", inner), name)
            count += 1
        elif kind is int and -NUMBER_LIMIT < cast("int", inner) < NUMBER_LIMIT:
            count += 1
        else:
            count += _count(inner, name, depth + 1)
        if count > MAX_VALUES:
            raise _Unusual
    return count


def _try_string(value: str, key: str) -> None:
    try:
        _string(value, key, "")
    except PayloadRefused:
        raise _Unusual from None


_names: set[object] = set()
"""Names that have passed: field names, which are ours, and few. A set costs half of what a cached call does."""


def _check_name(name: object) -> None:
    if type(name) is not str or not _is_name(name):
        raise _Unusual
    if len(_names) < _NAMES:
        _names.add(name)


def _is_name(name: str) -> bool:
    return _KEY.match(name) is not None and not _DIGIT_RUN.search(name)


@dataclass(slots=True)
class _Walk:
    left: int = MAX_VALUES
    simple: bool = True


def _plain(value: object, key: str, where: str, depth: int, walk: _Walk) -> Any:
    walk.left -= 1
    if walk.left < 0:
        raise PayloadRefused(f"The audit payload holds more than {MAX_VALUES} values.")
    if depth > MAX_DEPTH:
        raise PayloadRefused(f"The audit payload is nested deeper than {MAX_DEPTH} at {where}.")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _string(value, key, where)
    if isinstance(value, int):
        if abs(value) >= NUMBER_LIMIT:
            raise PayloadRefused(f"The number at {where} of the audit payload is too large to be a count.")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value) or abs(value) >= NUMBER_LIMIT:
            raise PayloadRefused(f"The number at {where} of the audit payload is not finite or too large.")
        if value.is_integer():
            return int(value)
        walk.simple = walk.simple and abs(value) >= SMALLEST_PLAIN
        return float(value)
    if isinstance(value, Mapping):
        result = {}
        for position, (name, inner) in enumerate(value.items()):
            if not isinstance(name, str) or not _is_name(name):
                raise PayloadRefused(
                    f"Key number {position + 1} at {where or 'the top'} of the audit payload is not a name."
                )
            result[str(name)] = _plain(inner, name, f"{where}/{name}", depth + 1, walk)
        return result
    if isinstance(value, (Sequence, frozenset, set)) and not isinstance(value, (bytes, bytearray, memoryview)):
        items = sorted(value, key=str) if isinstance(value, (frozenset, set)) else value
        return [_plain(inner, key, f"{where}/{index}", depth + 1, walk) for index, inner in enumerate(items)]
    raise PayloadRefused(f"The value at {where} of the audit payload is a {type(value).__name__}, not JSON.")


@lru_cache(maxsize=1024)  # features and routes, of which an application has few
def _is_template(value: str) -> bool:
    return (
        _TEMPLATE.match(value) is not None
        and value.isprintable()
        and not _DIGIT_RUN.search(value)
        and not _ADDRESS.search(value)
    )


def _string(value: str, key: str, where: str) -> str:
    value = str.__str__(value)
    if value == "" or (key in TEMPLATES and _is_template(value)):
        return value
    if key not in TEMPLATES and not _ADDRESS.search(value):
        if _IDENTIFIER.match(value) or _NUMERIC.match(value):
            return value
        if (_POINTER.match(value) or (key in SENTENCES and _SENTENCE.match(value))) and not _DIGIT_RUN.search(value):
            return value
    raise PayloadRefused(
        f"The text at {where} of the audit payload is not an identifier, hash, time or duration; "
        "record its type, length or KeyRing.pseudonym instead."
    )
