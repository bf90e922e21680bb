"""The policy as it is enforced: every default filled in, nothing left to look up.

Frozen pydantic models that refuse unknown fields. They can be built directly (tests do), but normally come from
:func:`aiguard.policy.load_policy`, which also checks them against one another. Mappings are read-only views.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, TypeVar

import rfc8785
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, model_validator

from aiguard.policy import builtin, values
from aiguard.types import Operator, Sensitivity, digest

V = TypeVar("V")


def _read_only(mapping: Mapping[str, V]) -> Mapping[str, V]:
    return MappingProxyType(dict(mapping))


def _complete(rules: Mapping[str, Operator]) -> Mapping[str, Operator]:
    """Refuse a catch-all that lets through; add the built-in catch-all where none is written."""
    if rules.get("*", builtin.DEFAULT_OPERATOR).name == "allow":
        raise ValueError('"*" = "allow" would let through every type nobody thought of; name the types to allow')
    return _read_only({"*": builtin.DEFAULT_OPERATOR, **rules})


AsOperator = Annotated[Operator, PlainValidator(values.parse_operator)]
AsSensitivity = Annotated[Sensitivity, PlainValidator(values.parse_sensitivity)]
AsDuration = Annotated[timedelta, PlainValidator(values.parse_duration)]
AsMoment = Annotated[datetime, PlainValidator(values.parse_moment)]
ModelId = Annotated[str, PlainValidator(values.parse_model)]
Scope = Annotated[str, PlainValidator(values.parse_scope)]
Name = Annotated[str, PlainValidator(values.parse_name)]
EntityType = Annotated[str, PlainValidator(values.parse_type)]
Line = Annotated[str, PlainValidator(values.parse_line)]
Tokens = Annotated[int, Field(strict=True, ge=1, le=builtin.MAX_TOKENS_LIMIT)]
Score = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Pattern = Annotated[str, Field(strict=True, min_length=1, max_length=2_000)]
Rules = Annotated[Mapping[EntityType, AsOperator], AfterValidator(_complete)]
Mode = Literal["enforce", "monitor"]
Keeping = Literal["none", "redacted"]
Mechanism = Literal["delete", "crypto-shred", "anonymise"]
Control = Literal["monitor-mode"]
"""The controls that an exception can open. Each is checked where the control decides, at the time it decides."""


class Model(BaseModel):
    """What every policy model has in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Itself: nothing in it can change."""
        return self


class InjectionRule(Model):
    """Scores (0..1) from which stage 4 flags and blocks."""

    block: Score = builtin.INJECTION_BLOCK
    flag: Score = builtin.INJECTION_FLAG

    @model_validator(mode="after")
    def _ordered(self) -> InjectionRule:
        if self.flag > self.block:
            raise ValueError("flag must not be above block: what is blocked is flagged too")
        return self


class KeepRule(Model):
    """What stage 7 may store of an exchange, by data class. ``redacted`` means after stages 3 and 6."""

    prompt: Keeping = builtin.KEEP
    output: Keeping = builtin.KEEP
    metadata: Keeping = builtin.KEEP

    @property
    def classes(self) -> tuple[str, ...]:
        """The data classes that are stored."""
        return tuple(name for name in builtin.DATA_CLASSES if getattr(self, name) != "none")


class OutputRule(Model):
    """What stage 6 asks of an answer."""

    redact: Rules = Field(default_factory=lambda: _complete({}))
    """The feature's rules with the output's own on top."""
    block_patterns: tuple[Pattern, ...] = ()
    """RE2 patterns; an answer in which one is found is withheld."""
    json_schema: Mapping[str, Any] | None = None
    """JSON Schema 2020-12 without remote references; an answer that does not match is withheld. Not to be changed."""
    restore: bool = Field(default=builtin.RESTORE, strict=True)
    """Whether tokens are turned back for the actor of the exchange."""


class Feature(Model):
    """One AI feature of the application: who may use it, with which models, and under which controls."""

    name: Name
    scope: Scope
    owner: Line
    description: str = ""
    mode: Mode = "enforce"
    models: tuple[ModelId, ...] = ()
    """``provider:model``. None listed means that the feature may call no model."""
    max_input_tokens: Tokens = builtin.MAX_INPUT_TOKENS
    max_output_tokens: Tokens = builtin.MAX_OUTPUT_TOKENS
    redact: Rules = Field(default_factory=lambda: _complete({}))
    """Entity type to operator; always has ``"*"``, which is never ``allow``."""
    injection: InjectionRule = InjectionRule()
    keep: KeepRule = KeepRule()
    output: OutputRule = OutputRule()

    def operator_for(self, entity_type: str) -> Operator:
        """The operator for findings of that type in the input."""
        return self.redact.get(entity_type, self.redact["*"])

    def allows_model(self, model: str) -> bool:
        """Whether ``provider:model`` is listed. Exact: a dated snapshot is another model."""
        return model in self.models


class RetentionRule(Model):
    """How long one data class is kept, on which legal basis, and how it ends."""

    duration: AsDuration
    basis: Line
    mechanism: Mechanism
    owner: Line
    written: str = ""
    """The duration as the policy's author wrote it."""

    @model_validator(mode="before")
    @classmethod
    def _remember_spelling(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "written" not in data and isinstance(data.get("duration"), str):
            return {**data, "written": data["duration"]}
        return data


class SignatureRule(Model):
    """A pattern of the policy's own for stage 4, beside the built-in ones. RE2 syntax, matched on normalised text."""

    name: Name
    pattern: Pattern
    score: Score


class PolicyException(Model):
    """A control that is opened for one feature: approved by somebody, for a reason, until a moment."""

    id: Name
    feature: Name
    control: Control
    reason: Line
    approved_by: Line
    expires: AsMoment

    def live(self, now: datetime) -> bool:
        """Whether it is still in force; decided when it is read, so it needs no job to end."""
        return now < self.expires


class Policy(Model):
    """Everything that is allowed. The only answer to "may …?" in the package."""

    version: Literal[1] = 1
    features: Annotated[Mapping[Name, Feature], AfterValidator(_read_only)] = Field(
        default_factory=lambda: _read_only({})
    )
    retention: Annotated[Mapping[str, RetentionRule], AfterValidator(_read_only)] = Field(
        default_factory=lambda: _read_only({})
    )
    sensitivity: Annotated[Mapping[EntityType, AsSensitivity], AfterValidator(_read_only)] = Field(
        default_factory=lambda: _read_only({})
    )
    signatures: tuple[SignatureRule, ...] = ()
    exceptions: tuple[PolicyException, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Policy:
        scopes: dict[str, str] = {}
        for key, feature in self.features.items():
            if key != feature.name:
                raise ValueError("a feature must stand under its own name")
            if scopes.setdefault(feature.scope, key) != key:
                raise ValueError("two features share one scope; a scope names exactly one feature")
            for data_class in feature.keep.classes:
                if data_class not in self.retention:
                    raise ValueError(f"a feature keeps {data_class} but there is no [retention.{data_class}] rule")
        return self

    @cached_property
    def hash(self) -> str:
        """``sha256:…`` over the canonical JSON (RFC 8785) of what is enforced: comments, order and spelling do not count."""
        return digest(rfc8785.dumps(as_json(self)))

    def __hash__(self) -> int:
        return hash(self.hash)

    def feature_for_scope(self, scope: str) -> Feature | None:
        """The one feature that the scope names, or ``None``."""
        return next((feature for feature in self.features.values() if feature.scope == scope), None)

    def live_exceptions(self, feature: str, control: Control, now: datetime) -> tuple[PolicyException, ...]:
        """The exceptions in force at ``now`` (timezone-aware) that open ``control`` for ``feature``."""
        return tuple(e for e in self.exceptions if e.feature == feature and e.control == control and e.live(now))

    def monitor_allowed(self, feature: str | Feature, environment: str, now: datetime) -> bool:
        """Whether a feature in ``mode = "monitor"`` may let through what it would refuse.

        Never for a feature in ``enforce``; in production (and in any environment we do not know) only while an exception
        with ``control = "monitor-mode"`` is in force.
        """
        known = feature if isinstance(feature, Feature) else self.features.get(feature)
        if known is None or known.mode != "monitor":
            return False
        if environment in ("development", "test", "staging"):
            return True
        return bool(self.live_exceptions(known.name, "monitor-mode", now))


def as_json(value: object) -> Any:
    """What a policy value means, as JSON-able data: the form that is hashed and that ``aiguard policy show`` prints."""
    match value:
        case RetentionRule():
            return {name: as_json(getattr(value, name)) for name in type(value).model_fields if name != "written"}
        case BaseModel():
            return {name: as_json(getattr(value, name)) for name in type(value).model_fields}
        case Operator():
            return {"op": value.name, "keep_last": value.keep_last} if value.keep_last else value.name
        case Sensitivity():
            return value.name.lower()
        case timedelta():
            return int(value.total_seconds())
        case datetime():
            return value.isoformat()
        case Mapping():
            return {str(key): as_json(item) for key, item in value.items()}
        case str() | int() | float() | None:
            return value
        case Iterable():
            return [as_json(item) for item in value]
        case _:
            raise TypeError(f"a policy holds no {type(value).__name__}")


def as_json_text(value: object) -> str:
    """:func:`as_json` for people: indented, sorted, UTF-8."""
    return json.dumps(as_json(value), indent=2, sort_keys=True, ensure_ascii=False)
