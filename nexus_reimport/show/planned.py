"""The page that a person approves: what will be done, and why, entity by entity."""

from __future__ import annotations

from collections.abc import Iterator

from nexus_reimport import naming, wording
from nexus_reimport.model import (
    EntityPlan,
    Plan,
    Scope,
)
from nexus_reimport.record.notebooks import attention
from nexus_reimport.show import plan_tables
from nexus_reimport.show.page import (
    Folded,
    Page,
    ShownTable,
    TextLine,
    Tone,
    folded,
)

# One value and several, in the line about the file that lists them.
_DIFFERENT = (
    "value of Nexus that is different in FileMaker or gets",
    "values of Nexus that are different in FileMaker or get",
)


def plan(value: Plan) -> Page:
    """Everything that was decided. Nothing has been done yet."""
    if value.scope is Scope.RELINK:
        return _links_only(value)
    entities = tuple(value.entities.values())
    return Page(
        "The plan",
        (
            TextLine(_as_of(value)),
            *_undecided(value),
            *_warnings(value),
            *_over_budget(entities),
            *_ambiguous(entities),
            plan_tables.nexus_side(entities),
            plan_tables.recognised(entities),
            *_unmatched_shown(entities),
            *_or_folded(
                plan_tables.changes(entities), "FileMaker changes no value of a row that stays."
            ),
            *_respelt(entities),
            *_or_folded(plan_tables.misfits(entities), "Every value fits its column."),
            *_or_folded(plan_tables.overridden(entities), "No named rule changes a value."),
            *_or_folded(plan_tables.unfed(entities), "FileMaker feeds every column."),
            *_asked(value),
            _if_odd(plan_tables.filemaker_side(value), not all(a.adds_up for a in value.accounts)),
            *_left_out_shown(value, "Every record of FileMaker is used."),
            folded(plan_tables.links(value.links.values())),
            *_or_folded(plan_tables.links_to_fix(value.links.values()), "No link has to be fixed."),
            TextLine(
                "The record lists the ids: ledger.csv, misfits.csv, and unplaced.csv with the"
                " documents and images that are linked to something else, or whose patient"
                " FileMaker does not name. The values are only in the run's private folder:"
                " left_out, misfits.csv, and differences.csv with the"
                f" {wording.amount(value.differences.rows, *_DIFFERENT)} cleared."
            ),
            TextLine(f"Plan {value.digest}"),
        ),
    )


def _warnings(value: Plan) -> Iterator[TextLine]:
    """What a person should look at before all tables, the largest things first."""
    for text in attention.of_plan(value, with_missing=False):
        yield TextLine(f"Look: {text}.", Tone.ATTENTION)
    for entity in value.entities.values():
        for text in _contradictions(entity):
            yield TextLine(f"Look: {naming.rows(entity.entity)}: {text}.", Tone.ATTENTION)


def _contradictions(entity: EntityPlan) -> Iterator[str]:
    """Where a decision goes against a rule of the mapping, or cannot be followed to the end."""
    ruled = {rule.column: rule.rule for rule in entity.overridden if rule.rows and rule.changed}
    for rule in entity.overridden:
        if rule.asks and rule.rows and rule.decision not in (None, rule.becomes):
            rows = wording.amount(rule.rows, "row")
            yield (
                f"the rule “{naming.words(rule.rule)}” would set {rule.column} to"
                f" {rule.becomes} in {rows}, and the decision is {rule.decision}"
            )
    for change in entity.changes:
        if change.decision == "nexus" and change.different and change.column in ruled:
            yield (
                f"Nexus's {change.column} stays by decision, but the rule"
                f" “{naming.words(ruled[change.column])}” sets it in some rows"
            )
    for left in entity.unmatched:
        if left.decision == "purge" and left.kept_by_closure:
            yield (
                f"rows that are purged as “{naming.words(left.cause)}”:"
                f" {left.kept_by_closure:,} of {left.count:,} stay, because a row references them"
            )


def _as_of(value: Plan) -> str:
    return (
        f"As of {wording.moment(value.as_of)}. What this run does once it is approved; making the"
        " plan wrote nothing."
    )


def _links_only(value: Plan) -> Page:
    return Page(
        "The plan: links only",
        (
            TextLine(_as_of(value)),
            TextLine("No row is wiped or loaded; only links of documents and images are written."),
            *_left_out_shown(value, "Every record of FileMaker that was read is used."),
            plan_tables.links(value.links.values()),
            *_or_text(plan_tables.links_to_fix(value.links.values()), "No link has to be fixed."),
            TextLine(
                "The record lists the ids: ledger.csv, and unplaced.csv with the documents and"
                " images that are linked to something else, or whose patient FileMaker does not"
                " name. The values are only in the run's private folder: left_out."
            ),
            TextLine(f"Plan {value.digest}"),
        ),
    )


