"""``aiguard policy``: exit codes, what goes to which stream, and no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aiguard.cli import main
from aiguard.cli.commands import COMMANDS
from aiguard.cli.output import plain

GOOD = """
[features.support-reply]
scope = "support:reply"
owner = "support-platform"
models = ["openai:gpt-5-mini"]
redact = { CREDIT_CARD = { op = "mask", keep_last = 4 }, SECRET = "block" }
keep = { prompt = "redacted" }

[retention.prompt]
duration = "30d"
basis = "GDPR Art. 6(1)(f)"
mechanism = "crypto-shred"
owner = "privacy-office"
"""
DOUBTFUL = (
    GOOD
    + """
[features.pilot]
scope = "pilot"
owner = "platform"
mode = "monitor"
redact = { PERSON = "mask", IP_ADDRESS = "allow" }

[retention.output]
duration = "1d"
basis = "x"
mechanism = "delete"
owner = "x"

[[exceptions]]
id = "old"
feature = "support-reply"
control = "monitor-mode"
reason = "x"
approved_by = "x"
expires = 2020-01-01
"""
)


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("AIGUARD_"):
            monkeypatch.delenv(name)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="aiguard")


def test_a_valid_policy_exits_with_0_and_shows_its_hash() -> None:
    Path("aiguard.toml").write_text(GOOD, encoding="utf-8")
    result = run("policy", "check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("aiguard.toml: valid, 1 feature, sha256:")


def test_an_invalid_policy_exits_with_1_and_says_where_on_standard_error() -> None:
    Path("other.toml").write_text(GOOD.replace('owner = "support-platform"\n', ""), encoding="utf-8")
    result = run("policy", "check", "other.toml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: other.toml:2: features.support-reply.owner: is missing")


@pytest.mark.parametrize("command", ["check", "show"])
@pytest.mark.parametrize("target", ["missing.toml", "."])
def test_a_file_that_is_none_exits_with_1(command: str, target: str) -> None:
    result = run("policy", command, target)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {target}: ")


@pytest.mark.parametrize(
    "arguments", [("polcy",), ("policy", "chekc"), ("policy", "check", "--jsn"), ("policy", "check", "a", "b")]
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")


def test_the_setting_names_the_file_when_the_command_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("elsewhere.toml").write_text(GOOD, encoding="utf-8")
    monkeypatch.setenv("AIGUARD_POLICY", "elsewhere.toml")
    assert run("policy", "check").stdout.startswith("elsewhere.toml: valid")


def test_a_wrong_setting_is_a_clear_message_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIGUARD_POLCIY", "x")
    result = run("policy", "check")
    assert result.exit_code == 1
    assert "did you mean AIGUARD_POLICY?" in result.stderr


def test_warnings_do_not_fail_unless_strict() -> None:
    Path("aiguard.toml").write_text(DOUBTFUL, encoding="utf-8")
    result = run("policy", "check")
    assert result.exit_code == 0
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    for part in (
        "features.pilot.models: none is listed",
        'features.pilot.mode: "monitor" lets everything through',
        "features.pilot.redact: lets IP_ADDRESS through unchanged",
        "features.pilot.redact: no pattern finds PERSON",
        "retention.output: no feature keeps outputs",
        'exceptions[0]: "old" ended 2020-01-01; remove it',
        'exceptions[0]: "old" opens monitor mode for a feature that is in "enforce"',
    ):
        assert sum(part in warning for warning in warnings) == 1, part
    assert len(warnings) == 7
    assert run("policy", "check", "--strict").exit_code == 1
    assert json.loads(run("policy", "check", "--json").stdout)["warnings"] == [
        w.removeprefix("warning: ") for w in warnings
    ]


def test_show_prints_every_rule_for_people() -> None:
    Path("aiguard.toml").write_text(GOOD, encoding="utf-8")
    result = run("policy", "show")
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    for part in (
        "support:reply",
        "CREDIT_CARD: mask (last 4 shown)",
        "SECRET: block",
        "all else: replace",
        "crypto-shred",
    ):
        assert part in text


def test_show_json_is_what_is_hashed() -> None:
    Path("aiguard.toml").write_text(GOOD, encoding="utf-8")
    shown = json.loads(run("policy", "show", "--json").stdout)
    assert shown["hash"] in run("policy", "check").stdout
    assert shown["policy"]["features"]["support-reply"]["redact"]["*"] == "replace"


def test_the_terminal_is_not_given_orders_by_a_policy() -> None:
    assert plain("a\x1b[2Jb\u202ec\td\ne") == "a\\x1b[2Jb\\u202ec    d\ne"
    Path("aiguard.toml").write_text('"\\u001b]0;x\\u0007" = 1', encoding="utf-8")
    assert "\x1b" not in run("policy", "check").stderr


def test_every_command_can_be_loaded() -> None:
    for name in COMMANDS:
        assert run(name, "--help").exit_code == 0, name


def test_the_module_runs_as_the_command_does() -> None:
    def module(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "aiguard", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    version = module("--version")
    assert (version.returncode, version.stdout) == (0, f"aiguard, version {metadata.version('aiguard')}\n")
    failed = module("policy", "check", "missing.toml")
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
