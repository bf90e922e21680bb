"""Who may see what was kept: a scope for each class, a reason, their own tenant, and a record before anything is shown."""

from __future__ import annotations

import json
import re
import traceback
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from tests.support import records as r
from tests.support.guards import JANE, Model, user

from aiguard import audit
from aiguard.db import writing
from aiguard.errors import (
    AccessDenied,
    ConfigurationError,
    ContentBlocked,
    ControlFailed,
    IntegrityError,
    NotAuthenticated,
    StoreError,
)
from aiguard.types import Actor

MAIL = "jane.roe@example.org"
TOKEN = re.compile(r"\[EMAIL_[0-9A-Z]{10,}\]")
WHY = "Ticket OPS-17: the customer asked what was sent."
READER = Actor(id="rita", tenant="acme", scopes=frozenset({"artifact:read:prompt", "artifact:read:output"}))
OFFICER = Actor(id="olga", tenant="acme", scopes=frozenset({"vault:reveal"}))
SECOND = Actor(id="sven", tenant="acme", scopes=frozenset({"vault:reveal", "vault:approve"}))
MORE = """
[retention.eval]
duration = "2d"
basis = "consent"
mechanism = "delete"
owner = "quality"

[retention.embedding]
duration = "2d"
basis = "consent"
mechanism = "delete"
owner = "quality"
"""


def exchange(guard, message=f"write to {MAIL}", answer="done", *, actor=JANE, conversation="c1"):
    """One exchange: its decision id, and the token that was sent."""
    model = Model(answer)
    with guard.acting_as(actor, scope="support:reply", conversation=conversation) as access:
        guard.call(model, user(message), model="local:small")
        parent = access.decision_id
    found = TOKEN.findall(json.dumps(model.received[0][0]))
    return parent, found[0] if found else ""


def events(guard, engine, *types):
    return [event for event in audit.tail(engine, guard.keys, limit=200) if event.type in types]


def decision_of(engine):
    return r.scalars(engine, "SELECT decision_id FROM aiguard_artifacts ORDER BY created_at DESC LIMIT 1")[0]


class TestReading:
    def test_whoever_has_the_scopes_reads_it_and_that_is_on_record(self, worker, engine):
        guard = worker()
        exchange(guard)
        read = guard.artifacts.read(READER, WHY, decision_id=decision_of(engine))
        assert [each.data_class for each in read] == ["prompt", "output"]
        assert "done" in read[1].content
        (event,) = events(guard, engine, "artifact.read")
        assert event.payload["classes"] == {"prompt": 1, "output": 1}
        assert event.payload["artifacts"] == [each.id for each in read]
        assert event.payload["note"] == WHY
        assert event.subject == read[0].subject
        assert event.actor == guard.recorded_names(READER, None)["actor"]

    def test_what_is_about_a_person_is_found_by_the_applications_id(self, worker):
        guard = worker()
        exchange(guard)
        exchange(guard, "hello", actor=replace(JANE, id="john"))
        assert len(guard.artifacts.read(READER, WHY, subject="jane")) == 2
        assert guard.artifacts.read(READER, WHY, subject="nobody") == []
        assert len(guard.artifacts.read(READER, WHY, subject="jane", data_class="prompt")) == 1

    @pytest.mark.parametrize(
        ("actor", "error"),
        [
            (None, NotAuthenticated),
            (replace(READER, scopes=frozenset()), AccessDenied),
            (replace(READER, scopes=frozenset({"artifact:read:output"})), AccessDenied),
            (replace(READER, scopes=frozenset({"artifact:read:eval"})), AccessDenied),
        ],
        ids=["nobody", "no scope", "one class of two", "another class"],
    )
    def test_others_read_nothing_and_that_is_on_record(self, worker, engine, actor, error):
        guard = worker()
        exchange(guard)
        with pytest.raises(error) as refused:
            guard.artifacts.read(actor, WHY, decision_id=decision_of(engine))
        (event,) = events(guard, engine, "artifact.refused")
        assert event.decision_id == refused.value.decision_id
        assert events(guard, engine, "artifact.read") == []

    @pytest.mark.parametrize("tenant", ["other", None])
    def test_another_tenant_finds_nothing(self, worker, engine, tenant):
        guard = worker()
        exchange(guard)
        reader = replace(READER, tenant=tenant)
        assert guard.artifacts.read(reader, WHY, decision_id=decision_of(engine)) == []
        assert guard.artifacts.read(reader, WHY, subject="jane") == []

    def test_what_is_over_is_not_read_even_before_it_is_pruned(self, worker, engine, clock):
        guard = worker()
        exchange(guard)
        clock.ahead = timedelta(days=8)  # outputs are kept for 7 days, prompts for 30
        read = guard.artifacts.read(READER, WHY, decision_id=decision_of(engine))
        assert [each.data_class for each in read] == ["prompt"]

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 401, None])
    def test_without_a_reason_nothing_is_read(self, worker, engine, reason):
        guard = worker()
        exchange(guard)
        with pytest.raises(ConfigurationError, match="reason"):
            guard.artifacts.read(READER, reason, decision_id=decision_of(engine))

    def test_a_reason_that_holds_personal_data_is_refused_and_shows_nothing(self, worker, engine):
        guard = worker()
        exchange(guard)
        with pytest.raises(StoreError) as refused:
            guard.artifacts.read(READER, f"asked by {MAIL}", decision_id=decision_of(engine))
        assert MAIL not in str(refused.value)

    def test_a_read_that_cannot_be_recorded_shows_nothing(self, worker, engine):
        guard = worker(settings={"store_timeout_seconds": 1.0})
        exchange(guard)
        decision = decision_of(engine)
        with writing(engine) as connection:
            connection.execute(text("ALTER TABLE aiguard_audit_payloads RENAME TO aiguard_elsewhere"))
        with pytest.raises(ControlFailed):
            guard.artifacts.read(READER, WHY, decision_id=decision)

    def test_everything_cannot_be_asked_for(self, worker):
        with pytest.raises(ConfigurationError, match="which artifacts"):
            worker().artifacts.read(READER, WHY)

    def test_a_row_that_was_moved_to_another_person_does_not_open(self, worker, engine):
        guard = worker()
        exchange(guard)
        exchange(guard, "hello", actor=replace(JANE, id="john"))
        john = guard.recorded_names(JANE, "john")["subject"]
        with writing(engine) as connection:
            connection.execute(text("UPDATE aiguard_artifacts SET subject = :john"), {"john": john})
        with pytest.raises(IntegrityError):
            guard.artifacts.read(READER, WHY, subject="john")


