"""What checks, rehearsal, gate and transaction gave."""

from __future__ import annotations

from collections.abc import Mapping

from nexus_reimport.model import (
    Applied,
    Approval,
    Ground,
    Level,
    Outlook,
    Proposal,
    Rehearsal,
    Report,
    Result,
)
from nexus_reimport.show.page import Cell, Marked, Page, ShownTable, TextLine, Tone, table
from nexus_reimport.stages.approval import short

_ORDER = ("STOPS", "REVIEW", "noted", "waived", "passed")
_TONES = {
    "STOPS": Tone.BAD,
    "REVIEW": Tone.ATTENTION,
    "noted": Tone.FAINT,
    "waived": Tone.ATTENTION,
    "passed": Tone.GOOD,
}


def report(value: Report) -> Page:
    """Every check of one stage, those that failed first."""
    said = TextLine("No check stops the run.", Tone.GOOD)
    if not value.passed:
        stop = "stops" if len(value.blocking) == 1 else "stop"
        said = TextLine(f"{len(value.blocking):,} of them {stop} the run.", Tone.BAD)
    return Page(f"Checks {value.stage}: {counted(value)}", (said, checks_table(value)))


def report_text(value: Report) -> str:
    """The same page as plain text."""
    return repr(report(value))


def word(result: Result) -> str:
    """What became of one check, in one word."""
    if result.passed:
        return "waived" if result.offending else "passed"
    return {Level.STOP: "STOPS", Level.REVIEW: "REVIEW", Level.INFO: "noted"}[result.level]


def rehearsal(value: Rehearsal) -> Page:
    """The rehearsal: what it has proven, how long a recovery would take, the state after."""
    proven = _on_a_copy(value) if value.ground is Ground.COPY else _inside(value)
    return Page(
        f"The rehearsal, {value.ground}",
        (
            *proven,
            table(
                "The state after, which the execution must give again",
                "table | rows | fingerprint",
                [(name, f.rows, short(f.digest)) for name, f in sorted(value.after.items())],
            ),
            TextLine(f"Checks inside the transaction: {counted(value.report)}"),
            checks_table(value.report),
        ),
    )


def _on_a_copy(value: Rehearsal) -> tuple[TextLine | ShownTable, ...]:
    verified = value.verified or Report("after", ())
    left_out = ", ".join(value.left_out)
    done = [
        ("restored", "the dump, into a database of its own, dropped since", "restore"),
        ("compared", f"{value.tables:,} tables, {value.rows:,} rows: all equal", "compare"),
        ("applied", f"checks inside: {counted(value.report)}", "apply"),
        ("verified", f"checks after: {counted(verified)}", "verify"),
        ("undone", "from the undo data of the run", "undo"),
        ("compared", f"{value.tables:,} tables: as before the run", "compare again"),
        ("applied again", "the same state to the last value", "apply again"),
    ]
    return (
        TextLine(
            "The backup is proven, and so is the undo, before anything was deleted.", Tone.GOOD
        ),
        table(
            f"On {value.where}, {value.seconds:,.2f} s in all",
            "step | what | seconds",
            [(step, what, value.times.get(key, 0.0)) for step, what, key in done],
        ),
        table(
            "How long each would take tonight, as measured on the copy",
            "what | seconds",
            [
                ("writers wait for the execution", value.writers_waited),
                ("recovery by rollback: writers wait", value.undo_waited),
                ("recovery by restore: the whole dump", value.times.get("restore", 0.0)),
            ],
        ),
        *(
            [TextLine(f"Extensions that no table needs were left out: {left_out}.")]
            if left_out
            else []
        ),
    )


def _inside(value: Rehearsal) -> tuple[TextLine | ShownTable, ...]:
    return (
        TextLine(
            "UNPROVEN: the backup has not been restored, the undo has not been tried.", Tone.BAD
        ),
        TextLine(f"Why: {value.why_inside}.", Tone.BAD),
        TextLine(
            f"The last resort took {value.seconds:,.2f} s, in which writers waited"
            f" {value.writers_waited:,.2f} s. prod needs a waiver for it, by name:"
            " the_backup_can_be_proven."
        ),
    )


