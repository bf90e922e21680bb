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
from typing import Any, Final, TypeVar, cast

from aiguard.errors import ConfigurationError, MissingExtra
from aiguard.providers import egress
from aiguard.providers.exchange import Handler
from aiguard.providers.sdks import COPY_OPTIONS, OPTIONS, SDKS, Sdk
from aiguard.providers.transport import Flavour, transports

_Client = TypeVar("_Client")

_COPY_REFUSED: Final = (
    "this would change where a guarded client sends, or as whom; set the base URL and the credential in settings, "
    "and choose only timeout, max_retries and default headers here"
)


class Carried(BaseException):
    """Carries ``error`` past an SDK that would wrap any :class:`Exception` of its HTTP client and retry it.

    The guarded HTTP client raises it and the guarded SDK client takes it off again, so it is never seen outside.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(type(error).__name__)


def provider_of(cls: type[Any]) -> str:
    """The provider's name for an SDK class: ``openai`` for ``openai.OpenAI``, ``anthropic`` for ``anthropic.Anthropic``.

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
    """A client of ``cls`` (``openai.OpenAI``, ``anthropic.AsyncAnthropic`` …) whose every request goes through ``handler``.

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
    unknown = sorted(set(options) - OPTIONS)
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
        max_response_bytes=max_response_bytes,
        max_response_seconds=max_response_seconds,
    )
    http_client = _http_client(flavour, is_async=is_async, carries=_wraps_errors(sdk))(transport)
    guarded = _guarded_class(cast("Any", cls))
    return cast(
        "_Client",
        guarded(http_client=http_client, base_url=base_url, **options),
    )


def _sdk_of(cls: type[Any]) -> Sdk:
    root = cls.__module__.partition(".")[0] if isinstance(cls, type) else ""
    sdk = SDKS.get(root)
    if sdk is not None:
        try:
            module = importlib.import_module(sdk.module)
        except ImportError:
            raise MissingExtra(
                f"install the {sdk.module} SDK: pip install '.[{sdk.extra}]' in your clone of aiguard"
            ) from None
        if cls in (getattr(module, sdk.sync), getattr(module, sdk.async_)):
            return sdk
    supported = ", ".join(f"{known.module}.{name}" for known in SDKS.values() for name in (known.sync, known.async_))
    raise ConfigurationError(
        f"this class cannot be guarded; supported: {supported} (the classes themselves, no subclass)"
    )


def _flavour(sdk: Sdk) -> Flavour:
    base = importlib.import_module(sdk.base_module)
    return "httpx2" if hasattr(base, "httpx2") else "httpx"


def _wraps_errors(sdk: Sdk) -> bool:
    if sdk.passes_errors_since is None:
        return True
    version = str(importlib.import_module(sdk.module).__version__)
    return int(version.partition(".")[0]) < sdk.passes_errors_since


def _constant(secret: str) -> Callable[[], str]:
    return lambda: secret


class GuardedHttpClient:
    """Mark of the HTTP clients that are made here; a guarded SDK client accepts no other."""


@functools.cache
def _http_client(flavour: Flavour, *, is_async: bool, carries: bool) -> Callable[[Any], Any]:
    library = importlib.import_module(flavour)
    base = library.AsyncClient if is_async else library.Client

    def init(self: Any, transport: Any) -> None:
        # Environment proxies, netrc and redirects would each lead around the transport or past its checks.
        base.__init__(self, transport=transport, trust_env=False, follow_redirects=False)

    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return base.send(self, *args, **kwargs)
        except library.HTTPError:
            raise
        except Exception as raised:  # noqa: BLE001 - raised again, as it is
            error = raised
        raise Carried(error)

    async def asend(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await base.send(self, *args, **kwargs)
        except library.HTTPError:
            raise
        except Exception as raised:  # noqa: BLE001 - raised again, as it is
            error = raised
        raise Carried(error)

    members: dict[str, Any] = {"__init__": init}
    if carries:
        members["send"] = asend if is_async else send
    name = "GuardedAsyncHttpClient" if is_async else "GuardedHttpClient"
    return cast("Callable[[Any], Any]", type(name, (GuardedHttpClient, base), members))


@functools.cache
def _guarded_class(cls: type[Any]) -> type[Any]:
    """The subclass of an SDK's client that holds on to its transport."""
    sdk = _sdk_of(cls)
    accepted = inspect.signature(cls.__init__).parameters
    forced = {name: value for name, value in sdk.forced.items() if name in accepted}

    def init(self: Any, *, http_client: Any = None, **kwargs: Any) -> None:
        if not isinstance(http_client, GuardedHttpClient):
            raise ConfigurationError("make guarded clients with guard.client(...), not from their class")
        # The SDK falls back to environment variables for whatever is None or missing.
        kwargs.update(forced)
        cls.__init__(self, http_client=http_client, **kwargs)
        for name in sdk.cleared:
            setattr(self, name, None)
        self._custom_headers = dict(kwargs.get("default_headers") or {})

    def copy(self: Any, **kwargs: Any) -> Any:
        refused = sorted(name for name, value in kwargs.items() if name not in COPY_OPTIONS and value is not None)
        if refused:
            raise ConfigurationError(
                f"copy() and with_options() of a guarded client do not take {', '.join(refused)}: {_COPY_REFUSED}"
            )
        return cls.copy(self, **{**kwargs, **sdk.copied})

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
            **sdk.members,
        },
    )
