"""One text frame of a WebSocket, looked at by itself: as JSON where it is JSON, else as text."""

from __future__ import annotations

from collections.abc import Mapping

from aiguard.bodies import BodyTooLarge, ScrubbedBody, scrub_body
from aiguard.errors import MalformedInput
from aiguard.framing.jsontree import NotJson
from aiguard.guard import Guard
from aiguard.middleware.records import What, decided, held_back
from aiguard.policy.routes import RouteRule


def scrubbed_frame(
    guard: Guard, rule: RouteRule, what: What, text: str, limit: int
) -> tuple[str, Mapping[tuple[str, str], int]]:
    """The frame as it may go on, and what was done.

    Raises:
        Blocked: (not recorded yet) it cannot be read, is longer than ``limit`` bytes, or holds what policy stops.
    """
    with decided(guard, what):
        scrubbed = _scrubbed(guard, rule, text, limit)
        if scrubbed.blocked:
            raise held_back(guard, what, scrubbed.blocked)
    return scrubbed.content.decode("utf-8"), scrubbed.counts


def _scrubbed(guard: Guard, rule: RouteRule, text: str, limit: int) -> ScrubbedBody:
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError:
        content = None
    if content is None:
        raise MalformedInput("a frame holds half of a surrogate pair, which is not text")
    if len(content) > limit:
        raise BodyTooLarge(f"a frame is {len(content)} bytes; at most {limit} are read")
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _scrub(guard, rule, content, "application/json", limit)
        except NotJson:
            pass
    return _scrub(guard, rule, content, "text/plain", limit)


def _scrub(guard: Guard, rule: RouteRule, content: bytes, kind: str, limit: int) -> ScrubbedBody:
    return scrub_body(
        content,
        kind,
        detector=guard.detector,
        rules=rule.redact,
        pseudonym=guard.keys.pseudonym,
        max_bytes=limit,
        decoded=True,
    )
