"""What is wrong with one sealed record by itself, although its manifests were made again for it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from nexus_reimport.files import private
from nexus_reimport.record import Run, journal
from nexus_reimport.record.sealed import bag


def line_ends_of_windows_in_the_manifest(run: Run) -> None:
    path = run.bag / bag.MANIFEST
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def a_line_of_the_manifest_twice(run: Run) -> None:
    path = run.bag / bag.MANIFEST
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0])


def a_path_outside_in_the_manifest(run: Run) -> None:
    outside = run.bag.parent / "outside.txt"
    outside.write_text("elsewhere")
    path = run.bag / bag.MANIFEST
    line = f"{private.sha256(outside.read_bytes())}  data/../../outside.txt\n"
    path.write_text(path.read_text() + line)


def a_manifest_of_another_algorithm(run: Run) -> None:
    (run.bag / "manifest-md5.txt").write_text(f"{'0' * 32}  data/plan.json\n")


def a_list_of_files_to_fetch(run: Run) -> None:
    (run.bag / "fetch.txt").write_text("https://clinic.example/plan.json 3 data/late.json\n")


def a_fact_of_the_bag_told_twice(run: Run) -> None:
    path = run.bag / bag.INFO
    path.write_text(f"Verdict: COMPLETE\n{path.read_text()}")


def another_form_declared(run: Run) -> None:
    path = run.bag / bag.DECLARATION
    path.write_text(path.read_text().replace("1.0", "0.97"))


def a_fact_of_the_journal_told_twice(run: Run) -> None:
    """The last line: no line after it holds its hash."""
    *before, last = (run.folder / journal.JOURNAL).read_bytes().splitlines(keepends=True)
    forged = last.replace(b"}", b', "verdict": "STOPPED"}')
    (run.folder / journal.JOURNAL).write_bytes(b"".join([*before, forged]))


def the_last_line_of_the_journal_cut(run: Run) -> None:
    """It said that the record was sealed, and as what."""
    path = run.folder / journal.JOURNAL
    path.write_bytes(path.read_bytes()[:-10])


def the_last_line_of_the_journal_with_another_verdict(run: Run) -> None:
    path = run.folder / journal.JOURNAL
    *before, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*before, last.replace(b"STOPPED", b"FAILED")]))


def _last_line(run: Run, change: Callable[[dict[str, object]], dict[str, object]]) -> None:
    path = run.folder / journal.JOURNAL
    *before, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*before, json.dumps(change(json.loads(last))).encode() + b"\n"]))


def a_line_of_the_journal_without_a_time(run: Run) -> None:
    _last_line(run, lambda line: {name: fact for name, fact in line.items() if name != "at"})


def a_line_of_the_journal_with_half_a_time(run: Run) -> None:
    _last_line(run, lambda line: line | {"at": "2026-03-01"})


def a_settlement_that_does_not_say_what(run: Run) -> None:
    _last_line(run, lambda line: line | {"event": "settled"})


def the_payload_behind_a_link(run: Run) -> None:
    moved = run.folder.rename(run.bag.parent.parent / "elsewhere")
    run.folder.symlink_to(moved)


def the_verdict_as_a_pipe(run: Run) -> None:
    (run.folder / "verdict.json").unlink()
    os.mkfifo(run.folder / "verdict.json")


def what_the_bag_says_as_a_pipe(run: Run) -> None:
    (run.bag / bag.INFO).unlink()
    os.mkfifo(run.bag / bag.INFO)


def _says(run: Run, /, **facts: str) -> None:
    (run.bag / bag.INFO).write_text(bag.info_text(bag.info(run.bag) | facts))


def _verdict_says(run: Run, /, **facts: str) -> None:
    path = run.folder / "verdict.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def what_the_bag_says_of_another_run(run: Run) -> None:
    _says(run, Run="20260101T000000Z-0000")


def what_the_bag_says_of_another_environment(run: Run) -> None:
    _says(run, Environment="sandbox-prod")


def what_the_bag_says_without_a_number(run: Run) -> None:
    _says(run, Sequence="none")


def what_the_bag_says_of_another_verdict(run: Run) -> None:
    _says(run, Verdict="COMPLETE")


def the_verdict_of_another_run(run: Run) -> None:
    _verdict_says(run, run="20260101T000000Z-0000")


def the_verdict_of_another_environment(run: Run) -> None:
    _verdict_says(run, environment="sandbox-prod")


def another_verdict(run: Run) -> None:
    _verdict_says(run, verdict="COMPLETE")


def _says_everywhere(run: Run, verdict: str, *events: str) -> None:
    """All that tells the verdict tells this one; the journal has these events too, before its end.

    Each line follows on the one before.
    """
    _says(run, Verdict=verdict)
    _verdict_says(run, verdict=verdict)
    path = run.folder / journal.JOURNAL
    *lines, last = [json.loads(line) for line in path.read_bytes().splitlines()]
    added = [{"event": event, "at": last["at"]} for event in events]
    written: list[bytes] = []
    for number, line in enumerate([*lines, *added, last | {"verdict": verdict}], 1):
        before = private.sha256(written[-1]) if written else ""
        written.append(json.dumps(line | {"n": number, "before": before}).encode())
    path.write_bytes(b"".join(line + b"\n" for line in written))


def a_commit_that_no_verdict_tells(run: Run) -> None:
    """The database's list has no run that wrote nothing: nobody would look for it there."""
    _says_everywhere(run, "STOPPED", "committing", "committed", "verified")


