"""Every example in the documentation runs: an example that does not is worse than none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from aiguard.detect import known_types
from aiguard.policy import parse_policy

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_BLOCK = re.compile(
    r"(?:<!--\s*(?P<mark>[a-z-]+)(?::\s*(?P<reason>[^>]*?))?\s*-->\s*\n+)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Block:
    page: Path
    line: int
    language: str
    text: str
    mark: str
    reason: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page=page,
            line=text.count("\n", 0, found.start("text")) + 1,
            language=found["language"],
            text=found["text"],
            mark=found["mark"] or "",
            reason=found["reason"] or "",
        )
        for found in _BLOCK.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks(page)]
RUN = [page for page in PAGES if any(b.language == "python" and b.mark != "no-run" for b in blocks(page))]


def test_the_documentation_has_examples() -> None:
    assert {block.language for block in BLOCKS} >= {"python", "toml"}


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.mark], ids=str)
def test_a_mark_before_an_example_is_one_we_know_and_says_why(block: Block) -> None:
    assert block.mark in ("no-run", "not-a-policy")
    assert len(block.reason) >= 10, f"{block}: say why, as in <!-- {block.mark}: needs a running server -->"


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "toml"], ids=str)
def test_a_toml_example_is_a_policy_that_can_be_enforced(block: Block) -> None:
    if block.mark == "not-a-policy":
        assert tomllib.loads(block.text)
        return
    assert parse_policy(block.text, str(block), known_types()).hash.startswith("sha256:")


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_python_examples_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    found = blocks(page)
    policy = next((b.text for b in found if b.language == "toml" and not b.mark), "")
    (tmp_path / "aiguard.toml").write_text(policy, encoding="utf-8")
    # Blank lines keep the line numbers of a traceback those of the page.
    program = ""
    for block in found:
        if block.language == "python" and block.mark != "no-run":
            program += "\n" * (block.line - 1 - program.count("\n")) + block.text
    script = tmp_path / "page.py"
    script.write_text(program, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIGUARD_", "OPENAI_"))}
    environment |= {
        "AIGUARD_ENVIRONMENT": "development",
        "OPENAI_API_KEY": "not-a-real-key",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    }
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


_LINK = re.compile(r"\[[^\]\n]*\]\((?!https?:|mailto:)([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in _LINK.findall(text):
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page.name} links to {target}"
