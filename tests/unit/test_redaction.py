"""What was found in an open record is taken out of its journal and its pages, and that is told."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest

from nexus_reimport import record, settings
from nexus_reimport.cli import main
from nexus_reimport.errors import NotClean, RecordError
from nexus_reimport.events import Event
from nexus_reimport.files import private
from nexus_reimport.record import Run, closing, journal, lab_pages, redaction
from nexus_reimport.record.notebooks import marks, pages
from support.clinic import SECRETS
from support.opened import files_opened
from support.records import checked, committed, row, wrong
from support.running import killed_after

LINES = 16  # of a run that was committed, before a test adds its own
VALUE = SECRETS["NEXUS_SANDBOX_PG_PASSWORD"]  # without a run's private files, secrets are known


@pytest.fixture
def known(environment_files: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    path = environment_files / "sandbox-dev.toml"
    path.write_text(path.read_text().replace("../../", ""))
    monkeypatch.setenv(settings.FOLDER_VARIABLE, str(environment_files))
    return settings.load("sandbox-dev", environment_files)


def lines_of(run: Run) -> list[dict[str, Any]]:
    return [journal.parsed(raw) or {} for raw in journal.lines(run.folder)]


def holding(folder: Path) -> list[str]:
    """The files in which the value stands."""
    return sorted(
        path.name for path in folder.rglob("*") if path.is_file() and VALUE in path.read_text()
    )


def test_a_line_that_was_redacted_keeps_what_it_means_and_the_record_tells_it(
    known: settings.Settings, tool: ModuleType
) -> None:
    run = committed(known)
    facts = {"stage": "sign_off", "kind": "KeyError", "exit_code": 3}
    run.journal(Event.FAILED, **facts, what=f"no {VALUE}", where=f"'{VALUE}'", state="as it was")
    run.journal(Event.VERIFIED)
    run.journal(Event.FAILED, stage="checks_after", what="3 rows", exit_code=1)
    before, verdict = lines_of(run), run.verdict()
    with pytest.raises(NotClean, match="nexus-reimport record redact sandbox-dev"):
        closing.close(known, run)
    found = redaction.redact(known, run)
    assert [str(hit) for hit in found.redacted] == [
        f"data/journal.jsonl, line {LINES + 1}: a secret"
    ]
    assert found.left == ()
    after = lines_of(run)
    assert after[:LINES] == before[:LINES], "what stands before it is unchanged"
    assert after[LINES] == before[LINES] | {"what": redaction.PUT, "where": redaction.PUT}
    later = [line | {"before": ""} for line in before[LINES + 1 :]]
    assert [line | {"before": ""} for line in after[LINES + 1 : len(before)]] == later
    assert run.verdict() is verdict
    closing.close(known, run)
    assert holding(run.bag.parent) == []
    assert holding(run.private) == ["journal.jsonl"]
    (one, whole) = checked(known, [row(run)])
    assert (one.problems, whole.problems) == ((), ())
    told = f"data/journal.jsonl, line {LINES + 1}: a secret"
    assert [text for text in one.remarks if "redacted by " in text and told in text]
    said: list[str] = []
    assert tool.check(run.bag, None, None, said.append)
    assert [text for text in said if "redacted by " in text and told in text]
    assert ", redacted" in (run.bag / "README.txt").read_text()


def test_a_value_with_thousands_of_places_is_read_once_and_its_places_are_counted(
    known: settings.Settings,
) -> None:
    """The file was read anew for each place in it, and the journal named each."""
    run = committed(known)
    run.journal(Event.VERIFIED)
    opened = []
    for places in (10, 1000):
        logins = [f"Bearer abcdefgh{number}" for number in range(places)]
        (run.folder / "plan.json").write_text(json.dumps(logins, indent=1))
        opened.append(files_opened(lambda: redaction.look(known, run)))
    assert opened[1] == opened[0]
    assert len(redaction.redact(known, run).redacted) == 1000
    (entry,) = journal.only(run.events(), Event.REDACTED)
    assert (len(entry.line["places"]), entry.line["found"]) == (redaction.NAMED, 1000)
    closing.close(known, run)
    (one, _) = checked(known, [row(run)])
    (told,) = (text for text in one.remarks if "redacted by " in text)
    assert told.endswith(" and 995 more")


ODD: dict[str, Callable[[], Any]] = {
    "a list": lambda: ["a", ["b", VALUE]],
    "a key": lambda: {f"{VALUE}": 1},
    "the ends of two texts": lambda: ["tell", "nobody"],
    "a text in another": lambda: json.dumps({"what": VALUE}),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_value_is_taken_out_wherever_it_stands_in_a_line(
    known: settings.Settings, odd: str
) -> None:
    run = committed(known)
    run.journal(Event.STEP, stage="plan", step="one", value=ODD[odd]())
    found = redaction.redact(known, run)
    assert found.left == ()
    assert holding(run.folder) == []
    (step,) = journal.only(run.events(), Event.STEP)
    assert step.stage == "plan"
    assert journal.scan(run.folder).broken == 0


def test_a_torn_line_stays_a_torn_line(known: settings.Settings) -> None:
    run = committed(known)
    with (run.folder / journal.JOURNAL).open("a") as file:
        file.write(f'{{"event": "verified", "what": "{VALUE}')
    run.journal(Event.STEP, stage="plan", step="one")
    assert redaction.redact(known, run).left == ()
    assert holding(run.folder) == []
    read = journal.scan(run.folder)
    assert (read.cut_lines, read.broken) == ((LINES + 1,), 0)


def test_a_journal_that_was_broken_is_no_better_afterwards(known: settings.Settings) -> None:
    run = committed(known)
    path = run.folder / journal.JOURNAL
    forged = [{"n": LINES + 1, "before": "0" * 64, "event": "verified", "at": "", "what": VALUE}]
    forged += [{"n": LINES + 2, "before": "0" * 64, "event": "verified", "at": ""}]
    path.write_text(path.read_text() + "".join(json.dumps(line) + "\n" for line in forged))
    assert run.verdict() is record.Verdict.COMMITTED_UNVERIFIED
    redaction.redact(known, run)
    assert holding(run.folder) == []
    assert journal.scan(run.folder).broken == LINES + 1
    assert run.verdict() is record.Verdict.COMMITTED_UNVERIFIED


def output(run: Run, text: str) -> Any:
    data = {"text/plain": text, "text/html": f"<p>{text}</p>"}
    metadata = marks.marked(run.private, data)
    return nbformat.v4.new_output("display_data", data=data, metadata=metadata)


def test_an_output_of_a_page_is_withheld_and_the_page_as_executed_does_not_come_back(
    known: settings.Settings,
) -> None:
    run = committed(known)
    (run.folder / "01_preflight.html").unlink()
    page = nbformat.v4.new_notebook()
    page.metadata["papermill"] = {"parameters": {"reason": f"by {VALUE}"}, "version": "2"}
    page.cells = [nbformat.v4.new_code_cell("1"), nbformat.v4.new_markdown_cell(f"of {VALUE}")]
    page.cells[0].outputs = [output(run, "3 rows"), output(run, f"1 row: {VALUE}")]
    executed = run.private / pages.EXECUTED / "01_preflight.ipynb"
    executed.parent.mkdir(parents=True)
    nbformat.write(page, executed)
    with pytest.raises(NotClean):
        closing.close(known, run)
    found = redaction.redact(known, run)
    assert {hit.file for hit in found.redacted} == {
        "data/01_preflight.html",
        "data/01_preflight.ipynb",
    }
    assert found.left == ()
    closing.close(known, run)
    assert holding(run.bag.parent) == []
    kept = pages.read(run.folder / "01_preflight.ipynb")
    first, note = kept.cells[1].outputs
    assert first.data["text/plain"] == "3 rows"
    assert note.data["text/plain"].startswith("1 output withheld (1 redacted)")
    assert kept.cells[2].source == redaction.PUT
    assert wrong(checked(known, [row(run)])) == {}


def stepped_through(run: Run, page: Any) -> None:
    """The page as it lies in the lab in which the run was stepped through."""
    lab = run.private.parent / lab_pages.FOLDER / "20260301T020000Z"
    lab.mkdir(parents=True)
    nbformat.write(page, lab / "02_execute.ipynb")
    run.journal(Event.BY_HAND, lab=lab.name)


def executed(run: Run, page: Any) -> None:
    """The page as papermill has left it in the run's private folder."""
    place = run.private / pages.EXECUTED / "02_execute.ipynb"
    place.parent.mkdir(parents=True)
    nbformat.write(page, place)


