"""What retention has to do, and when: run by system cron, an RQ worker or a thread, all through one ledger.

=============  ==============================  =============================================================
job            period                          what it does
=============  ==============================  =============================================================
``recompute``  the hour and the rules          expiries of what was kept under other rules
``prune``      the hour                        deletes what has expired, and proves with a canary that it does
``vault``      the hour                        deletes values of tokens whose time is over
``payloads``   the day                         deletes what old events say, where policy has a rule for it
``erasures``   whenever one has a step to do   ends erasures that were interrupted, held, or are swept
=============  ==============================  =============================================================

After a downtime one run does the work of all the periods that were missed, because each deletes whatever is due by now.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Engine, Table, delete, func, insert, select, tuple_
from sqlalchemy.exc import SQLAlchemyError

from aiguard.audit import append
from aiguard.db.engine import reading, writing
from aiguard.db.failures import as_store_error
from aiguard.db.mapping import Sealing
from aiguard.errors import AIGuardError
from aiguard.policy import Policy
from aiguard.retention import ledger
from aiguard.retention.clocks import behind
from aiguard.retention.erasing import resume
from aiguard.retention.evidence import ids_root, instant
from aiguard.retention.holds import is_held
from aiguard.retention.payloads import erase_payloads_before
from aiguard.retention.planning import plan
from aiguard.retention.pruning import prune
from aiguard.retention.recompute import recompute
from aiguard.retention.removal import Gone
from aiguard.retention.turns import PRUNED, Turns
from aiguard.store import SubjectKeyRing, VaultEntry
from aiguard.store.tables import Artifact, artifact_aad
from aiguard.types import AuditRecord, Clock, new_id, utc_now

logger = logging.getLogger("aiguard")

JOBS: Final = ("recompute", "prune", "vault", "payloads")
"""The jobs of the ledger."""

BATCH: Final = 500
CANARY: Final = "aiguard-canary"
"""The feature under which canaries are kept."""

_ARTIFACTS: Final = cast("Table", Artifact.__table__)
_VAULT: Final = cast("Table", VaultEntry.__table__)


class TooMuchIsDue(AIGuardError):
    """A run would delete more than half of everything: a person has to say that this is meant."""


class Interrupted(AIGuardError):
    """The run was told to stop between two batches. What is left is done by the next one."""


class CanarySurvived(AIGuardError):
    """What was planted to be deleted is still there: deletion does not work, whatever the counts say."""


Work = Callable[[ledger.Run, Callable[[int], None]], Mapping[str, Any]]
"""What a job does, with its run and what to call after each batch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Duty:
    """What came of one job: ``state`` is ``done``, ``failed``, or ``left`` where another worker has it or had it."""

    job: str
    period: str
    state: str
    outcome: Mapping[str, Any]


def run_due(
    engine: Engine,
    keyring: SubjectKeyRing,
    policy: Policy,
    *,
    clock: Clock = utc_now,
    between: Callable[[], None] | None = None,
) -> list[Duty]:
    """Do everything that is due now and that nobody else has in hand. One job that fails keeps no other from running.

    Args:
        engine: from :func:`aiguard.db.make_engine`.
        keyring: people's keys.
        policy: the rules in force.
        clock: where time comes from.
        between: called between two batches; what it raises ends the run, and the next one goes on.

    Raises:
        StoreUnavailable: the ledger itself cannot be used.
        Interrupted: ``between`` said so.
    """
    now = clock()
    hour = f"{now:%Y-%m-%dT%H}"
    jobs: list[tuple[str, str, Work]] = [
        (
            "recompute",
            f"{hour}-{policy.retention_hash[7:23]}",
            lambda _run, beat: _recompute(engine, keyring, policy, now, beat),
        ),
        ("prune", hour, lambda _run, beat: _prune(engine, keyring, policy, now, beat, clock)),
        ("vault", hour, lambda run, beat: {"deleted": prune_vault(engine, keyring, now, run_id=run.holder, beat=beat)}),
    ]
    if "audit_payload" in policy.retention:
        before = now - policy.retention["audit_payload"].duration
        jobs.append(
            (
                "payloads",
                f"{now:%Y-%m-%d}",
                lambda run, beat: {
                    "deleted": erase_payloads_before(
                        engine, keyring, before, decision_id=run.holder, now=now, beat=beat
                    )
                },
            )
        )
    late = list(_clock(engine, now))
    done = [duty for job, period, work in jobs if (duty := _do(engine, job, period, work, clock, between)) is not None]
    return [*late, *done, *_erasures(engine, keyring, now)]


