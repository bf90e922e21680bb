"""What is valid and still worth a second look. Warnings, not errors: every one of these can be meant."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from aiguard.policy import builtin
from aiguard.policy.models import Feature, Policy, RetentionOverride

SOON = timedelta(days=14)
"""An exception that ends within two weeks is announced: enough to renew or to remove it in an ordinary sprint."""


HIGH = 0.85
"""A threshold above which little is found: most recognizers without a checksum score at most this."""


def lint(policy: Policy, now: datetime, *, detectable: Collection[str] | None = None) -> tuple[str, ...]:
    """Sentences about ``policy``, each naming the key.

    Args:
        policy: a valid one.
        now: timezone-aware; exceptions are judged at it.
        detectable: the entity types that the detectors at hand find. Rules for others are pointed out.
    """
    return (*_warnings(policy, now), *_undetected(policy, detectable))


def _undetected(policy: Policy, detectable: Collection[str] | None) -> Iterator[str]:
    for name, feature in policy.features.items():
        named = {*feature.redact, *feature.output.redact} - {"*"}
        if detectable is not None and (missing := sorted(named.difference(detectable))):
            yield (
                f"features.{name}.redact: no pattern finds {', '.join(missing)}; the rule acts only with a detector "
                "that does (a language model for names and places)"
            )


def _warnings(policy: Policy, now: datetime) -> Iterator[str]:
    if not policy.features:
        yield "features: there are none, so every call to a model will be refused"
    for name, feature in policy.features.items():
        at = f"features.{name}"
        if not feature.models:
            yield f"{at}.models: none is listed, so this feature may call no model"
        if feature.mode == "monitor" and not policy.live_exceptions(name, "monitor-mode", now):
            yield (
                f'{at}.mode: "monitor" lets everything through, and in production this feature will be enforced all the same: there is '
                'no [[exceptions]] entry in force with control = "monitor-mode"'
            )
        yield from _detection(feature, at)
        if feature.output.restore and feature.output.restore_in:
            where = " and ".join(feature.output.restore_in)
            yield f"{at}.output.restore_in: values are turned back in {where} too, where whoever steers the model may choose the receiver"
        for rules, where in ((feature.redact, "redact"), (feature.output.redact, "output.redact")):
            allowed = sorted(entity for entity, operator in rules.items() if operator.name == "allow")
            if allowed and not (where == "output.redact" and rules == feature.redact):
                yield f"{at}.{where}: lets {', '.join(allowed)} through unchanged"
    kept = {data_class for feature in policy.features.values() for data_class in feature.keep.classes}
    for data_class in policy.retention:
        if data_class in builtin.DATA_CLASSES and data_class not in kept:
            yield f"retention.{data_class}: no feature keeps {data_class}s, so the rule has no effect"
    for index, exception in enumerate(policy.exceptions):
        at = f"exceptions[{index}]"
        if not exception.live(now):
            yield f'{at}: "{exception.id}" ended {exception.expires:%Y-%m-%d}; remove it'
        elif exception.expires - now <= SOON:
            yield f'{at}: "{exception.id}" ends {exception.expires:%Y-%m-%d}'
        if policy.features[exception.feature].mode != "monitor":
            yield f'{at}: "{exception.id}" opens monitor mode for a feature that is in "enforce"; remove one or the other'


def lint_retention(policy: Policy) -> tuple[str, ...]:
    """Sentences about what retention leaves open; ``aiguard retention lint`` prints them."""
    return tuple(_retention(policy))


def _retention(policy: Policy) -> Iterator[str]:
    for data_class in ("audit_payload", *sorted({each for f in policy.features.values() for each in f.keep.classes})):
        if data_class not in policy.retention:
            yield f"retention.{data_class}: there is no rule, so it is kept for ever"
    rules = [(f"retention.{name}", rule) for name, rule in policy.retention.items()]
    rules += [(f"retention.overrides[{index}]", rule) for index, rule in enumerate(policy.retention_overrides)]
    for at, rule in rules:
        if rule.backup_ttl is None:
            yield f"{at}.backup_ttl: not said, so an erasure in a shared key store stays pending until somebody confirms it"
    risky = sorted(name for name, feature in policy.features.items() if feature.high_risk)
    least = timedelta(days=builtin.HIGH_RISK_LOG_DAYS)
    for at, rule in rules:
        about = rule.data_class if isinstance(rule, RetentionOverride) else at.removeprefix("retention.")
        if risky and about in ("audit_payload", "metadata") and rule.duration < least:
            yield f"{at}.duration: {', '.join(risky)} is high-risk, and its logs have to be kept for six months at least"


def _detection(feature: Feature, at: str) -> Iterator[str]:
    rule = feature.detect
    if rule.only:
        yield f"{at}.detect.only: nothing but {', '.join(rule.only)} is looked for, secrets among what is not"
    if rule.exclude:
        yield f"{at}.detect.exclude: {', '.join(rule.exclude)} will not be found, neither in what leaves nor in what comes back"
    high = [name for name, score in sorted(rule.scores.items()) if score > HIGH]
    if rule.min_score is not None and rule.min_score > HIGH:
        yield f"{at}.detect.min_score: {rule.min_score:g} leaves out most of what is found without a checksum"
    if high:
        yield f"{at}.detect.scores: {', '.join(high)} will hardly be found above {HIGH:g}"
    if rule.on_timeout == "patterns-only" and rule.models:
        yield f'{at}.detect.on_timeout: "patterns-only" lets names through whenever a model is late; the record says so'
    for name in sorted({*rule.only} & {*rule.exclude}):
        yield f"{at}.detect: {name} stands under only and under exclude; it will not be found"
