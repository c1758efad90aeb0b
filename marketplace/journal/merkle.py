"""The tree over sealed facts (RFC 6962, section 2.1): one root stands for all of them, in order.

Sequence numbers start at 1; fact `seq` is leaf `seq - 1`. The leaf hash covers the number as well as the text,
so moving an unchanged text to another place is found too.

Cost: appending is O(1) hashes on average and O(log n) memory with `Frontier`; a `Tree` of n leaves takes 2n
hashes to build (64 MB for a million) and answers each proof in O(log^2 n) look-ups without rebuilding.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()
HASH_BYTES = 32

# Hash of the complete subtree that covers leaves [index * 2**level, (index + 1) * 2**level).
NodeFetch = Callable[[int, int], bytes]
Hashes = Sequence[bytes] | NodeFetch


def leaf_hash(seq: int, text: str) -> bytes:
    """Fingerprint of one sealed fact: SHA-256(0x00 || seq, 8 bytes big-endian || UTF-8 text); seq >= 1."""
    if seq < 1:
        raise ValueError("sequence numbers start at 1")
    return sha256(b"\x00" + seq.to_bytes(8, "big") + text.encode("utf-8")).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The few hashes that give the root of a growing tree: one per set bit of its size, largest subtree first."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self._hashes = list(hashes)
        if size < 0 or len(self._hashes) != size.bit_count():
            raise ValueError("a frontier holds one hash per set bit of its size")
        if any(len(item) != HASH_BYTES for item in self._hashes):
            raise ValueError("a frontier holds 32-byte hashes")

    def append(self, leaf: bytes) -> None:
        carry = self.size
        while carry & 1:
            leaf = node_hash(self._hashes.pop(), leaf)
            carry >>= 1
        self._hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        return _fold(self._hashes)

    def copy(self) -> "Frontier":
        return Frontier(self.size, self._hashes)

    def to_bytes(self) -> bytes:
        """Size in 8 bytes big-endian, then the hashes, largest subtree first."""
        return self.size.to_bytes(8, "big") + b"".join(self._hashes)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Frontier":
        """Raises ValueError when the length does not fit the size."""
        if len(data) < 8 or (len(data) - 8) % HASH_BYTES:
            raise ValueError("a stored frontier is 8 bytes and whole hashes")
        parts = [data[at : at + HASH_BYTES] for at in range(8, len(data), HASH_BYTES)]
        return cls(int.from_bytes(data[:8], "big"), parts)


class Tree:
    """All complete subtrees, level by level, for many proofs over the same leaves."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        level = 0
        self._levels[0].append(leaf)
        while len(self._levels[level]) % 2 == 0:
            row = self._levels[level]
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(node_hash(row[-2], row[-1]))

    def node(self, level: int, index: int) -> bytes:
        return self._levels[level][index]


def root(leaves: Iterable[bytes]) -> bytes:
    """Root over leaf hashes in order; streams. The empty tree has SHA-256 of nothing."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def inclusion_proof(hashes: Hashes, index: int, size: int) -> list[bytes]:
    """Proof that one fact stands among the `size` facts without showing the others; about log2(size) hashes.

    `hashes`: leaf hashes in order (then O(n) to build), or the `node` of a `Tree` or of a store. `index`
    counts from 0. Raises ValueError unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError("the leaf is outside the tree")
    node = _node_fetch(hashes, size)
    low, high = 0, size
    proof: list[bytes] = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(_range_root(node, middle, high))
            high = middle
        else:
            proof.append(_range_root(node, low, middle))
            low = middle
    proof.reverse()
    return proof


def consistency_proof(hashes: Hashes, old: int, new: int) -> list[bytes]:
    """Proof that the tree of `new` facts only appended to the tree of `old` facts (RFC 6962, 2.1.2).

    Empty for old = 0 and old = new. Raises ValueError unless 0 <= old <= new.
    """
    if not 0 <= old <= new:
        raise ValueError("the old tree cannot be larger than the new one")
    if old in {0, new}:
        return []
    node = _node_fetch(hashes, new)
    low, high, known = 0, new, True
    proof: list[bytes] = []
    while high != old:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(_range_root(node, middle, high))
            high = middle
        else:
            proof.append(_range_root(node, low, middle))
            low, known = middle, False
    if not known:
        proof.append(_range_root(node, low, high))
    proof.reverse()
    return proof


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes
) -> bool:
    """Whether the proof shows this leaf at this place under this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, current = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            current = node_hash(sibling, current)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and current == expected_root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that nothing under the old root changed since (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    # A power of two is itself a node of the new tree, so the proof leaves it out.
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    from_old = from_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            from_old, from_new = node_hash(sibling, from_old), node_hash(sibling, from_new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            from_new = node_hash(from_new, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and from_old == old_root and from_new == new_root


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def _fold(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return EMPTY_ROOT
    current = hashes[-1]
    for left in reversed(hashes[:-1]):
        current = node_hash(left, current)
    return current


def _range_root(node: NodeFetch, low: int, high: int) -> bytes:
    # Every range met here starts at a multiple of its largest power of two, so it splits into stored nodes.
    parts: list[bytes] = []
    while low < high:
        level = (high - low).bit_length() - 1
        parts.append(node(level, low >> level))
        low += 1 << level
    return _fold(parts)


def _node_fetch(hashes: Hashes, size: int) -> NodeFetch:
    if callable(hashes):
        return hashes
    if len(hashes) < size:
        raise ValueError("fewer leaves than the size of the tree")
    return Tree(hashes[:size]).node