def _clock(engine: Engine, now: datetime) -> Iterator[Duty]:
    """Something to be told when this clock is behind: then less is deleted than is due, and nobody would know."""
    late = behind(engine, now)
    if late is not None:
        why = f"this machine's clock is {late} behind what was recorded last; what is due by the right time is not deleted"
        logger.error("retention: %s", why)
        yield Duty(job="clock", period="", state="failed", outcome={"error": "ClockBehind", "detail": why})


def _do(
    engine: Engine, job: str, period: str, work: Work, clock: Clock, between: Callable[[], None] | None
) -> Duty | None:
    run = ledger.claim(engine, job, period, now=clock())
    if run is None:
        return None
    beat = _beat(engine, run, clock, between)
    try:
        outcome = ledger.carry_out(engine, run, lambda: work(run, beat), clock=clock)
    except Interrupted:
        raise
    except Exception as error:  # noqa: BLE001 - it is in the ledger, and other jobs have their own chance
        name = type(error).__name__
        logger.error("the retention job %s for %s failed: %s", job, period, name)  # noqa: TRY400 - a message may quote a row
        why = str(error) if isinstance(error, AIGuardError) else name
        return Duty(job=job, period=period, state="failed", outcome={"error": name, "detail": why})
    return Duty(job=job, period=period, state="done", outcome=outcome)


def _erasures(engine: Engine, keyring: SubjectKeyRing, now: datetime) -> Iterator[Duty]:
    try:
        for report in resume(engine, keyring, now=now):
            yield Duty(job="erasures", period=report.id, state="done", outcome={"state": report.state, **report.counts})
    except AIGuardError as error:
        logger.error("carrying on with erasures failed: %s", type(error).__name__)  # noqa: TRY400 - see above
        yield Duty(job="erasures", period="", state="failed", outcome={"error": type(error).__name__})


def _recompute(
    engine: Engine, keyring: SubjectKeyRing, policy: Policy, now: datetime, beat: Callable[[int], None]
) -> Mapping[str, Any]:
    done = recompute(engine, keyring, policy, now=now, progress=beat)
    return {
        "run_id": done.run_id,
        "changed": done.changed,
        "uncovered": done.uncovered,
        "unreadable": done.unreadable,
        "destroyed": done.destroyed,
    }


def _prune(
    engine: Engine, keyring: SubjectKeyRing, policy: Policy, now: datetime, beat: Callable[[int], None], clock: Clock
) -> Mapping[str, Any]:
    planned = plan(engine, now, rules=policy.retention_hash, exact=False)
    if planned.sweeping:
        raise TooMuchIsDue(
            f"{planned.expired} of {planned.expired + planned.staying} artifacts are due, which a job does not delete on its "
            "own; look at `aiguard prune`, and apply it with --confirm if it is meant."
        )
    canary = plant_canary(engine, keyring, now)
    planted: set[str] = set()

    def look_out(_batch: int, gone: Gone) -> None:
        planted.update({canary}.intersection(gone.ids))

    done = prune(engine, keyring, now, rules=policy.retention_hash, progress=beat, witness=look_out, clock=clock)
    check_canary(engine, keyring, canary, now)
    return {
        "run_id": done.run_id,
        "deleted": done.deleted - len(planted),
        "batches": done.batches,
        "erased": done.erased,
        "hour_keys": done.hour_keys,
        "left": done.left,
    }


def plant_canary(engine: Engine, keyring: SubjectKeyRing, now: datetime) -> str:
    """Keep an artifact about nobody that has expired already; its id."""
    id = new_id("art")
    row: dict[str, Any] = {
        "id": id, "decision_id": new_id("cnr"), "data_class": "metadata", "feature": CANARY, "actor": "", "subject": "",
        "tenant": "", "sensitivity": 0, "policy_hash": "", "basis": "proof of deletion", "owner": "aiguard",
        "mechanism": "delete", "retention": "0h", "retention_hash": "", "created_at": now, "expires_at": now,
    }  # fmt: skip
    row["content"] = keyring.seal(b"canary", aad=artifact_aad(row))
    try:
        with writing(engine) as connection:
            connection.execute(insert(_ARTIFACTS).values(row))
    except SQLAlchemyError as error:
        raise as_store_error(error) from None
    return id


