"""Keys: one list of master keys, oldest first, newest last.

From each master key two independent subkeys are derived with HKDF-SHA256 (RFC 5869): one seals, one names.

*Sealing* uses the newest key; every key in the list opens. The cipher is XAES-256-GCM
(https://c2sp.org/XAES-256-GCM): AES-256-GCM under derived keys, with a 192-bit random nonce, so that any number of
records may be sealed under one master key (plain AES-GCM with random nonces allows 2^32).

*Pseudonyms* use the **oldest** key of the list, so that adding a key for rotation changes nobody's name. Taking the
oldest key off the list gives everybody a new name and leaves no way to compute the old ones.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import glob
import hmac
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import count
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from aiguard.errors import IntegrityError, SettingsError
from aiguard.ids import crockford_128

logger = logging.getLogger("aiguard")

KEY_BYTES = 32
REFRESH_SECONDS = 1.0
"""How long a list of keys is taken for up to date, so that a damaged row cannot make a process read it over and over."""

_VERSION = 1
_KEY_ID_BYTES = 8
_NONCE_BYTES = 24
_TAG_BYTES = 16
_DERIVED_KEYS = 64
_MESSAGES_PER_DERIVED_KEY = 1 << 20
_HEADER_BYTES = 1 + _KEY_ID_BYTES
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}\Z")


class MasterKeyRing:
    """Implements :class:`aiguard.types.KeyRing` with AES-256 and HMAC-SHA256.

    A sealed value is ``version (1 byte) ‖ key id (8) ‖ nonce (24) ‖ ciphertext ‖ tag (16)``; the first two are
    authenticated with the caller's ``aad``.

    Args:
        keys: master keys of exactly 32 random bytes, newest last.
        refresh: gives the list anew, when something was sealed with a key that is not in it: another process may know a newer one.

    Raises:
        SettingsError: no key, a key of another length, or the same key twice.
    """

    def __init__(self, keys: Sequence[bytes], *, refresh: Callable[[], Sequence[bytes]] | None = None) -> None:
        self._refresh = refresh
        self._refreshed = 0.0
        self._take(keys)

    def _take(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise SettingsError(
                "No encryption key is configured; set AIGUARD_KEYS (32 random bytes in base64, newest last)."
            )
        if any(len(key) != KEY_BYTES for key in keys):
            raise SettingsError(f"An encryption key must be exactly {KEY_BYTES} random bytes.")
        if len(set(keys)) != len(keys):
            raise SettingsError("The same encryption key is listed twice; newest last, each once.")
        sealing = {_derive(key, b"key id")[:_KEY_ID_BYTES]: _XAES(_derive(key, b"seal")) for key in keys}
        naming = _derive(keys[0], b"pseudonym")
        if getattr(self, "_naming", naming) != naming:
            raise SettingsError("The oldest encryption key changed while this process runs; restart it.")
        self._sealing, self._newest, self._naming = sealing, next(reversed(sealing)), naming
        self._seals_with = bytes([_VERSION]) + self._newest, sealing[self._newest]

    def __repr__(self) -> str:
        return f"MasterKeyRing(key_ids={self.key_ids!r})"

    def __reduce__(self) -> str:
        raise TypeError("a key ring is not pickled; give each process its keys")

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Public names of the keys, newest last. They are derived one-way and say nothing about the keys."""
        return tuple(key_id.hex() for key_id in self._sealing)

    def seal(self, plaintext: bytes, *, aad: bytes) -> bytes:
        """Encrypt with the newest key; the result opens only with the same ``aad``."""
        header, cipher = self._seals_with
        return header + cipher.seal(plaintext, header + aad)

    def open(self, ciphertext: bytes, *, aad: bytes) -> bytes:
        """The plaintext, or :class:`IntegrityError`: unknown version or key, altered, truncated, or another ``aad``."""
        if len(ciphertext) < _HEADER_BYTES + _NONCE_BYTES + _TAG_BYTES:
            raise IntegrityError("The ciphertext is truncated.")
        if ciphertext[0] != _VERSION:
            raise IntegrityError(
                f"The ciphertext has version {ciphertext[0]}, which this version of aiguard cannot open."
            )
        header, rest = ciphertext[:_HEADER_BYTES], ciphertext[_HEADER_BYTES:]
        cipher = self._sealing.get(header[1:]) or self._found_anew(header[1:])
        if cipher is None:
            raise IntegrityError(
                f"The ciphertext was sealed with key {header[1:].hex()}, which is not configured; add that key to AIGUARD_KEYS."
            )
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], header + aad)
        except InvalidTag:
            raise IntegrityError("The ciphertext was altered, or belongs to another record.") from None

    def _found_anew(self, key_id: bytes) -> _XAES | None:
        """The key of that id, once the list was read again: at most once a second, whatever is asked for."""
        now = time.monotonic()
        if self._refresh is None or now - self._refreshed < REFRESH_SECONDS:
            return None
        self._refreshed = now
        try:
            self._take(self._refresh())
        except SettingsError as error:
            logger.error("the list of encryption keys could not be read again: %s", error)  # noqa: TRY400 - no trace: it would show keys
        return self._sealing.get(key_id)

    def key_id_of(self, ciphertext: bytes) -> str:
        """The id of the key that sealed it, to find what still has to be sealed anew after a rotation."""
        return ciphertext[1:_HEADER_BYTES].hex()

    @property
    def kek(self) -> str:
        """The public name of the key that wraps people's keys: the newest."""
        return self._newest.hex()

    def wrap(self, key: bytes, *, aad: bytes) -> bytes:
        """A person's key under the newest key."""
        return self.seal(key, aad=aad)

    def unwrap(self, wrapped: bytes, *, aad: bytes) -> bytes:
        """The person's key again, or :class:`IntegrityError`."""
        return self.open(wrapped, aad=aad)

    def pseudonym(self, kind: str, value: str) -> str:
        """26 Crockford base32 characters (128 bits of HMAC-SHA256), stable as long as the oldest key stays listed."""
        if not _KIND.match(kind):
            raise ValueError("the kind of a pseudonym is a short ASCII name such as 'actor'")
        message = kind.encode() + b"\x00" + value.encode("utf-8", "surrogatepass")
        return crockford_128(hmac.digest(self._naming, message, "sha256")[:16])


