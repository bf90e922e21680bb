"""The demo's verdict: what left, what was stopped, and whether the search would have found a leak."""

from __future__ import annotations

import json
import re
import sqlite3
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from examples import attacks, leaks
from examples.evidence import Evidence, Message, Places, holds_secret
from examples.model_server.responder import INVENTED_ADDRESS
from examples.traffic import Reply

RESTORED = ("EMAIL_ADDRESS", "PHONE_NUMBER", "IBAN_CODE")
"""The types that the reply feature tokenises, so that the caller reads them again."""
_TOKEN = re.compile(r"\[[A-Z]+_[0-9A-HJKMNP-TV-Z]{8,}\]")


def judge(places: Places, evidence: Evidence, messages: Sequence[Message]) -> dict[str, Any]:
    """The report: figures, and ``failures``, a list of sentences that is empty when all is well."""
    failures: list[str] = []
    labels = list(dict.fromkeys(leaks.Label(**value) for message in messages for value in message["values"]))
    own = [leaks.Label(type="CREDENTIAL", value=value) for value in evidence.credentials]
    sent = list(leaks.in_record(places.record)) + list(leaks.in_record(places.timing_record))
    stored = evidence.stored
    logged = list(leaks.in_logs(sorted(places.logs.glob("desk*.log"))))
    # The desk's own credentials may be in a request's head, where they belong; never in its database or logs.
    found = leaks.search_all(labels, sent) + leaks.search_all([*labels, *own], [*stored, *logged])
    for (place, kind), count in Counter((leak.place, leak.type) for leak in found).most_common(20):
        failures.append(f"LEAK: {count} x {kind} in {place}")

    bodies = [data for place, data in sent if place.endswith("body")]
    decisions = [reply.decision_id for _, reply in evidence.replies if reply.status != 200]
    decisions += [reply.decision_id for attack, reply in evidence.attacks if attack.decided]
    failures += _check_messages(evidence, bodies)
    failures += _check_attacks(evidence, bodies)
    failures += _check_margins(evidence, decisions, stored, logged)
    controls = _controls(places, labels, evidence, {"record": sent, "database": stored, "logs": logged})
    failures += [
        f"control: {name} found {got} of {wanted}" for name, (got, wanted) in controls.items() if got != wanted
    ]

    restored = _restored(evidence)
    if restored["found"] < 0.95 * restored["expected"]:
        failures.append(f"only {restored['found']} of {restored['expected']} values came back to their owners")

    refused = [reply for _, reply in (*evidence.replies, *evidence.summaries, *evidence.notes) if reply.status >= 400]
    refused += [reply for _, reply in evidence.attacks if reply.status >= 400]
    passed = [
        message for message, reply in (*evidence.replies, *evidence.summaries, *evidence.notes) if reply.status < 300
    ]
    return {
        "requests": len(evidence.replies) + len(evidence.summaries) + len(evidence.notes) + len(evidence.attacks),
        "messages": len(messages),
        "delivered": len(passed),
        "blocked": len(refused),
        "blocked_by_reason": dict(Counter(code for reply in refused for code in reply.codes[:1]).most_common()),
        "restored": restored,
        "redacted": sum(len(message["values"]) for message in passed),
        "leaks": len(found),
        "leaks_by_place": dict(Counter(leak.place.split(",")[0] for leak in found)),
        "searched_bytes": {
            "model server": sum(len(data) for _, data in sent),
            "database": sum(len(data) for _, data in stored),
            "logs": sum(len(data) for _, data in logged),
        },
        "searched_values": len(labels) + len(own),
        "controls": {name: {"found": got, "expected": wanted} for name, (got, wanted) in controls.items()},
        **_stored_counts(places.database),
        **_overhead(evidence),
        "example": _example(evidence, bodies),
        "refusal": _refusal(evidence),
        "attacks": [_attack_row(attack, reply) for attack, reply in evidence.attacks],
        "failures": failures,
    }


def _check_messages(evidence: Evidence, bodies: Sequence[bytes]) -> Iterator[str]:
    """Blocked if and only if policy says so; and who was answered got their own values back, and nothing invented."""
    everything = b"\n".join(bodies).decode("utf-8", "replace")
    for message, reply in evidence.replies:
        if holds_secret(message):
            if reply.status != 422 or not reply.decision_id:
                yield f"{message['id']} holds a secret and was answered {reply.status} {reply.codes}"
            continue
        if reply.status != 200:
            yield f"{message['id']} was refused with {reply.status} {reply.codes}"
            continue
        if message["order"] not in everything:
            yield f"{message['id']} was answered but never reached the model server"
        text = str(reply.body.get("reply", ""))
        if INVENTED_ADDRESS in text:
            yield f"{message['id']}: an address that the model made up was delivered"
        if _TOKEN.search(text):
            yield f"{message['id']}: a token was not turned back for the caller"
    for message, reply in (*evidence.summaries, *evidence.notes):
        if reply.status not in (200, 201):
            yield f"{message['id']} was refused with {reply.status} {reply.codes} where secrets are replaced"
    for message, reply in evidence.notes:
        if any(value["value"] in reply.content.decode("utf-8", "replace") for value in message["values"]):
            yield f"{message['id']}: the note was kept with a labelled value in it"
    blocked_orders = {message["order"] for message, _ in evidence.replies if holds_secret(message)}
    drafts = b"\n".join(body for body in bodies if b"Draft a short" in body).decode("utf-8", "replace")
    for order in blocked_orders:
        if order in drafts:
            yield f"the message about {order} was refused and reached the model server all the same"


