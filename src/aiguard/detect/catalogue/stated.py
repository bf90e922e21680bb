"""Values that a sentence states outright, and texts that are nothing but a code.

``My ID number is BS98 1TL``, ``A1234567 is my passport number``: who names a value and says what it is leaves no doubt, however
short the value is, so nothing is asked of it but that it is no ordinary word. What somebody answers with ``K4218285`` and nothing
else is the number that was asked for.
"""

from __future__ import annotations

import re
from typing import Final

from aiguard.detect import phones
from aiguard.detect.catalogue.numbers import ordinary
from aiguard.scan import Recognizer
from aiguard.scan.recognizer import Validate

WINDOW: Final = 40
"""Characters before a value in which its name ends: what joins them stands right before it."""

_IS: Final = r"(?i:[ ]?[:=#][ ]?|[ ](?:is|was|ist|lautet|war|est|es|è|é|jest|är|er)[ ]?:?[ ])"
"""What joins a name and its value, in the languages of the names."""

_IS_MY: Final = (
    r"(?i:[ ](?:is|was|ist|war|est|es|è|é|jest)"
    r"[ ](?:my|our|his|her|their|the|your|mein|meine|unsere|mon|ma|mi|su|il mio|la mia|o meu|a minha|mijn)[ ])"
)
_STATED_AS: Final = _IS_MY.replace("|il mio", "|el|es|mój|moj|il mio")
_SHAPED: Final = {
    "ES_PASSPORT": "AAA123456", "IT_PASSPORT": "AA1234567", "PL_PASSPORT": "AA1234567", "IN_PASSPORT": "A2345678", "US_PASSPORT": "A12345678",
}  # fmt: skip
_VALUE: Final = r"[A-Za-z0-9]{1,20}(?:[ .\-/][A-Za-z0-9]{1,12}){0,4}"

# type, names of the value, least letters and digits, whether it may be all capitals, example, counter-example
_STATED: Final = (
    (
        "ID_NUMBER",
        (
            "id number", "id no", "id card number", "identity number", "identity card number", "identification number", "national id",
            "national id number", "national identity number", "national identification number", "personal id", "personal identity code",
            "personal identity number", "personal number", "citizen number", "resident number", "ausweisnummer", "personalausweisnummer",
            "identifikationsnummer", "numéro d'identité", "número de identidad", "número de documento", "número de identificación",
            "numero di identità", "numero della carta d'identità", "número de identificação", "identiteitsnummer", "numer dowodu",
        ),
        4, False, "My ID number is BS98 1TL.", "My ID number is not written here",
    ),
    (
        "PASSPORT",
        (
            "passport number", "passport no", "passport id", "passport", "reisepassnummer", "passnummer", "numéro de passeport",
            "número de pasaporte", "numero di passaporto", "número do passaporte", "paspoortnummer", "numer paszportu",
        ),
        6, False, "My passport number is 08AB12123.", "the passport is valid until 2031",
    ),
    (
        "DRIVER_LICENSE",
        (
            "driving licence number", "driver's license number", "drivers license number", "driver license number", "driver's licence number",
            "licence number", "führerscheinnummer", "numéro de permis de conduire", "número de licencia", "numero di patente", "rijbewijsnummer",
        ),
        5, False, "her licence number is U1K711J11M", "the licence number is missing",
    ),
    (
        "VAT_ID",
        (
            "vat number", "vat no", "vat id", "vat registration number", "vat identification number", "umsatzsteuer id", "ust idnr", "ust id",
            "numéro de tva", "número de iva", "partita iva", "btw nummer", "gst number",
        ),
        4, False, "Our VAT number is RO12.", "our VAT number is on page 12",
    ),
    (
        "TAX_ID",
        (
            "tax id", "tax number", "tax id number", "tax identification number", "taxpayer identification number", "tax reference number",
            "steuernummer", "steuer id", "steueridentifikationsnummer", "numéro fiscal", "número fiscal", "número de identificación fiscal",
            "codice fiscale", "número de contribuinte",
        ),
        5, False, "My tax identification number is 54237A.", "tax number: see page 2",
    ),
    (
        "LICENSE_PLATE",
        (
            "license plate", "licence plate", "number plate", "registration plate", "license plate number", "plate number", "kennzeichen",
            "nummernschild", "plaque d'immatriculation", "matrícula", "targa", "kenteken", "placa",
        ),
        3, True, "The licence plate is ABCDEFG.", "The licence plate is dirty",
    ),
    (
        "POSTAL_CODE",
        (
            "postal code", "post code", "postcode", "zip code", "postleitzahl", "code postal", "código postal", "codice postale",
        ),
        3, False, "my postcode is VLT 2345", "the postcode is wrong in 3 letters",
    ),
)  # fmt: skip

