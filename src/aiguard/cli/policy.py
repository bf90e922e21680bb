"""``aiguard policy check`` and ``aiguard policy show``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import click
from rich.table import Table

from aiguard import detect
from aiguard.cli.output import console, err, out
from aiguard.detect.lists import hashed
from aiguard.policy import Feature, Policy, as_json, lint, load_policy
from aiguard.policy.builtin import DENIED_TERM
from aiguard.policy.models import DetectRule
from aiguard.settings import Settings
from aiguard.types import Operator, utc_now

MIN_SALT = 16
"""Characters of a salt, as the policy demands."""

_FILE = click.argument("file", required=False, type=click.Path(path_type=Path))


@click.group()
def policy() -> None:
    """Check and show the policy (aiguard.toml)."""


@policy.command()
@_FILE
@click.option("--strict", is_flag=True, help="Exit with 1 on warnings too.")
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def check(file: Path | None, *, strict: bool, as_data: bool) -> None:
    """Say whether FILE can be enforced as written (default: AIGUARD_POLICY, or aiguard.toml)."""
    path, loaded = _load(file)
    detectable = {*detect.default_detector().types, *loaded.recognizers, DENIED_TERM}
    warnings = lint(loaded, utc_now(), detectable=detectable)
    if as_data:
        out(json.dumps({"file": str(path), "hash": loaded.hash, "valid": True, "warnings": list(warnings)}))
    else:
        features = len(loaded.features)
        out(f"{path}: valid, {features} feature{'' if features == 1 else 's'}, {loaded.hash}")
        for warning in warnings:
            err(f"warning: {warning}")
    if warnings and strict:
        raise SystemExit(1)


@policy.command()
@_FILE
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object: what is hashed, and its hash.")
def show(file: Path | None, *, as_data: bool) -> None:
    """Show what FILE means with every default filled in."""
    path, loaded = _load(file)
    if as_data:
        out(json.dumps({"hash": loaded.hash, "policy": as_json(loaded)}, ensure_ascii=True, indent=2, sort_keys=True))
        return
    out(f"{path}  {loaded.hash}")
    now = utc_now()
    for feature in loaded.features.values():
        _feature(feature)
    _retention(loaded)
    _rest(loaded, now)


@policy.command("hash")
@click.option("--salt", required=True, help="The list's salt, at least 16 characters, as the policy has it.")
def hash_(salt: str) -> None:
    """Hash each line of standard input for an allow or deny list: the policy then need not show the value.

    Case, Unicode form and spacing of a value do not count.
    """
    if len(salt) < MIN_SALT:
        raise click.UsageError(f"the salt needs at least {MIN_SALT} characters")
    values = [line for line in sys.stdin.read().splitlines() if line.strip()]
    if not values:
        raise click.UsageError("give the values on standard input, one a line")
    for value in values:
        out(hashed(value, salt))


def _load(file: Path | None) -> tuple[Path, Policy]:
    path = file or (click.get_current_context().find_object(Settings) or Settings.load()).policy_path
    return path, load_policy(path, detect.known_types())


def _feature(feature: Feature) -> None:
    table = Table(title=f"feature {feature.name}", title_justify="left", show_header=False, box=None, padding=(0, 2))
    table.add_row("scope", feature.scope)
    table.add_row("owner", feature.owner)
    table.add_row("mode", feature.mode)
    table.add_row("models", ", ".join(feature.models) or "none: it may call no model")
    table.add_row("tokens", f"at most {feature.max_input_tokens} in, {feature.max_output_tokens} out")
    for label, rates in (("rate", feature.rate), ("tenant's rate", feature.tenant_rate)):
        if rates:
            table.add_row(label, ", ".join(f"{rate.limit} in {rate.seconds} s" for rate in rates))
    table.add_row("input", _rules(feature.redact))
    if not feature.detect.plain:
        table.add_row("detection", _detection(feature.detect))
    table.add_row("injection", f"blocked from {feature.injection.block:g}, flagged from {feature.injection.flag:g}")
    if feature.output.redact != feature.redact:
        table.add_row("output", _rules(feature.output.redact))
    output = [f"{len(feature.output.block_patterns)} blocked patterns"] if feature.output.block_patterns else []
    output += ["JSON schema"] if feature.output.json_schema is not None else []
    where = f", in {' and '.join(feature.output.restore_in)} too" if feature.output.restore_in else ""
    output += [f"tokens restored for the actor{where}" if feature.output.restore else "tokens stay tokens"]
    table.add_row("answer", ", ".join(output))
    table.add_row("kept", ", ".join(feature.keep.classes) or "nothing")
    console().print(table)


def _detection(rule: DetectRule) -> str:
    said = [f"only {', '.join(rule.only)}"] if rule.only else []
    said += [f"without {', '.join(rule.exclude)}"] if rule.exclude else []
    said += [f"from a score of {rule.min_score:g}"] if rule.min_score is not None else []
    said += [f"{name} from {score:g}" for name, score in sorted(rule.scores.items())]
    for name, values in (("allowed", rule.allow), ("denied", rule.deny)):
        hashes = len(values.hashed.hmac_sha256) if values.hashed else 0
        if not values.empty:
            said.append(f"{name}: {len(values.exact)} texts, {len(values.patterns)} patterns, {hashes} hashes")
    if rule.models:
        late = "refused" if rule.on_timeout == "refuse" else "recorded, patterns only"
        said.append(f"models {', '.join(rule.models)} ({rule.budget_ms} ms, then {late})")
    return "; ".join(said)


def _rules(rules: Mapping[str, Operator]) -> str:
    return ", ".join(
        f"{'all else' if name == '*' else name}: {_operator(operator)}"
        for name, operator in sorted(rules.items(), key=lambda rule: (rule[0] == "*", rule[0]))
    )


def _operator(operator: Operator) -> str:
    return f"{operator.name} (last {operator.keep_last} shown)" if operator.keep_last else operator.name


def _retention(policy: Policy) -> None:
    if not policy.retention:
        return
    table = Table(title="retention", title_justify="left", box=None, padding=(0, 2))
    for heading in ("class", "for", "ends by", "basis", "owner"):
        table.add_column(heading)
    for name, rule in policy.retention.items():
        table.add_row(name, rule.written or str(rule.duration), rule.mechanism, rule.basis, rule.owner)
    console().print(table)


def _rest(policy: Policy, now: datetime) -> None:
    for name, rule in sorted(policy.recognizers.items()):
        words = f", after {', '.join(rule.context)} {rule.context_score:g}" if rule.context else ""
        out(f"recognizer {name}: {rule.score:g}{words}")
    if policy.phone_regions:
        out(f"phone regions: {', '.join(policy.phone_regions)}")
    for name, level in sorted(policy.sensitivity.items()):
        out(f"sensitivity {name}: {level.name.lower()}")
    for signature in policy.signatures:
        out(f"signature {signature.name}: {signature.score:g}")
    for exception in policy.exceptions:
        state = "until" if exception.live(now) else "ENDED"
        out(
            f"exception {exception.id}: {exception.control} for {exception.feature}, {state} "
            f"{exception.expires.isoformat()}, approved by {exception.approved_by}: {exception.reason}"
        )
