"""From what is written to what is enforced: inheritance, files, and the checks that need more than one key."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import rfc8785

from aiguard.errors import PolicyError
from aiguard.policy import builtin, values
from aiguard.policy.document import DetectEntry, Document, FeatureEntry
from aiguard.policy.models import (
    DetectRule,
    Feature,
    HashedList,
    InjectionRule,
    KeepRule,
    OutputRule,
    Policy,
    ValueList,
)
from aiguard.policy.problems import KeyPath
from aiguard.scan.recognizer import Recognizer, check

CheckPattern = Callable[[str], object]
"""Raises :class:`~aiguard.errors.PolicyError` or :class:`ValueError` for a pattern that cannot be used."""

_INHERITED = ("max_input_tokens", "max_output_tokens", "rate", "tenant_rate")
_DATA_KEYWORDS = frozenset({"const", "enum", "default", "examples"})
_NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})


@dataclass(kw_only=True)
class Resolver:
    """Collects every problem before it gives up, so that an author sees all of them at once."""

    document: Document
    known_types: Collection[str]
    check_pattern: CheckPattern
    folder: Path | None
    problems: dict[tuple[KeyPath, str], None] = field(default_factory=dict)
    """Place and sentence of what is wrong, in the order it was found, each once."""

    def policy(self) -> Policy | None:
        """The resolved policy, or ``None`` when :attr:`problems` says why not."""
        document = self.document
        self._recognizers()
        self._detect_types(("defaults", "detect"), document.defaults.detect)
        self._types(("defaults", "redact"), document.defaults.redact)
        self._types(("defaults", "output", "redact"), document.defaults.output.redact)
        self._types(("sensitivity",), document.sensitivity, catch_all=False)
        for index, route in enumerate(document.routes):
            self._types(("routes", index, "redact"), route.redact)
        self._signatures()
        self._exceptions()
        features = {name: self._feature(name, entry) for name, entry in document.features.items()}
        self._one_scope_each()
        self._overrides()
        if self.problems:
            return None
        retention = {name: rule for name in builtin.RETENTION_CLASSES if (rule := getattr(document.retention, name))}
        return Policy(
            version=document.version,
            features={name: feature for name, feature in features.items() if feature is not None},
            retention=retention,
            retention_overrides=tuple(document.retention.overrides),
            sensitivity={
                **{name: rule.sensitivity for name, rule in document.recognizers.items()},
                **document.sensitivity,
            },
            recognizers=document.recognizers,
            phone_regions=tuple(dict.fromkeys(document.phone_regions)),
            signatures=tuple(document.injection.signatures),
            exceptions=tuple(document.exceptions),
            service_tokens=document.service_tokens,
            vault=document.vault,
            routes=tuple(document.routes),
        )

    def _feature(self, name: str, entry: FeatureEntry) -> Feature | None:
        at: KeyPath = ("features", name)
        defaults = self.document.defaults
        before = len(self.problems)
        self._types((*at, "redact"), entry.redact)
        self._types((*at, "output", "redact"), entry.output.redact)
        self._distinct((*at, "models"), entry.models)
        self._detect_types((*at, "detect"), entry.detect)
        self._one_salt((*at, "detect"), entry.detect)
        keep = KeepRule(**{**_written(defaults.keep), **_written(entry.keep)})
        for data_class in keep.classes:
            if getattr(self.document.retention, data_class) is None:
                self._say(
                    (*at, "keep", data_class),
                    f"keeps {data_class}s, but there is no [retention.{data_class}] rule; "
                    "add one with duration, basis, mechanism and owner, or keep nothing",
                )
        injection = {**_written(defaults.injection), **_written(entry.injection)}
        if injection.get("flag", builtin.INJECTION_FLAG) > injection.get("block", builtin.INJECTION_BLOCK):
            self._say(
                (*at, "injection"),
                f"flag ({injection.get('flag', builtin.INJECTION_FLAG)}) is above block "
                f"({injection.get('block', builtin.INJECTION_BLOCK)}) once defaults are filled in; set both here",
            )
        output = self._output(at, entry)
        if len(self.problems) > before or output is None:
            return None
        limits = {**_written(defaults, *_INHERITED), **_written(entry, *_INHERITED)}
        return Feature(
            name=name,
            scope=entry.scope,
            owner=entry.owner,
            description=entry.description or "",
            mode=entry.mode,
            high_risk=entry.high_risk,
            models=tuple(entry.models),
            redact={**defaults.redact, **entry.redact},
            detect=_detect(defaults.detect, entry.detect),
            injection=InjectionRule(**injection),
            keep=keep,
            output=output,
            **limits,
        )

    def _output(self, at: KeyPath, entry: FeatureEntry) -> OutputRule | None:
        defaults = self.document.defaults
        options: dict[str, Any] = {}
        for origin, part in ((("defaults", "output"), defaults.output), ((*at, "output"), entry.output)):
            if part.restore is not None:
                options["restore"] = part.restore
            if part.restore_in is not None:
                options["restore_in"] = tuple(sorted(set(part.restore_in)))
            if part.block_patterns is not None:
                for index, pattern in enumerate(part.block_patterns):
                    self._pattern((*origin, "block_patterns", index), pattern)
                options["block_patterns"] = tuple(part.block_patterns)
            if part.json_schema is not None:
                options["json_schema"] = self._schema((*origin, "json_schema"), part.json_schema)
        rules = {**defaults.redact, **entry.redact, **defaults.output.redact, **entry.output.redact}
        return OutputRule(redact=rules, **options)

    def _recognizers(self) -> None:
        """The policy's own types: new names, patterns that can run, and examples that hold."""
        for name, rule in self.document.recognizers.items():
            at: KeyPath = ("recognizers", name)
            if name in {"*", builtin.DENIED_TERM} or name in self.known_types:
                self._say(at, "is a type that exists already; give this one a name of its own")
                continue
            try:
                check(rule.recognizer(name))
            except PolicyError as error:
                self._say(at, f"cannot be used: {str(error)[:300]}")
        self.known_types = {*self.known_types, *self.document.recognizers, builtin.DENIED_TERM}

    def _detect_types(self, at: KeyPath, entry: DetectEntry) -> None:
        self._types((*at, "scores"), entry.scores, catch_all=False)
        for key in ("only", "exclude"):
            for index, name in enumerate(getattr(entry, key) or ()):
                if name not in self.known_types:
                    hint = values.did_you_mean(name, self.known_types)
                    self._say((*at, key, index), f"is not an entity type that a detector reports; {hint}".rstrip("; "))
        for key in ("allow", "deny"):
            for index, pattern in enumerate(getattr(entry, key).patterns):
                self._pattern((*at, key, "patterns", index), pattern)
        for index, pattern in enumerate(entry.deny.patterns):
            try:
                check(Recognizer(name="deny", type=builtin.DENIED_TERM, pattern=pattern))
            except PolicyError as error:
                self._say((*at, "deny", "patterns", index), f"cannot be used: {str(error)[:300]}")

    def _one_salt(self, at: KeyPath, entry: DetectEntry) -> None:
        """A feature's hashed list adds to that of the defaults, which it can under one salt only."""
        for key in ("allow", "deny"):
            inherited, own = getattr(self.document.defaults.detect, key).hashed, getattr(entry, key).hashed
            if inherited and own and inherited.salt != own.salt:
                self._say(
                    (*at, key, "hashed", "salt"),
                    f"differs from that of defaults.detect.{key}, to which this list adds; hash its values anew with that one",
                )

    def _types(self, at: KeyPath, rules: Mapping[str, object], *, catch_all: bool = True) -> None:
        for key in rules:
            if key in self.known_types or (key == "*" and catch_all):
                continue
            if key == "*":
                self._say((*at, key), "sensitivity is set by entity type; name the types")
                continue
            hint = values.did_you_mean(key, self.known_types)
            self._say((*at, key), f"is not an entity type that a detector reports; {hint}".rstrip("; "))

    def _signatures(self) -> None:
        at: KeyPath = ("injection", "signatures")
        signatures = self.document.injection.signatures
        self._distinct(at, [signature.name for signature in signatures], "name")
        for index, signature in enumerate(signatures):
            self._pattern((*at, index, "pattern"), signature.pattern)

    def _exceptions(self) -> None:
        at: KeyPath = ("exceptions",)
        self._distinct(at, [exception.id for exception in self.document.exceptions], "id")
        for index, exception in enumerate(self.document.exceptions):
            if exception.feature not in self.document.features:
                hint = values.did_you_mean(exception.feature, self.document.features)
                self._say((*at, index, "feature"), f"is not a feature of this policy; {hint}".rstrip("; "))

    def _overrides(self) -> None:
        for index, rule in enumerate(self.document.retention.overrides):
            at: KeyPath = ("retention", "overrides", index)
            if rule.feature is not None and rule.feature not in self.document.features:
                hint = values.did_you_mean(rule.feature, tuple(self.document.features))
                self._say((*at, "feature"), f"is not a feature of this policy; {hint}".rstrip("; "))
            if getattr(self.document.retention, rule.data_class) is None:
                self._say(
                    (*at, "data_class"), f"needs a [retention.{rule.data_class}] rule for what it does not select"
                )

    def _one_scope_each(self) -> None:
        owners: dict[str, str] = {}
        for name, entry in self.document.features.items():
            first = owners.setdefault(entry.scope, name)
            if first != name:
                self._say(
                    ("features", name, "scope"),
                    f'is already the scope of feature "{first}"; a scope names exactly one feature, '
                    "so give this one its own",
                )

    def _distinct(self, at: KeyPath, names: Sequence[str], key: str | None = None) -> None:
        seen: set[str] = set()
        for index, name in enumerate(names):
            if name in seen:
                self._say((*at, index) if key is None else (*at, index, key), "stands here twice; remove or rename one")
            seen.add(name)

    def _pattern(self, at: KeyPath, pattern: str) -> None:
        try:
            self.check_pattern(pattern)
        except (PolicyError, ValueError) as error:
            self._say(at, f"cannot be used: {str(error)[:300]}")

    def _schema(self, at: KeyPath, source: object) -> Mapping[str, Any]:
        if isinstance(source, str):
            schema = self._schema_file(at, source)
            if schema is None:
                return {}
        else:
            schema = source
        if not isinstance(schema, dict):
            self._say(at, "a JSON Schema for output is an object")
            return {}
        if values.depth(schema) > builtin.MAX_DEPTH:
            self._say(at, f"nests more than {builtin.MAX_DEPTH} deep; flatten it with $defs")
            return {}
        try:
            rfc8785.dumps(schema)
            jsonschema.Draft202012Validator.check_schema(schema)
        except (rfc8785.CanonicalizationError, RecursionError, UnicodeEncodeError):
            self._say(at, "holds a value that JSON cannot (a date, NaN, an integer beyond 2^53, a lone surrogate)")
            return {}
        except jsonschema.SchemaError as error:
            place = "/".join(str(step) for step in error.absolute_path)
            self._say(at, f"is not a JSON Schema (draft 2020-12): look at /{place}")
            return {}
        self._subschemas(at, schema)
        return schema

    def _schema_file(self, at: KeyPath, name: str) -> object:
        if self.folder is None:
            self._say(at, "names a file, but the policy was not read from one; write the schema as a table")
            return None
        try:
            path = self.folder / name
            if not path.resolve().is_relative_to(self.folder.resolve()):
                self._say(at, "points outside the policy's folder; keep the schema beside the policy, reviewed with it")
                return None
            if path.stat().st_size > builtin.MAX_POLICY_BYTES:
                self._say(at, "is a file of more than 1 MiB; no output schema is that long")
                return None
            return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_no_duplicates)
        except (OSError, ValueError, RecursionError) as error:
            unreadable = isinstance(error, OSError) or "\0" in name
            what = "cannot be read" if unreadable else "is not JSON in UTF-8 with distinct keys"
            self._say(at, f"names a file that {what}; the path is relative to the policy file")
            return None

    def _subschemas(self, at: KeyPath, schema: dict[str, Any]) -> None:
        """References must stay inside, and patterns must run in linear time: the text they judge comes from a model."""
        waiting: list[tuple[object, bool]] = [(schema, False)]
        keywords: set[str] = set()
        while waiting:
            node, names = waiting.pop()
            if isinstance(node, list):
                waiting.extend((item, False) for item in node)
            if not isinstance(node, dict):
                continue
            for key, value in node.items():
                if names:
                    waiting.append((value, False))
                    continue
                keywords.add(key)
                if key in ("$ref", "$dynamicRef") and isinstance(value, str) and not value.startswith("#"):
                    self._say(at, f"{key} leads out of the schema; copy what it refers to into $defs")
                elif key == "pattern" and isinstance(value, str):
                    self._pattern(at, value)
                elif key not in _DATA_KEYWORDS:
                    if key == "patternProperties" and isinstance(value, dict):
                        for pattern in value:
                            self._pattern(at, pattern)
                    waiting.append((value, key in _NAMED_SCHEMAS))
        if {"patternProperties", "unevaluatedProperties"} <= keywords:
            self._say(
                at,
                "has patternProperties and unevaluatedProperties; together they cost too much: use additionalProperties",
            )

    def _say(self, at: KeyPath, message: str) -> None:
        self.problems[at, message] = None