# type, shape, names of the value in the country's languages
_PASSPORTS: Final = (
    ("ES_PASSPORT", r"[A-Z]{3}\d{6}", "número de pasaporte|numero de pasaporte|pasaporte|passport number|passport"),
    ("IT_PASSPORT", r"[A-Z]{2}\d{7}", "numero di passaporto|passaporto"),
    ("PL_PASSPORT", r"[A-Z]{2}\d{7}", "numer paszportu|paszport"),
    ("IN_PASSPORT", r"[A-Z]\d{7}", "indian passport number|indian passport"),
    ("US_PASSPORT", r"[A-Z0-9]\d{8}", "passport number|passport"),
)

_PHONES: Final = (
    "phone number", "phone", "mobile number", "mobile", "cell number", "cell", "telephone number", "number", "telefonnummer", "handynummer",
    "nummer", "numéro de téléphone", "numéro", "portable", "número de teléfono", "teléfono", "móvil", "número", "numero di telefono", "numero",
    "telemóvel", "telefoonnummer",
)  # fmt: skip

_DATE: Final = re.compile(
    r"(?:19|20)\d\d[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ](?:19|20)?\d\d|\d{1,2}[ ][A-Za-z]{3,9}[ ]\d{4}"
)
_AMOUNT: Final = re.compile(
    r"(?i)\d{1,6}(?:[ \-.]?(?:st|nd|rd|th|am|pm|km|kg|mm|cm|mb|gb|tb|kb|hz|ms|px|pt|eur|usd|gbp))"
)
_TICKET: Final = re.compile(r"[A-Za-z]{3,}[-/ ]?\d{1,5}(?:[-/ ]\d{1,4})?|[Vv]?\d+(?:\.\d+)+[a-z]?\d*")
_TIME: Final = re.compile(r"\d{6,8}[Tt]\d{4,6}[Zz]?|\d{4}-\d\d-\d\d[Tt].*")
_HEX: Final = re.compile(r"(?:0x)?[0-9a-f]+(?:-[0-9a-f]+){0,4}|[0-9A-F]{8}-(?:[0-9A-F]{4}-){3}[0-9A-F]{12}")


def _stated(least: int, *, capitals: bool) -> Validate:
    """Letters and digits enough for a value, and no group of it a word."""

    def valid(text: str) -> bool:
        groups = re.split(r"[ .\-/]", text)
        digits = sum(map(str.isdigit, text))
        if sum(map(str.isalnum, text)) < least or _DATE.fullmatch(text) or _AMOUNT.fullmatch(text):
            return False
        if any(group.isalpha() and not (len(group) <= 3 and group.isupper()) for group in groups):
            return capitals and len(groups) == 1 and text.isupper() and 4 <= len(text) <= 8
        return digits >= 2

    return valid


def _code(text: str) -> bool:
    """A code that somebody gives out: letters of one case and five digits at least, and nothing else that is written so.

    What stands between its groups is gone by then (:func:`aiguard.scan.views.compacted`).
    """
    letters = [char for char in text if char.isalpha()]
    digits = sum(map(str.isdigit, text))
    if not 1 <= len(letters) <= 8 or digits < 5 or not 6 <= len(letters) + digits <= 20:
        return False
    runs = re.findall(r"[A-Za-z]+", text)
    if len(runs) > 4 or any(len(run) > (5 if run.isupper() else 2) for run in runs):
        return False
    if not ("".join(letters).isupper() or "".join(letters).islower()):
        return False
    return not any(form.fullmatch(text) for form in (_DATE, _AMOUNT, _TICKET, _TIME, _HEX))


