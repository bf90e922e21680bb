"""The demo's report as a person reads it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Any

WIDTH = 100


def lines(report: dict[str, Any]) -> Iterator[str]:
    """The report, a line at a time."""
    verdict = "nothing that policy protects got out" if not report["failures"] else "FAILED"
    yield f"aiguard demo: {verdict}"
    yield ""
    yield (
        f"{report['requests']} requests to the support desk: {report['delivered']} delivered, {report['blocked']} stopped;"
        f" {report['redacted']} values taken out of what was delivered;"
        f" {report['restored']['found']} of {report['restored']['expected']} tokens' values came back to their owners."
    )
    yield ""
    yield "Stopped, and why"
    for code, count in report["blocked_by_reason"].items():
        yield f"  {count:4}  {code}"
    refusal = report["refusal"]
    if refusal:
        yield f"  for example {refusal.get('decision_id')}: {refusal.get('detail')}"
    yield ""
    yield "Each of these had to be refused, or answered with a clear error"
    for row in report["attacks"]:
        yield f"  {row['status']}  {row['name']}: {', '.join(row['reasons']) or 'refused by the application'}"
    yield from _example(report["example"])
    yield ""
    yield "Searched for every labelled value, as written and in other encodings"
    for place, size in report["searched_bytes"].items():
        count = report["leaks_by_place"].get(place, 0)
        yield f"  {place:13} {size / 1_000_000:6.1f} MB   {count} leaks"
    yield f"  {report['searched_values']} values; leaks: {report['leaks']}"
    yield "Would a leak have been found? These searches had to find something"
    for name, control in report["controls"].items():
        yield f"  {control['found']:4} of {control['expected']:4}  {name}"
    yield ""
    yield f"On record: {report['artifacts']} artifacts (redacted, encrypted), {report['audit_events']} audit events."
    yield (
        f"Time added to a message of about 2 KB: {report['overhead_ms_p50']:.1f} ms p50, {report['overhead_ms_p99']:.1f} ms p99"
        f" (desk minus the same desk without the guard, {report['timed_pairs']} alternating pairs one at a time over HTTP,"
        f" logs at INFO; p50 {report['guarded_ms_p50']:.1f} against {report['unguarded_ms_p50']:.1f} ms)."
    )
    if report["failures"]:
        yield ""
        yield "What is wrong"
        for failure in report["failures"]:
            yield f"  - {failure}"
    yield f"{report['seconds']} s"


def _example(example: dict[str, str]) -> Iterator[str]:
    titles = (
        ("written", "Written by a customer"),
        ("sent", "What the model server received"),
        ("answer", "What the agent read"),
    )
    for key, title in titles:
        if example.get(key):
            yield ""
            yield title
            text = re.sub(r"\s+", " ", example[key])
            yield from textwrap.wrap(text, WIDTH, initial_indent="  | ", subsequent_indent="  | ")
