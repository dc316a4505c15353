"""What a person should look at in a plan and in the reports of checks, the largest things first.

The first screen of a page, the page of the plan and the page in a browser say it in these words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from nexus_reimport import naming, wording
from nexus_reimport.model import (
    Applied,
    Approval,
    ColumnChange,
    Drift,
    EntityPlan,
    Level,
    Outlook,
    Plan,
    Proposal,
    Report,
    RollbackPreview,
    RollbackProposal,
    Survey,
    Undone,
)

OVERTAKEN = "planned as still to come, which were over before the approval"
VALUES_FIT = "every_value_fits"  # the check that counts the misfits of a plan, and names them
_MANY = 0.1  # of an entity's rows: FileMaker may be a part of itself, or an older copy
# Of two columns that are swapped, or of rows that are matched by a key that is not unique, some
# values are equal by chance.
_NEARLY_ALL = 0.95


def of_plan(
    plan: Plan,
    checked: Report | None = None,
    *,
    with_missing: bool = True,
    is_committed: bool = False,
) -> list[str]:
    """What a person should look at in a plan, the largest things first.

    ``with_missing``: and how many decisions are missing. ``checked`` is the report that is told
    beside it: what its checks say is not said twice. What is committed is told as what was done.
    """
    entities = plan.entities.values()
    return [
        *(_missing(plan) if with_missing else ()),
        *_all_of_a_column(entities, is_committed=is_committed),
        *_not_recognised(entities, is_committed=is_committed),
        *_not_brought_back(entities, is_committed=is_committed),
        *_odd(entities),
        *(() if _fails(checked, VALUES_FIT) else _misfits(entities)),
        *_to_fill_in(plan),
    ]


def _missing(plan: Plan) -> Iterator[str]:
    if open_ones := len(plan.undecided()):
        yield f"{wording.amount(open_ones, 'decision')} missing in the environment's file"


def _all_of_a_column(entities: Iterable[EntityPlan], *, is_committed: bool) -> Iterator[str]:
    """Columns in which FileMaker has another value for every row that stays, or for nearly all.

    The rows' own time stamps, about which the mapping decides, are told among what is lost.
    """
    by_text: dict[str, dict[str, int]] = {}
    nearly = []
    have, keep, get = ("had", "kept", "got") if is_committed else ("have", "keep", "get")
    for entity in entities:
        for change in entity.changes:
            if is_most_of_a_column(entity, change) and not change.is_stamp:
                label = f"“{change.column.replace('_', ' ')}”"
                other = f"{have} another {label} in FileMaker"
                by_decision = {"nexus": f"{other}, and {keep} Nexus's", None: other}
                text = by_decision.get(change.decision, f"{get} another {label}")
                if change.different == entity.replaced:
                    by_text.setdefault(text, {})[entity.entity] = change.different
                else:
                    some = wording.part(change.different, entity.replaced)
                    nearly.append(f"{some} {naming.rows(entity.entity)} {text}")
    for text, counts in by_text.items():
        yield f"all {naming.counted(counts)} {text}"
    yield from nearly


def is_most_of_a_column(entity: EntityPlan, change: ColumnChange) -> bool:
    """Whether, in many rows, hardly any value of Nexus is also FileMaker's, where both have one."""
    both = change.different + change.same
    are_many = change.different > max(1, _MANY * entity.replaced)
    return are_many and change.different >= _NEARLY_ALL * both


def _not_recognised(entities: Iterable[EntityPlan], *, is_committed: bool) -> Iterator[str]:
    rows = {e.entity: e.rows_before for e in entities if is_not_recognised(e)}
    if rows:
        none = f"no record of FileMaker was recognised among {naming.counted(rows)}"
        yield f"{none} of Nexus, so none {'was' if is_committed else 'is'} replaced"


def is_not_recognised(entity: EntityPlan) -> bool:
    """Whether both sides have rows, and none of them were matched: a rule may be wrong."""
    return bool(entity.rows_before and entity.loaded and not entity.replaced)


