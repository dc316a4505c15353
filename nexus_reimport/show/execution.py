"""An execution: its rehearsal, what is approved and by whom, what its transaction did."""

from __future__ import annotations

from collections.abc import Iterator

from nexus_reimport import naming, wording
from nexus_reimport.model import (
    Applied,
    Approval,
    Drift,
    Ground,
    Outlook,
    Proposal,
    Rehearsal,
    Report,
)
from nexus_reimport.model.approval import short
from nexus_reimport.record.notebooks import attention
from nexus_reimport.settings import Write
from nexus_reimport.show.checks import checks_table, counted
from nexus_reimport.show.page import Page, Part, ShownTable, TextLine, Tone, folded, table


def rehearsal(value: Rehearsal) -> Page:
    """The rehearsal: what it proved, how long a recovery would take, and the state after."""
    proven = _on_a_copy(value) if value.ground is Ground.COPY else _inside(value)
    return Page(
        f"The rehearsal, {value.ground}",
        (
            *proven,
            folded(
                table(
                    "The state after the run; the execution must give the same",
                    "table | rows | fingerprint",
                    [(name, f.rows, short(f.digest)) for name, f in sorted(value.after.items())],
                )
            ),
            TextLine(f"Checks inside the transaction: {counted(value.report)}"),
            checks_table(value.report),
        ),
    )


def _on_a_copy(value: Rehearsal) -> tuple[Part, ...]:
    verified = value.verified or Report("after", ())
    left_out, tables = ", ".join(value.left_out), wording.amount(value.tables, "table")
    done = [
        ("restored", "the dump, into a separate database, which was then dropped", "restore"),
        ("compared", f"{tables}, {wording.amount(value.rows, 'row')}: all equal", "compare"),
        ("applied", f"checks inside: {counted(value.report)}", "apply"),
        ("verified", f"checks after: {counted(verified)}", "verify"),
        ("undone", "from the undo data of the run", "undo"),
        ("compared", f"{tables}: as before the run", "compare again"),
        ("applied again", "the result is the same in every value", "apply again"),
    ]
    return (
        TextLine(
            "Backup and undo were tried on a copy, and both work. Nothing is deleted yet.",
            Tone.GOOD,
        ),
        table(
            f"On {value.where}, {value.seconds:,.2f} s in total",
            "step | what | seconds",
            [(step, what, value.times.get(key, 0.0)) for step, what, key in done],
        ),
        table(
            "Expected times, as measured on the copy",
            "what | seconds",
            [
                ("writers wait for the execution", value.writers_waited),
                ("recovery by rollback: writers wait", value.undo_waited),
                ("recovery by restore: the whole dump", value.times.get("restore", 0.0)),
            ],
        ),
        *(
            [TextLine(f"Extensions that no table needs were not restored: {left_out}.")]
            if left_out
            else []
        ),
    )


def _inside(value: Rehearsal) -> tuple[Part, ...]:
    return (
        TextLine(
            "UNPROVEN: the backup has not been restored, the undo has not been tried.", Tone.BAD
        ),
        TextLine(f"Why: {value.why_inside}.", Tone.BAD),
        TextLine(
            "Instead, the whole plan was applied in a transaction that was rolled back. It took"
            f" {value.seconds:,.2f} s, and writers waited {value.writers_waited:,.2f} s. On prod"
            " this needs a waiver for the check the_backup_can_be_proven."
        ),
    )


_WRITES = {
    Write.DIFFERENCES: "Only rows that differ are written; the state after is the same as if all"
    " had been deleted and imported afresh.",
    Write.ALL: "Every row of the wiped tables is deleted and inserted.",
}


