"""How a row of a country's table becomes a recognizer.

A number that ordinary figures could pass for scores nothing by itself: the words that people write before it decide.
Where chance is unlikely (letters, separators or several check digits: fewer than one in a hundred ordinary figures of
its length pass) it may stand without them. Where fewer than one in fifty pass, a text that is nothing but the number
is reported too.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Final

from aiguard.detect.catalogue import checks
from aiguard.detect.catalogue.phone_words import TELEPHONES
from aiguard.detect.catalogue.written import loosened
from aiguard.scan import Recognizer
from aiguard.scan.recognizer import Validate

WINDOW: Final = 60
"""Characters before a number in which the words for it count."""

ALONE: Final = 0.55
"""Score of a number that is the whole text, where chance is unlikely."""

GENERAL: Final = (
    "id number", "national id", "identity number", "identification number", "tax id", "tax number", "tax identification number",
)  # fmt: skip
"""Words that speak for a number of any country where chance is unlikely: its check then says whose it is."""

ARTICLES: Final = (
    "sku", "skus", "part no", "part number", "part numbers", "item no", "item number", "item code", "article no", "article number", "artikelnummer", "artikel nr",
    "artikel", "référence", "referencia", "codice articolo", "model no", "model number", "serial no", "serial number", "product code", "product id", "barcode", "batch no", "lot no",
    "品番", "型番", "货号",
)  # fmt: skip
"""Names of what is sold: they speak against numbers of people and companies that a letter or two gives away."""

_LIKE_ARTICLES: Final = frozenset({"SG_UEN", "SG_NRIC_FIN", "ES_NIF", "ES_NIE", "IE_PPS"})

_NO_PERSONS: Final = frozenset(
    {"US_NPI", "MEDICAL_LICENSE", "ES_CADASTRE", "DE_LEITWEG_ID", "NL_EDUCATION_NUMBER", "UK_PUPIL_NUMBER"}
)
"""Types that nobody means who speaks of an identity or a tax number."""

_DEMONYMS: Final = {
    "AD": "andorran", "AE": "emirati", "AL": "albanian", "AR": "argentine", "AT": "austrian", "AU": "australian", "AZ": "azerbaijani",
    "BE": "belgian", "BG": "bulgarian", "BR": "brazilian", "BY": "belarusian", "CA": "canadian", "CH": "swiss", "CL": "chilean",
    "CN": "chinese", "CO": "colombian", "CR": "costa rican", "CU": "cuban", "CY": "cypriot", "CZ": "czech", "DE": "german", "DK": "danish",
    "DO": "dominican", "DZ": "algerian", "EC": "ecuadorian", "EE": "estonian", "EG": "egyptian", "ES": "spanish", "FI": "finnish",
    "FO": "faroese", "FR": "french", "GB": "british", "GH": "ghanaian", "GN": "guinean", "GR": "greek", "GT": "guatemalan", "HR": "croatian",
    "HU": "hungarian", "ID": "indonesian", "IE": "irish", "IL": "israeli", "IN": "indian", "IR": "iranian", "IS": "icelandic", "IT": "italian",
    "JP": "japanese", "KE": "kenyan", "KR": "korean", "KZ": "kazakh", "LI": "liechtenstein", "LK": "sri lankan", "LT": "lithuanian",
    "LU": "luxembourgish", "LV": "latvian", "MA": "moroccan", "MC": "monegasque", "MD": "moldovan", "ME": "montenegrin", "MK": "macedonian",
    "MT": "maltese", "MU": "mauritian", "MX": "mexican", "MY": "malaysian", "MZ": "mozambican", "NG": "nigerian", "NL": "dutch",
    "NO": "norwegian", "NZ": "new zealand", "PE": "peruvian", "PH": "philippine", "PK": "pakistani", "PL": "polish", "PT": "portuguese",
    "PY": "paraguayan", "RO": "romanian", "RS": "serbian", "RU": "russian", "SA": "saudi", "SE": "swedish", "SG": "singaporean",
    "SI": "slovenian", "SK": "slovak", "SM": "sammarinese", "SN": "senegalese", "SV": "salvadoran", "TH": "thai", "TN": "tunisian",
    "TR": "turkish", "TW": "taiwanese", "UA": "ukrainian", "UK": "british", "US": "american", "UY": "uruguayan", "VE": "venezuelan",
    "VN": "vietnamese", "ZA": "south african",
}  # fmt: skip
"""How English speaks of what is a country's."""


def spoken_of(type: str) -> tuple[str, ...]:
    """The word for what is of the country of a ``type``: it speaks for a number where chance is unlikely."""
    return (_DEMONYMS[type[:2]],) if type[2:3] == "_" and type[:2] in _DEMONYMS else ()


WEAK: Final = 0.52
"""The same for a number with a check digit that one ordinary number in ten passes."""

LABELLED: Final = 0.54
"""Score of a number whose check fails right behind its own name: somebody mistyped it, or made it up."""

_NO_LABELS: Final = frozenset(
    {
        *GENERAL,
        "account",
        "bank account",
        "license",
        "documento",
        "establishment",
        "prescriber",
        "medical certificate",
        "identity document",
    }
)
"""Words that speak for a number whose check holds, and are no name of it."""

NumberRow = tuple[str, str, str | Validate, tuple[str, ...], float, float, str, str, str]
"""Type, pattern, ``python-stdnum`` module or check (``""``: none), words before it, score without them, score alone in a
text, source, example, counter-example."""


