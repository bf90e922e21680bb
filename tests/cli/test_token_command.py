"""``aiguard token``, as an operator uses it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from aiguard.cli import main
from aiguard.db import make_engine, writing
from aiguard.identity.tokens import is_token

POLICY = """
[features.support-reply]
scope = "support:reply"
owner = "support-platform"
models = ["openai:gpt-5-mini"]

[service_tokens]
max_lifetime = "180d"
"""
REPLY = ("--service", "nightly-batch", "--scope", "support:reply")


@pytest.fixture
def state(tmp_path, monkeypatch):
    """A development set-up in a directory of its own."""
    for name in ("AIGUARD_DATABASE_URL", "AIGUARD_KEYS", "AIGUARD_KEYS_FILE", "AIGUARD_KEY_FILE", "AIGUARD_POLICY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "development")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "aiguard.toml").write_text(POLICY)
    run("db", "upgrade")
    return tmp_path


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [*arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def create(*arguments):
    return json.loads(run("token", "create", *REPLY, "--json", *arguments).stdout)


def rows(*arguments):
    return json.loads(run("token", "list", "--json", *arguments).stdout)


def at(row, name="expires_at"):
    return datetime.fromisoformat(row[name])


def test_the_token_alone_is_on_standard_output(state):
    result = run("token", "create", *REPLY)
    assert is_token(result.stdout.removesuffix("\n"))
    assert "shown this once" in result.stderr
    assert result.stdout.strip() not in result.stderr


def test_a_token_is_never_shown_again(state):
    made = create()
    for command in (
        ["token", "list"],
        ["token", "list", "--json"],
        ["audit", "tail", "-n", "50"],
        ["audit", "tail", "--json", "--reason", "ticket 7"],
    ):
        assert made["token"][21:60] not in run(*command).output


@pytest.mark.parametrize(
    ("written", "days"),
    [("30d", 30), ("2w", 14), ("12h", 0.5), ("P30D", 30), (None, 90)],
)
def test_an_expiry_may_be_a_duration(state, written, days):
    made = create(*(() if written is None else ("--expires", written)))
    assert abs(at(made) - datetime.now(UTC) - timedelta(days=days)) < timedelta(minutes=1)


def test_an_expiry_may_be_a_date_or_a_time(state):
    day = (datetime.now(UTC) + timedelta(days=20)).date()
    assert at(create("--expires", day.isoformat())) == datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert at(create("--expires", f"{day}T12:30:00+02:00")) == datetime(
        day.year, day.month, day.day, 10, 30, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*REPLY, "--expires", "soon"], "--expires is neither a duration"),
        ([*REPLY, "--expires", "2027-13-01"], "--expires is neither a duration"),
        ([*REPLY, "--expires", "2027-01-01T12:00:00"], "--expires is neither a duration"),
        ([*REPLY, "--expires", "2020-01-01"], "name a later expiry"),
        ([*REPLY, "--expires", "181d"], "180 days"),
        ([*REPLY, "--expires", "9999999d"], "--expires is neither a duration"),
        ([*REPLY, "--not-before", "100d", "--expires", "50d"], "name a later expiry"),
        (["--service", "Jane Doe", "--scope", "support:reply"], "lower-case letters"),
        (["--service", "batch", "--scope", "a b"], "scope"),
    ],
)
def test_what_cannot_be_is_one_clear_line_and_makes_nothing(state, arguments, said):
    result = run("token", "create", *arguments, code=1)
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert result.stdout == ""
    assert rows("--all") == []


def test_a_scope_that_no_feature_has_is_pointed_out(state):
    result = run("token", "create", "--service", "batch", "--scope", "support:replay")
    assert 'did you mean "support:reply"?' in result.stderr


def test_the_list_shows_what_is_good_and_all_of_it_when_asked(state):
    first, second = create(), create("--tenant", "acme", "--not-before", "10d")
    run("token", "revoke", first["id"])
    assert [row["id"] for row in rows()] == [second["id"]]
    assert [row["state"] for row in rows("--all")] == ["revoked", "pending"]
    assert rows("--service", "other", "--all") == []
    shown = run("token", "list", "--all").stdout
    assert first["id"] in shown
    assert "acme" in shown
    assert "support:reply" in shown
    run("token", "revoke", "--service", "nightly-batch")
    assert "--all" in run("token", "list").stdout


def test_a_token_is_replaced_with_an_overlap_and_by_default_for_as_long_as_before(state):
    old = create("--expires", "40d")
    new = json.loads(run("token", "rotate", old["id"], "--overlap", "24h", "--json").stdout)
    assert new["replaces"] == old["id"]
    assert abs(at(new) - at(old)) < timedelta(minutes=1)
    (before,) = [row for row in rows() if row["id"] == old["id"]]
    assert abs(at(before) - datetime.now(UTC) - timedelta(hours=24)) < timedelta(minutes=1)
    run("token", "rotate", new["id"], "--overlap", "0")
    assert [row["state"] for row in rows("--all")] == ["active", "expired", "active"]


def test_the_one_token_of_a_service_can_be_replaced_without_naming_it(state):
    old = create()
    assert "no token" in run("token", "rotate", "--service", "other", code=1).stderr
    new = json.loads(run("token", "rotate", "--service", "nightly-batch", "--json").stdout)
    assert new["replaces"] == old["id"]
    refused = run("token", "rotate", "--service", "nightly-batch", code=1).stderr
    assert old["id"] in refused
    assert new["id"] in refused
    assert "which token" in run("token", "rotate", code=1).stderr


@pytest.mark.parametrize("overlap", ["-1h", "soon", "1.5h"])
def test_an_overlap_that_cannot_be_is_refused(state, overlap):
    made = create()
    run("token", "rotate", made["id"], f"--overlap={overlap}", code=1)
    assert len(rows()) == 1


def test_revoking_needs_to_be_told_what_and_says_what_it_did(state):
    made = create()
    assert "which token" in run("token", "revoke", code=1).stderr
    assert "which token" in run("token", "revoke", made["id"], "--service", "nightly-batch", code=1).stderr
    assert "no such token" in run("token", "revoke", "aig_0000000000000000", code=1).stderr
    assert "no such token" in run("token", "revoke", "--service", "other", code=1).stderr
    assert run("token", "revoke", made["id"]).stdout == f"revoked {made['id']}\n"
    assert "before" in run("token", "revoke", made["id"]).stdout


def test_whoever_pastes_a_whole_token_learns_its_id_and_does_not_see_it_again(state):
    made = create()
    result = run("token", "revoke", made["token"], code=1)
    assert "revoke it" in result.stderr
    assert made["token"][21:60] not in result.output


def test_a_damaged_row_does_not_hide_the_others_and_can_be_revoked(state):
    damaged, whole = create(), create()
    engine = make_engine("sqlite:///.aiguard/aiguard.db")
    with writing(engine) as connection:
        connection.execute(
            text("UPDATE aiguard_service_tokens SET sealed = zeroblob(80) WHERE id = :id"), {"id": damaged["id"]}
        )
    engine.dispose()
    assert {row["id"]: row["state"] for row in rows()} == {damaged["id"]: "damaged", whole["id"]: "active"}
    assert "damaged" in run("token", "list").stdout
    run("token", "rotate", damaged["id"], code=1)
    assert run("token", "revoke", damaged["id"]).stdout == f"revoked {damaged['id']}\n"


def test_the_story_of_a_token_can_be_told(state):
    made = create()
    event = json.loads(run("audit", "tail", "--json").stdout.splitlines()[-1])
    told = run("explain", event["decision_id"]).output
    assert "A service token was made for a service" in told
    for said in (made["id"], "nightly-batch", "support:reply", made["expires_at"]):
        assert said in told
