"""The page about the house says what ``import-linter`` holds, and decisions are numbered one after another."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGE = ROOT / "docs" / "architecture.md"


def floors() -> list[set[str]]:
    """The rooms of each floor that exist, from the top."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["type"] == "layers")
    named = [set(re.findall(r"\w+", floor)) for floor in layers]
    return [kept for floor in named if (kept := {room for room in floor if exists(room)})]


def exists(room: str) -> bool:
    package: Path = ROOT / "src" / "aiguard"
    return (package / f"{room}.py").is_file() or (package / room / "__init__.py").is_file()


def test_every_room_has_its_caption_on_its_floor():
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert [set(re.findall(r"`(\w+)`", row)) for row in rows] == floors()


def test_every_decision_has_a_number_of_its_own_in_its_name_and_its_title():
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    titles = [page.read_text(encoding="utf-8").splitlines()[0] for page in pages]
    assert [title.split(". ")[0] for title in titles] == [f"# {number}" for number in range(1, len(pages) + 1)]
