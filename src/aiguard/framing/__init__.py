"""Where the text is in bytes: JSON documents, forms and event streams, taken apart into parts and put together again.

The law of this room: **what was looked at is what is sent**. A document is parsed strictly, its parts are handed out, and
the bytes that leave are written anew from those same parts, so that no other parser can see a text here that we did not.
Whatever is ambiguous (duplicate keys, broken Unicode, absurd depth) is refused as
:class:`~aiguard.errors.MalformedInput`, whose message names what is wrong and where, never the content.
"""

from __future__ import annotations

from aiguard.framing.forms import FormDocument
from aiguard.framing.jsontree import JsonDocument, NotJson, TooLarge
from aiguard.framing.ndjson import NdjsonReader
from aiguard.framing.sse import SseEvent, SseReader

__all__ = ["FormDocument", "JsonDocument", "NdjsonReader", "NotJson", "SseEvent", "SseReader", "TooLarge"]
