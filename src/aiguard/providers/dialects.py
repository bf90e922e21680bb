"""What differs between the providers' HTTP beside bodies: where the credential stands, and which headers a client may choose.

Headers are not scanned, so of those below too only values from closed sets or of a narrow charset pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """One provider's headers.

    ``credential`` is the header that the credential stands in, and what is written before it. ``headers`` may leave where their values
    match; a value that does not is dropped, as unknown headers are, unless the header is in ``refused``, which says why. A header
    that is only there is refused whatever it says.
    """

    credential: tuple[str, str]
    headers: Mapping[str, re.Pattern[str]] = field(default_factory=lambda: MappingProxyType({}))
    refused: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


OPENAI: Final = Dialect(credential=("authorization", "Bearer "))

BETAS: Final = (
    "context-1m-2025-08-07",
    "dev-full-thinking-2025-05-14",
    "extended-cache-ttl-2025-04-11",
    "fast-mode-2026-02-01",
    "interleaved-thinking-2025-05-14",
    "model-context-window-exceeded-2025-08-26",
    "output-128k-2025-02-19",
    "output-300k-2026-03-24",
    "prompt-caching-2024-07-31",
    "structured-outputs-2025-11-13",
    "token-counting-2024-11-01",
    "token-efficient-tools-2025-02-19",
)
"""Anthropic's beta features that change limits, prices or how an answer is made, and neither what is sent nor where it goes."""

_BETA: Final = "|".join(map(re.escape, BETAS))
_ANOTHER_ACCOUNT: Final = "it would change as whom the client sends"

ANTHROPIC: Final = Dialect(
    credential=("x-api-key", ""),
    headers=MappingProxyType(
        {
            "anthropic-version": re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}\Z"),
            "anthropic-beta": re.compile(rf"(?:{_BETA})(?:, ?(?:{_BETA}))*\Z"),
        }
    ),
    refused=MappingProxyType(
        {
            "anthropic-version": "it is not a date",
            "anthropic-beta": "it names a feature that is not supported (tool_runner and thread ask for one unless they are given "
            "thread=False); supported: " + ", ".join(BETAS),
            "anthropic-user-profile-id": _ANOTHER_ACCOUNT,
            "anthropic-workspace-id": _ANOTHER_ACCOUNT,
        }
    ),
)

_DIALECTS: Final[Mapping[str, Dialect]] = {"anthropic": ANTHROPIC, "openai": OPENAI}


def dialect_of(provider: str) -> Dialect:
    """The dialect of a provider; OpenAI's, which most servers speak, for one that has none of its own."""
    return _DIALECTS.get(provider, OPENAI)
