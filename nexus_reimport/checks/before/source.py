"""Checks before: FileMaker was read whole, and is the file that it should be."""

from __future__ import annotations

from datetime import timedelta

from nexus_reimport import parts, wording
from nexus_reimport.checks import Finding, check
from nexus_reimport.checks.before.subject import Before
from nexus_reimport.filemaker import no_access
from nexus_reimport.files import columns, rowfile
from nexus_reimport.model import Level
from nexus_reimport.settings import Cause


@check(Before, Level.STOP, serves=("B1", "B2", "S1"), links=True)
def filemaker_was_read_completely(before: Before) -> Finding:
    """Every table was read to its end: count at start, rows, distinct keys, count at end."""
    extracts = before.snapshot.extracts
    # a record that is read twice and one that is missed leave the number of rows as it should be
    gaps = [
        name
        for name, e in extracts.items()
        if not e.count_at_start == e.rows == e.distinct_keys == e.count_at_end
    ]
    return Finding(len(extracts), gaps)


@check(Before, Level.REVIEW, serves=("B1", "B2", "S1"), links=True)
def filemaker_itself_counted_every_table(before: Before) -> Finding:
    """FileMaker itself said how many records each table has; a file may lack some of them.

    FileMaker exports the records that were found, and the file does not tell of the others: a
    person compares its rows with what FileMaker shows, and signs for it. A file with fewer rows
    than its table had in the last COMPLETE record is named: records were deleted, or are missing.
    """
    extracts = before.snapshot.extracts.values()
    files = [f"{e.table}: {wording.amount(e.rows, 'row')}" for e in extracts if e.origin]
    note = "compare with the number of records that FileMaker shows" if files else ""
    then = before.earlier.extracts if before.earlier else {}
    fewer = sorted(
        f"{e.table} by {then[e.source].rows - e.rows:,}"
        for e in extracts
        if e.origin and e.source in then and e.rows < then[e.source].rows
    )
    note += f"; fewer than in {before.earlier_run}: {', '.join(fewer)}" if fewer else ""
    return Finding(len(extracts), files, note=note)


@check(Before, Level.REVIEW, serves=("S1", "M3"), links=True)
def exported_files_are_of_the_day(before: Before) -> Finding:
    """No exported file is more than a day older than the reading: tables must show one moment.

    People edit between two exports: the real ones differ by some rows from one day to the next. Of
    a file that is of a later day a computer's clock is wrong, and its age is not known.
    """
    taken, extracts = before.snapshot.taken_at, before.snapshot.extracts
    files = [e.origin for e in extracts.values() if e.origin]
    old = [
        f"{file.name}: {_age(taken - file.modified_at)}"
        for file in files
        if abs(taken - file.modified_at) > timedelta(days=1)
    ]
    note = f"read from files: {len(files):,} of {wording.amount(len(extracts), 'table')}"
    return Finding(len(extracts), old, note=note)


def _age(age: timedelta) -> str:
    days = wording.amount(abs(age).days, "day")
    return f"{days} old" if age > timedelta() else f"{days} ahead of this machine's clock"


@check(Before, Level.STOP, serves=("B1", "B2", "M3"), links=True)
def no_source_is_empty(before: Before) -> Finding:
    """Every FileMaker table holds records if Nexus already has rows from it."""
    used = {
        e.source: before.rows_now(n)
        for n, e in before.mapping.entities.items()
        if n in before.plan.entities
    }
    used |= {
        a.source: before.survey.attachments[n].rows for n, a in before.mapping.attachments.items()
    }
    empty = [s for s, rows in used.items() if rows and not before.snapshot.extracts[s].rows]
    return Finding(len(used), empty)


