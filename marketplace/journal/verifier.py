"""Checks an exported journal against checkpoints that others kept, without trusting us.

    python -I verifier.py FOLDER --key VKEY [--known FOLDER]

FOLDER holds facts.jsonl ({"seq":1,"text":"..."} a line), checkpoints/*.txt and, if wished, seals.jsonl
({"seq":1,"leaf_hash":"<hex>"} a line), which locates a changed fact exactly. --known is a folder of notes that the
office kept earlier.

This file imports nothing of the marketplace: with the package `cryptography` it runs alone, and its own reading
of RFC 6962 and of signed notes is a second opinion on ours. Facts are read as a stream. Findings:

- changed-content  a text differs from what was sealed
- broken-link      a seq is missing, repeated or out of order, or the leaf hashes do not give a signed root
- missing-tail     fewer facts than a checkpoint of the export counts
- rollback         a known checkpoint is ahead of the export, or two checkpoints contradict each other
- bad-signature    a checkpoint that its key did not sign
- unreadable       a line or note that is not in its form
- unsigned         facts, but no checkpoint at all

Exit 0: nothing found. 1: findings, one a line. 2: wrong call.
"""

import argparse
import base64
import binascii
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SHOWN_FINDINGS = 1000
_DASH = "\N{EM DASH} "

WORDS = {
    "changed-content": "内容被改动",
    "broken-link": "链条断裂",
    "missing-tail": "尾部缺失",
    "rollback": "数据被回退或历史被改写",
    "bad-signature": "签名无效",
    "unreadable": "无法读取",
    "unsigned": "没有签名的检查点",
}


@dataclass
class Finding:
    kind: str
    first: int | None
    last: int | None
    detail: str

    def line(self) -> str:
        place = ""
        if self.first is not None:
            place = f" seq {self.first}" if self.first == self.last else f" seq {self.first}-{self.last}"
        return f"{self.kind}{place}: {WORDS[self.kind]}: {self.detail}"


@dataclass
class Report:
    findings: list[Finding] = field(default_factory=list)
    facts: int = 0
    seals: int = 0
    last_fact: int = 0
    last_seal: int = 0

    def add(self, kind: str, first: int | None, last: int | None, detail: str) -> None:
        # Neighbours with the same cause are one finding, so a cut of a million facts stays one line.
        if self.findings and first is not None:
            before = self.findings[-1]
            if (before.kind, before.detail, before.last) == (kind, detail, first - 1):
                before.last = last
                return
        self.findings.append(Finding(kind, first, last, detail))


@dataclass(frozen=True)
class Note:
    place: str
    known: bool
    size: int
    root: bytes
    time: str


class Tree:
    """Running root of RFC 6962 over the leaves so far."""

    def __init__(self, size: int, hashes: list[bytes]) -> None:
        self.size = size
        self.hashes = hashes

    def append(self, leaf: bytes) -> None:
        carry = self.size
        while carry & 1:
            leaf = sha256(b"\x01" + self.hashes.pop() + leaf).digest()
            carry >>= 1
        self.hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self.hashes:
            return sha256(b"").digest()
        current = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            current = sha256(b"\x01" + left + current).digest()
        return current


class BadNote(ValueError):
    pass


class BadSignature(ValueError):
    pass


def read_key(vkey: str) -> tuple[str, bytes, Ed25519PublicKey]:
    """Name, key hash and key of a C2SP verifier key. Raises ValueError."""
    name, mark, encoded = vkey.split("+", 2)
    raw = base64.b64decode(encoded, validate=True)
    key_hash = sha256(name.encode() + b"\n" + raw).digest()[:4]
    if not name or len(raw) != 33 or raw[0] != 1 or key_hash.hex() != mark:
        raise ValueError("the key does not fit its check value")
    return name, key_hash, Ed25519PublicKey.from_public_bytes(raw[1:])


