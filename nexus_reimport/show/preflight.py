"""What the preflight read: FileMaker, S3, Nexus, the backup."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from nexus_reimport import naming, wording
from nexus_reimport.model import Backup, Census, Extract, Snapshot, Survey
from nexus_reimport.show.page import (
    Folded,
    Marked,
    Page,
    ShownTable,
    TextLine,
    Tone,
    attention,
    equal,
    folded,
    listed,
    table,
)
from nexus_reimport.show.rollback import undo_data


def snapshot(value: Snapshot) -> Page:
    """FileMaker as it was read, and the counts that prove that every table is complete."""
    extracts = value.extracts.values()
    rows = sum(e.rows for e in extracts)
    return Page(
        f"FileMaker as read: {value.database}",
        (
            TextLine(
                f"{wording.amount(rows, 'record')} of {wording.amount(len(extracts), 'table')}"
                f" in {value.seconds:,.2f} s."
            ),
            *_dates(value),
            _whole(extracts),
            folded(_usage(value)),
            *map(folded, _exported(extracts)),
            *_cleaned(extracts),
            *_numbers_alone(extracts),
            *_unread(extracts),
            _renamed(extracts),
        ),
    )


def _whole(extracts: Collection[Extract]) -> ShownTable | Folded:
    """The proof that each table is whole; folded where it is."""
    proof = _proof(extracts)
    whole = sum(e.count_at_start == e.rows == e.distinct_keys == e.count_at_end for e in extracts)
    if whole < len(extracts):
        return proof
    return folded(proof, summary=f"{wording.amount(whole, 'table')}, each read completely")


def _usage(value: Snapshot) -> ShownTable:
    return table(
        "Requests and data volume by channel",
        "channel | answered by | requests | retries | sessions renewed | received",
        [
            (c.channel, c.product, c.requests, c.retries, c.renewals, _size(c.bytes_read))
            for c in value.channels
        ],
    )


def _proof(extracts: Collection[Extract]) -> ShownTable:
    return table(
        "Every table, read completely",
        "table | channel | count at start | rows | distinct keys | count at end | whole | newest"
        " | “?” read as empty | fields used | seconds",
        [
            (
                e.table,
                e.channel,
                e.count_at_start,
                e.rows,
                e.distinct_keys,
                e.count_at_end,
                equal(e.count_at_start, e.rows, e.distinct_keys, e.count_at_end),
                e.newest,
                attention(e.repaired),
                wording.part(_used(e), e.fields_there),
                e.seconds,
            )
            for e in extracts
        ],
    )


def _exported(extracts: Collection[Extract]) -> Iterator[ShownTable]:
    files = [(e.source, e.origin) for e in extracts if e.origin]
    if files:
        yield table(
            "Exported files that were read",
            "source | file | size | last changed (UTC) | SHA-256",
            [
                (source, o.name, _size(o.size), f"{o.modified_at:%Y-%m-%d %H:%M:%S}", o.sha256)
                for source, o in files
            ],
        )


def _cleaned(extracts: Collection[Extract]) -> Iterator[ShownTable]:
    cleaned = [
        (
            naming.words(e.source),
            c.field,
            c.what,
            attention(c.records),
            wording.some(c.sample, c.records),
        )
        for e in extracts
        for c in e.cleaned
    ]
    if cleaned:
        yield table(
            "Texts that were cleaned; cleaned.csv in the record lists every id",
            "source | field | what was done | records | e.g.",
            cleaned,
        )


def _numbers_alone(extracts: Collection[Extract]) -> Iterator[ShownTable]:
    """Number fields that may hold words in FileMaker: what nobody can count is at least named."""
    fields = [(e.table, e.channel, name) for e in extracts for name in e.numbers_alone]
    if fields:
        yield table(
            "Number fields of which words do not arrive (about 5 arrives as 5, a word not at all):"
            " the Data API and .tab files have them",
            "table | channel | field",
            fields,
        )


def _unread(extracts: Collection[Extract]) -> Iterator[Folded]:
    """The fields that no source reads: nobody would miss what they hold."""
    used = {(e.table, field.found_as) for e in extracts for field in e.fields}
    unread = {e.table: [name for name in e.unread if (e.table, name) not in used] for e in extracts}
    lines = [(name, len(fields), ", ".join(fields)) for name, fields in unread.items() if fields]
    if lines:
        many = wording.amount(sum(map(len, unread.values())), "field")
        tables = wording.amount(len(lines), "table")
        stays = "does not read: what they hold stays in FileMaker alone"
        shown = table(f"Fields that the mapping {stays}", "table | number | fields", lines)
        yield folded(shown, summary=f"{many} of {tables} that the mapping {stays}")


def _renamed(extracts: Collection[Extract]) -> ShownTable | TextLine:
    """The fields that FileMaker has under another name, or not at all."""
    renamed = [
        (e.table, f.name, f.found_as or Marked("missing", Tone.ATTENTION), ", ".join(f.nearest))
        for e in extracts
        for f in e.fields
        if f.found_as != f.name
    ]
    if not renamed:
        return TextLine("Every field has the name that the mapping gives it.")
    return table(
        "Fields found under another name, or not at all",
        "table | field | found as | nearest names",
        renamed,
    )


def _dates(value: Snapshot) -> Iterator[TextLine]:
    """A line for each channel that sent dates in a form other than ISO, which was requested."""
    for use in value.channels:
        if use.dates:
            yield TextLine(
                f"{use.channel}: the server sends dates as {use.dates} and not in ISO form, because"
                " it is older than 19.6.1. All columns agree, so all dates were read in that form.",
                Tone.ATTENTION,
            )


def _used(extract: Extract) -> int:
    """The number of fields that the mapping reads; a field with several uses counts once."""
    return len({field.found_as for field in extract.fields if field.found_as})


def census(value: Census) -> Page:
    """What the bucket holds."""
    objects = wording.amount(value.objects, "object")
    text = f"{objects}, {_size(value.bytes_stored)}: listed only, nothing was opened or changed."
    return Page(f"S3: bucket {value.bucket}", (TextLine(text),))


def survey(value: Survey) -> Page:
    """Nexus as it is: counts, links, what references the rows that will be wiped, problems."""
    roles = table(
        "Tables by what a run may do with them",
        "role | tables | rows",
        [
            (role, len(rows), sum(rows))
            for role in dict.fromkeys(t.role for t in value.tables.values())
            if (rows := [t.rows for t in value.tables.values() if t.role is role])
        ],
    )
    pointers = table(
        "Blast radius: what references rows that will be wiped",
        "table | column | kind of reference | references | rows | dangling",
        [
            (p.table, p.column, p.kind, naming.rows(p.entity), p.rows, attention(p.dangling))
            for p in value.pointers
            if p.rows or p.dangling
        ],
    )
    unused = sum(not (p.rows or p.dangling) for p in value.pointers)
    return Page(
        f"Nexus as it is: {value.database}, PostgreSQL {value.server_version}",
        (
            *_problems(value),
            *(TextLine(notice, Tone.ATTENTION) for notice in value.notices),
            *_dangling(value),
            folded(_counts(value), _attachments(value), summary="Rows, documents and images"),
            folded(roles),
            folded(pointers),
            TextLine(
                f"{wording.amount(unused, 'more column')} could reference them but do not;"
                f" {wording.amount(value.scanned_columns, 'column')} searched for ids."
                + _not_searched_for(value)
            ),
            *([folded(undo_data(value.undo))] if value.undo else []),
        ),
    )


def _not_searched_for(value: Survey) -> str:
    """The entities whose ids are searched for in no column."""
    if not value.next_keys:
        return ""
    entities = " and ".join(naming.rows(entity) for entity in sorted(value.next_keys))
    return (
        f" The ids of {entities} are whole numbers, and were searched for in no column:"
        " [[references]] of the mapping has those that hold them without a foreign key."
    )


def _dangling(value: Survey) -> Iterator[TextLine]:
    """One line for the references that lead to no row, before anything was changed."""
    counts = {f"in {p.table}.{p.column}": p.dangling for p in value.pointers if p.dangling}
    if counts:
        text = f"References that lead to no row, already now: {listed(counts)}."
        yield TextLine(text, Tone.ATTENTION)


def counts(value: Survey) -> Page:
    """The current state in numbers: rows of each entity, documents and images."""
    return Page("The current state in numbers", (_counts(value), _attachments(value)))


def backup(value: Backup) -> Page:
    """What was backed up before anything was changed: the dump, and the rows of each CSV file."""
    return Page(
        "The backup, in the run's private folder",
        (
            TextLine(
                f"{value.dump}: {_size(value.dump_bytes)},"
                f" {wording.amount(value.tables_in_dump, 'table')},"
                f" made by pg_dump {value.client_version} from PostgreSQL {value.server_version}."
            ),
            folded(table("Rows exported to CSV", "file | rows", sorted(value.csv_rows.items()))),
            TextLine(
                "The dump and the CSV files show the moment of the survey. They hold patients'"
                " data: only your user can read them (mode 0600)."
            ),
        ),
    )


def _counts(value: Survey) -> ShownTable:
    rows = [(naming.rows(entity), file.rows) for entity, file in value.rows.items()]
    return table("Rows to be wiped and reimported", "entity | rows", rows)


def _attachments(value: Survey) -> ShownTable:
    return table(
        "Documents and images: protected, only their links are checked",
        "attachment | rows | linked to an existing patient | linked to something else | dangling"
        " | not linked",
        [
            (
                naming.rows(a.name),
                a.rows,
                a.linked,
                a.linked_elsewhere,
                attention(a.dangling),
                attention(a.unlinked),
            )
            for a in value.attachments.values()
        ],
    )


def _problems(value: Survey) -> tuple[TextLine | ShownTable, ...]:
    if not value.problems:
        return (TextLine("No problem was found in the database.", Tone.GOOD),)
    rows = [(Marked(p.what, Tone.BAD), p.fix) for p in value.problems]
    return (table("Fix these first", "problem | statement that fixes it", rows),)


def _size(count: int) -> str:
    """A size in bytes, kB or MB (decimal units)."""
    if count < 10_000:
        return wording.amount(count, "byte")
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB"
