"""Checks after: what each says of what it finds, word by word, on what a real run has read."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport import strict_json
from nexus_reimport.checks import Finding
from nexus_reimport.checks.after import After, application, database, files, linking, own
from nexus_reimport.checks.after.database import _Compared
from nexus_reimport.checks.after.files import _Objects
from nexus_reimport.checks.after.linking import _hangs_wrong, _Walked
from nexus_reimport.checks.after.rows import (
    _fed_by_key,
    _outcomes,
    _overrides,
    every_patient_of_filemaker_is_there,
    every_planned_row_came_from_somewhere,
    every_row_is_as_planned,
    what_only_nexus_knows_was_carried_over,
)
from nexus_reimport.files import columns, rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.model import Outcome, Sample, Scope
from nexus_reimport.model.snapshot import ARCHIVED
from nexus_reimport.nexus.connection.readings import Unread
from nexus_reimport.nexus.own_tables import OwnTables
from nexus_reimport.nexus.reading.questions import ACTIVE, Answers, Asked, Shown
from nexus_reimport.nexus.reading.questions import ARCHIVED as NOT_ACTIVE
from nexus_reimport.nexus.registry import AS_MADE, OWN_SCHEMA, OwnObject, UndoData, UndoSize
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.structure.links import AttachmentState
from nexus_reimport.planning.attachments import Placed
from nexus_reimport.stages.sample import COLUMNS
from support.clinic import Executed

Change = Callable[[After], After]


def told(found: Finding) -> tuple[list[str], int]:
    """The lines, and how many things offend."""
    lines = list(found.offending)
    return lines, len(lines) if found.count is None else found.count


def looked(after: After, known: dict[tuple[object, ...], object]) -> After:
    """As it is, where some functions were asked already: each with its arguments -> its answer."""
    fresh = replace(after)
    fresh._found.update(known)
    return fresh


# ---------------------------------------------------------------- what the application shows


def answers(**other: Callable[[Answers], Any]) -> Change:
    def changed(after: After) -> After:
        was = after.answers
        assert isinstance(was, Answers)
        return replace(after, answers=replace(was, **{name: of(was) for name, of in other.items()}))

    return changed


def one_less(counts: dict[str, int]) -> dict[str, int]:
    return {**counts, "documents": counts["documents"] - 1}


def one_more(counts: dict[str, int]) -> dict[str, int]:
    return {**counts, "documents": counts.get("documents", 0) + 1}


OPENS = application.every_patient_opens_with_its_attachments
CALENDAR = application.the_calendar_shows_every_appointment
SEARCH = application.search_finds_every_patient_by_name


@pytest.mark.parametrize(
    ("look", "change", "lines"),
    [
        (OPENS, answers(), []),
        (OPENS, answers(not_opened=lambda _: ("7",)), ["7"]),
        (OPENS, answers(shown=lambda a: one_less(a.shown)), ["documents"]),
        (OPENS, answers(shown=lambda a: one_more(a.shown)), ["documents"]),
        (
            OPENS,
            answers(shown=lambda a: one_less(a.shown), hidden=lambda a: one_more(a.hidden)),
            [],
        ),
        (CALENDAR, answers(), []),
        (CALENDAR, answers(calendar_broken=lambda _: ("7",)), ["7"]),
        (CALENDAR, answers(calendar_events=lambda a: a.calendar_events - 1), ["count"]),
        (CALENDAR, answers(calendar_events=lambda a: a.calendar_events + 1), ["count"]),
        (SEARCH, answers(), []),
        (SEARCH, answers(not_found=lambda _: ("7",)), ["7"]),
    ],
)
def test_what_the_applications_own_queries_do_not_show_is_named(
    executed_once: Executed, look: Callable[[After], Finding], change: Change, lines: list[str]
) -> None:
    after = executed_once.after
    found, as_it_is = look(change(after)), look(after)
    assert told(found)[0] == lines
    assert found.looked_at == as_it_is.looked_at + (lines == ["7"] and look is not CALENDAR)


HELD = Shown(
    patients={ACTIVE: frozenset("78"), NOT_ACTIVE: frozenset("9")},
    by_clinic={"1": 2},
    events=frozenset({("3", "noon")}),
    by_name=frozenset("7"),
    attachments={"7": {"documents": frozenset("5")}},
)


@pytest.mark.parametrize(
    ("other", "lines"),
    [
        ({}, []),
        (
            {"patients": {ACTIVE: frozenset("7"), NOT_ACTIVE: frozenset("9")}},
            ["not archived patients: 1 are not shown (e.g. 8)"],
        ),
        (
            {"patients": {ACTIVE: frozenset("78"), NOT_ACTIVE: frozenset("945")}},
            ["archived patients: 2 are shown too many (e.g. 4)"],
        ),
        (
            {"patients": {ACTIVE: frozenset("78"), NOT_ACTIVE: frozenset(["9", "4 Ann"])}},
            ["archived patients: 1 are shown too many"],
        ),
        ({"by_clinic": {"1": 1}}, ["clinic 1: 1 patient is shown, 2 in the database"]),
        ({"by_clinic": {"1": 3}}, ["clinic 1: 3 patients are shown, 2 in the database"]),
        (
            {"events": frozenset({("3", "night")})},
            [
                "appointments in the calendar: 1 are not shown (e.g. 3)",
                "appointments in the calendar: 1 are shown too many (e.g. 3)",
            ],
        ),
        ({"by_name": frozenset()}, ["patients found by their names: 1 are not shown (e.g. 7)"]),
        ({"attachments": {"7": {}}}, ["documents of patient 7: 1 are not shown (e.g. 5)"]),
    ],
)
def test_what_the_api_shows_otherwise_is_told_by_its_id_alone(
    executed_once: Executed, other: dict[str, Any], lines: list[str]
) -> None:
    asked = Asked(("7",), {"7": "Ann"}, ("1",))
    after = replace(executed_once.after, shown=(asked, HELD), api=replace(HELD, **other))
    found = application.the_application_shows_what_the_database_holds(after)
    assert (told(found)[0], found.looked_at) == (lines, 5)


# ---------------------------------------------------------------- protected tables, sequences


def compared(**tables: _Compared) -> Change:
    return lambda after: looked(after, {(database._compared,): tuple(tables.items())})


def unread(part: str) -> Change:
    """One table of what was read could not be."""

    def changed(after: After) -> After:
        readings = {**getattr(after, part), "clinics": Unread("cannot be read")}
        return replace(after, **{part: readings})

    return changed


def sessions(more: int, *, transient: tuple[str, ...] = ("django_session",)) -> Change:
    """Of a table that is only counted there are so many rows more."""

    def changed(after: After) -> After:
        was = after.fingerprints["django_session"]
        assert isinstance(was, Fingerprint)
        assert not was.digest
        now = replace(was, rows=was.rows + more)
        mapping = after.mapping.model_copy(update={"transient": transient})
        return replace(
            compared()(after),
            intake=replace(after.intake, mapping=mapping),
            fingerprints={**after.fingerprints, "django_session": now},
        )

    return changed


STEADY = database.protected_tables_are_as_they_were
ADDED = database.nothing_was_added_to_protected_tables
SOME = _Compared(lost=1, changed=2, emptied=3, doubled=4, keys=["(7)", "(ann@example.org)"])
COUNTED = "1 table is volatile as a whole and only counted"


@pytest.mark.parametrize(
    ("look", "change", "lines", "count", "note"),
    [
        (
            STEADY,
            compared(clinics=SOME),
            [
                "clinics: rows 1 lost, 2 changed, 3 with a volatile column emptied,"
                " 4 twice under one key (7)"
            ],
            10,
            COUNTED,
        ),
        (
            STEADY,
            compared(clinics=_Compared(unread="there is no table clinics")),
            ["clinics: there is no table clinics"],
            1,
            COUNTED,
        ),
        (
            STEADY,
            compared(clinics=_Compared(lost=2), sms_templates=_Compared(unread="gone")),
            ["clinics: rows 2 lost", "sms_templates: gone"],
            3,
            COUNTED,
        ),
        (STEADY, unread("fingerprints"), ["clinics: cannot be read"], 1, COUNTED),
        (STEADY, unread("hashes"), ["clinics: cannot be read"], 1, COUNTED),
        (STEADY, sessions(-2), [], 0, COUNTED),
        (
            STEADY,
            sessions(-2, transient=()),
            ["django_session: 2 rows fewer, only counted"],
            2,
            COUNTED,
        ),
        (
            ADDED,
            compared(
                clinics=_Compared(added=2, added_keys=["(7)", "(8)"]),
                xero_sync_logs=_Compared(added=3, added_keys=["(9)"]),
                patients_of_others=_Compared(lost=1),
            ),
            ["clinics: 2 rows (7, 8)"],
            2,
            "by themselves: rows of xero_sync_logs: +3",
        ),
        (
            ADDED,
            sessions(-2),
            ["django_session: 2 rows fewer, which come and go"],
            2,
            "by themselves: rows of django_session: -2",
        ),
        (ADDED, sessions(-2, transient=()), [], 0, "by themselves: rows of django_session: -2"),
        (ADDED, sessions(3), [], 0, "by themselves: rows of django_session: +3"),
    ],
)
def test_of_protected_tables_it_is_told_how_many_rows_are_what(
    executed_once: Executed,
    look: Callable[[After], Finding],
    change: Change,
    lines: list[str],
    count: int,
    note: str,
) -> None:
    found = look(change(executed_once.after))
    assert (*told(found), found.note) == (lines, count, note)


def test_a_row_of_a_table_that_was_empty_is_one_that_was_added(
    executed_once: Executed, tmp_path: Path
) -> None:
    after, table, path = executed_once.after, "other.log", tmp_path / "hashes.parquet"
    survey = replace(after.survey, elsewhere={table: Fingerprint(0, "of none")})
    file = rowfile.write(path, ("table", "key", "hash", "filled"), [(table, "(7)", "a", "")])
    after = replace(
        after,
        intake=replace(after.intake, survey=survey),
        fingerprints={**after.fingerprints, table: Fingerprint(1, "of one")},
        hashes={**after.hashes, table: replace(file, name=str(path))},
    )
    assert told(ADDED(after)) == ([f"{table}: 1 row (7)"], 1)
    assert told(STEADY(after)) == ([], 0)


def rows(*of: str) -> list[dict[str, str | None]]:
    """Rows as ``key hash filled``, in the order of their keys."""
    return [dict(zip(("key", "hash", "filled"), one.split(), strict=True)) for one in of]


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        (("1 a 1", "2 b 1"), ("1 a 1",), _Compared(lost=1, keys=["2"])),
        (("1 a 1",), ("1 b 1",), _Compared(changed=1, keys=["1"])),
        (("1 a 11",), ("1 a 10",), _Compared(emptied=1, keys=["1"])),
        (("1 a 01",), ("1 a 11",), _Compared()),
        (("1 a 1",), ("1 a 11",), _Compared(emptied=1, keys=["1"])),
        (("1 a 1",), ("1 a 1", "2 b 1"), _Compared(added=1, added_keys=["2"])),
        (("1 a 1",), ("1 a 1", "1 a 1"), _Compared(doubled=1, keys=["1"])),
        (
            (),
            tuple(f"{n} a 1" for n in range(1, 8)),
            _Compared(added=7, added_keys=list("12345")),
        ),
    ],
)
def test_rows_are_told_apart_by_what_became_of_them(
    was: tuple[str, ...], now: tuple[str, ...], expected: _Compared
) -> None:
    assert database._rows_compared(rows(*was), rows(*now)) == expected


@pytest.mark.parametrize(
    ("was", "now", "lines"),
    [
        ({"s": 5}, {"s": 5}, []),
        ({"s": 5}, {"s": 4}, ["s: 5 then, 4 now"]),
        ({"s": 5}, {"s": None}, ["s: 5 then, nothing now"]),
        ({"s": 5}, {}, ["s: 5 then, nothing now"]),
        ({"s": None}, {"s": None}, []),
        ({"falls": -5}, {"falls": -4}, []),
        ({"falls": -5}, {"falls": -6}, ["falls: 5 then, 6 now"]),
    ],
)
def test_a_sequence_that_was_set_back_is_told_with_both_values(
    executed_once: Executed, was: dict[str, Any], now: dict[str, Any], lines: list[str]
) -> None:
    after = executed_once.after
    intake = replace(after.intake, survey=replace(after.survey, positions=was))
    found = database.no_sequence_was_set_back(replace(after, intake=intake, positions=now))
    assert told(found)[0] == lines


# ---------------------------------------------------------------- files in S3


def test_objects_are_counted_by_what_became_of_them_and_by_whether_a_row_names_them(
    executed_once: Executed,
) -> None:
    after = executed_once.after
    one, two, three, four = itertools.islice(columns.texts(after.named), 4)
    objects = _Objects((one, "-a"), ("-b", "-c"), (two, three, "-d"), (four, "-e"))
    after = looked(after, {(files._objects,): objects})
    before = after.census.objects - len(after.named)
    found = files.objects_that_no_row_names_are_as_they_were(after)
    assert told(found) == (["1 lost", "1 changed", "2 added"], 4)
    assert found.note == f"{before:,} before, {before + 1:,} now"
    assert told(files.no_file_was_lost(after)) == ([], 3)
    assert told(files.no_file_was_written_again(after)) == ([], 1)


def test_of_a_sample_each_difference_is_counted_and_what_nobody_can_read(
    executed_once: Executed, tmp_path: Path
) -> None:
    def written(name: str, *lines: str) -> Sample:
        of = [tuple("" if part == "-" else part for part in line.split()) for line in lines]
        return Sample(len(of), 9, rowfile.write(tmp_path / f"{name}.parquet", COLUMNS, of))

    was = (
        "a 1 e v t h s",
        "b 1 e v t h s",
        "c 1 e v t h s",
        "d gone - - - - -",
        "e 1 e v t h s",
        f"f 1 e v t h {ARCHIVED}",
        f"g 1 e v t h {ARCHIVED}",
        "h 1 e v t h s",
    )
    now = (
        "a 1 e v t h x",
        "b 1 e v t h x",
        "d gone - - - - -",
        "e 1 e w t i s",
        "f 1 e v t h s",
        f"g 1 e v x h {ARCHIVED}",
        f"h 1 e v t h {ARCHIVED}",
    )
    after = executed_once.after
    after = replace(after, intake=replace(after.intake, folder=tmp_path))
    sampled = replace(after, sample=written("was", *was), sample_now=written("now", *now))
    found = files.a_sample_of_the_files_is_unchanged(sampled)
    assert told(found) == (
        [
            "other sha256: 2",
            "not read again: 1",
            "could not be read before the run: 1",
            "other version, headers: 1",
            "other content_type: 1",
        ],
        6,
    )
    read = f"8 of {after.census.objects:,} objects, 9 bytes, read in full before and after"
    kept = "3 are archived in S3, and compared without their bytes"
    assert (found.looked_at, found.note) == (8, f"{read}; {kept}")
    alone = replace(after, sample=written("was", was[5]), sample_now=written("now", was[5]))
    note = files.a_sample_of_the_files_is_unchanged(alone).note
    assert note.endswith("; 1 is archived in S3, and compared without its bytes")


def test_a_sample_of_nothing_says_why_it_is_one(executed_once: Executed) -> None:
    after = executed_once.after
    nothing = replace(after, sample=replace(after.sample, objects=0))
    found = files.a_sample_of_the_files_is_unchanged(nothing)
    assert (found.looked_at, found.note, found.empty) == (1, files._NONE, "")
    found = files.a_sample_of_the_files_is_unchanged(replace(nothing, named=after.named[:0]))
    assert (found.looked_at, found.note, found.empty) == (0, "", "no row names a file")


# ---------------------------------------------------------------- documents, images, batches

OWNER, OTHER = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


@pytest.mark.parametrize(
    ("owner", "linked", "content_type", "is_wrong"),
    [
        (OWNER, OWNER, "7", False),
        (OWNER, OTHER, "7", True),
        (OWNER, None, "7", True),
        (None, OTHER, "7", False),
        (None, None, None, False),
        (OWNER, OTHER, "8", False),  # somebody has hung it on something else
        (OWNER, OWNER, "8", True),  # the same id, as something else
        ("1", "1", "8", False),  # whole numbers are ids of several things
        (OWNER, None, None, True),
    ],
)
def test_what_hangs_wrong_hangs_on_another_patient_on_nothing_or_by_a_wrong_type(
    owner: str | None, linked: str | None, content_type: str | None, is_wrong: bool
) -> None:
    one = Placed("k", "l", linked, content_type, True, "P1", owner)
    assert _hangs_wrong(one, "7") is is_wrong


DOCUMENTS = linking.every_document_hangs_on_its_patient


def planned(**more: int) -> Change:
    """The plan has other numbers of documents."""

    def changed(after: After) -> After:
        links = after.plan.links
        numbers = {name: getattr(links["documents"], name) + n for name, n in more.items()}
        other = {**links, "documents": replace(links["documents"], **numbers)}
        return replace(after, plan=replace(after.plan, links=other))

    return changed


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (planned(), []),
        (planned(reachable_after=1), ["count"]),
        (planned(reachable_after=-1), ["count"]),
        (planned(rows=1), ["count"]),
    ],
)
def test_documents_hang_on_patients_as_often_as_planned(
    executed_once: Executed, change: Change, lines: list[str]
) -> None:
    after = change(executed_once.after)
    found, state, plan = DOCUMENTS(after, "documents"), after.states["documents"], after.plan
    assert (told(found)[0], found.looked_at) == (
        lines,
        executed_once.after.plan.links["documents"].rows,
    )
    assert isinstance(state, AttachmentState)
    before = plan.links["documents"].reachable_before
    assert before != plan.links["documents"].reachable_after
    assert found.note == (
        f"{state.linked:,} of {state.rows:,} on a live patient, {before:,} before;"
        f" {state.linked_elsewhere:,} on something else,"
        f" {state.dangling + state.unlinked:,} on nothing"
    )


def test_a_document_that_has_come_since_is_not_counted(
    executed_once: Executed, tmp_path: Path
) -> None:
    after = executed_once.after
    file = after.attachments["documents"]
    assert isinstance(file, RowFile)
    held = list(rowfile.read_dicts(after.folder, file))
    new = {**next(row for row in held if row["linked"] == "t"), "key": "zz", "link_key": "zz"}
    lines = [tuple(row[column] for column in file.columns) for row in (*held, new)]
    path = tmp_path / "attached.parquet"
    more = replace(rowfile.write(path, file.columns, lines), name=str(path))
    after = replace(after, attachments={**after.attachments, "documents": more})
    found = DOCUMENTS(after, "documents")
    assert (told(found)[0], found.looked_at) == ([], len(held))


def test_a_linking_table_that_cannot_be_read_is_what_is_found(executed_once: Executed) -> None:
    after = executed_once.after
    unread = dict.fromkeys(after.mapping.linking_tables(), Unread("it is gone"))
    found = linking.every_linking_row_is_as_planned(replace(after, linking=unread))
    assert told(found)[0] == ["it is gone"] * len(unread)
    assert found.looked_at == len(unread)


def test_what_is_wrong_with_linking_rows_and_what_was_added_are_told_apart(
    executed_once: Executed,
) -> None:
    after = executed_once.after
    tables = list(after.mapping.linking_tables())
    walked = {t: _Walked(3, (f"{t} 1 is gone",), (f"{t} 2",)) for t in tables}
    after = looked(after, {(linking._walked, t): one for t, one in walked.items()})
    wrong = linking.every_linking_row_is_as_planned(after)
    assert (told(wrong)[0], wrong.looked_at) == (
        [f"{table} 1 is gone" for table in tables],
        3 * len(tables),
    )
    added = linking.no_linking_row_was_added(after)
    assert (told(added)[0], added.looked_at) == ([f"{t} 2" for t in tables], 4 * len(tables))


# ---------------------------------------------------------------- our own tables


def test_what_the_undo_data_lacks_is_told_table_by_table(executed_once: Executed) -> None:
    after = executed_once.after
    table = "patients"
    before, left = after.plan.before[table], after.claim.after[table]
    other = replace(
        after.own,
        before={**after.own.before, table: replace(before, rows=before.rows - 1)},
        after={**after.own.after, table: replace(left, digest="0")},
        pointers=(frozenset({("a", "1", 1)}), frozenset({("a", "2", 1), ("a", "3", 1)})),
    )
    found = own.the_undo_data_is_whole(replace(after, own=other))
    assert told(found)[0] == [
        f"{table}, as kept from before the run: {before.rows - 1:,} rows, must be {before.rows:,}",
        f"{table}, as the run has left it: {left.rows:,} rows, must be {left.rows:,},"
        " other content",
        "what pointed at the run's rows: 2 lines lost, 1 too many",
    ]


def our_own(**other: Callable[[OwnTables], Any]) -> Change:
    """Something of our own tables is read otherwise."""

    def changed(after: After) -> After:
        tables = {name: of(after.own) for name, of in other.items()}
        return replace(after, own=replace(after.own, **tables))

    return changed


def the_row(**columns: Any) -> Change:
    return our_own(rows=lambda own: tuple({**row, **columns} for row in own.rows))


def hours(number: int, *, of: Callable[[After], datetime]) -> Change:
    """The run's row says that it was committed so many hours off an instant."""
    return lambda after: the_row(committed_at=(of(after) + timedelta(hours=number)).isoformat())(
        after
    )


