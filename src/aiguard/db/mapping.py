"""How records become rows: what a room tells the writer about each kind, and what it is given to seal and to name with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from aiguard.errors import SubjectErased
from aiguard.types import BoundName, KeyRing, KnownName, SubjectKey

Row = Any
"""What a mapper makes of a record, and only its own ``insert`` looks into."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sealing:
    """What a mapper may use to turn a record into rows."""

    keyring: KeyRing
    writer: str
    """Id of this writer, new for every process."""
    subjects: Mapping[str, SubjectKey] = field(default_factory=dict, repr=False)
    """Keys of the people that the records name, by the pseudonym that the records carry."""

    def name(self, person: str) -> str:
        """What the row says for the person whom the record calls so: the pseudonym that comes from their own key.

        Nobody's (``""``) where they were erased since they were admitted.
        """
        if self.erased(person):
            return ""
        key = self.subjects.get(person)
        return person if key is None else key.name

    def seal(self, plaintext: bytes, *, aad: bytes, subject: str, hour: str = "") -> bytes:
        """Seal with the key of the person whom it is about, or with the ring's where there is none; and with that of its last hour.

        :class:`~aiguard.errors.SubjectErased` where the person was erased since they were admitted.
        """
        if self.erased(subject):
            raise SubjectErased
        key = self.subjects.get(subject)
        if hour and (shredded := self.subjects.get(hour)) is not None:
            return shredded.seal_with(key, plaintext, aad=aad)
        return self.keyring.seal(plaintext, aad=aad) if key is None else key.seal(plaintext, aad=aad)

    def erased(self, person: str) -> bool:
        """Whether the key that the person's records began with is not theirs any more; the first record says which it is."""
        if not isinstance(person, BoundName):
            return False
        key = self.subjects.get(person)
        if not person.bound_to:
            person.bound_to = "" if key is None else key.name
            return False
        return key is None or key.name != person.bound_to


def people_of(records: Sequence[Any]) -> list[str]:
    """The people whom records name, and the hours in which they expire, each once: whose keys are needed."""
    named = [getattr(record, role, "") for record in records for role in ("actor", "subject", "hour_key")]
    people = dict.fromkeys(person for person in named if person and not isinstance(person, KnownName))
    if any(isinstance(person, BoundName) and person.bound_to for person in people):
        # A key is made for whoever is not bound yet, so where both name one person, theirs is the name that counts.
        free = [person for person in named if person in people and not getattr(person, "bound_to", "")]
        people = dict.fromkeys([*free, *people])
    return list(people)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapper:
    """How one kind of record becomes rows.

    ``prepare`` is pure and may refuse (any exception becomes the future's). It runs in the writer's thread: sealing hands the
    interpreter's lock over again and again, which among many callers' threads costs more than the work itself.
    ``insert`` writes the prepared rows of a whole batch on the writer's connection, inside its transaction.
    """

    prepare: Callable[[Any, Sealing], Row]
    insert: Callable[[Connection, Sequence[Row]], None]
    straight: bool = False
    """Whether ``insert`` asks only by :mod:`aiguard.db.bulk`, so that a transaction need not wait for each answer."""
