"""Who runs a command, when something is meant to happen, and whom a command is about."""

from __future__ import annotations

import os
import sys
from datetime import date, datetime
from typing import Final

import click

from aiguard.policy.values import parse_duration, parse_moment

MAX_ID: Final = 4_096
"""Characters of a person's id."""


def account() -> str:
    """``os:`` and the account that runs the command, as the operating system knows it; environment variables can lie."""
    try:
        import pwd

        return f"os:{pwd.getpwuid(os.getuid()).pw_name}"
    except (ImportError, KeyError):
        return f"os:{getattr(os, 'getuid', lambda: 'unknown')()}"


def moment(text: str, now: datetime, name: str, *, error: type[Exception] = click.UsageError) -> datetime:
    """``30d`` from ``now``, or a date or time as ISO 8601 writes it; else ``error``, about the option ``name``."""
    try:
        return now + parse_duration(text)
    except (ValueError, OverflowError):
        pass
    try:
        return parse_moment(date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text))
    except ValueError:
        raise error(
            f"{name} is neither a duration (30d, 12h, 2w) nor a date (2027-01-31, 2027-01-31T12:00:00Z)"
        ) from None


def moment_if_given(
    text: str | None, now: datetime, name: str, *, error: type[Exception] = click.UsageError
) -> datetime | None:
    """:func:`moment` of an option that need not be there."""
    return None if text is None else moment(text, now, name, error=error)


def person_id(given: str) -> str:
    """The id that was given, or with ``-`` the first line of standard input: arguments can be read by every user of the machine."""
    line = sys.stdin.readline(MAX_ID + 2) if given == "-" else given
    id = line.strip() if given == "-" else given
    if len(line.removesuffix("\n")) > MAX_ID:  # cut, it would be somebody else's
        raise click.UsageError(f"the id is too long; at most {MAX_ID} characters are read")
    if not id:
        raise click.UsageError("the id is empty")
    return id