def now(_: After) -> datetime:
    return datetime.now(UTC)


def surveyed(after: After) -> datetime:
    return after.survey.taken_at


def unkept(change: Change) -> Change:
    """Of a run whose journal has lost what its transaction has written."""
    return lambda after: change(replace(after, claim=replace(after.claim, committed_at="")))


OFF = "{run}: committed_at: 12 hours and more off this machine's clock"


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (our_own(), []),
        (our_own(rows=lambda _: ()), ["{run} has 0 rows"]),
        (our_own(rows=lambda own: own.rows * 2), ["{run} has 2 rows"]),
        (lambda after: replace(after, claim=replace(after.claim, edited=("plan",))), ["plan"]),
        (the_row(undone_by="x"), ["{run}: undone_by"]),
        (the_row(digest="x"), ["{run}: digest"]),
        (the_row(number=2), ["{run}: number"]),
        (hours(0, of=now), ["{run}: committed_at"]),
        (unkept(hours(11, of=now)), []),
        (unkept(hours(13, of=now)), [OFF]),
        (unkept(hours(-11, of=surveyed)), []),
        (unkept(hours(-13, of=surveyed)), [OFF]),
    ],
)
def test_what_the_row_of_the_run_says_otherwise_is_told_by_its_column(
    executed_once: Executed, change: Change, lines: list[str]
) -> None:
    found = own.the_run_is_written_down_in_the_database(change(executed_once.after))
    assert told(found)[0] == [line.format(run=executed_once.run) for line in lines]