def read_note(note: str, key: tuple[str, bytes, Ed25519PublicKey]) -> tuple[int, bytes, str]:
    """Size, root and time of a note signed by the key. Raises BadNote or BadSignature."""
    name, key_hash, public = key
    text, blank, tail = note.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise BadNote("no blank line followed by signatures")
    text += "\n"
    ours: list[bytes] = []
    for line in tail[:-1].split("\n"):
        signer, _, encoded = line.removeprefix(_DASH).rpartition(" ")
        raw = _unbase64(encoded)
        if not line.startswith(_DASH) or not signer or raw is None:
            raise BadNote("a signature line is not in its form")
        if signer == name and raw[:4] == key_hash:
            ours.append(raw[4:])
    if not ours:
        raise BadSignature(f"not signed by {name}")
    for signature in ours:
        try:
            public.verify(signature, text.encode())
        except InvalidSignature:
            raise BadSignature("the signature does not fit the text") from None
    lines = text[:-1].split("\n")
    root = _unbase64(lines[2]) if len(lines) > 2 else None
    if root is None or len(root) != 32 or not re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]):
        raise BadNote("origin, size or root is not in its form")
    if lines[0] != name:
        raise BadSignature(f"about {lines[0]!r}, not {name}")
    times = [line[5:] for line in lines[3:] if line.startswith("time ")]
    return int(lines[1]), root, times[0] if times else ""


def read_notes(
    folder: Path, known: bool, key: tuple[str, bytes, Ed25519PublicKey], report: Report
) -> list[Note]:
    notes: list[Note] = []
    for path in sorted(folder.glob("*.txt")):
        place = f"{'known/' if known else 'checkpoints/'}{path.name}"
        try:
            size, root, time = read_note(path.read_bytes().decode("utf-8"), key)
        except BadSignature as error:
            report.add("bad-signature", None, None, f"{place}: {error}")
        except ValueError as error:
            report.add("unreadable", None, None, f"{place}: {error}")
        else:
            notes.append(Note(place, known, size, root, time))
    return notes


def read_lines(path: Path, name: str, report: Report) -> Iterator[tuple[int, str]]:
    """The (seq, value) of each line, where the line is exactly {"seq": int, name: text}."""
    # Pairs instead of a dict: a key written twice would show one text here and another to a different reader.
    decode = json.JSONDecoder(object_pairs_hook=list).decode
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                (first, seq), (second, value) = decode(line.decode("utf-8"))
                well_formed = first == "seq" and second == name and type(seq) is int and type(value) is str
            except (ValueError, TypeError, RecursionError):
                well_formed = False
            if well_formed and seq > 0 and seq < 2**63:
                yield seq, value
            else:
                report.add("unreadable", None, None, f"{path.name} line {number}")


def read_facts(folder: Path, report: Report) -> Iterator[tuple[int, bytes]]:
    for seq, text in read_lines(folder / "facts.jsonl", "text", report):
        report.facts += 1
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError:
            report.add("unreadable", seq, seq, "the text is not UTF-8")
            continue
        yield seq, sha256(b"\x00" + seq.to_bytes(8, "big") + data).digest()


def read_seals(folder: Path, report: Report) -> Iterator[tuple[int, bytes]]:
    path = folder / "seals.jsonl"
    if not path.exists():
        return
    for seq, digits in read_lines(path, "leaf_hash", report):
        report.seals += 1
        if re.fullmatch("[0-9a-f]{64}", digits):
            yield seq, bytes.fromhex(digits)
        else:
            report.add("unreadable", seq, seq, "seals.jsonl: not a leaf hash")


