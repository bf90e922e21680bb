"""What every command prints with: data on standard output, trouble on standard error."""

from __future__ import annotations

from pathlib import Path
from typing import Never

import click
from rich.console import Console

INVALID = 1
"""Exit code: the answer is no."""

UNDONE = 2
"""Exit code: it was not done, so there is no answer."""

TAMPERED = 3
"""Exit code: the log is not what was recorded."""

INCOMPLETE = 4
"""Exit code: nothing contradicts itself, but evidence, or what guards it, is missing."""


def plain(text: str) -> str:
    """``text`` without what a terminal would obey: control characters from a file name or a policy become escapes."""
    return "".join(
        c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode("ascii")
        for c in text.replace("\t", "    ")
    )


def out(text: str) -> None:
    """A line of data."""
    click.echo(plain(text))


def err(text: str) -> None:
    """A line about trouble."""
    click.echo(plain(text), err=True)


def fail(text: str, *, code: int = INVALID) -> Never:
    """Say what is wrong and leave."""
    first, *rest = plain(text).split("\n")
    click.echo("\n".join([f"error: {first}", *(f"       {line}" for line in rest)]), err=True)
    raise SystemExit(code)


def contents(path: Path, option: str) -> bytes:
    """What is in a file that ``option`` names; that it cannot be read is said as of any wrong command line."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise click.UsageError(f"{option}: {path} cannot be read ({error.strerror})") from None


def console(least: int = 0) -> Console:
    """For tables of at least so many columns. Plain text when the output is not a terminal."""
    screen = Console(highlight=False, markup=False, soft_wrap=True)
    screen.width = max(screen.width, least)
    return screen


def trouble() -> Console:
    """For what is shown beside the data, such as a bar: standard error."""
    return Console(stderr=True, highlight=False, markup=False)
