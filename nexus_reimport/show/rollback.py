"""A rollback: what would be undone, what is newer, what was done; and a restored database."""

from __future__ import annotations

from nexus_reimport import naming, wording
from nexus_reimport.model import NewerDecision, RollbackPreview, RollbackProposal, Undone
from nexus_reimport.model.approval import short
from nexus_reimport.nexus.changes import NewerRows, Since
from nexus_reimport.nexus.registry import UndoSize
from nexus_reimport.record.notebooks import attention as attentions
from nexus_reimport.show.checks import checks_table, counted
from nexus_reimport.show.page import Page, ShownTable, TextLine, Tone, attention, table
from nexus_reimport.stages.restore import Restored

_DECISIONS = {
    NewerDecision.UNDECIDED: "undecided",
    NewerDecision.KEEP: "kept as they are",
    NewerDecision.DISCARD: "discarded; a copy of them stays in the private folder",
}


def rollback(value: RollbackPreview) -> Page:
    """What undoing the run would do, as things are now."""
    return Page(
        f"Rollback of run {value.undoes}",
        (
            TextLine(
                f"A {value.kind}, committed {wording.moment(value.committed_at)}. Beside its rows,"
                f" {naming.links(value.links, 'no link')} will be restored."
            ),
            table(
                "Rows that will be restored",
                "what | now | as before the run",
                [
                    (naming.rows(t), value.rows_now[t], before)
                    for t, before in value.rows_before.items()
                ],
            ),
            *_since(value.since, value.newer),
        ),
    )


def rollback_proposal(value: RollbackProposal) -> Page:
    """What is to be approved, and how."""
    typed = short(value.digest)
    command = " ".join(["nexus-reimport rollback", value.undoes, *value.newer.options])
    return Page(
        f"Undo run {value.undoes}? Approve: {typed}",
        (
            TextLine(
                f"The digest of this rollback of {value.environment} is {value.digest}", Tone.GOOD
            ),
            TextLine(f"On the command line: {command} --approve {typed}"),
            TextLine(f'In JupyterLab: approve = "{typed}" in the second cell of 90_rollback'),
            TextLine(
                "The digest becomes void as soon as anybody writes to these rows or links. If that"
                " happens, run the preview again."
            ),
        ),
    )


def undone(value: Undone) -> Page:
    """What the rollback's transaction did, which was committed."""
    verdict = TextLine(
        "Each row and each link that a run may write is as it was before the run.", Tone.GOOD
    )
    if value.as_before != "yes":
        verdict = TextLine(f"As it was before the run: {value.as_before}.", Tone.ATTENTION)
    return Page(
        "Undone",
        (
            verdict,
            TextLine(f"Writers waited {wording.at_most(value.writers_waited)}."),
            *(TextLine(f"{text}.", Tone.BAD) for text in attentions.of_commit(value)),
            table(
                "Rows",
                f"what | {'restored' if value.exact else 'there after it'} | had to be written",
                [(naming.rows(t), n, value.written.get(t, n)) for t, n in value.put_back.items()],
            ),
            table(
                "Links restored",
                "attachment | links",
                [(naming.rows(name), n) for name, n in value.relinked.items()],
            ),
            TextLine(f"Checks inside the transaction: {counted(value.report)}"),
            checks_table(value.report),
        ),
    )


def restored(value: Restored) -> Page:
    """A restored database, and the statements that put it in the place of the live one."""
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
                        "Extensions that only an administrator may create; the statements below"
                        f" create them: {left_out}.",
                        Tone.ATTENTION,
                    )
                ]
                if left_out
                else []
            ),
            TextLine(
                f"To swap it in: stop the application. Then an administrator runs"
                f" {wording.amount(len(value.swap), 'statement')}. They restore owners, grants,"
                " default privileges and settings; the application cannot work without them."
            ),
            *_statements(value),
            TextLine(
                f"Then: nexus-reimport adopt {value.environment} --this-is-a-copy, and once no run"
                f" is open, nexus-reimport record restored {value.environment} --why TEXT. Start"
                " the application. The replaced database stays, under another name, until you"
                " drop it."
            ),
        ),
    )


def _statements(value: Restored) -> tuple[TextLine | ShownTable, ...]:
    """The script that has them; or, where it found no room, they themselves, which are many."""
    if value.script:
        return (TextLine(f"psql -d postgres -f {value.script}"),)
    warning = (
        "They could not be written into the run's private folder: keep them from here, and run each"
        " in the database named beside it, in this order."
    )
    steps = [(n, s.database, s.statement) for n, s in enumerate(value.swap, 1)]
    return TextLine(warning, Tone.ATTENTION), table("", "step | in database | statement", steps)


def undo_data(values: tuple[UndoSize, ...]) -> ShownTable:
    """The undo data that is kept in the database."""
    return table(
        "Undo data of earlier runs, in the database",
        "run | committed | size | used",
        [
            (
                u.run,
                wording.minute(u.committed_at) if u.committed_at else "unknown",
                f"{u.bytes_stored / 1e6:,.1f} MB",
                f"undone by {u.undone_by}" if u.undone_by else "",
            )
            for u in values
        ],
    )


_LINKS = {
    NewerDecision.UNDECIDED: "These stay as people have put them if you keep what is newer, and"
    " become what they were before the run if you discard it",
    NewerDecision.KEEP: "These stay as people have put them",
    NewerDecision.DISCARD: "These become what they were before the run; a copy of them as they are"
    " now stays in the private folder",
}


def links_decided(fixed: int, newer: NewerDecision) -> str:
    """What becomes of documents and images, of which people have changed ``fixed`` links."""
    stays = "No document and no image is deleted, and their links stay as they are"
    if not fixed:
        return f"{stays}."
    links = wording.amount(fixed, "link")
    return f"{stays}, but for {links} that the run had fixed. {_LINKS[newer]}."


def _since(since: Since, newer: NewerDecision) -> tuple[TextLine | ShownTable, ...]:
    open_tone = Tone.BAD if newer is NewerDecision.UNDECIDED else Tone.ATTENTION
    parts: list[TextLine | ShownTable] = []
    if since.rows:
        header = "what | created | changed | deleted | e.g."
        parts += [
            _newer("What people have written since the run", header, since.rows),
            TextLine(
                f"Rows that were created or changed: {_DECISIONS[newer]}. Rows that were deleted,"
                " and existed before the run, come back.",
                open_tone,
            ),
        ]
    if since.links:
        header = "what | added | linked anew | deleted | e.g."
        parts += [
            _newer("Documents and images since the run", header, since.links),
            TextLine(
                links_decided(since.fixed, newer), open_tone if since.fixed else Tone.ATTENTION
            ),
        ]
    if since.pointed_at:
        parts += [
            table(
                "Rows that the run created and that stay, because a row that stays references them",
                "what | referenced by | rows",
                [(naming.rows(p.table), p.by, p.rows) for p in since.pointed_at],
            ),
        ]
    if not parts:
        parts = [
            TextLine(
                "Nobody has changed these rows or links since: the rollback is exact.", Tone.GOOD
            )
        ]
    return tuple(parts)


def _newer(title: str, header: str, several: tuple[NewerRows, ...]) -> ShownTable:
    """A line for each table: three counts, and ids of a few rows."""
    rows = [
        (
            naming.rows(n.table),
            attention(n.created),
            attention(n.changed),
            attention(n.deleted),
            wording.some(n.sample, n.rows),
        )
        for n in several
    ]
    return table(title, header, rows)