@check(Before, Level.STOP, serves=("B1", "B2", "M3"), links=True)
def no_field_holds_one_text_in_angle_brackets(before: Before) -> Finding:
    """No field holds one and the same text in angle brackets in every record of its table.

    FileMaker gives such a text, in the language of its server, in the place of what the account may
    not view. Those that are known stop the read itself.
    """
    extracts = before.snapshot.extracts
    fields = [
        f"{name}.{field}"
        for name, extract in extracts.items()
        for field in no_access.alike(rowfile.batches(before.folder, extract.file))
    ]
    note = (
        "FileMaker gives such a text, as <No Access>, in the place of a value: let the account view"
        " these fields; if it is their own text, waive this check"
    )
    return Finding(len(extracts), fields, note=note if fields else "")


_FEW_RECORDS = 10  # a table of a few records may change by as many, whatever the band


@check(Before, Level.STOP, serves=("B1", "B2", "M3"))
def filemaker_is_the_file_of_the_record_before(before: Before) -> Finding:
    """FileMaker is the file that the last COMPLETE record was made from, and about as large."""
    then, now = before.earlier, before.snapshot
    if then is None:
        return Finding(1, note="no COMPLETE record before this one: nothing to compare with")
    off = []
    if then.database != now.database:
        off.append(f"file: {then.database} then, {now.database} now")
    both = [name for name in now.extracts if name in then.extracts]
    for name in both:
        had, has = then.extracts[name].rows, now.extracts[name].rows
        allowed = max(_FEW_RECORDS, int(parts.of(before.settings.counts_may_differ, had)))
        if abs(has - had) > allowed:
            off.append(f"{name}: {had:,} then, {has:,} now; may differ by {allowed:,}")
    return Finding(1 + len(both), off, note=f"compared with {before.earlier_run}")


def _as_expected(before: Before, entity: str) -> Finding:
    plan = before.plan.entities[entity]
    only_in_nexus = [u.count for u in plan.unmatched if u.cause is Cause.NO_FILEMAKER_ID]
    had = plan.rows_before - sum(only_in_nexus)  # FileMaker never had the others
    if before.is_new(entity):
        note = f"the first import of {entity}: Nexus has none, and no run has loaded any"
        return Finding(plan.source_rows, note=note, empty=before.neither_side(entity))
    off = abs(plan.loaded - had)
    allowed = int(parts.of(before.settings.counts_may_differ, had))
    note = (
        f"FileMaker brings {plan.loaded:,}, Nexus has {had:,} from FileMaker;"
        f" may differ by {allowed:,}"
    )
    return Finding(max(plan.source_rows, had), count=max(0, off - allowed), note=note)


@check(Before, Level.STOP, serves=("B1",))
def patients_are_as_many_as_expected(before: Before) -> Finding:
    """FileMaker brings about as many patients as Nexus has from it."""
    return _as_expected(before, before.mapping.people())


@check(Before, Level.STOP, serves=("B2",))
def appointments_are_as_many_as_expected(before: Before) -> Finding:
    """FileMaker brings about as many appointments as Nexus has from it."""
    return _as_expected(before, before.mapping.application.calendar.entity)


@check(Before, Level.STOP, serves=("M3",))
def links_between_tables_resolve(before: Before) -> Finding:
    """The links between FileMaker's tables find their records."""
    linking = [n for n, s in before.mapping.sources.items() if s.links]
    records = sum(before.snapshot.extracts[name].rows for name in linking)
    none = "no table with a link holds a record" if linking else "the mapping names no link"
    looked, poor = 0, []
    for name, link, held, wanted in before.links():
        looked += 2 * bool(len(held))
        resolved = columns.count(held, wanted)
        covered = columns.count(wanted, held)
        if resolved < parts.of(link.resolves_at_least, len(held)):
            poor.append(f"{name}.{link.field}: {resolved:,} of {len(held):,} resolve")
        if covered < parts.of(link.covers_at_least, len(wanted)):
            poor.append(f"{name}: {covered:,} of {len(wanted):,} {link.to} have a record here")
    return Finding(looked, poor, empty="" if records else none)
