"""Pieces that inputs are put together from: values, beginnings of values, and what parsers stumble over."""

from __future__ import annotations

from typing import Final

_TEXTS: Final = (
    "jane@example.com", "4111 1111 1111 1111", "4 1 1 1 ", "DE89 3704 0044 0532 0130 00", "+44 20 7946 0958", "ssn 536-90-4399", "10.0.0.1",
    "password=hunter2secret", "AKIAIOSFODNN7EXAMPLE", "-----BEGIN PRIVATE KEY-----\n", "-----END PRIVATE KEY-----", "https://u:p@h.example/",
    "amFuZUBleGFtcGxlLmNvbSBqYW5l", "%6a%61ne%40example.com", "6a616e65406578616d706c652e636f6d", "[EMAIL_X7K2M9QA4B]", "[EMAIL_", r"\[EMAIL\_X7K2M9QA4B\]",
    "jane (at) example dot com", "j\u200ban\u00ade@example.com", "４１１１", "jаne@example.com", "\u202e", "\U000e0041", "\ufeff", "é", "e\u0301", "😀", "\0",
    "\\u0040", "\\n", "_", "[", "]", '{"a":', '{"email":"', '"}', '"', "}", ":", ",", "[" * 40, "1e999", "-0", "\\ud800", "data: ", "\r\n", " ", "phone ",
)  # fmt: skip

SEEDS: Final = (
    *(text.encode() for text in _TEXTS),
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98",
    b"\xfe\xff",
    b"\x80" * 3,
)
