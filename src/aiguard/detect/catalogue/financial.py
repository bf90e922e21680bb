"""Money: payment cards, bank accounts."""

from __future__ import annotations

import re
from hashlib import sha256
from importlib import import_module
from typing import Final

from aiguard.detect.catalogue.numbers import LABELLED, checked
from aiguard.scan import Recognizer
from aiguard.scan.recognizer import Validate

# ISO 13616 registry: country -> length of its IBAN.
IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30, "DZ": 26, "AO": 25, "BF": 28, "BJ": 28, "CF": 27, "CG": 27, "CI": 28, "CM": 27, "CV": 25, "GA": 27,
    "GQ": 27, "GW": 25, "IR": 26, "KM": 27, "MA": 28, "MG": 27, "ML": 28, "MZ": 25, "NE": 28, "SN": 28, "TD": 27,
    "TG": 28,
}  # fmt: skip


_PLAIN: Final = bytes.maketrans(b"0123456789", bytes(range(10)))
_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
"""A digit -> the cross total of its double."""

_NUMBERED: Final = str.maketrans({chr(code): str(code - 55) for code in range(65, 91)})
"""A capital -> its number from 10 on."""

_SEPARATORS: Final = str.maketrans("", "", " -.")


def luhn(digits: str) -> bool:
    """The mod 10 check of ISO/IEC 7812-1, annex B."""
    data = digits.encode("ascii")
    return (sum(data[-1::-2].translate(_PLAIN)) + sum(data[-2::-2].translate(_DOUBLED))) % 10 == 0


_RANGE_2: Final = (
    *(str(n) for n in (*range(2200, 2205), *range(2221, 2230))),
    *(str(n) for n in range(223, 230)),
    "23",
    "24",
    "25",
    "26",
    "270",
    "271",
    "2720",
)
_MAESTRO: Final = ("50", "56", "57", "58", "63", "67")
_LONG: Final = (*_MAESTRO, "4", "60", "62", "64", "65", "81", *(str(n) for n in range(3528, 3590)))
_ISSUED: Final = {
    12: _MAESTRO,
    13: ("4",),
    14: ("30", "36", "38", "39"),
    15: ("34", "37", "1800", "2131"),
    16: ("4", "5", "6", "35", "36", "38", "81", "82", "9792", *_RANGE_2),
    17: _MAESTRO,
    18: _LONG,
    19: _LONG,
}
"""Leading digits of cards by their length (ISO/IEC 7812 registrations of the card schemes)."""


def _card(text: str) -> bool:
    digits = text.translate(_SEPARATORS)
    if not digits.startswith(_ISSUED.get(len(digits), ())) or not luhn(digits) or len(set(digits)) < 2:
        return False
    if "." in text and ("-" in text or " " in text):
        return False
    if len(digits) in (12, 17) and len(digits) != len(text):
        return False  # Maestro's odd lengths are written in one run; in groups they are a part of other figures
    return len(digits) == len(text) or _grouped(
        [len(group) for group in text.replace("-", " ").replace(".", " ").split(" ") if group]
    )


def _grouped(sizes: list[int]) -> bool:
    """Cards are written in one run, in groups of two to six, in two halves, or digit by digit; not as arbitrary figures."""
    if len(sizes) == 1 or all(size == 1 for size in sizes):
        return True
    return min(sizes) >= 2 and (max(sizes) <= 6 or sizes in ([8, 8], [6, 10]))


def _iban(text: str) -> bool:
    separators = text.count(" ") + text.count("-") + text.count(".")
    if IBAN_LENGTHS.get(text[:2].upper()) != len(text) - separators:
        return False
    compact = text.translate(_SEPARATORS).upper()
    rearranged = compact[4:] + compact[:4]
    return int(rearranged.translate(_NUMBERED)) % 97 == 1


def _card_shape(text: str) -> bool:
    """As many digits in such groups as cards have, and no one digit over and over."""
    digits = text.translate(_SEPARATORS)
    groups = text.replace("-", " ").replace(".", " ").split()
    return 13 <= len(digits) <= 19 and len(set(digits)) > 2 and _grouped([len(group) for group in groups])


def _iban_shape(text: str) -> bool:
    """As many characters as the country's accounts have."""
    compact = text.translate(_SEPARATORS)
    length = IBAN_LENGTHS.get(compact[:2].upper())
    if length is None:  # a country without them, so somebody made it up; its end is where the figures end
        return all(any(map(str.isdigit, group)) for group in text.split()) and 15 <= len(compact) <= 34
    return length == len(compact) and len(set(compact)) > 4


def _bitcoin(text: str) -> bool:
    if text[:4].lower() == "bc1p":  # bech32m, which python-stdnum does not check yet
        return len(text) == 62
    return bool(import_module("stdnum.bitcoin").is_valid(text))


