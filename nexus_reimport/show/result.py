"""The results of checks, rehearsal, gate and transaction."""

from __future__ import annotations

from collections.abc import Iterator

from nexus_reimport import checks, naming, wording
from nexus_reimport.model import (
    Applied,
    Approval,
    Drift,
    Ground,
    Level,
    Outlook,
    Proposal,
    Rehearsal,
    Report,
    Result,
)
from nexus_reimport.model.approval import short
from nexus_reimport.record.notebooks import attention
from nexus_reimport.settings import Write
from nexus_reimport.show.page import (
    Cell,
    CheckLine,
    Checks,
    Marked,
    Page,
    Part,
    ShownTable,
    TextLine,
    Tone,
    folded,
    table,
)

_ORDER = ("STOPS", "FAILED", "REVIEW", "noted", "waived", "passed")
_ROLLBACK = "after the rollback"
_COMMITTED = ("after", _ROLLBACK)  # the stages after COMMIT: nothing is left to stop
_TONES = {
    "STOPS": Tone.BAD,
    "FAILED": Tone.BAD,
    "REVIEW": Tone.ATTENTION,
    "noted": Tone.FAINT,
    "waived": Tone.ATTENTION,
    "passed": Tone.GOOD,
}


def report(value: Report) -> Page:
    """Every check of one stage, those that failed first."""
    fine = "No check failed." if value.stage in _COMMITTED else "No check stops the run."
    verdict = TextLine(fine, Tone.GOOD)
    if not value.passed:
        verdict = TextLine(_blocked(value), Tone.BAD)
    return Page(f"Checks {value.stage}: {counted(value)}", (verdict, checks_table(value)))


def _blocked(value: Report) -> str:
    """What the checks that block mean; after COMMIT there is nothing left to stop."""
    count = len(value.blocking)
    if value.stage in _COMMITTED:
        return f"{count:,} of them failed, and the data is committed: a person must decide."
    return f"{count:,} of them {'stops' if count == 1 else 'stop'} the run."


def word(result: Result, stage: str) -> str:
    """The result of one check of a stage, in one word."""
    if result.passed:
        return "waived" if result.offending else "passed"
    blocks = "FAILED" if stage in _COMMITTED else "STOPS"
    return {Level.STOP: blocks, Level.REVIEW: "REVIEW", Level.INFO: "noted"}[result.level]


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
    by = f"{value.name} (as {value.who})" if value.name else value.who
    text = f"{short(value.digest)} by {by}, {value.how}, {wording.moment(value.at)}"
    why = (TextLine(f"Why: {value.reason}"),) if value.reason else ()
    return Page("Approved", (TextLine(text, Tone.GOOD), *why))


def applied(value: Applied) -> Page:
    """What the transaction did; after a rollback, what it would have done."""
    title = "Committed" if value.committed else "Rolled back: the database is unchanged"
    wiped, relinked = ("Wiped and loaded", "Re-linked")
    if not value.committed:
        wiped, relinked = "Would be wiped and loaded", "Would be re-linked"
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
            TextLine(f"Writers waited {value.writers_waited:,.2f} s at most."),
            table(wiped, columns, rows),
            *((TextLine(_written(written)),) if rows and written is not None else ()),
            table(relinked, "attachment | links written", links),
            TextLine(f"Checks inside the transaction: {counted(value.report)}"),
            *(TextLine(warning, Tone.ATTENTION) for warning in value.warnings),
        ),
    )


def _written(rows: int) -> str:
    differed = wording.amount(rows, "row")
    return f"All rows are as imported afresh; {differed} differed, and only these were written."


def checks_table(value: Report) -> Checks:
    """The checks of a report: those that failed first, those that passed folded."""
    stage = value.stage
    ordered = sorted(value.results, key=lambda r: _ORDER.index(word(r, stage)))
    passed = tuple(r for r in ordered if word(r, stage) == "passed")
    return Checks(
        every=_every(ordered, stage),
        to_read=tuple(_line(r, stage) for r in ordered if r not in passed),
        passed=tuple(_line(r, stage) for r in passed),
    )


def _every(ordered: list[Result], stage: str) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (
            Marked(word(r, stage), _TONES[word(r, stage)]),
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


def _line(result: Result, stage: str) -> CheckLine:
    verdict = word(result, stage)
    return CheckLine(
        verdict=Marked(verdict, _TONES[verdict]),
        level=result.level,
        claim=result.claim,
        found=_found(result),
        sample=result.listed,
        name=" ".join([result.check, *result.serves]),
        to_do=_to_do(result, stage),
    )


def _found(result: Result) -> str:
    """What a check found, in one line: how many of how many, and its note."""
    is_counted = result.offending or not result.looked_at
    count = result.found if is_counted else f"{result.looked_at:,} looked at"
    return f"{count}; {result.note}" if result.note else count


def _to_do(result: Result, stage: str) -> str:
    """What a person does about it; "" where nothing is to be done."""
    verdict = word(result, stage)
    if verdict == "FAILED":
        return _AFTER_ROLLBACK if stage == _ROLLBACK else _AFTER
    if verdict == "STOPS" and not result.looked_at:
        return "Find out why there was nothing to look at: nothing is proven."
    if verdict == "STOPS":
        waive = "; or waive it by name in the environment's file"
        return f"Fix it, then run 01_preflight again{waive * _is_waivable(result)}."
    return _TO_DO.get(verdict, "")


_AFTER = "The run is committed: nexus-reimport finish ENV prints what a person can decide."
_AFTER_ROLLBACK = (
    "The rollback is committed: restore the whole database from the dump of the run that was"
    " undone; nexus-reimport finish ENV prints the commands."
)
_TO_DO = {
    "REVIEW": "Look at it and judge. It does not stop the run.",
    "waived": "Accepted by name, in the environment's file.",
}


def _is_waivable(result: Result) -> bool:
    return any(c.waivable for c in checks.REGISTRY if c.name == result.check)


def counted(value: Report) -> str:
    """How many checks stop the run or failed, need a review, are noted, waived, or passed."""
    words = [word(r, value.stage) for r in value.results]
    return ", ".join(f"{words.count(w):,} {w}" for w in _ORDER if w in words) or "none was run"
