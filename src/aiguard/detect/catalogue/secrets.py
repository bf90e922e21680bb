"""Credentials: one recognizer a kind, all of type SECRET."""

from __future__ import annotations

from aiguard.scan import Recognizer

RECOGNIZERS = (
    Recognizer(
        name="url_credentials",
        type="SECRET",
        pattern=r"\b[A-Za-z][A-Za-z0-9+.\-]{1,20}://[^\s:@/\"'<>]{0,100}:([^\s@/\"'<>]{1,200})@[A-Za-z0-9\[]",
        boundary=False,
        priority=90,
        max_length=500,
        source="RFC 3986",
        examples=("postgres://app:hunter2xx@db.internal:5432/x",),
        counter_examples=("https://example.com:8080/a@b",),
    ),
    Recognizer(
        name="github_token",
        type="SECRET",
        pattern=r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{50,255})",
        priority=95,
        source="GitHub docs",
        examples=("ghp_" + "a1B2" * 9,),
        counter_examples=("ghp_short",),
    ),
)
