"""Keys of single people: each has a random key of their own, wrapped by a key-encryption key.

A *lookup* is the ring's pseudonym of an id (``KeyRing.pseudonym``). It finds the person's key in the key store and stands
nowhere else. The *name* that rows and events carry, and the ciphertext of what is about the person, both come from that key
alone: destroy it, and nobody who holds the data, the master keys and the id can link or open what was written.

A sealed value is ``version 2 (1 byte) ‖ key id (8) ‖ nonce (12) ‖ ciphertext ‖ tag (16)``: AES-256-GCM with a random nonce under a
subkey of the person's key (HKDF-Expand of RFC 5869), which one person's records do not exhaust (2**32).

What ends by crypto-shredding needs a second key: that of the hour in which it expires, which is in the same store, belongs to everybody,
and is destroyed when the hour is over. Such a value is ``version 3 (1 byte) ‖ id of the hour's key (8) ‖ id of the person's key, or zeros (8) ‖
nonce (12) ‖ ciphertext ‖ tag (16)``, under ``HMAC-SHA256(hour's secret, person's secret)``: without either nobody opens it.
"""

from __future__ import annotations

import hmac
import json
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from aiguard.errors import AIGuardError, IntegrityError, StoreUnavailable
from aiguard.ids import crockford_128
from aiguard.types import Clock, KeyRing, SubjectKey, utc_now

CACHE_SECONDS: Final = 5.0
"""How long a process uses a key without asking the key store again: an erasure is in force everywhere after this."""

CACHE_SIZE: Final = 20_000
"""Keys that a process holds at once, about 1 KB each; the least recently loaded goes first."""

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
_VERSION = b"\x02"
_SHARED = b"\x03"
_NOBODY = bytes(KEY_ID_BYTES)
_NONCE_BYTES = 12
_HEADER_BYTES = 1 + KEY_ID_BYTES
_SHORTEST = _HEADER_BYTES + _NONCE_BYTES + 16
_SHARED_HEADER_BYTES = 1 + 2 * KEY_ID_BYTES


class KeyDestroyed(IntegrityError):
    """The key that sealed this was destroyed, or is in another key store: what it sealed cannot be read again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WrappedKey:
    """One row of a key store: a person's key under a key-encryption key."""

    lookup: str
    key_id: bytes
    wrapped: bytes = field(repr=False)
    kek: str
    """Public id of the key-encryption key."""
    created_at: datetime


class DataKeyStore(Protocol):
    """Where wrapped keys are."""

    def by_lookup(self, lookups: Collection[str]) -> Mapping[str, WrappedKey]:
        """Those that exist."""
        ...

    def by_id(self, key_id: bytes) -> WrappedKey | None:
        """The key of that id."""
        ...

    def add(self, keys: Collection[WrappedKey]) -> None:
        """Keep these, but never a second one under one lookup: the first stays."""
        ...


class KeyWrapper(Protocol):
    """Wraps keys: the master keys, or a key management service of your own."""

    @property
    def kek(self) -> str:
        """Public id of the key that :meth:`wrap` uses now, at most 64 characters."""
        ...

    def wrap(self, key: bytes, *, aad: bytes) -> bytes:
        """``key`` under the newest key-encryption key, bound to ``aad``."""
        ...

    def unwrap(self, wrapped: bytes, *, aad: bytes) -> bytes:
        """The key again, or :class:`~aiguard.errors.IntegrityError`."""
        ...


