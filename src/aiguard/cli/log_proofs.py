"""``aiguard audit prove`` and ``verify-proof``: proofs for somebody who has no access to the log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from aiguard.audit.keeper import verifiers_of
from aiguard.audit.note import Verifier, read_verifier
from aiguard.audit.prove import prove_consistency, prove_event, verify_proof
from aiguard.audit.verify import Status
from aiguard.cli.context import current_settings
from aiguard.cli.database import log
from aiguard.cli.output import contents, fail, out
from aiguard.errors import AIGuardError, IntegrityError, SettingsError

EXIT: Final = {Status.OK: 0, Status.TAMPERED: 3, Status.INCOMPLETE: 4, Status.STALE: 5}
"""What commands about the log end with. 1 is any other error, 2 a wrong command line."""

MAX_PROOF_BYTES: Final = 1 << 20

KEY_OPTION: Final = click.option(
    "--key", "keys", multiple=True, metavar="LINE|FILE", help="A public key, or a file of them; may be repeated."
)


@click.command()
@click.argument("event", required=False)
@click.option(
    "--consistency", "earlier", metavar="CHECKPOINT",
    help="Instead of an event: that the log begins with what this checkpoint commits to. A file, or the size of one in the log.",
)  # fmt: skip
@click.option(
    "--to", "later", type=click.IntRange(0), metavar="SIZE", help="… up to this checkpoint; by default the newest."
)
def prove(event: str | None, earlier: str | None, later: int | None) -> None:
    """Print a proof that the log holds EVENT (its id, or its position), for somebody without access to the database.

    The proof holds the event's leaf (types, pseudonyms, no payload) and the first checkpoint that covers it. With --consistency it shows
    that one checkpoint's log is the beginning of another's. Exit 3 when the log is not what the checkpoint commits to.
    """
    if (event is None) == (earlier is None) or (later is not None and earlier is None):
        raise click.UsageError("give an EVENT, or --consistency CHECKPOINT with or without --to SIZE")
    with log() as engine:
        try:
            made = (
                prove_event(engine, event) if event is not None else prove_consistency(engine, _earlier(earlier), later)
            )
        except IntegrityError as error:
            fail(str(error), code=EXIT[Status.TAMPERED])
    click.echo(json.dumps(made, indent=2))


def _earlier(given: str | None) -> int | bytes:
    """The size of a checkpoint in the log, or the checkpoint that was kept in a file."""
    text = given or ""
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    try:
        with Path(text).open("rb") as file:
            return file.read(MAX_PROOF_BYTES)
    except OSError as error:
        raise click.UsageError(f"--consistency: {text} cannot be read ({error.strerror}), and is no size") from None


@click.command(name="verify-proof")
@click.argument("file", type=click.File("rb"))
@KEY_OPTION
def check_proof(file: Any, keys: tuple[str, ...]) -> None:
    """Check a proof with nothing but a public key: no database, no master key. Exit 0 when it holds, 3 when not, 4 without a key."""
    verifiers, _ = trusted(keys)
    if not verifiers:
        fail("a proof needs a public key: give --key, or set AIGUARD_AUDIT_VERIFIERS", code=EXIT[Status.INCOMPLETE])
    try:
        shown = verify_proof(file.read(MAX_PROOF_BYTES), verifiers)
    except AIGuardError as error:
        fail(str(error), code=EXIT[Status.TAMPERED])
    out(json.dumps(shown, ensure_ascii=True, indent=2))


def trusted(keys: tuple[str, ...]) -> tuple[tuple[Verifier, ...], str]:
    """The keys to believe, and the name of the log they are for."""
    if keys:
        lines: list[str] = []
        for key in keys:
            lines += _lines_of(Path(key)) if "+" not in key and _is_file(key) else [key]
        verifiers = tuple(read_verifier(line) for line in lines)
    else:
        verifiers = verifiers_of(current_settings())
    names = {verifier.name for verifier in verifiers}
    if len(names) > 1:
        raise SettingsError("The public keys name different logs; verify one log at a time.")
    return verifiers, next(iter(names), "")


def _is_file(key: str) -> bool:
    try:
        return Path(key).is_file()
    except OSError:  # a name that is longer than any file's
        return False


def _lines_of(path: Path) -> list[str]:
    try:
        return contents(path, "--key").decode().split()
    except UnicodeDecodeError:
        raise click.UsageError(f"--key: {path} holds no public keys, which are lines of text") from None
