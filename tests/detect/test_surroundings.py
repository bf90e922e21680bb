"""What stands around figures says whose they are: names of their own, other numbers beside them, what is sold, pairs in columns."""

from __future__ import annotations

import pytest

from aiguard.detect import default_detector


def found(text: str) -> list[tuple[str, str]]:
    return [(f.type, text[f.start : f.end]) for f in default_detector().detect(text)]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Jens, 71 40 23 58, Havnegade 4", "71 40 23 58"),
        ("you get hold of us at 584 3370 until five", "584 3370"),
        ("4711;Wong;Mei;6712 8840;HK;active", "6712 8840"),
        ("Best regards,\nMei Wong\n6712 8840 | mei@wong.example", "6712 8840"),
        ("--\nJens Holm\nT 71402358\nholm.example", "71402358"),
        ("Holm & Co | M: 71 40 23 58", "71 40 23 58"),
        ("escríbeme, estoy en 678 40 23 58 toda la mañana", "678 40 23 58"),
        ("Zavolejte mi na 777 402 358.", "777 402 358"),
        ("请拨打6712 8840联系我", "6712 8840"),
        ("MOB 584 3370", "584 3370"),
    ],
)
def test_a_number_without_a_trunk_prefix_is_known_by_its_groups(text: str, number: str) -> None:
    assert ("PHONE_NUMBER", number) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "values 71 40 23 58 12 90 33",
        "x 71 40 23 58\n  12 90 33 17",
        "<Buffer 71 40 23 58>",
        "63 18 68 30 d0",
        "drawn: 12 23 34 48",
        "between 1914 1918 and after",
        "row 7, 584 3370 12",
        "ISO 584-3370 says",
        "$ 6712 8840",
        "U+1E9B => 0073 0323",
        "Suite 584 3370 Elm Street",
        "Closes: #584337 after a call",
        "住所 〒584-3370",
        '"GET /v2/users?page=3 HTTP/1.1" 200 2326 "-"',
        "GET /v2/users 200 2326 12ms",
        'phone: "", retries: 3, timeoutMs: 120000',
        "phone list of policy 2024-778812",
        "call stack overflow (CVE-2026-9358)",
        "called Nov-22-1996",
        "called at 13:11:03 1993",
        "l-595 -172 227 -355 470 174 -90 356",
        "0390; 0399 0308 0301; 0399",
        'phone.svg viewBox="0.00 0.00 1771.00 775.00"',
        "bank account, 2003-2012 Jane Roe",
    ],
)
def test_figures_beside_other_figures_are_no_telephone(text: str) -> None:
    assert found(text) == []


def test_a_value_has_the_name_of_its_own_key_only() -> None:
    assert found('{"phone": null, "created_at": 1718004123}') == []
    assert found('{"order": 5, "phone": "0341 838 71"}') == [("PHONE_NUMBER", "0341 838 71")]
    assert found('{"type": "phone", "value": "0341 838 71"}') == [("PHONE_NUMBER", "0341 838 71")]


def test_a_date_of_birth_is_the_first_date_behind_its_name() -> None:
    text = "Agent: your date of birth?\nCaller: Yes, it's March 14, 1979. I moved on 2 May 2020."
    assert found(text) == [("DATE_OF_BIRTH", "March 14, 1979")]


def test_a_name_speaks_for_the_value_behind_it_and_not_for_the_next() -> None:
    assert found("Patient ID: 00482913\nRoom 128/8233") == [("HEALTH_ID", "00482913")]
    assert found("MRN 00482913. BP 128/8233") == [("HEALTH_ID", "00482913")]
    assert found("[10:02] agent: your patient ID?\n[10:03] customer: 00482913") == [("HEALTH_ID", "00482913")]


def test_what_is_sold_has_numbers_like_those_of_people() -> None:
    assert found("AB123456C") == [("UK_NINO", "AB123456C")]
    assert found("SKU | price\nAB123456C | 14.50\nS6398027G | 3.10") == []
    assert found("SKU list sent; her NINO is AB123456C") == [("UK_NINO", "AB123456C")]


def test_a_national_insurance_number_of_any_kind_is_found_behind_its_name() -> None:
    assert found("my NI number is QQ 12 34 56 C") == [("UK_NINO", "QQ 12 34 56 C")]
    assert found("part QQ 12 34 56 C") == []


def test_an_address_behind_a_path_with_a_version_is_one() -> None:
    assert found("POST /v1/login 200 34ms ip=203.0.113.77") == [("IP_ADDRESS", "203.0.113.77")]
    assert found("upgrade to version 4.12.0.9") == []


@pytest.mark.parametrize(
    "text",
    [
        "geboren op 3 maart 1985",
        "urodzony, data urodzenia 3 marca 1985",
        "дата рождения 3 марта 1985",
        "doğum tarihi 3 mart 1985",
        "syntymäaika 3. maaliskuuta 1985",
    ],
)
def test_a_date_of_birth_is_found_with_the_months_of_its_language(text: str) -> None:
    assert [type for type, _ in found(text)] == ["DATE_OF_BIRTH"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("it is 4111 <b>1111</b> 1111 1111, thanks", ("CREDIT_CARD", "4111 <b>1111</b> 1111 1111")),
        ("4111-**1111**-1111-1111", ("CREDIT_CARD", "4111-**1111**-1111-1111")),
        (
            "<tr><td>NL91</td><td>ABNA</td><td>0417</td><td>1643</td><td>00</td></tr>",
            ("IBAN_CODE", "NL91</td><td>ABNA</td><td>0417</td><td>1643</td><td>00"),
        ),
        ("<p>Tel.: <strong>0341 838 71 76</strong></p>", ("PHONE_NUMBER", "0341 838 71 76")),
    ],
)
def test_a_value_is_found_with_markup_inside_and_around_it(text: str, value: tuple[str, str]) -> None:
    assert found(text) == [value]
