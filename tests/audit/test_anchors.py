"""Anchors in a directory: what they refuse, and what a signer that starts reads from them."""

from __future__ import annotations

import pytest
from tests.audit.test_verify import NOW, SIGNER, newest, tamper
from tests.support import records as r

from aiguard.audit.checkpoint import Checkpoint, issue
from aiguard.audit.keeper import AnchorContradicts, AnchorFailed, DirectoryAnchor, Keeper
from aiguard.audit.note import make_signer
from aiguard.audit.signing import Head
from aiguard.errors import IntegrityError

NEW = make_signer("example.com/log", b"n" * 32)


def head(root, *signers, size=7):
    return Head(size=size, note=issue(Checkpoint(origin="example.com/log", size=size, root=root), signers))


def test_one_size_has_one_checkpoint_whoever_signed_it(tmp_path):
    anchor = DirectoryAnchor(directory=tmp_path)
    assert anchor.newest() is None
    first = head(b"a" * 32, SIGNER)
    for same in (first, first, head(b"a" * 32, SIGNER, NEW)):
        anchor(same)
    anchor(head(b"c" * 32, SIGNER, size=1_000))
    with pytest.raises(AnchorContradicts, match="another checkpoint over 7 events"):
        anchor(head(b"b" * 32, SIGNER))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["000000000007.note", "000000001000.note"]
    assert (tmp_path / "000000000007.note").read_text(encoding="utf-8") == first.note
    assert anchor.newest() == head(b"c" * 32, SIGNER, size=1_000)
    with pytest.raises(AnchorFailed):
        DirectoryAnchor(directory=tmp_path / "gone")(first)


@pytest.mark.parametrize("backend", ["sqlite"])
def test_a_signer_that_starts_does_not_sign_a_log_that_was_put_back(engine, writer, tmp_path):
    anchors = [DirectoryAnchor(directory=tmp_path)]

    def keeper(*signers):
        return Keeper(engine, signers or (SIGNER,), trusted=[SIGNER.verifier], anchors=anchors, clock=lambda: NOW)

    writer.commit([r.event(at=NOW) for _ in range(30)]).result(60)
    keeper().sign()
    old = newest(engine)
    writer.commit([r.event(at=NOW) for _ in range(5)]).result(60)
    keeper(SIGNER, NEW).sign()
    keeper().sign()
    tamper(
        engine,
        "DELETE FROM aiguard_audit_checkpoints WHERE size > 30",
        "DELETE FROM aiguard_audit_payloads WHERE seq >= 30",
        "DELETE FROM aiguard_audit_events WHERE seq >= 30",
        "UPDATE aiguard_audit_logs SET size = 30",
    )
    starts = keeper()
    for _ in range(2):  # and not at the second try either
        with pytest.raises(IntegrityError, match="30 events and the anchor's newest checkpoint commits to 35"):
            starts.sign()
    writer.commit([r.event(at=NOW) for _ in range(9)]).result(60)
    with pytest.raises(IntegrityError, match="not the one that the anchor's newest checkpoint commits to"):
        starts.sign()
    assert newest(engine) == old
    (tmp_path / "000000000035.note").write_text("cut", encoding="utf-8")
    with pytest.raises(IntegrityError, match="the anchor's newest checkpoint cannot be trusted"):
        starts.sign()