@pytest.mark.parametrize(
    ("was", "is_now", "lines"),
    [
        ([("a", "d", "1")], [("a", "d", "1")], []),
        ([("a", "d", None)], [("a", "d", "1")], []),  # a number came with a newer version
        ([("a", "d", "1")], [("a", "d", "2")], ["a is changed"]),
        ([("a", "d", "1")], [("a", "e", "1")], ["a is changed"]),
        ([("a", "d", "1")], [], ["a is gone"]),
        ([], [("a", "d", "1")], ["a was not there"]),
        ([("a", "d", "1")], [("a", "d", "1")] * 2, ["a run has two rows"]),
    ],
)
def test_the_rows_of_earlier_runs_are_told_by_what_became_of_them(
    executed_once: Executed,
    tmp_path: Path,
    was: list[tuple[str | None, ...]],
    is_now: list[tuple[str | None, ...]],
    lines: list[str],
) -> None:
    after, names = executed_once.after, ("run", "digest", "number")

    def written(name: str, rows: list[tuple[str | None, ...]]) -> RowFile:
        path = tmp_path / f"{name}.parquet"
        return replace(rowfile.write(path, names, rows), name=str(path))

    survey = replace(after.survey, runs=written("was", was))
    after = replace(after, intake=replace(after.intake, survey=survey))
    after = the_row(number=len(was) + 1)(our_own(runs=lambda _: written("now", is_now))(after))
    assert told(own.the_run_is_written_down_in_the_database(after))[0] == lines


