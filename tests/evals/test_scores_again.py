"""The figures of ``aiguard eval`` once more, by another hand: straight from the rows' JSON, with sets of characters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiguard.cli import main
from aiguard.detect import default_detector, known_types

MODELS = {kind.type for kind in known_types().values() if kind.family == "ner"}
VALUES = {
    "jane@example.com": "EMAIL_ADDRESS",
    "4111 1111 1111 1111": "CREDIT_CARD",
    "DE89 3704 0044 0532 0130 00": "IBAN_CODE",
    "192.168.10.77": "IP_ADDRESS",
    "Ada Lovelace": "PERSON",
    "nothing": "EMAIL_ADDRESS",
    "+44 20 7946 0958": "PHONE_NUMBER",
}
INVALID = ("x@jane@example.com", "4111111111111111-9", "192.168.10.77.5", "jane@example.com", "DE89")


@st.composite
def values_in_a_row(draw: st.DrawFn) -> dict[str, Any]:
    text = ""
    spans: list[dict[str, Any]] = []
    maybe: list[dict[str, Any]] = []
    for value in draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=4)):
        text += draw(st.sampled_from(["on ", "é — ", "\n", "with "]))
        start = max(0, len(text) + draw(st.sampled_from([0, 0, 0, 3, -3])))
        end = len(text) + len(value) - draw(st.sampled_from([0, 0, 0, 2, len(value) // 2 + 1]))
        text += value + " "
        span = {
            "start": start,
            "end": max(end, start + 1),
            "type": draw(st.sampled_from([VALUES[value]] * 5 + ["US_SSN"])),
        }
        (draw(st.sampled_from([spans, spans, spans, maybe]))).append(span)
        if draw(st.integers(0, 4)) == 0:
            spans = [each for each in spans if each is not span]  # found, and not labelled
    text += "." * 8
    row: dict[str, Any] = {"text": text, "spans": spans, "maybe": maybe}
    if draw(st.booleans()):
        row["scope"] = sorted({each["type"] for each in spans} | {draw(st.sampled_from(["IP_ADDRESS", "US_SSN"]))})
    if draw(st.integers(0, 3)) == 0:
        row["span_exact"] = False
    return row


def invalid_rows() -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(INVALID).map(lambda text: {"text": text, "spans": [], "neg_mode": "exact"})


def overlap(one: dict[str, Any], other: dict[str, Any]) -> int:
    return len(set(range(one["start"], one["end"])) & set(range(other["start"], other["end"])))


def half(one: dict[str, Any], other: dict[str, Any]) -> bool:
    longer = max(one["end"] - one["start"], other["end"] - other["start"])
    return overlap(one, other) > 0 and overlap(one, other) / longer >= 0.5


def again(rows: list[dict[str, Any]], counted: set[str]) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = {}
    negatives = wrong_rows = false = characters = labelled = covered = 0
    for row in rows:
        scope = row.get("scope")
        everything: list[dict[str, Any]] = [
            {"start": f.start, "end": f.end, "type": f.type} for f in default_detector().detect(row["text"])
        ]
        found = [f for f in everything if f["type"] in counted and (scope is None or f["type"] in scope)]
        labels = [s for s in row["spans"] if s["type"] in counted]
        loose = row.get("span_exact") is False
        left, missing = list(found), list(labels)
        while True:
            pairs = [
                (overlap(s, f), -labels.index(s), -found.index(f), s, f)
                for s in missing
                for f in left
                if s["type"] == f["type"] and (overlap(s, f) > 0 if loose else half(s, f))
            ]
            if not pairs:
                break
            *_, hit, by = max(pairs, key=lambda pair: pair[:3])
            counts.setdefault(hit["type"], {"tp": 0, "fp": 0, "fn": 0})["tp"] += 1
            missing = [s for s in missing if s is not hit]
            left = [f for f in left if f is not by]
        for s in missing:
            counts.setdefault(s["type"], {"tp": 0, "fp": 0, "fn": 0})["fn"] += 1
        wrong = [
            f
            for f in left
            if not any(overlap(f, m) for m in row.get("maybe", ()))
            and not any(s["type"] not in counted and half(s, f) for s in row["spans"])
            and not (loose and any(s["type"] == f["type"] and overlap(s, f) for s in labels))
            and not (
                row.get("neg_mode") == "exact" and row["text"][f["start"] : f["end"]].strip() != row["text"].strip()
            )
        ]
        for f in wrong:
            counts.setdefault(f["type"], {"tp": 0, "fp": 0, "fn": 0})["fp"] += 1
        false += len(wrong)
        characters += len(row["text"])
        if not row["spans"] and not row.get("maybe"):
            negatives += 1
            wrong_rows += bool(wrong)
        for s in row["spans"]:
            if s["type"] not in MODELS:
                labelled += 1
                touched = {at for f in everything for at in range(f["start"], f["end"])}
                covered += len(touched & set(range(s["start"], s["end"]))) * 2 >= s["end"] - s["start"]
    totals = {key: sum(each[key] for each in counts.values()) for key in ("tp", "fp", "fn")}
    return {
        "types": {name: {**each, "support": each["tp"] + each["fn"]} for name, each in counts.items()},
        "micro": {**totals, "support": totals["tp"] + totals["fn"]},
        "covered": covered / labelled if labelled else 0.0,
        "row_fpr": wrong_rows / negatives if negatives else 0.0,
        "fp_per_10k_chars": 10_000 * false / characters if characters else 0.0,
    }


def ratios(counts: dict[str, int]) -> dict[str, float]:
    precision = counts["tp"] / (counts["tp"] + counts["fp"]) if counts["tp"] else 0.0
    recall = counts["tp"] / (counts["tp"] + counts["fn"]) if counts["tp"] else 0.0
    both = precision + recall
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / both if both else 0.0}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(values_in_a_row(), invalid_rows()), min_size=1, max_size=6))
def test_another_hand_counts_the_same(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    result = CliRunner().invoke(main, ["eval", "pii", str(path), "--json"])
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert said["files"][str(path)] == said["all"]
    expected = again(rows, set(default_detector().types - {"SECRET"}))
    got = said["all"]
    assert set(got["types"]) == set(expected["types"])
    for name, counts in [*expected["types"].items(), ("micro", expected["micro"])]:
        shown = got["micro"] if name == "micro" else got["types"][name]
        assert {key: shown[key] for key in counts} == counts
        for key, value in ratios(counts).items():
            assert shown[key] == pytest.approx(value, abs=1e-4)
    assert got["micro"]["covered"] == pytest.approx(expected["covered"], abs=1e-4)
    for key in ("row_fpr", "fp_per_10k_chars"):
        assert got[key] == pytest.approx(expected[key], abs=1e-4)
