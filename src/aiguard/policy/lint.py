"""What is valid and still worth a second look. Warnings, not errors: every one of these can be meant."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from aiguard.policy.models import Policy

SOON = timedelta(days=14)
"""An exception that ends within two weeks is announced: enough to renew or to remove it in an ordinary sprint."""


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
        for rules, where in ((feature.redact, "redact"), (feature.output.redact, "output.redact")):
            allowed = sorted(entity for entity, operator in rules.items() if operator.name == "allow")
            if allowed and not (where == "output.redact" and rules == feature.redact):
                yield f"{at}.{where}: lets {', '.join(allowed)} through unchanged"
    kept = {data_class for feature in policy.features.values() for data_class in feature.keep.classes}
    for data_class in policy.retention:
        if data_class not in kept:
            yield f"retention.{data_class}: no feature keeps {data_class}s, so the rule has no effect"
    for index, exception in enumerate(policy.exceptions):
        at = f"exceptions[{index}]"
        if not exception.live(now):
            yield f'{at}: "{exception.id}" ended {exception.expires:%Y-%m-%d}; remove it'
        elif exception.expires - now <= SOON:
            yield f'{at}: "{exception.id}" ends {exception.expires:%Y-%m-%d}'
        if policy.features[exception.feature].mode != "monitor":
            yield f'{at}: "{exception.id}" opens monitor mode for a feature that is in "enforce"; remove one or the other'
