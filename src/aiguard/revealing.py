"""``guard.reveal``: the value behind a token of a conversation, for somebody who may see it.

It needs the scope ``vault:reveal``, a reason, and, where policy says ``four_eyes``, a second person with ``vault:approve``. It stays
within the actor's tenant. Whatever is asked leaves an event, and what is shown was on record before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NoReturn, Protocol

from aiguard.errors import ConfigurationError, IntegrityError
from aiguard.gate import Gate
from aiguard.policy import VaultRule
from aiguard.redact.vault import TOKEN_PATTERN
from aiguard.scan import label_of
from aiguard.store import OpenedEntry, Request
from aiguard.types import Actor, Decision, new_id

REVEAL: Final = "vault:reveal"
APPROVE: Final = "vault:approve"
REFUSED: Final = "vault.refused"

_TOKEN: Final = re.compile(TOKEN_PATTERN)


class Values(Protocol):
    """Where values are; ``store.VaultTable`` is one."""

    def find(self, code: str, *, tenant: str) -> Sequence[OpenedEntry]:
        """The values that a code stands for in one tenant, while their time is not over."""
        ...


class Requests(Protocol):
    """Where requests are; ``store.RequestTable`` is one."""

    def person(self, request_id: str, actor_id: str) -> str:
        """Stands for a person in one request, however their id is spelled."""
        ...

    def add(self, request: Request, now: datetime) -> None:
        """Keep a new one."""
        ...

    def find(self, id: str, *, tenant: str, now: datetime) -> Request | None:
        """One that stands and was not used."""
        ...

    def approve(self, id: str, *, by: str, now: datetime) -> bool:
        """Write down who approved; False when it is too late."""
        ...

    def use(self, id: str, *, now: datetime) -> bool:
        """Use one up; False when it was."""
        ...


class NameOf(Protocol):
    """Gives the name that rows carry for an actor."""

    def __call__(self, actor: Actor) -> str:
        """The name; asks the key store."""
        ...


class Reveals:
    """Shows values, requests them, and approves requests. ``name_of`` gives the name that rows carry for an actor."""

    def __init__(
        self, *, values: Values | None, requests: Requests | None, gate: Gate, rule: VaultRule, name_of: NameOf
    ) -> None:
        self._values = values
        self._requests = requests
        self._gate = gate
        self._rule = rule
        self._name_of = name_of

    def reveal(self, token: str, actor: Actor | None, reason: str, *, request: str | None = None) -> str:
        """The value. ``request`` is the id of an approved one, where policy needs four eyes."""
        decision = self._gate.allow(actor, [REVEAL], reason, refused=REFUSED)
        assert actor is not None
        entry = self._entry(token, actor, decision, reason)
        approved_by = ""
        if self._rule.four_eyes or request is not None:
            approved_by = self._used(request, entry, actor, decision, reason)
        told = {
            "scope": REVEAL,
            "type": entry.type,
            "kept_under": entry.decision_id,
            "request": request or "",
            "approved_by": f"person:{approved_by}" if approved_by else "",
        }
        self._gate.record("vault.revealed", actor, decision, reason, [(entry.subject, told)])
        return entry.value

    def ask(self, token: str, actor: Actor | None, reason: str) -> str:
        """Request a value that a second person has to approve; the request's id."""
        decision = self._gate.allow(actor, [REVEAL], reason, refused=REFUSED)
        assert actor is not None
        entry = self._entry(token, actor, decision, reason)
        id, table = new_id("rvl"), self._table()
        request = Request(
            id=id,
            vault=entry.vault,
            code=entry.code,
            tenant=self._gate.tenant(actor),
            requested_by=self._name_of(actor),
            approved_by="",
            person=table.person(id, actor.id),
        )
        told = {"scope": REVEAL, "type": entry.type, "kept_under": entry.decision_id, "request": request.id}
        self._gate.record("vault.requested", actor, decision, reason, [(entry.subject, told)])
        table.add(request, self._gate.now())
        return request.id

    def approve(self, id: str, actor: Actor | None, reason: str) -> None:
        """Approve somebody else's request."""
        decision = self._gate.allow(actor, [APPROVE], reason, refused=REFUSED)
        assert actor is not None
        table, now = self._table(), self._gate.now()
        request = self._request(id, actor, decision, reason)
        if request is None or request.approved_by:
            self._deny(actor, decision, "request.unknown", "there is no such request to approve", reason)
        elif actor.kind != "user":
            self._deny(actor, decision, "approval.service", "a service is nobody's second person", reason)
        elif request.requested_by == (name := self._name_of(actor)) or request.person == table.person(id, actor.id):
            self._deny(actor, decision, "request.own", "nobody approves a request of their own", reason)
        else:
            told = {"scope": APPROVE, "request": request.id, "requested_by": f"person:{request.requested_by}"}
            self._gate.record("vault.approved", actor, decision, reason, [("", told)])
            if not table.approve(id, by=name, now=now):
                self._deny(actor, decision, "request.unknown", "there is no such request to approve", reason)

    def _entry(self, token: str, actor: Actor, decision: Decision, reason: str) -> OpenedEntry:
        match = _TOKEN.fullmatch(token.strip()) if isinstance(token, str) else None
        if self._values is None:
            raise ConfigurationError("this guard has no store; build it with aiguard.open_guard(...)")
        found: list[OpenedEntry] = []
        if match is not None:
            label, code = (match[1], match[2]) if match[1] is not None else (match[3], match[4])
            entries = self._values.find(code.upper(), tenant=self._gate.tenant(actor))
            found = [each for each in entries if label_of(each.type) == label.replace("\\", "").upper()]
        if len(found) != 1:
            detail = "the token stands for nothing that is kept in this tenant, or for several values"
            self._deny(actor, decision, "token.unknown", detail, reason)
        return found[0]

    def _used(self, id: str | None, entry: OpenedEntry, actor: Actor, decision: Decision, reason: str) -> str:
        """Who approved, once the request is used up."""
        if id is None:
            self._deny(actor, decision, "approval.missing", "policy needs a second person's approval", reason)
        request = self._request(id, actor, decision, reason)
        fits = (
            request is not None
            and request.approved_by not in ("", request.requested_by)
            and (request.vault, request.code) == (entry.vault, entry.code)
            and request.requested_by == self._name_of(actor)
        )
        if not fits or request is None or not self._table().use(id, now=self._gate.now()):
            self._deny(actor, decision, "approval.missing", "there is no approved request for this value", reason)
        return request.approved_by

    def _request(self, id: str, actor: Actor, decision: Decision, reason: str) -> Request | None:
        """A request that stands; one whose approval was forged is refused."""
        try:
            return self._table().find(id, tenant=self._gate.tenant(actor), now=self._gate.now())
        except IntegrityError:
            self._deny(actor, decision, "approval.forged", "the approval is not what it claims to be", reason)

    def _deny(self, actor: Actor, decision: Decision, code: str, detail: str, reason: str) -> NoReturn:
        self._gate.deny(actor, decision, code, detail, reason, refused=REFUSED)

    def _table(self) -> Requests:
        if self._requests is None:
            raise ConfigurationError("this guard has no store; build it with aiguard.open_guard(...)")
        return self._requests