def _detect(defaults: DetectEntry, entry: DetectEntry) -> DetectRule:
    """A feature's rule: single values override the defaults, lists of values add to them."""
    options = _written(defaults, "only", "exclude", "min_score", "models", "budget_ms", "on_timeout")
    options |= _written(entry, "only", "exclude", "min_score", "models", "budget_ms", "on_timeout")
    return DetectRule(
        scores={**defaults.scores, **entry.scores},
        allow=_union(defaults.allow, entry.allow),
        deny=_union(defaults.deny, entry.deny),
        **options,
    )


def _union(one: ValueList, other: ValueList) -> ValueList:
    if one.hashed and other.hashed:
        both = dict.fromkeys((*one.hashed.hmac_sha256, *other.hashed.hmac_sha256))
        hashed: HashedList | None = HashedList(salt=one.hashed.salt, hmac_sha256=tuple(both))
    else:
        hashed = other.hashed or one.hashed
    return ValueList(
        exact=tuple(dict.fromkeys((*one.exact, *other.exact))),
        patterns=tuple(dict.fromkeys((*one.patterns, *other.patterns))),
        hashed=hashed,
    )


def _written(entry: object, *names: str) -> dict[str, Any]:
    """The fields that the author set."""
    chosen = names or tuple(type(entry).model_fields)  # type: ignore[attr-defined]  # a pydantic model
    return {name: value for name in chosen if (value := getattr(entry, name)) is not None}


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key")
    return result
