"""``aiguard audit …``: read the log, sign it, verify it, and prove single events to somebody who has no access to it."""

from __future__ import annotations

import json
import math
import sys
import time
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from aiguard.audit import Event, read
from aiguard.audit.keeper import AnchorFailed, keeper_of
from aiguard.audit.note import make_signer
from aiguard.audit.readings import read_on_record
from aiguard.audit.signing import latest
from aiguard.audit.verify import Problem, Report, Status, encode_hash
from aiguard.audit.verify import verify as verify_log
from aiguard.cli.context import current_settings
from aiguard.cli.database import evidence, log
from aiguard.cli.log_expiry import expire
from aiguard.cli.log_proofs import EXIT, KEY_OPTION, check_proof, prove, trusted
from aiguard.cli.output import contents, err, fail, out
from aiguard.cli.people import account
from aiguard.errors import IntegrityError, StoreError
from aiguard.types import KeyRing, utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine


class _Seconds(click.FloatRange):
    """Seconds in a range; ``nan`` and ``inf`` are none."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Click's."""
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value} is no number of seconds", param, ctx)
        return seconds


@click.group()
def audit() -> None:
    """Read, sign, verify and prove the audit log."""


audit.add_command(expire)
audit.add_command(prove)
audit.add_command(check_proof)


MAX_WINDOW: Final = 366 * 86_400.0
"""Seconds. Who signs once a year does not sign."""

MAX_POSITION: Final = (1 << 63) - 1
"""What databases count with."""

REASON_OPTION: Final = click.option(
    "--reason", metavar="SENTENCE",
    help="Also show what the events say (their payloads). The reading goes on record with this reason: a ticket, a matter.",
)  # fmt: skip


