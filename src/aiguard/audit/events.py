"""The event catalogue: every type of event the log may hold, and what it means.

The sentence of each type is what ``aiguard explain`` prints, so it is written for the person who reads the story, not
for the programmer. An application may add events of its own under ``app.``; any other type is refused, so that the
catalogue stays complete. Where a type has a shape, a payload of another one is refused too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from aiguard.audit.shapes import COUNT, COUNTS, HASH, ID, INSTANT, NAME, SENTENCE, Kind, Shape, one_of, shape, some

_APPLICATION = re.compile(r"app(\.[a-z][a-z0-9_]{0,30}){1,3}\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class EventType:
    """One type of event: its dotted name and its meaning, one sentence for people."""

    name: str
    meaning: str
    shape: Shape | None = None
    """What its payload holds; None where that is left to whoever records it."""


_ALL: list[EventType] = []


def _event(name: str, meaning: str, required: Mapping[str, Kind] | None = None, /, **optional: Kind) -> str:
    form = None if required is None and not optional else shape(required or {}, **optional)
    _ALL.append(EventType(name=name, meaning=meaning, shape=form))
    return name


# Stage 1, admit
ACCESS_ALLOWED = _event("access.allowed", "The caller was known and held the scope that this AI feature needs.")
ACCESS_DENIED = _event("access.denied", "The caller was not signed in, or did not hold the scope; nothing was done.")

# Service tokens
CREDENTIAL_CREATED = _event("credential.created", "A service token was made for a service, with these scopes.")
CREDENTIAL_ROTATED = _event(
    "credential.rotated", "A service token was replaced by another; the old one ends when the overlap is over."
)
CREDENTIAL_REVOKED = _event("credential.revoked", "A service token was revoked; it is refused from then on.")
CREDENTIAL_FIRST_USED = _event("credential.first_used", "A service token was used that had not been used before.")
CREDENTIAL_REJECTED = _event(
    "credential.rejected",
    "A caller showed a token that is no good (or together with another sign-in); nothing was done.",
)

# An exchange with a model, stages 2 to 6
EXCHANGE_DECIDED = _event(
    "exchange.decided", "The request was scanned and policy decided what may leave; recorded before anything was sent."
)
EXCHANGE_COMPLETED = _event("exchange.completed", "The model answered and the answer was delivered.")
EXCHANGE_BLOCKED = _event("exchange.blocked", "A control stopped the request; nothing was sent to the model.")
EXCHANGE_FAILED = _event(
    "exchange.failed", "The request was allowed, but the model or a control failed; nothing was delivered."
)
EXCHANGE_ABORTED = _event(
    "exchange.aborted",
    "Whoever read the streamed answer stopped before its end; what was delivered had passed all controls.",
)
OUTPUT_BLOCKED = _event("output.blocked", "The model answered, but the answer was withheld.")

# Web requests and responses outside a model call
REQUEST_SCRUBBED = _event("request.scrubbed", "Findings in a web request were removed before the application saw it.")
REQUEST_REFUSED = _event(
    "request.refused", "A web request was refused because no control could read it or policy stops it."
)
RESPONSE_BROKEN = _event(
    "response.broken", "The application broke off a web response that had begun; what was held of it was not delivered."
)
RESPONSE_SCRUBBED = _event("response.scrubbed", "Findings in a web response were removed before it was delivered.")
RESPONSE_REFUSED = _event(
    "response.refused", "A web response was withheld because no control could read it or policy stops it."
)

# Store and retention
ARTIFACT_READ = _event("artifact.read", "Somebody read kept content.")
ARTIFACT_KEPT = _event("artifact.kept", "The application kept content of its own under a retention rule.")
ARTIFACT_REFUSED = _event(
    "artifact.refused",
    "Somebody wanted to read, or to keep, content and was not allowed to; nothing was shown or kept.",
)
STORE_PRUNED = _event(
    "store.pruned", "Artifacts whose time was over were deleted; the counts and a hash of their ids remain."
)
STORE_SHREDDED = _event(
    "store.shredded", "Keys of hours that are over were destroyed, so that no copy of what was to be shredded opens."
)
STORE_PRUNE_COMPLETED = _event("store.prune_completed", "A run of the retention job came to its end.")
RETENTION_RECOMPUTED = _event(
    "retention.recomputed",
    "Another policy came into force, so the times at which kept artifacts go were computed anew.",
)
CANARY_SURVIVED = _event(
    "retention.canary_survived",
    "An artifact that was planted to prove that deletion works was still there: it does not.",
)
HOLD_PLACED = _event("hold.placed", "Kept artifacts were put under a legal hold: they stay whatever their time is.")
HOLD_RELEASED = _event("hold.released", "A legal hold was released by a second person.")
VAULT_REVEALED = _event("vault.revealed", "Somebody was shown the value behind a token.")
VAULT_REQUESTED = _event(
    "vault.requested", "Somebody asked for the value behind a token, which a second person has to approve."
)
VAULT_APPROVED = _event("vault.approved", "A second person approved that a value behind a token is shown.")
VAULT_REFUSED = _event("vault.refused", "Somebody asked for the value behind a token and was not shown it.")
STORE_BACKED_UP = _event("store.backed_up", "A backup of the data, or of people's keys, was made.")
KEYS_ROTATED = _event("keys.rotated", "A new master key was made; it seals from now on, and the older ones still open.")
KEYS_REWRAPPED = _event("keys.rewrapped", "People's keys were wrapped anew under the newest master key.")

# Requests of the person whom data is about
ERASURE_COMPLETED = _event(
    "erasure.completed", "What some events said was deleted for good; that they happened remains, and where they stand."
)
SUBJECT_EXPORTED = _event("subject.exported", "Everything kept about a person was handed out for a request of theirs.")
SUBJECT_ERASURE_REQUESTED = _event("subject.erasure_requested", "Somebody asked to erase what is kept about a person.")
SUBJECT_ERASURE_HELD = _event(
    "subject.erasure_held", "A legal hold stands against an erasure; what it covers stays until it is released."
)
SUBJECT_ERASED = _event(
    "subject.erased", "A person's keys were destroyed and what was kept about them deleted; the counts remain."
)
SUBJECT_ERASURE_CONFIRMED = _event(
    "subject.erasure_confirmed", "A part of an erasure that was pending (backups, a model provider) came to its end."
)

LOG_EXPIRED = _event(
    "log.expired", "The oldest events of this log expired under a signed statement; their hashes remain, and the count."
)

LOG_READ = _event(
    "log.read", "Somebody was shown what events of this log say, from the command line: who, why, which and how many."
)

# The guard itself
POLICY_LOADED = _event(
    "policy.loaded", "Another policy came into force than the one under which the event before was recorded.",
    {"before": HASH, "environment": NAME}, features=COUNT,
)  # fmt: skip
SIGNING_KEY_CHANGED = _event(
    "signing_key.changed", "Checkpoints of this log are signed with other keys from here on; the keys are told by their ids.",
    {"keys": some(ID), "before": some(ID)},
)  # fmt: skip

# Changes of policy, prompts and models: one person asks, another decides
_CHANGE = {"change": ID, "kind": one_of("policy", "prompt", "model", "retention"), "object": NAME, "after": HASH}
CHANGE_REQUESTED = _event(
    "change.requested", "Somebody asked for a change of a policy, a prompt or the models in use; nothing has changed yet.",
    _CHANGE, before=HASH, detail=SENTENCE, takes_effect=INSTANT, until=INSTANT,
)  # fmt: skip
CHANGE_APPROVED = _event("change.approved", "A second person approved a change.", _CHANGE, detail=SENTENCE)
CHANGE_REJECTED = _event("change.rejected", "A second person rejected a change.", _CHANGE, detail=SENTENCE)
CHANGE_WITHDRAWN = _event("change.withdrawn", "Whoever had asked for a change took it back.", _CHANGE, detail=SENTENCE)
CHANGE_IN_FORCE = _event(
    "change.in_force", "An approved change came into force: from here on it is what was asked for that applies.",
    _CHANGE, before=HASH, until=INSTANT,
)  # fmt: skip
CHANGE_ENDED = _event(
    "change.ended", "A change is no longer in force: another took its place, its time was over, or somebody took it out.",
    {**_CHANGE, "why": one_of("superseded", "expired", "revoked")}, by=ID, detail=SENTENCE,
)  # fmt: skip

# Exceptions from policy
_EXCEPTION = {"exception": ID, "feature": NAME, "control": NAME, "until": INSTANT}
EXCEPTION_REQUESTED = _event(
    "exception.requested", "Somebody asked that a control of a feature be opened for a time.", _EXCEPTION, detail=SENTENCE
)  # fmt: skip
EXCEPTION_APPROVED = _event("exception.approved", "A second person approved an exception.", _EXCEPTION, detail=SENTENCE)
EXCEPTION_REJECTED = _event("exception.rejected", "A second person rejected an exception.", _EXCEPTION, detail=SENTENCE)
EXCEPTION_ENDED = _event(
    "exception.ended", "An exception is over: its time has come, or somebody ended it.",
    {**_EXCEPTION, "why": one_of("expired", "revoked")}, detail=SENTENCE,
)  # fmt: skip

# Incidents
_SEVERITY = one_of("low", "medium", "high", "critical")
INCIDENT_OPENED = _event(
    "incident.opened", "Something went wrong that somebody has to look at.",
    {"incident": ID, "kind": NAME, "severity": _SEVERITY}, decisions=some(ID), feature=NAME, rule=NAME, count=COUNT, detail=SENTENCE,
)  # fmt: skip
INCIDENT_UPDATED = _event(
    "incident.updated", "Somebody worked on an incident.",
    {"incident": ID, "status": one_of("open", "acknowledged", "contained", "resolved")}, severity=_SEVERITY, detail=SENTENCE,
)  # fmt: skip
INCIDENT_NOTIFIED = _event(
    "incident.notified", "Somebody was told of an incident, or could not be.",
    {"incident": ID, "channel": NAME, "outcome": one_of("sent", "failed")}, due=INSTANT,
)  # fmt: skip
INCIDENT_CLOSED = _event(
    "incident.closed", "An incident was closed.",
    {"incident": ID, "outcome": one_of("resolved", "false_alarm", "accepted")}, detail=SENTENCE,
)  # fmt: skip

# Reviews: a person looks at what was decided, or at what is in force
_REVIEW = {
    "review": ID,
    "kind": one_of("exchange", "policy", "prompt", "model", "access", "exceptions", "log"),
    "object": NAME,
}
REVIEW_REQUESTED = _event(
    "review.requested", "A person is asked to look at something.", _REVIEW, due=INSTANT, detail=SENTENCE
)
REVIEW_COMPLETED = _event(
    "review.completed", "A person looked at something and said what they found.",
    {**_REVIEW, "outcome": one_of("approved", "rejected", "changes_needed")}, findings=COUNT, detail=SENTENCE,
)  # fmt: skip

# Administration
ADMIN_ACTED = _event(
    "admin.acted", "Somebody administered the installation from the command line.",
    {"act": NAME}, object=NAME, before=NAME, after=NAME, counts=COUNTS, detail=SENTENCE,
)  # fmt: skip
BREAK_GLASS_OPENED = _event(
    "break_glass.opened", "Somebody took rights that they do not have from day to day, in an emergency and for a time.",
    {"grant": ID, "rights": some(NAME), "until": INSTANT}, incident=ID, detail=SENTENCE,
)  # fmt: skip
BREAK_GLASS_USED = _event(
    "break_glass.used", "Rights taken in an emergency were used.", {"grant": ID, "right": NAME}, object=NAME
)  # fmt: skip
BREAK_GLASS_CLOSED = _event(
    "break_glass.closed", "Rights taken in an emergency ended; what was done with them is for somebody else to look at.",
    {"grant": ID, "why": one_of("expired", "returned", "revoked")}, used=COUNT, detail=SENTENCE,
)  # fmt: skip

CATALOGUE: Mapping[str, EventType] = MappingProxyType({each.name: each for each in _ALL})
"""Every built-in type by name."""


def known(name: str) -> bool:
    """True for a built-in type and for an application's own (``app.something``)."""
    return name in CATALOGUE or _APPLICATION.match(name) is not None


def fault_of(name: str, payload: Mapping[str, Any]) -> str:
    """What keeps a payload from being one of this type, or an empty text."""
    entry = CATALOGUE.get(name)
    return entry.shape.fault(payload) if entry is not None and entry.shape is not None else ""


def meaning_of(name: str) -> str:
    """The sentence for people; for an application's own event, a neutral one."""
    entry = CATALOGUE.get(name)
    return entry.meaning if entry else "The application recorded an event of its own."