def _not_brought_back(entities: Iterable[EntityPlan], *, is_committed: bool) -> Iterator[str]:
    """Entities of which FileMaker brings much less back than Nexus has, whatever was decided."""
    for e in entities:
        gone = sum(u.count for u in e.unmatched)
        if gone > _MANY * e.rows_before and not is_not_recognised(e):
            count = wording.part(gone, e.rows_before)
            does_not = "did not" if is_committed else "does not"
            yield f"FileMaker {does_not} bring back {count} {naming.rows(e.entity)}"


def _odd(entities: Iterable[EntityPlan]) -> Iterator[str]:
    if ambiguous := {e.entity: len(e.ambiguous) for e in entities if e.ambiguous}:
        yield f"two rows of Nexus claim one record of FileMaker: {naming.counted(ambiguous)}"
    for entity in entities:
        for fit in entity.fits:
            if fit.is_over:
                held = wording.part(fit.misfits, fit.held)
                yield f"{naming.rows(entity.entity)}: {held} values do not fit {fit.column}"


def _fails(report: Report | None, check: str) -> bool:
    return any(r.check == check and not r.passed for r in (report.results if report else ()))


def _misfits(entities: Iterable[EntityPlan]) -> Iterator[str]:
    if misfits := sum(entity.not_stored for entity in entities):
        yield f"{wording.amount(misfits, 'value')} of FileMaker did not fit"


def _to_fill_in(plan: Plan) -> Iterator[str]:
    waiting = {kind.kind: kind.waiting for kind in plan.by_hand if kind.waiting}
    if waiting:
        rows = wording.amount(sum(waiting.values()), "row")
        yield f"{rows} need a value that only a person knows ({naming.counted(waiting)})"


def of_commit(done: Applied | Undone | None) -> list[str]:
    """That a standby, which must confirm each COMMIT, was lost at this one."""
    if done is None or done.is_confirmed:
        return []
    text = (
        "committed on this server, and a standby has not confirmed it: bring the standby back. What"
        " was committed is lost if a standby takes over that has not caught up"
        " (pg_stat_replication)"
    )
    return [text]


def of_drift(drift: Drift | None, approved: Approval | None) -> list[str]:
    """What has changed between the reading and the approval, and is not in the run.

    Without an approval it may have been found of a plan before this one.
    """
    if drift is None or approved is None:
        return []
    texts = []
    if drift.changed:
        texts.append(f"not in this run, as it came after the reading: {drift.edits}")
    if drift.overtaken:
        texts.append(f"{naming.counted(drift.overtaken)} {OVERTAKEN}")
    return texts


def of_stored(*values: Survey | RollbackPreview | None) -> list[str]:
    """The materialized views that show what was there before what was committed."""
    statements = [statement for value in values if value for statement in value.to_refresh]
    return [
        f"a materialized view shows the rows from before until somebody executes: {statement}"
        for statement in dict.fromkeys(statements)
    ]


def of_verification(
    used: Mapping[str, str], approved: Proposal | RollbackProposal | None
) -> list[str]:
    """That it was verified with something else than what was approved, as after an upgrade.

    ``used`` are the digests with which it was verified, as the journal has them.
    """
    words = {"code": "package", "mapping": "mapping"}
    others = [words[name] for name, digest in used.items() if getattr(approved, name, "") != digest]
    if approved is None or not others:
        return []
    return [f"verified with another {' and '.join(others)} than the one that was approved"]


def of_ending(outlook: Outlook | None) -> list[str]:
    """The waivers that the preflight needed and that end before the verification may."""
    ends = "this waiver ends today; a verification after midnight would stop"
    return [f"{ends}: {waiver}" for waiver in (outlook.ending if outlook else ())]


def written(done: Undone) -> str:
    """What a rollback has written: only what differed from before the run."""
    rows = done.rows_written
    counted = "rows that were not counted" if rows is None else wording.amount(rows, "row")
    return f"{counted}; {naming.links(done.relinked, 'no links')}"


def as_before(done: Undone, after: Report | None) -> str:
    """Whether the data is as before the run; the checks after a rollback know better than COMMIT.

    ``after`` is their report, once they were made.
    """
    if after and after.blocking:
        return "not proven: it was at COMMIT, and a check after it has failed"
    return done.as_before


def of_checks(report: Report | None) -> list[str]:
    """The claims that do not hold and that a person should judge."""
    return [
        r.not_so
        for r in (report.results if report else ())
        if r.level is Level.REVIEW and not r.passed
    ]
