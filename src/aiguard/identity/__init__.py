"""Stage 1: who is calling, and may they use this AI feature?

The law of this folder: identity is a *lease*. It is granted to one actor for one feature, it is found only through the
context it was granted in, and it ends with the response it was granted for; a reference kept longer is worthless.
Nothing here knows a web framework: doors resolve the actor and hold the lease open.
"""

from aiguard.identity.access import (
    Access,
    Conversation,
    EndingWith,
    IterateWithin,
    acting,
    current_access,
    hold,
    inside_generator,
)
from aiguard.identity.authorise import Authoriser, checked_actor, checked_subject, decide_access, has_scope
from aiguard.identity.markers import ScopeMarker, find_unguarded, mark, marker_of, markers_of
from aiguard.identity.names import named
from aiguard.identity.tokens import ServiceToken, carries_service_token

__all__ = [
    "Access",
    "Authoriser",
    "Conversation",
    "EndingWith",
    "IterateWithin",
    "ScopeMarker",
    "ServiceToken",
    "acting",
    "carries_service_token",
    "checked_actor",
    "checked_subject",
    "current_access",
    "decide_access",
    "find_unguarded",
    "has_scope",
    "hold",
    "inside_generator",
    "mark",
    "marker_of",
    "markers_of",
    "named",
]
