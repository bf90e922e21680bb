from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiguard.audit import note as notes
from aiguard.audit import verify_notes
from aiguard.audit.checkpoint import Checkpoint, issue, read, trust
from aiguard.audit.note import NoteRefused, Signer, make_signer, parse, read_signer, read_verifier, sign
from aiguard.errors import SettingsError

PETERS_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
"""The example of Go's golang.org/x/mod/sumdb/note (BSD-3-Clause): a note that another implementation signed."""


def signer(name: str = "example.com/log") -> Signer:
    return make_signer(name, bytes(range(32)))


def test_a_note_signed_by_another_implementation_is_accepted():
    verifier = read_verifier(PETERS_KEY)
    assert parse(PETERS_NOTE).signed_by([verifier]) == (verifier,)
    assert str(verifier) == PETERS_KEY


def test_a_changed_note_is_refused():
    verifier = read_verifier(PETERS_KEY)
    with pytest.raises(NoteRefused, match="is not that key's"):
        parse(PETERS_NOTE.replace("answer", "anwser")).signed_by([verifier])


@given(st.integers(0, len(PETERS_NOTE.encode()) - 1), st.integers(0, 255))
def test_no_byte_of_a_note_can_be_changed(position, value):
    data = bytearray(PETERS_NOTE.encode())
    if data[position] == value:
        return
    data[position] = value
    try:
        signed = parse(bytes(data)).signed_by([read_verifier(PETERS_KEY)])
    except NoteRefused:
        return
    assert signed == ()  # the name or the key's id was changed: nobody known signed it


@given(st.binary(max_size=300))
def test_anything_else_is_refused_or_written_back_as_it_was(data):
    try:
        note = parse(data)
    except NoteRefused:
        return
    assert str(note).encode() == data


@given(st.integers(0, 10**17), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_comes_back_as_it_was_signed(size, root):
    checkpoint = Checkpoint(origin="example.com/log", size=size, root=root)
    assert trust(issue(checkpoint, [signer()]), [signer().verifier], origin="example.com/log") == checkpoint


def test_two_keys_overlap_while_one_replaces_the_other():
    old, new = signer(), make_signer("example.com/log")
    note = issue(Checkpoint(origin="example.com/log", size=1, root=bytes(32)), [old, new])
    for known in ([old.verifier], [new.verifier], [old.verifier, new.verifier]):
        assert trust(note, known).size == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("example.com/log\n01\n" + "A" * 43 + "=\n", "size"),
        ("example.com/log\n1\nAAAA\n", "32 bytes"),
        ("example.com/log\n1\n" + "A" * 42 + "B=\n", "as the format writes it"),
        ("example.com/log\n1\n", "not a checkpoint"),
        ("example.com/log\n-1\n" + "A" * 43 + "=\n", "size"),
    ],
)
def test_what_is_signed_but_no_checkpoint_is_refused(text, why):
    with pytest.raises(NoteRefused, match=why):
        read(str(sign(text, [signer()])))


def test_a_checkpoint_of_another_log_or_key_is_not_trusted():
    note = issue(Checkpoint(origin="example.com/log", size=1, root=bytes(32)), [signer()])
    with pytest.raises(NoteRefused, match="another log"):
        trust(note, [signer().verifier], origin="example.com/other")
    with pytest.raises(NoteRefused, match="None of the known keys"):
        trust(note, [make_signer("example.com/log").verifier])
    stranger = issue(Checkpoint(origin="example.com/log", size=1, root=bytes(32)), [signer("example.com/other")])
    with pytest.raises(NoteRefused, match="None of the known keys"):
        trust(stranger, [signer("example.com/other").verifier])


@pytest.mark.parametrize("cut", [1, 10, 60, 100])
def test_a_truncated_note_is_refused(cut):
    note = issue(Checkpoint(origin="example.com/log", size=1, root=bytes(32)), [signer()])
    with pytest.raises(NoteRefused):
        trust(note[:-cut], [signer().verifier])


def test_a_signer_is_read_back_from_its_line_and_never_shown():
    line = signer().encode()
    assert read_signer(line + "\n") == signer()
    assert line.rsplit("+", 1)[1] not in repr(signer())


@pytest.mark.parametrize(
    "line", ["", "PRIVATE+KEY+a+b", "PRIVATE+KEY+x+00000000+" + "A" * 44, "example.com+1+2", "é" * 5]
)
def test_a_damaged_signer_is_refused_without_being_quoted(line):
    with pytest.raises(SettingsError) as refused:
        read_signer(line)
    assert not line or line not in str(refused.value)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "x" * 201])
def test_a_name_that_the_format_cannot_write_is_refused(name):
    with pytest.raises(SettingsError):
        make_signer(name)


def test_the_parser_does_not_read_without_end():
    with pytest.raises(NoteRefused, match="longer"):
        parse(b"a\n" * notes.MAX_NOTE_BYTES)


def both(data: bytes, *keys: Signer, origin: str = "example.com/log"):
    """What the writer's reader of checkpoints and the verifier's own say: size and root, or None."""
    answers: list[tuple[int, bytes] | None] = []
    try:
        found = trust(data, [key.verifier for key in keys], origin=origin)
        answers.append((found.size, found.root))
    except NoteRefused:
        answers.append(None)
    try:
        head = verify_notes.head_of(data, [key.verifier for key in keys], origin)
        answers.append((head.size, head.root))
    except verify_notes.Refused:
        answers.append(None)
    return answers


ISSUED = issue(Checkpoint(origin="example.com/log", size=700, root=bytes(range(32)), extensions=("more",)), [signer()])


@given(
    st.integers(0, len(ISSUED.encode()) - 1), st.integers(0, 255), st.sampled_from(["change", "insert", "cut", "drop"])
)
def test_the_verifiers_own_reader_of_notes_gives_the_same_answers(position, value, how):
    data = bytearray(ISSUED.encode())
    if how == "change":
        data[position] = value
    elif how == "insert":
        data.insert(position, value)
    elif how == "cut":
        del data[position:]
    else:
        del data[position]
    one, other = both(bytes(data), signer())
    assert one == other
    if bytes(data) != ISSUED.encode():
        assert one is None


def test_both_readers_believe_what_was_signed_and_nobody_else():
    assert both(ISSUED.encode(), signer()) == [(700, bytes(range(32)))] * 2
    assert both(ISSUED.encode(), make_signer("example.com/log")) == [None, None]
    assert both(ISSUED.encode(), signer(), origin="example.com/other") == [None, None]
