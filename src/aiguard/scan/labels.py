"""The short name of an entity type, as people and models see it in ``[REDACTED_EMAIL]`` and ``[EMAIL_X7K2M9QA4B]``."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_SHORT = {
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "MAC_ADDRESS": "MAC",
    "US_SSN": "SSN",
    "STREET_ADDRESS": "ADDRESS",
    "DATE_TIME": "DATE",
}


MAX_WORDS: Final = 8
MAX_WORD: Final = 32


@lru_cache(maxsize=1024)
def label_of(type: str) -> str:
    """The label of an entity type: upper-case ASCII letters, digits and single underscores, never empty.

    Types that are not known to us (an NER model's, a policy's own) keep their name, made safe for a token: it begins with a letter, and
    has at most eight words of 32 characters, since a token is looked for as that.
    """
    if type in _SHORT:
        return _SHORT[type]
    words = [word[:MAX_WORD] for word in re.split(r"[^A-Z0-9]+", type.upper()) if word]
    if words and words[0][0].isdigit():
        words.insert(0, "TYPE")
    return "_".join(words[:MAX_WORDS]) or "VALUE"
