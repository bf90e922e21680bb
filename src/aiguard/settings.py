"""Where things are: environment, policy file, database, keys, credentials; from ``AIGUARD_*``.

A mapping (Flask's ``app.config``) wins over the environment. A name we do not know is an error, because a misspelt
security setting must not be silently without effect. Nothing here is ever printed: ``repr`` shows no secret.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from aiguard.errors import SettingsError
from aiguard.sources import (
    PREFIX,
    VENDOR_NAMES,
    Environment,
    Secret,
    Source,
    injected_by_orchestrators,
    provider_stem,
    refuse_unknown,
)

__all__ = ["DOCUMENTED", "Environment", "Secret", "SettingDoc", "Settings"]

_MIB: Final = 1 << 20


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
        meaning="how long one attempt at a model server may take; an SDK's own retries (max_retries) come on top",
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
        known = [doc.name for doc in DOCUMENTED]
        refuse_unknown(config, known, "the application's configuration")
        refuse_unknown(environ, known, "the environment", tolerate=injected_by_orchestrators)
        source = Source(config=config, environ=environ)
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
        stem = f"{PREFIX}{provider_stem(provider)}_API_KEY"
        names = [f"{stem}_{self.environment.value.upper()}", stem, *VENDOR_NAMES.get(provider, ())[:1]]
        for name in names:
            if value := self.lookup.get(name):
                return Secret(value)
        raise SettingsError(f"no credential for provider {provider!r} in {self.environment}; set " + " or ".join(names))

    def base_url(self, provider: str) -> str | None:
        """Where requests to ``provider`` go, without a trailing slash; ``None`` means the provider's own address.

        Raises:
            SettingsError: the URL is not one, carries credentials, or is plain HTTP to another machine.
        """
        for name in (f"{PREFIX}{provider_stem(provider)}_BASE_URL", *VENDOR_NAMES.get(provider, ())[1:]):
            if value := self.lookup.get(name):
                return _checked_url(name, value, plain_http=self.allow_plain_http)
        return None


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
