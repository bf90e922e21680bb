"""``aiguard scan``, ``aiguard eval`` and ``aiguard types``."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aiguard.cli import main
from aiguard.cli.scan import _rows
from aiguard.detect import default_detector, known_types
from aiguard.types import Finding

DIRTY = "Hello,\nmail jane@example.com or pay 4111 1111 1111 1111.\n"


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=stdin, prog_name="aiguard")


@pytest.fixture
def dirty(tmp_path: Path) -> str:
    path = tmp_path / "dirty.txt"
    path.write_text(DIRTY, encoding="utf-8")
    return str(path)


@pytest.fixture
def clean(tmp_path: Path) -> str:
    path = tmp_path / "clean.txt"
    path.write_text("Nothing to see.\n", encoding="utf-8")
    return str(path)


def test_scan_exits_with_1_where_something_was_found_and_never_shows_it(dirty: str, clean: str) -> None:
    assert (run("scan", clean).exit_code, run("scan", dirty).exit_code) == (0, 1)
    shown = run("scan", clean, dirty).stdout
    assert "EMAIL_ADDRESS" in shown
    assert "jane@" not in shown
    assert "4111" not in shown


def test_scan_json_says_where_each_finding_is(dirty: str) -> None:
    data = json.loads(run("scan", "--json", dirty).stdout)
    assert data["file"] == dirty
    assert [(f["type"], f["line"], f["column"], DIRTY[f["start"] : f["end"]]) for f in data["findings"]] == [
        ("EMAIL_ADDRESS", 2, 6, "jane@example.com"),
        ("CREDIT_CARD", 2, 30, "4111 1111 1111 1111"),
    ]


def test_scan_places_findings_in_a_long_line_in_linear_time() -> None:
    def seconds(count: int) -> float:
        text = "\n" + ("ab" + " " * 48) * count
        found = [
            Finding(type="EMAIL_ADDRESS", start=50 * i + 1, end=50 * i + 3, score=1.0, recognizer="x")
            for i in range(count)
        ]
        started = time.process_time()
        rows = list(_rows(text, found))
        spent = time.process_time() - started
        assert (rows[-1]["line"], rows[-1]["column"]) == (2, 50 * count - 49)
        return spent

    assert min(seconds(40_000) for _ in range(3)) < 20 * min(seconds(5_000) for _ in range(3))


def test_scan_redact_prints_the_text_without_them_also_from_standard_input(dirty: str) -> None:
    expected = "Hello,\nmail [REDACTED_EMAIL] or pay [REDACTED_CARD].\n"
    assert run("scan", "--redact", dirty).stdout == expected
    result = run("scan", "-", "--redact", stdin=DIRTY)
    assert (result.stdout, result.exit_code) == (expected, 1)


def test_scan_redact_keeps_bytes_that_are_no_text() -> None:
    result = run("scan", "-", "--redact", stdin=b"\xff\x00 jane@example.com \xfe")
    assert result.stdout_bytes == b"\xff\x00 [REDACTED_EMAIL] \xfe"


def test_scan_says_what_it_cannot_read(tmp_path: Path) -> None:
    for target in (str(tmp_path / "missing"), str(tmp_path)):
        result = run("scan", target)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"error: {target}: cannot be read")


def test_scan_looks_at_the_other_files_of_a_folder_that_holds_what_it_cannot_read(tmp_path: Path, dirty: str) -> None:
    result = run("scan", str(tmp_path), dirty, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["file"] == dirty
    assert f"error: {tmp_path}: cannot be read" in result.stderr


def test_scan_shows_long_names_whole_and_many_findings_soon(tmp_path: Path) -> None:
    policy = tmp_path / "aiguard.toml"
    name = "A_RATHER_LONG_NAME_FOR_A_NUMBER_OF_OUR_OWN"
    policy.write_text(
        f"[recognizers.{name}]\npattern = 'EMP-[0-9]{{6}}'\nexamples = ['EMP-123456']\n", encoding="utf-8"
    )
    (tmp_path / "many.txt").write_text("EMP-123456\n" * 5_000, encoding="utf-8")
    started = time.process_time()
    result = run("scan", str(tmp_path / "many.txt"), "--policy", str(policy))
    assert time.process_time() - started < 2.0
    assert f"policy:{name}" in result.stdout
    assert len(result.stdout.splitlines()) == 5_002


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_scan_reads_the_wide_encodings_that_a_mark_announces_and_writes_them_again(encoding: str) -> None:
    text = "\ufeffjosé@example.com, Überweisung an DE89 3704 0044 0532 0130 00 €\n"
    result = run("scan", "-", "--json", stdin=text.encode(encoding))
    assert [text[f["start"] : f["end"]] for f in json.loads(result.stdout)["findings"]] == [
        "josé@example.com",
        "DE89 3704 0044 0532 0130 00",
    ]
    clean = run("scan", "-", "--redact", stdin=text.encode(encoding)).stdout_bytes
    assert clean.decode(encoding) == "\ufeff[REDACTED_EMAIL], Überweisung an [REDACTED_IBAN] €\n"


def test_scan_is_not_misled_by_a_mark_before_other_text() -> None:
    assert run("scan", "-", stdin=b"\xff\xfejane@example.com\n").exit_code == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("options", [(), ("--json",), ("--redact",)])
def test_an_output_that_cannot_be_written_is_no_answer(dirty: str, options: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "aiguard", "scan", dirty, *options]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize("arguments", [("--json", "--redact", "x"), ("-", "x"), ()])
def test_scan_refuses_what_makes_no_sense(arguments: tuple[str, ...]) -> None:
    assert run("scan", *arguments).exit_code == 2


# Rows in the form of microsoft/presidio-research (MIT) and gitleaks (MIT), written for this test.
PII = (
    {"text": "My card is 4111 1111 1111 1111.", "spans": [{"start": 11, "end": 30, "type": "CREDIT_CARD"}]},
    {"text": "Anna wrote", "spans": [{"start": 0, "end": 4, "type": "PERSON"}]},
    {"text": "to jane@example.com", "spans": [], "scope": ["CREDIT_CARD"]},
)
SECRETS = (
    {
        "text": "use ghp_" + "a1B2c3D4e5F6" * 3,
        "spans": [{"start": 4, "end": 44, "type": "SECRET"}],
        "rule": "github-pat",
    },
    {"text": "max_tokens: 4096", "spans": [], "scope": ["generic-api-key"]},
)


def rows(path: Path, data: tuple[object, ...]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in data), encoding="utf-8")
    return str(path)


def test_eval_json_has_figures_for_each_file_and_for_all(tmp_path: Path) -> None:
    one, two = rows(tmp_path / "1.jsonl", PII), rows(tmp_path / "2.jsonl", PII[:1])
    data = json.loads(run("eval", "pii", one, two, "--json").stdout)
    assert set(data["files"]) == {one, two}
    assert data["files"][one]["types"]["CREDIT_CARD"] == {
        "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1, "tp": 1, "fp": 0, "fn": 0,
    }  # fmt: skip
    assert data["files"][one]["micro"]["covered"] == 1.0
    assert data["all"]["micro"]["tp"] == 2
    assert (data["all"]["row_fpr"], data["all"]["fp_per_10k_chars"]) == (0.0, 0.0)


def test_eval_secrets_counts_secrets_only(tmp_path: Path) -> None:
    path = rows(tmp_path / "s.jsonl", SECRETS)
    data = json.loads(run("eval", "secrets", path, "--json").stdout)["all"]
    assert set(data["types"]) == {"SECRET"}
    assert (data["micro"]["recall"], data["row_fpr"]) == (1.0, 0.0)
    shown = run("eval", "secrets", path)
    assert (shown.exit_code, "SECRET" in shown.stdout, "ghp_" in shown.stdout) == (0, True, False)


def test_eval_says_which_line_it_cannot_use(tmp_path: Path) -> None:
    path = rows(tmp_path / "bad.jsonl", (*PII, {"text": 1}))
    result = run("eval", "pii", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {path}:4: text is missing")


def test_types_lists_every_type_and_how_it_is_found() -> None:
    data = json.loads(run("types", "--json").stdout)["types"]
    assert {kind["type"] for kind in data} == set(known_types())
    by_name = {kind["type"]: kind for kind in data}
    assert by_name["PERSON"]["how"] == "model"
    assert by_name["CREDIT_CARD"]["how"] == "shape and check; check and words before it"
    assert by_name["UK_NHS"]["country"] == "GB"
    assert by_name["NG_NIN"]["how"] == "words before it"
    assert {kind["type"] for kind in data if kind["recognizers"]} == default_detector().types
    assert "ES_NIF" in run("types").stdout


def test_types_says_how_well_each_is_found_and_on_what() -> None:
    data = json.loads(run("types", "--json").stdout)
    by_name = {kind["type"]: kind["measured"] for kind in data["types"]}
    for name in ("EMAIL_ADDRESS", "CREDIT_CARD", "PHONE_NUMBER", "SECRET"):
        assert 0.8 < by_name[name]["f1"] <= 1
        assert by_name[name]["support"] >= 5
    assert by_name["NG_NIN"] is None
    assert data["measured"]["command"].startswith("python -m benchmarks.measured ")
    assert sum(data["measured"]["sources"].values()) > 1_000
    assert "measured on" in run("types").stdout
