"""Checks before: the plan accounts for every record and every row, within its budgets."""

from __future__ import annotations

from collections import Counter, defaultdict

from nexus_reimport import wording
from nexus_reimport.checks import Finding, check
from nexus_reimport.checks.before.subject import LOADED, Before
from nexus_reimport.files import rowfile
from nexus_reimport.intake import id_maps
from nexus_reimport.model import KEY, OF_NEXUS_ALONE, Level, Outcome


@check(Before, Level.STOP, serves=("T3",), waivable=False)
def everything_is_decided(before: Before) -> Finding:
    """A person has decided about every kind of row and value that FileMaker does not settle."""
    # a plan without open questions must still have looked at something
    looked = max(len(before.plan.entities), before.plan.questions)
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
    listed: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for source, entity, outcome, _, filemaker_id, _ in before.ledger():
        if outcome not in OF_NEXUS_ALONE:
            listed[source or "", entity or ""][filemaker_id or ""] += 1
    for account in accounts:
        wanted = Counter(r[KEY] for r in before.intake.records(account.source))
        off += _unequal(account.source, wanted, listed[account.source, account.entity])
    return Finding(sum(a.records for a in accounts), off)


def _unequal(name: str, wanted: Counter[str], listed: Counter[str]) -> list[str]:
    """The ids that are in only one of two lists, or more often in one than in the other."""
    return [f"{name} {key}" for key in sorted({*(wanted - listed), *(listed - wanted)})]


@check(Before, Level.STOP, serves=("M1", "D1", "D2", "D3", "D4", "D5", "D6"), waivable=False)
def every_row_is_accounted_for(before: Before) -> Finding:
    """Every Nexus row is replaced, kept or purged; the planned rows are those of the ledger.

    The ledger pairs each record with the same row as the id map for the next run.
    """
    off = []
    lines: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for _, entity, outcome, _, filemaker_id, nexus_id in before.ledger():
        if nexus_id:
            lines[entity or ""].append((outcome or "", filemaker_id or "", nexus_id))
    id_map = {(e, f): n for e, f, n in rowfile.read(before.folder, before.plan.id_map)}
    for name, plan in before.plan.entities.items():
        key = before.survey.keys[name]
        rows = lines[name]
        now = Counter(r[key] or "" for r in before.intake.rows(name))
        planned = Counter(r[key] or "" for r in before.planned(name))
        off += _unequal(name, now, Counter(n for o, _, n in rows if o in _OF_ROWS_NOW))
        off += _unequal(name, planned, Counter(n for o, _, n in rows if o in _OF_PLANNED_ROWS))
        off += [f"{name} {n}" for o, f, n in rows if o in LOADED and id_map.get((name, f)) != n]
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
    return Finding(
        looked, [line for line, _ in over], count=count, note=_ids_without_record(before)
    )


def _ids_without_record(before: Before) -> str:
    """The ids that a rule names although no record has them; "" where there are none."""
    named = {
        (entity, named_id): f"{named_id.written} ({entity}, {rule.name})"
        for entity, spec in before.mapping.entities.items()
        for rule in spec.left_out
        for named_id in rule.named_ids
    }
    lines = ((entity, record, row) for _, entity, _, _, record, row in before.ledger())
    existing = {(entity, key) for entity, pairs in id_maps(lines).items() for key, _ in pairs}
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
        if e.purged > most * e.rows_before
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
        if matched < least * min(plan.loaded, plan.rows_before):
            known = min(plan.loaded, plan.rows_before)
            poor.append(f"{name}: {wording.part(matched, known)}, the mapping needs {least:.0%}")
    return Finding(sum(e.loaded for e in before.plan.entities.values()), poor)
