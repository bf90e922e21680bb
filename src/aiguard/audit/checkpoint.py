"""Checkpoints: the size and the root hash of the log, signed, in the C2SP ``tlog-checkpoint`` format.

A checkpoint commits to every event before it. One that was kept elsewhere shows later whether the log still holds those
events: https://github.com/C2SP/C2SP/blob/main/tlog-checkpoint.md
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from aiguard.audit.merkle import HASH_BYTES
from aiguard.audit.note import Note, NoteRefused, Signer, Verifier, parse, sign

_SIZE = re.compile(r"(0|[1-9][0-9]{0,17})\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """The log ``origin`` held ``size`` events with the Merkle tree hash ``root``. ``extensions`` are further lines."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """The signed text: origin, size and root, a line each, then the extensions."""
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def issue(checkpoint: Checkpoint, signers: Sequence[Signer]) -> str:
    """The signed note of a checkpoint."""
    return str(sign(checkpoint.text(), signers))


def read(data: bytes | str) -> tuple[Checkpoint, Note]:
    """A checkpoint and its note, not yet believed; :class:`~aiguard.audit.note.NoteRefused` when it is not one.

    What is read is written again and compared, so that one checkpoint has one spelling.
    """
    note = parse(data)
    lines = note.text.split("\n")[:-1]
    if len(lines) < 3 or not all(lines):
        raise NoteRefused("The note is not a checkpoint: it has no origin, size and root, or an empty line.")
    origin, size, root, *extensions = lines
    if not _SIZE.match(size):
        raise NoteRefused("The checkpoint's size is not a number.")
    try:
        value = base64.b64decode(root, validate=True)
    except ValueError:
        raise NoteRefused("The checkpoint's root is not base64.") from None
    if len(value) != HASH_BYTES:
        raise NoteRefused(f"The checkpoint's root is not {HASH_BYTES} bytes.")
    checkpoint = Checkpoint(origin=origin, size=int(size), root=value, extensions=tuple(extensions))
    if checkpoint.text() != note.text:
        raise NoteRefused("The checkpoint is not written as the format writes it.")
    return checkpoint, note


def trust(data: bytes | str, verifiers: Sequence[Verifier], *, origin: str | None = None) -> Checkpoint:
    """A checkpoint that one of ``verifiers`` signed, of the log ``origin`` if that is given.

    Raises:
        NoteRefused: it cannot be read, is of another log, or none of the verifiers signed it.
    """
    checkpoint, note = read(data)
    if origin is not None and checkpoint.origin != origin:
        raise NoteRefused("The checkpoint is of another log.")
    signed = note.signed_by([verifier for verifier in verifiers if verifier.name == checkpoint.origin])
    if not signed:
        raise NoteRefused(
            "None of the known keys signed the checkpoint; if the key was changed, name the public key of the old one in AIGUARD_AUDIT_VERIFIERS."
        )
    return checkpoint
