from __future__ import annotations

import json
import math
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiguard.errors import MalformedInput
from aiguard.framing import JsonDocument, NotJson
from aiguard.framing.jsontree import MAX_STEP, context_of
from aiguard.types import PartKind

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=25
)
json_like = st.text(st.sampled_from('{}[]",:\\u0123456789eE+-. \n\ttrufalsn/\ud800'), max_size=60)


def leaves(value: Any) -> Counter[tuple[PartKind, str]]:
    found: Counter[tuple[PartKind, str]] = Counter()
    if isinstance(value, str):
        found[(PartKind.TEXT, value)] += 1
    elif isinstance(value, dict):
        for key, inner in value.items():
            found[(PartKind.KEY, key)] += 1
            found += leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            found += leaves(inner)
    return found


def numbers(value: Any) -> list[float]:
    if isinstance(value, bool):
        return []
    if isinstance(value, int | float):
        return [value]
    if isinstance(value, dict):
        return [number for inner in value.values() for number in numbers(inner)]
    if isinstance(value, list):
        return [number for inner in value for number in numbers(inner)]
    return []


def unchanged(document: JsonDocument) -> bytes:
    return document.render([None] * len(document.parts()))


@given(trees)
def test_rendering_without_replacements_gives_an_equal_document(value: Any) -> None:
    document = JsonDocument.parse(json.dumps(value))

    assert json.loads(unchanged(document)) == value


@given(trees)
def test_every_string_key_and_number_is_a_part(value: Any) -> None:
    parts = JsonDocument.parse(json.dumps(value, ensure_ascii=False).encode()).parts()

    assert Counter((part.kind, part.text) for part in parts if part.kind is not PartKind.NUMBER) == leaves(value)
    assert [float(part.text) for part in parts if part.kind is PartKind.NUMBER] == [float(n) for n in numbers(value)]


@given(trees, st.data())
def test_replacements_come_back_as_exactly_those_texts_and_nothing_else_changes(
    value: Any, data: st.DataObject
) -> None:
    document = JsonDocument.parse(json.dumps(value))
    count = len(document.parts())
    given_texts = data.draw(st.lists(st.none() | texts, min_size=count, max_size=count))

    try:
        again = JsonDocument.parse(document.render(given_texts))
    except MalformedInput:
        pairs = zip(document.parts(), given_texts, strict=True)
        keys = [part.text if new is None else new for part, new in pairs if part.kind is PartKind.KEY]
        assert len(set(keys)) < len(keys)
        return

    for before, new, after in zip(document.parts(), given_texts, again.parts(), strict=True):
        assert after.text == (before.text if new is None else new)
        if new is None or new == before.text:
            assert after.kind is before.kind
        elif before.kind is PartKind.NUMBER:
            assert after.kind is PartKind.TEXT


@given(st.binary(max_size=80) | json_like.map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"\xff{}")
@example(b'"\\ud800"')
@example(b"-")
@example(b'"\\')
def test_any_bytes_give_a_document_or_malformed_input_and_never_more_than_the_standard_parser_accepts(
    data: bytes,
) -> None:
    try:
        document = JsonDocument.parse(data)
    except MalformedInput:
        return
    assert document.value == json.loads(data)
    assert json.loads(unchanged(document)) == document.value


