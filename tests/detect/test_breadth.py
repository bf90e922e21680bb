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
        ("Kennzeichen B-AB 1234", "LICENSE_PLATE"),
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
        "9676338855",
        "20090519",
        "16.954.231",
    ],
)
def test_figures_without_words_for_them_are_not_identifiers(text: str) -> None:
    assert found(text) == set()


def test_a_text_of_nothing_but_figures_is_no_telephone_number() -> None:
    chance = random.Random(5)
    for size in range(5, 16):
        for _ in range(40):
            text = "1" + "".join(chance.choice("0123456789") for _ in range(size - 1))
            assert "PHONE_NUMBER" not in found(text), size


def test_keys_that_a_vendor_publishes_as_samples_are_no_secrets() -> None:
    assert found("AIzaSy" + "abcdefghijklmnopqrstuvwxyz1234567") == set()


def test_check_digit_tables_are_loaded_when_a_candidate_is_met_and_not_before() -> None:
    code = (
        "import sys; from aiguard.detect import default_detector; default_detector().detect('good morning');"
        "sys.exit(any(name.startswith('stdnum.') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
