"""The verifier as the office runs it: one file in an empty folder, a separate Python, only the exported files."""

import json
import random
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from marketplace.journal import verifier
from marketplace.journal.checkpoints import Checkpoint, make_key, sign
from marketplace.journal.merkle import leaf_hash, root

NAME = "pingliang.example/journal"
SIGNER, VKEY = make_key(NAME)
START = datetime(2026, 11, 24, tzinfo=UTC)
FACTS = 40
SIZES = (10, 20, 30, 40)
STATED = {size: START + timedelta(hours=size) for size in (*SIZES, 35)}


def _texts(count=FACTS):
    return [
        f'{{"kind":"order.returned","data":{{"fen":{n},"lot":"静宁苹果 \u2028 {n % 3}"}}}}'
        for n in range(count)
    ]


def _facts(texts):
    return list(enumerate(texts, start=1))


def _seals(facts):
    return [(seq, leaf_hash(seq, text).hex()) for seq, text in facts]


def _note(facts, size, time=None, signer=SIGNER, name=NAME):
    tree = root(leaf_hash(seq, text) for seq, text in facts[:size])
    return sign(Checkpoint(name, size, tree, time or STATED.get(size, START)), signer)


def _write(folder, facts, seals=None, notes=()):
    (folder / "checkpoints").mkdir(parents=True)
    with (folder / "facts.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for seq, text in facts:
            file.write(json.dumps({"seq": seq, "text": text}, ensure_ascii=False) + "\n")
    if seals is not None:
        with (folder / "seals.jsonl").open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(json.dumps({"seq": seq, "leaf_hash": leaf}) + "\n" for seq, leaf in seals)
    _write_notes(folder / "checkpoints", notes)
    return folder


def _write_notes(folder, notes):
    folder.mkdir(exist_ok=True)
    for at, note in enumerate(notes):
        (folder / f"{at:03}.txt").write_bytes(note.encode())
    return folder


def _check(folder, known=None, key=VKEY):
    """Findings as (kind, first, last), in the process."""
    report, _ = verifier.verify(folder, key, known)
    return [(item.kind, item.first, item.last) for item in report.findings]


def _run(folder, *arguments):
    empty = folder.parent / "empty"
    empty.mkdir(exist_ok=True)
    shutil.copy(verifier.__file__, empty / "verifier.py")
    return subprocess.run(
        [sys.executable, "-I", "verifier.py", *map(str, arguments)],
        cwd=empty,
        capture_output=True,
        encoding="utf-8",
        timeout=200,
        check=False,
    )


@pytest.fixture
def honest():
    facts = _facts(_texts())
    return facts, _seals(facts), [_note(facts, size) for size in SIZES]


def test_an_honest_export_passes_in_a_separate_python_with_only_this_file(tmp_path, honest):
    facts, seals, notes = honest
    folder = _write(tmp_path / "export", facts, seals, notes[:3])
    known = _write_notes(tmp_path / "known", notes[:2])

    done = _run(folder, folder, "--key", VKEY, "--known", known)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "ok: 40 facts, 5 checkpoints, 30 signed, 10 not yet signed\n"


def test_a_changed_text_is_printed_with_its_number_and_fails(tmp_path, honest):
    facts, seals, notes = honest
    facts[16] = (17, "changed")
    folder = _write(tmp_path / "export", facts, seals, notes)

    done = _run(folder, folder, "--key", VKEY)

    assert done.returncode == 1
    assert done.stdout.startswith("changed-content seq 17: 内容被改动: ")
    assert done.stdout.endswith("found: 1 findings in 40 facts, 0 not shown\n")


@pytest.mark.parametrize(
    "arguments", [[], ["nowhere", "--key", VKEY], [".", "--key", "damaged"], [".", "--key", VKEY], ["."]]
)
def test_a_wrong_call_is_told_apart_from_a_finding(tmp_path, arguments):
    done = _run(tmp_path / "export", *arguments)

    assert done.returncode == 2
    assert done.stderr.startswith("usage: verifier.py")


def test_an_empty_journal_and_one_signed_while_empty_pass(tmp_path):
    assert _check(_write(tmp_path / "new", [])) == []
    assert _check(_write(tmp_path / "signed", [], [], [_note([], 0)])) == []


def test_facts_that_no_checkpoint_covers_are_a_finding(tmp_path, honest):
    facts, seals, _ = honest

    assert _check(_write(tmp_path / "export", facts, seals)) == [("unsigned", 1, 40)]


def test_without_seals_a_changed_text_is_placed_between_two_checkpoints(tmp_path, honest):
    facts, _, notes = honest
    facts[16] = (17, "changed")

    assert _check(_write(tmp_path / "export", facts, None, notes)) == [("changed-content", 11, 20)]


def test_a_changed_seal_is_a_broken_link_since_the_text_fits_the_signed_root(tmp_path, honest):
    facts, seals, notes = honest
    seals[16] = (17, "00" * 32)

    assert _check(_write(tmp_path / "export", facts, seals, notes)) == [("broken-link", 17, 17)]


def test_a_text_changed_together_with_its_seal_is_placed_between_two_checkpoints(tmp_path, honest):
    facts, _, notes = honest
    facts[16] = (17, "changed")

    findings = _check(_write(tmp_path / "export", facts, _seals(facts), notes))

    assert findings == [("broken-link", 11, 20)]


def test_swapped_texts_are_found_at_both_places(tmp_path, honest):
    facts, seals, notes = honest
    facts[4], facts[24] = (5, facts[24][1]), (25, facts[4][1])

    findings = _check(_write(tmp_path / "export", facts, seals, notes))

    assert findings == [("changed-content", 5, 5), ("changed-content", 25, 25)]


def test_a_deleted_fact_is_named_with_and_without_seals(tmp_path, honest):
    facts, seals, notes = honest
    del facts[16]

    with_seals = _check(_write(tmp_path / "a", facts, seals, notes))
    without = _check(_write(tmp_path / "b", facts, None, notes))
    both_gone = _check(_write(tmp_path / "c", facts, seals[:16] + seals[17:], notes))

    assert with_seals == without == both_gone == [("broken-link", 17, 17)]


def test_a_deleted_seal_is_named(tmp_path, honest):
    facts, seals, notes = honest
    del seals[16]

    assert _check(_write(tmp_path / "export", facts, seals, notes)) == [("broken-link", 17, 17)]


def test_an_inserted_fact_under_a_used_number_is_named(tmp_path, honest):
    facts, seals, notes = honest
    facts.insert(17, (17, "inserted"))

    assert _check(_write(tmp_path / "export", facts, seals, notes)) == [("broken-link", 17, 17)]


def test_an_inserted_fact_with_renumbered_and_resealed_rest_is_placed_between_checkpoints(tmp_path, honest):
    facts, _, notes = honest
    texts = [text for _, text in facts]
    moved = _facts([*texts[:16], "inserted", *texts[16:]])

    findings = _check(_write(tmp_path / "export", moved, _seals(moved), notes))

    assert findings == [("broken-link", 11, 20)]


def test_a_cut_tail_is_missing_from_the_first_lost_number(tmp_path, honest):
    facts, seals, notes = honest

    assert _check(_write(tmp_path / "a", facts[:33], seals, notes)) == [("missing-tail", 34, 40)]
    assert _check(_write(tmp_path / "b", facts[:33], seals[:33], notes)) == [("missing-tail", 34, 40)]
    assert _check(_write(tmp_path / "c", facts[:33], None, notes)) == [("missing-tail", 34, 40)]


def test_a_rewritten_suffix_with_valid_hashes_is_placed_between_checkpoints(tmp_path, honest):
    facts, _, notes = honest
    rewritten = facts[:24] + [(seq, text + " ") for seq, text in facts[24:]]

    findings = _check(_write(tmp_path / "export", rewritten, _seals(rewritten), notes))

    assert findings == [("broken-link", 21, 30)]


def test_a_rewritten_suffix_signed_again_contradicts_what_the_office_keeps(tmp_path, honest):
    facts, _, notes = honest
    rewritten = facts[:24] + [(seq, text + " ") for seq, text in facts[24:]]
    resigned = [_note(rewritten, size) for size in (*SIZES[:2], 35, 40)]
    folder = _write(tmp_path / "export", rewritten, _seals(rewritten), resigned)
    known = _write_notes(tmp_path / "known", notes[:3])

    assert _check(folder) == []
    assert _check(folder, known) == [("rollback", None, None)]


def test_one_size_with_two_signed_roots_is_a_rollback(tmp_path, honest):
    facts, seals, notes = honest
    other = _facts(["other", *_texts()[1:]])
    known = _write_notes(tmp_path / "known", [_note(other, 40, STATED[40])])

    findings = _check(_write(tmp_path / "export", facts, seals, notes), known)

    assert findings == [("rollback", None, None), ("rollback", None, None)]


def test_a_database_set_back_to_an_older_state_is_behind_a_known_checkpoint(tmp_path, honest):
    facts, seals, notes = honest
    folder = _write(tmp_path / "export", facts[:25], seals[:25], notes[:2])
    known = _write_notes(tmp_path / "known", notes)

    assert _check(folder) == []
    assert _check(folder, known) == [("rollback", 26, 40)]


def test_a_known_checkpoint_newer_than_the_exported_ones_is_no_alarm_when_the_facts_are_there(
    tmp_path, honest
):
    facts, seals, notes = honest
    known = _write_notes(tmp_path / "known", notes)

    assert _check(_write(tmp_path / "export", facts, seals, notes[:2]), known) == []


def test_a_journal_that_shrank_and_grew_again_is_found_by_the_times(tmp_path, honest):
    facts, seals, notes = honest
    later_but_smaller = _note(facts, 25, STATED[40] + timedelta(hours=1))

    findings = _check(_write(tmp_path / "export", facts, seals, [*notes, later_but_smaller]))

    assert findings == [("rollback", None, None)]


def test_a_checkpoint_of_another_key_is_a_bad_signature_and_proves_nothing(tmp_path, honest):
    facts, seals, notes = honest
    forged = _note(facts, 40, signer=make_key(NAME)[0])

    with_others = _check(_write(tmp_path / "a", facts, seals, [*notes, forged]))
    alone = _check(_write(tmp_path / "b", facts, seals, [forged]))

    assert with_others == [("bad-signature", None, None)]
    assert alone == [("bad-signature", None, None), ("unsigned", 1, 40)]


def test_a_changed_note_is_a_bad_signature_and_a_damaged_one_unreadable(tmp_path, honest):
    facts, seals, notes = honest
    changed, damaged = notes[3].replace("\n40\n", "\n39\n"), notes[3].replace("\n\n", "\n")

    findings = _check(_write(tmp_path / "export", facts, seals, [*notes, changed, damaged]))

    assert findings == [("bad-signature", None, None), ("unreadable", None, None)]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"not json",
        b'{"seq":41}',
        b'{"seq":"41","text":"a"}',
        b'{"seq":true,"text":"a"}',
        b'{"seq":0,"text":"a"}',
        b'{"seq":41,"text":null}',
        b'{"seq":41,"text":"a","text":"b"}',
        b'{"seq":41,"text":"a","more":1}',
        b'{"seq":41,"text":"\xff"}',
        b'{"seq":9223372036854775808,"text":"a"}',
        b"[" * 100_000,
    ],
)
def test_a_line_out_of_form_is_named_and_the_rest_still_checked(tmp_path, honest, line):
    facts, seals, notes = honest
    facts[16] = (17, "changed")
    folder = _write(tmp_path / "export", facts, seals, notes)
    with (folder / "facts.jsonl").open("ab") as file:
        file.write(line + b"\n")

    assert _check(folder) == [("unreadable", None, None), ("changed-content", 17, 17)]


