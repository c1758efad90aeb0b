from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.journal.merkle import (
    EMPTY_ROOT,
    Frontier,
    Tree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

# The inputs and roots that implementations of RFC 6962 test themselves with.
CT_INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def _leaves(count):
    return [leaf_hash(seq, f"fact {seq}") for seq in range(1, count + 1)]


def _node(left, right):
    return sha256(b"\x01" + left + right).digest()


def _naive_root(leaves):
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return _node(_naive_root(leaves[:half]), _naive_root(leaves[half:]))


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_published_vectors(size):
    leaves = [sha256(b"\x00" + data).digest() for data in CT_INPUTS[:size]]

    assert root(leaves).hex() == CT_ROOTS[size]


def test_the_proof_of_one_leaf_among_eight_is_the_published_path():
    leaves = [sha256(b"\x00" + data).digest() for data in CT_INPUTS]

    assert [item.hex() for item in inclusion_proof(leaves, 0, 8)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]


def test_a_leaf_is_the_hash_of_zero_byte_number_and_text():
    expected = sha256(b"\x00" + b"\x00" * 7 + b"\x01" + "苹果".encode()).digest()

    assert leaf_hash(1, "苹果") == expected
    assert leaf_hash(2, "苹果") != expected


def test_numbers_below_one_have_no_leaf():
    with pytest.raises(ValueError, match="start at 1"):
        leaf_hash(0, "a")


@given(st.integers(0, 200))
def test_frontier_and_levels_give_the_root_of_the_naive_recursion(size):
    leaves = _leaves(size)
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)

    assert frontier.root() == root(leaves) == _naive_root(leaves)
    assert frontier.size == size


@given(st.integers(0, 100), st.integers(0, 100))
def test_a_stored_frontier_goes_on_where_it_stopped(before, after):
    leaves = _leaves(before + after)
    first = Frontier()
    for leaf in leaves[:before]:
        first.append(leaf)

    second = Frontier.from_bytes(first.to_bytes())
    for leaf in leaves[before:]:
        second.append(leaf)

    assert second.root() == _naive_root(leaves)
    assert first.root() == _naive_root(leaves[:before])


@pytest.mark.parametrize("data", [b"", b"\x00" * 7, b"\x00" * 8 + b"x", (3).to_bytes(8, "big") + b"x" * 32])
def test_a_stored_frontier_of_the_wrong_length_is_refused(data):
    with pytest.raises(ValueError, match="frontier"):
        Frontier.from_bytes(data)


@pytest.mark.parametrize("size", range(1, 34))
def test_every_leaf_of_every_small_tree_is_proved(size):
    leaves = _leaves(size)
    tree, expected = Tree(leaves), _naive_root(leaves)

    for index, leaf in enumerate(leaves):
        proof = inclusion_proof(tree.node, index, size)
        assert proof == inclusion_proof(leaves, index, size)
        assert verify_inclusion(leaf, index, size, proof, expected)


@pytest.mark.parametrize("new", range(34))
def test_every_smaller_tree_is_proved_consistent(new):
    leaves = _leaves(new)
    tree = Tree(leaves)

    for old in range(new + 1):
        proof = consistency_proof(tree.node, old, new)
        assert verify_consistency(old, new, _naive_root(leaves[:old]), _naive_root(leaves), proof)


@settings(max_examples=200)
@given(st.data())
def test_a_proof_of_anything_else_is_refused(data):
    size = data.draw(st.integers(2, 70))
    leaves = _leaves(size)
    expected = _naive_root(leaves)
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda at: at != index))
    proof = inclusion_proof(leaves, index, size)
    changed = list(proof)
    at = data.draw(st.integers(0, len(proof) - 1))
    changed[at] = bytes([changed[at][0] ^ 1]) + changed[at][1:]

    assert not verify_inclusion(leaves[other], index, size, proof, expected)
    assert not verify_inclusion(leaves[index], index, size, changed, expected)
    assert not verify_inclusion(leaves[index], index, size, proof[:-1], expected)
    assert not verify_inclusion(leaves[index], index, size, [*proof, expected], expected)
    assert not verify_inclusion(leaves[index], index, size, proof, leaves[index])
    assert not verify_inclusion(leaves[index], size, size, proof, expected)


@settings(max_examples=200)
@given(st.data())
def test_a_rewritten_history_has_no_consistency_proof(data):
    new = data.draw(st.integers(2, 70))
    old = data.draw(st.integers(1, new - 1))
    leaves = _leaves(new)
    forged = list(leaves)
    at = data.draw(st.integers(0, old - 1))
    forged[at] = leaf_hash(at + 1, "forged")
    honest = consistency_proof(leaves, old, new)

    old_root, new_root = _naive_root(leaves[:old]), _naive_root(leaves)

    assert verify_consistency(old, new, old_root, new_root, honest)
    assert not verify_consistency(
        old, new, old_root, _naive_root(forged), consistency_proof(forged, old, new)
    )
    assert not verify_consistency(old, new, old_root, new_root, [*honest, new_root])
    assert not verify_consistency(old, new, old_root, new_root, honest[:-1])
    assert not verify_consistency(new, old, new_root, old_root, honest)


def test_an_empty_tree_is_consistent_only_with_the_empty_root():
    leaves = _leaves(3)

    assert verify_consistency(0, 3, EMPTY_ROOT, root(leaves), [])
    assert not verify_consistency(0, 3, leaves[0], root(leaves), [])
    assert not verify_consistency(3, 3, leaves[0], root(leaves), [])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_proof_outside_the_tree_is_refused(index, size):
    with pytest.raises(ValueError, match="outside the tree"):
        inclusion_proof(_leaves(3), index, size)


def test_a_proof_over_too_few_leaves_is_refused():
    with pytest.raises(ValueError, match="fewer leaves"):
        consistency_proof(_leaves(3), 2, 4)
    with pytest.raises(ValueError, match="larger"):
        consistency_proof(_leaves(3), 3, 2)