class Chain:
    """Walks facts and seals side by side and notes both roots at every size that a checkpoint names.

    `by_text` is the tree over the texts as they are, `by_seal` the one over the recorded leaf hashes; a place
    missing on one side is filled from the other. They are one object until they first differ, to hash once.
    """

    def __init__(self, report: Report, sizes: set[int], with_seals: bool) -> None:
        self.report = report
        self.sizes = sizes
        self.with_seals = with_seals
        self.by_text: Tree | None = Tree(0, [])
        self.by_seal: Tree | None = self.by_text
        self.differing: list[tuple[int, int]] = []
        self.roots: dict[int, tuple[bytes | None, bytes | None]] = {}

    def walk(self, facts: Iterator[tuple[int, bytes]], seals: Iterator[tuple[int, bytes]]) -> None:
        self._note_roots(0)
        fact, seal, n = next(facts, None), next(seals, None), 0
        while True:
            n += 1
            if fact is not None and fact[0] < n:
                fact = self._in_order(facts, fact, n, "facts.jsonl")
            if seal is not None and seal[0] < n:
                seal = self._in_order(seals, seal, n, "seals.jsonl")
            if fact is None and seal is None:
                return
            ahead = min(item[0] for item in (fact, seal) if item is not None)
            if ahead > n:
                self._gap(n, ahead - 1)
                n = ahead
            text_leaf = seal_leaf = None
            if fact is not None and fact[0] == n:
                text_leaf = fact[1]
                self.report.last_fact = n
                fact = next(facts, None)
            if seal is not None and seal[0] == n:
                seal_leaf = seal[1]
                self.report.last_seal = n
                seal = next(seals, None)
            self._step(n, text_leaf, seal_leaf, tail=fact is None)

    def _in_order(
        self, stream: Iterator[tuple[int, bytes]], item: tuple[int, bytes] | None, n: int, name: str
    ) -> tuple[int, bytes] | None:
        while item is not None and item[0] < n:
            self.report.add("broken-link", item[0], item[0], f"{name}: repeated or out of order")
            item = next(stream, None)
        return item

    def _gap(self, first: int, last: int) -> None:
        self.report.add("broken-link", first, last, "missing, nothing after it can be proved")
        self.by_text = self.by_seal = None

    def _step(self, n: int, text_leaf: bytes | None, seal_leaf: bytes | None, tail: bool) -> None:
        if text_leaf is None and not tail:
            self.report.add("broken-link", n, n, "sealed, but the fact is missing")
        if seal_leaf is None and self.with_seals:
            self.report.add("broken-link", n, n, "the fact has no seal")
        left, right = text_leaf or seal_leaf or b"", seal_leaf or text_leaf or b""
        if left != right:
            if self.differing and self.differing[-1][1] == n - 1:
                self.differing[-1] = (self.differing[-1][0], n)
            else:
                self.differing.append((n, n))
            if self.by_text is not None and self.by_seal is self.by_text:
                self.by_seal = Tree(self.by_text.size, list(self.by_text.hashes))
        if self.by_text is not None:
            self.by_text.append(left)
        if self.by_seal is not None and self.by_seal is not self.by_text:
            self.by_seal.append(right)
        if n in self.sizes:
            self._note_roots(n)

    def _note_roots(self, n: int) -> None:
        by_text = self.by_text.root() if self.by_text is not None else None
        by_seal = self.by_seal.root() if self.by_seal is not None else None
        self.roots[n] = (by_text, by_seal)


def judge(chain: Chain, notes: list[Note], report: Report) -> None:
    """Names what the roots, the signed notes and the differing leaves mean together."""
    text_holds = [note.size for note in notes if chain.roots.get(note.size, (None, None))[0] == note.root]
    any_holds = [note.size for note in notes if note.root in chain.roots.get(note.size, (None, None))]
    for first, last in chain.differing:
        # A later root that fits the texts vouches for the texts, so then the recorded hash is the wrong one.
        if any(size >= last for size in text_holds):
            report.add("broken-link", first, last, "the recorded leaf hash is not that of the signed text")
        else:
            report.add("changed-content", first, last, "the text does not give its recorded leaf hash")
    _judge_roots(chain, notes, any_holds, report)
    _judge_tail(notes, report)
    _judge_history(notes, report)


