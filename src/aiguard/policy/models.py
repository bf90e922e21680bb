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
from aiguard.policy.routes import RouteRule
from aiguard.scan.recognizer import Recognizer
from aiguard.types import Operator, Rate, Sensitivity, digest

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
Region = Annotated[str, PlainValidator(values.parse_region)]
Tokens = Annotated[int, Field(strict=True, ge=1, le=builtin.MAX_TOKENS_LIMIT)]
Score = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Pattern = Annotated[str, Field(strict=True, min_length=1, max_length=2_000)]
Rules = Annotated[Mapping[EntityType, AsOperator], AfterValidator(_complete)]
Rates = Annotated[tuple[Rate, ...], PlainValidator(values.parse_rates)]
Mode = Literal["enforce", "monitor"]
Keeping = Literal["none", "redacted"]
RetentionClass = Literal["prompt", "output", "metadata", "embedding", "eval", "audit_payload"]
Mechanism = Literal["delete", "crypto-shred", "anonymise"]
OnTimeout = Literal["refuse", "patterns-only"]
RestoreIn = Literal["links", "tools"]
Hash = Annotated[str, Field(strict=True, pattern=r"^[0-9a-f]{64}$")]
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


class HashedList(Model):
    """Values that the policy names without showing them: ``aiguard policy hash`` makes the hashes."""

    salt: Annotated[str, Field(strict=True, min_length=16, max_length=200)]
    hmac_sha256: tuple[Hash, ...] = ()


