"""The effects that the pipeline yields and a driver carries out: everything in an exchange that waits for something."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from aiguard.redact import KeptVault
from aiguard.types import Detector, Part, Record


@dataclass(frozen=True, kw_only=True, slots=True)
class Detect:
    """Effect: find what is in each part with ``detector``. The driver sends back one sequence of findings a part.

    ``leaves`` says that these are the whole texts of a request, which are also read without the marks inside their words. ``notes`` is where it collects what the detector could not do although policy lets it go on.
    """

    parts: Sequence[Part]
    detector: Detector
    leaves: bool = False
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """Effect: commit ``records`` durably. ``wait=False`` only where nobody is left to wait (a cancelled call).

    ``after`` is an earlier commit that must have succeeded too: the access that the exchange rests on.
    """

    records: Sequence[Record]
    wait: bool = True
    after: Future[None] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Send:
    """Effect: send ``payload`` and give back the raw answer, or raise what sending raised."""

    payload: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Recall:
    """Effect: bring a conversation's vault up to what the archive knows."""

    vault: KeptVault


Effect = Detect | Commit | Recall | Send
