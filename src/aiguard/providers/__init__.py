"""Stage 5, sending: SDK clients whose every request passes the guard.

The law of this room: **a client made here reaches one origin, with one credential, in shapes that were read in full**. The
transport checks where a request goes and what its headers say; a wire format takes the body apart; the handler it was
given (the pipeline) decides. Nothing here decides about content.

Importing this package needs no SDK and no HTTP library; :mod:`aiguard.providers.clients` loads them when a client is made.
"""

from __future__ import annotations

from aiguard.providers.errors import AnswerRefused, EgressRefused, UnknownShape
from aiguard.providers.exchange import Handler, RawRequest, RawResponse, RawStream, RefusalListener
from aiguard.providers.wire import WireFormat, WireRequest, WireResponse, wire_for

__all__ = [
    "AnswerRefused",
    "EgressRefused",
    "Handler",
    "RawRequest",
    "RawResponse",
    "RawStream",
    "RefusalListener",
    "UnknownShape",
    "WireFormat",
    "WireRequest",
    "WireResponse",
    "wire_for",
]
