"""Where things are: environment, policy file, database, keys, credentials. From ``AIGUARD_*`` in a mapping or the environment.

A mapping (Flask's ``app.config``) wins over the environment. A name we do not know is an error, because a misspelt
security setting must not be silently without effect. Nothing here is ever printed: ``repr`` shows names and sizes.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import os
import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Never
from urllib.parse import SplitResult, urlsplit

from aiguard.errors import SettingsError

PREFIX: Final = "AIGUARD_"
KEY_BYTES: Final = 32
"""AES-256 and HMAC-SHA-256 both take 32 bytes."""

_MIB: Final = 1 << 20
_VENDOR_NAMES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
        "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    }
)


class Environment(StrEnum):
    """Where this process runs. Nothing said means :attr:`PRODUCTION`."""

    DEVELOPMENT = "development"
    TEST = "test"
    STAGING = "staging"
    PRODUCTION = "production"

    @property
    def relaxed(self) -> bool:
        """Whether keys and a database may be made up on the spot."""
        return self in (Environment.DEVELOPMENT, Environment.TEST)


class Secret:
    """A credential. It prints as ``Secret(***)``, compares in constant time, and cannot be pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The credential itself, for the line that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> Never:
        raise TypeError("a Secret is not pickled; load Settings again where it is needed")


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingDoc:
    """One setting, as ``docs/configuration.md`` lists it."""

    name: str
    default: str
    meaning: str
    secret: bool = False


