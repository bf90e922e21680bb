from __future__ import annotations

import pytest

from aiguard.errors import PolicyError
from aiguard.policy import Policy, parse_policy
from aiguard.policy.values import parse_rate
from aiguard.types import Rate


def read(feature: str = "", defaults: str = "") -> Policy:
    text = f'[defaults]\n{defaults}\n[features.a]\nscope = "a:b"\nowner = "o"\n{feature}\n'
    return parse_policy(text, "p.toml", {"EMAIL_ADDRESS"})


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ("30/minute", Rate(limit=30, seconds=60)),
        ("1/second", Rate(limit=1, seconds=1)),
        ("500/day", Rate(limit=500, seconds=86_400)),
        ("100/15 minutes", Rate(limit=100, seconds=900)),
        ("5/1 hour", Rate(limit=5, seconds=3_600)),
        ("10000/31 days", Rate(limit=10_000, seconds=31 * 86_400)),
    ],
)
def test_a_rate_reads_as_it_is_said(written: str, rate: Rate) -> None:
    assert parse_rate(written) == rate


@pytest.mark.parametrize(
    "written",
    [
        *("", "30", "30/", "/minute", "30/min", "30 / minute", "30 per minute", "30/minute;500/day", "30/month"),
        *("-1/minute", "0/minute", "1.5/minute", "1e3/day", "٣/minute", "30/Minute", "30/0 minutes", "30/minute\n"),
        *("10001/day", "1/32 days", "999999999999/day", "1/9999999 days"),
    ],
)
def test_anything_else_is_no_rate(written: str) -> None:
    with pytest.raises(ValueError):
        parse_rate(written)


def test_rates_stand_alone_or_in_a_list_shortest_window_first() -> None:
    feature = read('rate = ["500/day", "30/minute"]\ntenant_rate = "9/hour"').features["a"]
    assert [rate.seconds for rate in feature.rate] == [60, 86_400]
    assert feature.tenant_rate == (Rate(limit=9, seconds=3_600),)


def test_a_feature_s_own_rate_stands_instead_of_the_default_and_an_empty_list_is_none() -> None:
    default = 'rate = "30/minute"'
    assert read(defaults=default).features["a"].rate == (Rate(limit=30, seconds=60),)
    assert read('rate = "1/day"', default).features["a"].rate == (Rate(limit=1, seconds=86_400),)
    assert read("rate = []", default).features["a"].rate == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('rate = ["30/minute", "40/minute"]', "same window twice"),
        ('rate = ["30/minute", "1800/60 minutes", "2000/hour"]', "same window twice"),
        ('rate = ["30/minute", "30/day"]', "the shorter never counts"),
        ('rate = "often"', 'write "30/minute"'),
        ("rate = 30", "write rates as"),
        ("rate = { minute = 30 }", "write rates as"),
        ('rate = ["1/minute", 5]', "is not a rate"),
        (f"rate = {['1/second'] * 9}", "more than 8"),
        ('tenant_rate = "x"', "tenant_rate"),
    ],
)
def test_a_rate_that_cannot_be_meant_names_its_line_and_the_remedy(line: str, said: str) -> None:
    with pytest.raises(PolicyError, match=r"p\.toml:6: features\.a\.(tenant_)?rate") as raised:
        read(line)
    assert said in str(raised.value)


def test_the_spelling_of_a_rate_does_not_count_in_the_hash_and_its_meaning_does() -> None:
    assert read('rate = "60/60 minutes"').hash == read('rate = ["60/hour"]').hash
    assert (
        len({read(line).hash for line in ("", 'rate = "60/hour"', 'tenant_rate = "60/hour"', 'rate = "61/hour"')}) == 4
    )


def test_the_lifetime_of_tokens_is_a_year_unless_policy_says_less_or_more() -> None:
    assert read().service_tokens.max_lifetime.days == 365
    shorter = parse_policy('[service_tokens]\nmax_lifetime = "90d"', "p.toml", set())
    assert shorter.service_tokens.max_lifetime.days == 90
    assert shorter.hash != parse_policy("", "p.toml", set()).hash
    with pytest.raises(PolicyError, match="max_lifetime"):
        parse_policy("[service_tokens]\nmax_lifetime = 90", "p.toml", set())
