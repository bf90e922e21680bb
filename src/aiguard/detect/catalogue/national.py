"""Numbers that states give to people: the United States first, then others whose check digits can be verified.

A number without letters is reported without context only where its layout and check digits make chance unlikely;
everything else needs the words that people write before it. The check digits are ``python-stdnum``'s, imported when
the first candidate of a kind is met.
"""

from __future__ import annotations

import re
from typing import Final

from aiguard.detect.catalogue import checks
from aiguard.detect.catalogue.numbers import (
    ALONE,
    ARTICLES,
    GENERAL,
    LABELLED,
    WEAK,
    checked,
    labels_of,
    ordinary,
    spoken_of,
    whole,
)
from aiguard.detect.catalogue.written import loosened
from aiguard.scan import Recognizer
from aiguard.scan.engine import THRESHOLD

_SSN_CONTEXT: Final = ("ssn", "social security", "social security number", "soc sec", "ss#", "ssid", "social")


def _ssn(text: str) -> bool:
    digits = "".join(char for char in text if char.isdigit())
    if len(digits) != 9 or digits in ("078051120", "219099999"):
        return False
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000" and len(set(digits)) > 1


_GLUED: Final = re.compile(r"(?i)(?<![a-z])(?:is|on|är|ist|id|no|nr|code|hetu|tunnus)\Z")
"""Words that people forget the space behind: a number whose layout and check give it away counts there too."""


def _hetu(text: str) -> bool:
    """The check character of a Finnish personal identity code, temporary numbers (9xx) and the signs of 2023 included."""
    digits = text[:6] + text[7:10]
    return (
        1 <= int(text[:2]) <= 31
        and 1 <= int(text[2:4]) <= 12
        and "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(digits) % 31] == text[10].upper()
    )


def _rrn(text: str) -> bool:
    """A date of birth; numbers issued since October 2020 have no check digit."""
    return 1 <= int(text[2:4]) <= 12 and 1 <= int(text[4:6]) <= 31


# Of these fewer than one ordinary number in fifty passes, so a text that is nothing but one is reported.
_ALONE: Final = frozenset({"au_abn", "br_cpf_plain", "de_tax_id", "pl_pesel", "se_personnummer_plain"})

