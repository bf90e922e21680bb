"""How rows become figures: scope, invalid values that hold valid ones, marked lines and spans that do not count."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiguard.evals import Label, Row, Scores, Tally, score_row
from aiguard.types import Finding

RULES = Scores(counted={"A", "B"}, beyond={"PERSON"})


def span(start: int, end: int, type: str = "A", recognizer: str = "r") -> Finding:
    return Finding(type=type, start=start, end=end, score=1, recognizer=recognizer)


def mark(start: int, end: int, type: str = "A", *, maybe: bool = False) -> Label:
    return Label(start=start, end=end, type=type, maybe=maybe)


def tally(row: Row, *findings: Finding, rules: Scores = RULES) -> Tally:
    total = Tally()
    score_row(row, findings, rules, total)
    return total


def counts(total: Tally, type: str = "A") -> tuple[int, int, int]:
    found = total.types[type]
    return found.tp, found.fp, found.fn


def row(*labels: Label, text: str = "x" * 40, scope: Sequence[str] | None = None, **more: bool) -> Row:
    return Row(text=text, labels=labels, scope=None if scope is None else frozenset(scope), **more)


def test_a_finding_hits_a_label_of_its_type_when_they_share_half_of_the_longer() -> None:
    assert counts(tally(row(mark(0, 10)), span(0, 10))) == (1, 0, 0)
    assert counts(tally(row(mark(0, 10)), span(5, 10))) == (1, 0, 0)
    assert counts(tally(row(mark(0, 10)), span(6, 10))) == (0, 1, 1)
    assert counts(tally(row(mark(0, 10)), span(0, 21))) == (0, 1, 1)
    assert counts(tally(row(mark(0, 10)), span(0, 10, "B")), "B") == (0, 1, 0)


def test_one_finding_hits_one_label_and_the_best_overlap_is_taken_first() -> None:
    assert counts(tally(row(mark(0, 10), mark(8, 20)), span(0, 12))) == (1, 0, 1)
    assert counts(tally(row(mark(0, 10)), span(0, 10), span(0, 9))) == (1, 1, 0)


def test_only_what_was_annotated_is_scored() -> None:
    total = tally(row(scope=["A"]), span(0, 4, "B"))
    assert (total.micro.fp, total.row_fpr) == (0, 0.0)
    assert tally(row(scope=["A"]), span(0, 4)).row_fpr == 1.0


def test_maybe_spans_neither_count_as_missed_nor_as_false() -> None:
    assert counts(tally(row(mark(0, 10, maybe=True)), span(0, 4))) == (0, 0, 0)
    assert counts(tally(row(mark(0, 10, maybe=True)))) == (0, 0, 0)


def test_in_an_invalid_value_only_a_finding_of_the_whole_value_is_false() -> None:
    text = "Please write to a.b@c.de@x for details."
    assert tally(row(text="a.b@c.de@x", whole_only=True), span(0, 8)).micro.fp == 0
    assert tally(row(text="a.b@c.de@x", whole_only=True), span(0, 10)).micro.fp == 1
    assert tally(row(text=text, whole_only=True), span(16, 24)).micro.fp == 0
    assert tally(row(text=text, whole_only=True), span(16, 26)).micro.fp == 1


def test_where_lines_are_marked_any_overlap_is_a_hit_and_a_second_finding_is_no_mistake() -> None:
    total = tally(row(mark(0, 40), exact_spans=False), span(30, 34), span(2, 4))
    assert counts(total) == (1, 0, 0)


def test_a_thing_that_the_source_names_differently_is_no_mistake() -> None:
    assert counts(tally(row(mark(0, 10, "DATE_TIME")), span(0, 10))) == (0, 0, 0)


def test_a_counter_example_of_one_secret_rule_says_nothing_about_general_rules() -> None:
    rules = Scores(counted={"A"}, rules=True, general={"assignment"})
    vendor, generic = row(scope=["gcp-api-key"]), row(scope=["generic-api-key"])
    assert tally(vendor, span(0, 4, recognizer="assignment"), rules=rules).row_fpr == 0.0
    assert tally(vendor, span(0, 4, recognizer="google"), rules=rules).row_fpr == 1.0
    assert tally(generic, span(0, 4, recognizer="assignment"), rules=rules).row_fpr == 1.0


def test_covered_counts_any_type_over_half_of_a_label_and_leaves_names_out() -> None:
    def covered(*findings: Finding) -> float:
        return float(tally(row(mark(0, 10), mark(20, 30, "PERSON")), *findings).as_dict()["micro"]["covered"])

    assert covered(span(0, 5, "B")) == 1.0
    assert covered(span(0, 3), span(7, 9, "B")) == 1.0
    assert covered(span(0, 4, "B")) == 0.0


def test_figures_of_nothing_are_zero() -> None:
    assert Tally().as_dict() == {
        "types": {},
        "micro": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0, "tp": 0, "fp": 0, "fn": 0, "covered": 0.0},
        "row_fpr": 0.0,
        "fp_per_10k_chars": 0.0,
    }


def test_false_positives_are_related_to_ten_thousand_characters() -> None:
    assert tally(row(text="x" * 5_000), span(0, 4)).fp_per_10k_chars == pytest.approx(2.0)


spans = st.tuples(st.integers(0, 30), st.integers(1, 10), st.sampled_from("AB"))


@given(st.lists(spans, max_size=5), st.lists(spans, max_size=5))
def test_every_label_is_a_hit_or_a_miss_and_no_finding_counts_twice(
    labels: list[tuple[int, int, str]], found: list[tuple[int, int, str]]
) -> None:
    total = tally(row(*(mark(s, s + n, t) for s, n, t in labels)), *(span(s, s + n, t) for s, n, t in found)).micro
    assert total.tp + total.fn == len(labels)
    assert total.tp + total.fp <= len(found)
    assert 0 <= total.f1 <= 1


@given(st.lists(spans, max_size=4), st.lists(spans, max_size=4))
def test_files_add_up(one: list[tuple[int, int, str]], two: list[tuple[int, int, str]]) -> None:
    rows = [row(*(mark(s, s + n, t) for s, n, t in part)) for part in (one, two)]
    apart, together = Tally(), Tally()
    for each in rows:
        apart.add(tally(each, span(0, 3)))
        score_row(each, [span(0, 3)], RULES, together)
    assert apart.as_dict() == together.as_dict()