TABLE_OF_OTHERS = OwnObject(f"{OWN_SCHEMA}.notes", "table", (), (), "", "")
OF_NO_RUN = OwnObject("nexus_reimport_undo_x", "schema", (), (), "", "")


def first(place: str, **other: Any) -> Change:
    """One object of our own is made otherwise."""
    return our_own(
        objects=lambda own: tuple(
            replace(one, **other) if one.place == place else one for one in own.objects
        )
    )


def more(*objects: OwnObject) -> Change:
    return our_own(objects=lambda own: (*own.objects, *objects))


RUNS_TABLE = f"{OWN_SCHEMA}.runs"


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (our_own(), []),
        (our_own(marker=lambda _: "x"), ["the marker names another environment"]),
        (
            more(OF_NO_RUN),
            ["nexus_reimport_undo_x: a schema of no run"],
        ),
        (more(TABLE_OF_OTHERS), [f"{TABLE_OF_OTHERS.place}: somebody else's table"]),
        (first(RUNS_TABLE, kind="view"), [f"{RUNS_TABLE}: somebody else's view"]),
        (first(RUNS_TABLE, acts="trigger x"), [f"{RUNS_TABLE}: trigger x"]),
        (
            first(RUNS_TABLE, constraints=(*AS_MADE[RUNS_TABLE][1], "CHECK x")),
            [f"{RUNS_TABLE}: not ours: constraint CHECK x"],
        ),
        (
            first(RUNS_TABLE, columns=AS_MADE[RUNS_TABLE][0][1:]),
            [f"{RUNS_TABLE}: missing: column {AS_MADE[RUNS_TABLE][0][0]}"],
        ),
    ],
)
def test_what_is_not_as_we_make_it_is_told_by_its_place(
    executed_once: Executed, change: Change, lines: list[str]
) -> None:
    found = own.our_own_tables_are_as_we_make_them(change(executed_once.after))
    assert told(found)[0] == lines


