"""The short name of an entity type, as people and models see it in ``[REDACTED_EMAIL]`` and ``[EMAIL_X7K2M9QA4B]``."""

from __future__ import annotations

import re
from functools import lru_cache

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


@lru_cache(maxsize=1024)
def label_of(type: str) -> str:
    """The label of an entity type: upper-case ASCII letters, digits and single underscores, never empty.

    Types that are not known to us (an NER model's, a policy's own) keep their name, made safe for a token.
    """
    if type in _SHORT:
        return _SHORT[type]
    label = re.sub(r"[^A-Z0-9]+", "_", type.upper()).strip("_")
    return label or "VALUE"