def test_a_text_with_a_lone_surrogate_is_unreadable_and_its_seal_kept_in_the_tree(tmp_path, honest):
    facts, seals, notes = honest
    folder = _write(tmp_path / "export", facts[:39], seals, notes)
    with (folder / "facts.jsonl").open("ab") as file:
        file.write(b'{"seq":40,"text":"\\ud800"}\n')

    assert _check(folder) == [("unreadable", 40, 40), ("missing-tail", 40, 40)]


def test_a_number_far_ahead_ends_the_walk_at_once(tmp_path, honest):
    facts, seals, notes = honest
    folder = _write(tmp_path / "export", [*facts, (2**62, "far")], seals, notes)

    assert _check(folder) == [("broken-link", 41, 2**62 - 1), ("broken-link", 2**62, 2**62)]


def _tamper(seed, facts):
    """One random change of the facts alone, and what must be found at which numbers."""
    chance = random.Random(seed)
    facts = list(facts)
    at = chance.randrange(len(facts) - 1)
    seq = at + 1
    match seed % 5:
        case 0:
            text = facts[at][1]
            place = chance.randrange(len(text))
            facts[at] = (seq, text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :])
            return facts, {("changed-content", seq, seq)}
        case 1:
            del facts[at]
            return facts, {("broken-link", seq, seq)}
        case 2:
            other = chance.choice([place for place in range(len(facts)) if abs(place - at) > 1])
            facts[at], facts[other] = (seq, facts[other][1] + " "), (other + 1, facts[at][1] + " ")
            return facts, {("changed-content", seq, seq), ("changed-content", other + 1, other + 1)}
        case 3:
            facts.insert(at + 1, (seq, "inserted"))
            return facts, {("broken-link", seq, seq)}
        case _:
            return facts[:at], {("missing-tail", seq, len(facts))}