class ValueList(Model):
    """Values by their text (case and spacing do not count), by pattern (the whole value, RE2), or by keyed hash."""

    exact: tuple[Line, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    hashed: HashedList | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is listed."""
        return not (self.exact or self.patterns or (self.hashed and self.hashed.hmac_sha256))


class DetectRule(Model):
    """What stage 2 looks for in one feature."""

    only: tuple[EntityType, ...] = ()
    """The types that are looked for; none listed means all."""
    exclude: tuple[EntityType, ...] = ()
    min_score: Score | None = None
    """Findings that score less are not reported; the built-in threshold is 0.5."""
    scores: Annotated[Mapping[EntityType, Score], AfterValidator(_read_only)] = Field(
        default_factory=lambda: _read_only({})
    )
    """``min_score`` by type."""
    allow: ValueList = ValueList()
    """Values that may stay, although a type finds them."""
    deny: ValueList = ValueList()
    """Texts that are found wherever they stand, as type ``DENIED_TERM``."""
    models: tuple[Name, ...] = ()
    """Language models, by the name that the application gave them, that look for names and places as well."""
    budget_ms: Annotated[int, Field(strict=True, ge=1, le=builtin.MAX_BUDGET_MS)] = builtin.DETECT_BUDGET_MS
    """Milliseconds that one text may take each model."""
    on_timeout: OnTimeout = "refuse"
    """``patterns-only`` goes on without the model, and says so in the record."""

    @property
    def plain(self) -> bool:
        """Whether it changes nothing."""
        return self == DetectRule()


class RecognizerRule(Model):
    """An entity type of the policy's own. Patterns are in the syntax that RE2 and Python share, and bounded."""

    pattern: Pattern
    context: tuple[Line, ...] = ()
    """Words before a match that speak for it."""
    score: Score = 0.9
    """What a match is worth by itself; below 0.5 it needs one of the context words."""
    context_score: Score = 0.95
    sensitivity: AsSensitivity = Sensitivity.CONFIDENTIAL
    examples: Annotated[tuple[str, ...], Field(min_length=1)]
    """Texts in which it must find something; checked whenever the policy is read."""
    counter_examples: tuple[str, ...] = ()

    def recognizer(self, type: str) -> Recognizer:
        """It as the engine takes it."""
        return Recognizer(
            name=f"policy:{type}",
            type=type,
            pattern=self.pattern,
            context=self.context,
            base_score=self.score,
            context_score=self.context_score,
            priority=60,
            examples=self.examples,
            counter_examples=self.counter_examples,
        )


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
    restore_in: tuple[RestoreIn, ...] = ()
    """Where they are turned back besides in prose: ``links``, which lead elsewhere, and arguments of ``tools``."""


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
    rate: Rates = ()
    """How often one actor may use it, over different windows, shortest first; none means as often as they like."""
    tenant_rate: Rates = ()
    """How often all actors of one tenant together may; actors without a tenant count as one tenant."""
    redact: Rules = Field(default_factory=lambda: _complete({}))
    """Entity type to operator; always has ``"*"``, which is never ``allow``."""
    detect: DetectRule = DetectRule()
    injection: InjectionRule = InjectionRule()
    keep: KeepRule = KeepRule()
    output: OutputRule = OutputRule()
    high_risk: bool = Field(default=False, strict=True)
    """Whether it is a part of a high-risk AI system, whose logs have to be kept for six months at least."""

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
    trigger: Literal["created"] = "created"
    """What the duration counts from."""
    floor: AsDuration | None = None
    """What a law or contract demands at least; a duration below it is refused."""
    cap: AsDuration | None = None
    """What may be kept at most; a duration above it is refused."""
    backup_ttl: AsDuration | None = None
    """How long a backup of the evidence database lives: an erasure in a shared key store is pending until then."""
    written: str = ""
    """The duration as the policy's author wrote it."""

    @model_validator(mode="after")
    def _within_bounds(self) -> Self:
        if self.floor is not None and self.cap is not None and self.floor > self.cap:
            raise ValueError("floor is above cap, so no duration fits between them")
        if self.floor is not None and self.duration < self.floor:
            raise ValueError("duration is below floor")
        if self.cap is not None and self.duration > self.cap:
            raise ValueError("duration is above cap")
        return self

    @model_validator(mode="before")
    @classmethod
    def _remember_spelling(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "written" not in data and isinstance(data.get("duration"), str):
            return {**data, "written": data["duration"]}
        return data


class PayloadRule(RetentionRule):
    """How long what events say is kept. It goes with its salt, and the event stays: there is no other way for it to end."""

    mechanism: Literal["delete"]


class RetentionOverride(RetentionRule):
    """Another rule for a part of one data class. All selectors that are given have to fit; the first that fits counts."""

    data_class: RetentionClass
    feature: Name | None = None
    tenant: Line | None = None
    sensitivity: AsSensitivity | None = None
    """This, or more sensitive."""

    @model_validator(mode="after")
    def _selects(self) -> Self:
        if self.feature is None and self.tenant is None and self.sensitivity is None:
            raise ValueError("selects nothing: give feature, tenant or sensitivity, or change [retention.<class>]")
        if self.data_class == "audit_payload":
            raise ValueError("the log has one rule for all of it: change [retention.audit_payload]")
        return self

    def fits(self, data_class: str, feature: str, tenant: str | None, sensitivity: Sensitivity) -> bool:
        """Whether it is about content of that kind."""
        return (
            self.data_class == data_class
            and self.feature in (None, feature)
            and self.tenant in (None, tenant)
            and (self.sensitivity is None or sensitivity >= self.sensitivity)
        )


class SignatureRule(Model):
    """A pattern of the policy's own for stage 4, beside the built-in ones. RE2 syntax, matched on normalised text."""

    name: Name
    pattern: Pattern
    score: Score


class TokenRule(Model):
    """What service tokens may be."""

    max_lifetime: AsDuration = timedelta(days=builtin.TOKEN_LIFETIME_DAYS)
    """From creation. A token that was given longer ends here all the same."""


class VaultRule(Model):
    """What holds for the values behind the tokens of conversations."""

    ttl: AsDuration = timedelta(hours=builtin.VAULT_TTL_HOURS)
    """How long a value is kept after it was sent as a token for the last time."""
    four_eyes: bool = Field(default=False, strict=True)
    """Whether a second person has to approve before a value is revealed."""


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
    retention_overrides: tuple[RetentionOverride, ...] = ()
    sensitivity: Annotated[Mapping[EntityType, AsSensitivity], AfterValidator(_read_only)] = Field(
        default_factory=lambda: _read_only({})
    )
    recognizers: Annotated[Mapping[EntityType, RecognizerRule], AfterValidator(_read_only)] = Field(
        default_factory=lambda: _read_only({})
    )
    phone_regions: tuple[Region, ...] = ()
    """Regions whose telephone numbers are found without their country code and without words that speak of one."""
    signatures: tuple[SignatureRule, ...] = ()
    exceptions: tuple[PolicyException, ...] = ()
    service_tokens: TokenRule = TokenRule()
    vault: VaultRule = VaultRule()
    routes: tuple[RouteRule, ...] = ()
    """For the web middleware; of several that fit a request, the first in each direction applies."""

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

    @cached_property
    def retention_hash(self) -> str:
        """``sha256:…`` over the retention rules alone: rows whose times were computed under another are computed anew."""
        return digest(rfc8785.dumps([as_json(self.retention), as_json(self.retention_overrides)]))

    def retention_for(
        self, data_class: str, *, feature: str, tenant: str | None, sensitivity: Sensitivity
    ) -> RetentionRule | None:
        """The rule for content of that kind: the first override that fits, else the class's own; ``None`` without one."""
        fitting = (rule for rule in self.retention_overrides if rule.fits(data_class, feature, tenant, sensitivity))
        return next(fitting, self.retention.get(data_class))

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
        case Rate():
            return {"limit": value.limit, "seconds": value.seconds}
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
