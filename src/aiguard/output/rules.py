"""Blocked patterns and JSON schema for answers.

Patterns run on RE2 and so does every pattern of a schema: a model's answer must not be able to choose an input that
backtracks (law 7). A schema never fetches a remote reference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema
import referencing
from jsonschema.protocols import Validator as SchemaValidator

from aiguard.errors import PolicyError
from aiguard.scan.patterns import Pattern, compile_pattern
from aiguard.types import Reason

MAX_SCHEMA_TEXT = 1_000_000
"""Characters of an answer that a schema is applied to; a longer one is refused. Validation time grows with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """One rule that the answer breaks."""

    reason: Reason


def _pattern(
    _validator: SchemaValidator, pattern: str, instance: Any, _schema: Any
) -> Iterator[jsonschema.ValidationError]:
    if isinstance(instance, str) and not compile_pattern(pattern).found(instance):
        yield jsonschema.ValidationError("does not match the pattern")


def _pattern_properties(
    validator: SchemaValidator, patterns: Mapping[str, Any], instance: Any, _schema: Any
) -> Iterator[jsonschema.ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        compiled = compile_pattern(pattern)
        for key, value in instance.items():
            if compiled.found(key):
                yield from validator.descend(value, subschema, path=key, schema_path=pattern)  # type: ignore[attr-defined]


def _additional_properties(
    validator: SchemaValidator, additional: Any, instance: Any, schema: Any
) -> Iterator[jsonschema.ValidationError]:
    if not isinstance(instance, dict):
        return
    patterns = [compile_pattern(pattern) for pattern in schema.get("patternProperties", {})]
    named = schema.get("properties", {})
    for key, value in instance.items():
        if key in named or any(pattern.found(key) for pattern in patterns):
            continue
        if additional is False:
            yield jsonschema.ValidationError("has a property that the schema does not know")
        else:
            yield from validator.descend(value, additional, path=key)  # type: ignore[attr-defined]


def _unique_items(
    _validator: SchemaValidator, unique: Any, instance: Any, _schema: Any
) -> Iterator[jsonschema.ValidationError]:
    # jsonschema compares every pair where items do not sort; canonical texts are compared in linear time.
    if unique is True and isinstance(instance, list):
        seen = {json.dumps(_canonical(item), sort_keys=True) for item in instance}
        if len(seen) != len(instance):
            yield jsonschema.ValidationError("has items twice")


def _canonical(value: Any) -> Any:
    """A value such that equal ones (1 and 1.0 are, 1 and true are not) have one JSON text."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    return value


_Validator: Any = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
    },
)


def _evolve(self: Any, **changes: Any) -> Any:
    """The validator for a subschema: this one again.

    A subschema that names its dialect (``$schema``) would otherwise be given the library's own, whose patterns backtrack.
    """
    fields = {each.alias: getattr(self, each.name) for each in type(self).__attrs_attrs__ if each.init}
    return type(self)(**fields | changes)


_Validator.evolve = _evolve


def _check_patterns(schema: Any) -> None:
    """Refuse a schema whose patterns cannot run on RE2."""
    stack = [schema]
    keys: set[str] = set()
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            keys.update(node)
            if isinstance(node.get("pattern"), str):
                compile_pattern(node["pattern"])
            if isinstance(node.get("patternProperties"), dict):
                for pattern in node["patternProperties"]:
                    compile_pattern(pattern)
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
    if {"patternProperties", "unevaluatedProperties"} <= keys:
        raise PolicyError(
            "output.json_schema has patternProperties and unevaluatedProperties, which cannot be held together in linear time; "
            "use additionalProperties"
        )


def _reject_constant(name: str) -> Any:
    raise ValueError(name)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key")
    return result


def pattern_broken(number: int) -> Violation:
    """The violation of an answer in which blocked pattern ``number`` (from 0) was found."""
    detail = f"the answer matches blocked pattern {number + 1} of the feature's output rules"
    return Violation(reason=Reason(code="output.pattern", detail=detail))


class AnswerRules:
    """The answer rules of one feature.

    Args:
        block_patterns: RE2 patterns; an answer text in which one is found is refused.
        json_schema: a JSON Schema (2020-12) that each answer text must satisfy, or None.

    Raises:
        PolicyError: a pattern does not compile, or the schema is not valid.
    """

    def __init__(self, *, block_patterns: Sequence[str] = (), json_schema: Mapping[str, Any] | None = None) -> None:
        self._patterns: list[Pattern] = [compile_pattern(pattern) for pattern in block_patterns]
        self._schema: Any = None
        if json_schema is not None:
            schema = dict(json_schema)
            try:
                _Validator.check_schema(schema)
            except jsonschema.SchemaError as error:
                where = "/".join(str(step) for step in error.absolute_path) or "the top level"
                raise PolicyError(f"output.json_schema is not a valid JSON Schema (2020-12) at {where}") from None
            _check_patterns(schema)
            self._schema = _Validator(schema, registry=referencing.Registry())

    def check(self, texts: Sequence[str], *, wider: Sequence[str] = ()) -> tuple[Violation, ...]:
        """The rules that an answer breaks. Reasons never quote it.

        ``texts`` is what the answer says, one text a message; the schema holds for each. ``wider`` is every other way in
        which the answer can be read (its other fields, its parts joined); patterns are looked for there as well.
        """
        found = self.search((*texts, *wider))
        return found if self._schema is None else (*found, *self._check_schema(texts))

    def search(self, texts: Sequence[str]) -> tuple[Violation, ...]:
        """The blocked patterns that are found in any of ``texts``; the schema is not asked."""
        broken = [at for at, pattern in enumerate(self._patterns) if any(pattern.found(text) for text in texts)]
        return tuple(pattern_broken(number) for number in broken)

    def _check_schema(self, texts: Sequence[str]) -> Iterator[Violation]:
        if not texts:
            yield Violation(
                reason=Reason(code="output.schema", detail="the answer has no text to hold against its schema")
            )
        for text in texts:
            if len(text) > MAX_SCHEMA_TEXT:
                yield Violation(reason=Reason(code="output.schema", detail="the answer is too long for its schema"))
                continue
            try:
                document = json.loads(text, parse_constant=_reject_constant, object_pairs_hook=_unique)
            except (ValueError, RecursionError):
                yield Violation(
                    reason=Reason(code="output.schema", detail="the answer is not the JSON its schema asks for")
                )
                continue
            try:
                error = next(iter(self._schema.iter_errors(document)), None)
            except (RecursionError, referencing.exceptions.Unresolvable):
                detail = "the answer could not be held against its schema"
                yield Violation(reason=Reason(code="output.schema", detail=detail))
                continue
            if error is not None:
                keyword = str(error.validator)
                detail = f"the answer does not satisfy its schema (keyword {keyword})"
                yield Violation(reason=Reason(code="output.schema", detail=detail))
