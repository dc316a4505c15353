"""What the seal itself writes is searched as well, and so is what appeared since the search."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest

from nexus_reimport import record, settings
from nexus_reimport.errors import NotClean, TargetError
from nexus_reimport.events import Event
from nexus_reimport.model import Approval
from nexus_reimport.record import Run, anchor, closing, verdict
from nexus_reimport.record.sealed import archived, bag, crate, index
from nexus_reimport.record.sealed.archived import Archived
from nexus_reimport.record.search import labels
from nexus_reimport.record.search.identifiers import Identifiers, add_name
from nexus_reimport.record.search.sweep import UNSEARCHABLE, Sweep
from nexus_reimport.settings import Settings
from support.records import checked, committed, row, wrong

# A file that the seal writes -> a word that stands in no file before it.
WRITTEN = {
    bag.DECLARATION: "Encoding",
    bag.INFO: "Oxum",
    bag.README: "glossary",
    f"{bag.PAYLOAD}/{crate.FILE}": "conformsTo",
    f"{bag.PAYLOAD}/{verdict.FILE}": "exit",
}


def looking_for(word: str) -> Sweep:
    found = Identifiers()
    add_name(found, word)
    return Sweep(found)


def sealed_after(run: Run, sweep: Sweep) -> None:
    run.seal(look=lambda: closing.require_rest_clean(run, sweep))


@pytest.mark.parametrize("file", WRITTEN)
def test_a_file_that_the_seal_writes_is_searched_before_it_is_sealed(
    known: settings.Settings, file: str
) -> None:
    run = committed(known)
    sweep = looking_for(WRITTEN[file])
    assert list(sweep.files(run.bag)) == []
    with pytest.raises(NotClean) as refused:
        sealed_after(run, sweep)
    assert f"{file}, line " in str(refused.value)
    assert not run.is_sealed
    (swept,) = [e.line for e in run.events() if e.event is Event.SWEPT]
    assert swept["found"] > 0
    sealed_after(run, looking_for("Lovelace"))
    assert wrong(checked(known, [row(run)])) == {}


def test_a_file_that_appears_or_changes_after_the_search_is_searched(
    known: settings.Settings,
) -> None:
    run = committed(known)
    sweep = looking_for("Lovelace")
    assert list(sweep.files(run.bag)) == []
    (run.folder / "plan.json").write_text('{"of": "Ada Lovelace"}\n')
    (run.folder / "late.txt").write_text("Ada Lovelace")
    (run.folder / "lovelace.txt").write_text("nothing")
    with pytest.raises(NotClean) as refused:
        sealed_after(run, sweep)
    told = str(refused.value)
    assert "data/plan.json, line 1" in told
    assert "data/late.txt, line 1" in told
    assert " of the record, its name" in told
    assert "Lovelace" not in told
    assert "lovelace" not in told
    assert not run.is_sealed


def test_what_is_no_file_cannot_be_searched_and_keeps_nobody_waiting(
    known: settings.Settings, tmp_path: Path
) -> None:
    run = committed(known)
    os.mkfifo(run.folder / "pipe")
    (run.folder / "link").symlink_to(tmp_path)
    (run.folder / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "elsewhere.txt").write_text("nothing")
    (run.folder / "file").symlink_to(tmp_path / "elsewhere.txt")
    hits = [(hit.file, hit.kind) for hit in looking_for("Lovelace").files(run.bag)]
    assert hits == [
        ("data/dangling", UNSEARCHABLE),
        ("data/file", UNSEARCHABLE),
        ("data/link", UNSEARCHABLE),
        ("data/pipe", UNSEARCHABLE),
    ]


def words_of(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def test_the_index_says_nothing_that_no_searched_file_says(known: settings.Settings) -> None:
    """It is made after the seal: each of its words is the package's own, or of a sealed record."""
    run = committed(known)
    at = datetime(2026, 3, 1, tzinfo=UTC)
    run.save(Approval("0" * 64, "root", "typed", at, "Quillfeather", "Wombat and reason"))
    run.journal(Event.FAILED, stage="sign_off", what="Ladder and error", exit_code=3)
    run.seal()
    until = "2031-04-17T00:00:00+00:00"
    archived.note(run.bag.parent, Archived(run.id, run.seal_digest(), "b", "k", "v", until, ""))
    index.write(run.bag.parent)
    page = (run.bag.parent / index.FILE).read_text()
    shown = words_of(unescape(re.sub(r"<[^>]+>", " ", page)))
    assert {"quillfeather", "wombat", "ladder"} <= shown
    searched = [p.read_text() for p in run.bag.rglob("*") if p.is_file()]
    ours = [labels.of_package().decode(), run.id, run.seal_digest(), until, "k"]
    assert shown - words_of("\n".join([*searched, *ours])) == set()


def test_a_seal_that_the_database_did_not_take_is_not_told_to_be_made_again(
    known: Settings,
) -> None:
    """It is not sealed again: the command that is told writes the seal there, as the next run."""
    run = committed(known)
    run.seal()
    with pytest.raises(TargetError) as told:
        anchor.write(known, run)
    again = (
        f"nexus-reimport seal {known.name} --run {run.id} writes the seal there, or the next run"
    )
    assert told.value.next.endswith(f"; then: {again}")
    assert "again" not in told.value.next


@pytest.mark.parametrize("name", [b"b\xe9fund.pdf", b"100%25.txt", b"x "], ids=ascii)
def test_a_name_that_no_bag_can_hold_keeps_the_record_open_until_it_is_another(
    known: settings.Settings, name: bytes
) -> None:
    """One was an unforeseen error at each seal, the others were sealed and wrong for ever.

    The next run begins all the same.
    """
    run = record.create(known)
    path = run.folder / os.fsdecode(name)
    path.write_text("x\n")
    with pytest.raises(NotClean, match="1 file has a name that a record cannot hold") as told:
        closing.close(known, run)
    str(told.value).encode()
    record.create(known)
    assert run.is_open
    path.rename(path.with_name("renamed.txt"))
    closing.close(known, run)
    assert run.problems() == []