def a_verdict_without_its_commit(run: Run) -> None:
    _says_everywhere(run, "COMPLETE")


def a_verdict_without_its_verification(run: Run) -> None:
    _says_everywhere(run, "COMPLETE", "committing", "committed")


def a_verdict_in_letters_that_look_the_same(run: Run) -> None:
    """A person reads COMPLETE, and no program takes it for a run that must be in the database."""
    _says_everywhere(run, "\u0421OMPLETE", "committing", "committed", "verified")


def _before_the_end(run: Run, **line: object) -> None:
    """Its journal has this line too, before the one of its seal; each follows on the one before."""
    path, written = run.folder / journal.JOURNAL, list[bytes]()
    *lines, last = [json.loads(raw) for raw in path.read_bytes().splitlines()]
    for number, one in enumerate([*lines, line | {"at": last["at"]}, last], 1):
        before = private.sha256(written[-1]) if written else ""
        written.append(json.dumps(one | {"n": number, "before": before}).encode())
    path.write_bytes(b"".join(raw + b"\n" for raw in written))


def a_value_that_was_written_deleted(run: Run) -> None:
    _before_the_end(run, event="kept", file="sign_off_sheet.json", sha256="0" * 64)


def a_page_that_was_executed_deleted(run: Run) -> None:
    _before_the_end(run, event="page", page="01_preflight")


def the_environment_deleted(run: Run) -> None:
    (run.folder / bag.ENVIRONMENT).unlink()


def a_value_that_was_written_without_its_name(run: Run) -> None:
    _before_the_end(run, event="kept", sha256="0" * 64)


def a_stage_that_is_no_name(run: Run) -> None:
    _before_the_end(run, event="finished", stage=["plan"])


def a_seal_that_was_given_up(run: Run) -> None:
    """It is not the last line of the journal."""
    _before_the_end(run, event="sealed", verdict="STOPPED")
    _last_line(run, lambda line: line | {"event": "swept"})


def what_the_bag_says_of_another_kind(run: Run) -> None:
    _says(run, Kind="rollback")


def a_signature_taken_away(run: Run) -> None:
    _says(run, **{bag.SIGNED: "a.person@clinic.example"})


BY_ITSELF: list[Callable[[Run], None]] = [
    a_value_that_was_written_deleted,
    a_page_that_was_executed_deleted,
    the_environment_deleted,
    a_value_that_was_written_without_its_name,
    a_stage_that_is_no_name,
    a_seal_that_was_given_up,
    what_the_bag_says_of_another_kind,
    a_signature_taken_away,
    line_ends_of_windows_in_the_manifest,
    a_line_of_the_manifest_twice,
    a_path_outside_in_the_manifest,
    a_manifest_of_another_algorithm,
    a_list_of_files_to_fetch,
    a_fact_of_the_bag_told_twice,
    another_form_declared,
    a_fact_of_the_journal_told_twice,
    the_last_line_of_the_journal_cut,
    the_last_line_of_the_journal_with_another_verdict,
    a_line_of_the_journal_without_a_time,
    a_line_of_the_journal_with_half_a_time,
    a_settlement_that_does_not_say_what,
    the_payload_behind_a_link,
    the_verdict_as_a_pipe,
    what_the_bag_says_as_a_pipe,
    what_the_bag_says_of_another_run,
    what_the_bag_says_of_another_environment,
    what_the_bag_says_without_a_number,
    what_the_bag_says_of_another_verdict,
    the_verdict_of_another_run,
    the_verdict_of_another_environment,
    another_verdict,
    a_commit_that_no_verdict_tells,
    a_verdict_without_its_commit,
    a_verdict_without_its_verification,
    a_verdict_in_letters_that_look_the_same,
]
OF_THE_PAYLOAD = (  # which the seal is made anew for
    a_value_that_was_written_deleted,
    a_page_that_was_executed_deleted,
    the_environment_deleted,
    a_value_that_was_written_without_its_name,
    a_stage_that_is_no_name,
    a_seal_that_was_given_up,
    the_verdict_of_another_run,
    the_verdict_of_another_environment,
    another_verdict,
    a_commit_that_no_verdict_tells,
    a_verdict_without_its_commit,
    a_verdict_without_its_verification,
    a_verdict_in_letters_that_look_the_same,
    a_fact_of_the_journal_told_twice,
    the_last_line_of_the_journal_cut,
    the_last_line_of_the_journal_with_another_verdict,
    a_line_of_the_journal_without_a_time,
    a_line_of_the_journal_with_half_a_time,
    a_settlement_that_does_not_say_what,
)