def _derive(master: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"aiguard/1/" + purpose).derive(master)


class _XAES:
    """XAES-256-GCM as specified by C2SP: AES-256-GCM with a 192-bit nonce, whose first half derives a key of its own.

    Deriving costs more than encrypting a kilobyte, so a process keeps the first half of its nonces for a while, and
    draws the second half anew for every message: 2**20 messages under one derived key leave a chance of 2**-57 that
    two of them share a nonce.
    """

    def __init__(self, key: bytes) -> None:
        self._block = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - the specification's key derivation, one block at a time
        mask = int.from_bytes(self._encrypt_blocks(bytes(16)), "big") << 1
        if mask >> 128:
            mask = (mask ^ 0x87) & ((1 << 128) - 1)
        self._mask = mask
        self._cipher = lru_cache(maxsize=_DERIVED_KEYS)(self._derive)
        self._begin()

    def _begin(self) -> None:
        prefix = os.urandom(12)
        self._current, self._used = (prefix, self._derive(prefix)), count()

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        """The ciphertext behind a nonce that was not used before."""
        if next(self._used) >= _MESSAGES_PER_DERIVED_KEY:
            self._begin()
        prefix, cipher = self._current
        rest = os.urandom(12)
        return prefix + rest + cipher.encrypt(rest, plaintext, aad)

    def _encrypt_blocks(self, blocks: bytes) -> bytes:
        encryptor = self._block.encryptor()
        return encryptor.update(blocks) + encryptor.finalize()

    def _derive(self, prefix: bytes) -> AESGCM:
        halves = (b"\x00\x01X\x00" + prefix, b"\x00\x02X\x00" + prefix)
        return AESGCM(
            self._encrypt_blocks(
                b"".join((int.from_bytes(half, "big") ^ self._mask).to_bytes(16, "big") for half in halves)
            )
        )

    def encrypt(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        return self._cipher(nonce[:12]).encrypt(nonce[12:], plaintext, aad)

    def decrypt(self, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
        return self._cipher(nonce[:12]).decrypt(nonce[12:], ciphertext, aad)


def parse_key(text: str) -> bytes:
    """32 bytes from base64 (either alphabet, padding optional) or 64 hex digits; :class:`SettingsError` otherwise."""
    text = text.strip()
    key = b""
    try:
        if re.fullmatch(r"[0-9a-fA-F]{64}", text):
            key = bytes.fromhex(text)
        else:
            key = base64.b64decode(text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        pass
    if len(key) != KEY_BYTES:
        raise SettingsError(
            f"An encryption key must be {KEY_BYTES} random bytes in base64 or hex; make one with "
            "`python -c 'import secrets; print(secrets.token_urlsafe(32))'`."
        )
    return key


def load_or_create_key_file(path: str | os.PathLike[str]) -> tuple[bytes, ...]:
    """The keys in ``path``, one a line, newest last; a new file with one new key when there is none.

    Meant for development: production gets its keys from the environment. Processes that start together agree on one
    key: the file is written whole under another name and then linked into place, which only one of them can do.

    Raises:
        SettingsError: the file may be read by others, belongs to somebody else, cannot be read, or holds no key.
    """
    path = Path(path)
    try:
        if not path.exists():
            _create_key_file(path)
        return _read_key_file(path)
    except OSError as error:
        raise SettingsError(
            f"The key file {path} cannot be used ({error.strerror}); set AIGUARD_KEYS instead."
        ) from None


def append_key(path: Path) -> str:
    """Add a new key to a file of keys, one a line; its public id.

    The file is written whole under another name, with the mode of the old one, and then put in its place. Of two who do so at once none
    takes the other's key out again, and the key outlives a power cut before anything can be sealed with it.

    Raises:
        SettingsError: the file cannot be read as keys, or not be replaced.
    """
    try:
        with _alone(path.parent):
            return _append_key(path)
    except OSError as error:
        raise SettingsError(f"The key file {path} cannot be replaced ({error.strerror}).") from None


def _append_key(path: Path) -> str:
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.new"):  # by whoever was killed in the middle
        left.unlink(missing_ok=True)
    content, status = path.read_bytes(), path.stat()
    keys = [parse_key(line) for line in content.decode("ascii", "replace").split() if not line.startswith("#")]
    key = os.urandom(KEY_BYTES)
    ring = MasterKeyRing([*keys, key])
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.new")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content + (b"" if content.endswith(b"\n") else b"\n"))
            file.write(base64.urlsafe_b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if os.name == "posix":
            os.chown(draft, status.st_uid, status.st_gid)
        draft.chmod(status.st_mode & 0o777)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return ring.kek


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let nobody else change files of keys in a folder meanwhile, and have the folder on disk at the end.

    Where the system has no locks that end with their process, nothing.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # pragma: no cover - not on POSIX
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create_key_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.urlsafe_b64encode(os.urandom(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with _alone(path.parent), contextlib.suppress(FileExistsError):  # another process was first; its key counts
            os.link(draft, path)
    finally:
        draft.unlink()


def _read_key_file(path: Path) -> tuple[bytes, ...]:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if os.name == "posix":
            if status.st_mode & 0o077:
                raise SettingsError(
                    f"The key file {path} may be read by others; run `chmod 600 {path}` and consider its keys known."
                )
            if status.st_uid not in (0, os.geteuid()):
                raise SettingsError(
                    f"The key file {path} belongs to another user; give it to the user that runs the application."
                )
        content = file.read(65_536)
    try:
        lines = content.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise SettingsError(f"The key file {path} is not a list of keys; one base64 key a line, newest last.") from None
    keys = tuple(parse_key(line) for line in lines if line.strip() and not line.startswith("#"))
    if not keys:
        raise SettingsError(f"The key file {path} holds no key; delete it to have a new one made.")
    return keys
