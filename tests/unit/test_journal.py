"""A journal: its lines follow on each other, and one that no stage wrote makes nothing better."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from types import ModuleType

import pytest

from nexus_reimport import record, settings
from nexus_reimport.errors import RecordError, StopError
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import Run, journal
from support.records import checked, stopped


def lines_of(run: Run) -> list[bytes]:
    return (run.folder / journal.JOURNAL).read_bytes().splitlines(keepends=True)


def rewritten(run: Run, lines: list[bytes]) -> None:
    (run.folder / journal.JOURNAL).write_bytes(b"".join(lines))


def test_each_line_of_a_journal_has_its_number_and_the_hash_of_the_one_before(
    known: settings.Settings,
) -> None:
    run = stopped(known)
    read = [json.loads(line) for line in lines_of(run)]
    assert [line["n"] for line in read] == list(range(1, len(read) + 1))
    assert read[0]["before"] == ""
    assert journal.scan(run.folder).broken == 0


def test_a_torn_line_is_told_and_the_next_one_begins_on_a_new_line(
    known: settings.Settings,
) -> None:
    run = record.create(known)
    run.journal(Event.STARTED, stage="plan", pid=1)
    *whole, last = lines_of(run)
    rewritten(run, [*whole, last[:20]])
    run.journal(Event.STARTED, stage="plan", pid=2)
    run.journal(Event.FAILED, stage="plan", exit_code=1, what="stopped")
    read = journal.scan(run.folder)
    assert (read.cut_lines, read.broken) == ((2,), 0)
    assert [entry.event for entry in read.entries] == ["opened", "started", "failed"]
    run.seal()
    (found,) = (c for c in checked(known, []) if c.run)
    assert found.is_right
    assert found.remarks == ("journal.jsonl: line 2 was cut while it was written",)


def test_a_journal_of_many_gigabytes_is_refused_and_not_read(
    known: settings.Settings, tool: ModuleType
) -> None:
    """Every command, and the page, read the whole of it, several times."""
    other, run = stopped(known), record.create(known)
    with (run.folder / journal.JOURNAL).open("r+b") as file:
        file.truncate(20 << 30)  # nothing is stored of it, and all of it would be read
    tracemalloc.start()
    try:
        with pytest.raises(RecordError) as refused:
            run.verdict()
        with pytest.raises(RecordError):
            run.journal(Event.STARTED, stage="plan")
        (found,) = (c for c in checked(known, []) if c.run == run.id)
        told: list[str] = []
        assert not tool.check(known.records_folder, say=told.append)
        assert tracemalloc.get_traced_memory()[1] < 10 * journal.LARGEST
    finally:
        tracemalloc.stop()
    assert refused.value.what == "the journal has 21,475 MB: no run writes so much"
    assert str(run.folder / journal.JOURNAL) in refused.value.where
    assert found.problems == (refused.value.what,)
    assert f"{run.id}: journal.jsonl: it has more than 17 MB: no run writes so much" in told
    assert other.verdict() is record.Verdict.STOPPED


def test_committing_alone_makes_a_run_in_doubt(known: settings.Settings) -> None:
    run = record.create(known)
    run.journal(Event.COMMITTING)
    assert run.verdict() is record.Verdict.IN_DOUBT


def forged(run: Run, *events: str) -> list[bytes]:
    """Lines that no stage wrote, each with the number that it should have."""
    number = len(lines_of(run))
    return [
        json.dumps(
            {
                "n": number + k,
                "before": "0" * 64,
                "at": "2026-03-01T00:00:00+00:00",
                "event": event,
                "committed": False,
                "stage": "apply",
            }
        ).encode()
        + b"\n"
        for k, event in enumerate(events, 1)
    ]


def test_a_verdict_is_never_made_better_by_a_line_that_no_stage_wrote(
    known: settings.Settings,
) -> None:
    run = record.create(known)
    run.journal(Event.STARTED, stage="apply", pid=1)
    run.journal(Event.COMMITTING)
    rewritten(run, lines_of(run) + forged(run, "settled", "not committed", "failed"))
    assert run.verdict() is record.Verdict.IN_DOUBT
    assert "line 4 does not follow on the one before" in run.journal_problems()[0]


def test_a_sign_off_that_no_stage_wrote_counts_for_nothing(known: settings.Settings) -> None:
    run = record.create(known)
    run.journal(Event.COMMITTED)
    rewritten(run, lines_of(run) + forged(run, "verified", "undone"))
    assert run.verdict() is record.Verdict.COMMITTED_UNVERIFIED


def test_lines_after_a_broken_one_can_still_make_a_verdict_worse(
    known: settings.Settings,
) -> None:
    run = record.create(known)
    rewritten(run, lines_of(run) + forged(run, "committed", "verified"))
    assert run.verdict() is record.Verdict.IN_DOUBT
    signed = record.create(known) if run.seal() else run
    signed.journal(Event.COMMITTED)
    signed.journal(Event.VERIFIED)
    failed = forged(signed, "failed")[0].replace(b'"apply"', b'"sign_off"')
    rewritten(signed, [*lines_of(signed), failed])
    assert signed.verdict() is record.Verdict.COMMITTED_UNVERIFIED
    assert f"{signed.events()[-1].at:%Y-%m-%d}" == "2026-03-01", "every reader needs a time"


def test_a_line_taken_out_of_a_journal_is_told(known: settings.Settings) -> None:
    run = record.create(known)
    for stage in ("snapshot", "survey", "plan"):
        run.journal(Event.STARTED, stage=stage, pid=1)
    first, _, *rest = lines_of(run)
    rewritten(run, [first, *rest])
    assert journal.scan(run.folder).broken == 2


def test_each_line_is_on_the_disk_before_the_next_one_is_written(
    known: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = record.create(known)
    seen = list[int]()
    sync = private.sync
    monkeypatch.setattr(private, "sync", lambda file: (sync(file), seen.append(len(lines_of(run)))))
    begun = len(lines_of(run))
    run.journal(Event.STARTED, stage="apply", pid=1)
    run.journal(Event.STEP, stage="apply", step="delete")
    run.journal(Event.STEP, stage="apply", step="insert")
    run.journal(Event.COMMITTING)
    assert seen == [begun + 1, begun + 2, begun + 3, begun + 4]


def appended(run: Run, count: int) -> Iterator[subprocess.Popen[bytes]]:
    code = (
        "import sys; from pathlib import Path; from nexus_reimport.events import Event;"
        " from nexus_reimport.record import journal\n"
        f"for n in range({count}): journal.append(Path(sys.argv[1]), Event.STEP, stage='x', n2=n)"
    )
    for _ in range(3):
        yield subprocess.Popen([sys.executable, "-c", code, str(run.folder)])


def test_processes_that_write_at_once_do_not_break_the_chain(known: settings.Settings) -> None:
    run = record.create(known)
    for process in list(appended(run, 40)):
        assert process.wait() == 0
    assert len(lines_of(run)) == 121
    assert journal.scan(run.folder).broken == 0


def test_an_error_that_lists_thousands_of_things_leaves_a_journal_that_is_read(
    known: settings.Settings,
) -> None:
    """A list of ids in an error made a journal that every later command refused to read."""
    run = record.create(known)
    listed = "\n".join(f"    record {number}" for number in range(1_000_000))
    with pytest.raises(StopError) as stop, run.stage("plan"):
        raise StopError(f"1,000,000 records are twice there\n{listed}", next="fix them")
    assert len(stop.value.what) > journal.LARGEST  # who raised it prints it whole
    run.journal(Event.UNSETTLED, what=stop.value.what)
    run.journal(Event.NOT_KEPT, of="another run", what=stop.value.what)
    assert run.journal_size() < 300_000
    failed = journal.last_failure(run.events())
    assert failed is not None
    assert failed.headline == "1,000,000 records are twice there"
    assert failed.text("what").endswith(" more characters)")
    assert failed.text("next").startswith("fix them")
