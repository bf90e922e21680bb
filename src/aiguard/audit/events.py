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

# An exchange with a model, stages 2 to 6
EXCHANGE_DECIDED = _event(
    "exchange.decided", "The request was scanned and policy decided what may leave; recorded before anything was sent."
)
EXCHANGE_COMPLETED = _event("exchange.completed", "The model answered and the answer was delivered.")
EXCHANGE_BLOCKED = _event("exchange.blocked", "A control stopped the request; nothing was sent to the model.")
EXCHANGE_FAILED = _event(
    "exchange.failed", "The request was allowed, but the model or a control failed; nothing was delivered."
)
OUTPUT_BLOCKED = _event("output.blocked", "The model answered, but the answer was withheld.")

# Web requests and responses outside a model call
REQUEST_SCRUBBED = _event("request.scrubbed", "Findings in a web request were removed before the application saw it.")
REQUEST_REFUSED = _event(
    "request.refused", "A web request was refused because no control could read it or policy stops it."
)
RESPONSE_SCRUBBED = _event("response.scrubbed", "Findings in a web response were removed before it was delivered.")
RESPONSE_REFUSED = _event(
    "response.refused", "A web response was withheld because no control could read it or policy stops it."
)

# Store and retention
ARTIFACT_READ = _event("artifact.read", "Somebody read kept content.")
STORE_PRUNED = _event(
    "store.pruned", "Artifacts whose time was over were deleted; the counts and a hash of their ids remain."
)
STORE_PRUNE_COMPLETED = _event("store.prune_completed", "A run of the retention job came to its end.")

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