@pytest.mark.parametrize("make", [executed, stepped_through])
def test_a_kill_at_any_instant_leaves_a_record_that_can_be_redacted_and_sealed(
    known: settings.Settings, make: Callable[[Run, Any], None]
) -> None:
    """A page that was stepped through was lost from the record, which then missed it for ever."""
    run = committed(known)
    run.journal(Event.FAILED, stage="sign_off", what=f"no {VALUE}", exit_code=3)
    for path in run.folder.glob("02_execute.*"):
        path.unlink()
    page = nbformat.v4.new_notebook()
    page.cells = [nbformat.v4.new_code_cell("1")]
    page.cells[0].outputs = [output(run, "3 rows"), output(run, f"1 row: {VALUE}")]
    make(run, page)
    with pytest.raises(NotClean):
        closing.close(known, run)
    folders = (known.folders.runs, known.folders.private)
    for folder in folders:
        shutil.copytree(folder, folder.with_name(f"{folder.name}_kept"))
    states = set()
    for after in itertools.count():
        for folder in folders:
            shutil.rmtree(folder)
            shutil.copytree(folder.with_name(f"{folder.name}_kept"), folder)
        killed = killed_after(after, lambda: redaction.redact(known, run))
        state = frozenset((p, p.stat().st_size) for p in run.bag.rglob("*") if p.is_file())
        if state not in states:
            states.add(state)
            with suppress(NotClean):  # a page came back as it was executed
                closing.close(known, run)
            if not run.is_sealed:
                redaction.redact(known, run)
                closing.close(known, run)
            assert holding(run.bag) == []
            (kept,) = run.folder.glob("02_execute*.ipynb")
            assert "3 rows" in kept.read_text()
            assert wrong(checked(known, [row(run)])) == {}
        if not killed:
            break
    assert len(states) > 5