class TestKeeping:
    def test_an_application_keeps_evaluations_and_embeddings_beside_an_exchange(self, worker, engine):
        guard = worker(MORE)
        with guard.acting_as(JANE, scope="support:reply"):
            guard.artifacts.keep("eval", f"helpful: 4 of 5, said {MAIL}")
            id = guard.artifacts.keep("embedding", [0.5, -1, 2.25])
        reader = replace(READER, scopes=frozenset({"artifact:read:eval", "artifact:read:embedding"}))
        read = guard.artifacts.read(reader, WHY, subject="jane")
        assert [(each.data_class, each.retention, each.owner) for each in read] == [
            ("eval", "2d", "quality"),
            ("embedding", "2d", "quality"),
        ]
        assert read[0].content == "helpful: 4 of 5, said [REDACTED_EMAIL]"
        assert json.loads(read[1].content) == [0.5, -1.0, 2.25]
        assert [each.payload["artifacts"] for each in events(guard, engine, "artifact.kept")][-1] == [id]

    def test_what_policy_stops_is_not_kept(self, worker, engine):
        guard = worker(MORE)
        with guard.acting_as(JANE, scope="support:reply"), pytest.raises(ContentBlocked):
            guard.artifacts.keep("eval", "the key was AKIAIOSFODNN7EXAMPLQ")
        assert r.scalars(engine, "SELECT count(*) FROM aiguard_artifacts") == [0]
        assert len(events(guard, engine, "artifact.refused")) == 1

    def test_what_cannot_be_looked_at_is_not_kept_and_not_quoted(self, worker, engine):
        class Broken:
            types = frozenset({"EMAIL_ADDRESS"})

            def detect(self, text, *, context=""):
                raise RuntimeError(f"cannot look at {text}")

        guard = worker(MORE, detector=Broken())
        with guard.acting_as(JANE, scope="support:reply"), pytest.raises(ControlFailed) as refused:
            guard.artifacts.keep("eval", f"said {MAIL}")
        assert MAIL not in "".join(traceback.format_exception(refused.value))
        assert refused.value.reasons[0].code == "control.failed"
        assert [each.payload["reasons"] for each in events(guard, engine, "artifact.refused")] == [["control.failed"]]

    @pytest.mark.parametrize(
        ("data_class", "content"),
        [
            ("metadata", "{}"),
            ("audit_payload", "x"),
            ("nonsense", "x"),
            ("eval", [1.0]),
            ("embedding", "123"),
            ("embedding", []),
            ("embedding", [float("nan")]),
            ("embedding", ["jane"]),
            ("embedding", None),
        ],
    )
    def test_what_no_rule_covers_or_is_not_of_its_class_is_refused(self, worker, data_class, content):
        guard = worker(MORE)
        with guard.acting_as(JANE, scope="support:reply"), pytest.raises(ConfigurationError):
            guard.artifacts.keep(data_class, content)

    def test_without_an_access_nothing_is_kept(self, worker):
        with pytest.raises(ConfigurationError, match="acting_as"):
            worker(MORE).artifacts.keep("eval", "fine")


