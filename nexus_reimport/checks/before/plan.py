"""Checks before: the plan accounts for every record and every row, within its budgets."""

from __future__ import annotations

from nexus_reimport import parts, wording
from nexus_reimport.checks import Finding, check
from nexus_reimport.checks.before.subject import LOADED, Before
from nexus_reimport.files import columns
from nexus_reimport.intake import id_pairs
from nexus_reimport.model import KEY, OF_NEXUS_ALONE, Level, Outcome


@check(Before, Level.STOP, serves=("T3",), waivable=False)
def everything_is_decided(before: Before) -> Finding:
    """A person has decided about every kind of row and value that FileMaker does not settle."""
    # a plan without open questions must still have looked at something
    looked = max(len(before.plan.entities), len(before.plan.questions))
    return Finding(looked, before.plan.undecided())


@check(
    Before,
    Level.STOP,
    serves=("S1", "D1", "D2", "D3", "D4", "D5", "D6"),
    waivable=False,
    links=True,
)
def every_record_is_accounted_for(before: Before) -> Finding:
    """Every FileMaker record is in the ledger exactly once, with one outcome; the sums agree."""
    accounts = before.plan.accounts
    off = [f"{a.source}: the sums differ" for a in accounts if not a.adds_up]
    off += [
        f"{name}: not in the ledger"
        for name in before.snapshot.extracts.keys() - {a.source for a in accounts}
    ]
    outcomes = frozenset(Outcome) - OF_NEXUS_ALONE
    ledger = before.lines("source", "entity", "filemaker_id", outcome=outcomes)
    for account in accounts:
        file = before.snapshot.extracts[account.source].file
        wanted = columns.column(before.folder, file, KEY)
        listed = columns.where(ledger, source={account.source}, entity={account.entity})
        unequal = columns.unequal(wanted, listed["filemaker_id"])
        off += [f"{account.source} {key}" for key in unequal]
    return Finding(sum(a.records for a in accounts), off)


@check(Before, Level.STOP, serves=("M1", "D1", "D2", "D3", "D4", "D5", "D6"), waivable=False)
def every_row_is_accounted_for(before: Before) -> Finding:
    """Every Nexus row is replaced, kept or purged; the planned rows are those of the ledger.

    The ledger pairs each record with the same row as the id map for the next run.
    """
    off = []
    outcomes = _OF_ROWS_NOW | _OF_PLANNED_ROWS
    ledger = before.lines("entity", "outcome", "filemaker_id", "nexus_id", outcome=outcomes)
    id_map = columns.read(
        before.folder, before.plan.id_map, ("entity", "filemaker_id", "nexus_id"), ("entity",)
    )
    for name, plan in before.plan.entities.items():
        lines = columns.where(ledger, entity={name})
        now = columns.where(lines, outcome=_OF_ROWS_NOW)["nexus_id"]
        planned = columns.where(lines, outcome=_OF_PLANNED_ROWS)["nexus_id"]
        loaded = columns.where(lines, outcome=LOADED)
        keys = [
            *columns.unequal(before.keys_now(name), now),
            *columns.unequal(before.keys_planned(name), planned),
            *columns.paired_otherwise(loaded, columns.where(id_map, entity={name})),
        ]
        off += [f"{name} {key}" for key in keys]
        if plan.rows_before != plan.replaced + plan.kept + plan.purged:
            off.append(f"{name}: the sums differ")
    looked = sum(e.rows_before + e.rows_after for e in before.plan.entities.values())
    return Finding(looked, off)


_OF_PLANNED_ROWS = LOADED | {Outcome.KEPT}
_OF_ROWS_NOW = OF_NEXUS_ALONE | {Outcome.REPLACED}


@check(Before, Level.STOP, serves=("S1", "M3"), links=True)
def no_rule_leaves_out_more_than_its_budget(before: Before) -> Finding:
    """No rule leaves out more records than the mapping allows."""
    over = [
        (
            f"{a.source}, {rule}: {count:,} of {a.records:,}, budget {a.budgets[rule]:,}",
            count - a.budgets[rule],
        )
        for a in before.plan.accounts
        for rule, count in a.left_out.items()
        if count > a.budgets[rule]
    ]
    looked = sum(a.records for a in before.plan.accounts)
    count = sum(n for _, n in over)
    notes = [_ids_without_record(before)]
    if over:
        notes.append(
            "where it is most of a table, the mapping reads a wrong field (of the rule, of its"
            " column, or `owner` and `identity` of an attachment); else raise `at_most`"
        )
    note = "; ".join(filter(None, notes))
    return Finding(looked, [line for line, _ in over], count=count, note=note)


def _ids_without_record(before: Before) -> str:
    """The ids that a rule names although no record has them; "" where there are none."""
    named = {
        (entity, named_id): f"{named_id.written} ({entity}, {rule.name})"
        for entity, spec in before.mapping.entities.items()
        for rule in spec.left_out
        for named_id in rule.named_ids
    }
    entities = {entity for entity, _ in named}
    lines = before.ledger() if named else ()
    ours = ((line[1], line[4], line[5]) for line in lines if line[1] in entities)
    existing = {pair for entity, i, _ in id_pairs(ours) if (pair := (entity, i)) in named}
    unknown = [text for key, text in named.items() if key not in existing]
    if not unknown:
        return ""
    ids = wording.amount(len(unknown), "id")
    return f"left_out names {ids} that no record has: {wording.some(unknown)}"


@check(Before, Level.STOP, serves=("M2",), waivable=False)
def no_two_rows_claim_one_record(before: Before) -> Finding:
    """No two Nexus rows have the same FileMaker id: only a person may merge them."""
    entities = before.plan.entities.values()
    is_new = all(before.is_new(e.entity) for e in entities)
    return Finding(
        sum(e.rows_before for e in entities),
        [i for e in entities for i in e.ambiguous],
        empty="the first import: Nexus has no row of any entity" if is_new else "",
    )


@check(Before, Level.STOP, serves=("M1", "M3"))
def no_more_is_purged_than_expected(before: Before) -> Finding:
    """In each table, no more rows are purged than counts_may_differ allows."""
    most = before.settings.counts_may_differ
    entities = before.plan.entities.values()
    over = [
        f"{e.entity}: {e.purged:,} of {e.rows_before:,}"
        for e in entities
        if e.purged > parts.of(most, e.rows_before)
    ]
    return Finding(len(before.plan.entities), over)


@check(Before, Level.STOP, serves=("M2", "M3"))
def rows_are_recognised(before: Before) -> Finding:
    """In each table, enough FileMaker records are matched to rows that Nexus has."""
    poor = []
    for name, plan in before.plan.entities.items():
        least = before.mapping.entities[name].matched_at_least
        matched = sum(plan.matched.values())
        # New records, and rows that only Nexus has, have no counterpart that could be found.
        if matched < parts.of(least, min(plan.loaded, plan.rows_before)):
            known = min(plan.loaded, plan.rows_before)
            poor.append(f"{name}: {wording.part(matched, known)}, the mapping needs {least:.0%}")
    return Finding(sum(e.loaded for e in before.plan.entities.values()), poor)
