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
from urllib.parse import SplitResult, parse_qs, urlsplit

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
    unencrypted,
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
        name="AIGUARD_DATABASE_SCHEMA",
        default="the connection's own",
        meaning="PostgreSQL schema that the tables are in; made by aiguard db upgrade",
    ),
    SettingDoc(
        name="AIGUARD_KEY_STORE_URL",
        default="the evidence database",
        meaning="SQLAlchemy URL of the database that holds people's wrapped keys, apart from the data and its backups",
        secret=True,
    ),
    SettingDoc(
        name="AIGUARD_KEY_STORE_BACKUP_DAYS",
        default="none: not known, so erasures stay pending until somebody confirms them",
        meaning="after how many days the last backup of the key store that holds a destroyed key is gone; 0 means no backups",
    ),
    SettingDoc(
        name="AIGUARD_KEYS",
        default="none",
        meaning="master keys: base64 of 32 bytes each, separated by commas, newest last",
        secret=True,
    ),
    SettingDoc(name="AIGUARD_KEYS_FILE", default="none", meaning="the same keys in a file, one a line, newest last"),
    SettingDoc(
        name="AIGUARD_KEYS_CALLABLE",
        default="none",
        meaning="module:function that gives the same keys as a list, fetched from wherever they are",
    ),
    SettingDoc(
        name="AIGUARD_KEY_WRAPPER",
        default="none: the master keys",
        meaning="module:function that gives what wraps people's keys, as a key management service does",
    ),
    SettingDoc(
        name="AIGUARD_KEY_FILE",
        default=".aiguard/master.key in development and test; not allowed elsewhere",
        meaning="where a development key is generated once",
    ),
    SettingDoc(
        name="AIGUARD_AUDIT_SIGNING_KEY",
        default="none",
        meaning="keys that sign checkpoints of the audit log, separated by commas, the log's own first",
        secret=True,
    ),
    SettingDoc(
        name="AIGUARD_AUDIT_SIGNING_KEY_FILE",
        default="audit.key beside AIGUARD_KEY_FILE in development and test; none elsewhere",
        meaning="the same keys in a file, one a line; in development it is made once",
    ),
    SettingDoc(
        name="AIGUARD_AUDIT_VERIFIERS",
        default="none",
        meaning="public keys whose checkpoints are believed besides, separated by commas",
    ),
    SettingDoc(
        name="AIGUARD_AUDIT_CHECKPOINT_SECONDS",
        default="10",
        meaning="how often a process that has a signing key signs the audit log, if it has grown",
    ),
    SettingDoc(
        name="AIGUARD_AUDIT_ANCHOR_DIRECTORY",
        default="none",
        meaning="directory, best on another mount, into which every checkpoint is copied once",
    ),
    SettingDoc(
        name="AIGUARD_AUDIT_ANCHOR_COMMAND",
        default="none",
        meaning="program and arguments that are given every checkpoint on standard input",
    ),
    SettingDoc(
        name="AIGUARD_REDIS_URL",
        default="none",
        meaning="where uses are counted for rate limits, for all processes: redis://, rediss:// or redis+unix://",
        secret=True,
    ),
    SettingDoc(
        name="AIGUARD_JOBS_REDIS_URL",
        default="none",
        meaning="the Redis of RQ's workers for `aiguard jobs start`; best one of its own, with a password",
        secret=True,
    ),
    SettingDoc(
        name="AIGUARD_RUN_DUE_SECONDS",
        default="none",
        meaning="how often a thread of the application does what retention has to do",
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
        meaning="largest answer of a model server, or of a model function, that is read, in bytes",
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
    SettingDoc(
        name="AIGUARD_STARTUP_CHECK",
        default="warn, in test off",
        meaning="what a web application does at its start about what aiguard routes calls an error: warn, refuse or off",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything about this process that is not policy. Build it with :meth:`load`; tests may build it directly."""

    environment: Environment = Environment.PRODUCTION
    policy_path: Path = Path("aiguard.toml")
    database: str | None = field(default=None, repr=False)
    """As set, or the development default; ``None`` where it must be set and is not. See :attr:`database_url`."""
    database_schema: str | None = None
    """PostgreSQL schema that the tables are in; ``None`` means the connection's own."""
    key_store: str | None = field(default=None, repr=False)
    """URL of the database of people's wrapped keys; ``None`` means the evidence database."""
    key_store_backup_days: int | None = None
    """Days until no backup of the key store holds a destroyed key any more; ``None`` means that nobody said."""
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    """Master keys, 32 bytes each, newest last. Empty means: use :attr:`key_file`."""
    keys_file: Path | None = None
    """Where :attr:`keys` were read, and are read again when another process has a newer one."""
    keys_callable: str | None = None
    key_wrapper: str | None = None
    key_file: Path | None = None
    """Where a development key is generated once; ``None`` in staging and production."""
    audit_signing_keys: tuple[str, ...] = field(default=(), repr=False)
    """Signer lines of the audit log, the log's own first. Empty means: use :attr:`audit_key_file`, or sign elsewhere."""
    audit_key_file: Path | None = None
    audit_key_is_made: bool = False
    """Whether a missing :attr:`audit_key_file` is made, as on a developer's machine."""
    audit_verifiers: tuple[str, ...] = ()
    audit_checkpoint_seconds: float = 10.0
    audit_anchor_directory: Path | None = None
    audit_anchor_command: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    jobs_redis_url: str | None = field(default=None, repr=False)
    run_due_seconds: float | None = None
    """How often a thread of the application does what retention has to do; ``None`` means never."""
    allow_plain_http: bool = False
    max_body_bytes: int = _MIB
    max_response_bytes: int = 8 * _MIB
    store_timeout_seconds: float = 5.0
    provider_timeout_seconds: float = 60.0
    log_protection: bool = True
    startup_check: str = "off"
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
        if source.text("AIGUARD_KEYS_CALLABLE") is not None and source.keys():
            raise SettingsError(
                "AIGUARD_KEYS_CALLABLE is set beside AIGUARD_KEYS or AIGUARD_KEYS_FILE; keep one, so that it is clear which counts"
            )
        audit_key_file = source.path("AIGUARD_AUDIT_SIGNING_KEY_FILE")
        if audit_key_file is not None and source.raw("AIGUARD_AUDIT_SIGNING_KEY") is not None:
            raise SettingsError(
                "AIGUARD_AUDIT_SIGNING_KEY and AIGUARD_AUDIT_SIGNING_KEY_FILE are both set; keep one, so that it is clear "
                "which counts"
            )
        return cls(
            environment=environment,
            policy_path=source.path("AIGUARD_POLICY") or Path("aiguard.toml"),
            database=database,
            database_schema=source.text("AIGUARD_DATABASE_SCHEMA"),
            key_store=source.text("AIGUARD_KEY_STORE_URL"),
            key_store_backup_days=(
                None
                if source.raw("AIGUARD_KEY_STORE_BACKUP_DAYS") is None
                else source.whole("AIGUARD_KEY_STORE_BACKUP_DAYS", default=0, low=0, high=36_525)
            ),
            keys=source.keys(),
            keys_file=source.path("AIGUARD_KEYS_FILE"),
            keys_callable=source.text("AIGUARD_KEYS_CALLABLE"),
            key_wrapper=source.text("AIGUARD_KEY_WRAPPER"),
            key_file=key_file,
            audit_signing_keys=source.lines("AIGUARD_AUDIT_SIGNING_KEY"),
            audit_key_file=audit_key_file or (key_file.with_name("audit.key") if key_file is not None else None),
            audit_key_is_made=environment.relaxed,
            audit_verifiers=source.lines("AIGUARD_AUDIT_VERIFIERS"),
            audit_checkpoint_seconds=source.seconds("AIGUARD_AUDIT_CHECKPOINT_SECONDS", default=10.0),
            audit_anchor_directory=source.path("AIGUARD_AUDIT_ANCHOR_DIRECTORY"),
            audit_anchor_command=source.text("AIGUARD_AUDIT_ANCHOR_COMMAND"),
            redis_url=_redis_url("AIGUARD_REDIS_URL", source),
            jobs_redis_url=_redis_url("AIGUARD_JOBS_REDIS_URL", source),
            run_due_seconds=(
                None
                if source.raw("AIGUARD_RUN_DUE_SECONDS") is None
                else source.seconds("AIGUARD_RUN_DUE_SECONDS", default=300.0)
            ),
            allow_plain_http=source.switch("AIGUARD_ALLOW_PLAIN_HTTP", default=False),
            max_body_bytes=source.whole("AIGUARD_MAX_BODY_BYTES", default=_MIB, low=1, high=1 << 30),
            max_response_bytes=source.whole("AIGUARD_MAX_RESPONSE_BYTES", default=8 * _MIB, low=1, high=1 << 30),
            store_timeout_seconds=source.seconds("AIGUARD_STORE_TIMEOUT_SECONDS", default=5.0),
            provider_timeout_seconds=source.seconds("AIGUARD_PROVIDER_TIMEOUT_SECONDS", default=60.0),
            log_protection=source.switch("AIGUARD_LOG_PROTECTION", default=True),
            startup_check=source.choice(
                "AIGUARD_STARTUP_CHECK",
                ("warn", "refuse", "off"),
                default="off" if environment is Environment.TEST else "warn",
            ),
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

    @property
    def has_keys(self) -> bool:
        """Whether something says which the master keys are."""
        return bool(self.keys) or self.key_file is not None or self.keys_callable is not None

    @property
    def unencrypted(self) -> tuple[str, ...]:
        """The settings whose database or Redis is on another machine and reached without TLS."""
        urls = (self.database, self.key_store, self.redis_url, self.jobs_redis_url)
        names = ("DATABASE_URL", "KEY_STORE_URL", "REDIS_URL", "JOBS_REDIS_URL")
        return tuple(PREFIX + name for name, url in zip(names, urls, strict=True) if url and unencrypted(url))

    @property
    def network_warning(self) -> str:
        """A word about :attr:`unencrypted` for staging and production; empty where there is nothing to say."""
        if self.environment.relaxed or not self.unencrypted:
            return ""
        return (
            f"{', '.join(self.unencrypted)}: reached over a network without TLS, where passwords, pseudonyms and counts can be read and "
            "answers changed on the way; append ?sslmode=verify-full to a PostgreSQL URL, write rediss:// for Redis"
        )

    def check_ready(self, *, own_database: bool = False) -> None:
        """Refuse to serve without what serving needs: a database, and in staging and production real keys.

        ``own_database`` says that the application brings its own.
        """
        if not own_database:
            _ = self.database_url
        if not self.has_keys:
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


_REDIS_OPTIONS: Final = frozenset(
    {"db", "ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"}
)


def _redis_url(name: str, source: Source) -> str | None:
    """A Redis URL whose options leave the time limits alone."""
    value = source.text(name)
    if value is None:
        return None
    remedy = "write for example rediss://user:password@redis.internal:6379/0"
    try:
        url = urlsplit(value)
        _ = url.port
        options = set(parse_qs(url.query, keep_blank_values=True))
    except ValueError:
        raise SettingsError(f"{name} is not a URL; {remedy}") from None
    place = url.path if url.scheme == "redis+unix" else url.hostname
    if url.scheme not in ("redis", "rediss", "redis+unix") or not place or url.fragment:
        raise SettingsError(f"{name} is not redis://, rediss:// or redis+unix://; {remedy}")
    if options - _REDIS_OPTIONS:
        raise SettingsError(f"{name} may carry these options and no others: " + ", ".join(sorted(_REDIS_OPTIONS)))
    return value


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