def test_each_of_1000_random_tamperings_is_found_at_its_number(tmp_path, honest):
    facts, seals, notes = honest
    missed = []

    for seed in range(1000):
        tampered, expected = _tamper(seed, facts)
        folder = _write(tmp_path / str(seed), tampered, seals, notes)
        if set(_check(folder)) != expected:
            missed.append((seed, _check(folder), expected))
        shutil.rmtree(folder)

    assert missed == []


def test_each_of_500_random_tamperings_is_found_without_seals_in_its_window(tmp_path, honest):
    facts, _, notes = honest
    missed = []

    for seed in range(500):
        tampered, expected = _tamper(seed, facts)
        folder = _write(tmp_path / str(seed), tampered, None, notes)
        findings = _check(folder)
        first = min(seq for _, seq, _ in expected)
        if not findings or not all(low <= first <= high for _, low, high in findings[:1]):
            missed.append((seed, findings, expected))
        shutil.rmtree(folder)

    assert missed == []


def test_the_walk_does_not_hold_the_texts(tmp_path):
    def stream(count):
        report = verifier.Report()
        chain = verifier.Chain(report, set(), with_seals=False)
        chain.walk(((seq, b"x" * 32) for seq in range(1, count + 1)), iter(()))
        return chain.by_text

    assert len(stream(4095).hashes) == 12


def test_the_file_imports_only_the_standard_library_and_cryptography():
    text = Path(verifier.__file__).read_text(encoding="utf-8")
    imported = {
        line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import", "from"))
    }

    assert imported - set(sys.stdlib_module_names) == {"cryptography"}
