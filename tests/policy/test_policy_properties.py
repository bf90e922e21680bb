"""What holds for every policy: the hash follows the meaning, errors know their line, and nothing but PolicyError escapes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiguard.errors import PolicyError
from aiguard.policy import Feature, Policy, RetentionRule, as_json, parse_policy
from aiguard.policy.locate import key_lines, line_of
from aiguard.policy.values import OPERATORS, parse_duration

TYPES = ("EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "SECRET")

operators = st.sampled_from([name for name in OPERATORS if name != "allow"]) | st.fixed_dictionaries(
    {"op": st.just("mask"), "keep_last": st.integers(0, 8)}
)
rules = st.dictionaries(st.sampled_from([*TYPES, "*"]), operators, max_size=4)
words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)
keeping = st.sampled_from(["none", "redacted"])


@st.composite
def features(draw: st.DrawFn, name: str) -> dict[str, Any]:
    flag, block = sorted(draw(st.tuples(*[st.floats(0.01, 1).map(lambda score: round(score, 3))] * 2)))
    optional: dict[str, st.SearchStrategy[Any]] = {
        "description": words,
        "models": st.lists(words.map(lambda w: f"openai:m{len(w)}"), unique=True, max_size=3),
        "mode": st.sampled_from(["enforce", "monitor"]),
        "max_input_tokens": st.integers(1, 10_000_000),
        "max_output_tokens": st.integers(1, 10_000_000),
        "redact": rules,
        "injection": st.just({"block": block, "flag": flag}),
        "keep": st.fixed_dictionaries({}, optional={"prompt": keeping, "output": keeping}),
        "output": st.fixed_dictionaries({}, optional={"redact": rules, "restore": st.booleans()}),
    }
    required = {"scope": st.just(f"scope:{name}"), "owner": words}
    return draw(st.fixed_dictionaries(required, optional=optional))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(["a", "b-2", "c_3"]), unique=True, min_size=1, max_size=3))
    retention = st.fixed_dictionaries(
        {
            "duration": st.integers(1, 9999).map(lambda days: f"{days}d"),
            "basis": words,
            "mechanism": st.sampled_from(["delete", "crypto-shred", "anonymise"]),
            "owner": words,
        }
    )
    return {
        "defaults": draw(
            st.fixed_dictionaries({}, optional={"redact": rules, "max_output_tokens": st.integers(1, 99)})
        ),
        "features": {name: draw(features(name)) for name in names},
        "retention": {"prompt": draw(retention), "output": draw(retention)},
        "sensitivity": draw(st.dictionaries(st.sampled_from(TYPES), st.sampled_from(["public", "restricted"]))),
    }


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{quoted(key)} = {inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return quoted(value) if isinstance(value, str) else repr(value)


class Writer:
    """Writes a document as TOML in one of the many ways TOML has, and remembers on which line each key came to stand."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[tuple[str | int, ...], int] = {}

    def write(self, table: dict[str, Any], path: tuple[str, ...] = ()) -> str:
        items = self.draw(st.permutations(list(table.items())))
        expanded = [(k, v) for k, v in items if isinstance(v, dict) and (not path or self.draw(st.booleans()))]
        for key, value in items:
            if (key, value) in expanded:
                continue
            self.noise()
            self.note((*path, key))
            if isinstance(value, dict) and value and self.draw(st.booleans()):
                for inner, item in value.items():
                    self.note((*path, key, inner))
                    self.text += f"{self.key(key)} . {self.key(inner)}={inline(item)}\n"
            else:
                self.text += f"{self.key(key)} = {inline(value)}{self.draw(st.sampled_from(['', ' # x = 1', '  ']))}\n"
        for key, value in expanded:
            self.noise()
            self.note((*path, key))
            self.text += "[" + ".".join(self.key(step) for step in (*path, key)) + "]\n"
            self.write(value, (*path, key))
        return self.text

    def note(self, path: tuple[str | int, ...]) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def noise(self) -> None:
        self.text += self.draw(st.sampled_from(["", "\n", "# [x]\n", "# a = '''\n", "\t\n"]))

    def key(self, name: str) -> str:
        bare = name.replace("-", "").replace("_", "").isalnum() and name.isascii()
        return name if bare and self.draw(st.booleans()) else quoted(name)


def read(document: dict[str, Any]) -> Policy:
    return parse_policy("\n".join(f"{key} = {inline(value)}" for key, value in document.items()), "p.toml", TYPES)


@given(st.data())
def test_comments_order_and_notation_do_not_change_the_hash(data: st.DataObject) -> None:
    document = data.draw(documents())
    written = Writer(data.draw).write(document)
    assert tomllib.loads(written) == document
    assert parse_policy(written, "p.toml", TYPES).hash == read(document).hash


@given(st.data())
def test_every_key_of_a_document_is_found_on_its_line(data: st.DataObject) -> None:
    writer = Writer(data.draw)
    text = writer.write(data.draw(documents()))
    found = key_lines(text)
    assert {path: found.get(path) for path in writer.lines} == writer.lines