_UNCHECKED: Final = frozenset(
    {
        checks.has_digits,
        "ar.dni",
        "cr.cpf",
        "cr.cpj",
        "cr.cr",
        "de.stnr",
        "dz.nif",
        "eg.tn",
        "fi.associationid",
        "fi.veronumero",
        "fo.vn",
        "is_.vsk",
        "li.peid",
        "pk.cnic",
        "at.businessid",
    }
)
"""Validators that look at the shape only."""


_LETTERED: Final = re.compile(r"(?:[A-Z]{2,3}|\(\?:[A-Z|]{2,9}\))\[ ")
"""A pattern that begins with a country's letters and what may part them from the number."""

_DAY: Final = re.compile(
    r"(?:19|20)\d\d[ \-]?(?:0[1-9]|1[0-2])[ \-]?(?:0[1-9]|[12]\d|3[01])|[0-3]?\d[./ \-][01]?\d[./ \-](?:19|20)?\d\d"
)
_COUNTED: Final = "01234567890123456789"


@cache
def checked(module: str) -> Validate:
    """The ``is_valid`` of a ``python-stdnum`` module, imported at the first candidate; runs of few digits are refused.

    A number on which the module itself stumbles (a district that its tables lack) counts as valid: what cannot be
    decided is hidden, not sent.
    """

    def valid(text: str) -> bool:
        if len({char for char in text if char.isalnum()}) < 3:
            return False
        is_valid = import_module(f"stdnum.{module}").is_valid
        try:
            return bool(is_valid(text))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return True

    return valid


def labels_of(words: tuple[str, ...], check: str | Validate) -> tuple[str, ...]:
    """The names among ``words`` behind which a number counts though ``check`` refuses it; none where the check is but the shape."""
    return () if not check or check in _UNCHECKED else tuple(word for word in words if word not in _NO_LABELS)


def numbers(rows: tuple[NumberRow, ...]) -> tuple[Recognizer, ...]:
    """The recognizers of a table. The second row of a type is named ``type_2``, and so on."""
    seen: dict[str, int] = {}
    made: list[Recognizer] = []
    for type, pattern, check, context, score, alone, source, example, counter in rows:
        seen[type] = seen.get(type, 0) + 1
        name = type.lower() if seen[type] == 1 else f"{type.lower()}_{seen[type]}"
        validate = (checked(check) if check else None) if isinstance(check, str) else check
        if score >= 0.5 and pattern.startswith(r"(?i)\b") and _LETTERED.match(pattern, 6):
            validate = _prefixed(validate)
        written = loosened(pattern)
        loose = (
            isinstance(check, str) and bool(check) and score < 0.5 and check not in _UNCHECKED and written != pattern
        )
        if loose and validate is not None:
            validate = _unnumbered(validate)
        made.append(
            Recognizer(
                name=name,
                type=type,
                pattern=written if loose and not alone else pattern,
                validate=validate,
                first_only=score < 0.5 and (not check or check in _UNCHECKED),
                shrink=1 if loose and not alone else 0,
                context=(*context, *GENERAL, *spoken_of(type))
                if validate and score < 0.5 and alone >= ALONE and type not in _NO_PERSONS
                else context,
                base_score=score,
                deny=ARTICLES if type in _LIKE_ARTICLES else TELEPHONES if not check or check in _UNCHECKED else (),
                context_score=0.9 if validate else 0.75,
                context_window=160 if type in _LIKE_ARTICLES and score >= 0.5 else WINDOW,
                alone_score=alone,
                labels=labels_of(context, check),
                labelled_score=LABELLED,
                max_length=64,
                priority=(58 if validate else 35) + (score >= 0.5) * 2,
                source=source,
                examples=(example,),
                counter_examples=(counter,),
            )
        )
        if loose and alone:
            made.append(
                replace(made[-1], name=f"{name}_spaced", pattern=written, shrink=1, alone_score=0.0, priority=57)
            )
        if validate and not alone and score < 0.5 and check not in _UNCHECKED:
            made.append(whole(made[-1], pattern, example))
    return tuple(made)


_NUMBERED: Final = re.compile(r"(?:19|20)\d\d[\-/]\d{1,7}")
"""What something got that year: ``2024-00123``."""


def _unnumbered(validate: Validate) -> Validate:
    return lambda text: _NUMBERED.fullmatch(text) is None and validate(text)


_WORD_BEFORE: Final = re.compile(r"[a-z]{2,3}[ \-]")


def _prefixed(validate: Validate | None) -> Validate:
    """``validate``, where the country's letters are no word: in ``su NIF es 54362315K`` the ``es`` is none of Spain's."""
    return lambda text: _WORD_BEFORE.match(text) is None and (validate is None or validate(text))


def ordinary(text: str) -> bool:
    """A day written in figures, or figures that are counted up or down: what people type for no number in particular."""
    return _DAY.fullmatch(text) is not None or (len(text) > 4 and (text in _COUNTED or text in _COUNTED[::-1]))


def whole(recognizer: Recognizer, declared: str, example: str) -> Recognizer:
    """The number as it was ``declared`` where it is the whole text and no word speaks for it; other readings have priority."""
    validate = recognizer.validate
    match = re.search(declared, example)
    return Recognizer(
        name=f"{recognizer.name}_whole",
        type=recognizer.type,
        pattern=declared,
        validate=lambda text: not ordinary(text) and (validate is None or validate(text)),
        base_score=0.1,
        context_score=0.1,
        alone_score=WEAK,
        max_length=recognizer.max_length,
        priority=30,
        source=recognizer.source,
        examples=(match[0],) if match else (),
    )