_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def _base58_testnet(text: str) -> bool:
    """A version byte of the test networks, twenty bytes and their checksum."""
    number = 0
    for char in text:
        number = number * 58 + _BASE58.index(char)
    if number >> 200:
        return False
    data = number.to_bytes(25, "big")
    return data[0] in (0x6F, 0xC4) and sha256(sha256(data[:21]).digest()).digest()[:4] == data[21:]


_MARK: Final = r"[ \-]?(?:</?[A-Za-z]{1,8}/?>|\*{1,3}|__?|`){1,4}[ \-]?"
_BETWEEN: Final = rf"(?:{_MARK}|[ \-])"
"""What stands between two groups of a number that somebody has set in bold, or put into cells of a table."""

_MARKED: Final = re.compile(r"[<*_`]")
_MARKS: Final = re.compile(r"</?[A-Za-z]{1,8}/?>|[*_` \-]+")


def _marked(validate: Validate) -> Validate:
    """``validate`` of what stays of a value without its markup, where it has any."""
    return lambda text: _MARKED.search(text) is not None and validate(_MARKS.sub("", text))


_CARD_LABELS: Final = (
    "card number", "card no", "credit card", "credit card number", "debit card", "debit card number", "card nr", "payment card", "visa",
    "mastercard", "amex", "american express", "cc number", "ccnum", "cc no", "pan", "kreditkarte", "kreditkartennummer", "kartennummer", "carte bancaire",
    "carte de crédit", "numéro de carte", "tarjeta", "tarjeta de crédito", "número de tarjeta", "carta di credito", "numero di carta", "cartão",
    "cartão de crédito", "número do cartão", "creditcard", "creditcardnummer", "kaartnummer", "kortnummer", "kreditkort", "luottokortti", "karta kredytowa",
    "numer karty", "číslo karty", "kart numarası", "kredi kartı", "номер карты", "кредитная карта", "信用卡", "信用卡号", "卡号", "クレジットカード", "カード番号",
    "카드번호", "신용카드", "رقم البطاقة", "बैंक कार्ड",
)  # fmt: skip

