"""Every promise of the audit page, kept or not made, names the tests that show it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
TESTS = {
    name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}  # fmt: skip
DETECTED = PAGE.split("## What is detected, and what is not\n")[1].split("\nNot detected:\n")[0]
LIMITS = PAGE.split("\nNot detected:\n")[1].split("\n## ")[0]
BAD_INPUT = PAGE.split("## When something is wrong\n")[1].split("\n## ")[0]


def rows(table: str) -> list[str]:
    return [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| who does what")]


@pytest.mark.parametrize("row", [*rows(DETECTED), *rows(BAD_INPUT)[1:]])
def test_every_line_names_a_test(row: str) -> None:
    assert re.search(r"`test_\w+`", row), row


def test_every_limit_ends_with_the_test_that_shows_it() -> None:
    limits = re.split(r"^- ", LIMITS, flags=re.MULTILINE)[1:]
    assert len(limits) > 5
    for limit in limits:
        assert re.search(r"\(`test_\w+`\)[;.]\n", limit), limit


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named - TESTS == set()