@given(documents(), documents())
def test_two_policies_have_one_hash_only_if_they_mean_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = read(one), read(other)
    assert (first.hash == second.hash) == (as_json(first) == as_json(second))


@given(st.data())
def test_any_change_of_what_is_enforced_changes_the_hash(data: st.DataObject) -> None:
    policy = read(data.draw(documents()))
    name = data.draw(st.sampled_from(sorted(policy.features)))
    feature = policy.features[name]
    changes: dict[str, Any] = {
        "scope": feature.scope + "x",
        "owner": feature.owner + "x",
        "description": feature.description + "x",
        "models": (*feature.models, "anthropic:other"),
        "mode": "enforce" if feature.mode == "monitor" else "monitor",
        "max_input_tokens": feature.max_input_tokens % 10_000_000 + 1,
        "max_output_tokens": feature.max_output_tokens % 10_000_000 + 1,
        "rate": (*feature.rate, "3/day"),
        "tenant_rate": (*feature.tenant_rate, "3/day"),
        "redact": {**feature.redact, "NEW": feature.redact["*"]},
        "detect": {"exclude": ("NEW", *feature.detect.exclude)},
        "injection": {"block": 1.0, "flag": 0.001},
        "keep": {"metadata": "redacted"},
        "output": {"block_patterns": ("x",)},
        "high_risk": not feature.high_risk,
    }
    assert set(changes) == set(Feature.model_fields) - {"name"}, "a new field needs a change here"
    key = data.draw(st.sampled_from(sorted(changes)))
    fields = {field: getattr(feature, field) for field in Feature.model_fields}
    retention = {**policy.retention, "metadata": policy.retention["prompt"]}
    before = Policy(features=policy.features, retention=retention)
    after = Policy(features={**policy.features, name: Feature(**{**fields, key: changes[key]})}, retention=retention)
    assert before.hash != after.hash


def test_every_field_of_every_model_counts_in_the_hash_but_the_spelling_of_a_duration() -> None:
    rule = RetentionRule(duration="30d", basis="x", mechanism="delete", owner="x")  # type: ignore[arg-type]
    assert set(as_json(rule)) == set(RetentionRule.model_fields) - {"written"}
    feature = Feature(name="a", scope="a", owner="a")
    assert set(as_json(feature)) == set(Feature.model_fields)
    assert set(as_json(Policy(features={"a": feature}))) == set(Policy.model_fields)


def read_or_refuse(text: str) -> None:
    message = "p.toml"
    try:
        assert parse_policy(text, "p.toml", TYPES).hash.startswith("sha256:")
    except PolicyError as error:
        message = str(error)
    assert message.startswith("p.toml")


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda data: data.decode("latin-1")))
@example("a = [1979-05-27T07:32:00Z, {b = \"\\\"]\"}]\n[[c]]\n[c.d]\ne.f = '''\n]'''\n[[c]]\n")
def test_any_text_is_a_policy_or_a_policy_error(text: str) -> None:
    read_or_refuse(text)


@given(st.data())
def test_a_damaged_policy_is_a_policy_or_a_policy_error(data: st.DataObject) -> None:
    text = Writer(data.draw).write(data.draw(documents()))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    damaged = (
        text[:start] + data.draw(st.text(st.sampled_from("\"'[]{}=.,#\n\\ aZ0_\0é\ud800"), max_size=4)) + text[end:]
    )
    read_or_refuse(damaged)


def test_keys_in_every_toml_notation_are_located() -> None:
    text = '''\
a.b = 1
"x y" = """
[not.a.table]
k = 1"""
list = [
  1, # one
  { k = 'v', "q#" = [2] },
]
[[t]]
k = 1
[[t]]
k = 2
[t.sub]
k = \'\'\'
]\'\'\'
after = 1979-05-27 07:32:00
'''
    lines = key_lines(text)
    expected: dict[tuple[str | int, ...], int] = {
        ("a", "b"): 1,
        ("x y",): 2,
        ("list",): 5,
        ("list", 0): 6,
        ("list", 1, "k"): 7,
        ("list", 1, "q#", 0): 7,
        ("t", 0, "k"): 10,
        ("t", 1): 11,
        ("t", 1, "sub"): 13,
        ("t", 1, "sub", "k"): 14,
        ("t", 1, "sub", "after"): 16,
    }
    assert {path: lines.get(path) for path in expected} == expected
    assert line_of(lines, ("t", 1, "sub", "missing", 3)) == 13
    assert line_of(lines, ("nowhere",)) is None


@given(st.integers(1, 5_000), st.integers(0, 23))
def test_durations_mean_what_they_say_in_both_notations(days: int, hours: int) -> None:
    assert parse_duration(f"{days}d") == parse_duration(f"P{days}D") == timedelta(days=days)
    assert parse_duration(f"P{days}DT{hours}H") == timedelta(days=days, hours=hours)


@pytest.mark.parametrize(
    "text", ["30D", "1.5d", "-1d", "+1d", " 30d", "30d ", "3０d", "P-1D", "PT1M", "P1Y", "p30d", "1h30", ""]
)
def test_a_duration_in_another_notation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match='write a duration as "30d"'):
        parse_duration(text)