RECOGNIZERS = (
    Recognizer(
        name="credit_card",
        type="CREDIT_CARD",
        pattern=r"\b(?:1[ \-.]?8[ \-.]?0[ \-.]?0(?:[ \-.]?\d){11}|[2-689](?:[ \-.]?\d){11,18})\b",
        validate=_card,
        shrink=3,
        base_score=0.9,
        labels=_CARD_LABELS,
        labelled_score=LABELLED,
        plausible=_card_shape,
        max_length=40,
        priority=70,
        source="ISO/IEC 7812-1",
        examples=(
            "4111 1111 1111 1111",
            "qty 2 4111-1111-1111-1111",
            "378282246310005",
            "4111 1111 1111 1111 2",
        ),
        counter_examples=(
            "4111 1111 1111 1112",
            "0000 0000 0000 0000",
            "1234567890123",
        ),
    ),
    Recognizer(
        name="credit_card_marked",
        type="CREDIT_CARD",
        pattern=rf"\b[2-6]\d{{3}}(?:[ \-]\d{{4,6}}){{0,2}}{_MARK}\d{{4,6}}(?:{_BETWEEN}\d{{4,6}}){{0,2}}\b",
        validate=_marked(_card),
        base_score=0.85,
        max_length=190,
        priority=70,
        source="ISO/IEC 7812-1, within HTML and Markdown",
        examples=(
            "4111 <b>1111</b> 1111 1111",
            "<td>3782</td><td>822463</td><td>10005</td>",
            "4111-**1111**-1111-1111",
        ),
        counter_examples=("4111 <b>1111</b> 1111 1112", "4111 <b>1111</b> 1111"),
    ),
    Recognizer(
        name="iban_marked",
        type="IBAN_CODE",
        pattern=rf"\b[A-Z]{{2}}\d{{2}}(?:[ \-][A-Z0-9]{{4}}){{0,6}}{_MARK}[A-Z0-9]{{1,4}}(?:{_BETWEEN}[A-Z0-9]{{1,4}}){{0,7}}\b",
        validate=_marked(_iban),
        base_score=0.9,
        max_length=470,
        priority=70,
        source="ISO 13616, within HTML and Markdown",
        examples=("<b>DE89</b> 3704 0044 0532 0130 00", "|DE89`3704`0044`0532`0130`00"),
        counter_examples=("<b>DE88</b> 3704 0044 0532 0130 00",),
    ),
    Recognizer(
        name="credit_card_column",
        type="CREDIT_CARD",
        pattern=r"\b([2-689]\d{11,18})\.0{1,2}\b",
        validate=_card,
        base_score=0.9,
        max_length=22,
        priority=70,
        source="ISO/IEC 7812-1, as a column of decimal numbers is written out",
        examples=("4111111111111111.0", "jane,378282246310005.00,x"),
        counter_examples=("4111111111111112.0", "4111111111111111.5", "0.4111111111111111"),
    ),
    Recognizer(
        name="credit_card_travel",
        type="CREDIT_CARD",
        pattern=r"\b1\d{3}[ \-]?\d{5}[ \-]?\d{6}\b",
        validate=lambda text: luhn("".join(filter(str.isdigit, text))),
        context=(
            "card",
            "credit card",
            "card number",
            "uatp",
            "airplus",
            "carte",
            "karte",
            "tarjeta",
            "cartão",
            "carta",
        ),
        base_score=0.1,
        context_score=0.8,
        context_window=24,
        max_length=17,
        priority=69,
        source="ISO/IEC 7812-1, airlines' numbers (UATP), after words for a card",
        examples=("credit card 1220 00000 000003",),
        counter_examples=("qty 122000000000003", "card 122000000000004"),
    ),
    Recognizer(
        name="crypto_base58_testnet",
        type="CRYPTO",
        pattern=r"\b[mn2][1-9A-HJ-NP-Za-km-z]{25,34}\b",
        validate=_base58_testnet,
        base_score=0.8,
        max_length=35,
        priority=66,
        source="Bitcoin base58check, test networks",
        examples=("send to mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn",),
        counter_examples=("send to mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfm",),
    ),
    Recognizer(
        name="iban_code",
        type="IBAN_CODE",
        pattern=r"\b[A-Za-z]{2}[ \-]?\d{2}(?:[ \-]?[A-Za-z0-9]){11,30}\b",
        validate=_iban,
        shrink=18,  # what follows may be many short words
        base_score=0.95,
        labels=(
            "iban",
            "iban number",
            "iban code",
            "iban nr",
            "iban no",
            "bank account",
            "account number",
            "kontonummer",
        ),
        labelled_score=LABELLED,
        plausible=_iban_shape,
        max_length=70,
        priority=75,
        source="ISO 13616",
        examples=(
            "DE89 3704 0044 0532 0130 00",
            "pay GB82WEST12345698765432 today",
            "an MK07250120000058984 und rufen Sie mich unter der Nummer an",
            "NL91-ABNA-0417-1643-00",
        ),
        counter_examples=("DE89 3704 0044 0532 0130 01", "XX89370400440532013000"),
    ),
    Recognizer(
        name="crypto_address",
        type="CRYPTO",
        pattern=r"\b(?:[13][1-9A-HJ-NP-Za-km-z]{25,34}|bc1[02-9ac-hj-np-z]{11,71}|BC1[02-9AC-HJ-NP-Z]{11,71})\b",
        validate=_bitcoin,
        base_score=0.9,
        max_length=80,
        priority=66,
        source="Bitcoin base58check and BIP 173, BIP 350",
        examples=("16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"),
        counter_examples=("16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyY",),
    ),
    Recognizer(
        name="ethereum_address",
        type="CRYPTO",
        pattern=r"\b0x[0-9a-fA-F]{40}\b",
        base_score=0.7,
        max_length=42,
        priority=66,
        source="Ethereum, EIP-55",
        examples=("0x52908400098527886E0F7030069857D2E4169EE7",),
        counter_examples=("0x5290840009852788",),
    ),
    Recognizer(
        name="crypto_testnet",
        type="CRYPTO",
        pattern=r"\b(?:tb1|bcrt1)[02-9ac-hj-np-z]{25,71}\b",
        base_score=0.8,
        max_length=80,
        priority=66,
        source="Bitcoin BIP 173, test networks",
        examples=("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",),
        counter_examples=("tb1qw508d6",),
    ),
    Recognizer(
        name="creditor_reference",
        type="CREDITOR_REFERENCE",
        pattern=r"\bRF\d{2}(?:[ ]?[A-Z0-9]){5,21}\b",
        validate=checked("iso11649"),
        shrink=4,
        base_score=0.6,
        max_length=48,
        priority=57,
        source="ISO 11649",
        examples=("pay RF18 5390 0754 7034 please",),
        counter_examples=("RF18539007547035", "RF18"),
    ),
    Recognizer(
        name="creditor_identifier",
        type="CREDITOR_IDENTIFIER",
        pattern=r"\b[A-Z]{2}[ ]?\d{2}[ ]?[A-Z0-9]{3}[ ]?[A-Z0-9]{6,28}\b",
        validate=checked("eu.at_02"),
        context=(
            "creditor identifier",
            "creditor id",
            "sepa creditor",
            "gläubiger id",
            "gläubiger identifikationsnummer",
            "ics",
            "identifiant créancier",
            "identificador del acreedor",
            "incassant id",
            "codice identificativo del creditore",
            "identifier of the creditor",
        ),
        base_score=0.1,
        context_score=0.9,
        alone_score=0.55,
        max_length=48,
        priority=56,
        source="European Payments Council, EPC262-08, AT-02",
        examples=("Gläubiger-ID ES23ZZZ47690558N",),
        counter_examples=("Gläubiger-ID ES24ZZZ47690558N", "build ES23ZZZ47690558N"),
    ),
)
