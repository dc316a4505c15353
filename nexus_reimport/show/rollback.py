"""A rollback: what would be taken back, what is newer, what was done; and a restored database."""

from __future__ import annotations

from nexus_reimport import wording
from nexus_reimport.model import NewerDecision, RollbackPreview, RollbackProposal, Undone
from nexus_reimport.nexus.changes import Since
from nexus_reimport.nexus.registry import UndoSize
from nexus_reimport.show.page import Page, ShownTable, TextLine, Tone, attention, listed, table
from nexus_reimport.show.result import checks_table, counted
from nexus_reimport.stages.approval import short
from nexus_reimport.stages.restore import Restored

_FATE = {
    NewerDecision.UNDECIDED: "undecided",
    NewerDecision.KEEP: "kept as they are",
    NewerDecision.DISCARD: "given up; they stay in the private folder",
}


def rollback(value: RollbackPreview) -> Page:
    """What taking the run back would do, as things are now."""
    return Page(
        f"Taking back run {value.undoes}",
        (
            TextLine(
                f"A {value.kind}, committed {value.committed_at:%Y-%m-%d %H:%M:%S} UTC. Links of"
                f" documents and images that go back to what they were: {listed(value.links)}."
            ),
            table(
                "Rows that are put back",
                "table | now | as before the run",
                [(t, value.rows_now[t], before) for t, before in value.rows_before.items()],
            ),
            *_since(value.since, value.newer),
        ),
    )


def rollback_text(value: RollbackPreview) -> str:
    """The same page as plain text."""
    return repr(rollback(value))


def rollback_proposal(value: RollbackProposal) -> Page:
    """What is to be approved, and how."""
    typed = short(value.digest)
    option = {NewerDecision.KEEP: " --keep-newer", NewerDecision.DISCARD: " --discard-newer"}.get(
        value.newer, ""
    )
    return Page(
        f"Take run {value.undoes} back? Approve: {typed}",
        (
            TextLine(
                f"The digest of this rollback of {value.environment} is {value.digest}", Tone.GOOD
            ),
            TextLine(
                "On the command line:"
                f" nexus-reimport rollback {value.undoes}{option} --approve {typed}"
            ),
            TextLine(f'In JupyterLab: approve = "{typed}" in the second cell of 90_rollback'),
            TextLine("It is void as soon as anybody writes: then look again."),
        ),
    )


def undone(value: Undone) -> Page:
    """What the rollback's transaction did."""
    said = TextLine("Every table is as it was before the run, to the last value.", Tone.GOOD)
    if not value.committed:
        said = TextLine("Nothing was taken back: the database is as the run left it.", Tone.BAD)
    elif not value.exact:
        said = TextLine(
            "Every row is as before the run, but for what people have written since.",
            Tone.ATTENTION,
        )
    return Page(
        "Taken back" if value.committed else "Rolled back",
        (
            said,
            TextLine(f"Writers waited {value.writers_waited:,.2f} s at most."),
            table(
                "Rows",
                "table | taken away | put back",
                [(t, value.deleted.get(t, 0), n) for t, n in value.put_back.items()],
            ),
            table("Links put back", "attachment | links", list(value.relinked.items())),
            TextLine(f"Checks inside the transaction: {counted(value.report)}"),
            checks_table(value.report),
        ),
    )


def restored(value: Restored) -> Page:
    """A restored database, and the way to swap it in."""
    steps = [(n, s.database, s.statement) for n, s in enumerate(value.swap, 1)]
    left_out = ", ".join(value.left_out)
    return Page(
        f"Restored: database {value.database}",
        (
            TextLine(
                f"The dump of run {value.run}: {wording.amount(value.tables, 'table')},"
                f" {wording.amount(value.rows, 'row')}, all compared, in {value.seconds:,.1f} s."
                f" {value.live} was not touched.",
                Tone.GOOD,
            ),
            *(
                [
                    TextLine(
                        f"Extensions that only an administrator may make, among the statements:"
                        f" {left_out}.",
                        Tone.ATTENTION,
                    )
                ]
                if left_out
                else []
            ),
            TextLine(
                "To swap it in: stop the application, then run each statement as an administrator,"
                " in the database that is named, in this order. They give back owners, grants,"
                " default privileges and settings; without them the application cannot work."
            ),
            TextLine(f"The same as one file: psql -d postgres -f {value.script}"),
            table("", "step | in database | statement", steps),
            TextLine(
                f"Then: nexus-reimport adopt {value.environment} --this-is-a-copy, and start the"
                " application. The database that was replaced stays under its other name until you"
                " drop it."
            ),
        ),
    )


def undo_data(values: tuple[UndoSize, ...]) -> ShownTable:
    """The undo data that is kept in the database."""
    rows = [
        (
            u.run,
            f"{u.committed_at:%Y-%m-%d %H:%M} UTC" if u.committed_at else "unknown",
            f"{u.bytes_stored / 1e6:,.1f} MB",
            f"taken back by {u.undone_by}" if u.undone_by else "",
        )
        for u in values
    ]
    return table(
        "Undo data of earlier runs, in the database", "run | committed | size | used", rows
    )


def _since(since: Since, newer: NewerDecision) -> tuple[TextLine | ShownTable, ...]:
    found = [n for n in since.newer if n.rows]
    parts: list[TextLine | ShownTable] = []
    if found:
        parts += [
            table(
                "What people have written since the run",
                "table | created | changed | deleted | e.g.",
                [
                    (
                        n.table,
                        attention(n.created),
                        attention(n.changed),
                        attention(n.deleted),
                        wording.some(n.sample, n.rows),
                    )
                    for n in found
                ],
            ),
            TextLine(
                f"What was created or changed: {_FATE[newer]}. What was deleted, and was there"
                " before the run, comes back.",
                Tone.BAD if newer is NewerDecision.UNDECIDED else Tone.ATTENTION,
            ),
        ]
    if since.pointed_at:
        parts += [
            table(
                "Rows that the run has made and that stay: something that stays points at them",
                "table | pointed at by | rows",
                [(p.table, p.by, p.rows) for p in since.pointed_at],
            ),
        ]
    if not parts:
        parts = [TextLine("Nobody has written since: the rollback is exact.", Tone.GOOD)]
    return tuple(parts)
