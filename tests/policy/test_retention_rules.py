from __future__ import annotations

from datetime import timedelta

import pytest

from aiguard.errors import PolicyError
from aiguard.policy import lint_retention, parse_policy
from aiguard.types import Sensitivity

RULE = 'basis = "law"\nmechanism = "delete"\nowner = "dpo"\n'
BASE = f"""
[features.reply]
scope = "support:reply"
owner = "support"
keep = {{ prompt = "redacted" }}
high_risk = true

[retention.prompt]
duration = "30d"
{RULE}
[retention.audit_payload]
duration = "400d"
backup_ttl = "35d"
{RULE}
"""
OVERRIDE = f"""
[[retention.overrides]]
data_class = "prompt"
feature = "reply"
sensitivity = "restricted"
duration = "7d"
{RULE}
[[retention.overrides]]
data_class = "prompt"
tenant = "acme"
duration = "90d"
{RULE}
"""


def policy(text):
    return parse_policy(text, "p.toml", ["EMAIL_ADDRESS"])


def days(found, **changes):
    options = {"feature": "reply", "tenant": None, "sensitivity": Sensitivity.INTERNAL, **changes}
    rule = found.retention_for("prompt", **options)
    return None if rule is None else rule.duration.days


def test_the_first_override_that_fits_counts_and_else_the_class():
    found = policy(BASE + OVERRIDE)
    assert days(found) == 30
    assert days(found, sensitivity=Sensitivity.RESTRICTED) == 7
    assert days(found, sensitivity=Sensitivity.RESTRICTED, feature="search") == 30
    assert days(found, tenant="acme") == 90
    assert days(found, tenant="acme", sensitivity=Sensitivity.RESTRICTED) == 7
    assert found.retention_for("eval", feature="reply", tenant=None, sensitivity=Sensitivity.PUBLIC) is None


def test_only_retention_changes_the_hash_of_retention():
    base = policy(BASE)
    assert policy(BASE.replace('"support"', '"other"')).retention_hash == base.retention_hash
    assert policy(BASE.replace('"30d"', '"P30D"')).retention_hash == base.retention_hash
    assert policy(BASE + OVERRIDE).retention_hash != base.retention_hash
    assert policy(BASE.replace('"30d"', '"31d"')).retention_hash != base.retention_hash


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ('floor = "60d"', "below floor"),
        ('cap = "10d"', "above cap"),
        ('floor = "60d"\ncap = "10d"', "floor is above cap"),
        ('duration = "0d"', "p.toml"),
        ('trigger = "whenever"', "trigger"),
    ],
)
def test_a_rule_that_cannot_be_kept_is_refused(extra, said):
    text = BASE.replace('duration = "30d"', extra if "duration" in extra else f'duration = "30d"\n{extra}')
    with pytest.raises(PolicyError, match=said):
        policy(text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('feature = "reply"\nsensitivity', 'feature = "replay"\nsensitivity', 'did you mean "reply"'),
        ('tenant = "acme"\n', "", "selects nothing"),
        ('data_class = "prompt"\ntenant', 'data_class = "output"\ntenant', r"retention\.output"),
        ('data_class = "prompt"\ntenant', 'data_class = "prompts"\ntenant', "data_class"),
        ('data_class = "prompt"\ntenant', 'data_class = "audit_payload"\ntenant', "one rule for all of it"),
    ],
)
def test_an_override_that_selects_nothing_that_exists_is_refused(old, new, said):
    with pytest.raises(PolicyError, match=said):
        policy(BASE + OVERRIDE.replace(old, new))


def test_what_events_say_is_deleted_and_cannot_end_otherwise():
    rest = BASE[BASE.index("[retention.audit_payload]") :]
    for mechanism in ("crypto-shred", "anonymise"):
        with pytest.raises(PolicyError, match=r"retention\.audit_payload\.mechanism"):
            policy(BASE.replace(rest, rest.replace('"delete"', f'"{mechanism}"')))


def test_lint_says_what_retention_leaves_open():
    assert lint_retention(policy(BASE)) == (
        "retention.prompt.backup_ttl: not said, so an erasure in a shared key store stays pending until somebody confirms it",
    )
    short = BASE.replace("400d", "90d")
    assert any("six months" in each for each in lint_retention(policy(short)))
    assert not any("six months" in each for each in lint_retention(policy(short.replace("high_risk = true", ""))))
    none = BASE[: BASE.index("[retention.audit_payload]")]
    assert any("kept for ever" in each for each in lint_retention(policy(none)))


def test_a_backup_ttl_is_a_duration():
    assert policy(BASE).retention["audit_payload"].backup_ttl == timedelta(days=35)
