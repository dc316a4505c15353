"""Changes to sealed records with an aim: what somebody does who knows how records are made."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from nexus_reimport import record, settings
from nexus_reimport.nexus.registry import Committed
from nexus_reimport.record import Run, journal
from nexus_reimport.record.sealed import archived, bag, chain
from nexus_reimport.record.sealed.chain import Link
from support.records import checked, complete, row, seal_anew, stopped, wrong


@dataclass
class Sealed:
    """An environment's sealed records, and what its database holds of them."""

    known: settings.Settings
    runs: list[Run]
    rows: list[Committed]

    @classmethod
    def of(cls, known: settings.Settings) -> Sealed:
        """Four sealed records: committed and stopped runs by turns."""
        for run in (complete, stopped, complete, stopped):
            run(known)
        return cls.read(known)

    @classmethod
    def read(cls, known: settings.Settings) -> Sealed:
        """The records that are there."""
        runs = record.every(known)
        return cls(known, runs, [row(runs[0]), row(runs[2])])

    @property
    def folder(self) -> Path:
        return self.known.records_folder

    def problems(self) -> dict[str, tuple[str, ...]]:
        return wrong(checked(self.known, self.rows))

    def seals(self) -> dict[str, tuple[str, str, str]]:
        """As the auditor's tool takes them."""
        return {r.run: (str(r.sequence), r.verdict, r.seal) for r in self.rows}


# ---------------------------------------------------------------- of all records together


def a_page_removed_and_rehashed(sealed: Sealed) -> None:
    (sealed.runs[2].folder / "01_preflight.html").unlink()
    seal_anew(sealed.runs[2].bag)


def a_value_removed_and_rehashed(sealed: Sealed) -> None:
    (sealed.runs[1].folder / "environment.json").unlink()
    seal_anew(sealed.runs[1].bag)


def the_last_record_invented(sealed: Sealed) -> None:
    """A committed run that never was, everything about it in order."""
    complete(sealed.known)


def a_stopped_record_invented(sealed: Sealed) -> None:
    noted = (sealed.folder / chain.LAST).read_bytes()
    stopped(sealed.known)
    (sealed.folder / chain.LAST).write_bytes(noted)


def the_first_record_copied_to_the_end(sealed: Sealed) -> None:
    shutil.copytree(sealed.runs[0].bag, sealed.folder / "20990101T000000Z-0000")


def all_records_deleted(sealed: Sealed) -> None:
    shutil.rmtree(sealed.folder)


def the_last_record_deleted(sealed: Sealed) -> None:
    shutil.rmtree(sealed.runs[-1].bag)


def a_record_in_the_middle_deleted(sealed: Sealed) -> None:
    shutil.rmtree(sealed.runs[1].bag)


def the_chain_rebuilt(sealed: Sealed) -> None:
    """One record is taken out, and all later ones are numbered and sealed anew."""
    shutil.rmtree(sealed.runs[1].bag)
    rebuild(sealed, [run for run in sealed.runs if run.bag.exists()])


def the_chain_rebuilt_around_an_edited_record(sealed: Sealed) -> None:
    (sealed.runs[0].folder / "plan.json").write_text("{}")
    rebuild(sealed, sealed.runs)


def rebuild(sealed: Sealed, runs: list[Run]) -> None:
    before: Link | None = None
    for number, run in enumerate(runs, 1):
        facts = {
            "Sequence": str(number),
            "Record-Before": before.run if before else "none",
            "Seal-Before": before.seal if before else "none",
        }
        (run.bag / bag.INFO).write_text(bag.info_text(bag.info(run.bag) | facts))
        seal_anew(run.bag)
        before = run.place()
    assert before is not None
    chain.note_last(sealed.folder, before)


def a_journal_removed(sealed: Sealed) -> None:
    (sealed.runs[2].folder / journal.JOURNAL).unlink()


def a_journal_removed_and_rehashed(sealed: Sealed) -> None:
    a_journal_removed(sealed)
    seal_anew(sealed.runs[2].bag)


def a_manifest_emptied(sealed: Sealed) -> None:
    (sealed.runs[0].bag / bag.MANIFEST).write_bytes(b"")


def the_last_file_emptied(sealed: Sealed) -> None:
    (sealed.runs[0].bag / bag.TAG_MANIFEST).write_bytes(b"")


def a_seal_taken_away(sealed: Sealed) -> None:
    (sealed.runs[2].bag / bag.TAG_MANIFEST).unlink()


def the_clock_set_ahead(sealed: Sealed) -> None:
    """A record that says it was sealed in the future, and is named so, stays where it was."""
    info = bag.info(sealed.runs[1].bag) | {"Sealed-At": "2099-01-01T00:00:00+00:00"}
    (sealed.runs[1].bag / bag.INFO).write_text(bag.info_text(info))
    seal_anew(sealed.runs[1].bag)


