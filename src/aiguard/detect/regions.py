"""Telephone numbers as they are written within a region that policy prefers: without a country code, and without words."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from aiguard.scan import Recognizer

_DATE: Final = re.compile(r"\d{1,4}[-./ ]\d{1,2}[-./ ]\d{1,4}(?:[ T]\d\d.?)?")
_AMOUNT: Final = re.compile(r"\d+\.\d+|\d{1,3}(?:[. ]\d{3})+")
_KINDS: Final = ("fixed_line", "mobile", "toll_free", "shared_cost", "premium_rate", "voip", "personal_number", "uan")


@lru_cache(maxsize=300)
def _plan(region: str) -> tuple[re.Pattern[str], str]:
    """What numbers of the region look like, and the prefix that is dialled before them within it."""
    import phonenumbers

    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if metadata is None:
        raise ValueError(f"{region} has no telephone numbers")
    kinds = [getattr(metadata, kind) for kind in _KINDS]
    patterns = [
        kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern not in (None, "NA")
    ]
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns)), metadata.national_prefix or ""


def regional_phones(regions: tuple[str, ...]) -> Recognizer:
    """Finds numbers that one of ``regions`` (ISO 3166-1) has assigned. Metadata: the ``phonenumbers`` library."""

    def assigned(text: str) -> bool:
        digits = "".join(char for char in text if char.isdecimal())
        if len(set(digits)) < 3 or _DATE.fullmatch(text) or _AMOUNT.fullmatch(text):
            return False
        for region in regions:
            pattern, prefix = _plan(region)
            optional = prefix in {"", "1"}  # nobody has to dial a prefix within such a plan
            national = (
                digits.removeprefix(prefix) if prefix and digits.startswith(prefix) else digits if optional else ""
            )
            if national and pattern.fullmatch(national):
                return True
        return False

    return Recognizer(
        name="policy:phone_regions",
        type="PHONE_NUMBER",
        pattern=r"\(?\d[\d ()./-]{4,18}\d",
        validate=assigned,
        base_score=0.6,
        shrink=2,
        not_after="+-./",
        not_before="-./",
        priority=40,
        source="https://github.com/daviddrysdale/python-phonenumbers",
    )
