"""Wiring: from settings to a guard that works. The only place where rooms are chosen and put together."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from aiguard import audit, logs, store
from aiguard.audit.changes import policy_loaded
from aiguard.audit.keeper import keeper_of
from aiguard.audit.outbox import Outbox
from aiguard.bodies import REPLACE_ALL
from aiguard.db.engine import adopt, make_engine
from aiguard.db.schema import check, upgrade
from aiguard.db.writer import Writer
from aiguard.detect import default_detector, known_types
from aiguard.detect.models import Model
from aiguard.detect.parts import detect_text
from aiguard.errors import SettingsError
from aiguard.guard import Guard, Kept
from aiguard.identity import Authoriser, has_scope, tables
from aiguard.identity.rates import Counters, RedisCounters, counters_for
from aiguard.policy import Policy, load_policy
from aiguard.redact import redact
from aiguard.retention.ticker import Ticker
from aiguard.scan import Recognizer
from aiguard.settings import Settings
from aiguard.store import KeyStore, KeyWrapper, SubjectKeyRing, belonging
from aiguard.store.keysource import check_wrapper, key_wrapper, master_keys
from aiguard.types import Clock, Detector, Finding, utc_now

if TYPE_CHECKING:
    from sqlalchemy import Engine

logger = logging.getLogger("aiguard")


def open_guard(
    settings: Settings | None = None,
    *,
    policy: Policy | None = None,
    engine: Engine | Callable[[], Engine] | None = None,
    detector: Detector | None = None,
    recognizers: Sequence[Recognizer] = (),
    models: Mapping[str, Model] | None = None,
    authoriser: Authoriser = has_scope,
    count_tokens: Callable[[Sequence[str]], int] | None = None,
    clock: Clock = utc_now,
    wrapper: KeyWrapper | None = None,
) -> Guard:
    """A guard ready for use: policy read, keys loaded, database at the right revision, log protection on.

    Args:
        settings: where things are; by default from the environment.
        policy: by default the file that settings name.
        detector: by default the built-in catalogue's.
        recognizers: entity types of the application's own, beside the catalogue and those in the policy.
        models: language models for names and places, by the name under which policy asks for them (``detect.models``).
        authoriser: ``(actor, scope) -> Decision``; by default the actor must carry the scope.
        count_tokens: an upper bound of the tokens in some texts; by default their UTF-8 bytes.
        clock: where time comes from.
        wrapper: wraps people's keys, as a key management service does; by default what settings name.
        engine: an SQLAlchemy engine of the application's, or a function that gives it (:func:`aiguard.db.adopt`); by default one
            for the database that settings name.

    Raises:
        ConfigurationError: with the remedy: the policy, a setting, the schema's revision, a model that is missing. Nothing is left open.
    """
    settings = Settings.load() if settings is None else settings
    settings.check_ready(own_database=engine is not None)
    if warning := settings.network_warning:
        logger.warning("%s", warning)
    if wrapper is not None:
        check_wrapper(wrapper)
    if policy is None:
        policy = load_policy(settings.policy_path, _types(recognizers, models))
    schema, own_engine = settings.database_schema, True
    if engine is None:
        engine = make_engine(settings.database_url, schema=schema)
    else:
        engine, own_engine = adopt(engine, schema=schema)
    ending = ExitStack()
    """What there is to close, the last opened first: when the guard is closed, and when it cannot be made."""
    lines = ending.enter_context(ExitStack())
    try:
        if settings.log_protection:
            logs.install(scrub_line)
            lines.callback(logs.uninstall, scrub_line)
        if own_engine:
            ending.callback(engine.dispose)
        keys = open_keys(settings, engine, wrapper=wrapper)
        key_store = cast("KeyStore", keys.store)
        ending.callback(key_store.close)
        if settings.environment.relaxed:
            upgrade(engine)  # development and test need no extra step; elsewhere a person runs the migration
            belonging.require_own_store(engine, key_store)
            key_store.prepare()
        else:
            check(engine)
            belonging.require_own_store(engine, key_store)
            key_store.check()
        require_own_keys(keys)
        belonging.bind(engine, key_store, clock())
        keeper = keeper_of(settings, engine, clock=clock, keyring=keys)
        if keeper is not None:
            ending.callback(keeper.close)
        writer = Writer(
            engine,
            keys,
            {
                **store.MAPPERS,
                **tables.MAPPERS,
                **audit.MAPPERS,
            },  # the log last: its lock is held for the shortest time
            timeout=settings.store_timeout_seconds,
        )
        ending.callback(writer.close)
        outbox = Outbox(engine, keys)
        ending.callback(outbox.close)
        ticker = ticker_of(settings, engine, keys, policy, clock=clock)
        if ticker is not None:
            ending.callback(ticker.close)
        counters = open_counters(settings, policy)
        if isinstance(counters, RedisCounters):
            ending.callback(counters.close)
        options: dict[str, Any] = {} if count_tokens is None else {"count_tokens": count_tokens}
        guard = Guard(
            policy=policy,
            settings=settings,
            detector=default_detector() if detector is None else detector,
            recognizers=recognizers,
            models=models,
            recorder=writer,
            keys=keys,
            authoriser=authoriser,
            clock=clock,
            on_close=ending.close,
            tokens=tables.TokenTable(engine, keys),
            counters=counters,
            record_within=outbox.put,
            store=Kept(
                vaults=store.VaultTable(engine, keys, clock=clock),
                artifacts=store.ArtifactTable(engine, keys, clock=clock),
                requests=store.RequestTable(engine, keys),
            ),
            **options,
        )
        if settings.log_protection and guard.lines is not None:
            _protect_lines(lines, guard.lines, alone=detector is None)
        policy_loaded(engine, keys, policy.hash, environment=str(settings.environment), now=clock())
        for thread in (outbox, ticker, keeper):
            if thread is not None:
                thread.start()
    except BaseException:
        ending.close()
        raise
    return guard


def ticker_of(
    settings: Settings, engine: Engine, keys: SubjectKeyRing, policy: Policy, *, clock: Clock = utc_now
) -> Ticker | None:
    """The thread that settings ask for, not started; None where something else does what is due."""
    if settings.run_due_seconds is None:
        return None
    return Ticker(engine, keys, policy, interval=settings.run_due_seconds, clock=clock)


@contextmanager
def open_evidence(
    settings: Settings, *, any_keys: bool = False, own_store: bool = True
) -> Iterator[tuple[Engine, SubjectKeyRing]]:
    """The database that settings name, at the right revision, and the keys that open it: for what is no web application.

    With ``any_keys`` the master keys may be another database's, to say which are missing; without ``own_store`` the key store may be.
    """
    engine = make_engine(settings.database_url, create=False, schema=settings.database_schema)
    try:
        check(engine)
        settings.check_ready()
        keyring = open_keys(settings, engine)
        key_store = cast("KeyStore", keyring.store)
        try:
            if own_store:
                belonging.require_own_store(engine, key_store)
                key_store.check()
            if not any_keys:
                require_own_keys(keyring)
            yield engine, keyring
        finally:
            key_store.close()
    finally:
        engine.dispose()


@contextmanager
def open_log(settings: Settings) -> Iterator[Engine]:
    """The database that settings name, at the right revision, for somebody who only looks and opens nothing that is sealed."""
    engine = make_engine(settings.database_url, create=False, schema=settings.database_schema)
    try:
        check(engine)
        yield engine
    finally:
        engine.dispose()


def read_policy(settings: Settings) -> Policy:
    """The policy that settings name."""
    return load_policy(settings.policy_path, _types((), None))


def open_counters(settings: Settings, policy: Policy) -> Counters:
    """Where uses are counted: Redis if settings name it, else this process, which in production is worth a word."""
    counters = counters_for(settings.redis_url)
    limited = [name for name, feature in policy.features.items() if feature.rate or feature.tenant_rate]
    if limited and settings.redis_url is None and not settings.environment.relaxed:
        logger.warning(
            "policy limits how often %s may be used, and each process counts for itself: with several workers that is "
            "several times as often; set AIGUARD_REDIS_URL to count for all of them",
            ", ".join(sorted(limited)),
        )
    if limited and isinstance(counters, RedisCounters) and not counters.answers():
        logger.error("Redis does not answer at AIGUARD_REDIS_URL; %s will be refused until it does", ", ".join(limited))
    return counters


def _types(recognizers: Sequence[Recognizer], models: Mapping[str, Model] | None) -> set[str]:
    """Every entity type that a policy may name."""
    return {
        *known_types(),
        *(recognizer.type for recognizer in recognizers),
        *(type for model in (models or {}).values() for type in model.types),
    }


def scrub_line(text: str, detector: Detector | None = None) -> str:
    """A log line with every finding replaced, also behind the escapes of JSON or a ``repr`` that was logged."""
    found = detect_text(default_detector() if detector is None else detector, text)
    found = [finding for finding in found if not _is_here(text, finding)]
    return redact(text, found, REPLACE_ALL).text if found else text


def _protect_lines(lines: ExitStack, detector: Detector, *, alone: bool) -> None:
    """Have log lines scrubbed of what ``detector`` finds: ``alone``, if it looks for all that the catalogue does."""
    scrub = partial(scrub_line, detector=detector)
    logs.install(scrub)
    before = lines.pop_all() if alone else ExitStack()
    lines.callback(logs.uninstall, scrub)
    before.close()


def _is_here(text: str, finding: Finding) -> bool:
    """Whether a finding is an address of this machine (``127.0.0.1``, ``0.0.0.0``, ``::1``), which is nobody's."""
    if finding.type != "IP_ADDRESS":
        return False
    try:
        address = ipaddress.ip_address(text[finding.start : finding.end])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def open_keys(settings: Settings, engine: Engine, *, wrapper: KeyWrapper | None = None) -> SubjectKeyRing:
    """The key ring that settings name: master keys, and people's keys wrapped by them.

    In development the master key is made once, in a file with mode 0600. People's keys are in the key store that settings
    name, or in ``engine``'s database; ``keyring.store.close()`` lets go of a key store of its own.
    """
    master = master_keys(settings)
    wrapper = key_wrapper(settings, master) if wrapper is None else wrapper
    return SubjectKeyRing(master, wrapper, open_key_store(settings, engine))