def check_canary(engine: Engine, keyring: SubjectKeyRing, id: str, now: datetime) -> None:
    """:class:`CanarySurvived`, and an event that says so, unless the canary is gone or a hold on everything covers it."""
    there = select(func.count()).select_from(_ARTIFACTS).where(_ARTIFACTS.c.id == id, ~is_held())
    try:
        with writing(engine) as connection:
            alive = connection.execute(there).scalar_one()
            if alive:
                _tell(connection, keyring, "retention.canary_survived", new_id("cnr"), {"artifact": id}, now)
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None
    if alive:
        raise CanarySurvived(
            "An artifact that was planted to be deleted is still there: look at triggers and permissions."
        )


def prune_vault(
    engine: Engine, keyring: SubjectKeyRing, now: datetime, *, run_id: str, beat: Callable[[int], None] | None = None
) -> int:
    """Delete values of tokens whose time is over, in batches with evidence; how many."""
    key = (_VAULT.c.vault, _VAULT.c.code)
    turns = Turns(engine, most=BATCH)
    total = 0
    while True:
        try:
            with turns.turn() as turn:
                ripe = select(*key).where(_VAULT.c.expires_at <= now).order_by(_VAULT.c.expires_at).limit(turns.rows)
                ripe = ripe.with_for_update(skip_locked=True)
                gone = turn.connection.execute(delete(_VAULT).where(tuple_(*key).in_(ripe)).returning(*key)).all()
                if not gone:
                    return total
                turn.did(len(gone))
                root = ids_root(f"{vault}/{code}" for vault, code in gone)
                payload = {"count": len(gone), "table": _VAULT.name, "ids_root": root, "cutoff": instant(now)}
                _tell(turn.connection, keyring, PRUNED, run_id, payload, now)
        except SQLAlchemyError as error:
            raise as_store_error(error, "deleted by this batch") from None
        total += len(gone)
        if beat is not None:
            beat(len(gone))
        turns.rest()


def _beat(engine: Engine, run: ledger.Run, clock: Clock, between: Callable[[], None] | None) -> Callable[[int], None]:
    """After each batch the lease is renewed in time; a worker that lost it stops there."""
    until = clock() + ledger.LEASE / 2

    def beat(_count: int) -> None:
        nonlocal until
        if between is not None:
            between()
        if clock() >= until:
            ledger.renew(engine, run, now=clock())
            until = clock() + ledger.LEASE / 2

    return beat


def _tell(
    connection: Any, keyring: SubjectKeyRing, type: str, id: str, payload: Mapping[str, Any], now: datetime
) -> None:
    record = AuditRecord(type=type, decision_id=id, resource="retention", payload=payload, at=now)
    append(connection, [record], Sealing(keyring=keyring, writer=new_id("wrt")))


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """How retention stands: for dashboards and alarms."""

    overdue: int
    """Artifacts that have expired and that no hold keeps."""
    held: int
    """Artifacts that a hold keeps, expired or not."""
    kept: int
    holds_to_review: int
    erasures_open: int
    last_prune: datetime | None


def figures(engine: Engine, now: datetime) -> Figures:
    """Counts as of ``now``."""
    from aiguard.retention.tables import ERASURES, HOLDS

    c = _ARTIFACTS.c
    rows = select(func.count()).select_from(_ARTIFACTS)
    queries = {
        "overdue": rows.where(c.expires_at <= now, ~is_held()),
        "held": rows.where(is_held()),
        "kept": rows,
        "holds_to_review": select(func.count())
        .select_from(HOLDS)
        .where(HOLDS.c.released_at.is_(None), HOLDS.c.review_at <= now),
        "erasures_open": select(func.count()).select_from(ERASURES).where(ERASURES.c.state != "completed"),
    }
    try:
        with reading(engine) as connection:
            counts = {name: int(connection.execute(query).scalar_one()) for name, query in queries.items()}
    except SQLAlchemyError as error:
        raise as_store_error(error, "read") from None
    return Figures(**counts, last_prune=ledger.last_success(engine, "prune"))


def prometheus(found: Figures) -> str:
    """The figures in the text format that Prometheus reads."""
    lines = []
    for name, meaning in (
        ("overdue", "artifacts that have expired and are still kept"),
        ("held", "artifacts under a legal hold"),
        ("kept", "artifacts in the store"),
        ("holds_to_review", "legal holds whose review date has passed"),
        ("erasures_open", "erasures that are held or pending"),
    ):
        metric = f"aiguard_retention_{name}"
        lines += [f"# HELP {metric} {meaning}", f"# TYPE {metric} gauge", f"{metric} {getattr(found, name)}"]
    if found.last_prune is not None:
        metric = "aiguard_retention_last_prune_timestamp_seconds"
        lines += [f"# TYPE {metric} gauge", f"{metric} {found.last_prune.timestamp():.0f}"]
    return "\n".join(lines) + "\n"
