"""``aiguard token create|list|rotate|revoke``: tokens with which services call. A token is shown once, when it is made.

A token is printed on standard output, alone, so that it can go straight into a secret store; what is to be known about it goes
to standard error. No command takes a token as an argument: arguments can be read by every user of the machine.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import click

from aiguard.cli.context import current_settings
from aiguard.cli.database import evidence
from aiguard.cli.output import err, out
from aiguard.cli.people import account, moment_if_given
from aiguard.credentials import DEFAULT_OVERLAP, Credentials, Issued
from aiguard.errors import CredentialError
from aiguard.identity.tokens import ServiceToken
from aiguard.policy import load_policy
from aiguard.policy.values import did_you_mean, parse_duration
from aiguard.types import utc_now


@contextmanager
def _credentials() -> Iterator[Credentials]:
    from aiguard.detect import known_types

    policy = load_policy(current_settings().policy_path, known_types())
    with evidence() as (engine, keyring):
        yield Credentials(engine=engine, keyring=keyring, policy=policy, operator=account())


@click.group()
def token() -> None:
    """Tokens with which services call."""


@token.command()
@click.option("--service", required=True, metavar="NAME", help="Who will call with it: nightly-batch.")
@click.option("--scope", "scopes", required=True, multiple=True, metavar="SCOPE", help="What it may use; repeat it.")
@click.option("--tenant", metavar="ID", help="The tenant that the service works for.")
@click.option("--expires", metavar="WHEN", help="30d, 12h, 2w or a date; by default 90d.")
@click.option("--not-before", metavar="WHEN", help="When its time begins; by default now.")
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object instead of the bare token.")
def create(
    *,
    service: str,
    scopes: tuple[str, ...],
    tenant: str | None,
    expires: str | None,
    not_before: str | None,
    as_data: bool,
) -> None:
    """Make a token, and show it this once."""
    now = utc_now()
    with _credentials() as credentials:
        issued = credentials.create(
            service=service,
            scopes=scopes,
            tenant=tenant,
            expires_at=moment_if_given(expires, now, "--expires", error=CredentialError),
            not_before=moment_if_given(not_before, now, "--not-before", error=CredentialError),
            now=now,
        )
        in_policy = {feature.scope for feature in credentials.policy.features.values()}
        for scope in sorted(issued.known.scopes - in_policy):
            hint = did_you_mean(scope, in_policy)
            err(f"warning: no feature of the policy has the scope {scope}; {hint}".rstrip("; "))
    _show(issued, as_data=as_data)


@token.command()
@click.argument("id", metavar="[TOKEN_ID]", required=False)
@click.option("--service", metavar="NAME", help="Replace the one token of this service, instead of naming it.")
@click.option(
    "--overlap", metavar="DURATION", help="How long the old token stays good; by default 24h, 0 for not at all."
)
@click.option(
    "--expires", metavar="WHEN", help="When the new one ends; by default it is given as long as the old one was."
)
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object instead of the bare token.")
def rotate(*, id: str | None, service: str | None, overlap: str | None, expires: str | None, as_data: bool) -> None:
    """Replace a token by a new one for the same service, scopes and tenant."""
    now = utc_now()
    try:
        over = (
            DEFAULT_OVERLAP if overlap is None else timedelta() if overlap in ("0", "0h") else parse_duration(overlap)
        )
    except ValueError:
        raise CredentialError("--overlap is a duration (24h, 2d), or 0.") from None
    with _credentials() as credentials:
        id = _the_one(credentials, id, service, now)
        issued = credentials.rotate(
            id, overlap=over, expires_at=moment_if_given(expires, now, "--expires", error=CredentialError), now=now
        )
    _show(issued, as_data=as_data)


def _the_one(credentials: Credentials, id: str | None, service: str | None, now: datetime) -> str:
    """The token that was named, or the only one of a service that is good."""
    if (id is None) == (service is None):
        raise CredentialError("Say which token, or which service; not both.")
    if id is not None:
        return id
    longest = credentials.policy.service_tokens.max_lifetime
    good = [
        found
        for found, _, known in credentials.known(service=service)
        if known is not None and known.state(now, longest) == "active"
    ]
    if len(good) != 1:
        what = "no token that is good" if not good else f"{len(good)} tokens that are good: {', '.join(good)}"
        raise CredentialError(f"The service has {what}; name the one to replace by its id.")
    return good[0]


@token.command()
@click.argument("id", metavar="[TOKEN_ID]", required=False)
@click.option("--service", metavar="NAME", help="Revoke every token of this service.")
def revoke(*, id: str | None, service: str | None) -> None:
    """Revoke a token, or all of a service. Every process refuses it from its next request on."""
    with _credentials() as credentials:
        for revoked in credentials.revoke(id=id, service=service, now=utc_now()) or ("nothing: revoked before",):
            out(f"revoked {revoked}")


@token.command(name="list")
@click.option("--service", metavar="NAME", help="Only this service's.")
@click.option("--all", "ended_too", is_flag=True, help="Revoked and expired ones too.")
@click.option("--json", "as_data", is_flag=True, help="Print a JSON array.")
def list_(*, service: str | None, ended_too: bool, as_data: bool) -> None:
    """Who may call: the tokens there are, without what is secret of them."""
    now = utc_now()
    with _credentials() as credentials:
        longest = credentials.policy.service_tokens.max_lifetime
        found = [_described(id, name, known, now, longest) for id, name, known in credentials.known(service=service)]
    shown = [row for row in found if ended_too or row["state"] not in ("revoked", "expired")]
    if as_data:
        out(json.dumps(shown))
        return
    if not shown:
        out("there are no tokens" if not found else "all tokens have ended; --all lists them")
        return
    lines = [("id", "service", "tenant", "state", "expires", "last used", "scopes")]
    for row in shown:
        ends, used = (
            str(row[name] or default)[:16] for name, default in (("expires_at", "-"), ("last_used_at", "never"))
        )
        scopes = " ".join(row["scopes"])
        lines.append((row["id"], row["service"], row["tenant"] or "-", row["state"], ends, used, scopes))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        out("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _described(id: str, service: str, known: ServiceToken | None, now: datetime, longest: timedelta) -> dict[str, Any]:
    row: dict[str, Any] = {"id": id, "service": service, "tenant": None, "scopes": [], "state": "damaged"}
    if known is not None:
        row |= {"tenant": known.tenant, "scopes": sorted(known.scopes), "state": known.state(now, longest)}
    return row | {
        "created_at": _text(known.created_at if known else None),
        "not_before": _text(known.not_before if known else None),
        "expires_at": _text(known.ends(longest) if known else None),
        "revoked_at": _text(known.revoked_at if known else None),
        "last_used_at": _text(known.last_used_at if known else None),
    }


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment is not None else None


def _show(issued: Issued, *, as_data: bool) -> None:
    """The token on standard output, once; the rest on standard error."""
    known = issued.known
    if as_data:
        replaced = issued.replaced
        data = {
            "id": known.id,
            "token": issued.token.reveal(),
            "service": known.service,
            "tenant": known.tenant,
            "scopes": sorted(known.scopes),
            "not_before": _text(known.not_before),
            "expires_at": _text(known.expires_at),
            "replaces": replaced.id if replaced is not None else None,
        }
        out(json.dumps(data))
        return
    err(f"{known.id} for {known.service}, {' '.join(sorted(known.scopes))}, until {_text(known.expires_at)}")
    if issued.replaced is not None:
        err(f"{issued.replaced.id} stays good until {_text(issued.replaced.expires_at)}")
    err("it is shown this once; keep it in a secret store and send it as `Authorization: Bearer …`")
    out(issued.token.reveal())
    sys.stdout.flush()