def proposal(value: Proposal, outlook: Outlook | None = None) -> Page:
    """What is to be approved, and how; before that, what would still refuse the approval."""
    typed = short(value.digest)
    bound = [
        (name, short(getattr(value, name)))
        for name in ("snapshot", "mapping", "code", "schema", "decisions", "plan")
    ]
    found = outlook or Outlook()
    title = f"GO, if you approve: {typed}"
    if found.refusals:
        title = f"GO, but an approval of {typed} is refused until what follows is settled"
    return Page(
        title,
        (
            *(
                TextLine(f"Refused: {r.what}. To settle it: {r.next}.", Tone.BAD)
                for r in found.refusals
            ),
            *(
                [
                    TextLine(
                        "UNPROVEN: the backup has not been restored, the undo has not been tried:"
                        f" {found.unproven}.",
                        Tone.BAD,
                    )
                ]
                if found.unproven
                else []
            ),
            *(
                TextLine(
                    f"This waiver ends today, and verification after midnight would stop: {w}.",
                    Tone.BAD,
                )
                for w in found.ending
            ),
            TextLine(f"The digest of this run of {value.environment} is {value.digest}", Tone.GOOD),
            TextLine(
                f"On the command line: nexus-reimport run {value.environment} --approve {typed}"
            ),
            TextLine(f'In JupyterLab: approve = "{typed}" in the second cell of 02_execute'),
            table(
                "Approval is of these, and of the state before and after", "what | digest", bound
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
    )


def drift(value: Mapping[str, str]) -> Page:
    """What FileMaker changed since it was read."""
    title = "FileMaker since the preflight"
    if not value:
        return Page(
            title, (TextLine("Counts and newest stamps are those that were read.", Tone.GOOD),)
        )
    return Page(
        title,
        (
            table("Edited since", "table | what", sorted(value.items())),
            TextLine(
                "These edits are not in the plan. If they must be, stop here and run 01_preflight"
                " again; else they come with the next reimport.",
                Tone.ATTENTION,
            ),
        ),
    )


def approval(value: Approval) -> Page:
    """Who let which digest pass."""
    words = f"{short(value.digest)} by {value.who}, {value.how}, {value.at:%Y-%m-%d %H:%M:%S} UTC"
    return Page("Approved", (TextLine(words, Tone.GOOD),))


def applied(value: Applied) -> Page:
    """What the transaction did; where it was rolled back, what it had done until then."""
    title = "Committed" if value.committed else "Rolled back: the database is as it was"
    wiped, relinked = ("Wiped and loaded", "Re-linked")
    if not value.committed:
        wiped, relinked = "Would be wiped and loaded", "Would be re-linked"
    rows = [
        (name, value.deleted.get(name, 0), count, value.after[name].rows)
        for name, count in value.inserted.items()
    ]
    links = list(value.relinked.items())
    return Page(
        title,
        (
            TextLine(f"Writers waited {value.writers_waited:,.2f} s at most."),
            table(wiped, "table | deleted | inserted | rows now", rows),
            table(relinked, "attachment | links written", links),
            TextLine(f"Checks inside the transaction: {counted(value.report)}"),
            *(TextLine(warning, Tone.ATTENTION) for warning in value.warnings),
        ),
    )


def checks_table(value: Report) -> ShownTable:
    """The checks of a report, those that failed first."""
    ordered = sorted(value.results, key=lambda r: _ORDER.index(word(r)))
    rows: list[tuple[Cell, ...]] = [
        (
            Marked(word(r), _TONES[word(r)]),
            r.level,
            r.check,
            r.claim,
            " ".join(r.serves),
            r.looked_at,
            r.offending,
            r.waived or None,
            r.listed,
            r.note,
        )
        for r in ordered
    ]
    return table(
        "",
        "verdict | level | check | claim | serves | looked at | offend | waived | e.g. | note",
        rows,
    )


def counted(value: Report) -> str:
    """How many checks passed, were waived, want a look, stop."""
    words = [word(r) for r in value.results]
    return ", ".join(f"{words.count(w):,} {w}" for w in _ORDER if w in words) or "none was run"
