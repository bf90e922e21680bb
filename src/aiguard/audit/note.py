"""Signed notes: a text and the Ed25519 signatures under it, in the C2SP ``signed-note`` format.

The format is the one of Go's checksum database and of public transparency logs, so a note can be checked with tools
that were not written here: https://github.com/C2SP/C2SP/blob/main/signed-note.md

A *signer* is one line, ``PRIVATE+KEY+<name>+<id>+<base64(0x01 ‖ seed)>``, and stays with whoever signs; a *verifier* is one
line, ``<name>+<id>+<base64(0x01 ‖ public key)>``, and is meant to be handed out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aiguard.errors import IntegrityError, SettingsError

MAX_NOTE_BYTES = 16_384
"""A note that is longer is not read."""

MAX_SIGNATURES = 100
ED25519 = b"\x01"
ID_BYTES = 4
SIGNATURE_BYTES = 64

_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,200}\Z")
_PRIVATE = "PRIVATE+KEY+"


class NoteRefused(IntegrityError):
    """A note, or a key for notes, that is not what the format allows. The message never quotes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verifier:
    """Whose signature to believe: a name and a public key of 32 bytes."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The first four bytes of SHA-256 over the name, a newline, 0x01 and the public key."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    def verify(self, text: str, signature: bytes) -> bool:
        """Whether ``signature`` is this key's for ``text``."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Signer:
    """Who signs: a name and a seed of 32 bytes, which never shows in a ``repr``."""

    name: str
    seed: bytes = field(repr=False)

    @property
    def verifier(self) -> Verifier:
        """What to hand out."""
        return Verifier(name=self.name, public=self._key().public_key().public_bytes_raw())

    def sign(self, text: str) -> bytes:
        """The signature of ``text``, 64 bytes."""
        return self._key().sign(text.encode())

    def encode(self) -> str:
        """The secret line, for a file or a secret store."""
        return f"{_PRIVATE}{self.name}+{self.verifier.id.hex()}+{base64.b64encode(ED25519 + self.seed).decode()}"

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """One signature line of a note."""

    name: str
    id: bytes
    value: bytes

    def __str__(self) -> str:
        return f"\u2014 {self.name} {base64.b64encode(self.id + self.value).decode()}\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A text that ends in a newline, and its signature lines."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(str(signature) for signature in self.signatures)

    def signed_by(self, verifiers: Sequence[Verifier]) -> tuple[Verifier, ...]:
        """Those of ``verifiers`` whose signature the note bears.

        Raises:
            NoteRefused: a line claims to be of one of them and is not.
        """
        known = {(verifier.name, verifier.id): verifier for verifier in verifiers}
        found: list[Verifier] = []
        for signature in self.signatures:
            verifier = known.get((signature.name, signature.id))
            if verifier is None:
                continue
            if not verifier.verify(self.text, signature.value):
                raise NoteRefused(f"The note bears a signature of {verifier.name} that is not that key's.")
            if verifier not in found:
                found.append(verifier)
        return tuple(found)


def make_signer(name: str, seed: bytes | None = None) -> Signer:
    """A new signer; ``name`` is a schema-less URL such as ``example.com/ai-log``.

    Raises:
        SettingsError: the name is empty, longer than 200 characters, or holds white space or ``+``.
    """
    if not _NAME.match(name):
        raise SettingsError("A log's name has 1 to 200 characters, without white space and without '+'.")
    return Signer(name=name, seed=Ed25519PrivateKey.generate().private_bytes_raw() if seed is None else seed)


def read_signer(line: str) -> Signer:
    """A signer from its secret line; :class:`~aiguard.errors.SettingsError` says what is wrong with it, not what it holds."""
    text = line.strip()
    if not text.startswith(_PRIVATE):
        raise SettingsError(
            "The audit signing key does not begin with PRIVATE+KEY+; make one with `aiguard audit keygen`."
        )
    try:
        name, id, seed = _key_parts(text.removeprefix(_PRIVATE))
        signer = Signer(name=name, seed=seed)
    except (ValueError, NoteRefused):
        raise SettingsError("The audit signing key cannot be read; make one with `aiguard audit keygen`.") from None
    if signer.verifier.id != id:
        raise SettingsError("The audit signing key's id does not belong to it: the line was damaged or put together.")
    return signer


def read_verifier(line: str) -> Verifier:
    """A verifier from its line; :class:`NoteRefused` when it is not one."""
    try:
        name, id, public = _key_parts(line.strip())
    except ValueError:
        raise NoteRefused("The verifier key cannot be read; it is a line <name>+<id>+<base64 key>.") from None
    verifier = Verifier(name=name, public=public)
    if verifier.id != id:
        raise NoteRefused("The verifier key's id does not belong to it: the line was damaged or put together.")
    return verifier


def _key_parts(text: str) -> tuple[str, bytes, bytes]:
    name, id, key = text.split("+", 2)
    data = _strict_base64(key)
    if not _NAME.match(name) or not re.fullmatch(r"[0-9a-f]{8}", id) or data[:1] != ED25519 or len(data) != 33:
        raise ValueError("not a key of this format")
    return name, bytes.fromhex(id), data[1:]


def sign(text: str, signers: Sequence[Signer]) -> Note:
    """``text`` as a note of all ``signers``. The text must end in a newline and hold no other control character."""
    if not text.endswith("\n") or any((ord(c) < 32 and c != "\n") or c == "\x7f" for c in text):
        raise NoteRefused("The text of a note ends in a newline and holds no other control characters.")
    return Note(
        text=text,
        signatures=tuple(
            Signature(name=signer.name, id=signer.verifier.id, value=signer.sign(text)) for signer in signers
        ),
    )


def parse(data: bytes | str) -> Note:
    """Read a note strictly: what is read, written again, is byte for byte what was given.

    Raises:
        NoteRefused: it is too long, not UTF-8, or not in the format.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
    if len(raw) > MAX_NOTE_BYTES:
        raise NoteRefused(f"The note is longer than {MAX_NOTE_BYTES} bytes.")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteRefused("The note is not UTF-8.") from None
    if any((ord(c) < 32 and c != "\n") or c == "\x7f" for c in whole):
        raise NoteRefused("The note holds control characters.")
    at = whole.rfind("\n\n")
    if at < 0:
        raise NoteRefused("The note has no empty line before its signatures; is it cut off?")
    text, lines = whole[: at + 1], whole[at + 2 :]
    if not lines.endswith("\n"):
        raise NoteRefused("The note's last line does not end; is it cut off?")
    signatures = tuple(_signature(line) for line in lines.split("\n")[:-1])
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise NoteRefused(f"A note bears 1 to {MAX_SIGNATURES} signatures.")
    note = Note(text=text, signatures=signatures)
    if str(note).encode() != raw:
        raise NoteRefused("The note is not written as the format writes it.")
    return note


def _signature(line: str) -> Signature:
    mark, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if mark != "\u2014" or not _NAME.match(name):
        raise NoteRefused("A signature line of the note is not one.")
    try:
        value = _strict_base64(encoded)
    except ValueError:
        raise NoteRefused("A signature of the note is not base64.") from None
    if len(value) <= ID_BYTES:
        raise NoteRefused("A signature of the note is too short.")
    return Signature(name=name, id=value[:ID_BYTES], value=value[ID_BYTES:])


def _strict_base64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise ValueError("not canonical base64")
    return data
