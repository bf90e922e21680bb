"""Numbers that states give to people."""

from __future__ import annotations

from aiguard.scan import Recognizer

_SSN_CONTEXT = (
    "ssn",
    "social security",
    "social security number",
    "soc sec",
    "ss#",
    "ssns",
    "ssid",
    "social",
)


def _ssn(text: str) -> bool:
    digits = "".join(char for char in text if char.isdigit())
    if len(digits) != 9 or digits in (
        "078051120",
        "219099999",
        "123456789",
        "987654321",
    ):
        return False
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000" and len(set(digits)) > 1


RECOGNIZERS = (
    Recognizer(
        name="us_ssn",
        type="US_SSN",
        pattern=r"\b\d{3}-\d{2}-\d{4}\b",
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
        base_score=0.1,
        context_score=0.85,
        max_length=12,
        priority=64,
        source="US Social Security Administration",
        examples=("SSN: 536904399", "social security number 536 90 4399"),
        counter_examples=("the value 536904399", "order 536904399"),
    ),
)