class DataKey:
    """One person's key. Implements :class:`aiguard.types.SubjectKey`; never prints itself."""

    __slots__ = ("_cipher", "_deriving", "_header", "id", "name")

    def __init__(self, id: bytes, key: bytes) -> None:
        self.id = id
        self._header = _VERSION + id
        self._cipher = AESGCM(_expand(key, b"seal"))
        self._deriving = _expand(key, b"derive")
        self.name = crockford_128(_expand(key, b"name")[:16])

    def __repr__(self) -> str:
        return f"DataKey({self.id.hex()})"

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose, gone when the key is."""
        return hmac.digest(self._deriving, purpose.encode("utf-8", "surrogatepass"), "sha256")

    def seal(self, plaintext: bytes, *, aad: bytes) -> bytes:
        """Encrypt; the result opens only with the same ``aad``."""
        nonce = os.urandom(_NONCE_BYTES)
        return self._header + nonce + self._cipher.encrypt(nonce, plaintext, self._header + aad)

    def open(self, ciphertext: bytes, *, aad: bytes) -> bytes:
        """The plaintext, or :class:`~aiguard.errors.IntegrityError`."""
        return _decrypted(self._cipher, ciphertext, _HEADER_BYTES, aad)

    def seal_with(self, other: SubjectKey | None, plaintext: bytes, *, aad: bytes) -> bytes:
        """Encrypt under this key, which is an hour's, and that of a person, if there is one: both are needed to open it."""
        header = _SHARED + self.id + (_NOBODY if other is None else cast("DataKey", other).id)
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + self._shared_with(other).encrypt(nonce, plaintext, header + aad)

    def open_with(self, other: SubjectKey | None, ciphertext: bytes, *, aad: bytes) -> bytes:
        """What :meth:`seal_with` sealed, or :class:`~aiguard.errors.IntegrityError`."""
        return _decrypted(self._shared_with(other), ciphertext, _SHARED_HEADER_BYTES, aad)

    def _shared_with(self, other: SubjectKey | None) -> AESGCM:
        theirs = b"" if other is None else other.derive("shared seal")
        return AESGCM(hmac.digest(self.derive("shared seal"), theirs, "sha256"))


def _decrypted(cipher: AESGCM, ciphertext: bytes, header: int, aad: bytes) -> bytes:
    nonce, rest = ciphertext[header : header + _NONCE_BYTES], ciphertext[header + _NONCE_BYTES :]
    try:
        return cipher.decrypt(nonce, rest, ciphertext[:header] + aad)
    except InvalidTag:
        raise IntegrityError("The ciphertext was altered, or belongs to another record.") from None


def hour_key_id(ciphertext: bytes) -> bytes | None:
    """The id of the hour's key that a sealed value needs, from its first nine bytes; None where it needs none."""
    return ciphertext[1:_HEADER_BYTES] if ciphertext[:1] == _SHARED else None


def key_ids(start: bytes) -> list[bytes]:
    """The ids of the keys in a key store that a sealed value needs, from its first 17 bytes; none where a master key opens it."""
    if start[:1] == _VERSION:
        return [start[1:_HEADER_BYTES]]
    if start[:1] != _SHARED:
        return []
    return [id for id in (start[1:_HEADER_BYTES], start[_HEADER_BYTES:_SHARED_HEADER_BYTES]) if id != _NOBODY]


def _expand(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"aiguard/2/" + purpose + b"\x01", "sha256")


def wrapping_aad(lookup: str, key_id: bytes) -> bytes:
    """What a wrapped key is bound to: whose it is, and its id."""
    return json.dumps(["aiguard/data-key", 1, lookup, key_id.hex()]).encode()


def new_wrapped(lookup: str, wrapper: KeyWrapper, now: datetime) -> WrappedKey:
    """A new random key for a person."""
    key_id = os.urandom(KEY_ID_BYTES)
    with asking("wrap"):
        wrapped = wrapper.wrap(os.urandom(KEY_BYTES), aad=wrapping_aad(lookup, key_id))
    return WrappedKey(lookup=lookup, key_id=key_id, wrapped=wrapped, kek=wrapper.kek, created_at=now)


