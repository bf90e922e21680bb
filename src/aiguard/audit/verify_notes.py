"""The verifier's own reader of signed notes: checkpoints, and statements that events have expired.

It takes one expression for the whole note and shares nothing with what writes notes (:mod:`aiguard.audit.note`); a test holds the
two readers to the same answers. Formats: C2SP ``signed-note`` and ``tlog-checkpoint``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LONGEST: Final = 16_384
"""Bytes of a note that is read."""

EXPIRY: Final = "aiguard-log-expiry/v1"
"""First line of a statement that events have expired."""

_WHOLE: Final = re.compile(
    rb"(?P<text>(?:[^\x00-\x1f\x7f]+\n)+)\n(?P<lines>(?:\xe2\x80\x94 [^\x00-\x20\x7f+]+ [A-Za-z0-9+/]+={0,2}\n){1,100})\Z"
)
_COUNT: Final = re.compile(r"(?:0|[1-9][0-9]{0,17})\Z")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00\Z")


class Key(Protocol):
    """A public key that may have signed: a name, and 32 bytes of Ed25519."""

    @property
    def name(self) -> str:
        """The name of the log."""
        ...

    @property
    def public(self) -> bytes:
        """The key."""
        ...


class Refused(Exception):
    """Why a note is not believed."""


class Strange(Refused):
    """It bears no signature of a key that is known here: ``signed_by`` says whose, by the ids of their keys."""

    def __init__(self, signed_by: Sequence[str]) -> None:
        self.signed_by = tuple(signed_by[:4])
        super().__init__(f"none of the known keys signed it; it was signed by key {', '.join(self.signed_by)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """What a checkpoint commits to."""

    size: int
    root: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Expired:
    """What a statement says: the events before ``cut`` have expired; they are ``frontier``, left to right, and hash to ``root``."""

    cut: int
    root: bytes
    frontier: tuple[bytes, ...]


def head_of(note: bytes | str, keys: Sequence[Key], origin: str) -> Head:
    """The head that a checkpoint of the log ``origin`` commits to, or :class:`Refused`."""
    lines = _believed(note, keys, origin)
    if len(lines) < 3:
        raise Refused("it has no origin, size and root")
    return Head(size=_count(lines[1]), root=_hash(lines[2]))


def expired_of(note: bytes | str, keys: Sequence[Key], origin: str) -> Expired:
    """What a statement of the log ``origin`` says, or :class:`Refused`."""
    lines = _believed(note, keys, origin)
    if len(lines) < 5 or lines[0] != EXPIRY or not _TIME.match(lines[4]):
        raise Refused("it does not say that events have expired")
    return Expired(cut=_count(lines[2]), root=_hash(lines[3]), frontier=tuple(_hash(line) for line in lines[5:]))


def _believed(note: bytes | str, keys: Sequence[Key], origin: str) -> list[str]:
    """The lines of a note's text, if one of the keys signed it and none that claims to have is contradicted."""
    data = note.encode("utf-8", "surrogatepass") if isinstance(note, str) else bytes(note)
    found = _WHOLE.match(data) if len(data) <= LONGEST else None
    if found is None:
        raise Refused("it is not a signed note; is it cut off?")
    text = found["text"]
    try:
        lines = text.decode("utf-8").split("\n")[:-1]
        names = found["lines"].decode("utf-8").split("\n")[:-1]
    except UnicodeDecodeError:
        raise Refused("it is not UTF-8") from None
    if lines[: 2 if lines[0] == EXPIRY else 1][-1] != origin:
        raise Refused("it is of another log")
    known = {(key.name, _id(key)): key for key in keys if key.name == origin}
    signed, others = False, []
    for line in names:
        _, name, encoded = line.split(" ", 2)
        if name.split() != [name]:
            raise Refused("a signature's name holds white space")
        value = _base64(encoded)
        if len(value) < 5:
            raise Refused("a signature is too short")
        key = known.get((name, value[:4]))
        if key is None:
            others.append(value[:4].hex())
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(value[4:], text)
        except (InvalidSignature, ValueError):
            raise Refused(f"it bears a signature of {name} that is not that key's") from None
        signed = True
    if not signed:
        raise Strange(others)
    return lines


def id_of(key: Key) -> str:
    """The id of a key, as it stands in its line and before its signatures."""
    return _id(key).hex()


def _id(key: Key) -> bytes:
    return hashlib.sha256(key.name.encode() + b"\n\x01" + key.public).digest()[:4]


def _count(text: str) -> int:
    if not _COUNT.match(text):
        raise Refused("its size is not a number")
    return int(text)


def _hash(text: str) -> bytes:
    value = _base64(text)
    if len(value) != 32:
        raise Refused("a hash in it is not 32 bytes")
    return value


def _base64(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("something in it is not base64") from None
    if base64.b64encode(value).decode() != text:
        raise Refused("something in it is not written as the format writes it")
    return value