def test_undo_data_holds_the_tables_alone_that_its_run_is_known_to_have_made(
    executed_once: Executed,
) -> None:
    after = executed_once.after
    (ours,) = after.own.rows
    kept = after.own.undo
    assert isinstance(kept, UndoData)
    old, part = "nexus_reimport_undo_old", kept.tables[0].kept_as
    survey = replace(after.survey, undo=(UndoSize("old", old, None, 1, ""),))
    after = replace(after, intake=replace(after.intake, survey=survey))

    def lines(*tables: OwnObject, known: bool = True) -> list[str]:
        earlier = {**ours, "run": "old", "undo": {**ours["undo"], "schema": old}}
        rows = (earlier, ours) if known else (ours,)
        changed = our_own(rows=lambda _: rows)(more(*tables)(after))
        return told(own.our_own_tables_are_as_we_make_them(changed))[0]

    def table(place: str, *constraints: str) -> OwnObject:
        return OwnObject(place, "table", (), constraints, "", "")

    assert lines(table(f"{old}.{part}")) == []
    assert lines(table(f"{old}.x")) == [f"{old}.x: somebody else's table"]
    assert lines(table(f"{old}.x"), known=False) == []
    assert lines(table(f"{kept.schema}.x")) == [f"{kept.schema}.x: somebody else's table"]
    wrong = f"{old}.{part}: not ours: constraint CHECK x"
    assert lines(table(f"{old}.{part}", "CHECK x")) == [wrong]


