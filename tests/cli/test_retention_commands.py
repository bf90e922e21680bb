"""Retention, holds and requests of people at the command line, as whoever answers for them uses it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner
from tests.support import records as r

from aiguard import audit, retention, store
from aiguard.cli import main
from aiguard.db import Writer, make_engine
from aiguard.identity import named
from aiguard.retention import ledger
from aiguard.store import KeyStore, MasterKeyRing, SubjectKeyRing, load_or_create_key_file
from aiguard.types import Actor, Record, utc_now

DAY = timedelta(days=1)
RULE = 'basis = "GDPR Art. 6(1)(f)"\nmechanism = "delete"\nowner = "privacy-office"\n'
POLICY = f"""
[features.support-reply]
scope = "support:reply"
owner = "support-platform"
models = ["openai:gpt-5-mini"]
keep = {{ prompt = "redacted" }}

[retention.prompt]
duration = "30d"
backup_ttl = "35d"
{RULE}
[retention.audit_payload]
duration = "400d"
backup_ttl = "35d"
{RULE}
"""


@pytest.fixture
def state(tmp_path, monkeypatch):
    """A development set-up in a directory of its own, as settings find it."""
    for name in ("AIGUARD_DATABASE_URL", "AIGUARD_KEYS", "AIGUARD_KEYS_FILE", "AIGUARD_KEY_FILE", "AIGUARD_POLICY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AIGUARD_ENVIRONMENT", "development")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "aiguard.toml").write_text(POLICY)
    run("db", "upgrade")
    return tmp_path


class Application:
    """Commits records as a running application does."""

    def __init__(self) -> None:
        self.engine = make_engine("sqlite:///.aiguard/aiguard.db")
        self.master = MasterKeyRing(load_or_create_key_file(".aiguard/master.key"))
        self.people = SubjectKeyRing(self.master, self.master, KeyStore(self.engine, apart=False))
        self.writer = Writer(self.engine, self.people, {**audit.MAPPERS, **store.MAPPERS})

    def __call__(self, *records: Record) -> None:
        for start in range(0, len(records), 200):
            self.writer.commit(records[start : start + 200]).result(10)

    def names(self, id: str) -> dict[str, str]:
        return named(self.master.pseudonym, Actor(id=id), id)

    def close(self) -> None:
        self.writer.close()
        self.engine.dispose()


@pytest.fixture
def keep(state):
    application = Application()
    yield application
    application.close()


def run(*arguments, code=0, **options):
    result = CliRunner().invoke(main, [*arguments], **options)
    assert result.exit_code == code, result.output
    return result


def expired(count=1, **changes):
    return [r.artifact(expires_at=utc_now() - DAY, **changes) for _ in range(count)]


def left(keep):
    return r.scalars(keep.engine, "SELECT count(*) FROM aiguard_artifacts")[0]


class TestPrune:
    def test_a_plan_is_applied_by_its_hash_and_refused_when_anything_changed(self, keep):
        keep(*expired(3), r.artifact(expires_at=utc_now() + DAY))
        planned = json.loads(run("prune", "--json").output)
        assert (planned["expired"], planned["staying"], left(keep)) == (3, 1, 4)
        assert planned["plan"] in run("prune", "--apply", "--plan", planned["plan"], "--json").output or left(keep) == 1
        assert left(keep) == 1
        assert "no longer what was planned" in run("prune", "--apply", "--plan", planned["plan"], code=1).output

    def test_the_swap_of_one_row_for_a_like_one_is_drift(self, keep):
        moment = utc_now() - DAY
        keep(r.artifact(expires_at=moment), r.artifact(expires_at=moment))
        token = json.loads(run("prune", "--json").output)["plan"]
        with keep.engine.begin() as connection:
            connection.exec_driver_sql(
                "DELETE FROM aiguard_artifacts WHERE id IN (SELECT id FROM aiguard_artifacts LIMIT 1)"
            )
        keep(r.artifact(expires_at=moment))
        assert "no longer" in run("prune", "--apply", "--plan", token, code=1).output
        assert left(keep) == 2

    def test_what_was_kept_under_other_rules_waits_for_its_new_time(self, keep, state):
        keep(*expired(2, retention_hash="sha256:" + "0" * 64, created_at=utc_now() - 10 * DAY))
        assert "2 more wait" in run("prune").output
        run("prune", "--apply")
        assert left(keep) == 2
        run("run-due")
        assert left(keep) == 2
        (state / "aiguard.toml").write_text(POLICY.replace('"30d"', '"9d"'))
        run("prune", "--apply")
        assert left(keep) == 2
        assert "changed 2" in run("run-due").output
        run("prune", "--apply")
        assert left(keep) == 0

    def test_a_hash_that_is_none_deletes_nothing(self, keep):
        keep(*expired())
        assert "not a plan's hash" in run("prune", "--apply", "--plan", "abc", code=1).output
        assert left(keep) == 1

    def test_more_than_half_needs_the_number(self, keep, monkeypatch):
        monkeypatch.setattr("aiguard.retention.planning.SWEEPING_ROWS", 10)
        keep(*expired(12), r.artifact(expires_at=utc_now() + DAY))
        told = run("prune").output
        assert "--confirm 12" in told
        refused = run("prune", "--apply", code=1).output
        assert "--confirm 12" in refused
        assert "nothing was deleted" in " ".join(refused.split())
        assert "not 11" in run("prune", "--apply", "--confirm", "11", code=1).output
        assert left(keep) == 13
        assert "deleted 12" in run("prune", "--apply", "--confirm", "12").output

    @pytest.mark.parametrize("said", [("--confirm", "1"), ("--plan", "abc"), ("--ids", "ids.jsonl")])
    def test_what_only_counts_for_a_deletion_is_not_taken_in_silence_for_a_look(self, keep, said):
        keep(*expired())
        assert f"{said[0]} is for --apply" in run("prune", *said, code=2).output

    def test_a_number_that_is_wrong_deletes_nothing_however_few_there_are(self, keep):
        keep(*expired(2))
        assert "not 3" in run("prune", "--apply", "--confirm", "3", code=1).output
        assert left(keep) == 2

    def test_what_is_held_stays_and_is_counted(self, keep):
        keep(*expired(2, feature="search-summary"), *expired(1))
        arguments = ("--matter", "M-7", "--custodian", "legal", "--review", "90d", "--by", "ann")
        placed = json.loads(run("hold", "place", "--feature", "search-summary", *arguments, "--json").output)
        assert placed["covers"] == 2
        assert "2 of them have expired and are held" in run("prune").output
        run("prune", "--apply")
        assert left(keep) == 2
        assert "another person" in run("hold", "release", placed["id"], "--by", "Ann", code=1).output
        run("hold", "release", placed["id"], "--by", "bob")
        run("prune", "--apply")
        assert left(keep) == 0

    def test_a_certificate_proves_the_deletion_to_somebody_with_a_public_key_only(self, keep, state):
        keep(*expired(3), *expired(2, data_class="output"))
        done = json.loads(run("prune", "--apply", "--ids", "ids.jsonl", "--json").output)
        assert json.loads(run("retention", "certificate", done["run_id"]).output)["covered"] is False
        run("audit", "checkpoint")
        (state / "c.json").write_text(run("retention", "certificate", done["run_id"]).output)
        said = json.loads((state / "c.json").read_text())
        assert (said["deleted"], said["by_class"], said["completed"]) == (5, {"output": 2, "prompt": 3}, True)
        checked = json.loads(run("retention", "verify-certificate", "c.json", "--ids", "ids.jsonl").output)
        assert (checked["deleted"], checked["ids_checked"]) == (5, True)
        for change in (
            {"deleted": 6},
            {"by_class": {"prompt": 5}},
            {"events": said["events"][1:]},
            {"events": said["events"] + said["events"][:1]},
            {"run": "prn_other"},
            {"completed": False},
            {"events": said["events"][:-1]},
            {"events": [], "deleted": 0, "by_class": {}, "first_expired": None, "last_expired": None},
        ):
            (state / "f.json").write_text(json.dumps({**said, **change}))
            run("retention", "verify-certificate", "f.json", code=3)
        forged = json.loads(json.dumps(said))
        forged["events"][0]["payload"]["count"] += 1
        (state / "f.json").write_text(json.dumps(forged))
        assert "commits to" in run("retention", "verify-certificate", "f.json", code=3).output
        ids = (state / "ids.jsonl").read_text()
        (state / "ids.jsonl").write_text(ids.replace("art_", "art-", 1))
        assert "batch 1" in run("retention", "verify-certificate", "c.json", "--ids", "ids.jsonl", code=3).output
        run("retention", "certificate", "prn_none", code=1)

    def test_a_list_of_ids_is_never_written_over_a_file(self, keep, state):
        keep(*expired())
        (state / "ids.jsonl").write_text("precious")
        assert "nothing was deleted" in run("prune", "--apply", "--ids", "ids.jsonl", code=1).output
        assert (left(keep), (state / "ids.jsonl").read_text()) == (1, "precious")


class TestRunDue:
    def test_what_is_due_is_done_once_and_told(self, keep):
        keep(*expired(2))
        first = json.loads(run("run-due", "--json").output)["jobs"]
        assert {each["job"]: each["state"] for each in first} == dict.fromkeys(
            ("recompute", "prune", "vault", "payloads"), "done"
        )
        assert left(keep) == 0
        assert "nothing is due" in run("run-due").output
        told = [json.loads(line) for line in run("retention", "runs", "--job", "prune", "--json").output.splitlines()]
        assert [(each["state"], each["attempts"], each["outcome"]["deleted"]) for each in told] == [("done", 1, 2)]

    def test_a_job_that_fails_is_told_with_what_to_do_and_exit_1(self, keep, monkeypatch):
        monkeypatch.setattr("aiguard.retention.planning.SWEEPING_ROWS", 1)
        keep(*expired(2))
        told = run("run-due", code=1).output
        assert "prune" in told
        assert "--confirm" in told
        assert left(keep) == 2
        assert "failed" in run("retention", "runs").output

    def test_a_policy_that_cannot_be_enforced_does_nothing(self, keep, state):
        keep(*expired())
        for wrong in (POLICY.replace('"30d"', '"0d"'), POLICY.replace("retention.prompt", "retention.prompts")):
            (state / "aiguard.toml").write_text(wrong)
            assert "aiguard.toml" in run("run-due", code=1).output
        assert left(keep) == 1
        assert ledger.runs(keep.engine) == []


class TestTheMatrix:
    def test_it_says_what_is_kept_how_long_and_why_in_three_forms(self, state):
        (row, _) = json.loads(run("retention", "matrix", "--format", "json").output)
        assert (row["data_class"], row["duration"], row["kept_by"], row["owner"], row["backup_ttl"]) == (
            "prompt",
            "30d",
            ["support-reply"],
            "privacy-office",
            "35d",
        )
        lines = run("retention", "matrix", "--format", "markdown").output.splitlines()
        assert len(lines) == 4
        assert all(line.count("|") == lines[0].count("|") for line in lines)
        assert "GDPR Art. 6(1)(f)" in run("retention", "matrix").output

    def test_overrides_stand_before_what_they_take_from_and_a_class_without_a_rule_shows(self, state):
        extra = f'[[retention.overrides]]\ndata_class = "prompt"\nsensitivity = "restricted"\nduration = "7d"\n{RULE}'
        without = POLICY.replace(
            "[retention.audit_payload]", '[[retention.overrides]]\ndata_class = "prompt"\ntenant = "a|b"'
        )
        (state / "aiguard.toml").write_text(without + extra)
        rows = json.loads(run("retention", "matrix", "--format", "json").output)
        assert [(row["data_class"], row["applies_to"]) for row in rows] == [
            ("prompt", "tenant=a|b"),
            ("prompt", "sensitivity>=restricted"),
            ("prompt", "everything else"),
        ]
        assert "a\\|b" in run("retention", "matrix", "--format", "markdown").output

    def test_lint_is_silent_about_a_whole_policy_and_speaks_of_each_gap(self, state):
        run("retention", "lint")
        gaps = {
            POLICY.replace("[retention.audit_payload]", "[retention.output]"): "kept for ever",
            POLICY.replace('backup_ttl = "35d"\n', "", 1): "backup_ttl",
            POLICY.replace('owner = "support-platform"', 'owner = "x"\nhigh_risk = true').replace('"400d"', '"90d"'): "six months",
            POLICY.replace('owner = "privacy-office"\n', "", 1): "owner",
            POLICY.replace('basis = "GDPR Art. 6(1)(f)"\n', "", 1): "basis",
            POLICY.replace('"30d"', '"30d"\nfloor = "60d"\ncap = "40d"'): "floor is above cap",
        }  # fmt: skip
        for policy, word in gaps.items():
            (state / "aiguard.toml").write_text(policy)
            assert word in run("retention", "lint", code=1).output

    def test_status_is_for_people_programs_and_prometheus(self, keep):
        keep(*expired(2))
        assert json.loads(run("retention", "status", "--json").output)["overdue"] == 2
        assert "never" in run("retention", "status").output
        run("run-due")
        told = run("retention", "status", "--prometheus").output
        assert "aiguard_retention_overdue 0" in told
        assert "aiguard_retention_last_prune_timestamp_seconds" in told


class TestPeople:
    def test_a_person_gets_what_is_kept_and_then_is_forgotten(self, keep, state):
        keep(r.artifact(content="jane's own", **keep.names("jane")), r.artifact(content="tom's", **keep.names("tom")))
        data = json.loads(run("subject", "export", "jane").output)
        assert [each["content"] for each in data["artifacts"]] == ["jane's own"]
        run("subject", "export", "-", "--out", "jane.json", input="jane\n")
        assert (state / "jane.json").stat().st_mode & 0o777 == 0o600
        assert "never written over" in run("subject", "export", "jane", "--out", "jane.json", code=1).output
        assert "1 artifacts" in run("subject", "erase", "jane", "--dry-run").output
        assert left(keep) == 2
        done = json.loads(run("subject", "erase", "jane", "--json").output)
        assert (done["state"], done["counts"]["artifacts"], left(keep)) == ("pending", 1, 1)
        assert done["pending_until"] is not None
        for command in (["erase"], ["export"]):
            assert "Nothing is kept" in run("subject", *command, "jane", code=1).output
        assert done["id"] in run("subject", "erasures", "--open").output
        assert "completed" in run("subject", "confirm", done["id"], "backups").output
        assert "jane" not in run("subject", "erasures").output
        assert run("subject", "erasures", "--open").output == ""

    def test_a_hold_on_a_person_stands_against_their_erasure(self, keep):
        keep(r.artifact(**keep.names("jane")))
        arguments = ("--matter", "M-7", "--custodian", "legal", "--review", "2999-01-01", "--by", "ann")
        id = json.loads(run("hold", "place", "--subject", "jane", *arguments, "--json").output)["id"]
        told = run("subject", "erase", "jane", code=3).output
        assert "legal hold" in told
        assert left(keep) == 1
        run("hold", "release", id, "--by", "bob")
        run("run-due")
        assert left(keep) == 0
        assert retention.find_person(keep.people, "jane").names == {}

    def test_holds_are_listed_and_a_late_review_is_pointed_out(self, keep, monkeypatch):
        keep(*expired())
        place = ("hold", "place", "--matter", "M-7", "--custodian", "legal", "--review", "1d")
        assert "select something" in run(*place, code=1).output
        run(*place, "--everything")
        run(*place, "--review", "soon", "--everything", code=2)
        assert "covers 1 artifacts" in run("hold", "list").output
        later = utc_now() + 2 * DAY
        monkeypatch.setattr("aiguard.cli.hold.utc_now", lambda: later)
        assert "should have been reviewed" in run("hold", "list").output

    def test_an_erasure_has_a_certificate_too(self, keep, state):
        keep(r.artifact(**keep.names("jane")), r.event(**keep.names("jane")))
        id = json.loads(run("subject", "erase", "jane", "--json").output)["id"]
        run("audit", "checkpoint")
        (state / "c.json").write_text(run("retention", "certificate", id).output)
        assert json.loads(run("retention", "verify-certificate", "c.json").output)["deleted"] == 1
