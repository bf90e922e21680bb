"""What a sentence states outright, codes that are a whole text, and what looks like either and is none."""

from __future__ import annotations

import unicodedata
from typing import Literal

import pytest

from aiguard.detect import default_detector, known_types
from aiguard.types import Sensitivity


def found(text: str) -> list[tuple[str, str]]:
    return [(f.type, text[f.start : f.end]) for f in default_detector().detect(text)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Hi, my ID number is EH4 7QX. Thanks", "EH4 7QX"),
        ("their VAT number is SM40213, ours is not known", "SM40213"),
        ("Her passport number is 27KD88041, issued in May", "27KD88041"),
        ("Passport: la7730254", "la7730254"),
        ("The license plate is NCC1701, it is blue", "NCC1701"),
        ("El número de pasaporte es QRS 224401.", "QRS 224401"),
        ("K7730254 is my passport number, thank you", "K7730254"),
        ("88-1204-K is our tax number since 2020", "88-1204-K"),
        ("Personal identity code is: 189110089811.", "189110089811"),
        ("7911 204 118 is my mobile number", "7911 204 118"),
        ("0761 204118 ist meine Nummer", "0761 204118"),
        ("536204399 is my social security number", "536204399"),
    ],
)
def test_a_value_that_a_sentence_states_is_found_whatever_it_looks_like(text: str, value: str) -> None:
    assert value in {said for _, said in found(text)}


@pytest.mark.parametrize(
    "text",
    [
        "The passport is valid until 2031 and costs 80 euros.",
        "My ID number is on page 12 of the form.",
        "The licence plate is dirty again.",
        "Your tax number is 10 digits long.",
        "The postcode is missing in 3 of them.",
        "2019 is our tax number one problem",
        "The identification number is 11 characters and has no letters.",
    ],
)
def test_a_sentence_about_a_number_states_none(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text", ["P7730254", "SM40213", "27KD88041", "N 7730254", " E12345678\n", "H3Z 2Y7", "QX-204-ZB", "HH AB 1234"]
)
def test_a_text_that_is_nothing_but_a_code_is_hidden(text: str) -> None:
    assert [said for _, said in found(text)] == [text.strip()]


@pytest.mark.parametrize(
    "text",
    [
        "ISO27001",
        "RFC 9110",
        "OPS-20311",
        "v2.14.10233",
        "20250102T030405Z",
        "5f4dcc3b5aa765d6",
        "120000km",
        "see P7730254 there",
        "48.137154, 11.576124",
    ],
)
def test_what_is_written_like_a_code_and_is_none_stays(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "I sent it to 0341 838 7176 yesterday",
        "under (0341) 8387176, as ever",
        "der 0171/1234567 fehlt",
        "au 06 12 45 78 98 demain",
        "em (11) 91234-5678 agora",
    ],
)
def test_a_number_written_from_its_trunk_prefix_on_needs_no_words(text: str) -> None:
    assert [type for type, _ in found(text)] == ["PHONE_NUMBER"]


@pytest.mark.parametrize(
    "text",
    [
        "on 01/02/2023 10 and 05.06.2024 14",
        "lotto: 01 02 03 04 05",
        "rows 010 020 030 and 040 050 060",
        "ISBN 0-306-40615-2",
        "order 0341 838 7176",
        "Journal of Physics (1999) 123 4567",
        "00 12 34 56 78 9a",
        "sort 05-11-97 and 06-12-98",
        "at 09:30 - 10:45",
    ],
)
def test_figures_that_begin_with_a_nought_are_no_number_by_that(text: str) -> None:
    assert "PHONE_NUMBER" not in {type for type, _ in found(text)}


def test_addresses_with_a_port_after_a_full_stop_and_addresses_of_nobody() -> None:
    assert found("IP 192.168.7.44.443 > 203.0.113.99.51234: Flags [S]") == [
        ("IP_ADDRESS", "192.168.7.44"),
        ("IP_ADDRESS", "203.0.113.99"),
    ]
    assert found("oid 1.3.6.1.4.1.311 and 10.0.19041.1.2") == []
    assert found("it listens on ipv6 :: only") == [("IP_ADDRESS", "::")]
    assert found("use std::string or Foo:: here") == []
    assert found("broadcast ff:ff:ff:ff:ff:ff and 00:00:00:00:00:00") == []
    assert found("eui 00-1B-44-FF-FE-11-3A-B7") == [("MAC_ADDRESS", "00-1B-44-FF-FE-11-3A-B7")]