def require_own_keys(keys: SubjectKeyRing) -> None:
    """Refuse master keys that open nobody's key in the key store: with them everybody would silently be somebody new.

    Raises:
        SettingsError: they are another database's.
        StoreUnavailable: the key store cannot be read.
    """
    master = keys.master
    if not isinstance(master, store.MasterKeyRing) or not isinstance(keys.wrapper, store.MasterKeyRing):
        return  # a key management service says itself what it cannot unwrap
    if not cast("KeyStore", keys.store).knows(master.key_ids):
        raise SettingsError(
            "The key store holds people's keys, and the master keys at hand open none of them: they are not configured, or belong to "
            "another database. Check AIGUARD_KEYS (or the key file), AIGUARD_DATABASE_URL and AIGUARD_KEY_STORE_URL; `aiguard keys "
            "list` names the missing ones."
        )


def open_key_store(settings: Settings, engine: Engine) -> KeyStore:
    """Where people's wrapped keys are: the database of ``AIGUARD_KEY_STORE_URL``, or the evidence database."""
    if settings.key_store is None or settings.key_store == settings.database:
        return KeyStore(engine, apart=False)
    engine = make_engine(settings.key_store, create=settings.environment.relaxed, setting="AIGUARD_KEY_STORE_URL")
    return KeyStore(engine, apart=True)