def unwrapped(row: WrappedKey, wrapper: KeyWrapper) -> DataKey:
    """The key of a row.

    Raises:
        IntegrityError: it is not what was wrapped for that person, or the key-encryption key is missing.
        StoreUnavailable: a key management service of your own failed.
    """
    with asking("unwrap"):
        key = wrapper.unwrap(row.wrapped, aad=wrapping_aad(row.lookup, row.key_id))
    if not isinstance(key, bytes) or len(key) != KEY_BYTES:
        raise IntegrityError("What the key-encryption key unwrapped is not a key.")
    return DataKey(row.key_id, key)


@contextmanager
def asking(doing: str) -> Iterator[None]:
    """Whatever a wrapper of the application's own raises, the key is not there; its message may quote the request."""
    try:
        yield
    except AIGuardError:
        raise
    except Exception as error:  # noqa: BLE001 - fails closed
        raise StoreUnavailable(
            f"A person's key could not be {doing}ped ({type(error).__name__}); check the key management service."
        ) from None


class SubjectKeyRing:
    """A key ring with a key for every person; implements :class:`aiguard.types.SubjectKeys`.

    What belongs to nobody is sealed by ``master``, and opens there too.

    Args:
        master: seals what belongs to nobody, and makes lookups.
        wrapper: wraps people's keys.
        store: where wrapped keys are.
        validity: seconds for which a key is used without asking the store again.
        clock: where creation times come from.
    """

    def __init__(
        self,
        master: KeyRing,
        wrapper: KeyWrapper,
        store: DataKeyStore,
        *,
        validity: float = CACHE_SECONDS,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.master = master
        self.wrapper = wrapper
        self.store = store
        self.validity = validity
        self._clock = clock
        self._monotonic = monotonic
        self._by_lookup: _Fresh[str] = _Fresh()
        self._by_id: _Fresh[bytes] = _Fresh()

    def __repr__(self) -> str:
        return f"SubjectKeyRing({self.master!r})"

    def __reduce__(self) -> str:
        raise TypeError("a key ring is not pickled; give each process its keys")

    def seal(self, plaintext: bytes, *, aad: bytes) -> bytes:
        """Seal what belongs to nobody."""
        return self.master.seal(plaintext, aad=aad)

    def open(self, ciphertext: bytes, *, aad: bytes) -> bytes:
        """Open what this ring or one of its people's keys sealed.

        Raises:
            KeyDestroyed: the key store does not hold the key.
            IntegrityError: altered, truncated, another ``aad``, or a master key is missing.
            StoreUnavailable: the key store cannot be asked.
        """
        version = ciphertext[:1]
        if version not in (_VERSION, _SHARED):
            return self.master.open(ciphertext, aad=aad)
        if len(ciphertext) < (_SHORTEST if version == _VERSION else _SHORTEST + KEY_ID_BYTES):
            raise IntegrityError("The ciphertext is truncated.")
        key = self.key_of(ciphertext[1:_HEADER_BYTES])
        if version == _VERSION:
            return key.open(ciphertext, aad=aad)
        return key.open_with(self._person_of(ciphertext), ciphertext, aad=aad)

    def reseal(self, ciphertext: bytes, *, aad: bytes, new_aad: bytes, hour: SubjectKey | None = None) -> bytes:
        """The same content bound to ``new_aad``, with the key of the same person, and with an hour's if one is given.

        Raises what :meth:`open` does.
        """
        plaintext = self.open(ciphertext, aad=aad)
        person = self._person_of(ciphertext)
        if hour is not None:
            return hour.seal_with(person, plaintext, aad=new_aad)
        return self.master.seal(plaintext, aad=new_aad) if person is None else person.seal(plaintext, aad=new_aad)

    def _person_of(self, ciphertext: bytes) -> DataKey | None:
        """The key of the person whom a sealed value is about; None where it is about nobody."""
        version = ciphertext[:1]
        if version == _VERSION:
            return self.key_of(ciphertext[1:_HEADER_BYTES])
        id = ciphertext[_HEADER_BYTES:_SHARED_HEADER_BYTES]
        return self.key_of(id) if version == _SHARED and id != _NOBODY else None

    def pseudonym(self, kind: str, value: str) -> str:
        """The ring's own keyed name; for people it is the lookup of their key."""
        return self.master.pseudonym(kind, value)

    def key_of(self, key_id: bytes) -> DataKey:
        """The key of that id; :class:`KeyDestroyed` when the store does not hold it."""
        key = self._by_id.get(key_id, self._monotonic() - self.validity)
        if key is None:
            row = self.store.by_id(key_id)
            if row is None:
                raise KeyDestroyed(
                    f"The key {key_id.hex()} is not in the key store: the person was erased, the time of what was to be shredded "
                    "is over, or AIGUARD_KEY_STORE_URL names another store."
                )
            key = self._keep(row, self._monotonic())
        return key

    def cached_keys(self, lookups: Collection[str]) -> Mapping[str, DataKey] | None:
        """The key of each, if all are at hand and fresh."""
        oldest = self._monotonic() - self.validity
        found: dict[str, DataKey] = {}
        for lookup in lookups:
            key = self._by_lookup.get(lookup, oldest)
            if key is None:
                return None
            found[lookup] = key
        return found

    def subject_keys(self, lookups: Collection[str]) -> Mapping[str, DataKey]:
        """The key of each, made where there was none but for whoever is bound to one that is gone; raises as :meth:`open` does."""
        oldest, asked = self._monotonic() - self.validity, self._monotonic()
        found = {lookup: key for lookup in lookups if (key := self._by_lookup.get(lookup, oldest)) is not None}
        missing = [lookup for lookup in dict.fromkeys(lookups) if lookup not in found]
        rows = dict(self.store.by_lookup(missing)) if missing else {}
        lasting = [
            lookup for lookup in missing if not getattr(lookup, "bound_to", "")
        ]  # who is bound gets no other key
        while new := [lookup for lookup in lasting if lookup not in rows]:  # again when somebody is erased meanwhile
            self.store.add([new_wrapped(lookup, self.wrapper, self._clock()) for lookup in new])
            rows.update(self.store.by_lookup(new))
        found.update((lookup, self._keep(rows[lookup], asked)) for lookup in missing if lookup in rows)
        return found

    def existing_keys(self, lookups: Collection[str]) -> Mapping[str, DataKey]:
        """The keys that there are, straight from the store; none is made."""
        rows = self.store.by_lookup(lookups)
        return {lookup: unwrapped(row, self.wrapper) for lookup, row in rows.items()}

    def forget(self) -> None:
        """Drop every key from this process's memory, as after an erasure."""
        self._by_lookup.clear()
        self._by_id.clear()

    def _keep(self, row: WrappedKey, asked: float) -> DataKey:
        key = self._by_lookup.same(row) or unwrapped(row, self.wrapper)
        self._by_lookup.put(row.lookup, row, key, asked)
        self._by_id.put(row.key_id, row, key, asked)
        return key


K = TypeVar("K")


class _Fresh(Generic[K]):
    """Keys with the time at which the store was asked for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[K, tuple[float, DataKey, WrappedKey]] = OrderedDict()
        _caches.add(self)

    def get(self, name: K, oldest: float) -> DataKey | None:
        entry = self._entries.get(name)
        return entry[1] if entry is not None and entry[0] >= oldest else None

    def same(self, row: WrappedKey) -> DataKey | None:
        """The key of a row that was unwrapped before, however long ago: the store has just said that it is still there."""
        entry = cast("OrderedDict[Any, tuple[float, DataKey, WrappedKey]]", self._entries).get(row.lookup)
        return entry[1] if entry is not None and entry[2] == row else None

    def put(self, name: K, row: WrappedKey, key: DataKey, asked: float) -> None:
        with self._lock:
            self._entries[name] = (asked, key, row)
            self._entries.move_to_end(name)
            if len(self._entries) > CACHE_SIZE:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def start_over(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()
        self._entries = OrderedDict()


_caches: weakref.WeakSet[_Fresh[Any]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for cache in list(_caches):
        cache.start_over()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
