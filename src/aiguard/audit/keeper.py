"""Keeping the log signed: a thread that signs it whenever it has grown, and hands each checkpoint to the anchors.

An anchor keeps checkpoints where whoever owns the database cannot reach them: a directory on another mount, or any
program (a ticket system, another cloud's object store, a transparency log's witness). What is anchored convicts a log that
was rewritten or put back from an old copy, even by somebody who holds the signing key.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from aiguard.audit.changes import signing_keys_changed
from aiguard.audit.checkpoint import read
from aiguard.audit.note import MAX_NOTE_BYTES, Signer, Verifier, make_signer, read_signer, read_verifier
from aiguard.audit.signing import Head, sign_head
from aiguard.audit.worker import Worker
from aiguard.errors import AIGuardError, IntegrityError, SettingsError
from aiguard.settings import Settings
from aiguard.sources import check_mode
from aiguard.types import Clock, KeyRing, utc_now

logger = logging.getLogger("aiguard")

COMMAND_TIMEOUT = 30.0
"""Seconds that an anchor's program may take."""

DEVELOPMENT_ORIGIN = "localhost/aiguard"
"""The name of a log whose key was made on the spot."""

Anchor = Callable[[Head], None]


class AnchorFailed(AIGuardError):
    """An anchor did not take a checkpoint. It is offered again with the next."""


class AnchorContradicts(IntegrityError):
    """An anchor holds another checkpoint over as many events: the log was put back from an old copy, or rewritten, and grew again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DirectoryAnchor:
    """Every checkpoint as a file of its own, named by its size and never written again."""

    directory: Path

    def __call__(self, head: Head) -> None:
        """Write one checkpoint, whole or not at all; a checkpoint that is there already must commit to the same events."""
        path = self._path(head.size)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(head.note)
                    file.flush()
                    os.fsync(file.fileno())
                try:
                    os.link(draft, path)
                except FileExistsError:  # another process was first, or another log
                    self._compare(path, head)
            finally:
                draft.unlink()
        except OSError as error:
            raise AnchorFailed(f"the anchor directory cannot be written ({error.strerror})") from None

    def newest(self) -> Head | None:
        """The checkpoint over most events that it holds, not yet believed; None where there is none.

        Raises:
            AnchorFailed: the directory cannot be read.
        """
        try:
            sizes = [int(path.stem) for path in self.directory.glob("*.note") if path.stem.isdecimal()]
            if not sizes:
                return None
            with self._path(max(sizes)).open("rb") as file:
                return Head(size=max(sizes), note=file.read(MAX_NOTE_BYTES + 1).decode("utf-8", "replace"))
        except OSError as error:
            raise AnchorFailed(f"the anchor directory cannot be read ({error.strerror})") from None

    def _path(self, size: int) -> Path:
        return self.directory / f"{size:012d}.note"

    def _compare(self, path: Path, head: Head) -> None:
        with path.open("rb") as file:
            kept, _ = read(file.read(MAX_NOTE_BYTES + 1))
        if kept != read(head.note)[0]:
            raise AnchorContradicts(
                f"The anchor directory holds another checkpoint over {head.size} events: the log was put back from an old copy, or "
                "rewritten, and grew again. Run `aiguard audit verify --from` with the directory."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandAnchor:
    """A program that is given the note on standard input; no shell is involved. Exit code 0 means that it has it."""

    arguments: tuple[str, ...]

    def __call__(self, head: Head) -> None:
        """Run the program once."""
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own program
                self.arguments, input=head.note.encode(), capture_output=True, timeout=COMMAND_TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired:
            raise AnchorFailed(f"the anchor command took longer than {COMMAND_TIMEOUT:g} s") from None
        except OSError as error:
            raise AnchorFailed(f"the anchor command cannot be run ({error.strerror})") from None
        if done.returncode:
            raise AnchorFailed(f"the anchor command ended with exit code {done.returncode}")


class Keeper(Worker):
    """Signs the log every ``interval`` seconds while it grows, in a thread of its own; a fork's child has its own too.

    Args:
        engine: the evidence database.
        signers: whose signatures a checkpoint bears; the first names the log.
        trusted: further keys that may have signed earlier checkpoints.
        anchors: where each checkpoint goes besides.
        interval: seconds.
        clock: where time comes from.
        keyring: seals the event that tells of other signing keys than before; None records none.
    """

    name = "aiguard-checkpoints"

    def __init__(
        self,
        engine: Engine,
        signers: Sequence[Signer],
        *,
        trusted: Sequence[Verifier] = (),
        anchors: Sequence[Anchor] = (),
        interval: float = 10.0,
        clock: Clock = utc_now,
        keyring: KeyRing | None = None,
    ) -> None:
        super().__init__(interval)
        self._engine = engine
        self._signers = tuple(signers)
        self._trusted = tuple(trusted)
        self._anchors = tuple(anchors)
        self._clock = clock
        self._keyring = keyring
        self._looked = False
        self._seen: Head | None = None
        self._anchored = [-1] * len(self._anchors)

    def sign(self) -> Head | None:
        """Sign the log now if it has grown, and hand the checkpoint to every anchor that lacks it.

        Raises:
            IntegrityError: the log is not what was signed before. Nothing was signed.
            StoreError: the database could not be used.
            AnchorFailed: it is signed, but an anchor did not take it.
            AnchorContradicts: it is signed, but an anchor holds another log's checkpoint of that size.
        """
        if self._keyring is not None:
            now, trusted = self._clock(), self._trusted
            signing_keys_changed(self._engine, self._keyring, self._signers, now=now, trusted=trusted)
            self._keyring = None  # once for each process
        look, anchored = self._look_back()
        head = sign_head(
            self._engine, self._signers, now=self._clock(), trusted=self._trusted, anchored=anchored, seen=self._seen
        )
        self._looked, self._seen = look, head
        if head is None:
            return None
        failure: AnchorFailed | None = None
        for number, anchor in enumerate(self._anchors):
            if self._anchored[number] >= head.size:
                continue
            try:
                anchor(head)
                self._anchored[number] = head.size
            except AnchorFailed as error:
                failure = error
        if failure is not None:
            raise failure
        return head

    def _look_back(self) -> tuple[bool, Head | None]:
        """The newest checkpoint in the anchors' directories, until a process has signed a log that holds it; and whether all could be read."""
        if self._looked:
            return True, None
        heads: list[Head] = []
        whole = True
        for anchor in self._anchors:
            try:
                if isinstance(anchor, DirectoryAnchor) and (head := anchor.newest()) is not None:
                    heads.append(head)
            except AnchorFailed:
                whole = False
        return whole, max(heads, key=lambda head: head.size, default=None)

    def turn(self) -> None:
        """Sign, and log what stands against it. A log that cannot be signed now is signed by whoever comes next."""
        try:
            self.sign()
        except IntegrityError as error:
            logger.critical("the audit log is not what was signed before: %s", error)
        except Exception as error:  # noqa: BLE001 - the next turn tries again; `aiguard audit verify` reports a stale log
            logger.error(  # noqa: TRY400 - the message may quote a row
                "the audit log was not signed in this turn: %s", type(error).__name__
            )


