from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiguard.errors import PolicyError
from aiguard.output import AnswerRules

SCHEMA = {
    "type": "object",
    "required": ["category"],
    "properties": {"category": {"enum": ["billing", "shipping"]}, "code": {"type": "string", "pattern": "^[A-Z]{3}$"}},
    "additionalProperties": False,
}


def codes(rules: AnswerRules, *texts: str) -> list[str]:
    return [violation.reason.code for violation in rules.check(texts)]


def test_an_answer_that_matches_a_blocked_pattern_is_named_by_the_patterns_number_only() -> None:
    rules = AnswerRules(block_patterns=[r"(?i)internal only", r"project\s+nightjar"])
    assert codes(rules, "all fine") == []
    (violation,) = rules.check(["about Project  nightjar: project  nightjar is late"])
    assert "pattern 2" in violation.reason.detail
    assert "nightjar" not in violation.reason.detail


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ('{"category": "billing"}', True),
        ('{"category": "billing", "code": "ABC"}', True),
        ('{"category": "billing", "code": "abc"}', False),
        ('{"category": "other"}', False),
        ("{}", False),
        ("not json", False),
        ('{"category": "billing", "category": "shipping"}', False),
        ('{"category": NaN}', False),
        ("[" * 100_000, False),
        ("", False),
    ],
)
def test_an_answer_must_be_the_json_its_schema_asks_for(text: str, *, fits: bool) -> None:
    assert (codes(AnswerRules(json_schema=SCHEMA), text) == []) is fits


def test_no_answer_text_at_all_does_not_satisfy_a_schema() -> None:
    assert codes(AnswerRules(json_schema=SCHEMA)) == ["output.schema"]


def test_a_schema_that_is_not_one_stops_the_start() -> None:
    with pytest.raises(PolicyError):
        AnswerRules(json_schema={"type": "no-such-type"})


@pytest.mark.parametrize("pattern", ["(", "(?=x)", "a*", "x" * 5_000])
def test_a_pattern_that_cannot_be_used_stops_the_start(pattern: str) -> None:
    with pytest.raises(PolicyError):
        AnswerRules(block_patterns=[pattern])
    with pytest.raises(PolicyError):
        AnswerRules(json_schema={"properties": {"a": {"type": "string", "pattern": pattern}}})


def test_a_remote_reference_is_not_fetched_and_refuses_the_answer() -> None:
    rules = AnswerRules(json_schema={"$ref": "http://127.0.0.1:9/schema.json"})
    assert codes(rules, "{}") == ["output.schema"]


def test_a_schema_pattern_does_not_backtrack() -> None:
    rules = AnswerRules(json_schema={"type": "string", "pattern": "^(a+)+$"})
    started = time.perf_counter()
    assert codes(rules, json.dumps("a" * 50_000 + "!")) == ["output.schema"]
    assert time.perf_counter() - started < 2


SLOW = "^(a+)+$"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(
    ("schema", "instance"),
    [
        (
            {"$schema": DIALECT, "properties": {"a": {"pattern": SLOW}, "inner": {"$ref": "#"}}},
            {"inner": {"a": "a" * 25 + "!"}},
        ),
        (
            {"properties": {"inner": {"$schema": DIALECT, "$id": "urn:x", "pattern": SLOW}}},
            {"inner": "a" * 25 + "!"},
        ),
        ({"patternProperties": {SLOW: {}}, "additionalProperties": False}, {"a" * 25 + "!": 1}),
        ({"anyOf": [{"patternProperties": {SLOW: {}}, "additionalProperties": False}]}, {"a" * 25 + "!": 1}),
    ],
)
def test_no_pattern_of_a_schema_backtracks_wherever_it_stands(schema: Any, instance: Any) -> None:
    rules = AnswerRules(json_schema=schema)
    started = time.process_time()
    assert codes(rules, json.dumps(instance)) == ["output.schema"]
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ('{"x-1": 1}', True),
        ('{"x-1": "1"}', False),
        ('{"known": "a", "x-1": 2, "other": [true]}', True),
        ('{"other": [1]}', False),
        ('{"other": 1}', False),
        ("[1]", True),
    ],
)
def test_properties_that_are_named_nowhere_are_held_against_additional_properties(text: str, *, fits: bool) -> None:
    schema = {
        "properties": {"known": {"type": "string"}},
        "patternProperties": {"^x-": {"type": "integer"}},
        "additionalProperties": {"type": "array", "items": {"type": "boolean"}},
    }
    assert (codes(AnswerRules(json_schema=schema), text) == []) is fits


def test_what_cannot_be_held_in_linear_time_stops_the_start() -> None:
    with pytest.raises(PolicyError, match="additionalProperties"):
        AnswerRules(json_schema={"patternProperties": {"^x-": {}}, "unevaluatedProperties": False})


@given(st.text(max_size=300))
def test_whatever_the_answer_is_the_rules_answer_and_never_quote_it(text: str) -> None:
    rules = AnswerRules(json_schema=SCHEMA, block_patterns=["nightjar"])
    for violation in rules.check([text]):
        assert violation.reason.code in {"output.schema", "output.pattern"}
        if len(text) > 12:
            assert text not in violation.reason.detail
