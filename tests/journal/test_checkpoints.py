import base64
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from marketplace.journal.checkpoints import (
    BadKey,
    BadNote,
    BadSignature,
    Checkpoint,
    key_name,
    make_key,
    open_note,
    sign,
    verifier_key,
)
from marketplace.journal.verifier import read_key, read_note

NAME = "pingliang.example/journal"
CHECKPOINT = Checkpoint(NAME, 1200, sha256(b"root").digest(), datetime(2026, 11, 24, 4, 1, 2, 3, UTC))


@pytest.fixture(scope="module")
def keys():
    return make_key(NAME)


def test_a_note_has_the_c2sp_lines(keys):
    note = sign(CHECKPOINT, keys[0])

    root = base64.b64encode(CHECKPOINT.root).decode()
    text = f"{NAME}\n1200\n{root}\ntime 2026-11-24T04:01:02.000003Z\n\n\N{EM DASH} {NAME} "
    assert note.startswith(text)
    signature = base64.b64decode(note[len(text) : -1])
    public = base64.b64decode(keys[1].split("+", 2)[2])
    assert note.endswith("\n")
    assert len(signature) == 68
    assert signature[:4] == sha256(NAME.encode() + b"\n" + public).digest()[:4]
    assert signature[:4].hex() == keys[1].split("+")[1]


def test_what_was_signed_is_read_back_by_both_readers(keys):
    note = sign(CHECKPOINT, keys[0])

    assert open_note(note, keys[1]) == CHECKPOINT
    assert read_note(note, read_key(keys[1])) == (1200, CHECKPOINT.root, "2026-11-24T04:01:02.000003Z")


def test_a_checkpoint_without_time_and_of_an_empty_journal_is_read_back(keys):
    empty = Checkpoint(NAME, 0, sha256(b"").digest())

    assert open_note(sign(empty, keys[0]), keys[1]) == empty


def test_every_flipped_bit_of_the_signed_text_is_refused_by_both_readers(keys):
    note = sign(CHECKPOINT, keys[0])
    text, tail = note.split("\n\n")
    refused = 0

    for at in range(len(text)):
        for bit in range(7):
            forged = text[:at] + chr(ord(text[at]) ^ (1 << bit)) + text[at + 1 :] + "\n\n" + tail
            with pytest.raises((BadNote, BadSignature)):
                open_note(forged, keys[1])
            with pytest.raises(ValueError):
                read_note(forged, read_key(keys[1]))
            refused += 1

    assert refused == len(text) * 7


def test_a_note_of_another_key_with_the_same_name_is_refused(keys):
    with pytest.raises(BadSignature, match="no signature"):
        open_note(sign(CHECKPOINT, make_key(NAME)[0]), keys[1])


def test_signatures_of_witnesses_are_passed_over(keys):
    witness = make_key("witness.example")[0]
    other = sign(replace(CHECKPOINT, origin="witness.example"), witness)
    note = sign(CHECKPOINT, keys[0])

    countersigned = note + other.split("\n\n")[1]

    assert open_note(countersigned, keys[1]) == CHECKPOINT
    assert read_note(countersigned, read_key(keys[1]))[0] == 1200


def test_the_verifier_key_follows_from_the_signer_key(keys):
    assert verifier_key(keys[0]) == keys[1]
    assert key_name(keys[0]) == key_name(keys[1]) == NAME


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\n", "x" * 201])
def test_a_key_name_that_a_note_cannot_carry_is_refused(name):
    with pytest.raises(BadKey, match="name of a key"):
        make_key(name)


@pytest.mark.parametrize(
    "damage",
    [
        lambda key: "",
        lambda key: key[:-2],
        lambda key: key.replace("pingliang", "pingIiang"),
        lambda key: key.replace("PRIVATE+KEY+", "", 1),
        lambda key: key[:-6] + ("A" if key[-6] != "A" else "B") + key[-5:],
    ],
)
def test_a_damaged_signer_key_signs_nothing(keys, damage):
    with pytest.raises(BadKey):
        sign(CHECKPOINT, damage(keys[0]))


@pytest.mark.parametrize("vkey", ["", "a", "a+b+c", f"{NAME}+00000000+AAAA", f"{NAME}+0000000g+{'A' * 44}"])
def test_a_damaged_verifier_key_opens_nothing(keys, vkey):
    with pytest.raises(BadKey):
        open_note(sign(CHECKPOINT, keys[0]), vkey)


def test_a_key_signs_only_for_its_own_journal(keys):
    with pytest.raises(BadKey, match="speaks for"):
        sign(replace(CHECKPOINT, origin="other.example"), keys[0])


@pytest.mark.parametrize("change", [{"size": -1}, {"size": 2**63}, {"root": b"short"}])
def test_a_checkpoint_out_of_range_is_not_signed(keys, change):
    with pytest.raises(BadNote, match="size of 0"):
        sign(replace(CHECKPOINT, **change), keys[0])


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("\n\n", "\n"),
        lambda note: note[:-1],
        lambda note: note.replace("\N{EM DASH} ", "- "),
        lambda note: note + "\n",
        lambda note: note.replace("1200", "1200\r"),
        lambda note: note[:-6] + "====\n",
        lambda note: "x" * 100_001,
        lambda note: "\ud800" + note,
    ],
)
def test_a_note_out_of_form_is_refused(keys, change):
    with pytest.raises(BadNote):
        open_note(change(sign(CHECKPOINT, keys[0])), keys[1])
