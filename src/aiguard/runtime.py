"""Wiring: from settings to a guard that works. The only place where rooms are chosen and put together."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from aiguard import audit, logs, store
from aiguard.bodies import REPLACE_ALL
from aiguard.db.engine import make_engine
from aiguard.db.schema import check, upgrade
from aiguard.db.writer import Writer
from aiguard.detect import default_detector, known_types
from aiguard.detect.parts import detect_text
from aiguard.guard import Guard
from aiguard.identity import Authoriser, has_scope
from aiguard.policy import Policy, load_policy
from aiguard.redact import redact
from aiguard.settings import Settings
from aiguard.store import MasterKeyRing, load_or_create_key_file
from aiguard.types import Clock, Detector, Finding, KeyRing, utc_now

if TYPE_CHECKING:
    from sqlalchemy import Engine


def open_guard(
    settings: Settings | None = None,
    *,
    policy: Policy | None = None,
    engine: Engine | None = None,
    detector: Detector | None = None,
    authoriser: Authoriser = has_scope,
    count_tokens: Callable[[Sequence[str]], int] | None = None,
    clock: Clock = utc_now,
) -> Guard:
    """A guard ready for use: policy read, keys loaded, database at the right revision, log protection on.

    Args:
        settings: where things are; by default from the environment.
        policy: by default the file that settings name.
        detector: by default the built-in catalogue's.
        authoriser: ``(actor, scope) -> Decision``; by default the actor must carry the scope.
        count_tokens: an upper bound of the tokens in some texts; by default their UTF-8 bytes.
        clock: where time comes from.
        engine: an SQLAlchemy engine of the application's; by default one for the database that settings name.

    Raises:
        PolicyError, SettingsError, SchemaRevisionError: with the remedy. Nothing is left open.
    """
    settings = Settings.load() if settings is None else settings
    settings.check_ready()
    if policy is None:
        policy = load_policy(settings.policy_path, known_types())
    keys = open_keys(settings)
    own_engine = engine is None
    engine = make_engine(settings.database_url) if engine is None else engine
    try:
        if settings.environment.relaxed:
            upgrade(engine)  # development and test need no extra step; elsewhere a person runs the migration
        else:
            check(engine)
        writer = Writer(
            engine,
            keys,
            {**audit.MAPPERS, **store.MAPPERS},
            timeout=settings.store_timeout_seconds,
        )
    except BaseException:
        if own_engine:
            engine.dispose()
        raise
    if settings.log_protection:
        logs.install(scrub_line)

    def close() -> None:
        writer.close()
        if own_engine:
            engine.dispose()
        if settings.log_protection:
            logs.uninstall()

    options: dict[str, Any] = {} if count_tokens is None else {"count_tokens": count_tokens}
    return Guard(
        policy=policy,
        settings=settings,
        detector=default_detector() if detector is None else detector,
        recorder=writer,
        keys=keys,
        authoriser=authoriser,
        clock=clock,
        on_close=close,
        **options,
    )


def scrub_line(text: str) -> str:
    """A log line with every finding replaced, also behind the escapes of JSON or a ``repr`` that was logged."""
    found = [finding for finding in detect_text(default_detector(), text) if not _is_here(text, finding)]
    return redact(text, found, REPLACE_ALL).text if found else text


def _is_here(text: str, finding: Finding) -> bool:
    """Whether a finding is an address of this machine (``127.0.0.1``, ``0.0.0.0``, ``::1``), which is nobody's."""
    if finding.type != "IP_ADDRESS":
        return False
    try:
        address = ipaddress.ip_address(text[finding.start : finding.end])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def open_keys(settings: Settings) -> KeyRing:
    """The key ring that settings name: their keys, or in development a key file made once with mode 0600."""
    if settings.keys:
        return MasterKeyRing(settings.keys)
    if settings.key_file is None:
        settings.check_ready()
        raise AssertionError("check_ready refuses settings without keys")
    return MasterKeyRing(load_or_create_key_file(settings.key_file))