def test_who_else_may_use_a_table_of_ours_is_named(executed_once: Executed) -> None:
    after = first(RUNS_TABLE, readers="PUBLIC")(executed_once.after)
    assert told(own.nobody_else_may_use_our_own_tables(after))[0] == [f"{RUNS_TABLE}: PUBLIC"]


def test_what_is_remembered_otherwise_is_told_record_by_record(
    executed_once: Executed, tmp_path: Path
) -> None:
    after, plan = executed_once.after, executed_once.after.plan
    lines = list(rowfile.read(after.folder, plan.id_map))

    def kept(*rows: tuple[str | None, ...]) -> RowFile:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.parquet"
        return replace(rowfile.write(path, plan.id_map.columns, rows), name=str(path))

    def remembered(*rows: tuple[str | None, ...], by: After = after) -> list[str]:
        file = kept(*rows)
        return told(own.what_was_loaded_is_remembered(our_own(loaded=lambda _: file)(by)))[0]

    (entity, one, row), *others = lines
    assert remembered(*lines) == []
    assert remembered(*others) == [f"{entity} {one}"]
    assert remembered(*lines, ("notes", "x", "y")) == ["notes x"]
    assert remembered(*others, (entity, one, row)) == ["the order of the lines"]
    before = replace(after.intake, survey=replace(after.survey, id_map=kept(*others)))
    relinked = replace(after, intake=before, plan=replace(plan, scope=Scope.RELINK))
    assert remembered(*others, by=relinked) == [], "a run that re-links loads nothing"
    assert remembered(*lines, by=relinked) == [f"{entity} {one}"]


