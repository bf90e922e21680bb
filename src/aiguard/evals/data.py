"""Labelled rows from JSON lines, plain or gzipped, read one at a time and checked before anything is scored."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiguard.errors import AIGuardError, MalformedInput

MAX_LINE: Final = 64 << 20
"""Bytes of one row. A longer line is refused, so that a file without line ends cannot fill the memory."""

_GZIP: Final = b"\x1f\x8b"


class DataUnreadable(AIGuardError):
    """The file cannot be opened or decompressed. The message names it and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """What is marked in a row: a span in characters and its type. ``maybe``: neither finding nor missing it counts."""

    start: int
    end: int
    type: str
    maybe: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One labelled text.

    ``scope`` is what was annotated (types, or for secrets the one rule that the row is a counter-example of); ``None``
    where everything was. ``whole_only``: the row holds an invalid value that may contain a valid one, so only a finding
    that covers the whole value is wrong. ``exact_spans`` is False where whole lines are marked: any overlap is a hit.
    """

    text: str = field(repr=False)
    labels: tuple[Label, ...] = ()
    scope: frozenset[str] | None = None
    whole_only: bool = False
    exact_spans: bool = True


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of ``path``, in order.

    Raises:
        DataUnreadable: the file cannot be opened, or is damaged.
        MalformedInput: there are no rows, or a line is none; the message names the file, the line and the field, never the content.
    """
    try:
        with path.open("rb") as raw, _plain(raw) as lines:
            number = rows = 0
            while line := lines.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise MalformedInput(f"{path}:{number}: the line is longer than {MAX_LINE} bytes")
                if line.strip():
                    rows += 1
                    yield _row(line, f"{path}:{number}")
            if not rows:
                raise MalformedInput(f"{path}: holds no rows, so nothing can be said")
    except (OSError, EOFError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataUnreadable(f"{path}: cannot be read: {reason}") from None


def _plain(raw: io.BufferedReader) -> io.BufferedReader | gzip.GzipFile:
    return gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == _GZIP else raw


def _row(line: bytes, where: str) -> Row:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise MalformedInput(f"{where}: is not a JSON object") from None
    if not isinstance(data, dict):
        raise MalformedInput(f"{where}: is not a JSON object")
    text, spans, maybe, scope = (data.get(name) for name in ("text", "spans", "maybe", "scope"))
    if not isinstance(text, str):
        raise MalformedInput(f"{where}: text is missing or not a string")
    if not isinstance(spans, list) or not isinstance(maybe or [], list):
        raise MalformedInput(f"{where}: spans is missing or not a list")
    if scope is not None and not (isinstance(scope, list) and all(isinstance(name, str) for name in scope)):
        raise MalformedInput(f"{where}: scope is not a list of strings")
    labels = [_label(span, text, where) for span in spans]
    labels += [_label(span, text, where, maybe=True) for span in maybe or []]
    return Row(
        text=text,
        labels=tuple(labels),
        scope=None if scope is None else frozenset(scope),
        whole_only=data.get("neg_mode") == "exact",
        exact_spans=data.get("span_exact") is not False,
    )


def _label(span: Any, text: str, where: str, *, maybe: bool = False) -> Label:
    if isinstance(span, dict):
        start, end, type = span.get("start"), span.get("end"), span.get("type")
        numbers = isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text)
        if numbers and (isinstance(type, str) or maybe):
            return Label(start=start, end=end, type=str(type or ""), maybe=maybe or span.get("maybe") is True)  # type: ignore[arg-type]
    raise MalformedInput(f"{where}: a span needs start and end within the text and a type")
