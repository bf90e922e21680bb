"""``aiguard.toml`` as it is written: the same shape as the file, with everything that may be left out left out.

:mod:`aiguard.policy.resolve` turns a :class:`Document` into the :class:`~aiguard.policy.models.Policy` that is enforced.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, PlainValidator

from aiguard.policy import builtin
from aiguard.policy.models import (
    AsOperator,
    AsSensitivity,
    EntityType,
    Keeping,
    Line,
    Mode,
    Model,
    ModelId,
    Name,
    OnTimeout,
    Pattern,
    PayloadRule,
    PolicyException,
    Rates,
    RecognizerRule,
    Region,
    RestoreIn,
    RetentionOverride,
    RetentionRule,
    Scope,
    Score,
    SignatureRule,
    TokenRule,
    Tokens,
    ValueList,
    VaultRule,
)
from aiguard.policy.problems import KeyPath
from aiguard.policy.routes import RouteRule
from aiguard.types import Operator


def _no_open_catch_all(rules: Mapping[str, Operator]) -> Mapping[str, Operator]:
    if "*" in rules and rules["*"].name == "allow":
        raise ValueError('"*" = "allow" would let through every type nobody thought of; name the types to allow')
    return rules


def _schema_source(value: object) -> object:
    if isinstance(value, Mapping) or (isinstance(value, str) and value.strip()):
        return value
    raise ValueError("is a table with a JSON Schema, or the path of a JSON file beside the policy")


Redact = Annotated[Mapping[EntityType, AsOperator], AfterValidator(_no_open_catch_all)]
Switch = Annotated[bool, Field(strict=True)]


class InjectionEntry(Model):
    """``injection`` in a feature or in the defaults."""

    block: Score | None = None
    flag: Score | None = None


class KeepEntry(Model):
    """``keep`` in a feature or in the defaults."""

    prompt: Keeping | None = None
    output: Keeping | None = None
    metadata: Keeping | None = None


class OutputEntry(Model):
    """``output`` in a feature or in the defaults."""

    redact: Redact = Field(default_factory=dict)
    block_patterns: tuple[Pattern, ...] | None = None
    json_schema: Annotated[Any, PlainValidator(_schema_source)] = None
    restore: Switch | None = None
    restore_in: tuple[RestoreIn, ...] | None = None


class DetectEntry(Model):
    """``detect`` in a feature or in the defaults."""

    only: tuple[EntityType, ...] | None = None
    exclude: tuple[EntityType, ...] | None = None
    min_score: Score | None = None
    scores: Mapping[EntityType, Score] = Field(default_factory=dict)
    allow: ValueList = ValueList()
    deny: ValueList = ValueList()
    models: tuple[Name, ...] | None = None
    budget_ms: Annotated[int, Field(strict=True, ge=1, le=builtin.MAX_BUDGET_MS)] | None = None
    on_timeout: OnTimeout | None = None


class Defaults(Model):
    """``[defaults]``: what every feature inherits unless it says otherwise."""

    redact: Redact = Field(default_factory=dict)
    detect: DetectEntry = DetectEntry()
    injection: InjectionEntry = InjectionEntry()
    keep: KeepEntry = KeepEntry()
    output: OutputEntry = OutputEntry()
    max_input_tokens: Tokens | None = None
    max_output_tokens: Tokens | None = None
    rate: Rates | None = None
    tenant_rate: Rates | None = None


class FeatureEntry(Defaults):
    """``[features.<name>]``."""

    scope: Scope
    owner: Line
    description: Line | None = None
    models: tuple[ModelId, ...] = ()
    mode: Mode = "enforce"
    high_risk: Switch = False


class Retention(Model):
    """``[retention.<data class>]`` and ``[[retention.overrides]]``."""

    prompt: RetentionRule | None = None
    output: RetentionRule | None = None
    metadata: RetentionRule | None = None
    embedding: RetentionRule | None = None
    eval: RetentionRule | None = None
    audit_payload: PayloadRule | None = None
    overrides: tuple[RetentionOverride, ...] = ()


class Injection(Model):
    """``[injection]``."""

    signatures: tuple[SignatureRule, ...] = ()


class Document(Model):
    """The whole file."""

    version: Literal[1] = 1
    defaults: Defaults = Defaults()
    features: Mapping[Name, FeatureEntry] = Field(default_factory=dict)
    retention: Retention = Retention()
    sensitivity: Mapping[EntityType, AsSensitivity] = Field(default_factory=dict)
    recognizers: Mapping[EntityType, RecognizerRule] = Field(default_factory=dict)
    phone_regions: tuple[Region, ...] = ()
    injection: Injection = Injection()
    exceptions: tuple[PolicyException, ...] = ()
    service_tokens: TokenRule = TokenRule()
    vault: VaultRule = VaultRule()
    routes: tuple[RouteRule, ...] = ()


def known_keys(path: KeyPath) -> tuple[str, ...]:
    """The keys that the table at ``path`` may have; empty when the table's keys are free or there is no such table."""
    here: Any = Document
    for step in path:
        here = _step_into(here, step)
    if isinstance(here, type) and issubclass(here, BaseModel):
        return tuple(name for name in here.model_fields if not (issubclass(here, RetentionRule) and name == "written"))
    return ()


def _step_into(here: Any, step: str | int) -> Any:
    if isinstance(here, type) and issubclass(here, BaseModel):
        field = here.model_fields.get(str(step))
        return None if field is None else _plain(field.annotation)
    arguments = [argument for argument in typing.get_args(here) if argument is not ...]
    return _plain(arguments[-1]) if arguments else None


def _plain(annotation: Any) -> Any:
    """The annotation without ``Annotated[…]`` and ``| None``."""
    if typing.get_origin(annotation) is Annotated:
        return _plain(typing.get_args(annotation)[0])
    alternatives = [a for a in typing.get_args(annotation) if a is not type(None)]
    if len(alternatives) == 1 and type(None) in typing.get_args(annotation):
        return _plain(alternatives[0])
    return annotation