def _counted_by_nobody(text: str) -> bool:
    """Figures that are no round amount, no seconds since 1970, no day, and not counted up."""
    seconds = len(text) in (10, 13, 16, 19) and text[0] == "1" and text[1] in "3456789"
    return not (seconds or text.endswith("000") or ordinary(text)) and len(set(text)) > 3


def _any_of(names: tuple[str, ...]) -> str:
    return "|".join(sorted((re.escape(name).replace(r"\ ", r"[ \-]") for name in names), key=len, reverse=True))


RECOGNIZERS = (
    *(
        Recognizer(
            name=f"{type.lower()}_stated",
            type=type,
            pattern=rf"{_IS}[\"'(\[]?({_VALUE})\b",
            validate=_stated(least, capitals=capitals),
            context=names,
            base_score=0.1,
            context_score=0.6,
            context_window=WINDOW,
            max_length=130,
            shrink=4,
            priority=23,
            source="a sentence that states it",
            examples=(example,),
            counter_examples=(counter,),
        )
        for type, names, least, capitals, example, counter in _STATED
    ),
    *(
        Recognizer(
            name=f"{type.lower()}_stated_before",
            type=type,
            pattern=rf"\b((?:[A-Z]{{1,3}}[ ]|[A-Za-z]{{1,3}})?\d[A-Za-z0-9]{{1,19}}(?:[ .\-/]\d[A-Za-z0-9]{{0,11}}|[\-/.][A-Z]{{1,3}}){{0,4}}){_IS_MY}(?i:{_any_of(names)})\b",
            validate=_stated(max(least, 5), capitals=False),
            base_score=0.6,
            max_length=160,
            priority=23,
            source="a sentence that states it",
            examples=(f"AB123456 is my {names[0]}",),
            counter_examples=(f"2019 is my {names[0]}",),
        )
        for type, names, least, capitals, example, counter in _STATED
    ),
    *(
        Recognizer(
            name=f"{type.lower()}_stated_before",
            type=type,
            pattern=rf"\b({shape}){_STATED_AS}(?i:{names})\b",
            base_score=0.62,
            max_length=80,
            priority=35,
            source="a sentence that states it, in a language of the country",
            examples=(f"{_SHAPED[type]} is my {names.partition('|')[0]}",),
            counter_examples=(f"{_SHAPED[type]} is my ticket",),
        )
        for type, shape, names in _PASSPORTS
    ),
    Recognizer(
        name="phone_stated_before",
        type="PHONE_NUMBER",
        pattern=rf"(\+?(?:\(0?\d{{1,4}}\)|\b\d)(?:[ ().\-/]{{0,2}}\d){{6,14}}){_IS_MY}(?i:{_any_of(_PHONES)})\b",
        validate=phones.national,
        base_score=0.7,
        max_length=110,
        priority=24,
        source="a sentence that states it",
        examples=("7911123456 is my mobile number", "0171 1234567 ist meine Nummer"),
        counter_examples=("2019 is the number", "7911123456 is my order number"),
    ),
    Recognizer(
        name="us_ssn_stated_before",
        type="US_SSN",
        pattern=rf"\b(\d{{3}}[ .\-]?\d{{2}}[ .\-]?\d{{4}}){_IS_MY}(?i:social[ ]security[ ]number|social[ ]security|ssn|social)\b",
        base_score=0.8,
        max_length=60,
        priority=64,
        source="a sentence that states it",
        examples=("536904399 is my social security number",),
        counter_examples=("536904399 is my order number",),
    ),
    Recognizer(
        name="code_alone",
        type="ID_NUMBER",
        pattern=r"\b[A-Za-z0-9]{6,20}\b",
        validate=_code,
        base_score=0.1,
        context_score=0.1,
        alone_score=0.51,
        max_length=20,
        priority=5,
        source="a text that is nothing but a code",
        examples=("K4218285", "A16175958", "08AB12123", "CZ12345678", "DO12345678901"),
        counter_examples=(
            "ISO9001",
            "RFC 2616",
            "ABC-1234",
            "v1.2.34567",
            "20231124T101530Z",
            "9f86d081884c7d65",
            "100000km",
            "see K4218285",
        ),
    ),
    Recognizer(
        name="license_plate_east_asia",
        type="LICENSE_PLATE",
        pattern=(
            r"(?:[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z][·• ]?[A-HJ-NP-Z0-9]{5,6}"
            r"|[가-힣]{0,2}[ ]?\d{2,3}[가-힣][ ]?\d{4}|[一-龯]{1,4}[ ]?\d{2,3}[ ]?[ぁ-ん][ ]?\d{2}-\d{2}|[ก-ฮ]{2}[ \-]\d{4})"
        ),
        validate=lambda text: sum(map(str.isdigit, text)) >= 3,
        context=("车牌", "車牌", "ナンバー", "차량번호", "번호판", "ทะเบียน", "license plate", "licence plate", "plate"),
        base_score=0.1,
        context_score=0.7,
        alone_score=0.53,
        context_window=24,
        max_length=20,
        priority=26,
        source="China, GA 36-2018; Korea, Motor Vehicle Management Act; Japan, Road Transport Vehicle Act; Thailand, Motor Vehicle Act",
        examples=("京A·12345", "12가 3456", "品川 500 あ 12-34", "ทะเบียน กก 1234"),
        counter_examples=("在京A12345", "12가 34"),
    ),
    Recognizer(
        name="license_plate_cyrillic",
        type="LICENSE_PLATE",
        pattern=r"[АВЕКМНОРСТУХ][ ]?\d{3}[ ]?[АВЕКМНОРСТУХ]{2}[ ]?\d{2,3}\b",
        base_score=0.6,
        max_length=12,
        priority=26,
        source="Russia, GOST R 50577-2018",
        examples=("номер А123ВС77", "м 005 А005АА 199"),
        counter_examples=("А12ВС77", "ЯА123ВС77"),
    ),
    Recognizer(
        name="license_plate_arabic",
        type="LICENSE_PLATE",
        pattern=r"(?:[ء-ي][ ]?){1,3}[0-9٠-٩]{3,4}",
        context=("رقم اللوحة", "لوحة", "لوحة السيارة", "license plate", "licence plate", "plate"),
        base_score=0.1,
        context_score=0.7,
        context_window=24,
        max_length=12,
        priority=26,
        source="Saudi Arabia and Egypt, plates of three letters and figures",
        examples=("رقم اللوحة د ك د ٤٠١٤",),
        counter_examples=("عام د ك د ٤٠١٤",),
    ),
    Recognizer(
        name="digits_alone",
        type="ID_NUMBER",
        pattern=r"\b\d{9,18}\b",
        validate=_counted_by_nobody,
        base_score=0.1,
        context_score=0.1,
        alone_score=0.505,
        max_length=18,
        priority=4,
        source="a text that is nothing but figures, too many for an amount",
        examples=("537190462",),
        counter_examples=(
            "123456789",
            "100000000",
            "1718000123",
            "1718000123456",
            "20231124",
            "see 537190462",
            "555555555",
        ),
    ),
    Recognizer(
        name="license_plate_alone",
        type="LICENSE_PLATE",
        pattern=(
            r"\b(?:[A-ZÄÖÜ]{1,3}[ \-][A-Z]{1,2}[ \-]\d{1,4}(?:[ \-]?[EH])?|\d{2}[ \-][A-Z]{2}[ \-]\d{2}|[A-Z]{2}[ \-]\d{2}[ \-]\d{2}"
            r"|\d{2}[ \-]\d{2}[ \-][A-Z]{2}|[A-Z]{2}-\d{3}-[A-Z]{2}|[A-Z]{3}[ ]?\d[A-Z]\d{2}|\d{1,2}-[A-Z]{2,3}-\d{1,2})\b"
        ),
        base_score=0.1,
        context_score=0.1,
        alone_score=0.53,
        max_length=16,
        priority=8,
        source="registration plates of Germany, the Netherlands, Portugal, France and Brazil, for a text that is nothing but one",
        examples=("M AB 1234", "12-AA-34", "AB-123-CD", "FS AB 1234 E", "ABC1D23"),
        counter_examples=("see M AB 1234", "MAB1234", "PS 5"),
    ),
)