def changed(entity: EntityPlan) -> int:
    """The number of values that will change in rows that stay."""
    return sum(
        c.filled + c.cleared + (c.different if c.decision == "filemaker" else 0)
        for c in entity.changes
    )


def respelt(entity: EntityPlan) -> int:
    """The number of values, in rows that stay, that mean the same but are written differently."""
    return sum(c.respelt for c in entity.changes)


def left_out(value: Plan) -> dict[str, dict[str, int]]:
    """Of which records of FileMaker how many were left out, by rule: all that the ledger has.

    Whose they are is said as people call it; what is gathered into cards comes behind whose it is.
    """
    counts: dict[str, dict[str, int]] = {}
    own = set[str]()  # those whose own records had their turn: what is gathered comes later
    for account in value.accounts:
        name = naming.rows(account.entity)
        if account.entity in own:
            name = f"{naming.words(account.source)} of {name}"
        own.add(account.entity)
        if some := {rule: count for rule, count in account.left_out.items() if count}:
            counts[name] = some
    return counts


def _left_out_shown(value: Plan, if_empty: str) -> tuple[ShownTable | Folded | TextLine, ...]:
    """Open where a rule leaves out more than it may."""
    over = any(n > a.budgets[rule] for a in value.accounts for rule, n in a.left_out.items())
    return (
        (plan_tables.left_out(value),)
        if over
        else _or_folded(plan_tables.left_out(value), if_empty)
    )


def _unmatched_shown(
    entities: tuple[EntityPlan, ...],
) -> tuple[ShownTable | Folded | TextLine, ...]:
    """Open where somebody must decide, or where rows are deleted for good."""
    if_empty = "FileMaker brings back every row of Nexus."
    rows = [u for e in entities for u in e.unmatched]
    is_settled = all(u.decision not in (None, "purge") for u in rows)
    return (_or_folded if is_settled else _or_text)(plan_tables.unmatched(entities), if_empty)


def _respelt(entities: tuple[EntityPlan, ...]) -> Iterator[TextLine]:
    counts = {e.entity: respelt(e) for e in entities}
    if any(counts.values()):
        yield TextLine(
            "Of the equal values, these get FileMaker's blanks and line ends, or the newer form of"
            f" a card: {naming.counted(counts)}."
        )


def _over_budget(entities: tuple[EntityPlan, ...]) -> Iterator[TextLine]:
    """A line for each column that has more misfits than its budget allows."""
    for entity in entities:
        for fit in entity.fits:
            if fit.is_over:
                yield TextLine(
                    f"OVER: {naming.rows(entity.entity)}, {fit.column}:  {fit.misfits:,} of"
                    f" {wording.amount(fit.held, 'value does', 'values do')} not fit; the limit is"
                    f" {fit.budget:,}, and never more than half of them.",
                    Tone.BAD,
                )


def _asked(value: Plan) -> Iterator[ShownTable | TextLine]:
    yield from _or_text(plan_tables.by_hand(value), "No value has to be filled in by hand.")
    if gone := sum(kind.gone for kind in value.by_hand):
        values = wording.amount(gone, "value")
        yield TextLine(
            f"manual.xlsx: {values} not used: the row does not exist any more, or it is to come and"
            " its number is now another row's, so that the value has to be given again.",
            Tone.ATTENTION,
        )
    if any(kind.waiting for kind in value.by_hand):
        yield TextLine(
            "To give a missing value: fill in manual.xlsx from the run's private folder, put it"
            " into the environment's private folder, and run 01_preflight again."
        )


def _ambiguous(entities: tuple[EntityPlan, ...]) -> Iterator[TextLine]:
    for e in entities:
        if e.ambiguous:
            ids = wording.some(e.ambiguous)
            text = f"{naming.rows(e.entity)}: two rows of Nexus claim one record: {ids}"
            yield TextLine(text, Tone.BAD)


def _undecided(value: Plan) -> Iterator[TextLine]:
    lines = value.undecided()
    if lines:
        yield TextLine("Decide this in the environment's file before the run can go on:", Tone.BAD)
    yield from (TextLine(f"  {line}", Tone.BAD) for line in lines)


def _or_folded(shown: ShownTable, if_empty: str) -> tuple[Folded | TextLine, ...]:
    return (folded(shown),) if shown.rows else (TextLine(if_empty),)


def _if_odd(shown: ShownTable, odd: bool) -> ShownTable | Folded:
    """A table of sums: open only where one does not add up."""
    return shown if odd else folded(shown)


def _or_text(shown: ShownTable, if_empty: str) -> tuple[ShownTable | TextLine, ...]:
    return (shown,) if shown.rows else (TextLine(if_empty),)
