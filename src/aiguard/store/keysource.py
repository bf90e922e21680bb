"""Where the master keys come from: settings, a file that is read again when another process has a newer key, or your own function.

A function of yours (``AIGUARD_KEYS_CALLABLE``) fetches master keys from wherever they are; a *wrapper* of yours (``AIGUARD_KEY_WRAPPER``)
leaves the key-encryption keys where they are, in a key management service, and has people's keys wrapped there.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, cast

from aiguard.errors import AIGuardError, SettingsError
from aiguard.settings import Settings
from aiguard.sources import decoded_keys, read_keys_file
from aiguard.store.datakeys import KeyWrapper
from aiguard.store.keys import MasterKeyRing, load_or_create_key_file


def master_keys(settings: Settings) -> MasterKeyRing:
    """The master keys that settings name; in development they are made once.

    Raises:
        SettingsError: there are none, or they cannot be had.
    """
    if settings.keys_callable is not None:
        path = settings.keys_callable
        return MasterKeyRing(_fetched(path), refresh=lambda: _fetched(path))
    file = settings.keys_file
    if file is not None:
        private = not settings.environment.relaxed
        return MasterKeyRing(settings.keys, refresh=lambda: read_keys_file(file, private=private))
    if settings.keys:
        return MasterKeyRing(settings.keys)
    made = settings.key_file
    if made is None:
        settings.check_ready()
        raise AssertionError("check_ready refuses settings without keys")
    return MasterKeyRing(load_or_create_key_file(made), refresh=lambda: load_or_create_key_file(made))


def key_wrapper(settings: Settings, master: MasterKeyRing) -> KeyWrapper:
    """What wraps people's keys: the master keys, or the wrapper that settings name.

    Raises:
        SettingsError: it cannot be had, or is none.
    """
    if settings.key_wrapper is None:
        return master
    wrapper = _call("AIGUARD_KEY_WRAPPER", settings.key_wrapper)
    check_wrapper(wrapper)
    return cast("KeyWrapper", wrapper)


def check_wrapper(wrapper: object) -> None:
    """:class:`SettingsError` unless it has what a :class:`KeyWrapper` has."""
    kek = getattr(wrapper, "kek", None)
    if not isinstance(kek, str) or not 1 <= len(kek) <= 64 or not all(map(_callable(wrapper), ("wrap", "unwrap"))):
        raise SettingsError(
            "The key wrapper needs `kek` (a text of 1 to 64 characters), `wrap(key, *, aad)` and `unwrap(wrapped, *, aad)`."
        )


def _callable(wrapper: object) -> Any:
    return lambda name: callable(getattr(wrapper, name, None))


def _fetched(path: str) -> Sequence[bytes]:
    keys = _call("AIGUARD_KEYS_CALLABLE", path)
    if not isinstance(keys, (list, tuple)):
        raise SettingsError(
            "AIGUARD_KEYS_CALLABLE: the function gives a list of keys, newest last, 32 bytes or base64 each"
        )
    return decoded_keys("AIGUARD_KEYS_CALLABLE", keys)


def _call(setting: str, path: str) -> Any:
    module, _, name = path.partition(":")
    if not module or not name:
        raise SettingsError(f"{setting} is written module:function")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        raise SettingsError(f"{setting}: there is no {path} to import; it is written module:function") from None
    try:
        return function()
    except AIGuardError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it raises, there are no keys; its message may quote them
        raise SettingsError(f"{setting}: {path} raised {type(error).__name__}") from None
