"""Tokens of an answer turned back into what they stand for, where policy lets that happen and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aiguard.errors import MalformedInput
from aiguard.framing.jsontree import JsonDocument
from aiguard.output import LinkScan
from aiguard.policy import OutputRule
from aiguard.redact import Vault
from aiguard.redact.vault import TOKEN_PATTERN
from aiguard.scan.closure import closure
from aiguard.scan.places import Within
from aiguard.types import Finding, Part, PartKind

TOKEN_PREFIXES: Final = (closure(TOKEN_PATTERN),)
"""What a token may begin with, so that a stream holds it back."""


def beside(found: Iterable[Finding], tokens: Iterable[Finding]) -> list[Finding]:
    """Those of ``found`` that do not lie within one of ``tokens``: what stands in a token of ours is no value."""
    within = Within()
    within.add((token.start, token.end, 0.0) for token in tokens)
    return [finding for finding in found if not within.holds(finding.start, finding.end)]


def restores(output: OutputRule, part: Part) -> bool:
    """Whether tokens are turned back in that part of an answer."""
    there = part.channel == "prose" or (part.channel == "tool" and "tools" in output.restore_in)
    return output.restore and there and part.kind is PartKind.TEXT


def restore(vault: Vault, text: str, *, links: bool = False, after: LinkScan | None = None) -> tuple[str, list[str]]:
    """``text`` with this vault's tokens turned back, in ``links`` only where that is asked for, and the values that were.

    A JSON object or array is restored leaf by leaf, so that a value with a quote in it stays a value. ``after`` has seen the
    texts that its reader reads before this one, and sees this one: a link that began there goes on here.
    """
    scan = None if links else after or LinkScan()
    restored, values = _restored(vault, text, scan)
    if values and text.lstrip()[:1] in {"{", "["}:
        try:
            document = JsonDocument.parse(text)
        except MalformedInput:  # prose that begins with a bracket
            return restored, values
        leaves = [_restored(vault, part.text, None if links else LinkScan())[0] for part in document.parts()]
        restored = document.render(leaves).decode()
    return restored, values


def _restored(vault: Vault, text: str, links: LinkScan | None) -> tuple[str, list[str]]:
    pieces: list[str] = []
    values: list[str] = []
    done = 0
    for start, end in [*([] if links is None else links.feed(text)), (len(text), len(text))]:
        restored = vault.restore(text[done:start])
        values += [restored.text[left:right] for left, right in restored.spans]
        pieces += (restored.text, text[start:end])
        done = end
    return "".join(pieces), values
