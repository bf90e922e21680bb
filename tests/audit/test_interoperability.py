"""What the log signs and proves is believed by readers of transparency logs that were not written here."""

from __future__ import annotations

import base64
import hashlib
import json
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import verify_checkpoint
from sigstore._internal.trust import Keyring
from sigstore.errors import VerificationError
from sigstore_models.common import v1
from tests.audit.test_proofs import Plain, hashes
from tests.audit.test_verify import NOW, SIGNER
from tests.support import records as r

from aiguard.audit import proofs
from aiguard.audit.canonical import canonical
from aiguard.audit.checkpoint import Checkpoint, issue, read
from aiguard.audit.merkle import root_hash
from aiguard.audit.note import make_signer
from aiguard.audit.prove import prove_event
from aiguard.audit.signing import sign_head


def keyring_of(*signers):
    """The public keys, as sigstore keeps those of its logs."""
    keys = []
    for signer in signers:
        der = Ed25519PublicKey.from_public_bytes(signer.verifier.public).public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        keys.append(v1.PublicKey(raw_bytes=base64.b64encode(der), key_details=v1.PublicKeyDetails.PKIX_ED25519))
    return Keyring(keys)


def entry(proof):
    """A proof as `aiguard audit prove` prints it, in the shape of an entry of sigstore's log."""
    committed, _ = read(proof["checkpoint"])
    inclusion = SimpleNamespace(
        log_index=proof["index"],
        tree_size=committed.size,
        root_hash=committed.root,
        hashes=[base64.b64decode(step) for step in proof["proof"]],
        checkpoint=SimpleNamespace(envelope=proof["checkpoint"]),
    )
    body = proof["leaf"].encode()
    log = SimpleNamespace(key_id=SIGNER.verifier.id)
    return SimpleNamespace(_inner=SimpleNamespace(inclusion_proof=inclusion, canonicalized_body=body, log_id=log))


@pytest.fixture
def log(engine, writer):
    """A log of 300 events with checkpoints over 173 and 300."""
    for count in (173, 127):
        writer.commit([r.event(payload={"count": n}) for n in range(count)]).result(60)
        sign_head(engine, [SIGNER], now=NOW)
    return engine


def test_sigstore_believes_what_the_log_signed_and_proved(log):
    for position in (0, 1, 100, 172, 173, 255, 256, 299):
        proved = entry(json.loads(json.dumps(prove_event(log, str(position)))))
        verify_checkpoint(keyring_of(SIGNER), proved)
        verify_merkle_inclusion(proved)


def test_sigstore_does_not_believe_another_event_place_or_key(log):
    proof = prove_event(log, "100")
    for change in ({"leaf": proof["leaf"].replace("evt_", "evt-")}, {"index": 101}, {"proof": proof["proof"][1:]}):
        with pytest.raises(VerificationError):
            verify_merkle_inclusion(entry(proof | change))
    with pytest.raises(VerificationError):
        verify_checkpoint(keyring_of(make_signer("example.com/log")), entry(proof))
    with pytest.raises(VerificationError):
        verify_checkpoint(keyring_of(SIGNER), entry(proof | {"checkpoint": proof["checkpoint"].replace("173", "174")}))


def test_every_consistency_and_inclusion_proof_is_the_one_that_another_implementation_makes():
    """All proofs of trees of up to 128 leaves ("0", "1", …), as aics-tlog 0.2.1 makes them, under one hash each."""
    tree = Plain(hashes(128))
    consistency, inclusion = hashlib.sha256(), hashlib.sha256()
    for size in range(1, 129):
        for first in range(1, size):
            consistency.update(f"{first} {size}\n".encode() + b"".join(proofs.consistency(tree, first, size)))
        for index in range(size):
            inclusion.update(f"{index} {size}\n".encode() + b"".join(proofs.inclusion(tree, index, size)))
    assert consistency.hexdigest() == "0243c18ac9580a1ba444385872fcab081e135433ab672cb363df9c968269a6f7"
    assert inclusion.hexdigest() == "767c85a828c69d47351e2ee729c1fbf2d52e8e0030a1cdf167ede614917cf223"


def test_a_checkpoint_is_signed_to_the_byte_as_another_implementation_signs_it():
    """Made with aics-tlog 0.2.1; Ed25519 signs one text in one way."""
    signer = make_signer("example.com/log", bytes(range(32)))
    assert str(signer.verifier) == "example.com/log+d455c521+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
    assert issue(Checkpoint(origin="example.com/log", size=128, root=root_hash(hashes(128))), [signer]) == (
        "example.com/log\n"
        "128\n"
        "l63CuumutxYsaA2IbweXN8SOvjUUZayxal/+fauOy2k=\n"
        "\n"
        "— example.com/log 1FXFIX555axG0xLRw1tXqxH9KOzEsoj+w5rqZKehKNA3BkyNxGPkCQbReY0PPlp4FWID31ahyLiN/Ohs3ase4jcENQ0=\n"
    )


def test_canonical_json_is_that_of_rfc_8785():
    """The examples of RFC 8785 §3.2.2 and §3.2.3."""
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    said = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical(value, simple=False) == said.encode()
    sorting = {
        "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
        "\U0001f600": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis",
    }  # fmt: skip
    assert list(json.loads(canonical(sorting, simple=False)).values()) == [
        "Carriage Return", "One", "Control", "Latin Small Letter O With Diaeresis", "Euro Sign",
        "Emoji: Grinning Face", "Hebrew Letter Dalet With Dagesh",
    ]  # fmt: skip
