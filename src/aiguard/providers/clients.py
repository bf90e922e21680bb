"""SDK clients whose transport is guarded.

:func:`guarded_client` returns an instance of a subclass of the SDK's own class, so that ``isinstance`` holds and every
method works. What decides where a request goes, and with which credential, is the transport; the subclass only
says no early, to the arguments and doors that would lead elsewhere.

Trust boundary: code in the same process can replace ``client._client`` or open a socket of its own. The guard protects
applications from their mistakes and from their users, not from their own source code.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeVar, cast

from aiguard.errors import ConfigurationError, MissingExtra
from aiguard.providers import egress
from aiguard.providers.exchange import Handler
from aiguard.providers.transport import Carried, Flavour, transports

PLACEHOLDER: Final = "aiguard-managed"
"""What ``client.api_key`` says. The credential itself is only in settings and, while a request is sent, in its header."""
NO_WEBSOCKET: Final = "wss://websockets-are-refused.invalid"
"""What the SDK is told instead of a WebSocket address: a name that never resolves (RFC 2606)."""

_Client = TypeVar("_Client")


@dataclass(frozen=True, slots=True)
class _Sdk:
    """How one SDK names things."""

    module: str
    provider: str
    extra: str
    base_module: str
    """Where the SDK imports its HTTP library."""
    sync: str
    async_: str
    passes_errors_since: int
    """Major release from which the SDK lets a foreign exception of its transport through, unwrapped and unretried."""
    options: frozenset[str]
    """Constructor arguments that a caller may choose; everything else is decided by settings."""


_SDKS: Final = {
    "openai": _Sdk(
        module="openai",
        provider="openai",
        extra="openai",
        base_module="openai._base_client",
        sync="OpenAI",
        async_="AsyncOpenAI",
        passes_errors_since=3,
        options=frozenset({"timeout", "max_retries", "_strict_response_validation"}),
    ),
}
_COPY_REFUSED: Final = (
    "this would change where a guarded client sends, or as whom; set the base URL and the credential in settings, "
    "and choose only timeout, max_retries and default headers here"
)
_COPY_OPTIONS: Final = frozenset(
    {
        "timeout",
        "max_retries",
        "default_headers",
        "set_default_headers",
        "_enforce_credentials",
    }
)


def provider_of(cls: type[Any]) -> str:
    """The provider's name for an SDK class: ``openai`` for ``openai.OpenAI``.

    Raises:
        ConfigurationError: the class is not one that can be guarded.
    """
    return _sdk_of(cls).provider


def guarded_client(
    cls: type[_Client],
    *,
    handler: Handler,
    credential: str | Callable[[], str],
    base_url: str,
    headers: Mapping[str, str] | None = None,
    proxy: str | None = None,
    max_response_bytes: int = egress.MAX_RESPONSE_BYTES,
    max_response_seconds: float = egress.MAX_RESPONSE_SECONDS,
    inner: Any = None,
    **options: Any,
) -> _Client:
    """A client of ``cls`` (``openai.OpenAI`` or ``openai.AsyncOpenAI``) whose every request goes through ``handler``.

    Args:
        cls: the SDK's class itself.
        handler: decides about each request; see :class:`~aiguard.providers.exchange.Handler`.
        credential: the API key, or a function that returns it, called for each request.
        base_url: the only place the client may reach. SDK environment variables are not read.
        headers: sent with every request, from settings.
        proxy: URL of an HTTP proxy to send through. Proxy environment variables are not read.
        max_response_bytes: size limit of a decoded answer.
        max_response_seconds: time limit from the first byte of an answer to the last.
        inner: the transport to send through, for tests; by default the library's own.
        options: ``timeout`` and ``max_retries``, as the SDK takes them.

    Raises:
        ConfigurationError: ``cls`` cannot be guarded, or an option would lead around the guard.
        MissingExtra: the SDK is not installed.
        SettingsError: the base URL or a header cannot be used.
    """
    sdk = _sdk_of(cls)
    unknown = sorted(set(options) - sdk.options)
    if unknown:
        raise ConfigurationError(f"a guarded client does not take {', '.join(unknown)}: {_COPY_REFUSED}")
    flavour = _flavour(sdk)
    library = importlib.import_module(flavour)
    is_async = cls.__name__ == sdk.async_
    sync_transport, async_transport = transports(flavour)
    if inner is None:
        base = library.AsyncHTTPTransport if is_async else library.HTTPTransport
        inner = base(
            limits=library.Limits(max_connections=1000, max_keepalive_connections=100),
            proxy=proxy,
        )
    transport = (async_transport if is_async else sync_transport)(
        handler=handler,
        provider=sdk.provider,
        origin=egress.Origin.parse(base_url),
        credential=credential if callable(credential) else _constant(credential),
        headers=egress.fixed_headers(headers or {}),
        inner=inner,
        library=library,
        carry=_wraps_errors(sdk),
        max_response_bytes=max_response_bytes,
        max_response_seconds=max_response_seconds,
    )
    http_client = _http_client(flavour, is_async=is_async)(transport)
    guarded = _guarded_class(cast("Any", cls))
    return cast(
        "_Client",
        guarded(http_client=http_client, base_url=base_url, api_key=PLACEHOLDER, **options),
    )


def _sdk_of(cls: type[Any]) -> _Sdk:
    root = cls.__module__.partition(".")[0] if isinstance(cls, type) else ""
    sdk = _SDKS.get(root)
    if sdk is not None:
        try:
            module = importlib.import_module(sdk.module)
        except ImportError:
            raise MissingExtra(f"install the {sdk.module} SDK: pip install 'aiguard[{sdk.extra}]'") from None
        if cls in (getattr(module, sdk.sync), getattr(module, sdk.async_)):
            return sdk
    supported = ", ".join(f"{known.module}.{name}" for known in _SDKS.values() for name in (known.sync, known.async_))
    raise ConfigurationError(
        f"this class cannot be guarded; supported: {supported} (the classes themselves, no subclass)"
    )


def _flavour(sdk: _Sdk) -> Flavour:
    base = importlib.import_module(sdk.base_module)
    return "httpx2" if hasattr(base, "httpx2") else "httpx"


def _wraps_errors(sdk: _Sdk) -> bool:
    version = str(importlib.import_module(sdk.module).__version__)
    return int(version.partition(".")[0]) < sdk.passes_errors_since


def _constant(secret: str) -> Callable[[], str]:
    return lambda: secret


class GuardedHttpClient:
    """Mark of the HTTP clients that are made here; a guarded SDK client accepts no other."""


@functools.cache
def _http_client(flavour: Flavour, *, is_async: bool) -> Callable[[Any], Any]:
    library = importlib.import_module(flavour)
    base = library.AsyncClient if is_async else library.Client

    def init(self: Any, transport: Any) -> None:
        # Environment proxies, netrc and redirects would each lead around the transport or past its checks.
        base.__init__(self, transport=transport, trust_env=False, follow_redirects=False)

    return cast(
        "Callable[[Any], Any]",
        type(
            "GuardedAsyncHttpClient" if is_async else "GuardedHttpClient",
            (GuardedHttpClient, base),
            {"__init__": init},
        ),
    )


@functools.cache
def _guarded_class(cls: type[Any]) -> type[Any]:
    """The subclass of an OpenAI client that holds on to its transport."""

    def init(self: Any, *, http_client: Any = None, **kwargs: Any) -> None:
        if not isinstance(http_client, GuardedHttpClient):
            raise ConfigurationError("make guarded clients with guard.client(...), not from their class")
        # The SDK falls back to environment variables for whatever is None or missing.
        kwargs.update(
            api_key=PLACEHOLDER,
            organization="",
            project="",
            webhook_secret="",
            websocket_base_url=NO_WEBSOCKET,
        )
        cls.__init__(self, http_client=http_client, **kwargs)
        self.organization = self.project = self.webhook_secret = self.admin_api_key = None

    def copy(self: Any, **kwargs: Any) -> Any:
        refused = sorted(name for name, value in kwargs.items() if name not in _COPY_OPTIONS and value is not None)
        if refused:
            raise ConfigurationError(
                f"copy() and with_options() of a guarded client do not take {', '.join(refused)}: {_COPY_REFUSED}"
            )
        # The SDK reads its own attribute, which refuses, unless it is given one.
        return cls.copy(self, **{**kwargs, "websocket_base_url": NO_WEBSOCKET})

    def no_websocket(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise ConfigurationError(
            "a guarded client opens no WebSocket (realtime, live and responses.connect): no control could read it. "
            "Use chat.completions.create or responses.create"
        )

    def door(_self: Any) -> NoReturn:
        no_websocket()

    def set_websocket(_self: Any, value: Any) -> None:
        if value not in (None, NO_WEBSOCKET):
            no_websocket()

    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return cls.request(self, *args, **kwargs)
        except Carried as carried:
            error = carried.error
        raise error

    async def arequest(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await cls.request(self, *args, **kwargs)
        except Carried as carried:
            error = carried.error
        raise error

    return type(
        f"Guarded{cls.__name__}",
        (cls,),
        {
            "__module__": __name__,
            "__init__": init,
            "request": arequest if inspect.iscoroutinefunction(cls.request) else request,
            "__repr__": lambda self: f"<{type(self).__name__}>",
            "copy": copy,
            "with_options": copy,
            "websocket_base_url": property(door, set_websocket),
            "_websocket_query_params": no_websocket,
            "_websocket_query_params_fallback": no_websocket,
            "realtime": property(door),
            "live": property(door),
        },
    )
