"""The operators, and how they are applied to overlapping findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from aiguard.errors import ConfigurationError
from aiguard.redact.vault import TOKEN_LITERAL, Vault
from aiguard.scan import label_of
from aiguard.types import Finding, Operator

DEFAULT: Final = Operator(name="replace")
"""For types that no rule names and where no ``*`` rule is."""

_TOKENIZE: Final = Operator(name="tokenize")

_STRICTNESS: Final = {
    "allow": 0,
    "tokenize": 1,
    "mask": 2,
    "hash": 3,
    "replace": 4,
    "drop": 5,
    "block": 6,
}


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text after redaction.

    ``counts`` is how often each ``(type, operator)`` was applied (``allow`` included); ``blocked`` the types whose
    operator is ``block``, sorted (their values are replaced in ``text`` all the same); ``spans`` where in ``text`` the
    replacements stand, as half-open character offsets, in order (empty for ``drop``).
    """

    text: str = field(repr=False)
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    blocked: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()


def redact(
    text: str,
    findings: Iterable[Finding],
    rules: Mapping[str, Operator],
    *,
    vault: Vault | None = None,
    pseudonym: Callable[[str, str], str] | None = None,
) -> Redacted:
    """Apply ``rules`` (entity type -> operator, ``"*"`` for the rest, ``replace`` when that is absent) to ``text``.

    Overlapping findings are treated as one: their union gets the strictest of their operators; findings that policy
    allows do not take part. Pass :meth:`Vault.literals` of an untrusted text among its findings: token-like text is
    then tokenised itself (unless a rule names ``TOKEN_LITERAL``), so that it can never be restored to someone's value.
    ``pseudonym(type, value)`` is the keyed hash behind ``hash``.

    Raises :class:`~aiguard.errors.ConfigurationError` when a rule needs a vault or a key that is not there,
    :class:`ValueError` when a finding lies outside the text, and
    :class:`~aiguard.redact.vault.VaultFull` when the vault holds its maximum.
    """
    default = rules.get("*", DEFAULT)
    counts: dict[tuple[str, str], int] = {}
    blocked: set[str] = set()
    chosen: list[tuple[Finding, Operator]] = []
    for finding in findings:
        if finding.end > len(text):
            raise ValueError(f"a finding ends at {finding.end}, beyond the text of {len(text)} characters")
        operator = rules.get(finding.type) or (
            _TOKENIZE if finding.type == TOKEN_LITERAL and vault is not None else default
        )
        if operator.name == "allow":
            counts[finding.type, "allow"] = counts.get((finding.type, "allow"), 0) + 1
        else:
            chosen.append((finding, operator))
    if not chosen:
        return Redacted(text, counts)
    chosen.sort(key=lambda pair: (pair[0].start, -pair[0].end))
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    done = length = 0
    for start, end, type, operator, types, stopped in _unions(chosen):
        replacement = _apply(operator, type, text[start:end], vault, pseudonym)
        for name in types:
            counts[name, operator.name] = counts.get((name, operator.name), 0) + 1
        blocked.update(stopped)
        pieces += (text[done:start], replacement)
        length += start - done
        if replacement:
            spans.append((length, length + len(replacement)))
        length += len(replacement)
        done = end
    pieces.append(text[done:])
    return Redacted("".join(pieces), counts, tuple(sorted(blocked)), tuple(spans))


def _unions(
    chosen: list[tuple[Finding, Operator]],
) -> Iterable[tuple[int, int, str, Operator, list[str], list[str]]]:
    """Runs of overlapping findings as ``(start, end, type, operator, types, blocked types)``, the strictest and then longest naming it."""
    index = 0
    while index < len(chosen):
        start, end = chosen[index][0].start, chosen[index][0].end
        stop = index + 1
        while stop < len(chosen) and chosen[stop][0].start < end:
            end = max(end, chosen[stop][0].end)
            stop += 1
        group = chosen[index:stop]
        best, operator = max(
            group,
            key=lambda pair: (
                _STRICTNESS[pair[1].name],
                pair[0].end - pair[0].start,
                pair[0].score,
            ),
        )
        if operator.name == "mask":
            keep = min(pair[1].keep_last for pair in group if pair[1].name == "mask")
            operator = Operator(name="mask", keep_last=keep)
        types = [best.type] + [pair[0].type for pair in group if pair[0] is not best]
        blocked = [pair[0].type for pair in group if pair[1].name == "block"]
        yield start, end, best.type, operator, types, blocked
        index = stop


def _apply(
    operator: Operator,
    type: str,
    value: str,
    vault: Vault | None,
    pseudonym: Callable[[str, str], str] | None,
) -> str:
    if operator.name == "tokenize":
        if vault is None:
            raise ConfigurationError(
                f"the rule for {type} is 'tokenize', which needs a vault; pass one, or use 'replace'"
            )
        return vault.token(type, value)
    if operator.name == "hash":
        if pseudonym is None:
            raise ConfigurationError(f"the rule for {type} is 'hash', which needs a key; pass one, or use 'replace'")
        return f"[{label_of(type)}:{pseudonym(type, value)}]"
    if operator.name == "mask":
        return _mask(value, operator.keep_last)
    if operator.name == "drop":
        return ""
    return f"[REDACTED_{label_of(type)}]"


def _mask(value: str, keep_last: int) -> str:
    """Stars for letters and digits but the last ``keep_last`` of them, and for all else but spaces and hyphens.

    At least half of the letters and digits are always covered, so that a short value is not shown whole.
    """
    total = sum(char.isalnum() for char in value)
    hidden = total - min(max(keep_last, 0), total // 2)
    masked: list[str] = []
    seen = 0
    for char in value:
        if char.isalnum():
            seen += 1
            masked.append("*" if seen <= hidden else char)
        else:
            masked.append(char if char in " -" or seen > hidden else "*")
    return "".join(masked)
