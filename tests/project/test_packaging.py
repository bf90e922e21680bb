"""What the project's files promise to whoever installs it or works on it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_no_dependency_group_names_the_project_itself() -> None:
    name = PROJECT["project"]["name"]
    for group, entries in PROJECT["dependency-groups"].items():
        for entry in entries:
            if isinstance(entry, str):
                assert re.split(r"[\[<>=!~; ]", entry)[0].lower() != name, f"group {group} names {name}"


def test_nobody_is_told_to_install_the_package_by_its_name_which_is_anothers_on_the_public_index() -> None:
    files = [ROOT / "README.md", *(ROOT / "src").rglob("*.py"), *(ROOT / "docs").glob("*.md")]
    told = re.compile(r"pip install [^`\n]*\baiguard\b(?!\.)")
    for file in files:
        for match in told.finditer(file.read_text(encoding="utf-8")):
            command = match[0].partition("#")[0]
            assert re.search(r"'\.\[|path/to/", command), f"{file}: {match[0]}"


PINNED = sorted([*(ROOT / "requirements").glob("*.txt"), *(ROOT / "benchmarks" / "peers").glob("*.txt")])


@pytest.mark.parametrize("file", PINNED, ids=lambda file: file.name)
def test_a_requirement_file_pins_everything_with_hashes_and_names_no_index(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index-url" not in text
    requirements = [entry for entry in text.replace("\\\n", " ").splitlines() if re.match(r"[A-Za-z0-9]", entry)]
    assert len(requirements) > 5
    for requirement in requirements:
        assert re.match(r"[A-Za-z0-9._\[\]-]+==\S+", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


OPTIONAL = (
    "flask",
    "flask_login",
    "werkzeug",
    "starlette",
    "rq",
    "openai",
    "anthropic",
    "httpx",
    "httpx2",
    "psycopg",
    "spacy",
)


def test_the_package_imports_without_any_extra() -> None:
    program = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OPTIONAL!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
import aiguard, aiguard.policy, aiguard.settings, aiguard.cli
assert not [name for name in {OPTIONAL!r} if name in sys.modules]
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_make_alone_prints_a_menu_of_every_target() -> None:
    done = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    for target in ("setup", "demo", "serve", "test", "check", "bench", "clean"):
        assert f"make {target} " in done.stdout


def test_the_licence_is_the_one_that_is_declared() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_ci_starts_from_nothing_and_runs_both_gates() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    text = script.read_text(encoding="utf-8")
    assert text.index("rm -rf .venv") < text.index("make check") < text.index("make test")
    subprocess.run(["bash", "-n", str(script)], check=True, timeout=10)


def test_every_reason_to_ignore_a_lint_rule_is_given() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ignored = re.search(r"^ignore = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert ignored is not None
    for line in ignored[1].splitlines():
        assert re.fullmatch(r'    "[A-Z]+[0-9]+", +# .{8,}', line), line
