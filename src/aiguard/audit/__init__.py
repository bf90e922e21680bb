"""Stage 7: what happened, so that it can be proved later.

Law of this folder: an event is appended once and never changed. Its payload holds types, counts, offsets and keyed
hashes; anything that could be text of a person or a model is refused at the door (``payload``), because what is in the
log cannot be taken out again.

``events`` is the catalogue, ``payload`` the door, ``merkle`` the hashes of RFC 6962, ``tables`` the rows and how records
become them, ``read`` reads them back.
"""

from __future__ import annotations

from aiguard.audit.events import CATALOGUE, EventType
from aiguard.audit.read import Event, story, tail
from aiguard.audit.tables import MAPPERS, AuditEvent, AuditPayload, append

__all__ = [
    "CATALOGUE",
    "MAPPERS",
    "AuditEvent",
    "AuditPayload",
    "Event",
    "EventType",
    "append",
    "story",
    "tail",
]
