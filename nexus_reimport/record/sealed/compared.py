"""The records of an environment compared with what its database knows of its runs.

What the database holds is given by whoever could ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from nexus_reimport.nexus.registry import Committed, Restore
from nexus_reimport.record.sealed.check import FORMER, SEALED, UNREAD, Checked, Commit
from nexus_reimport.record.verdict import State


def with_database(
    checked: Sequence[Checked],
    rows: Iterable[Committed],
    restores: Sequence[Restore] = (),
    unregistered: Sequence[Restore] = (),
) -> list[Checked]:
    """The records of an environment, compared both ways with the runs that its database knows.

    ``checked`` is as ``check.of_folder`` gave it; ``restores`` are those that people have
    acknowledged, as the register and the database both say; ``unregistered`` those that only the
    database says.
    """
    if any(record.kind == UNREAD for record in checked):
        return [*checked]  # what could not be read is no other than the database knows
    known = {row.run: row for row in rows}
    *records, whole = checked
    undone = {r.commit.undoes: r.run for r in records if r.commit.undoes and r.run in known}
    compared = [
        _with_row(record, known.get(record.run), restores, undone.get(record.run, ""))
        for record in records
    ]
    run_ids = {record.run for record in records}
    for row in known.values():
        if row.run not in run_ids:
            whole = whole.with_problems(
                f"the record of run {row.run} is missing: the database says that it was committed"
            )
    for one in unregistered:
        whole = whole.with_problems(
            f"the database holds a restore that {one.who} acknowledged, and the register does not"
        )
    return [*compared, whole]


def _with_row(
    record: Checked, row: Committed | None, restores: Sequence[Restore], undone_by: str
) -> Checked:
    """``undone_by`` is the rollback that says of itself, and in the database, that it undid it."""
    if row is None:
        return _without_row(record, restores) if record.was_committed else record
    record = replace(record, is_in_database=True)
    if record.kind == FORMER:
        return record
    record = record.with_problems(*_of_commit(record.commit, row, undone_by))
    if record.kind != SEALED:
        return record.with_problems(*_not_sealed(record, row))
    if not row.seal:
        record = record.with_problems(*_not_committed(record))
        # As ``anchor.write_late`` does: the seal of a record that was changed vouches for nothing.
        when = (
            "none is written while it is not right"
            if record.problems
            else f"nexus-reimport seal {record.environment} --run {record.run} writes it, or the"
            " next run"
        )
        return record.not_compared(f"the database has no seal for this run yet; {when}")
    return record.with_problems(*_differences(record, row))


def _without_row(record: Checked, restores: Sequence[Restore]) -> Checked:
    covering = [one for one in restores if (record.run, record.seal) in one.runs]
    if covering:
        return replace(record.with_remarks(*map(str, covering)), is_in_database=True)
    return record.with_problems(
        "the database does not know this run: it was restored from before it (then:"
        f" nexus-reimport record restored {record.environment} --why TEXT), or the record is"
        " none of its own"
    )


def _of_commit(commit: Commit, row: Committed, undone_by: str) -> Iterator[str]:
    """What of a commit the record says in one way, and the database in another."""
    for what, here, held in (
        ("it is a", commit.kind, row.kind),
        ("what was approved has the digest", commit.digest, row.digest),
        ("the account that approved it is", commit.account, row.approved_by),
    ):
        if here and here != held:
            yield f"{what} {here}, in the database {held or 'none'}"
    if commit.states not in (None, (row.before, row.after)):
        yield "it found, or left, another state by the database than was approved"
    if undone_by != row.undone_by:
        by = row.undone_by or "nobody"
        yield f"it was undone by {undone_by or 'nobody whose record is here'}, in the database {by}"


def _not_sealed(record: Checked, row: Committed) -> Iterator[str]:
    if row.seal:
        yield "the database has a seal for this run, and its record is not sealed"
    todo = f"nexus-reimport finish {record.environment} writes it there, verifies and seals it"
    yield from (f"{problem}: {todo}" for problem in _not_committed(record))


def _differences(record: Checked, row: Committed) -> Iterator[str]:
    if row.seal != record.seal:
        yield "the database has a different seal for this run"
    if row.sequence != record.sequence:
        yield f"it has number {record.sequence}, in the database {row.sequence}"
    if row.verdict != record.verdict:
        yield f"its verdict is {record.verdict}, in the database {row.verdict or 'none'}"
    yield from _not_committed(record)


def _not_committed(record: Checked) -> Iterator[str]:
    if record.state is State.AS_IT_WAS:
        yield "the database says that it was committed, and its journal does not"