class TestRevealing:
    def test_a_value_is_shown_to_whoever_may_see_it_and_that_is_on_record(self, worker, engine):
        guard = worker()
        _, token = exchange(guard)
        assert worker().reveal(token, OFFICER, WHY) == MAIL
        (event,) = events(guard, engine, "vault.revealed")
        assert event.payload["type"] == "EMAIL_ADDRESS"
        assert event.payload["note"] == WHY
        assert event.subject == guard.recorded_names(JANE, "jane")["subject"]
        assert MAIL not in str(event)

    @pytest.mark.parametrize(
        ("actor", "error"),
        [
            (None, NotAuthenticated),
            (JANE, AccessDenied),
            (replace(OFFICER, tenant="other"), AccessDenied),
            (replace(OFFICER, tenant=None), AccessDenied),
        ],
        ids=["nobody", "no scope", "another tenant", "no tenant"],
    )
    def test_others_are_shown_nothing_and_that_is_on_record(self, worker, engine, actor, error):
        guard = worker()
        _, token = exchange(guard)
        with pytest.raises(error) as refused:
            guard.reveal(token, actor, WHY)
        assert MAIL not in str(refused.value)
        assert len(events(guard, engine, "vault.refused")) == 1

    @pytest.mark.parametrize("token", ["", "EMAIL", "[EMAIL_AAAAAAAAAA]", f"[{'A' * 60}]", "[EMAIL_%%%%%%%%%%]", None])
    def test_what_is_no_token_of_this_tenant_is_refused(self, worker, engine, token):
        guard = worker()
        exchange(guard)
        with pytest.raises(AccessDenied):
            guard.reveal(token, OFFICER, WHY)
        assert len(events(guard, engine, "vault.refused")) == 1

    def test_a_token_with_another_label_is_not_that_token(self, worker):
        guard = worker()
        _, token = exchange(guard)
        with pytest.raises(AccessDenied):
            guard.reveal(token.replace("EMAIL", "PHONE"), OFFICER, WHY)

    def test_a_value_whose_time_is_over_is_not_shown(self, worker, clock):
        guard = worker()
        _, token = exchange(guard)
        clock.ahead = timedelta(hours=25)
        with pytest.raises(AccessDenied):
            guard.reveal(token, OFFICER, WHY)

    def test_a_reveal_that_cannot_be_recorded_shows_nothing(self, worker, engine):
        guard = worker(settings={"store_timeout_seconds": 1.0})
        _, token = exchange(guard)
        with writing(engine) as connection:
            connection.execute(text("ALTER TABLE aiguard_audit_payloads RENAME TO aiguard_elsewhere"))
        with pytest.raises(ControlFailed):
            guard.reveal(token, OFFICER, WHY)


FOUR_EYES = "[vault]\nfour_eyes = true\n"


