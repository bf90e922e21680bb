from __future__ import annotations

import os
import pickle
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiguard.errors import IntegrityError, SettingsError
from aiguard.store.keys import _XAES, MasterKeyRing, load_or_create_key_file, parse_key
from aiguard.types import KeyRing

ROOT = Path(__file__).parents[2]
OLD, NEW = b"o" * 32, b"n" * 32
RING = MasterKeyRing([OLD])


@pytest.mark.parametrize(
    ("key", "aad", "sealed"),
    [
        (b"\x01" * 32, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (b"\x03" * 32, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
    ],
)
def test_the_cipher_gives_the_published_vectors(key, aad, sealed):
    """From the specification, https://c2sp.org/XAES-256-GCM; the second begins with the other bit."""
    nonce, plaintext = b"ABCDEFGHIJKLMNOPQRSTUVWX", b"XAES-256-GCM"
    assert _XAES(key).encrypt(nonce, plaintext, aad).hex() == sealed
    assert _XAES(key).decrypt(nonce, bytes.fromhex(sealed), aad) == plaintext


def test_it_is_a_key_ring():
    assert isinstance(RING, KeyRing)


@given(st.binary(max_size=300), st.binary(max_size=60))
def test_what_was_sealed_opens_to_the_same_bytes_and_hides_them(plaintext, aad):
    sealed = RING.seal(plaintext, aad=aad)
    assert RING.open(sealed, aad=aad) == plaintext
    assert len(plaintext) < 6 or plaintext not in sealed


@given(st.binary(max_size=40), st.data())
def test_any_changed_bit_is_noticed(plaintext, data):
    sealed = bytearray(RING.seal(plaintext, aad=b"row 1"))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(IntegrityError):
        RING.open(bytes(sealed), aad=b"row 1")


@given(st.binary(max_size=40), st.data())
def test_any_truncation_is_noticed(plaintext, data):
    sealed = RING.seal(plaintext, aad=b"")
    with pytest.raises(IntegrityError):
        RING.open(sealed[: data.draw(st.integers(0, len(sealed) - 1))], aad=b"")


def test_another_row_does_not_open():
    with pytest.raises(IntegrityError, match="belongs to another record"):
        RING.open(RING.seal(b"x", aad=b"row 1"), aad=b"row 2")


def test_the_same_text_is_sealed_differently_each_time():
    assert len({RING.seal(b"same", aad=b"") for _ in range(1000)}) == 1000


def test_a_new_derived_key_is_taken_in_time(monkeypatch):
    monkeypatch.setattr("aiguard.store.keys._MESSAGES_PER_DERIVED_KEY", 10)
    ring = MasterKeyRing([OLD])
    sealed = [ring.seal(b"x", aad=b"") for _ in range(35)]
    assert len({each[9:21] for each in sealed}) >= 3
    assert all(RING.open(each, aad=b"") == b"x" for each in sealed)


def test_after_a_rotation_the_newest_key_seals_and_the_old_one_still_opens():
    both = MasterKeyRing([OLD, NEW])
    assert both.open(RING.seal(b"x", aad=b""), aad=b"") == b"x"
    sealed = both.seal(b"y", aad=b"")
    assert both.key_id_of(sealed) == both.key_ids[-1] == MasterKeyRing([NEW]).key_ids[0]
    assert MasterKeyRing([NEW]).open(sealed, aad=b"") == b"y"


def test_a_key_that_is_not_configured_is_named_by_its_public_id():
    with pytest.raises(IntegrityError, match=RING.key_ids[0]):
        MasterKeyRing([NEW]).open(RING.seal(b"x", aad=b""), aad=b"")


def test_pseudonyms_survive_a_rotation_and_end_with_the_oldest_key():
    before = RING.pseudonym("actor", "mo@example.org")
    assert MasterKeyRing([OLD, NEW]).pseudonym("actor", "mo@example.org") == before
    assert MasterKeyRing([NEW]).pseudonym("actor", "mo@example.org") != before


@given(st.text(), st.text())
def test_pseudonyms_are_stable_different_and_say_nothing(one, other):
    name = RING.pseudonym("actor", one)
    assert name == RING.pseudonym("actor", one)
    assert name != RING.pseudonym("tenant", one)
    assert (name == RING.pseudonym("actor", other)) == (one == other)
    assert len(name) == 26
    assert set(name) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def test_a_lone_surrogate_has_a_pseudonym_too():
    assert RING.pseudonym("value", "\ud800") != RING.pseudonym("value", "\ud801")


@pytest.mark.parametrize("kind", ["", "actor\x00x", "é", "a" * 65, "actor\n"])
def test_a_kind_that_could_be_mistaken_for_another_is_refused(kind):
    with pytest.raises(ValueError, match="kind"):
        RING.pseudonym(kind, "x")


@pytest.mark.parametrize("keys", [[], [b"short"], [OLD, OLD], [b"x" * 33]])
def test_keys_that_cannot_work_are_refused(keys):
    with pytest.raises(SettingsError):
        MasterKeyRing(keys)


def test_a_ring_never_shows_or_hands_out_its_keys():
    assert OLD.decode() not in repr(RING)
    assert OLD.hex() not in repr(RING)
    with pytest.raises(TypeError):
        pickle.dumps(RING)


@given(st.binary(min_size=32, max_size=32))
def test_keys_are_read_in_every_usual_spelling(key):
    import base64

    spellings = [base64.b64encode(key), base64.urlsafe_b64encode(key), base64.urlsafe_b64encode(key).rstrip(b"=")]
    assert {parse_key(f" {each.decode()}\n") for each in spellings} == {key}
    assert parse_key(key.hex()) == key


@given(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=9, max_size=40))
def test_other_texts_are_refused_without_being_shown(text):
    with pytest.raises(SettingsError) as refused:
        parse_key(text)
    assert text not in str(refused.value)


def test_a_key_file_is_made_once_and_private(tmp_path):
    path = tmp_path / "state" / "master.key"
    keys = load_or_create_key_file(path)
    assert load_or_create_key_file(path) == keys
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["master.key"]
    assert len(keys) == 1


def test_processes_that_start_together_agree_on_one_key(tmp_path):
    script = (
        "import sys; from aiguard.store.keys import load_or_create_key_file as load; "
        "sys.stdin.readline(); print(load(sys.argv[1])[0].hex())"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "master.key")]
    racers = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    assert len({racer.communicate(timeout=60)[0] for racer in racers}) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_file_that_others_may_read_is_refused(tmp_path, mode):
    path = tmp_path / "master.key"
    load_or_create_key_file(path)
    path.chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        load_or_create_key_file(path)


@pytest.mark.parametrize("content", [b"", b"\n# only a comment\n", b"hunter2\n", b"\xff\xfe" * 20, b"A" * 100_000])
def test_a_key_file_without_keys_is_refused_without_showing_it(tmp_path, content):
    path = tmp_path / "master.key"
    os.close(os.open(path, os.O_CREAT, 0o600))
    path.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        load_or_create_key_file(path)
    assert "hunter2" not in str(refused.value)


def test_a_key_file_holds_the_newest_key_last(tmp_path):
    path = tmp_path / "master.key"
    first = load_or_create_key_file(path)
    with path.open("a") as file:
        file.write(f"# since the rotation\n{NEW.hex()}\n")
    assert load_or_create_key_file(path) == (*first, NEW)


def test_a_path_that_cannot_be_used_is_a_setting_to_change(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file" / "master.key", tmp_path):
        with pytest.raises(SettingsError):
            load_or_create_key_file(path)
