"""OpenAI's wire format: Chat Completions and Responses; their streams are read in :mod:`.openai_streams`.

Field lists follow the public API reference as the official Python SDK types it. What the format refuses, and why, is
beside each refusal; the rule is that what no stage can look at does not leave.
"""

from __future__ import annotations

from typing import Final

from aiguard.providers.wire.endpoints import Endpoint, JsonWire
from aiguard.providers.wire.openai_chat import CHAT_ANSWER, CHAT_REQUEST
from aiguard.providers.wire.openai_responses import RESPONSES_ANSWER, RESPONSES_REQUEST
from aiguard.providers.wire.openai_streams import ChatStream, ResponsesStream, drop_logprobs, usage_of

OPENAI: Final = JsonWire(
    name="openai",
    endpoints={
        "/chat/completions": Endpoint(
            name="chat.completions",
            request=CHAT_REQUEST,
            answer=CHAT_ANSWER,
            listed=("choices", list),
            stream=ChatStream,
            limit_fields=("max_completion_tokens", "max_tokens"),
        ),
        "/responses": Endpoint(
            name="responses",
            request=RESPONSES_REQUEST,
            answer=RESPONSES_ANSWER,
            listed=("output", list),
            stream=ResponsesStream,
            limit_fields=("max_output_tokens",),
            always={"store": False},  # the provider keeps Responses for 30 days unless told otherwise
        ),
    },
    supported=(
        "POST /chat/completions and POST /responses "
        "(model lists, embeddings, files, images, audio, assistants and batches are refused)"
    ),
    unreadable={"error": {"type": "unreadable_error", "param": None, "code": None}},
    usage=usage_of,
    prune=drop_logprobs,
)
