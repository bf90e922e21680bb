"""The pseudonyms that records carry, in one place: a tenant keeps its actors and subjects apart from another's."""

from __future__ import annotations

from collections.abc import Callable

from aiguard.types import Actor


def named(pseudonym: Callable[[str, str], str], actor: Actor | None, subject: str | None) -> dict[str, str]:
    """``actor``, ``tenant`` and ``subject`` as keyed pseudonyms; empty where there is none.

    Lengths are written before the parts, so that no tenant and id can be chosen to read like another pair.
    """
    tenant = actor.tenant if actor is not None else None
    prefix = "-" if tenant is None else f"{len(tenant)}:{tenant}"
    return {
        "actor": pseudonym("actor", f"{prefix}:{actor.kind}:{actor.id}") if actor is not None else "",
        "subject": pseudonym("subject", f"{prefix}:{subject}") if subject is not None else "",
        "tenant": pseudonym("tenant", tenant) if tenant is not None else "",
    }
