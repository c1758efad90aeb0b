"""Signed statements of how large the journal was and what its root was, kept by others than us.

Form: C2SP tlog-checkpoint inside a C2SP signed note, Ed25519, so that existing tools read them:

    pingliang.example/journal
    1200
    <base64 root>
    time 2026-11-24T04:01:02.000003Z

    — pingliang.example/journal <base64 of 4 bytes key hash and 64 bytes signature>

The origin line and the name of the key are the same. The time line is an extension line of ours.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from marketplace.journal.canonical import instant_text

_ED25519 = b"\x01"
_SIGNER_PREFIX = "PRIVATE+KEY+"
_DASH = "\N{EM DASH} "
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,200}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_TIME = re.compile(r"time ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6})Z", re.ASCII)
_MAX_NOTE_CHARACTERS = 100_000


class BadKey(ValueError):
    """The text is not a signer or verifier key, or it was damaged in copying."""


class BadNote(ValueError):
    """The text is not a checkpoint in signed-note form."""


class BadSignature(ValueError):
    """The note is not signed by the expected key, or was changed after signing."""


@dataclass(frozen=True)
class Checkpoint:
    """At `time` the journal `origin` held `size` sealed facts, and their root was `root` (32 bytes)."""

    origin: str
    size: int
    root: bytes
    time: datetime | None = None


def make_key(name: str) -> tuple[str, str]:
    """A new signing key: (signer key text, kept outside the database; verifier key text, to be published).

    `name` is the origin of the journal, such as a domain and a path, without spaces or `+`. Raises BadKey.
    """
    _require_name(name)
    key = Ed25519PrivateKey.generate()
    public = _ED25519 + key.public_key().public_bytes_raw()
    mark = _key_hash(name, public).hex()
    signer = f"{_SIGNER_PREFIX}{name}+{mark}+{_b64(_ED25519 + key.private_bytes_raw())}"
    return signer, f"{name}+{mark}+{_b64(public)}"


def verifier_key(signer: str) -> str:
    """The publishable half of a signer key. Raises BadKey."""
    name, key = _read_signer(signer)
    public = _ED25519 + key.public_key().public_bytes_raw()
    return f"{name}+{_key_hash(name, public).hex()}+{_b64(public)}"


def key_name(key: str) -> str:
    """The origin a signer or verifier key speaks for. Raises BadKey."""
    return _split_key(key.removeprefix(_SIGNER_PREFIX))[0]


def sign(checkpoint: Checkpoint, signer: str) -> str:
    """The checkpoint as a signed note, ready to be handed to the poverty office.

    Raises BadKey for a damaged key or one of another origin, BadNote for a size or root out of range.
    """
    name, key = _read_signer(signer)
    if checkpoint.origin != name:
        raise BadKey(f"the key speaks for {name}, not for {checkpoint.origin}")
    if not 0 <= checkpoint.size < 2**63 or len(checkpoint.root) != 32:
        raise BadNote("a checkpoint has a size of 0 to 2^63-1 and a root of 32 bytes")
    lines = [checkpoint.origin, str(checkpoint.size), _b64(checkpoint.root)]
    if checkpoint.time is not None:
        lines.append(f"time {instant_text(checkpoint.time)}")
    text = "".join(f"{line}\n" for line in lines)
    public = _ED25519 + key.public_key().public_bytes_raw()
    signature = _key_hash(name, public) + key.sign(text.encode())
    return f"{text}\n{_DASH}{name} {_b64(signature)}\n"


def open_note(note: str, vkey: str) -> Checkpoint:
    """What the holder of the key stated. Signatures of other keys, such as witnesses, are passed over.

    Raises BadKey, BadNote (form) or BadSignature (not signed by this key, or changed since).
    """
    name, public = _read_verifier(vkey)
    text, signatures = _split_note(note)
    mark = _key_hash(name, public)
    ours = [
        raw[4:]
        for signed_by, raw in map(_read_signature, signatures)
        if signed_by == name and raw[:4] == mark
    ]
    if not ours:
        raise BadSignature(f"the note carries no signature of {name}")
    key = Ed25519PublicKey.from_public_bytes(public[1:])
    for signature in ours:
        try:
            key.verify(signature, text.encode())
        except InvalidSignature:
            raise BadSignature(f"the signature of {name} does not fit the note") from None
    checkpoint = _read_checkpoint(text)
    if checkpoint.origin != name:
        raise BadNote(f"the note is about {checkpoint.origin}, the key speaks for {name}")
    return checkpoint


def _split_note(note: str) -> tuple[str, list[str]]:
    if len(note) > _MAX_NOTE_CHARACTERS:
        raise BadNote("the note is too long")
    if any((character < " " and character != "\n") or character == "\x7f" for character in note):
        raise BadNote("the note holds control characters")
    if any("\ud800" <= character <= "\udfff" for character in note):
        raise BadNote("the note is not UTF-8 text")
    text, blank, tail = note.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise BadNote("the note has no blank line followed by signature lines")
    return text + "\n", tail[:-1].split("\n")


def _read_signature(line: str) -> tuple[str, bytes]:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or not _NAME.fullmatch(name):
        raise BadNote("a line after the blank line is not a signature line")
    raw = _unb64(encoded)
    if raw is None or len(raw) < 5:
        raise BadNote("a signature line holds no base64 signature")
    return name, raw


def _read_checkpoint(text: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) < 3 or "" in lines:
        raise BadNote("a checkpoint has the lines origin, size and root, none of them empty")
    root = _unb64(lines[2])
    if not _SIZE.fullmatch(lines[1]) or int(lines[1]) >= 2**63:
        raise BadNote("the second line is not a tree size")
    if root is None or len(root) != 32:
        raise BadNote("the third line is not a base64 root of 32 bytes")
    times = [line for line in lines[3:] if line.startswith("time ")]
    if len(times) > 1:
        raise BadNote("the checkpoint has more than one time line")
    return Checkpoint(lines[0], int(lines[1]), root, _read_time(times[0]) if times else None)


def _read_time(line: str) -> datetime:
    match = _TIME.fullmatch(line)
    if match is None:
        raise BadNote("the time line is not UTC with six decimals")
    try:
        return datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError:
        raise BadNote("the time line is not a time") from None


def _read_signer(signer: str) -> tuple[str, Ed25519PrivateKey]:
    if not signer.startswith(_SIGNER_PREFIX):
        raise BadKey("a signer key starts with PRIVATE+KEY+")
    name, mark, raw = _split_key(signer.removeprefix(_SIGNER_PREFIX))
    key = Ed25519PrivateKey.from_private_bytes(raw[1:])
    if _key_hash(name, _ED25519 + key.public_key().public_bytes_raw()) != mark:
        raise BadKey("the signer key does not fit its own check value")
    return name, key


def _read_verifier(vkey: str) -> tuple[str, bytes]:
    name, mark, raw = _split_key(vkey)
    if _key_hash(name, raw) != mark:
        raise BadKey("the verifier key does not fit its own check value")
    return name, raw


def _split_key(text: str) -> tuple[str, bytes, bytes]:
    # Base64 may hold a plus sign, so only the first two separate.
    parts = text.split("+", 2)
    if len(parts) != 3 or not re.fullmatch(r"[0-9a-f]{8}", parts[1], re.ASCII):
        raise BadKey("a key has the form name+8 hex digits+base64")
    _require_name(parts[0])
    raw = _unb64(parts[2])
    if raw is None or len(raw) != 33 or raw[:1] != _ED25519:
        raise BadKey("the key is not an Ed25519 key")
    return parts[0], bytes.fromhex(parts[1]), raw


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadKey("the name of a key is 1 to 200 characters without spaces or +")


def _key_hash(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + public).digest()[:4]


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: str) -> bytes | None:
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    # Base64 has spare bits; a second spelling of the same bytes is refused.
    return data if _b64(data) == text else None