def test_a_record_is_not_redacted_while_somebody_begins_a_step_or_seals_it(
    known: settings.Settings,
) -> None:
    run = committed(known)
    run.journal(Event.FAILED, stage="sign_off", what=f"no {VALUE}", exit_code=3)
    with private.locked_folder(run.bag.parent):
        redacting = threading.Thread(target=lambda: redaction.redact(known, run))
        redacting.start()
        redacting.join(0.3)  # so long that it would have ended, did it not wait
        assert holding(run.folder) == ["journal.jsonl"]
    redacting.join(60)
    assert holding(run.folder) == []


def test_what_a_seal_that_was_given_up_has_left_is_searched_no_more(
    known: settings.Settings,
) -> None:
    run = committed(known)
    run.journal(Event.FAILED, stage="sign_off", what=f"no {VALUE}", exit_code=3)

    def stop() -> None:
        raise NotClean("stopped")

    with pytest.raises(NotClean):
        run.seal(look=stop)
    assert "README.txt" in holding(run.bag)
    assert redaction.redact(known, run).left == ()
    closing.close(known, run)
    assert holding(run.bag) == []


def with_a_value(run: Run) -> Path:
    """A plan in which the value stands as a key, in a text, across two of them, and in a number."""
    path = run.folder / "plan.json"
    parts = {"rules": [{"name": f"of {VALUE}", "rows": 3}], VALUE: 1, f"{VALUE} 2": 2}
    path.write_text(json.dumps({"digest": "0" * 64, **parts, "ends": ["tell", "nobody"]}, indent=1))
    return path


def test_a_value_that_was_redacted_keeps_its_form_and_the_record_tells_it(
    known: settings.Settings, tool: ModuleType
) -> None:
    run = committed(known)
    path = with_a_value(run)
    assert redaction.redact(known, run).redacted == ()
    assert VALUE in path.read_text(), "the verification of the run reads it yet"
    run.journal(Event.VERIFIED)
    assert not redaction.values_redacted(run)
    found = redaction.redact(known, run)
    assert {hit.file for hit in found.redacted} == {"data/plan.json"}
    assert found.left == ()
    put = redaction.PUT
    assert json.loads(path.read_bytes()) == {
        "digest": "0" * 64,
        "rules": [{"name": put, "rows": 3}],
        put: 1,
        f"{put} 4": 2,
        "ends": put if VALUE == "tell nobody" else ["tell", "nobody"],
    }
    assert redaction.values_redacted(run)
    closing.close(known, run)
    assert holding(run.bag.parent) == []
    assert holding(run.private) == ["plan.json"]
    (one, whole) = checked(known, [row(run)])
    assert (one.problems, whole.problems) == ((), ())
    assert [text for text in one.remarks if "redacted by " in text and "data/plan.json" in text]
    assert tool.check(run.bag, None, None, lambda _: None)


def test_other_files_are_left_for_a_person_and_a_sealed_record_is_not_touched(
    known: settings.Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    run = committed(known)
    notes = [run.folder / "note.txt", *(run.folder / f"note_{n}.txt" for n in range(59))]
    for note in notes:
        note.write_text(VALUE)
    run.journal(Event.STEP, stage="plan", step=VALUE)
    arguments = ["record", "redact", "sandbox-dev", "--run", run.id, "--yes"]
    with pytest.raises(SystemExit) as end:
        main(arguments)
    told = capsys.readouterr()
    assert end.value.code == 1
    assert f"redacted: data/journal.jsonl, line {LINES + 1}: a secret" in told.out
    assert f"left, look at it, then move it to {run.private}: data/note.txt, line 1" in told.out
    assert "\nand 10 more places" in told.out
    assert VALUE not in told.out + told.err
    for note in notes:
        note.unlink()
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0
    assert f"next: nexus-reimport seal sandbox-dev --run {run.id}" in capsys.readouterr().out
    assert len(journal.only(run.events(), Event.REDACTED)) == 1, "nothing was found any more"
    closing.close(known, run)
    with pytest.raises(RecordError, match="is sealed"):
        redaction.redact(known, run)
