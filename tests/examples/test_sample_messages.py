"""The sample messages are what their README says, so that "no leaks" is a statement about real values."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter

import phonenumbers
import stdnum.iban
import stdnum.luhn
import stdnum.us.ssn
from examples.evidence import HERE, load_messages

MESSAGES = load_messages()
VALUES = [(message, value["type"], value["value"]) for message in MESSAGES for value in message["values"]]
REGION = {"en": "US", "de": "DE", "fr": "FR", "es": "ES"}


def test_there_are_enough_of_them_in_four_languages_and_some_are_long() -> None:
    assert len(MESSAGES) >= 300
    assert set(Counter(message["lang"] for message in MESSAGES)) == {"en", "de", "fr", "es"}
    assert all(100 <= len(message["text"]) <= 2_400 for message in MESSAGES)
    assert sum(len(message["text"]) >= 1_900 for message in MESSAGES) >= 5


def test_every_labelled_value_stands_in_its_text() -> None:
    assert all(value in message["text"] for message, _, value in VALUES)


def test_every_type_occurs_many_times() -> None:
    counts = Counter(kind for _, kind, _ in VALUES)
    wanted = {"EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "IP_ADDRESS", "SECRET"}
    assert set(counts) == wanted
    assert min(counts.values()) >= 20


def test_every_row_names_its_source_and_a_permissive_licence() -> None:
    for message in MESSAGES:
        assert message["license"] in ("Apache-2.0", "Apache-2.0 (text), MIT (values)")
        assert message["source"].startswith("aiguard examples/data/templates.toml")
    assert all(
        name in (HERE / "data" / "README.md").read_text() for name in ("presidio-research", "validator.js", "MIT")
    )


def test_order_numbers_are_unique_so_that_each_message_leaves_its_own_trace() -> None:
    orders = [message["order"] for message in MESSAGES]
    assert len(set(orders)) == len(orders)
    assert all(message["order"] in message["text"] for message in MESSAGES)


def test_values_are_valid_by_their_own_standards() -> None:
    for message, kind, value in VALUES:
        digits = re.sub(r"[ -]", "", value)
        if kind == "CREDIT_CARD":
            assert stdnum.luhn.is_valid(digits)
        elif kind == "IBAN_CODE":
            assert stdnum.iban.is_valid(value)
        elif kind == "US_SSN":
            assert stdnum.us.ssn.is_valid(value)
        elif kind == "IP_ADDRESS":
            ipaddress.ip_address(value)
        elif kind == "PHONE_NUMBER":
            regions = {"de": ("DE", "AT", "CH"), "fr": ("FR", "BE")}.get(message["lang"], (REGION[message["lang"]],))
            assert any(phonenumbers.is_valid_number(phonenumbers.parse(value, region)) for region in regions)


def test_secrets_say_that_they_are_not_real() -> None:
    for _, kind, value in VALUES:
        if kind == "SECRET" and "PRIVATE KEY" not in value and not value.startswith("eyJ"):
            assert "DEMO" in value
