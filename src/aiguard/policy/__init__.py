"""What is allowed: ``aiguard.toml`` becomes frozen models that answer every "may …?".

The law of this room: a policy that cannot be enforced exactly as written is refused, all problems at once, each with
file, line, key and remedy; and what is not written is the safe choice. Nothing here reads a clock, a database or the
network: callers pass ``now``.
"""

from __future__ import annotations

from aiguard.policy.lint import lint, lint_retention
from aiguard.policy.load import load_policy, parse_policy
from aiguard.policy.models import (
    Feature,
    InjectionRule,
    KeepRule,
    OutputRule,
    Policy,
    PolicyException,
    RetentionRule,
    SignatureRule,
    VaultRule,
    as_json,
    as_json_text,
)
from aiguard.policy.problems import InvalidPolicy, Problem

__all__ = [
    "Feature",
    "InjectionRule",
    "InvalidPolicy",
    "KeepRule",
    "OutputRule",
    "Policy",
    "PolicyException",
    "Problem",
    "RetentionRule",
    "SignatureRule",
    "VaultRule",
    "as_json",
    "as_json_text",
    "lint",
    "lint_retention",
    "load_policy",
    "parse_policy",
]