# ---------------------------------------------------------------- wiped tables

PATIENTS = "patients"
Row = dict[str, str | None]


@dataclass
class Patients:
    """The patients as they are after the run, to be read otherwise."""

    after: After
    tmp_path: Path

    @property
    def file(self) -> RowFile:
        found = self.after.now[PATIENTS]
        assert isinstance(found, RowFile)
        return found

    @property
    def key(self) -> str:
        return self.after.survey.keys[PATIENTS]

    def rows(self) -> list[Row]:
        return [dict(row) for row in rowfile.read_dicts(self.after.folder, self.file)]

    def read_as(self, rows: list[Row], *without: str) -> After:
        names = tuple(column for column in self.file.columns if column not in without)
        path = self.tmp_path / f"{len(list(self.tmp_path.iterdir()))}.parquet"
        lines = [tuple(row[name] for name in names) for row in rows]
        file = replace(rowfile.write(path, names, lines), name=str(path))
        return replace(self.after, now={**self.after.now, PATIENTS: file})


@pytest.fixture
def patients(executed_once: Executed, tmp_path: Path) -> Patients:
    return Patients(executed_once.after, tmp_path)


def off(look: Callable[..., Finding], after: After) -> list[str]:
    return told(look(after, PATIENTS))[0]


def test_a_row_that_is_not_as_planned_is_named_once_whatever_is_wrong_with_it(
    patients: Patients,
) -> None:
    look, held = every_row_is_as_planned, patients.rows()
    names = [f"{PATIENTS} {row[patients.key]}" for row in held]
    one, *others = held
    assert off(look, patients.read_as(held)) == []
    assert off(look, patients.read_as(others)) == [names[0]]
    more = {**held[-1], patients.key: "zz"}
    assert off(look, patients.read_as([*held, more])) == [f"{PATIENTS} zz"]
    columns_of = patients.after.survey.columns[PATIENTS]
    text = next(c.name for c in columns_of if not c.is_json and c.name == "last_name")
    of_json = next(c.name for c in columns_of if c.is_json and (one[c.name] or "{}") != "{}")
    document = one[of_json] or ""
    assert off(look, patients.read_as([{**one, text: f"{one[text]} "}, *others])) == [names[0]]
    assert off(look, patients.read_as([{**one, of_json: f" {document}"}, *others])) == []
    assert off(look, patients.read_as([{**one, of_json: "[]"}, *others])) == [names[0]]
    plan = patients.after.plan
    there = f"{plan.entities[PATIENTS].table}: there is no column {text}"
    assert there in off(look, patients.read_as(held, text))


