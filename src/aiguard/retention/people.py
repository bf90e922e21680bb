"""Who a request is about: from the id that an application uses to the names that rows carry.

An application knows an id and perhaps a tenant. The key store finds the keys of that person (as the one whom data is about, as
a user and as a service that called), and each key gives the name that rows and events carry. Once the keys are destroyed, no
one can walk this way again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from aiguard.identity import named
from aiguard.store import DataKey, SubjectKeyRing
from aiguard.types import Actor, KeyRing

_KINDS: Final[tuple[Literal["user", "service"], ...]] = ("user", "service")


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody's lookups (which find keys) and, for the keys that there are, names (which rows carry)."""

    lookups: Mapping[str, str] = field(repr=False)
    """``subject``, ``user``, ``service`` to the lookup."""
    names: Mapping[str, str]
    """The same to the name; what has no key is missing."""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The same to the key's id, in hex. Whoever comes back after an erasure has the same lookups, and other keys."""

    @property
    def subject(self) -> str:
        """The name under which data about them is kept; empty when there is none."""
        return self.names.get("subject", "")

    @property
    def every_name(self) -> tuple[str, ...]:
        """All names."""
        return tuple(self.names.values())


def lookups_of(keyring: KeyRing, id: str, tenant: str | None) -> dict[str, str]:
    """The lookups of one id."""
    found: dict[str, str] = {}
    for kind in _KINDS:
        names = named(keyring.pseudonym, Actor(id=id, kind=kind, tenant=tenant), id)
        found |= {"subject": names["subject"], kind: names["actor"]}
    return found


def find_person(keyring: SubjectKeyRing, id: str, *, tenant: str | None = None) -> Person:
    """Who ``id`` is; asks the key store and makes nothing.

    Raises:
        StoreUnavailable: the key store cannot be read.
        IntegrityError: a key cannot be unwrapped with the master keys at hand.
    """
    lookups = lookups_of(keyring, id, tenant)
    keys = keyring.existing_keys(list(lookups.values()))
    return _person(lookups, keys)


def meet_person(keyring: SubjectKeyRing, id: str, *, tenant: str | None = None) -> Person:
    """Who ``id`` is, with keys made where there were none: for a hold that covers what is kept later."""
    lookups = lookups_of(keyring, id, tenant)
    return _person(lookups, keyring.subject_keys(list(lookups.values())))


def _person(lookups: Mapping[str, str], keys: Mapping[str, DataKey]) -> Person:
    there = {role: keys[lookup] for role, lookup in lookups.items() if lookup in keys}
    return Person(
        lookups=lookups,
        names={role: key.name for role, key in there.items()},
        keys={role: key.id.hex() for role, key in there.items()},
    )