DOCUMENTED: Final[tuple[SettingDoc, ...]] = (
    SettingDoc(
        name="AIGUARD_ENVIRONMENT",
        default="production",
        meaning="development, test, staging or production",
    ),
    SettingDoc(name="AIGUARD_POLICY", default="aiguard.toml", meaning="path of the policy file"),
    SettingDoc(
        name="AIGUARD_DATABASE_URL",
        default="sqlite:///.aiguard/aiguard.db in development and test; none elsewhere",
        meaning="SQLAlchemy URL of the evidence database",
        secret=True,
    ),
    SettingDoc(
        name="AIGUARD_KEYS",
        default="none",
        meaning="master keys: base64 of 32 bytes each, separated by commas, newest last",
        secret=True,
    ),
    SettingDoc(name="AIGUARD_KEYS_FILE", default="none", meaning="the same keys in a file, one a line, newest last"),
    SettingDoc(
        name="AIGUARD_KEY_FILE",
        default=".aiguard/master.key in development and test; not allowed elsewhere",
        meaning="where a development key is generated once",
    ),
    SettingDoc(
        name="AIGUARD_<PROVIDER>_API_KEY_<ENVIRONMENT>",
        default="none",
        meaning="credential for one provider in one environment; looked up first",
        secret=True,
    ),
    SettingDoc(
        name="AIGUARD_<PROVIDER>_API_KEY",
        default="OPENAI_API_KEY or ANTHROPIC_API_KEY for those providers",
        meaning="credential for one provider in any environment",
        secret=True,
    ),
    SettingDoc(
        name="AIGUARD_<PROVIDER>_BASE_URL",
        default="OPENAI_BASE_URL or ANTHROPIC_BASE_URL, else the provider's own",
        meaning="where that provider's requests go; the only place they may go",
    ),
    SettingDoc(
        name="AIGUARD_ALLOW_PLAIN_HTTP",
        default="false",
        meaning="admit http:// base URLs that are not loopback",
    ),
    SettingDoc(name="AIGUARD_MAX_BODY_BYTES", default="1048576", meaning="largest request body that is read, in bytes"),
    SettingDoc(
        name="AIGUARD_MAX_RESPONSE_BYTES",
        default="8388608",
        meaning="largest answer of a model server that is read, in bytes",
    ),
    SettingDoc(
        name="AIGUARD_STORE_TIMEOUT_SECONDS",
        default="5",
        meaning="how long an exchange waits for its decision to be committed before it is refused",
    ),
    SettingDoc(
        name="AIGUARD_PROVIDER_TIMEOUT_SECONDS",
        default="60",
        meaning="how long a model server may take to answer",
    ),
    SettingDoc(
        name="AIGUARD_LOG_PROTECTION",
        default="true",
        meaning="scrub every log record of this process",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything about this process that is not policy. Build it with :meth:`load`; tests may build it directly."""

    environment: Environment = Environment.PRODUCTION
    policy_path: Path = Path("aiguard.toml")
    database: str | None = field(default=None, repr=False)
    """As set, or the development default; ``None`` where it must be set and is not. See :attr:`database_url`."""
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    """Master keys, 32 bytes each, newest last. Empty means: use :attr:`key_file`."""
    key_file: Path | None = None
    """Where a development key is generated once; ``None`` in staging and production."""
    allow_plain_http: bool = False
    max_body_bytes: int = _MIB
    max_response_bytes: int = 8 * _MIB
    store_timeout_seconds: float = 5.0
    provider_timeout_seconds: float = 60.0
    log_protection: bool = True
    lookup: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """Credentials and base URLs by the name they were set under."""

    @classmethod
    def load(cls, config: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
        """Read and check all settings.

        Args:
            config: names to values; only ``AIGUARD_*`` is read (the rest of ``app.config`` is not ours). Wins.
            environ: names to strings; ``os.environ`` when ``None``.

        Raises:
            SettingsError: a name we do not know, or a value that cannot be meant. Names the setting and the remedy.
        """
        environ = os.environ if environ is None else environ
        config = {} if config is None else config
        _refuse_unknown(config, "the application's configuration")
        _refuse_unknown(environ, "the environment", tolerate=_injected_by_orchestrators)
        source = _Source(config=config, environ=environ)
        environment = source.environment()
        database = source.text("AIGUARD_DATABASE_URL")
        key_file = source.path("AIGUARD_KEY_FILE")
        if environment.relaxed:
            database = database or "sqlite:///.aiguard/aiguard.db"
            key_file = key_file or Path(".aiguard/master.key")
        elif key_file is not None:
            raise SettingsError(
                f"AIGUARD_KEY_FILE generates a key, which is for development; in {environment} set AIGUARD_KEYS or "
                "AIGUARD_KEYS_FILE to keys that are backed up"
            )
        return cls(
            environment=environment,
            policy_path=source.path("AIGUARD_POLICY") or Path("aiguard.toml"),
            database=database,
            keys=source.keys(),
            key_file=key_file,
            allow_plain_http=source.switch("AIGUARD_ALLOW_PLAIN_HTTP", default=False),
            max_body_bytes=source.whole("AIGUARD_MAX_BODY_BYTES", default=_MIB, low=1, high=1 << 30),
            max_response_bytes=source.whole("AIGUARD_MAX_RESPONSE_BYTES", default=8 * _MIB, low=1, high=1 << 30),
            store_timeout_seconds=source.seconds("AIGUARD_STORE_TIMEOUT_SECONDS", default=5.0),
            provider_timeout_seconds=source.seconds("AIGUARD_PROVIDER_TIMEOUT_SECONDS", default=60.0),
            log_protection=source.switch("AIGUARD_LOG_PROTECTION", default=True),
            lookup=source.lookup(),
        )

    @property
    def database_url(self) -> str:
        """The evidence database's URL, or :class:`~aiguard.errors.SettingsError` where it must be set and is not."""
        if self.database is None:
            raise SettingsError(
                f"AIGUARD_DATABASE_URL is not set; in {self.environment} evidence needs a place that was chosen: set it "
                "to a SQLAlchemy URL, or set AIGUARD_ENVIRONMENT=development on your own machine"
            )
        return self.database

    def check_ready(self) -> None:
        """Refuse to serve without what serving needs: a database, and in staging and production real keys."""
        _ = self.database_url
        if not self.keys and self.key_file is None:
            raise SettingsError(
                f"AIGUARD_KEYS is not set; in {self.environment} set it (or AIGUARD_KEYS_FILE) to base64 of 32 random "
                "bytes, for example from: openssl rand -base64 32"
            )

    def credential(self, provider: str) -> Secret:
        """The API key for ``provider`` in this environment.

        Raises:
            SettingsError: none is set. Names the settings that were looked up.
        """
        stem = f"{PREFIX}{_provider(provider)}_API_KEY"
        names = [f"{stem}_{self.environment.value.upper()}", stem, *_VENDOR_NAMES.get(provider, ())[:1]]
        for name in names:
            if value := self.lookup.get(name):
                return Secret(value)
        raise SettingsError(f"no credential for provider {provider!r} in {self.environment}; set " + " or ".join(names))

    def base_url(self, provider: str) -> str | None:
        """Where requests to ``provider`` go, without a trailing slash; ``None`` means the provider's own address.

        Raises:
            SettingsError: the URL is not one, carries credentials, or is plain HTTP to another machine.
        """
        for name in (f"{PREFIX}{_provider(provider)}_BASE_URL", *_VENDOR_NAMES.get(provider, ())[1:]):
            if value := self.lookup.get(name):
                return _checked_url(name, value, plain_http=self.allow_plain_http)
        return None


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Reads one setting at a time: the mapping first, then the environment. An empty text is as good as unset."""

    config: Mapping[str, Any]
    environ: Mapping[str, str]

    def raw(self, name: str) -> Any:
        value = self.config.get(name)
        if value is None:
            value = self.environ.get(name)
        if isinstance(value, str):
            value = value.strip() or None
        return value

    def text(self, name: str) -> str | None:
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, Secret):
            value = value.reveal()
        if not isinstance(value, str):
            raise SettingsError(f"{name} must be a text, not {type(value).__name__}")
        if not value.isprintable():
            raise SettingsError(f"{name} holds a control character; set it again, on one line")
        return value

    def path(self, name: str) -> Path | None:
        value = self.raw(name)
        return value if isinstance(value, Path) else Path(text) if (text := self.text(name)) else None

    def environment(self) -> Environment:
        name = self.text("AIGUARD_ENVIRONMENT")
        if name is None:
            return Environment.PRODUCTION
        try:
            return Environment(name.lower())
        except ValueError:
            known = ", ".join(Environment)
            close = get_close_matches(name.lower()[:40], list(Environment), n=1, cutoff=0.4)
            hint = f'did you mean "{close[0]}"? ' if close else ""
            raise SettingsError(f"AIGUARD_ENVIRONMENT is not one of {known}; {hint}unset means production") from None

    def switch(self, name: str, *, default: bool) -> bool:
        value = self.raw(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        words = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }
        if str(value).lower() not in words:
            raise SettingsError(f"{name} must be true or false")
        return words[str(value).lower()]

    def whole(self, name: str, *, default: int, low: int, high: int) -> int:
        return int(self._number(name, default, low, high, int))

    def seconds(self, name: str, *, default: float) -> float:
        return float(self._number(name, default, 0.01, 3600, float))

    def _number(self, name: str, default: float, low: float, high: float, kind: Callable[[str], float]) -> float:
        value = self.raw(name)
        if value is None:
            return default
        try:
            if isinstance(value, bool):
                raise ValueError
            number = kind(str(value)[:40])
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            what = "a whole number" if kind is int else "a number"
            raise SettingsError(f"{name} must be {what} from {low} to {high}")
        return number

    def keys(self) -> tuple[bytes, ...]:
        """Master keys from ``AIGUARD_KEYS`` or the file of ``AIGUARD_KEYS_FILE``."""
        value = self.raw("AIGUARD_KEYS")
        file = self.path("AIGUARD_KEYS_FILE")
        if value is not None and file is not None:
            raise SettingsError(
                "AIGUARD_KEYS and AIGUARD_KEYS_FILE are both set; keep one, so that it is clear which counts"
            )
        if file is not None:
            return _decoded("AIGUARD_KEYS_FILE", _read_keys(file).split())
        if value is None:
            return ()
        if isinstance(value, str):
            return _decoded("AIGUARD_KEYS", value.split(","))
        if isinstance(value, (list, tuple)):
            return _decoded("AIGUARD_KEYS", value)
        raise SettingsError("AIGUARD_KEYS must be a text with commas, or a list")

    def lookup(self) -> Mapping[str, str]:
        """Every credential and base URL that is set, by its name."""
        vendor = [name for pair in _VENDOR_NAMES.values() for name in pair]
        ours = [name for name in (*self.config, *self.environ) if isinstance(name, str) and _of_provider(name)]
        found = {name: text for name in (*vendor, *ours) if (text := self.text(name))}
        return MappingProxyType(found)


def _provider(name: str) -> str:
    return name.upper().replace("-", "_")


def _of_provider(name: str) -> bool:
    """Whether a name is ``AIGUARD_<PROVIDER>_API_KEY[_<ENVIRONMENT>]`` or ``AIGUARD_<PROVIDER>_BASE_URL``."""
    if not name.startswith(PREFIX):
        return False
    stem = name.removeprefix(PREFIX)
    for environment in Environment:
        stem = stem.removesuffix(f"_{environment.value.upper()}") if "_API_KEY_" in stem else stem
    provider = stem.removesuffix("_API_KEY") if stem.endswith("_API_KEY") else stem.removesuffix("_BASE_URL")
    return provider not in ("", stem) and provider.replace("_", "").isalnum() and provider == provider.upper()


def known_names() -> Collection[str]:
    """The settings that have a fixed name."""
    return tuple(doc.name for doc in DOCUMENTED if "<" not in doc.name)


def _refuse_unknown(
    names: Mapping[str, Any], where: str, *, tolerate: Callable[[str], bool] = lambda name: False
) -> None:
    for name in names:
        if (
            not isinstance(name, str)
            or not name.upper().startswith(PREFIX)
            or name in known_names()
            or _of_provider(name)
        ):
            continue
        if tolerate(name):
            continue
        close = get_close_matches(name.upper()[:80], known_names(), n=1, cutoff=0.7)
        hint = f"did you mean {close[0]}?" if close else "docs/configuration.md lists all settings"
        shown = name if name.isprintable() and len(name) <= 80 else name[:80].encode("unicode_escape").decode("ascii")
        raise SettingsError(f"{shown} in {where} is not a setting of aiguard; {hint}")


def _injected_by_orchestrators(name: str) -> bool:
    """Names that Kubernetes and Docker links inject when a service happens to be called ``aiguard``."""
    return name == "AIGUARD_PORT" or name.startswith(("AIGUARD_PORT_", "AIGUARD_SERVICE_"))


def _decoded(name: str, encoded: Collection[object]) -> tuple[bytes, ...]:
    keys: list[bytes] = []
    for position, item in enumerate(encoded, start=1):
        key = item if isinstance(item, bytes) else None
        if isinstance(item, Secret):
            item = item.reveal()
        if isinstance(item, str):
            try:
                key = base64.b64decode(item.strip().translate({ord("-"): "+", ord("_"): "/"}), validate=True)
            except (binascii.Error, ValueError):
                key = None
        if key is None or len(key) != KEY_BYTES:
            raise SettingsError(
                f"{name}: key {position} is not base64 of {KEY_BYTES} bytes; make one with: openssl rand -base64 32"
            )
        if key in keys:
            raise SettingsError(f"{name}: key {position} is there twice; the newest key must be a new one")
        keys.append(key)
    if not keys:
        raise SettingsError(f"{name} holds no key; make one with: openssl rand -base64 32")
    return tuple(keys)


def _read_keys(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & stat.S_IWOTH:
                raise SettingsError(f"AIGUARD_KEYS_FILE: everybody may write to {path}; run: chmod o-w {path}")
            data = file.read(_MIB)
        return data.decode("ascii")
    except OSError as error:
        raise SettingsError(f"AIGUARD_KEYS_FILE: {path} cannot be read ({error.strerror})") from None
    except ValueError:
        raise SettingsError(f"AIGUARD_KEYS_FILE: {path} is not a text file of base64 keys") from None


def _checked_url(name: str, value: str, *, plain_http: bool) -> str:
    try:
        url = urlsplit(value)
        port_is_readable = url.port is None or url.port > 0
    except ValueError:
        raise SettingsError(f"{name} is not a URL; write for example https://api.example.com/v1") from None
    if url.scheme not in ("http", "https") or not url.hostname or not port_is_readable or " " in value:
        raise SettingsError(f"{name} is not an http(s) URL; write for example https://api.example.com/v1")
    if url.username is not None or url.password is not None:
        raise SettingsError(f"{name} carries a user name or password; put credentials into AIGUARD_<PROVIDER>_API_KEY")
    if url.query or url.fragment:
        raise SettingsError(f"{name} has a query or fragment; a base URL ends with its path")
    if url.scheme == "http" and not plain_http and not _loopback(url):
        raise SettingsError(
            f"{name} is plain http:// to another machine, where prompts and credentials could be read on the way; "
            "use https://, or set AIGUARD_ALLOW_PLAIN_HTTP=true if something else protects the connection"
        )
    return value.rstrip("/")


def _loopback(url: SplitResult) -> bool:
    host = url.hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
