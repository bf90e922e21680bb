"""Reading ``aiguard.toml``: bytes to :class:`~aiguard.policy.models.Policy`, or every problem with it at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aiguard.policy import builtin, values
from aiguard.policy.document import Document, known_keys
from aiguard.policy.locate import key_lines, line_of
from aiguard.policy.models import Policy
from aiguard.policy.problems import InvalidPolicy, KeyPath, Problem
from aiguard.policy.resolve import CheckPattern, Resolver
from aiguard.scan.patterns import compile_pattern

_REMEDIES: Mapping[str, str] = {
    "scope": 'name the scope that admits people to it, for example scope = "support:reply"',
    "owner": 'name who answers for it, for example owner = "support-platform"',
    "basis": 'name the legal basis, for example basis = "GDPR Art. 6(1)(f)"',
    "duration": 'say how long, for example duration = "30d"',
    "mechanism": 'say how it ends: "delete", "crypto-shred" or "anonymise"',
    "expires": "say when it ends, for example expires = 2026-12-31",
    "approved_by": "name who approved it",
    "reason": "say why, in one sentence",
    "control": 'name the control that is opened, for example control = "monitor-mode"',
}
_TOML_PLACE = re.compile(r"\s*\(at (?:line (?P<line>\d+), column \d+|end of document)\)$")
_QUOTED = re.compile(r"(?<=['\"]).{32,}(?=['\"])", re.DOTALL)


def load_policy(
    path: str | Path, known_types: Collection[str], *, check_pattern: CheckPattern = compile_pattern
) -> Policy:
    """Read, check and resolve the policy at ``path``.

    Args:
        path: the TOML file, UTF-8, at most 1 MiB. JSON schemas it names are looked for in its folder.
        known_types: the entity types that detectors report.
        check_pattern: raises :class:`~aiguard.errors.PolicyError` or :class:`ValueError` for a pattern that cannot be used;
            by default it must compile in RE2 and not match the empty text.

    Raises:
        PolicyError: the file is missing, unreadable, not TOML, or says something that cannot be enforced. The message
            has one line a problem: file, line, key, what is wrong, and what to write instead.
    """
    source = Path(path)
    return _parse(_read(source), str(path), known_types, check_pattern, source.parent)


def parse_policy(
    text: str,
    source: str,
    known_types: Collection[str],
    *,
    check_pattern: CheckPattern = compile_pattern,
) -> Policy:
    """:func:`load_policy` on text that is already here; ``source`` is what errors call it."""
    return _parse(text, source, known_types, check_pattern, None)


def _read(path: Path) -> str:
    name = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(builtin.MAX_POLICY_BYTES + 1)
    except FileNotFoundError:
        raise _one(name, "there is no such file; write a policy there or set AIGUARD_POLICY to where it is") from None
    except IsADirectoryError:
        raise _one(name, "is a directory; name the policy file in it") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        raise _one(name, f"cannot be read ({why}); check its permissions and AIGUARD_POLICY") from None
    if len(data) > builtin.MAX_POLICY_BYTES:
        raise _one(name, "is larger than 1 MiB; that is not a policy, check the path")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _one(name, f"is not UTF-8 (byte {error.start}); save it as UTF-8", line=line) from None


def _parse(
    text: str,
    source: str,
    known_types: Collection[str],
    check_pattern: CheckPattern,
    folder: Path | None,
) -> Policy:
    data = _toml(text, source)
    try:
        document = Document.model_validate(data)
    except ValidationError as error:
        found = [_explain(details) for details in error.errors(include_url=False, include_input=False)]
        raise InvalidPolicy(_problems(found, source, text)) from None
    resolver = Resolver(
        document=document,
        known_types=known_types,
        check_pattern=check_pattern,
        folder=folder,
    )
    policy = resolver.policy()
    if policy is None:
        raise InvalidPolicy(_problems(resolver.problems, source, text))
    return policy


def _toml(text: str, source: str) -> dict[str, Any]:
    if len(text) > builtin.MAX_POLICY_BYTES:
        raise _one(source, "is larger than 1 MiB; that is not a policy, check the path")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _TOML_PLACE.search(message)
        line = int(place["line"]) if place and place["line"] else text.count("\n") + 1
        what = _QUOTED.sub("...", _TOML_PLACE.sub("", message))
        if what.startswith("Cannot overwrite") or "declare" in what or "mutate" in what:
            what = f"{what}: a key or table stands here a second time; keep one"
        raise _one(source, f"is not TOML: {what}", line=line) from None
    except RecursionError:
        raise _one(source, "nests tables or arrays too deeply; a policy is flat") from None
    except (ValueError, OverflowError):
        raise _one(source, "holds a number or date that cannot be represented; check the numbers") from None
    if values.depth(data) > builtin.MAX_DEPTH:
        raise _one(source, f"nests tables or arrays more than {builtin.MAX_DEPTH} deep; a policy is flat")
    return data


def _explain(details: ErrorDetails) -> tuple[KeyPath, str]:
    """One pydantic error as a place and a sentence; the offending value is never part of it."""
    path: KeyPath = tuple(step for step in details["loc"] if step != "[key]")
    kind = details["type"]
    context = details.get("ctx", {})
    last = str(path[-1]) if path else ""
    match kind:
        case "extra_forbidden":
            message = f"is not a known key; {values.did_you_mean(last, known_keys(path[:-1]))}".rstrip("; ")
        case "missing":
            message = f"is missing; {_REMEDIES[last]}" if last in _REMEDIES else "is missing; add it"
        case "value_error":
            message = str(context.get("error", "is wrong"))
        case "literal_error":
            message = f"must be {context.get('expected', 'one of the documented values')}"
        case "model_type" | "model_attributes_type" | "mapping_type" | "dict_type":
            message = "must be a table"
        case "list_type" | "tuple_type":
            message = "must be a list in [ ]"
        case "int_type" | "int_from_float" | "int_parsing":
            message = "must be a whole number"
        case "bool_type" | "bool_parsing":
            message = "must be true or false, without quotes"
        case "float_type" | "float_parsing" | "finite_number":
            message = "must be a number"
        case "string_type":
            message = 'must be a text in " "'
        case "greater_than_equal":
            message = f"must be at least {context.get('ge')}"
        case "greater_than":
            message = f"must be greater than {context.get('gt')}"
        case "less_than_equal":
            message = f"must be at most {context.get('le')}"
        case "string_too_short":
            least = context.get("min_length", 1)
            message = "must not be empty" if least == 1 else f"must have at least {least} characters"
        case "too_short":
            message = "must not be empty"
        case "string_pattern_mismatch" if "hmac_sha256" in path:
            message = "is not a hash; `aiguard policy hash` makes them: 64 digits and letters from a to f"
        case "string_too_long":
            message = f"must have at most {context.get('max_length')} characters"
        case _:
            message = f"is wrong ({kind.replace('_', ' ')})"
    return path, message


def _problems(found: Iterable[tuple[KeyPath, str]], source: str, text: str) -> list[Problem]:
    lines = key_lines(text)
    return [Problem(source=source, message=what, key=path, line=line_of(lines, path)) for path, what in found]


def _one(source: str, message: str, *, line: int | None = None) -> InvalidPolicy:
    return InvalidPolicy([Problem(source=source, message=message, line=line)])
