from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from aiguard.errors import MalformedInput
from aiguard.evals import read_rows
from aiguard.evals.data import DataUnreadable

GOOD: dict[str, Any] = {"text": "mail a@b.de", "spans": [{"start": 5, "end": 11, "type": "EMAIL_ADDRESS"}]}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_rows_are_read_plain_or_gzipped_whatever_the_name(tmp_path: Path) -> None:
    plain = write(
        tmp_path / "a.jsonl", GOOD, {**GOOD, "scope": ["EMAIL_ADDRESS"], "neg_mode": "exact", "span_exact": False}
    )
    packed = tmp_path / "b.data"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    first, second = read_rows(plain)
    assert [first, second] == list(read_rows(packed))
    assert (first.scope, first.whole_only, first.exact_spans) == (None, False, True)
    assert (second.scope, second.whole_only, second.exact_spans) == (frozenset({"EMAIL_ADDRESS"}), True, False)


def test_maybe_spans_may_stand_apart_or_be_marked(tmp_path: Path) -> None:
    marked = {**GOOD, "spans": [{**GOOD["spans"][0], "maybe": True}]}
    apart = {**GOOD, "spans": [], "maybe": [{"start": 5, "end": 11}]}
    assert [label.maybe for row in read_rows(write(tmp_path / "x", marked, apart)) for label in row.labels] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nonsense", "is not a JSON object"),
        ("[" * 20_000, "is not a JSON object"),
        ("[1]", "is not a JSON object"),
        ('{"text": 1, "spans": []}', "text is missing"),
        ('{"text": "SECRETWORD"}', "spans is missing"),
        ('{"text": "SECRETWORD", "spans": [], "scope": "A"}', "scope is not a list"),
        ('{"text": "SECRETWORD", "spans": [{"start": 0, "end": 99, "type": "A"}]}', "within the text"),
        ('{"text": "SECRETWORD", "spans": [{"start": 3, "end": 3, "type": "A"}]}', "within the text"),
        ('{"text": "SECRETWORD", "spans": [{"start": 0, "end": 2}]}', "a type"),
        ('{"text": "SECRETWORD", "spans": [7]}', "a type"),
    ],
)
def test_a_line_that_is_no_row_is_refused_by_place_and_never_quoted(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(GOOD) + "\n\n" + line + "\n", encoding="utf-8")
    with pytest.raises(MalformedInput) as error:
        list(read_rows(path))
    assert f"{path}:3: " in str(error.value)
    assert says in str(error.value)
    assert "SECRETWORD" not in str(error.value)


def test_a_file_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / "x.gz"
    damaged.write_bytes(gzip.compress(json.dumps(GOOD).encode() * 50)[:-20])
    for path in (tmp_path / "missing", tmp_path, damaged):
        with pytest.raises(DataUnreadable, match=str(path.name)):
            list(read_rows(path))