def _judge_roots(chain: Chain, notes: list[Note], holding: list[int], report: Report) -> None:
    newest_good = max(holding, default=-1)
    window_named = False
    for note in sorted(notes, key=lambda item: item.size):
        roots = chain.roots.get(note.size, (None, None))
        if roots == (None, None) or note.root in roots:
            continue
        if note.size <= newest_good:
            report.add(
                "rollback", None, None, f"{note.place} contradicts a signed checkpoint of {newest_good} facts"
            )
        elif not window_named:
            window_named = True
            start = max((size for size in holding if size < note.size), default=0) + 1
            kind = "broken-link" if chain.with_seals else "changed-content"
            what = "leaf hashes" if chain.with_seals else "texts"
            report.add(
                kind, start, max(start, note.size), f"the {what} do not give the signed root of {note.place}"
            )


def _judge_tail(notes: list[Note], report: Report) -> None:
    exported = max((note.size for note in notes if not note.known), default=0)
    expected = max(exported, report.last_seal)
    if expected > report.last_fact:
        report.add("missing-tail", report.last_fact + 1, expected, f"the export ends at {report.last_fact}")
    ahead = [note for note in notes if note.known and note.size > max(expected, report.last_fact)]
    if ahead:
        newest = max(ahead, key=lambda item: item.size)
        detail = (
            f"{newest.place} counts {newest.size} facts, the export ends at {report.last_fact} (or is older)"
        )
        report.add("rollback", report.last_fact + 1, newest.size, detail)


def _judge_history(notes: list[Note], report: Report) -> None:
    roots: dict[int, Note] = {}
    for note in notes:
        before = roots.setdefault(note.size, note)
        if before.root != note.root:
            report.add("rollback", None, None, f"{before.place} and {note.place}: one size, two roots")
    largest: Note | None = None
    for note in sorted((item for item in notes if item.time), key=lambda item: (item.time, item.size)):
        if largest is not None and note.size < largest.size:
            report.add("rollback", None, None, f"{note.place} is later but smaller than {largest.place}")
        else:
            largest = note


def verify(folder: Path, vkey: str, known: Path | None) -> tuple[Report, list[Note]]:
    """All findings on an export, and the checkpoints used. Raises ValueError (bad key) or OSError (no export)."""
    key = read_key(vkey)
    report = Report()
    notes = read_notes(folder / "checkpoints", False, key, report)
    if known is not None:
        notes += read_notes(known, True, key, report)
    chain = Chain(report, {note.size for note in notes}, (folder / "seals.jsonl").exists())
    chain.walk(read_facts(folder, report), read_seals(folder, report))
    judge(chain, notes, report)
    if not notes and report.facts + report.seals:
        report.add(
            "unsigned", 1, max(report.last_fact, report.last_seal), "no checkpoint vouches for these facts"
        )
    return report, notes


def _unbase64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"not a folder: {text}")
    return path


def main(arguments: list[str], write: Callable[[str], object]) -> int:
    parser = argparse.ArgumentParser(prog="verifier.py", description="Checks an exported journal.")
    parser.add_argument("folder", type=_folder)
    parser.add_argument("--key", required=True, metavar="VKEY")
    parser.add_argument("--known", type=_folder, metavar="FOLDER")
    options = parser.parse_args(arguments)
    try:
        report, notes = verify(options.folder, options.key, options.known)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    signed = max((note.size for note in notes), default=0)
    if not report.findings:
        after = report.last_fact - signed
        write(
            f"ok: {report.facts} facts, {len(notes)} checkpoints, {signed} signed, {after} not yet signed\n"
        )
        return 0
    for finding in report.findings[:SHOWN_FINDINGS]:
        write(finding.line() + "\n")
    hidden = max(0, len(report.findings) - SHOWN_FINDINGS)
    write(f"found: {len(report.findings)} findings in {report.facts} facts, {hidden} not shown\n")
    return 1


if __name__ == "__main__":
    # The console of an old office PC may lack a character; the finding must still be printed.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:], sys.stdout.write))