@audit.command()
@click.option("-n", "limit", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many events.")
@REASON_OPTION
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object a line.")
def tail(limit: int, reason: str | None, *, as_data: bool) -> None:
    """Show the newest events, the newest last."""
    with _opened(keys=reason is not None) as (engine, keyring):
        events = read.tail(engine, _opens(keyring, reason), limit)
        _on_record(engine, keyring, "tail", reason, events, limit=limit)
    _show(events, reason, as_data=as_data)


@audit.command()
@click.option(
    "--type", "types", multiple=True, help="Only events of this type; may be repeated. `exchange.*` works too."
)
@click.option("--actor", help="Only events of this pseudonym.")
@click.option("--subject", help="Only events about this pseudonym.")
@click.option("--resource", help="Only events of this feature or route.")
@click.option("--since", type=click.DateTime(), help="Only events at or after this time (UTC).")
@click.option("--until", type=click.DateTime(), help="Only events before this time (UTC).")
@click.option("-n", "limit", default=100, show_default=True, type=click.IntRange(1, 100_000), help="How many at most.")
@REASON_OPTION
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object a line.")
def search(reason: str | None, *, as_data: bool, **wanted: Any) -> None:
    """Show the newest events that fit, the newest last."""
    for name in ("since", "until"):
        wanted[name] = wanted[name] and wanted[name].replace(tzinfo=UTC)
    with _opened(keys=reason is not None) as (engine, keyring):
        events = read.search(engine, _opens(keyring, reason), **wanted)
        _on_record(engine, keyring, "search", reason, events, **wanted)
    _show(events, reason, as_data=as_data)


@contextmanager
def _opened(*, keys: bool) -> Iterator[tuple[Engine, KeyRing | None]]:
    """The database, and what opens payloads if that is asked for: whoever only looks needs no key."""
    if keys:
        with evidence() as opened:
            yield opened
    else:
        with log() as engine:
            yield engine, None


def _opens(keyring: KeyRing | None, reason: str | None) -> KeyRing | None:
    """What opens payloads, where there is a reason to."""
    if reason is not None and not reason.strip():
        raise click.UsageError("--reason: say why, in a sentence")
    return keyring if reason is not None else None


def _on_record(
    engine: Engine, keyring: KeyRing | None, how: str, reason: str | None, events: Sequence[Event], **wanted: object
) -> None:
    places = [event.seq for event in events]
    _read(engine, keyring, how, reason, (len(places), min(places, default=None), max(places, default=None)), **wanted)


def _read(
    engine: Engine,
    keyring: KeyRing | None,
    how: str,
    reason: str | None,
    span: tuple[int, int | None, int | None],
    **wanted: object,
) -> None:
    """Put on record that payloads are about to be shown, where they are; if that cannot be, nothing is shown."""
    if reason is None or keyring is None:
        return
    count, first, last = span
    try:
        read_on_record(
            engine, keyring,
            how=how, by=account(), reason=reason, events=count, first=first, last=last, wanted=wanted, now=utc_now(),
        )  # fmt: skip
    except StoreError as error:
        fail(
            f"nothing is shown, since the reading could not be put on record: {error}\n"
            "without --reason events are shown without their payloads, and nothing needs to be recorded"
        )


def _show(events: Sequence[Event], reason: str | None, *, as_data: bool) -> None:
    for event in events:
        if as_data:
            shown = as_dict(event)
            if reason is None:
                del shown["payload"]
            out(json.dumps(shown, ensure_ascii=True))
        else:
            out(_line(event))


@audit.command()
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def stats(*, as_data: bool) -> None:
    """Count the events by type, and say how far the log is signed."""
    with log() as engine:
        counts = Counter(read.counts(engine))
        head = latest(engine)
    total, signed = sum(counts.values()), head.size if head is not None else 0
    if as_data:
        out(json.dumps({"events": total, "signed": signed, "types": dict(sorted(counts.items()))}))
        return
    for type, count in sorted(counts.items()):
        out(f"{count:>10}  {type}")
    out(f"{total:>10}  events, {signed} of them under a checkpoint")


@audit.command()
@click.option("--from", "start", default=0, type=click.IntRange(0, MAX_POSITION), help="Position of the first event.")
@REASON_OPTION
def export(start: int, reason: str | None) -> None:
    """Write every event as NDJSON: its leaf, as it was hashed, and with --reason its payload."""
    with _opened(keys=reason is not None) as (engine, keyring):
        opens = _opens(keyring, reason)
        span = read.span(engine, start)
        _read(engine, keyring, "export", reason, span, start=start)
        count, _, last = span
        for line in read.export(engine, opens, start=start, last=last) if count else ():
            click.echo(line)


@audit.command()
@click.argument("origin")
@click.option("--output", type=click.Path(path_type=Path), help="Write the secret line here, with mode 0600.")
def keygen(origin: str, output: Path | None) -> None:
    """Make a signing key for the log ORIGIN (a name such as example.com/ai-log).

    Without --output the secret line goes to standard output and nothing else does. The public key goes to standard error: hand it
    to whoever verifies.
    """
    signer = make_signer(origin)
    if output is None:
        click.echo(signer.encode())
    else:
        import os

        try:
            descriptor = os.open(output, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except OSError as error:
            fail(f"{output} cannot be made ({error.strerror}); a key is never written over another file")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{signer.encode()}\n")
    err(f"public key: {signer.verifier}")


@audit.command()
@click.option("--every", type=_Seconds(0.1, 3600), metavar="SECONDS", help="Go on signing until interrupted.")
@click.option("--show", is_flag=True, help="Print the newest checkpoint without signing.")
def checkpoint(every: float | None, *, show: bool) -> None:
    """Sign the log as it is now, hand the checkpoint to the anchors, and print it. Exit 3 when it is not the log that was signed before.

    For a process apart from the application, so that the signing key is out of its reach.
    """
    settings = current_settings()
    if show:
        with log() as engine:
            head = latest(engine)
        if head is None:
            fail("the log has no checkpoint yet")
        click.echo(head.note, nl=False)
        return
    if not settings.has_keys:
        err("there are no master keys here, so a change of signing keys will be no event of the log")
    with _opened(keys=settings.has_keys) as (engine, keyring):
        keeper = keeper_of(settings, engine, keyring=keyring)
        if keeper is None:
            fail("there is no signing key; set AIGUARD_AUDIT_SIGNING_KEY (make one with `aiguard audit keygen`)")
        last = -1
        while True:
            try:
                head = keeper.sign()
                if head is not None and head.size != last:
                    last = head.size
                    click.echo(head.note, nl=every is not None)
            except IntegrityError as error:
                fail(str(error), code=EXIT[Status.TAMPERED])
            except AnchorFailed as error:
                if every is None:
                    fail(f"the log is signed, but {error}")
                err(f"the log is signed, but {error}")
            except StoreError as error:
                if every is None:
                    raise
                err(f"the log was not signed in this turn: {error}")
            if every is None:
                return
            sys.stdout.flush()
            time.sleep(every)


@audit.command()
@click.option(
    "--from", "earlier", multiple=True, type=click.Path(exists=True, path_type=Path), metavar="PATH",
    help="A checkpoint that was kept elsewhere, or a directory of them; may be repeated.",
)  # fmt: skip
@click.option("--payloads", is_flag=True, help="Also open every payload with the master keys and compare it.")
@click.option(
    "--window", default=60.0, show_default=True, type=_Seconds(0, MAX_WINDOW), help="Seconds an event may be unsigned."
)
@KEY_OPTION
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def verify(earlier: tuple[Path, ...], keys: tuple[str, ...], window: float, *, payloads: bool, as_data: bool) -> None:
    """Derive the whole log again and compare: exit 0 ok, 3 tampered, 4 incomplete, 5 stale."""
    verifiers, origin = trusted(keys)
    notes = [contents(note, "--from") for path in earlier for note in _notes(path)]
    with _opened(keys=payloads) as (engine, keyring):
        report = verify_log(
            engine,
            verifiers,
            origin=origin,
            earlier=notes,
            keyring=keyring,
            window=timedelta(seconds=window),
        )
    out(json.dumps(_as_data(report), indent=2)) if as_data else _tell(report)
    raise SystemExit(EXIT[report.status])


def _notes(path: Path) -> list[Path]:
    return sorted(path.glob("*.note")) if path.is_dir() else [path]


def _as_data(report: Report) -> dict[str, Any]:
    return {
        "status": str(report.status),
        "events": report.events,
        "signed": report.signed,
        "unsigned": report.unsigned,
        "expired": report.expired,
        "waiting": report.waiting,
        "checkpoints": report.checkpoints,
        "payloads_opened": report.payloads,
        "payloads_erased": report.erased,
        "root": encode_hash(report.root),
        "problems": [_problem(each) for each in report.problems],
        "problems_untold": report.untold,
        "gaps": [_problem(each) for each in report.gaps],
        "late": [_problem(each) for each in report.late],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {"check": problem.check, "seq": problem.seq, "detail": problem.detail}


def _tell(report: Report) -> None:
    for problem in (*report.problems, *report.gaps, *report.late):
        where = "" if problem.seq is None else f"event {problem.seq}: "
        out(f"{problem.check}: {where}{problem.detail}")
    if report.untold:
        out(f"… and {report.untold} more")
    out(
        f"{report.events} events, {report.checkpoints} checkpoints; {report.signed} events are signed, {report.unsigned} not"
    )
    if report.expired:
        out(f"the first {report.expired} events have expired; their hashes are those that were signed for")
    if report.waiting:
        out(f"{report.waiting} events wait in the outbox")
    if report.payloads or report.erased:
        out(f"{report.payloads} payloads are what their events commit to; {report.erased} were erased")
    out(f"root {encode_hash(report.root)}")
    out(f"the log is {report.status}" if report.status is not Status.OK else "the log holds")


def as_dict(event: Event) -> dict[str, Any]:
    """An event as JSON shows it."""
    return {
        "seq": event.seq,
        "id": event.id,
        "type": event.type,
        "decision_id": event.decision_id,
        "parent_id": event.parent_id,
        "at": event.at.isoformat(),
        "actor": event.actor,
        "tenant": event.tenant,
        "subject": event.subject,
        "resource": event.resource,
        "policy_hash": event.policy_hash,
        "payload": dict(event.payload),
    }


def _line(event: Event) -> str:
    why = event.payload.get("reasons") or ()
    reasons = f"  {', '.join(map(str, why))}" if why else ""
    moment = event.at.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    return f"{event.seq:>7}  {moment}  {event.type:<20} {event.decision_id}  {event.resource}{reasons}"