# name, type, pattern, stdnum module or check, words before it, score without them, source, example, counter-example
_CHECKED: Final = (
    ("us_itin", "US_ITIN", r"\b9\d{2}-[5-9]\d-\d{4}\b", checks.individual_taxpayer, ("itin", "taxpayer", "individual taxpayer"), 0.8, "US IRS", "912-90-3456", "912-10-3456"),
    ("us_itin_plain", "US_ITIN", r"\b9\d{2}[ \-]?[5-9]\d[ \-]?\d{4}\b", checks.individual_taxpayer, ("itin number", "itin no", "itin is", "itin:", "my itin", "the itin", "individual taxpayer"), 0.1, "US IRS", "ITIN number 912903456", "qty 912903456"),
    ("us_aba", "ABA_ROUTING_NUMBER", r"\b[0123678]\d{3}-?\d{4}-?\d\b", checks.routing, ("aba", "routing", "routing number", "rtn", "transit"), 0.1, "American Bankers Association", "routing number 111000025", "qty 111000025"),
    ("uk_nhs", "UK_NHS", r"\b\d{3}[ \-]?\d{3}[ \-]?\d{4}\b", "gb.nhs", ("nhs", "nhs number", "national health"), 0.1, "NHS Data Dictionary", "NHS number 943 476 5870", "943 476 5871"),
    ("ca_sin", "CA_SIN", r"\b[1-9]\d{2}-\d{3}-\d{3}\b", "ca.sin", ("sin", "social insurance", "nas"), 0.6, "Service Canada", "123-456-782", "123-456-783"),
    ("es_nif", "ES_NIF", r"(?i)\b\d{8}[ \-]?[A-Z]\b", "es.dni", ("dni", "nif", "documento", "número de identificación fiscal", "documento nacional de identidad"), 0.75, "Spain, Real Decreto 1553/2005", "54362315K", "54362315Z"),
    ("es_nie", "ES_NIE", r"(?i)\b[XYZ][ \-]?\d{7}[ \-]?[A-Z]\b", "es.nie", ("nie", "extranjero"), 0.8, "Spain, Ministerio del Interior", "X-2482300W", "X-2482300A"),
    ("it_fiscal_code", "IT_FISCAL_CODE", r"(?i)\b[A-Z]{6}\d{2}[ABCDEHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b", "it.codicefiscale", ("codice fiscale", "tax code", "c.f.", "cod. fisc", "cod fisc"), 0.9, "Italy, Agenzia delle Entrate", "RCCMNL83S18D969H", "RCCMNL83S18D969"),
    ("pl_pesel", "PL_PESEL", r"\b\d{11}\b", "pl.pesel", ("pesel",), 0.1, "Poland, PESEL", "PESEL: 44051401359", "44051401358"),
    ("de_tax_id", "DE_TAX_ID", r"\b\d{2}[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}\b", "de.idnr", ("steuer-id", "steuer id", "steueridentifikationsnummer", "steuernummer", "idnr", "id nr", "tax id", "tin", "steuerliche identifikationsnummer", "personal tax number"), 0.1, "Germany, § 139b AO", "Steuer-ID 36 574 261 809", "qty 36574261809"),
    ("se_personnummer", "SE_PERSONNUMMER", r"\b(?:19|20)?\d{6}[\-+]\d{4}\b", "se.personnummer", ("personnummer",), 0.7, "Sweden, Skatteverket", "880320-0016", "880320-0018"),
    ("in_aadhaar", "IN_AADHAAR", r"\b[2-9]\d{3}[ \-:]\d{4}[ \-:]\d{4}\b", checks.aadhaar, ("aadhaar", "aadhar", "uid"), 0.7, "India, UIDAI (Verhoeff)", "2341-2341-2346", "2341-2341-2347"),
    ("in_pan", "IN_PAN", r"\b[A-Z]{3}[ABCFGHLJPTK][A-Z]\d{4}[A-Z]\b", "in_.pan", ("pan", "permanent account"), 0.7, "India, Income Tax Department", "ACUPA7085R", "ACUXA7085R"),
    ("in_aadhaar_plain", "IN_AADHAAR", r"\b[2-9]\d{3}[ ]?\d{4}[ ]?\d{4}\b", checks.aadhaar, ("aadhaar", "aadhar", "aadhaar number"), 0.1, "India, UIDAI (Verhoeff)", "Aadhaar 234123412346", "qty 234123412346"),
    ("se_personnummer_plain", "SE_PERSONNUMMER", r"\b(?:1[89]|20)?\d{10}\b", "se.personnummer", ("personnummer", "pnr", "personal identity", "personal identity code", "identity code", "personal number", "personal identity number"), 0.1, "Sweden, Skatteverket", "personnummer 8803200016", "qty 8803200016"),
    ("br_cpf", "BR_CPF", r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b", "br.cpf", ("cpf", "cadastro de pessoas físicas", "cadastro de pessoa física"), 0.9, "Brazil, Receita Federal", "390.533.447-05", "390.533.447-06"),
    ("br_cpf_plain", "BR_CPF", r"\b\d{11}\b", "br.cpf", ("cpf", "cadastro de pessoas físicas", "cadastro de pessoa física"), 0.1, "Brazil, Receita Federal", "CPF 39053344705", "qty 39053344705"),
    ("ca_sin_plain", "CA_SIN", r"\b[1-9]\d{2}[ ]?\d{3}[ ]?\d{3}\b", "ca.sin", ("sin", "social insurance", "social insurance number", "nas"), 0.1, "Service Canada", "SIN 130692544", "qty 130692544"),
    ("fr_nir", "FR_NIR", r"\b[12][ ]?\d{2}[ ]?(?:0[1-9]|1[0-2]|[2-9]\d)[ ]?(?:\d{2}|2[AB])[ ]?\d{3}[ ]?\d{3}[ ]?\d{2}\b", "fr.nir", ("sécurité sociale", "nir", "insee"), 0.8, "France, INSEE", "2 95 10 99 126 111 93", "2 95 10 99 126 111 94"),
    ("nl_bsn", "NL_BSN", r"\b\d{8,9}\b", "nl.bsn", ("bsn", "burgerservicenummer", "sofinummer"), 0.1, "Netherlands, Wet algemene bepalingen burgerservicenummer", "BSN 111222333", "111222333"),
    ("au_abn", "AU_ABN", r"\b\d{2}[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}\b", "au.abn", ("abn", "australian business number"), 0.1, "Australian Business Register", "ABN 83 914 571 673", "qty 83914571673"),
    ("au_tfn", "AU_TFN", r"\b\d{3}[ ]?\d{3}[ ]?\d{3}\b", "au.tfn", ("tfn", "tax file number"), 0.1, "Australian Taxation Office", "TFN 123 456 782", "qty 123456782"),
)  # fmt: skip


_CHECKED_RECOGNIZERS: Final = tuple(
    Recognizer(
        name=name,
        type=type,
        pattern=loosened(pattern) if score < THRESHOLD else pattern,
        validate=checked(module) if isinstance(module, str) else module,
        context=(*context, *GENERAL, *spoken_of(type)) if name in _ALONE else context,
        base_score=score,
        alone_score=ALONE if name in _ALONE else 0.0,
        labels=labels_of(context, module),
        labelled_score=LABELLED,
        max_length=40,
        priority=61,
        source=source,
        examples=(f"{example}",),
        counter_examples=(counter,),
    )
    for name, type, pattern, module, context, score, source, example, counter in _CHECKED
)

RECOGNIZERS = (
    Recognizer(
        name="us_ssn",
        type="US_SSN",
        pattern=r"\b\d{3}(?:-\d{2}-|\.\d{2}\.)\d{4}\b",
        validate=_ssn,
        context=_SSN_CONTEXT,
        base_score=0.8,
        max_length=12,
        priority=65,
        source="US Social Security Administration (areas 000, 666 and 9xx are never issued)",
        examples=("078-05-1121", "her SSN is 536-90-4399"),
        counter_examples=("000-12-3456", "666-12-3456", "123-45-0000", "912-34-5678"),
    ),
    Recognizer(
        name="us_ssn_in_context",
        type="US_SSN",
        pattern=r"\b\d{3}[ .\-]?\d{2}[ .\-]?\d{4}\b",
        validate=_ssn,
        context=_SSN_CONTEXT,
        not_after="+",
        base_score=0.1,
        context_score=0.85,
        labels=tuple(word for word in _SSN_CONTEXT if word not in ("ssid", "social")),
        labelled_score=LABELLED,
        max_length=12,
        priority=64,
        source="US Social Security Administration",
        examples=("SSN: 536904399", "social security number 536 90 4399"),
        counter_examples=("the value 536904399", "order 536904399"),
    ),
    Recognizer(
        name="uk_nino",
        type="UK_NINO",
        pattern=r"(?i)\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?[A-D]\b",
        validate=lambda text: text[:2].upper() not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ"),
        context=("ni number", "nino", "national insurance", "national insurance number"),
        deny=ARTICLES,
        base_score=0.7,
        context_window=160,
        labels=("ni number", "nino", "national insurance", "national insurance number"),
        labelled_score=LABELLED,
        max_length=16,
        priority=62,
        source="UK, HMRC National Insurance Manual NIM39110",
        examples=("AB 12 34 56 C",),
        counter_examples=("GB 12 34 56 C", "DA 12 34 56 C", "SKU | price\nAB123456C | 14.50"),
    ),
    Recognizer(
        name="uk_nino_named",
        type="UK_NINO",
        pattern=r"(?i)\b[A-Z]{2}[ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?[A-DFMP]?\b",
        context=("ni number", "nino", "national insurance", "national insurance number", "ni no"),
        base_score=0.1,
        context_score=0.6,
        context_window=32,
        max_length=16,
        priority=36,
        source="UK, HMRC National Insurance Manual NIM39110, for numbers without their suffix, temporary and made up",
        examples=("NI number QQ 12 34 56 C",),
        counter_examples=("part QQ 12 34 56 C",),
    ),
    Recognizer(
        name="fi_hetu",
        type="FI_PERSONAL_IDENTITY_CODE",
        pattern=r"(?i)\d{6}[\-+A-FU-Y]\d{3}[0-9A-Y]\b",
        validate=_hetu,
        follows=lambda before: _GLUED.search(before) is not None,
        context=("henkilötunnus", "hetu", "personbeteckning"),
        base_score=0.85,
        labels=("henkilötunnus", "hetu", "personbeteckning"),
        labelled_score=LABELLED,
        max_length=11,
        priority=61,
        source="Finland, Government Decree 128/2010 and its amendment of 2022",
        examples=("131052-308T", "010594Y9032", "hetuni on131052-308T"),
        counter_examples=("131052-308U", "x131052-308T", "7131052-308T", "131352-308T"),
    ),
    Recognizer(
        name="kr_rrn",
        type="KR_RRN",
        pattern=r"\b\d{6}-[1-4]\d{6}\b",
        validate=_rrn,
        context=("rrn", "resident registration", "resident registration number", "주민등록번호", "주민번호"),
        base_score=0.65,
        labels=("rrn", "resident registration number", "주민등록번호", "주민번호"),
        labelled_score=LABELLED,
        max_length=14,
        priority=61,
        source="Korea, Resident Registration Act",
        examples=("960121-1234567",),
        counter_examples=("961321-1234567", "960121-9234567", "960121-6234567"),
    ),
    Recognizer(
        name="kr_rrn_plain",
        type="KR_RRN",
        pattern=r"\b\d{6}[1-4]\d{6}\b",
        validate=_rrn,
        context=(
            "rrn",
            "resident registration",
            "resident registration number",
            "주민등록번호",
            "주민번호",
            *spoken_of("KR_RRN"),
        ),
        base_score=0.1,
        context_score=0.9,
        alone_score=ALONE,
        max_length=13,
        priority=58,
        source="Korea, Resident Registration Act",
        examples=("RRN 9601211234567", "9601211234567"),
        counter_examples=("qty 9601211234567", "RRN 9613211234567"),
    ),
    Recognizer(
        name="kr_frn",
        type="KR_FRN",
        pattern=r"\b\d{6}-[5-8]\d{6}\b",
        validate=_rrn,
        context=(
            "frn",
            "rrn",
            "resident registration",
            "foreigner registration",
            "alien registration",
            "외국인등록번호",
            "외국인번호",
        ),
        base_score=0.65,
        max_length=14,
        priority=61,
        source="Korea, Immigration Act, article 31",
        examples=("960121-5234567",),
        counter_examples=("961321-5234567", "960121-1234567"),
    ),
    Recognizer(
        name="kr_frn_plain",
        type="KR_FRN",
        pattern=r"\b\d{6}[5-8]\d{6}\b",
        validate=_rrn,
        context=(
            "frn",
            "rrn",
            "resident registration",
            "주민등록번호",
            "foreigner registration",
            "alien registration",
            "외국인등록번호",
            "외국인번호",
            *spoken_of("KR_FRN"),
        ),
        base_score=0.1,
        context_score=0.9,
        alone_score=ALONE,
        max_length=13,
        priority=58,
        source="Korea, Immigration Act, article 31",
        examples=("FRN 9601215234567", "9601215234567"),
        counter_examples=("qty 9601215234567", "FRN 9613215234567"),
    ),
    Recognizer(
        name="es_nif_short",
        type="ES_NIF",
        pattern=r"(?i)\b\d{7}[ \-]?[A-Z]\b",
        validate=checks.spanish_short,
        context=("dni", "nif", "documento", "número de identificación fiscal", "documento nacional de identidad"),
        base_score=0.1,
        context_score=0.9,
        alone_score=WEAK,
        max_length=9,
        priority=57,
        source="Spain, Real Decreto 1553/2005, without the leading zero",
        examples=("DNI 1111111-G",),
        counter_examples=("qty 1111111-G", "DNI 1111111-H"),
    ),
    Recognizer(
        name="us_passport",
        type="US_PASSPORT",
        pattern=r"\b[A-Z]?\d{8,9}\b",
        context=("passport", "passport number", "passport no", "passport#", "travel document"),
        base_score=0.1,
        context_score=0.7,
        max_length=10,
        priority=30,
        source="US Department of State, and the words before it",
        examples=("passport number A12345678",),
        counter_examples=("A12345678", "order 123456789"),
    ),
    Recognizer(
        name="us_passport_alone",
        type="US_PASSPORT",
        pattern=r"\b[A-Z0-9]\d{8}\b",
        validate=lambda text: not ordinary(text) and len(set(text)) > 3 and not text.endswith("000"),
        base_score=0.1,
        context_score=0.1,
        alone_score=0.51,
        max_length=9,
        priority=12,  # other countries' numbers of that form, which can be checked, come first
        source="US Department of State, passports before and since 2021, for a text that is nothing but the number",
        examples=("A12345678", "912803456"),
        counter_examples=("see A12345678", "a12345678", "123456789", "912803000"),
    ),
    Recognizer(
        name="us_driver_license",
        type="US_DRIVER_LICENSE",
        pattern=r"(?i)\b(?:[A-Z]{0,2}\d{3,4}[\- ]?\d{2,4}[\- ]?\d{2,5}|[A-Z]{1,2}\d{5,14}[A-Z]?|\d{5,9}[A-Z])\b",
        context=(
            "driver license",
            "driver's license",
            "drivers license",
            "driver license number",
            "driver's license number",
            "driver licence",
            "driving licence",
        ),
        base_score=0.1,
        context_score=0.7,
        context_window=40,
        max_length=18,
        priority=30,
        source="US state departments of motor vehicles, and the words before it",
        examples=("my driver's license number is 425700624",),
        counter_examples=("order 425700624",),
    ),
    *_CHECKED_RECOGNIZERS,
    *(
        whole(recognizer, row[2], row[7])
        for recognizer, row in zip(_CHECKED_RECOGNIZERS, _CHECKED, strict=True)
        if recognizer.base_score < THRESHOLD and not recognizer.alone_score
    ),
)
