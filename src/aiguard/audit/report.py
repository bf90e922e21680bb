"""What a verification says: a status with an exit code of its own, and every problem as one sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

MAX_PROBLEMS = 100
"""Problems that are told; the rest is counted."""


class Status(StrEnum):
    """What a verification found, worst first."""

    TAMPERED = "tampered"
    """Something is not what was recorded."""

    INCOMPLETE = "incomplete"
    """Nothing contradicts itself, but part of the evidence is missing: no checkpoint, no key, a payload without its reason."""

    STALE = "stale"
    """All that is signed holds, but events have been waiting for a checkpoint longer than they should."""

    OK = "ok"
    """Everything that is there holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong: which check failed, at which event if it is one, and a sentence."""

    check: str
    detail: str
    seq: int | None = None


@dataclass(kw_only=True, slots=True)
class Report:
    """What was looked at and what was found."""

    events: int = 0
    """Events that the log commits to, those that have expired included."""

    expired: int = 0
    """Events before the newest signed statement that they have expired."""

    checkpoints: int = 0
    signed: int = 0
    """Events that the newest good checkpoint covers."""

    payloads: int = 0
    erased: int = 0
    waiting: int = 0
    """Events in the outbox."""

    root: bytes = b""
    problems: list[Problem] = field(default_factory=list)
    gaps: list[Problem] = field(default_factory=list)
    """What is missing without contradicting anything."""

    late: list[Problem] = field(default_factory=list)
    untold: int = 0

    @property
    def status(self) -> Status:
        """The worst of what was found."""
        if self.problems:
            return Status.TAMPERED
        if self.gaps:
            return Status.INCOMPLETE
        return Status.STALE if self.late else Status.OK

    @property
    def unsigned(self) -> int:
        """Events after the newest good checkpoint: nothing but the database vouches for them."""
        return self.events - self.signed

    def wrong(self, check: str, detail: str, seq: int | None = None) -> None:
        """Note a contradiction."""
        self._note(self.problems, check, detail, seq)

    def lacks(self, check: str, detail: str, seq: int | None = None) -> None:
        """Note that something is missing."""
        self._note(self.gaps, check, detail, seq)

    def waits(self, check: str, detail: str, seq: int | None = None) -> None:
        """Note that something is late."""
        self._note(self.late, check, detail, seq)

    def _note(self, to: list[Problem], check: str, detail: str, seq: int | None) -> None:
        if len(to) < MAX_PROBLEMS:
            to.append(Problem(check=check, detail=detail, seq=seq))
        else:
            self.untold += 1
