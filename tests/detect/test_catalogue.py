from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiguard.detect import catalogue, default_detector, known_types, sensitivity_of
from aiguard.scan import Recognizer, check
from aiguard.types import Finding, Sensitivity


def found(text: str, context: str = "") -> list[tuple[str, str]]:
    return [(f.type, text[f.start : f.end]) for f in default_detector().detect(text, context=context)]


@pytest.mark.parametrize("recognizer", catalogue(), ids=lambda r: r.name)
def test_every_recognizer_compiles_is_bounded_and_keeps_its_examples(recognizer: Recognizer) -> None:
    check(recognizer)
    assert recognizer.examples
    assert recognizer.source


def test_every_type_has_a_label_a_family_and_a_sensitivity() -> None:
    kinds = known_types()
    assert default_detector().types <= set(kinds)
    assert kinds["EMAIL_ADDRESS"].label == "EMAIL"
    assert kinds["SECRET"].sensitivity is Sensitivity.RESTRICTED


def test_the_default_detector_is_built_once() -> None:
    assert default_detector() is default_detector()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail jane.doe@example.com.", [("EMAIL_ADDRESS", "jane.doe@example.com")]),
        ("请联系jane@example.com谢谢", [("EMAIL_ADDRESS", "jane@example.com")]),
        ("clone git@github.com:org/repo.git", []),
        ("card 4111 1111 1111 1111 2 times", [("CREDIT_CARD", "4111 1111 1111 1111")]),
        ("qty 2 4111 1111 1111 1111", [("CREDIT_CARD", "4111 1111 1111 1111")]),
        ("EAN 4006381333931 and 1234567890128", []),
        ("IBAN DE89 3704 0044 0532 0130 00 please", [("IBAN_CODE", "DE89 3704 0044 0532 0130 00")]),
        ("ssn 536-90-4399", [("US_SSN", "536-90-4399")]),
        ("order 536904399 shipped", []),
        ("from 10.1.2.3:443", [("IP_ADDRESS", "10.1.2.3")]),
        ("version 1.2.3.4", []),
        ("at 12:30:45 std::vector<int>", []),
        ("2001:db8::1/64", [("IP_ADDRESS", "2001:db8::1/64")]),
        ("call +44 20 7946 0958 now", [("PHONE_NUMBER", "+44 20 7946 0958")]),
        ("call me on 0341 8387176", [("PHONE_NUMBER", "0341 8387176")]),
        ("order no 0341 8387176", []),
        ("on 2023-10-11 for 1,299.00 EUR, order 123456789012", []),
        ("postgres://app:hunter2xx@db.internal/x", [("SECRET", "app:hunter2xx@db.internal")]),
        ("password = 'S3cure-pass'", [("SECRET", "S3cure-pass")]),
        ("the password is required", []),
        ("api_key: ${API_KEY}", []),
        ("max_tokens: 4096, token_count=128", []),
    ],
)
def test_what_is_found_in_ordinary_text(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


def test_a_key_is_context_for_its_value() -> None:
    assert found("536904399", "customerSSN") == [("US_SSN", "536904399")]
    assert found("0341 8387176", "phone_number") == [("PHONE_NUMBER", "0341 8387176")]
    assert found("0341 8387176", "order_number") == []


def test_a_private_key_is_one_finding_to_its_end_line_or_without_one_to_the_end_of_its_body() -> None:
    whole = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"
    assert found(f"x {whole} y") == [("SECRET", whole)]
    cut = "-----BEGIN PRIVATE KEY-----\nMIIEow\nIBAAKC"
    assert found(f"x {cut}\n\u00bb bye") == [("SECRET", cut)]


def test_prose_without_identifiers_has_no_findings() -> None:
    prose = (
        "In 2019 we shipped 1,250,000 units at $12.50 each; section 3.2.1 covers 10-15 cases (see p. 204). "
        "The build 7.4.1-rc2 failed at 12:45:09 on 2024-02-29 with exit code 137 after 3600 seconds. "
        "Commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b fixed it; the id is 123e4567-e89b-12d3-a456-426614174000."
    )
    assert found(prose) == []


def test_the_highest_sensitivity_counts_and_policy_may_move_a_type() -> None:
    mail = Finding(type="EMAIL_ADDRESS", start=0, end=1, score=1, recognizer="r")
    card = Finding(type="CREDIT_CARD", start=0, end=1, score=1, recognizer="r")
    assert sensitivity_of([], {}) is Sensitivity.PUBLIC
    assert sensitivity_of([mail], {}) is Sensitivity.CONFIDENTIAL
    assert sensitivity_of([mail, card], {}) is Sensitivity.RESTRICTED
    assert sensitivity_of([mail], {"EMAIL_ADDRESS": Sensitivity.INTERNAL}) is Sensitivity.INTERNAL


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec=None)))
def test_the_whole_catalogue_reads_any_str(text: str) -> None:
    for finding in default_detector().detect(text):
        assert 0 <= finding.start < finding.end <= len(text)


VALUES = ("jane@example.com", "4111 1111 1111 1111", "DE89370400440532013000", "ghp_" + "a1B2c3D4e5F6" * 3)


@settings(deadline=None)
@given(st.text(max_size=40), st.sampled_from(VALUES), st.text(max_size=40))
def test_a_value_is_covered_whatever_text_is_around_it(before: str, value: str, after: str) -> None:
    text = f"{before}\n{value}\n{after}"
    at = len(before) + 1
    covered: set[int] = set()
    for finding in default_detector().detect(text):
        covered.update(range(finding.start, finding.end))
    assert set(range(at, at + len(value))) <= covered


def test_importing_the_room_loads_no_metadata_of_telephones() -> None:
    code = "import sys, aiguard.detect; sys.exit('phonenumbers' in sys.modules or 'flask' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "jane (at) example dot com",
        "jane [at] example [dot] com",
        "jane AT example DOT com",
        "jane&#64;example&#x2e;com",
        "jane&commat;example&period;com",
        "ja\u0308ne@exa\u0301mple.com",
        "jane%40example.com",
        "ja\u00adne@example.com",
        "ｊane＠example．com",
    ],
)
def test_an_address_is_read_however_it_is_spelled(text: str) -> None:
    assert found(f"write to {text} today") == [("EMAIL_ADDRESS", text)]


@pytest.mark.parametrize(
    "text", ["look at this dot product", "meet me at the dot", "R&D; AT&T; &nbsp;a&amp;b", "x = f(a).value"]
)
def test_words_that_spell_no_address_are_none(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "type"),
    [
        ("name;iban\nJoe;DE89370400440532013000\n", "IBAN_CODE"),
        ("name,ssn\nJoe,536904399\n", "US_SSN"),
        ("integrity sha512-" + "a1B2c3D4e5" * 8 + "f6G7h8==", ""),
    ],
)
def test_column_heads_are_words_before_a_value_and_hashes_of_lock_files_are_no_keys(text: str, type: str) -> None:
    assert [kind for kind, _ in found(text)] == ([type] if type else [])
