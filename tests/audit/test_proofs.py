from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aiguard.audit import proofs
from aiguard.audit.merkle import leaf_hash, root_hash

LEAVES = [bytes.fromhex(each) for each in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
"""The eight leaves that implementations of RFC 6962 share as test vectors (certificate-transparency, merkle tree tests)."""

ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


class Plain:
    """Every subtree computed from its leaves: the definition, not the way it is done."""

    def __init__(self, hashes: list[bytes]) -> None:
        self.hashes = hashes

    def subtree(self, level: int, index: int) -> bytes:
        part = self.hashes[index << level : (index + 1) << level]
        assert len(part) == 1 << level
        return root_hash(part)


def hashes(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


def test_the_roots_are_those_of_the_published_vectors():
    tree = Plain([leaf_hash(leaf) for leaf in LEAVES])
    assert [proofs.root(tree, size).hex() for size in range(1, 9)] == list(ROOTS)


def test_the_published_inclusion_path_of_the_first_leaf_in_eight():
    tree = Plain([leaf_hash(leaf) for leaf in LEAVES])
    assert [step.hex() for step in proofs.inclusion(tree, 0, 8)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]


@given(st.integers(1, 300), st.data())
def test_every_leaf_is_proved_and_no_other_is(size, data):
    known = hashes(size)
    tree = Plain(known)
    index = data.draw(st.integers(0, size - 1))
    proof, root = proofs.inclusion(tree, index, size), root_hash(known)
    assert proofs.included(known[index], index, size, proof, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda at: at != index) if size > 1 else st.just(size))
    assert not proofs.included(known[index], other, size, proof, root)
    assert not proofs.included(leaf_hash(b"another"), index, size, proof, root)
    assert not proofs.included(known[index], index, size, [*proof, root], root)
    assert not proofs.included(known[index], index, size, proof[:-1], root) or not proof


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_longer_log_is_proved_to_begin_with_the_shorter_one(one, other):
    first, second = sorted((one, other))
    known = hashes(second)
    proof = proofs.consistency(Plain(known), first, second)
    older, newer = root_hash(known[:first]), root_hash(known)
    assert proofs.consistent(first, second, proof, older, newer)
    assert not proofs.consistent(first, second, [*proof, newer], older, newer)
    if 0 < first < second:
        changed = [*known]
        changed[first - 1] = leaf_hash(b"changed")
        assert not proofs.consistent(first, second, proof, root_hash(changed[:first]), newer)
        assert not proofs.consistent(first, second, proof, older, root_hash(changed))
