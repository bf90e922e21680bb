"""The event catalogue: every type of event the log may hold, and what it means.

The sentence of each type is what ``aiguard explain`` prints, so it is written for the person who reads the story, not
for the programmer. An application may add events of its own under ``app.``; any other type is refused, so that the
catalogue stays complete.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_APPLICATION = re.compile(r"app(\.[a-z][a-z0-9_]{0,30}){1,3}\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class EventType:
    """One type of event: its dotted name and its meaning, one sentence for people."""

    name: str
    meaning: str


_ALL: list[EventType] = []


def _event(name: str, meaning: str) -> str:
    _ALL.append(EventType(name=name, meaning=meaning))
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

# The guard itself
GUARD_STARTED = _event("guard.started", "The guard started with this policy in this environment.")
POLICY_LOADED = _event("policy.loaded", "Another policy came into force.")
MONITOR_OVERRIDDEN = _event(
    "monitor.overridden", "Policy would have stopped this, but the feature is only monitored, so it went through."
)

CATALOGUE: Mapping[str, EventType] = MappingProxyType({each.name: each for each in _ALL})
"""Every built-in type by name."""


def known(name: str) -> bool:
    """True for a built-in type and for an application's own (``app.something``)."""
    return name in CATALOGUE or _APPLICATION.match(name) is not None


def meaning_of(name: str) -> str:
    """The sentence for people; for an application's own event, a neutral one."""
    entry = CATALOGUE.get(name)
    return entry.meaning if entry else "The application recorded an event of its own."
