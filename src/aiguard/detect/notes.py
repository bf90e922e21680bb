"""What a detection could not do although policy let it go on: collected beside the findings, for the record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_notes: ContextVar[list[str] | None] = ContextVar("aiguard_detection_notes", default=None)


@contextmanager
def noting(notes: list[str]) -> Iterator[None]:
    """Collect into ``notes`` what detectors note within the block, in threads that copy its context too."""
    token = _notes.set(notes)
    try:
        yield
    finally:
        _notes.reset(token)


def note(what: str) -> None:
    """Add a note, once, where somebody collects."""
    notes = _notes.get()
    if notes is not None and what not in notes:
        notes.append(what)