class TestFourEyes:
    def test_a_second_persons_approval_shows_the_value_once(self, worker, engine):
        guard, other = worker(FOUR_EYES), worker(FOUR_EYES)
        _, token = exchange(guard)
        request = guard.request_reveal(token, OFFICER, WHY)
        other.approve_reveal(request, SECOND, "Looked at OPS-17.")
        assert other.reveal(token, OFFICER, WHY, request=request) == MAIL
        with pytest.raises(AccessDenied):
            guard.reveal(token, OFFICER, WHY, request=request)
        told = [each.type for each in events(guard, engine, "vault.requested", "vault.approved", "vault.revealed")]
        assert sorted(told) == ["vault.approved", "vault.requested", "vault.revealed"]

    def test_without_an_approval_nothing_is_shown(self, worker):
        guard = worker(FOUR_EYES)
        _, token = exchange(guard)
        request = guard.request_reveal(token, OFFICER, WHY)
        for id in (None, request, "rvl_nothing"):
            with pytest.raises(AccessDenied):
                guard.reveal(token, OFFICER, WHY, request=id)

    def test_nobody_approves_their_own_request(self, worker):
        guard = worker(FOUR_EYES)
        _, token = exchange(guard)
        request = guard.request_reveal(token, SECOND, WHY)
        with pytest.raises(AccessDenied, match="own"):
            guard.approve_reveal(request, SECOND, WHY)
        with pytest.raises(AccessDenied):
            guard.reveal(token, SECOND, WHY, request=request)

    @pytest.mark.parametrize("id", ["Sam", " sam", "s\u200bam", "ｓａｍ"])
    def test_the_same_person_under_another_spelling_is_no_second_one(self, worker, id):
        guard = worker(FOUR_EYES)
        _, token = exchange(guard)
        asking = replace(OFFICER, id="sam")
        request = guard.request_reveal(token, asking, WHY)
        with pytest.raises(AccessDenied, match="own"):
            guard.approve_reveal(request, replace(SECOND, id=id), WHY)
        guard.approve_reveal(request, SECOND, WHY)
        assert guard.reveal(token, asking, WHY, request=request) == MAIL

    def test_a_service_is_nobodys_second_person(self, worker):
        guard = worker(FOUR_EYES)
        _, token = exchange(guard)
        request = guard.request_reveal(token, OFFICER, WHY)
        with pytest.raises(AccessDenied, match="service"):
            guard.approve_reveal(request, replace(SECOND, kind="service"), WHY)

    def test_an_approval_is_for_one_person_and_one_value(self, worker):
        guard = worker(FOUR_EYES)
        _, token = exchange(guard)
        _, other = exchange(guard, "write to bo@example.org")
        request = guard.request_reveal(token, OFFICER, WHY)
        guard.approve_reveal(request, SECOND, WHY)
        with pytest.raises(AccessDenied):
            guard.reveal(token, SECOND, WHY, request=request)
        with pytest.raises(AccessDenied):
            guard.reveal(other, OFFICER, WHY, request=request)
        assert guard.reveal(token, OFFICER, WHY, request=request) == MAIL

    @pytest.mark.parametrize("approver", [OFFICER, replace(SECOND, tenant="other"), None])
    def test_who_may_not_approve_is_refused(self, worker, approver):
        guard = worker(FOUR_EYES)
        _, token = exchange(guard)
        request = guard.request_reveal(token, OFFICER, WHY)
        with pytest.raises((AccessDenied, NotAuthenticated)):
            guard.approve_reveal(request, approver, WHY)

    def test_a_request_stands_for_a_day(self, worker, clock):
        guard = worker(FOUR_EYES.replace("four_eyes", 'ttl = "9d"\nfour_eyes'))
        _, token = exchange(guard)
        request = guard.request_reveal(token, OFFICER, WHY)
        guard.approve_reveal(request, SECOND, WHY)
        clock.ahead = timedelta(hours=25)
        with pytest.raises(AccessDenied):
            guard.reveal(token, OFFICER, WHY, request=request)

    def test_an_approval_that_was_written_into_the_database_does_not_count(self, worker, engine):
        guard = worker(FOUR_EYES)
        _, token = exchange(guard)
        honest, forged = (guard.request_reveal(token, OFFICER, WHY) for _ in range(2))
        guard.approve_reveal(honest, SECOND, WHY)
        with writing(engine) as connection:
            copied = "(SELECT approval FROM aiguard_vault_requests WHERE id = :honest)"
            by = "(SELECT approved_by FROM aiguard_vault_requests WHERE id = :honest)"
            update = f"UPDATE aiguard_vault_requests SET approved_by = {by}, approval = {copied} WHERE id = :forged"
            connection.execute(text(update), {"honest": honest, "forged": forged})
        with pytest.raises(AccessDenied):
            guard.reveal(token, OFFICER, WHY, request=forged)
        with pytest.raises(AccessDenied) as refused:
            guard.approve_reveal(forged, SECOND, WHY)
        assert refused.value.reasons[0].code == "approval.forged"
        assert [each.payload["reasons"] for each in events(guard, engine, "vault.refused")] == [["approval.forged"]] * 2


class TestRestoringKeptText:
    def test_text_that_was_kept_with_tokens_is_shown_to_its_actor_in_another_process(self, worker):
        _, token = exchange(worker())
        late = worker()
        with late.acting_as(JANE, scope="support:reply", conversation="c1"):
            assert late.restore(f"I wrote to {token}.") == f"I wrote to {MAIL}."
        with late.acting_as(replace(JANE, id="john"), scope="support:reply", conversation="c1"):
            assert late.restore(f"I wrote to {token}.") == f"I wrote to {token}."
        with pytest.raises(ConfigurationError):
            late.restore(token)