def proposal(value: Proposal, outlook: Outlook | None = None) -> Page:
    """What is to be approved, and how; first, why an approval would be refused today."""
    typed = short(value.digest)
    bound = [
        (name, short(getattr(value, name)))
        for name in ("snapshot", "mapping", "code", "schema", "decisions", "plan")
    ]
    expected = outlook or Outlook()
    title = f"GO, if you approve: {typed}"
    if expected.refusals:
        title = f"GO, but an approval of {typed} is refused until you have fixed the following"
    return Page(
        title,
        (
            *(
                TextLine(f"Refused: {r.what}. To fix it: {r.next}.", Tone.BAD)
                for r in expected.refusals
            ),
            *(
                [
                    TextLine(
                        "UNPROVEN: the backup has not been restored, the undo has not been tried:"
                        f" {expected.unproven}.",
                        Tone.BAD,
                    )
                ]
                if expected.unproven
                else []
            ),
            *(
                TextLine(f"{text[0].upper()}{text[1:]}.", Tone.BAD)
                for text in attention.of_ending(expected)
            ),
            TextLine(f"The digest of this run of {value.environment} is {value.digest}", Tone.GOOD),
            TextLine(
                f"On the command line: nexus-reimport run {value.environment} --approve {typed}"
                f"{expected.with_name}"
            ),
            TextLine(f'In JupyterLab: approve = "{typed}" in the second cell of 02_execute'),
            TextLine(_WRITES[value.write]),
            folded(
                table(
                    "The approval covers these digests, and the state before and after",
                    "what | digest",
                    bound,
                ),
                table(
                    "State before and after, by table",
                    "table | rows before | rows after | before | after",
                    [
                        (name, then.rows, after.rows, short(then.digest), short(after.digest))
                        for name, then in sorted(value.before.items())
                        if (after := value.after.get(name)) is not None
                    ],
                ),
            ),
        ),
    )


def drift(value: Drift) -> Page:
    """What was done in FileMaker after it was read."""
    title = "FileMaker since the preflight"
    unsure = TextLine(
        f"Without versions of their records: {', '.join(value.by_newest)}. There, count and newest"
        " change are compared, and an edit on a computer whose clock is behind is not seen.",
    )
    of_files = TextLine(
        f"Read from exported files: {', '.join(value.exported)}. What was edited in FileMaker after"
        " the export cannot be seen here, and is not in this run.",
        Tone.ATTENTION,
    )
    beside = [*([unsure] if value.by_newest else ()), *([of_files] if value.exported else ())]
    return Page(title, (*_edited(value), *beside, *_overtaken(value)))


def _edited(value: Drift) -> Iterator[ShownTable | TextLine]:
    if not value.changed:
        others = "No file was changed, and of other tables no" if value.exported else "No"
        yield TextLine(f"{others} record was edited, added or deleted.", Tone.GOOD)
        return
    yield table("Edited since the preflight", "table | what", sorted(value.changed.items()))
    yield TextLine(
        "This is not in the plan. If you need it now, stop here and run"
        " 01_preflight again; otherwise the next reimport brings it.",
        Tone.ATTENTION,
    )


def _overtaken(value: Drift) -> Iterator[TextLine]:
    if value.overtaken:
        yield TextLine(
            f"Over since the plan was made: {naming.counted(value.overtaken)}. They are planned as"
            " still to come, and this run writes them so. If that must not be, stop here and run"
            " 01_preflight again; otherwise somebody sets them in Nexus afterwards.",
            Tone.ATTENTION,
        )


def approval(value: Approval) -> Page:
    """Which digest was approved, by whom, how and when, and why."""
    given = f"{value.by_account}, {value.how}, {wording.moment(value.at)}"
    text = f"{short(value.digest)} by {given}"
    why = (TextLine(f"Why: {value.reason}"),) if value.reason else ()
    return Page("Approved", (TextLine(text, Tone.GOOD), *why))


def applied(value: Applied) -> Page:
    """What the transaction did; after a rollback, what it would have done."""
    title = "Committed" if value.committed else "Rolled back: the database is unchanged"
    wrote, relinked = ("Rows that were written", "Re-linked")
    if not value.committed:
        wrote, relinked = "Rows that would be written", "Would be re-linked"
    columns = "what | deleted | updated | inserted | rows now"
    rows = [
        (
            naming.rows(name),
            value.deleted.get(name, 0),
            value.updated.get(name, 0),
            count,
            value.after[name].rows,
        )
        for name, count in value.inserted.items()
    ]
    written = value.rows_written
    links = [(naming.rows(name), count) for name, count in value.relinked.items()]
    return Page(
        title,
        (
            TextLine(f"Writers waited {wording.at_most(value.writers_waited)}."),
            *(TextLine(f"{text}.", Tone.BAD) for text in attention.of_commit(value)),
            table(wrote, columns, rows),
            *((TextLine(_written(written)),) if rows and written is not None else ()),
            table(relinked, "attachment | links written", links),
            TextLine(f"Checks inside the transaction: {counted(value.report)}"),
            *(TextLine(warning, Tone.ATTENTION) for warning in value.warnings),
        ),
    )


def _written(rows: int) -> str:
    differed = wording.amount(rows, "row")
    if not rows:
        return "All rows were already as imported afresh: none was written."
    only = "this one was" if rows == 1 else "these were"
    return f"All rows are as imported afresh; {differed} differed, and only {only} written."