def a_verdict_made_better(sealed: Sealed) -> None:
    run = sealed.runs[1]
    for path in (run.bag / bag.INFO, run.folder / "verdict.json"):
        path.write_text(path.read_text().replace("STOPPED", "COMPLETE"))
    seal_anew(run.bag)


def a_verdict_made_worse_in_the_database(sealed: Sealed) -> None:
    sealed.rows[0] = row(sealed.runs[0], verdict="COMMITTED_UNVERIFIED")


def another_seal_in_the_database(sealed: Sealed) -> None:
    sealed.rows[0] = row(sealed.runs[0], seal="0" * 64)


def the_database_restored_from_before(sealed: Sealed) -> None:
    del sealed.rows[1]


def a_run_that_the_folder_does_not_have(sealed: Sealed) -> None:
    sealed.rows.append(replace(sealed.rows[0], run="20260101T000000Z-0000"))


def two_records_swapped(sealed: Sealed) -> None:
    first, third = sealed.runs[0].bag, sealed.runs[2].bag
    first.rename(aside := first.with_name("aside"))
    third.rename(first)
    aside.rename(third)


def an_empty_folder_beside_them(sealed: Sealed) -> None:
    (sealed.folder / "20260101T000000Z-0000").mkdir()


def a_record_behind_a_link(sealed: Sealed) -> None:
    moved = sealed.folder.parent / "elsewhere"
    sealed.runs[0].bag.rename(moved)
    sealed.runs[0].bag.symlink_to(moved)


def a_link_to_a_record(sealed: Sealed) -> None:
    (sealed.folder / "latest").symlink_to(sealed.runs[0].bag)


def a_signature_added(sealed: Sealed) -> None:
    (sealed.runs[0].bag / bag.SIGNATURE).write_text("a signature")


def the_note_of_the_last_seal_removed(sealed: Sealed) -> None:
    (sealed.folder / chain.LAST).unlink()


def the_note_of_the_last_seal_set_back(sealed: Sealed) -> None:
    link = sealed.runs[2].place()
    assert link is not None
    chain.note_last(sealed.folder, link)


def a_record_of_another_environment(sealed: Sealed) -> None:
    """All that another environment's first record says of itself is right; it lies here."""
    elsewhere = sealed.known.model_copy(update={"name": "sandbox-prod"})
    other = stopped(elsewhere)
    shutil.copytree(other.bag, sealed.folder / other.id)


def two_records_with_one_number(sealed: Sealed) -> None:
    """The last one is sealed anew, as the one before it is numbered; the note says so too."""
    last, before = sealed.runs[3], sealed.runs[2]
    told = bag.info(last.bag) | {"Sequence": "3", "Record-Before": sealed.runs[1].id}
    told["Seal-Before"] = sealed.runs[1].seal_digest()
    (last.bag / bag.INFO).write_text(bag.info_text(told))
    seal_anew(last.bag)
    link = before.place()
    assert link is not None
    chain.note_last(sealed.folder, link)


def a_number_that_is_no_number(sealed: Sealed) -> None:
    told = bag.info(sealed.runs[3].bag) | {"Sequence": "٤"}
    (sealed.runs[3].bag / bag.INFO).write_text(bag.info_text(told))
    seal_anew(sealed.runs[3].bag)


def a_number_far_ahead(sealed: Sealed) -> None:
    run = sealed.runs[3]
    told = bag.info(run.bag) | {"Sequence": "40"}
    (run.bag / bag.INFO).write_text(bag.info_text(told))
    seal_anew(run.bag)
    link = run.place()
    assert link is not None
    chain.note_last(sealed.folder, link)


def the_note_of_the_last_seal_as_a_pipe(sealed: Sealed) -> None:
    (sealed.folder / chain.LAST).unlink()
    os.mkfifo(sealed.folder / chain.LAST)


def a_payload_file_with_another_name(sealed: Sealed) -> None:
    os.link(sealed.runs[0].folder / "plan.json", sealed.folder.parent / "outside.json")


def a_manifest_with_another_name(sealed: Sealed) -> None:
    os.link(sealed.runs[0].bag / bag.MANIFEST, sealed.folder.parent / "outside.txt")


def the_note_of_the_last_seal_with_another_name(sealed: Sealed) -> None:
    os.link(sealed.folder / chain.LAST, sealed.folder.parent / "outside.txt")


def _note(sealed: Sealed, text: str) -> None:
    (sealed.folder / chain.LAST).write_text(text)


def the_note_of_the_last_seal_without_end(sealed: Sealed) -> None:
    _note(sealed, '{"sequence": 1e999, "run": "x", "seal": "y"}')


def the_note_of_the_last_seal_too_deep(sealed: Sealed) -> None:
    _note(sealed, "[" * 100_000)


def the_note_of_the_last_seal_beyond_any_number(sealed: Sealed) -> None:
    _note(sealed, f'{{"sequence": {10**18}, "run": "x", "seal": "{"0" * 64}"}}')


