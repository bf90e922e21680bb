"""Detection by policy at the command line: ``aiguard scan --policy``, ``aiguard policy hash``, ``show`` and ``check``."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aiguard.cli import main

POLICY = """
phone_regions = ["DE"]

[recognizers.EMPLOYEE_ID]
pattern = 'EMP-[0-9]{6}'
context = ["employee"]
examples = ["EMP-123456"]

[features.support-reply]
scope = "support:reply"
owner = "support-platform"
models = ["openai:gpt-5-mini"]

[features.support-reply.detect]
exclude = ["EMAIL_ADDRESS"]
deny = { exact = ["Project Bluebird"] }

[features.names]
scope = "names"
owner = "support-platform"
models = ["openai:gpt-5-mini"]
detect = { models = ["people"], on_timeout = "patterns-only", min_score = 0.9, only = ["PERSON"] }
"""
TEXT = "EMP-123456 jane@example.com project bluebird 0151 23456789\n"


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=stdin, prog_name="aiguard")


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "aiguard.toml"
    path.write_text(POLICY, encoding="utf-8")
    return str(path)


def test_scan_looks_for_what_a_policy_or_one_of_its_features_says(policy: str) -> None:
    general = run("scan", "--policy", policy, "--redact", "-", stdin=TEXT)
    assert general.stdout == "[REDACTED_EMPLOYEE_ID] [REDACTED_EMAIL] project bluebird [REDACTED_PHONE]\n"
    feature = run("scan", "--policy", policy, "--feature", "support-reply", "--redact", "-", stdin=TEXT)
    assert feature.stdout == "[REDACTED_EMPLOYEE_ID] jane@example.com [REDACTED_DENIED_TERM] [REDACTED_PHONE]\n"
    assert (general.exit_code, feature.exit_code) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--feature", "support-reply"], "--feature needs --policy"),
        (["--policy", "POLICY", "--feature", "suport"], "it has names, support-reply"),
        (["--policy", "POLICY", "--feature", "names"], "language models (people)"),
        (["--policy", "nowhere.toml"], "there is no such file"),
    ],
)
def test_scan_says_what_it_cannot_do(policy: str, arguments: list[str], what: str) -> None:
    refused = run("scan", *(policy if each == "POLICY" else each for each in arguments), "-", stdin=TEXT)
    assert refused.exit_code in (1, 2)
    assert what in " ".join(refused.output.split())


def test_a_hash_does_not_depend_on_case_or_spacing_and_works_in_a_list(tmp_path: Path) -> None:
    salt = "sixteen letters!"
    hashes = run("policy", "hash", "--salt", salt, stdin="Project Bluebird\nproject  BLUEBIRD\n").stdout.split()
    assert len(hashes) == 2
    assert len(set(hashes)) == 1
    path = tmp_path / "aiguard.toml"
    path.write_text(
        '[features.f]\nscope = "f"\nowner = "x"\n'
        f'detect = {{ deny = {{ hashed = {{ salt = "{salt}", hmac_sha256 = ["{hashes[0]}"] }} }} }}\n'
    )
    scanned = run("scan", "--policy", str(path), "--feature", "f", "--redact", "-", stdin="the Project bluebird!")
    assert scanned.stdout == "the [REDACTED_DENIED_TERM]!"
    assert "luebird" not in path.read_text()


@pytest.mark.parametrize(("salt", "stdin"), [("short", "x\n"), ("sixteen letters!", "\n \n")])
def test_a_hash_needs_a_salt_and_a_value(salt: str, stdin: str) -> None:
    assert run("policy", "hash", "--salt", salt, stdin=stdin).exit_code == 2


def test_show_says_what_is_looked_for(policy: str) -> None:
    shown = " ".join(run("policy", "show", policy).stdout.split())
    assert "without EMAIL_ADDRESS; denied: 1 texts, 0 patterns, 0 hashes" in shown
    assert "only PERSON; from a score of 0.9; models people (2000 ms, then recorded, patterns only)" in shown
    assert "recognizer EMPLOYEE_ID: 0.9, after employee 0.95" in shown
    assert "phone regions: DE" in shown


def test_check_warns_of_everything_that_leaves_something_out(policy: str) -> None:
    warned = run("policy", "check", policy).stderr
    for key in (
        "support-reply.detect.exclude",
        "names.detect.only",
        "names.detect.min_score",
        "names.detect.on_timeout",
    ):
        assert f"features.{key}" in warned
