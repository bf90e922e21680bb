"""How much the catalogue knows, and that its checks stand up to anything their patterns let through."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from aiguard.detect import catalogue, default_detector, described_types
from aiguard.scan import Recognizer
from aiguard.scan.recognizer import compile_pattern


def found(text: str, context: str = "") -> set[str]:
    return {finding.type for finding in default_detector().detect(text, context=context)}


def test_there_are_120_types_of_45_countries_at_least() -> None:
    assert len(default_detector().types) >= 120
    assert len({kind.country for kind in described_types()} - {"", "EU"}) >= 45


@pytest.mark.parametrize("recognizer", [r for r in catalogue() if r.validate is not None], ids=lambda r: r.name)
def test_a_check_says_yes_or_no_to_whatever_its_pattern_lets_through(recognizer: Recognizer) -> None:
    assert recognizer.validate is not None
    program = compile_pattern(recognizer)
    group = 1 if program.groups else 0
    chance = random.Random(recognizer.name)
    for example in recognizer.examples:
        match = program.search(example)
        assert match is not None
        value = match.group(group)
        for _ in range(60):
            mutant = "".join(
                chance.choice("0123456789") if char.isdigit() and chance.random() < 0.5
                else chance.choice("ABCXYZ") if char.isascii() and char.isupper() and chance.random() < 0.2
                else char
                for char in value
            )  # fmt: skip
            if program.fullmatch(mutant) is not None:
                assert recognizer.validate(mutant) in {True, False}


@pytest.mark.parametrize(
    ("text", "type"),
    [
        ("My passport number is XN1234567.", "PASSPORT"),
        ("Our VAT number is 1234567890123.", "VAT_ID"),
        ("My tax identification number is 160260323.", "TAX_ID"),
        ("Meine Steuer-ID ist 36 574 261 809", "DE_TAX_ID"),
        ("mijn BSN is 111222333", "NL_BSN"),
        ("我的身份证号是110101198001011240", "CN_RESIDENT_ID"),
        ("ИНН 7795136238", "RU_INN"),
        ("CPF: 390.533.447-05", "BR_CPF"),
        ("Kennzeichen B-AB 1234", "DE_KFZ"),
        ("date of birth: 14 March 1979", "DATE_OF_BIRTH"),
        ("NPI 1245319599", "US_NPI"),
        ("the VIN is 1M8GDM9AXKP042788", "VIN"),
    ],
)
def test_numbers_are_found_by_the_words_before_them_in_their_languages(text: str, type: str) -> None:
    assert type in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "Order 123456789 of 160260323 units, batch 7795136238, see page 1203.",
        "At 1763854800000 ms the job 20231011 ended with code 137; 12345678901 rows were read.",
        "The company's panel said in a single using basin that the tin can was in the zip archive.",
        "He paid VAT of 19 percent in 2019, and the tax number crunching went on until 2021.",
        "12345678",
        "20090519",
        "16.11.2009",
        "16.954.231",
    ],
)
def test_figures_without_words_for_them_are_not_identifiers(text: str) -> None:
    assert found(text) == set()


@pytest.mark.parametrize("number", ["0612457898", "380771234567", "93112211"])
def test_figures_that_could_be_dialled_are_a_number_as_the_whole_text_only(number: str) -> None:
    assert found(number) != set()
    assert found(f" {number}\n") != set()
    assert found(f"{number} rows were read") == set()
    assert default_detector().detect(number, context="rowCount") == []


@pytest.mark.parametrize(
    ("number", "type"),
    [("123-456-782", "CA_SIN"), ("K22218003V", "AL_TAX_ID"), ("K 22218003 V", "AL_TAX_ID"), ("AT U13585627", "AT_VAT")],
)
def test_a_number_with_one_check_digit_counts_as_the_whole_text(number: str, type: str) -> None:
    assert found(number) == {type}
    assert found(f"page {number[:-1]} of many") == set()


@pytest.mark.parametrize(
    "text",
    ["0 0 7 0 9 9 9 0 2 0 0 0 0 0 6 5 7 0 6 0 8 0", "9 1 110000 600037341L", "LU 150 274 42", "0140339601630201381276"],
)
def test_a_number_counts_as_the_whole_text_however_it_is_grouped(text: str) -> None:
    findings = default_detector().detect(f" {text}\n")
    assert [(finding.start, finding.end) for finding in findings] == [(1, len(text) + 1)]


@pytest.mark.parametrize(
    "text", ["EMP-123456", "1.2.3.4.5", "2017-2022", "16.954.231", "1,234,567.00", "2024-02-29 12"]
)
def test_tickets_versions_years_and_amounts_are_no_numbers_in_groups(text: str) -> None:
    assert found(text) == set()


def test_a_number_that_may_be_dialled_is_a_telephone_number_before_one_that_one_in_ten_passes() -> None:
    first = default_detector().detect("9434765870")[0]
    assert first.type == "PHONE_NUMBER"
    assert found("NHS number 9434765870") == {"UK_NHS"}


def test_keys_that_a_vendor_publishes_as_samples_are_no_secrets() -> None:
    assert found("AIzaSy" + "abcdefghijklmnopqrstuvwxyz1234567") == set()


def test_check_digit_tables_are_loaded_when_a_candidate_is_met_and_not_before() -> None:
    code = (
        "import sys; from aiguard.detect import default_detector; default_detector().detect('good morning');"
        "sys.exit(any(name.startswith('stdnum.') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
