"""What nobody should give a command is said in one block and does nothing: figures that are none, bytes that are no text, ids without end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aiguard.audit.keeper import Keeper
from aiguard.cli import main
from aiguard.cli import scan as scan_command
from aiguard.detect.parts import detect_text
from aiguard.errors import StoreUnavailable
from aiguard.scan import ScanFailed
from aiguard.types import Detector, Finding

LONG = "k" * 300
BYTES = "\udcff\udcfe"
"""How Python shows arguments that are not UTF-8."""


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AIGUARD_DATABASE_URL", "AIGUARD_KEYS", "AIGUARD_KEYS_FILE", "AIGUARD_KEY_FILE", "AIGUARD_POLICY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "development")
    monkeypatch.chdir(tmp_path)
    Path("aiguard.toml").write_text('[features.a]\nscope = "a"\nowner = "o"\nmodels = ["local:small"]\n')
    assert run("db", "upgrade").exit_code == 0


def run(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, list(arguments), input=stdin)


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["audit", "verify", "--window", "nan"], b""),
        (["audit", "verify", "--window", "inf"], b""),
        (["audit", "verify", "--window", "1e30"], b""),
        (["audit", "checkpoint", "--every", "nan"], b""),
        (["audit", "export", "--from", "99999999999999999999999"], b""),
        (["audit", "verify", "--key", LONG], b""),
        (["retention", "verify-certificate", "aiguard.toml", "--key", LONG], b""),
        (["audit", "prove", BYTES], b""),
        (["audit", "keygen", BYTES], b""),
        (["hold", "release", BYTES], b""),
        (["token", "list", "--service", BYTES], b""),
        (["policy", "hash", "--salt", "0123456789abcdef"], b"\xff\xfe\n"),
        (["subject", "export", "-"], b"\xff\xfe\n"),
        (["subject", "export", "-"], b"x" * 5_000 + b"\n"),
        (["eval", "pii", BYTES], b""),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_it_is_one_block_and_no_trace_back(arguments: list[str], stdin: bytes) -> None:
    result = run(*arguments, stdin=stdin)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code in (1, 2)
    assert "rror" in result.stderr


def test_an_id_from_standard_input_is_never_cut() -> None:
    for line in (b"x" * 4_097, b"  " + b"x" * 4_096, b"x" * 4_096 + b"  y"):
        assert "too long" in run("subject", "erase", "-", "--yes", stdin=line + b"\n").stderr
    assert "too long" not in run("subject", "erase", "-", "--yes", stdin=b"x" * 4_096 + b"\n").stderr


def test_a_hold_that_cannot_be_placed_meets_nobody(tmp_path: Path) -> None:
    place = ["hold", "place", "--matter", "m", "--custodian", "c", "--subject", "tom"]
    assert run(*place, "--review", "soon").exit_code == 2
    assert run(*place, "--review", "9d", "--from", "soon").exit_code == 2
    assert json.loads(run("keys", "list", "--json").stdout)["keys"][0]["used_for"].get("people", 0) == 0


def test_a_file_that_could_not_be_looked_at_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        Path(name).write_text("jane@example.com" if name == "two" else "x")

    def failing(detector: Detector, text: str) -> list[Finding]:
        if text == "x":
            raise ScanFailed("the filter's memory is used up")
        return detect_text(detector, text)

    monkeypatch.setattr(scan_command, "detect_text", failing)
    result = run("scan", "one", "two")
    assert result.exit_code == 2
    assert "one: the filter's memory is used up" in result.stderr
    assert "EMAIL_ADDRESS" in result.stdout


def test_rows_that_are_not_there_are_no_score() -> None:
    Path("empty.jsonl").write_text("\n\n")
    result = run("eval", "pii", "empty.jsonl")
    assert result.exit_code == 1
    assert "empty.jsonl: holds no rows" in result.stderr
    assert result.stdout == ""


def test_signing_goes_on_when_the_database_was_away_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    sign, turns = Keeper.sign, iter(range(4))

    def away(self: Keeper) -> object:
        turn = next(turns, None)
        if turn is None:
            raise KeyboardInterrupt
        if turn == 1:
            raise StoreUnavailable("The database does not answer.")
        return sign(self)

    monkeypatch.setattr(Keeper, "sign", away)
    monkeypatch.setattr("aiguard.cli.audit.time.sleep", lambda _seconds: None)
    result = run("audit", "checkpoint", "--every", "1")
    assert next(turns, None) is None
    assert "The database does not answer" in result.stderr
    turns = iter([1])
    assert run("audit", "checkpoint").exit_code == 1