def test_postcodes_in_capitals_are_found_and_computers_are_none() -> None:
    assert found("from LS1 4DY to K1A 0B1") == [("UK_POSTCODE", "LS1 4DY"), ("CA_POSTAL_CODE", "K1A 0B1")]
    assert found("a MacBook M2 8GB, a PS5 1TB and an MP3 4GB") == []


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_words_count_with_accents_beside_their_letters_and_without_any(form: Literal["NFC", "NFD"]) -> None:
    for text in (
        "Mon numéro de téléphone : 01 23 45",
        "Führerschein: B072RRE2I55",
        "Número de conta bancária 00123456789",
    ):
        assert [said for _, said in found(unicodedata.normalize(form, text))] == [text[-len(found(text)[0][1]) :]]
    assert found("Mi numero de pasaporte es QRS224401") == [("ES_PASSPORT", "QRS224401")]


@pytest.mark.parametrize(
    "text",
    [
        '<input type="hidden" name="authenticity_token" value="Q7xk2mP9vT4nL8wR3zJ6aaBcD93k==" />',
        '<meta name="csrf-token" content="Q7xk2mP9vT4nL8wR3zJ6aaBcD93k">',
        'csrfmiddlewaretoken: "Q7xk2mP9vT4nL8wR3zJ6aaBcD93k"',
    ],
)
def test_what_a_page_carries_against_forged_requests_is_no_secret(text: str) -> None:
    assert found(text) == []
    assert found(
        text.replace("authenticity", "client").replace("csrf-", "api-").replace("csrfmiddlewaretoken", "token")
    )


@pytest.mark.parametrize("lead", ["to=", "value=", "**", "~~", "X='", "https://h.example/?a=", "f('", "ID#"])
def test_what_leads_up_to_an_address_is_no_part_of_it(lead: str) -> None:
    assert found(f"{lead}maria.k@post.example.org") == [("EMAIL_ADDRESS", "maria.k@post.example.org")]


@pytest.mark.parametrize(
    "address",
    [
        "o'brien@example.org",
        "prvs=12ab=jane@example.org",
        "bounce-jane=example.com@lists.example.org",
        "r&d@example.org",
        "_jane@example.org",
    ],
)
def test_addresses_with_unusual_signs_are_found_whole(address: str) -> None:
    assert found(f"write to {address} today") == [("EMAIL_ADDRESS", address)]


@pytest.mark.parametrize(
    "address",
    [
        "2001:db8:8000::/33",
        "fe80::/64",
        "fe80::1%eth0",
        "::ffff:192.0.2.7",
        "2001:db8:1:2:3:4:5:6",
        "1:2:3:4:5:6:7::",
        "2001:db8::",
    ],
)
def test_addresses_that_end_in_colons_are_found_whole(address: str) -> None:
    assert found(f"route to {address} via eth0") == [("IP_ADDRESS", address)]


def test_addresses_before_a_colon_are_found() -> None:
    assert found("3c:22:fb:12:ab:9e: link up") == [("MAC_ADDRESS", "3c:22:fb:12:ab:9e")]
    assert found("2001:db8::17: timed out") == [("IP_ADDRESS", "2001:db8::17")]
    assert found("3c:22:fb:12:ab:9e:aa:bb:cc") == []


@pytest.mark.parametrize("text", ["SKU 0012345678905", "1. 536 204 118", "1234 5678 9012 3456", "h = 6.62607015e-34"])
def test_figures_of_other_kinds_are_none_of_these(text: str) -> None:
    assert not {type for type, _ in found(text)} & {"PHONE_NUMBER", "CREDIT_CARD", "SG_UEN"}


def test_a_type_keeps_its_family_whoever_else_finds_it() -> None:
    kinds = known_types()
    assert (kinds["PHONE_NUMBER"].family, kinds["US_SSN"].family) == ("contact", "national")
    assert kinds["PHONE_NUMBER"].sensitivity is Sensitivity.CONFIDENTIAL