def _restored(evidence: Evidence) -> dict[str, int]:
    """How many of the values that are tokenised came back to the person who wrote them.

    A value that the guard took for another type (a twelve-digit phone number that passes as a card) is hidden all the
    same, but does not come back.
    """
    answered = [(message, str(reply.body.get("reply"))) for message, reply in evidence.replies if reply.status == 200]
    pairs = [(v["value"], text) for message, text in answered for v in message["values"] if v["type"] in RESTORED]
    return {"found": sum(value in text for value, text in pairs), "expected": len(pairs)}


def _check_attacks(evidence: Evidence, bodies: Sequence[bytes]) -> Iterator[str]:
    everything = b"\n".join(bodies)
    for attack, reply in evidence.attacks:
        if reply.status != attack.status:
            yield f"{attack.name}: answered {reply.status} {reply.codes}, expected {attack.status}"
        if attack.decided and (not reply.decision_id or not reply.content_type.startswith("application/problem+json")):
            yield f"{attack.name}: the answer is no problem document with a decision id"
        if attack.reaches_model != (attack.marker.encode() in everything):
            yield f"{attack.name}: {'never reached' if attack.reaches_model else 'reached'} the model server"
        if attack.marker.encode() in reply.content:
            yield f"{attack.name}: the refusal repeats the input"


def _check_margins(
    evidence: Evidence,
    decisions: Sequence[str],
    stored: Sequence[tuple[str, bytes]],
    logged: Sequence[tuple[str, bytes]],
) -> Iterator[str]:
    """The traces hold what they should: every decision, and the allowed part of every log line."""
    database = b"\n".join(data for _, data in stored)
    log = b"\n".join(data for _, data in logged)
    lost = [key for key in decisions if key.encode() not in database]
    locked = sum(attack.lock_database for attack, _ in evidence.attacks)
    if len(lost) > locked:
        yield f"{len(lost)} of {len(decisions)} refusals are not on record"
    silent = [message["id"] for message, _ in evidence.replies if message["order"].encode() not in log]
    if silent:
        yield f"{len(silent)} messages are missing from the desk's log"


def _controls(
    places: Places,
    labels: Sequence[leaks.Label],
    evidence: Evidence,
    traces: dict[str, list[tuple[str, bytes]]],
) -> dict[str, tuple[int, int]]:
    """``(found, expected)`` of searches that must find something."""
    controls: dict[str, tuple[int, int]] = {}
    twin_places = {
        "values in what the unguarded twin sent": leaks.in_record(places.twin_record),
        "values in the unguarded twin's log": leaks.in_logs([places.logs / "twin.log"]),
    }
    for name, source in twin_places.items():
        numbers = {leak.number for leak in leaks.search_all(labels, list(source))}
        controls[name] = (len(numbers), len(labels))
    finder = leaks.Finder(labels)
    samples = list({label.type: label for label in labels}.values())
    for name, blobs in traces.items():
        _, data = max(blobs, key=lambda blob: len(blob[1]))
        half = len(data) // 2
        around = (data[max(half - 2000, 0) : half], data[half : half + 2000])
        planted = [form for label in samples for form in leaks.planted(label.value).values()]
        seen = sum(bool(finder.search(name, around[0] + b' "' + form + b'" ' + around[1])) for form in planted)
        controls[f"values planted in a copy of the {name}"] = (seen, len(planted))
    orders = [message["order"] for message, reply in evidence.replies if reply.status == 200]
    everything = b"\n".join(data for _, data in traces["record"])
    controls["allowed order numbers in what was sent"] = (sum(o.encode() in everything for o in orders), len(orders))
    return controls


def _stored_counts(folder: Path) -> dict[str, int]:
    with closing(sqlite3.connect(folder / "aiguard.db")) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {}
        for key, ending in (("artifacts", "artifacts"), ("audit_events", "audit_events")):
            name = next(name for name in names if name.endswith(ending))
            counts[key] = int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])  # noqa: S608
        return counts


def _overhead(evidence: Evidence) -> dict[str, float]:
    """Percentiles of the desk minus the same percentiles of the twin, in milliseconds."""

    def percentile(seconds: Sequence[float], number: int) -> float:
        return statistics.quantiles(seconds, n=100, method="inclusive")[number - 1] * 1000

    guarded, twin = evidence.guarded_seconds, evidence.twin_seconds
    return {
        "overhead_ms_p50": round(percentile(guarded, 50) - percentile(twin, 50), 2),
        "overhead_ms_p99": round(percentile(guarded, 99) - percentile(twin, 99), 2),
        "guarded_ms_p50": round(percentile(guarded, 50), 2),
        "unguarded_ms_p50": round(percentile(twin, 50), 2),
        "timed_pairs": len(guarded),
    }


def _example(evidence: Evidence, bodies: Sequence[bytes]) -> dict[str, str]:
    """One message as it was written, as the model server received it, and as it came back."""
    for message, reply in evidence.replies:
        kinds = {value["type"] for value in message["values"]}
        if reply.status == 200 and message["lang"] == "en" and len(kinds) >= 3 and len(message["text"]) < 500:
            order = message["order"].encode()
            body = next((body for body in bodies if order in body), b"{}")
            return {
                "written": message["text"],
                "sent": str(json.loads(body).get("input", "")),
                "answer": reply.body["reply"],
            }
    return {}


def _refusal(evidence: Evidence) -> dict[str, Any]:
    return next((dict(reply.body) for _, reply in evidence.replies if reply.decision_id), {})


def _attack_row(attack: attacks.Attack, reply: Reply) -> dict[str, Any]:
    return {
        "name": attack.name,
        "status": reply.status,
        "reasons": list(reply.codes),
        "decision_id": reply.decision_id,
    }
