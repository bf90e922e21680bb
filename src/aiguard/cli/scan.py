"""``aiguard scan``: what is in a file, and the file without it."""

from __future__ import annotations

import codecs
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import click

from aiguard import detect
from aiguard.cli.output import INVALID, err, fail, out
from aiguard.detect.parts import detect_text
from aiguard.detect.tuned import Detectors
from aiguard.policy import Policy, load_policy
from aiguard.redact import redact
from aiguard.scan import ScanFailed
from aiguard.types import Detector, Finding, Operator

STDIN: Final = "-"

MAX_BYTES: Final = 256 << 20
"""Bytes of one file; what is larger is refused, since a file is read whole."""

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, which is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

UNREAD: Final = 2
"""Exit code: something was not looked at, so nothing is known about it."""

_HEADINGS: Final = ("line", "column", "characters", "type", "score", "recognizer")
_WORDS: Final = frozenset({3, 5})
"""Places of the columns that hold words; the others hold figures."""

_REPLACE: Final = {"*": Operator(name="replace")}


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...|-")
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object a file.")
@click.option("--redact", "as_text", is_flag=True, help="Print the text with every finding replaced.")
@click.option("--policy", "policy", type=click.Path(path_type=Path), help="Look for what this policy says.")
@click.option("--feature", help="As this feature of the policy does; by default as texts of no feature.")
def scan(files: Sequence[str], *, as_data: bool, as_text: bool, policy: Path | None, feature: str | None) -> None:
    """Report identifiers and credentials in text files; exit with 1 when there are any, with 2 when a file was not looked at."""
    if as_data and as_text:
        raise click.UsageError("--json and --redact exclude each other")
    if STDIN in files and len(files) > 1:
        raise click.UsageError("- (standard input) stands alone")
    detector = _detector(policy, feature)
    dirty = unread = False
    for name in files:
        try:
            text, findings, encoding = _looked_at(detector, _contents(name))
        except (_Unreadable, ScanFailed) as error:
            err(f"error: {name}: {error}")
            unread = True
            continue
        dirty = dirty or bool(findings)
        if as_text:
            clean = redact(text, findings, _REPLACE, vault=None, pseudonym=None).text
            click.echo(clean.encode(encoding, "surrogateescape"), nl=False)
        elif as_data:
            out(json.dumps({"file": name, "findings": list(_rows(text, findings))}, ensure_ascii=True))
        else:
            _show(name, text, findings)
    if unread:
        raise SystemExit(UNREAD)
    if dirty:
        raise SystemExit(INVALID)


class _Unreadable(Exception):
    """A file that was not looked at; the message says why."""


def _detector(path: Path | None, feature: str | None) -> Detector:
    if path is None:
        if feature is not None:
            raise click.UsageError("--feature needs --policy")
        return detect.default_detector()
    policy = load_policy(path, detect.known_types())
    if feature is not None and feature not in policy.features:
        raise click.UsageError(
            f"{path} has no feature {feature}; it has {', '.join(sorted(policy.features)) or 'none'}"
        )
    missing = sorted({name for each in policy.features.values() for name in each.detect.models if each.name == feature})
    if missing:
        fail(
            f"the feature asks for language models ({', '.join(missing)}) that only the application has; scan without --feature",
            code=UNREAD,
        )
    detectors = Detectors(policy, detect.default_detector(), models=_absent(policy))
    return detectors.base if feature is None else detectors.of(policy.features[feature])


class _NoModel:
    """Stands for a model that is not here, in features that are not asked."""

    types: frozenset[str] = frozenset()

    def find(self, _text: str) -> list[Finding]:
        raise AssertionError("nobody asks")


def _absent(policy: Policy) -> dict[str, _NoModel]:
    return {name: _NoModel() for each in policy.features.values() for name in each.detect.models}


def _contents(name: str) -> bytes:
    try:
        if name == STDIN:
            data = _read(sys.stdin.buffer)
        else:
            with Path(name).open("rb") as file:
                data = _read(file)
    except OSError as error:
        raise _Unreadable(f"cannot be read: {error.strerror or type(error).__name__}") from None
    if data is None:
        raise _Unreadable(f"is larger than {MAX_BYTES >> 20} MiB; split it")
    return data


def _read(file: BinaryIO) -> bytes | None:
    data = file.read(MAX_BYTES + 1)
    return None if len(data) > MAX_BYTES else data


def _looked_at(detector: Detector, data: bytes) -> tuple[str, list[Finding], str]:
    """The text of a file, what was found in it, and how it is encoded.

    Bytes that are not UTF-8 come back as they were when the text is written again. Where a mark says UTF-16 or UTF-32, the file is
    read both so and as it stands, and what finds more counts: the mark may stand before something else.
    """
    text = data.decode("utf-8", "surrogateescape")
    found = text, detect_text(detector, text), "utf-8"
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            with contextlib.suppress(UnicodeDecodeError):
                wide = data.decode(encoding)
                findings = detect_text(detector, wide)
                return found if len(found[1]) > len(findings) else (wide, findings, encoding)
    return found


def _rows(text: str, findings: Sequence[Finding]) -> Iterator[dict[str, object]]:
    """Findings with the line and column (from 1) they start at; never what was found."""
    line, line_start, position = 1, 0, 0
    for finding in findings:
        if breaks := text.count("\n", position, finding.start):
            line += breaks
            line_start = text.rindex("\n", position, finding.start) + 1
        position = max(position, finding.start)
        yield {
            "type": finding.type,
            "line": line,
            "column": finding.start - line_start + 1,
            "start": finding.start,
            "end": finding.end,
            "score": finding.score,
            "recognizer": finding.recognizer,
        }


def _show(name: str, text: str, findings: Sequence[Finding]) -> None:
    if not findings:
        out(f"{name}: nothing found")
        return
    rows = [
        (
            str(row["line"]),
            str(row["column"]),
            str(finding.end - finding.start),
            finding.type,
            f"{finding.score:.2f}",
            finding.recognizer,
        )
        for row, finding in zip(_rows(text, findings), findings, strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    lines = [name]
    for cells in (_HEADINGS, *rows):
        shown = (
            cell.ljust(width) if place in _WORDS else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        lines.append("  " + "    ".join(shown).rstrip())
    out("\n".join(lines))