def the_note_of_the_last_seal_before_any_number(sealed: Sealed) -> None:
    _note(sealed, f'{{"sequence": -4, "run": "x", "seal": "{"0" * 64}"}}')


def the_note_of_the_last_seal_with_a_verdict_in_it(sealed: Sealed) -> None:
    """Its run would stand in the next record's bag-info.txt."""
    run = "x\\nVerdict: COMPLETE"
    _note(sealed, f'{{"sequence": 5, "run": "{run}", "seal": "{"0" * 64}"}}')


def the_note_of_the_last_seal_outside(sealed: Sealed) -> None:
    _note(sealed, f'{{"sequence": 5, "run": "../x", "seal": "{"0" * 64}"}}')


def the_note_of_the_last_seal_between_two_numbers(sealed: Sealed) -> None:
    _note(sealed, f'{{"sequence": 4.5, "run": "x", "seal": "{"0" * 64}"}}')


def the_note_of_the_last_seal_without_a_seal(sealed: Sealed) -> None:
    """What stands for it would stand in the next record's bag-info.txt."""
    _note(sealed, '{"sequence": 5, "run": "x", "seal": "none"}')


UNBELIEVABLE: list[Callable[[Sealed], None]] = [
    the_note_of_the_last_seal_without_end,
    the_note_of_the_last_seal_too_deep,
    the_note_of_the_last_seal_beyond_any_number,
    the_note_of_the_last_seal_before_any_number,
    the_note_of_the_last_seal_with_a_verdict_in_it,
    the_note_of_the_last_seal_outside,
    the_note_of_the_last_seal_between_two_numbers,
    the_note_of_the_last_seal_without_a_seal,
]


def the_register_that_a_record_holds_beyond_any_number(sealed: Sealed) -> None:
    """The last record, which wrote nothing: nobody but the note beside it knows its seal."""
    run = sealed.runs[3]
    facts = bag.info(run.bag) | {"Register": f"{'9' * 5000} {'0' * 64}"}
    (run.bag / bag.INFO).write_text(bag.info_text(facts))
    seal_anew(run.bag)
    link = run.place()
    assert link is not None
    chain.note_last(sealed.folder, link)


def _archived(sealed: Sealed, **differing: str) -> None:
    """The list beside the records, as it is once the last record is in the archive."""
    run = sealed.runs[3]
    facts = {"run": run.id, "seal": run.seal_digest(), "bucket": "b", "key": f"{run.id}.tar"}
    facts |= {"version": "1", "until": "2099-01-01T00:00:00+00:00", "sha256": "0" * 64}
    (sealed.folder / archived.LIST).write_text(json.dumps(facts | differing) + "\n")


def the_last_record_deleted_that_was_archived(sealed: Sealed) -> None:
    """It wrote nothing to the database, and the note of the last seal is set back."""
    _archived(sealed)
    the_last_record_deleted(sealed)
    the_note_of_the_last_seal_set_back(sealed)


def the_last_record_edited_that_was_archived(sealed: Sealed) -> None:
    _archived(sealed)
    run = sealed.runs[3]
    (run.folder / "environment.json").write_text("{}")
    seal_anew(run.bag)
    link = run.place()
    assert link is not None
    chain.note_last(sealed.folder, link)


AIMED: list[Callable[[Sealed], None]] = [
    the_last_record_deleted_that_was_archived,
    the_last_record_edited_that_was_archived,
    *UNBELIEVABLE,
    the_register_that_a_record_holds_beyond_any_number,
    a_payload_file_with_another_name,
    a_manifest_with_another_name,
    the_note_of_the_last_seal_with_another_name,
    a_page_removed_and_rehashed,
    a_value_removed_and_rehashed,
    the_last_record_invented,
    a_stopped_record_invented,
    the_first_record_copied_to_the_end,
    all_records_deleted,
    the_last_record_deleted,
    a_record_in_the_middle_deleted,
    the_chain_rebuilt,
    the_chain_rebuilt_around_an_edited_record,
    a_journal_removed,
    a_journal_removed_and_rehashed,
    a_manifest_emptied,
    the_last_file_emptied,
    a_seal_taken_away,
    the_clock_set_ahead,
    a_verdict_made_better,
    a_verdict_made_worse_in_the_database,
    another_seal_in_the_database,
    the_database_restored_from_before,
    a_run_that_the_folder_does_not_have,
    two_records_swapped,
    an_empty_folder_beside_them,
    a_record_behind_a_link,
    a_link_to_a_record,
    a_signature_added,
    the_note_of_the_last_seal_removed,
    the_note_of_the_last_seal_set_back,
    a_record_of_another_environment,
    two_records_with_one_number,
    a_number_that_is_no_number,
    a_number_far_ahead,
    the_note_of_the_last_seal_as_a_pipe,
]
