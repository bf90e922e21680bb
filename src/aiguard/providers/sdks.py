"""The SDKs whose clients can be guarded: how each names things, and which of its doors would lead elsewhere.

The transport refuses whatever goes elsewhere; what is here says so earlier, and keeps environment variables out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NoReturn

from aiguard.errors import ConfigurationError

PLACEHOLDER: Final = "aiguard-managed"
"""What ``client.api_key`` says. The credential itself is only in settings and, while a request is sent, in its header."""
NO_WEBSOCKET: Final = "wss://websockets-are-refused.invalid"
"""What an SDK is told instead of a WebSocket address: a name that never resolves (RFC 2606)."""

COPY_OPTIONS: Final = frozenset(
    {
        "timeout",
        "max_retries",
        "default_headers",
        "set_default_headers",
        "_enforce_credentials",
    }
)
"""What ``copy`` and ``with_options`` of every SDK may change: none of it decides where a client sends, or as whom."""

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class Sdk:
    """How one SDK names things."""

    module: str
    provider: str
    extra: str
    base_module: str
    """Where the SDK imports its HTTP library."""
    sync: str
    async_: str
    passes_errors_since: int | None
    """Major release from which the SDK lets a foreign exception of its transport through, unwrapped and unretried."""
    forced: Mapping[str, Any]
    """Constructor arguments that are always given, where the constructor has them: without, it would read the environment."""
    cleared: tuple[str, ...] = ()
    """Attributes that are ``None`` once the client is made."""
    copied: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    """Arguments that ``copy`` is always given."""
    members: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    """What the guarded class has instead of doors that lead elsewhere."""


OPTIONS: Final = frozenset({"timeout", "max_retries", "_strict_response_validation"})
"""Constructor arguments that a caller may choose; everything else is decided by settings."""


def _no_websocket(*_args: Any, **_kwargs: Any) -> NoReturn:
    raise ConfigurationError(
        "a guarded client opens no WebSocket (realtime, live and responses.connect): no control could read it. "
        "Use chat.completions.create or responses.create"
    )


def _door(_self: Any) -> NoReturn:
    _no_websocket()


def _set_websocket(_self: Any, value: Any) -> None:
    if value not in (None, NO_WEBSOCKET):
        _no_websocket()


_OPENAI: Final = Sdk(
    module="openai",
    provider="openai",
    extra="openai",
    base_module="openai._base_client",
    sync="OpenAI",
    async_="AsyncOpenAI",
    passes_errors_since=3,
    forced={
        "api_key": PLACEHOLDER,
        "organization": "",
        "project": "",
        "webhook_secret": "",
        "websocket_base_url": NO_WEBSOCKET,
    },
    cleared=("organization", "project", "webhook_secret", "admin_api_key"),
    # The SDK reads its own attribute, which refuses, unless it is given one.
    copied={"websocket_base_url": NO_WEBSOCKET},
    members={
        "websocket_base_url": property(_door, _set_websocket),
        "_websocket_query_params": _no_websocket,
        "_websocket_query_params_fallback": _no_websocket,
        "realtime": property(_door),
        "live": property(_door),
    },
)
_ANTHROPIC: Final = Sdk(
    module="anthropic",
    provider="anthropic",
    extra="anthropic",
    base_module="anthropic._base_client",
    sync="Anthropic",
    async_="AsyncAnthropic",
    passes_errors_since=None,
    # The SDK's own spans would hold requests before any control has seen them.
    forced={"api_key": PLACEHOLDER, "webhook_key": "", "open_telemetry": False, "middleware": None},
    cleared=("auth_token", "webhook_key", "credentials"),
)
SDKS: Final[Mapping[str, Sdk]] = {"anthropic": _ANTHROPIC, "openai": _OPENAI}
"""By the name of their package."""
