"""``aiguard explain ID``: the whole story of a decision, in plain language."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import click

from aiguard.audit import Event, story
from aiguard.audit.events import meaning_of
from aiguard.audit.payload import PayloadRefused
from aiguard.audit.readings import read_on_record
from aiguard.cli.audit import as_dict
from aiguard.cli.database import evidence, log
from aiguard.cli.output import err, fail, out
from aiguard.cli.people import account
from aiguard.cli.reasons import sentence
from aiguard.errors import StoreError
from aiguard.store import KeptArtifact, kept
from aiguard.types import utc_now

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from aiguard.store import SubjectKeyRing

_OPERATORS: Final = {
    "mask": "masked",
    "replace": "replaced",
    "hash": "hashed",
    "tokenize": "turned into tokens",
    "drop": "removed",
    "block": "a reason to stop",
    "allow": "let through",
}


@click.command()
@click.argument("decision_id", metavar="ID")
@click.option("--reason", metavar="SENTENCE", help="Why, for the record of the reading: a ticket, a matter.")
@click.option(
    "--no-payloads",
    is_flag=True,
    help="Show only the events' own rows, not what they say: needs no master key and no right to write, and leaves no record.",
)
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def explain(decision_id: str, *, reason: str | None, no_payloads: bool, as_data: bool) -> None:
    """Tell what happened under ID: the decision id of an error page, a log line, an event or an artifact.

    What the events say is sealed. That it was opened, by whom and for which ID goes on record before it is shown.
    """
    if reason is not None and (no_payloads or not reason.strip()):
        raise click.UsageError("--reason: say why, in a sentence; --no-payloads opens nothing and needs none")
    with ExitStack() as opened:
        engine: Engine
        keyring: SubjectKeyRing | None = None
        if no_payloads:
            engine = opened.enter_context(log())
        else:
            engine, keyring = opened.enter_context(evidence())
        events = _events(engine, decision_id, keyring)
        if events and keyring is not None and not _on_record(engine, keyring, decision_id, reason, events):
            keyring = None
            events = _events(engine, decision_id, None)
        artifacts = [
            artifact
            for id in dict.fromkeys(event.decision_id for event in events)
            for artifact in kept(engine, decision_id=id)
        ]
    if not events:
        fail(f"nothing is recorded under {decision_id}\ncheck the id, and that this is the right database")
    if as_data:
        told = [as_dict(event) for event in events]
        for each in told if keyring is None else ():
            del each["payload"]
        shown = {"events": told, "kept": [_facts(artifact) for artifact in artifacts]}
        out(json.dumps(shown, ensure_ascii=True, indent=2))
        return
    for line in narrate(events, artifacts, opened=keyring is not None):
        out(line)


def _events(engine: Engine, decision_id: str, keyring: SubjectKeyRing | None) -> list[Event]:
    """The story under an id, and the events of the decisions above it."""
    events = story(engine, decision_id, keyring=keyring)
    known = {event.decision_id for event in events}
    for parent in sorted({event.parent_id for event in events} - known - {""}):
        above = story(engine, parent, keyring=keyring)
        events = [event for event in above if event.decision_id == parent] + events
    return events


def _on_record(
    engine: Engine, keyring: SubjectKeyRing, decision_id: str, reason: str | None, events: list[Event]
) -> bool:
    """Put on record that what these events say is about to be shown; False, and why on standard error, where that cannot be."""
    places = [event.seq for event in events]
    try:
        read_on_record(
            engine, keyring,
            how="explain", by=account(), reason=reason or "asked for by its id", events=len(places), first=min(places),
            last=max(places), wanted={"decision": decision_id}, now=utc_now(),
        )  # fmt: skip
    except PayloadRefused as error:
        fail(f"nothing is shown, since the reason may not stand in the log: {error}")
    except StoreError as error:
        err(
            f"what the events say is not shown, since the reading could not be put on record: {error}\n"
            "their own rows follow; --no-payloads shows them without asking"
        )
        return False
    return True


def narrate(events: Iterable[Event], artifacts: Iterable[KeptArtifact], *, opened: bool = True) -> Iterator[str]:
    """The story, a line at a time. Without what the events say where that was not ``opened``."""
    last = ""
    expected: list[str] = []
    for event in events:
        if event.decision_id != last:
            if last:
                yield ""
            last = event.decision_id
            yield from _who(event)
        yield ""
        yield f"{event.at.isoformat(sep=' ', timespec='milliseconds')}  {event.type}"
        yield f"  {meaning_of(event.type)}"
        yield from (f"  {name:<10} {value}" for name, value in _facts_of(event.payload) if value)
        expected += event.payload.get("artifacts") or []
    yield ""
    if not opened:
        yield "What the events say is not shown, so neither is what was kept and has been deleted."
    if opened or artifacts:
        yield from _kept(list(artifacts), expected)


def _who(event: Event) -> Iterator[str]:
    yield f"{event.decision_id}" + (f"  (part of {event.parent_id})" if event.parent_id else "")
    kind = event.payload.get("kind")
    named = f"{kind} {event.actor}" if kind and event.actor else event.actor
    for label, value in (
        ("who", named or "nobody signed in"),
        ("about", event.subject if event.subject != event.actor else ""),
        ("tenant", event.tenant),
        ("feature", event.resource),
        ("policy", event.policy_hash),
    ):
        if value:
            yield f"  {label:<10} {value}"


def _facts_of(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "route", _text(payload.get("route"))
    yield "scope", _text(payload.get("scope")) or ", ".join(map(str, payload.get("scopes") or ()))
    for label in ("credential", "service", "replaces", "expires"):
        yield label, _text(payload.get(label))
    if "window_s" in payload:
        yield "rate", f"{payload.get('limit')} in {payload['window_s']} s"
    yield "found", _findings(payload.get("findings"), payload.get("sensitivity"))
    yield "in answer", _findings(payload.get("answer_findings"), None)
    yield "injection", _injection(payload.get("injection"))
    if effect := payload.get("effect"):
        yield "decided", f"{effect} at stage {payload.get('stage')}" if payload.get("stage") else str(effect)
    yield "because", _reasons(payload.get("reasons"))
    yield "noted", _reasons(payload.get("flags"))
    yield "monitored", _monitored(payload)
    yield "failed with", _reasons([payload["error"]] if payload.get("error") else None)
    yield "status", _text(payload.get("status"))
    yield "model", " ".join(filter(None, (_text(payload.get("model")), _text(payload.get("endpoint")))))
    yield "tokens", _tokens(payload)
    yield "took", f"{payload['elapsed_ms']} ms at the model server" if "elapsed_ms" in payload else ""
    yield "deleted", _deleted(payload)


def _findings(found: Any, sensitivity: Any) -> str:
    if not found:
        return ""
    told = [
        f"{count} {type} ({_OPERATORS.get(operator, operator)})"
        for type, operators in sorted(found.items())
        for operator, count in sorted(operators.items())
    ]
    return ", ".join(told) + (f"; {sensitivity}" if sensitivity else "")


def _injection(verdict: Any) -> str:
    if not verdict or not verdict.get("score"):
        return ""
    signatures = ", ".join(verdict.get("signatures") or ())
    return f"score {verdict['score']}" + (f" ({signatures})" if signatures else "")


def _reasons(codes: Any) -> str:
    return "; ".join(sentence(str(code)) for code in codes or ())


def _monitored(payload: Mapping[str, Any]) -> str:
    would = _reasons(payload.get("would_block"))
    return f"only watched; policy would have stopped it: {would}" if would else ""


def _tokens(payload: Mapping[str, Any]) -> str:
    usage = payload.get("usage")
    if usage:
        return ", ".join(f"{count} {name}" for name, count in sorted(usage.items()))
    bound = payload.get("input_tokens_bound")
    most = payload.get("max_output_tokens")
    told = [f"at most {bound} in" if bound else "", f"at most {most} out" if most else ""]
    return ", ".join(filter(None, told))


def _deleted(payload: Mapping[str, Any]) -> str:
    if "cutoff" not in payload:
        return ""
    classes = ", ".join(f"{count} {name}" for name, count in sorted((payload.get("classes") or {}).items()))
    root = f"; root of the ids {payload['ids_root']}" if "ids_root" in payload else ""
    return f"{payload.get('count', 0)} expired before {payload['cutoff']}" + (f" ({classes})" if classes else "") + root


def _kept(artifacts: list[KeptArtifact], expected: Iterable[str]) -> Iterator[str]:
    present = {artifact.id for artifact in artifacts}
    gone = [id for id in expected if id not in present]
    if not artifacts and not gone:
        yield "Nothing of the content was kept."
        return
    yield "Kept, encrypted:"
    for artifact in artifacts:
        yield (
            f"  {artifact.data_class:<10} {artifact.id} until {artifact.expires_at.date()} "
            f"({artifact.retention}, {artifact.basis}, owner {artifact.owner}, then {artifact.mechanism}); "
            f"{artifact.sensitivity.name.lower()}"
        )
    for id in gone:
        yield f"  {'gone':<10} {id} was kept and has been deleted"


def _facts(artifact: KeptArtifact) -> dict[str, Any]:
    return {
        "id": artifact.id,
        "data_class": artifact.data_class,
        "sensitivity": artifact.sensitivity.name.lower(),
        "basis": artifact.basis,
        "owner": artifact.owner,
        "mechanism": artifact.mechanism,
        "retention": artifact.retention,
        "created_at": artifact.created_at.isoformat(),
        "expires_at": artifact.expires_at.isoformat(),
    }


def _text(value: Any) -> str:
    return "" if value is None else str(value)
