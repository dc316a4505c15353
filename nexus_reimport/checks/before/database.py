"""Checks before: what the database allows, what acts in it, and its backup."""

from __future__ import annotations

from nexus_reimport import wording
from nexus_reimport.checks import Finding, check
from nexus_reimport.checks.before.subject import Before
from nexus_reimport.model import Level


@check(Before, Level.STOP, serves=("M1", "K11"), links=True)
def nothing_unexplained_points_at_the_rows(before: Before) -> Finding:
    """The tables can be wiped: keys deferrable, no triggers, no unexplained ids, all rights."""
    problems = before.survey.problems
    return Finding(
        len(before.survey.tables) + before.survey.scanned_columns,
        [p.what for p in problems],
        note="\n".join(p.fix for p in problems),
    )


@check(Before, Level.STOP, serves=("R2", "R3"))
def keys_are_left_for_new_rows(before: Before) -> Finding:
    """Integer keys are enough for the plan's new rows and for the application's next row."""
    off = []
    for name, (first, last) in before.survey.next_keys.items():
        new = before.plan.entities[name].new
        if first + new > last:
            rows = wording.amount(new, "new row")
            off.append(f"{name}: {rows} from key {first} on, the last key is {last}")
    note = "" if before.survey.next_keys else "no table has an integer key"
    return Finding(max(1, len(before.survey.next_keys)), off, note=note)


@check(Before, Level.REVIEW, serves=("M1",), links=True)
def nothing_acts_beside_the_run(before: Before) -> Finding:
    """Nothing else in the database reacts to the run's writes, or must be refreshed after them."""
    return Finding(len(before.survey.tables), before.survey.notices)


@check(Before, Level.REVIEW, serves=("M1", "S6"), links=True)
def the_database_knows_the_last_run(before: Before) -> Finding:
    """The database knows the last run that was committed, or somebody has acknowledged why not.

    Else it is older than that run: it was restored, a standby took over, or the server that failed
    came back. Then what people entered since may be in another database.
    """
    return Finding(1, [before.forgotten] if before.forgotten else [])


@check(Before, Level.STOP, serves=("P1", "P2", "P3", "P4", "S4", "M1"), links=True)
def the_backup_is_whole(before: Before) -> Finding:
    """The dump lists every table, and each CSV has as many rows as the survey counted."""
    short = [
        f"{entity.table}.csv"
        for name, entity in before.mapping.entities.items()
        if before.backup.csv_rows.get(f"{entity.table}.csv") != before.survey.rows[name].rows
    ]
    if before.backup.tables_in_dump < len(before.backup.contents):
        short.append(before.backup.dump)
    if not before.backup.dump_bytes:
        short.append(before.backup.dump)
    return Finding(len(before.backup.csv_rows) + before.backup.tables_in_dump, short)


@check(Before, Level.INFO, serves=("P8", "T1"), links=True)
def the_state_before_is_written_down(before: Before) -> Finding:
    """Counts of patients, appointments, documents and images before the run are recorded."""
    counts = [f"{n} {before.rows_now(n):,}" for n in before.mapping.entities]
    counts += [
        f"{n} {s.linked:,} of {s.rows:,} linked" for n, s in before.survey.attachments.items()
    ]
    return Finding(len(counts), note=", ".join(counts))
