"""Anthropic's wire format: Messages and the counting of their tokens; streams are read in :mod:`.anthropic_streams`."""

from __future__ import annotations

from typing import Final

from aiguard.providers.wire.anthropic_answers import COUNT, MESSAGE, usage_of
from aiguard.providers.wire.anthropic_messages import COUNT_REQUEST, MESSAGES_REQUEST
from aiguard.providers.wire.anthropic_streams import MessageStream
from aiguard.providers.wire.endpoints import Endpoint, JsonWire

ANTHROPIC: Final = JsonWire(
    name="anthropic",
    endpoints={
        "/v1/messages": Endpoint(
            name="messages",
            request=MESSAGES_REQUEST,
            answer=MESSAGE,
            listed=("content", list),
            stream=MessageStream,
            limit_fields=("max_tokens",),
        ),
        "/v1/messages/count_tokens": Endpoint(
            name="messages.count_tokens",
            request=COUNT_REQUEST,
            answer=COUNT,
            listed=("input_tokens", int),
            stream=MessageStream,
        ),
    },
    supported=(
        "POST /v1/messages and POST /v1/messages/count_tokens "
        "(batches, model lists, files, skills, agents and sessions are refused)"
    ),
    unreadable={"type": "error", "error": {"type": "unreadable_error"}},
    usage=usage_of,
)