@pytest.mark.parametrize("depth", [65, 10_000, 200_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_deep_nesting_is_malformed_input_and_not_a_recursion_error(depth: int, opening: str, closing: str) -> None:
    with pytest.raises(MalformedInput, match="deeper than 64"):
        JsonDocument.parse(opening * depth + "1" + closing * depth)


def test_nesting_up_to_the_limit_is_read() -> None:
    document = JsonDocument.parse("[" * 64 + "7" + "]" * 64)

    assert unchanged(document) == b"[" * 64 + b"7" + b"]" * 64


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('{"a":1,"a":2}', "same key twice"),
        ('{"a":1,"\\u0061":2}', "same key twice"),
        ('{"b":{"a":1,"a":1}}', "same key twice"),
        ("[NaN]", "NaN and Infinity"),
        ("[-Infinity]", "NaN and Infinity"),
        ("1e400", "larger than any double"),
        ("-1e400", "larger than any double"),
        ("9" * 309, "longer than 308"),
        ("1." + "0" * 400, "longer than 308"),
        ('"\\ud83d"', "surrogate"),
        ('{"\\udc00":1}', "surrogate"),
        (b'"\xff"', "not valid UTF-8"),
        (b'"\xed\xa0\x80"', "not valid UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ('"\ud800"', "surrogate"),
        ("[" + "0," * 200_000 + "0]", "more than 200000 values"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 and value.isascii() else "document",
)
def test_json_that_parsers_disagree_about_is_refused(source: bytes | str, message: str) -> None:
    with pytest.raises(MalformedInput, match=message):
        JsonDocument.parse(source)


@pytest.mark.parametrize("source", ["", " ", "{", '{"a"}', "[1,]", "01", "'a'", "{} {}", '"\x01"', "nul", b"\x00"])
def test_what_is_not_json_is_told_apart_from_ambiguous_json(source: bytes | str) -> None:
    with pytest.raises(NotJson):
        JsonDocument.parse(source)


def test_a_document_over_the_byte_limit_is_refused_before_it_is_parsed() -> None:
    body = b'["' + b"x" * 20_000_000 + b'"]'
    began = time.perf_counter()

    with pytest.raises(MalformedInput, match="larger than 10485760 bytes"):
        JsonDocument.parse(body)
    assert time.perf_counter() - began < 0.5


def test_the_byte_limit_counts_bytes_and_not_characters() -> None:
    with pytest.raises(MalformedInput, match="larger than 10 bytes"):
        JsonDocument.parse('"éééééé"', max_bytes=10)


@pytest.mark.parametrize("unit", ['\\"', "\\", '"', '"\\', '["', "}"])
def test_hostile_text_costs_linear_time(unit: str) -> None:
    began = time.perf_counter()

    with pytest.raises(MalformedInput):
        JsonDocument.parse('["' + unit * 500_000)
    assert time.perf_counter() - began < 3


def test_numbers_are_written_as_digits_so_that_what_is_scanned_is_what_a_model_reads() -> None:
    document = JsonDocument.parse("[4.111111111111111e15, 4111111111111111, 0.1000000000000000055, 1e300, -0, 1e23]")

    assert [part.text for part in document.parts()] == [
        "4111111111111111.0",
        "4111111111111111",
        "0.1000000000000000055",
        "1e+300",
        "0",
        "100000000000000000000000.0",
    ]
    assert json.loads(unchanged(document)) == [4111111111111111.0, 4111111111111111, 0.1, 1e300, 0, 1e23]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_keeps_its_value_and_stays_a_float(value: float) -> None:
    again = json.loads(unchanged(JsonDocument.of([value])))[0]

    assert isinstance(again, float)
    assert again == value
    assert math.copysign(1, again) == math.copysign(1, value)


def test_a_changed_number_becomes_a_string() -> None:
    assert JsonDocument.parse('{"card":4111111111111111}').render([None, "[REDACTED_CARD]"]) == (
        b'{"card":"[REDACTED_CARD]"}'
    )


def test_two_keys_that_become_equal_are_refused_but_not_across_objects() -> None:
    same = JsonDocument.parse('{"a@x.org":1,"b@x.org":2}')
    apart = JsonDocument.parse('[{"a@x.org":1},{"b@x.org":2}]')

    with pytest.raises(MalformedInput, match="equal after replacement"):
        same.render(["[E]", None, "[E]", None])
    assert apart.render(["[E]", None, "[E]", None]) == b'[{"[E]":1},{"[E]":2}]'


def test_a_key_may_take_another_keys_old_name() -> None:
    assert JsonDocument.parse('{"a":1,"b":2}').render(["b", None, "a", None]) == b'{"b":1,"a":2}'


def test_a_replacement_with_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(MalformedInput, match="surrogate"):
        JsonDocument.parse('["x"]').render(["\ud800"])


def test_a_key_that_says_nothing_is_read_behind_the_one_above_it() -> None:
    document = JsonDocument.of(
        {
            "passport": {"number": "a", "place": "b", "holder": [{"Value": {"0": {"#text": 7}}}]},
            "value": "c",
            "ssn": [{"raw": "d"}],
        }
    )
    found = {part.text: part.context for part in document.parts() if part.kind is not PartKind.KEY}
    assert found == {"a": "passport number", "b": "place", "7": "holder Value 0 #text", "c": "value", "d": "ssn raw"}
    assert [context_of(leaf) for leaf in document.leaves] == [part.context for part in document.parts()]


def test_contexts_stay_short_however_long_and_deep_keys_are() -> None:
    value: Any = "x"
    for _ in range(60):
        value = {"value": value}
    (*_, part) = JsonDocument.of({"k" * 1000: value}).parts()
    assert len(part.context) <= 2 * MAX_STEP + 1
    assert context_of(JsonDocument.of({"k" * 1000: value}).leaves[-1]) == part.context


def test_pointers_follow_rfc_6901_and_context_is_the_nearest_key() -> None:
    parts = JsonDocument.parse('{"a/b":[{"m~n":"x"},["y"]],"":1}').parts()

    assert [(part.pointer, part.kind.value, part.context) for part in parts] == [
        ("/a~1b", "key", ""),
        ("/a~1b/0/m~0n", "key", "a/b"),
        ("/a~1b/0/m~0n", "text", "m~n"),
        ("/a~1b/1/0", "text", "a/b"),
        ("/", "key", ""),
        ("/", "number", ""),
    ]


@pytest.mark.parametrize(
    "source", ['{"alice@example.com', '{"alice@example.com":1,"alice@example.com":2}', '["alice\\ud800"]']
)
def test_errors_and_reprs_never_carry_content(source: str) -> None:
    with pytest.raises(MalformedInput) as caught:
        JsonDocument.parse(source)
    seen: BaseException | None = caught.value
    while seen is not None:
        assert "alice" not in str(seen)
        assert "alice" not in repr(vars(seen))
        seen = seen.__context__


def test_the_repr_of_a_document_and_its_parts_shows_no_content() -> None:
    document = JsonDocument.parse('{"alice@example.com":{"bob@example.com":"carol@example.com"}}')

    assert "example" not in repr(document)
    assert "example" not in repr(document.parts())


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), {"a": object()}, b"bytes", {(1, 2): 3}])
def test_a_python_tree_that_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(MalformedInput):
        JsonDocument.of(value)


def test_a_python_tree_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)

    with pytest.raises(MalformedInput):
        JsonDocument.of(loop)


def test_render_refuses_a_list_that_does_not_match_the_parts() -> None:
    with pytest.raises(ValueError, match="needs 1 texts"):
        JsonDocument.parse('["x"]').render([])


@settings(max_examples=30)
@given(st.integers(1, 40))
def test_json_inside_a_string_is_one_text(levels: int) -> None:
    value: Any = "x"
    for _ in range(min(levels, 12)):
        value = json.dumps([value])

    assert len(JsonDocument.of([value]).parts()) == 1