def test_what_only_nexus_knows_is_compared_column_by_column_and_key_by_key(
    patients: Patients,
) -> None:
    look, (one, *others) = what_only_nexus_knows_was_carried_over, patients.rows()
    was = {row[patients.key] for row in patients.after.intake.rows(PATIENTS)}
    assert one[patients.key] in was
    name, spec = f"{PATIENTS} {one[patients.key]}", patients.after.mapping.entities[PATIENTS]
    fed, by_key = {*spec.fed_columns()}, _fed_by_key(spec)
    assert off(look, patients.read_as([one, *others])) == []
    unfed = next(c for c in one if c not in fed and c != patients.key and one[c] is not None)
    assert off(look, patients.read_as([{**one, unfed: "x"}, *others])) == [name]
    whole = next(c for c in one if c in fed and c not in by_key and one[c])
    assert off(look, patients.read_as([{**one, whole: "x"}, *others])) == []
    column = next(c for c in by_key if (one[c] or "{}")[0] == "{")
    document = strict_json.held(one[column] or "{}")
    added = json.dumps({**document, "only Nexus knows": 1}, default=str)
    assert off(look, patients.read_as([{**one, column: added}, *others])) == [name]
    override = replace(patients.read_as([{**one, unfed: "x"}, *others]))
    override._found[_overrides, override.plan.overrides] = {(PATIENTS, one[patients.key], unfed)}
    assert off(look, override) == [], "a person has set it"
    override._found[_overrides, override.plan.overrides] = {(PATIENTS, one[patients.key], "x")}
    assert off(look, override) == [name]


def test_a_record_whose_row_is_gone_is_named_by_its_filemaker_id(patients: Patients) -> None:
    after, held = patients.after, patients.rows()
    look = every_patient_of_filemaker_is_there
    ids = {
        row: record
        for entity, record, row in rowfile.read(after.folder, after.plan.id_map)
        if entity == PATIENTS
    }
    known = _outcomes(after, PATIENTS, Outcome.NEW, Outcome.REPLACED)
    loaded = set(columns.texts(known["nexus_id"]))
    gone = next(row for row in held if row[patients.key] in loaded)
    others = [row for row in held if row is not gone]
    assert told(look(after))[0] == []
    assert told(look(patients.read_as(others)))[0] == [ids[gone[patients.key]]]
    kept = next(row for row in held if row[patients.key] not in loaded)
    assert told(look(patients.read_as([row for row in held if row is not kept])))[0] == []
    plan = after.plan.entities[PATIENTS]
    left_out = {**plan.left_out, "x": 1}
    plans = {**after.plan.entities, PATIENTS: replace(plan, left_out=left_out)}
    changed = replace(after, plan=replace(after.plan, entities=plans))
    assert told(look(changed))[0] == ["count"]
    assert look(changed).note != look(after).note


def test_a_planned_row_that_nothing_accounts_for_and_a_kept_one_that_is_not_planned_are_named(
    patients: Patients,
) -> None:
    after, look = patients.after, every_planned_row_came_from_somewhere
    plan, held = after.plan.entities[PATIENTS], patients.rows()

    def planned_as(rows: list[Row]) -> After:
        file = patients.read_as(rows).now[PATIENTS]
        plans = {**after.plan.entities, PATIENTS: replace(plan, file=file)}
        return replace(after, plan=replace(after.plan, entities=plans))

    kept = set(columns.texts(_outcomes(after, PATIENTS, Outcome.KEPT)["nexus_id"]))
    one = next(row for row in held if row[patients.key] in kept)
    assert off(look, planned_as(held)) == []
    assert off(look, planned_as([*held, {**one, patients.key: "zz"}])) == [f"{PATIENTS} zz"]
    without = [row for row in held if row is not one]
    assert off(look, planned_as(without)) == [f"{PATIENTS} {one[patients.key]}"]