def signers_of(settings: Settings) -> tuple[Signer, ...]:
    """The signers that settings name, the log's own first; none where somebody else signs.

    Raises:
        SettingsError: a key cannot be read, or two of them name different logs.
    """
    lines = settings.audit_signing_keys
    if not lines and settings.audit_key_file is not None:
        lines = _key_file(
            settings.audit_key_file, make=settings.audit_key_is_made, private=not settings.environment.relaxed
        )
    signers = tuple(read_signer(line) for line in lines)
    if len({signer.name for signer in signers}) > 1:
        raise SettingsError("The audit signing keys name different logs; a log keeps its name when its key changes.")
    return signers


def verifiers_of(settings: Settings) -> tuple[Verifier, ...]:
    """Every public key whose checkpoints are believed: the signers' own and those of ``AIGUARD_AUDIT_VERIFIERS``."""
    own = [signer.verifier for signer in signers_of(settings)]
    try:
        return tuple(dict.fromkeys([*own, *(read_verifier(line) for line in settings.audit_verifiers)]))
    except IntegrityError as error:
        raise SettingsError(f"AIGUARD_AUDIT_VERIFIERS: {error}") from None


def anchors_of(settings: Settings) -> tuple[Anchor, ...]:
    """The anchors that settings name; :class:`~aiguard.errors.SettingsError` when one cannot work."""
    anchors: list[Anchor] = []
    if settings.audit_anchor_directory is not None:
        if not settings.audit_anchor_directory.is_dir():
            raise SettingsError("AIGUARD_AUDIT_ANCHOR_DIRECTORY is not a directory; make it, or mount it, first")
        anchors.append(DirectoryAnchor(directory=settings.audit_anchor_directory))
    if settings.audit_anchor_command is not None:
        try:
            arguments = tuple(shlex.split(settings.audit_anchor_command))
        except ValueError:
            arguments = ()
        if not arguments:
            raise SettingsError("AIGUARD_AUDIT_ANCHOR_COMMAND is not a command line; are its quotes closed?")
        anchors.append(CommandAnchor(arguments=arguments))
    return tuple(anchors)


def keeper_of(
    settings: Settings, engine: Engine, *, clock: Clock = utc_now, keyring: KeyRing | None = None
) -> Keeper | None:
    """The keeper that settings ask for, not started; None where no signing key is set."""
    signers = signers_of(settings)
    if not signers:
        return None
    return Keeper(
        engine,
        signers,
        trusted=verifiers_of(settings),
        anchors=anchors_of(settings),
        interval=settings.audit_checkpoint_seconds,
        clock=clock,
        keyring=keyring,
    )


def _key_file(path: Path, *, make: bool, private: bool) -> tuple[str, ...]:
    try:
        if make and not path.exists():
            _make_key_file(path)
        with path.open("rb") as file:
            check_mode("AIGUARD_AUDIT_SIGNING_KEY_FILE", path, file, private=private)
            content = file.read(65_536)
    except OSError as error:
        raise SettingsError(f"The signing key file {path} cannot be used ({error.strerror}).") from None
    lines = [line.strip() for line in content.decode("utf-8", "replace").splitlines()]
    found = tuple(line for line in lines if line and not line.startswith("#"))
    if not found:
        raise SettingsError(f"The signing key file {path} holds no key; make one with `aiguard audit keygen`.")
    return found


def _make_key_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{make_signer(DEVELOPMENT_ORIGIN).encode()}\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first; its key counts
            os.link(draft, path)
    finally:
        draft.unlink()
