"""The demo's leak finder finds planted leaks, in every place and form, and nothing where nothing is."""

from __future__ import annotations

import base64
import json
import sqlite3
from pathlib import Path

import pytest
from examples.evidence import load_messages
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import leaks

MESSAGES = load_messages()
LABELS = [leaks.Label(**value) for message in MESSAGES for value in message["values"]]
ONE_OF_EACH = list({label.type: label for label in LABELS}.values())
FINDER = leaks.Finder(LABELS)


def record_of(path: Path, body: bytes, header: str = "x") -> Path:
    row = {
        "method": "POST",
        "path": "/v1/responses",
        "headers": [["X", header]],
        "body": base64.b64encode(body).decode(),
    }
    path.write_text(json.dumps(row) + "\n")
    return path


def found(place: object) -> set[str]:
    return {leak.type for where, data in place for leak in FINDER.search(where, data)}  # type: ignore[attr-defined]


def test_every_labelled_value_is_found_as_written() -> None:
    for label in LABELS:
        data = b"before " + label.value.encode() + b" after"
        assert label.value in {FINDER.labels[leak.number].value for leak in FINDER.search("x", data)}


@pytest.mark.parametrize("label", ONE_OF_EACH, ids=lambda label: label.type)
def test_every_encoded_form_is_found(label: leaks.Label) -> None:
    missed = [
        form for form, data in leaks.planted(label.value).items() if not FINDER.search("x", b"a=" + data + b"&b=1")
    ]
    assert missed == []


@pytest.mark.parametrize("label", ONE_OF_EACH, ids=lambda label: label.type)
def test_a_leak_is_found_in_the_record_the_database_and_the_logs(label: leaks.Label, tmp_path: Path) -> None:
    body = json.dumps({"input": f"hello {label.value}"}).encode()
    assert label.type in found(leaks.in_record(record_of(tmp_path / "r.jsonl", body)))
    if "\n" not in label.value:
        assert label.type in found(leaks.in_record(record_of(tmp_path / "h.jsonl", b"{}", header=label.value)))
    (tmp_path / "log").write_text(f"DEBUG openai { ({'json_data': label.value})!r}\n")
    assert label.type in found(leaks.in_logs([tmp_path / "log"]))
    folder = tmp_path / "db"
    folder.mkdir()
    connection = sqlite3.connect(folder / "a.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (v TEXT)")
    connection.execute("INSERT INTO t VALUES (?)", ("x" * 4_000 + label.value,))
    assert label.type in found(leaks.in_database(folder))
    connection.close()


def test_a_value_that_sqlite_split_over_two_pages_is_found(tmp_path: Path) -> None:
    label = next(label for label in LABELS if label.type == "EMAIL_ADDRESS")
    for shift in range(3_900, 4_200, 7):
        path = tmp_path / "split.db"
        path.unlink(missing_ok=True)
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("CREATE TABLE t (v TEXT)")
            connection.execute("INSERT INTO t VALUES (?)", ("x" * shift + label.value,))
        connection.close()
        assert "EMAIL_ADDRESS" in found(leaks.in_database(tmp_path))


def test_part_of_a_value_counts() -> None:
    card = next(label.value for label in LABELS if label.type == "CREDIT_CARD" and len(label.value) == 16)
    assert FINDER.search("x", card[:12].encode())
    assert not FINDER.search("x", b"************" + card[-4:].encode())
    secret = next(label.value for label in LABELS if label.value.startswith("sk_live_"))
    assert FINDER.search("x", b"..." + secret[-16:].encode())
    pem = next(label.value for label in LABELS if label.value.startswith("-----BEGIN"))
    assert FINDER.search("x", pem.splitlines()[3].encode())


def test_what_redaction_leaves_is_no_leak() -> None:
    redacted = b'{"input": "[EMAIL_X7K2M9QA] or [PHONE_AAAA2222], card ************1111, [REDACTED_SECRET], 2026-11-22 22:37:35,123"}'
    assert FINDER.search("x", redacted) == []


def test_a_leak_never_prints_the_value() -> None:
    label = LABELS[0]
    assert label.value not in repr(label) + repr(FINDER.search("x", label.value.encode()))


@settings(max_examples=60, deadline=None)
@given(
    label=st.sampled_from(LABELS),
    before=st.binary(max_size=60),
    after=st.binary(max_size=60),
)
def test_what_stands_around_a_value_does_not_hide_it(label: leaks.Label, before: bytes, after: bytes) -> None:
    assert FINDER.search("x", before + b" " + label.value.encode() + b" " + after)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=400))
def test_random_bytes_hold_no_value_and_never_break_the_finder(data: bytes) -> None:
    assert FINDER.search("x", data) == []
