"""What is wrong with a policy, said so that its author can put it right: file, line, key, and the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiguard.errors import PolicyError

KeyPath = tuple[str | int, ...]
"""Where a value stands in the document: table and key names, and indexes of arrays (from 0)."""

_SHOWN = 20


def dotted(path: KeyPath) -> str:
    """``features.support-reply.models[0]``; names that need quotes in TOML get them, long ones are cut."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        shown = step if len(step) <= 64 else step[:61] + "..."
        if not shown.isascii() or not shown.replace("-", "").replace("_", "").isalnum():
            shown = '"' + shown.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'
        text += f".{shown}" if text else shown
    return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong. ``line`` counts from 1; ``None`` when the problem has no place (a missing file)."""

    source: str
    message: str
    key: KeyPath = ()
    line: int | None = None

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}:{self.line}"
        key = dotted(self.key)
        return f"{where}: {key}: {self.message}" if key else f"{where}: {self.message}"


class InvalidPolicy(PolicyError):
    """Everything that is wrong with one policy, in the order of the file.

    Attributes:
        problems: one :class:`Problem` each; never empty.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line or 0, dotted(problem.key))))
        shown = [str(problem) for problem in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            shown.append(f"and {len(self.problems) - _SHOWN} more")
        super().__init__("\n".join(shown))
