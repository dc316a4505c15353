"""The page that a person approves: what will be done, and why, entity by entity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nexus_reimport import naming, wording
from nexus_reimport.model import (
    Account,
    ColumnChange,
    EntityPlan,
    LinkPlan,
    OverriddenRows,
    Plan,
    Scope,
)
from nexus_reimport.record import first_screen
from nexus_reimport.show.page import (
    Cell,
    Folded,
    Marked,
    Page,
    ShownTable,
    TextLine,
    Tone,
    attention,
    equal,
    folded,
    listed,
    table,
)

_WINNERS = {"filemaker": "FileMaker's value", "nexus": "Nexus's value stays"}


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
            _nexus_side(entities),
            _recognised(entities),
            *_unmatched_shown(entities),
            *_or_folded(_changes(entities), "FileMaker changes no value of a row that stays."),
            *_respelt(entities),
            *_or_folded(_misfits(entities), "Every value fits its column."),
            *_or_folded(_overridden(entities), "No named rule changes a value."),
            *_asked(value),
            _if_odd(_filemaker_side(value), not all(a.adds_up for a in value.accounts)),
            *_left_out_shown(value, "Every record of FileMaker is used."),
            folded(_links(value.links.values())),
            *_or_folded(_links_to_fix(value.links.values()), "No link has to be fixed."),
            TextLine(
                "The record lists the ids: ledger.csv, misfits.csv. The values are only in the"
                " run's private folder: left_out, misfits.csv, and differences.csv with the"
                f" {value.differences.rows:,} values of Nexus that are different in FileMaker or"
                " get cleared."
            ),
            TextLine(f"Plan {value.digest}"),
        ),
    )


def _warnings(value: Plan) -> Iterator[TextLine]:
    """What a person should look at before all tables, the largest things first."""
    for text in first_screen.of_plan(value, with_missing=False):
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
    moment = f"{value.as_of:%Y-%m-%d %H:%M:%S} UTC"
    return f"As of {moment}. This is what will be done; nothing has been done yet."


def _links_only(value: Plan) -> Page:
    return Page(
        "The plan: links only",
        (
            TextLine(_as_of(value)),
            TextLine("No row is wiped or loaded; only links of documents and images are written."),
            *_left_out_shown(value, "Every record of FileMaker that was read is used."),
            _links(value.links.values()),
            *_or_text(_links_to_fix(value.links.values()), "No link has to be fixed."),
            TextLine(f"Plan {value.digest}"),
        ),
    )


def plan_text(value: Plan) -> str:
    """The same page as plain text."""
    return repr(plan(value))


def changed(entity: EntityPlan) -> int:
    """The number of values that will change in rows that stay."""
    return sum(
        c.filled + c.cleared + (c.different if c.decision == "filemaker" else 0)
        for c in entity.changes
    )


def respelt(entity: EntityPlan) -> int:
    """The number of values, in rows that stay, that mean the same but are written differently."""
    return sum(c.respelt for c in entity.changes)


def _filemaker_side(value: Plan) -> ShownTable:
    loaded = {e.entity: e for e in value.entities.values()}
    rows: list[tuple[Cell, ...]] = [
        (
            naming.words(a.source),
            naming.rows(a.entity),
            a.records,
            *_loaded(loaded.get(a.entity), a),
            a.merged,
            a.linked,
            a.looked_up,
            sum(a.left_out.values()),
            Marked("yes", Tone.GOOD) if a.adds_up else Marked("NO", Tone.BAD),
        )
        for a in value.accounts
    ]
    return table(
        "FileMaker's side: each record is loaded, merged into a row, linked, looked up or left out",
        "source | for | records | into its row | into a new row | merged | linked | looked up"
        " | left out | adds up",
        rows,
    )


def _nexus_side(entities: tuple[EntityPlan, ...]) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (
            naming.rows(e.entity),
            e.table,
            Marked(e.rows_before, bar=_part(e.rows_before, e)),
            e.replaced,
            e.kept,
            attention(e.purged),
            e.new,
            Marked(e.rows_after, bar=_part(e.rows_after, e)),
            equal(e.rows_before, e.replaced + e.kept + e.purged),
        )
        for e in entities
    ]
    return table(
        "Nexus's side: rows before = replaced + kept + purged; rows after = replaced + kept + new",
        "entity | table | rows before | replaced | kept | purged | new | rows after | adds up",
        rows,
    )


def _part(rows: int, entity: EntityPlan) -> float:
    """How long the bar of ``rows`` is, beside that of the other side."""
    return rows / max(entity.rows_before, entity.rows_after, 1)


def _loaded(entity: EntityPlan | None, account: Account) -> tuple[int, int]:
    """Two numbers: records that go into an existing row, and records that go into a new one."""
    if entity is None or not account.loaded:
        return 0, account.loaded
    return entity.replaced, entity.new


def _left_out(value: Plan) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (
            naming.words(a.source),
            naming.rows(a.entity),
            naming.words(rule),
            count,
            a.budgets[rule],
            _within(count, a.budgets[rule]),
        )
        for a in value.accounts
        for rule, count in a.left_out.items()
    ]
    return table(
        "Records of FileMaker left out, by rule and budget",
        "source | for | rule | records | at most | within",
        rows,
    )


def _left_out_shown(value: Plan, if_empty: str) -> tuple[ShownTable | Folded | TextLine, ...]:
    """Open where a rule leaves out more than it may."""
    over = any(n > a.budgets[rule] for a in value.accounts for rule, n in a.left_out.items())
    return (_left_out(value),) if over else _or_folded(_left_out(value), if_empty)


def _within(count: int, budget: int) -> Marked:
    return Marked("yes", Tone.GOOD) if count <= budget else Marked("OVER", Tone.BAD)


def _recognised(entities: tuple[EntityPlan, ...]) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (
            naming.rows(e.entity),
            listed(e.matched),
            sum(e.matched.values()),
            e.loaded,
            _share(e),
        )
        for e in entities
    ]
    return table(
        "How records of FileMaker were matched with rows of Nexus",
        "entity | by rule | matched | of | share",
        rows,
    )


def _unmatched(entities: tuple[EntityPlan, ...]) -> ShownTable:
    rows = [
        (
            naming.rows(e.entity),
            naming.words(u.cause),
            u.count,
            _decision(u.decision),
            u.kept_by_closure,
        )
        for e in entities
        for u in e.unmatched
    ]
    return table(
        "Rows that FileMaker does not bring back",
        "entity | cause | rows | decision | of these kept because a row references them",
        rows,
    )


def _unmatched_shown(
    entities: tuple[EntityPlan, ...],
) -> tuple[ShownTable | Folded | TextLine, ...]:
    """Open where somebody must decide, or where rows are deleted for good."""
    if_empty = "FileMaker brings back every row of Nexus."
    rows = [u for e in entities for u in e.unmatched]
    is_settled = all(u.decision not in (None, "purge") for u in rows)
    return (_or_folded if is_settled else _or_text)(_unmatched(entities), if_empty)


def _changes(entities: tuple[EntityPlan, ...]) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (
            naming.rows(e.entity),
            c.column,
            c.filled,
            c.different,
            _winner(c),
            c.cleared,
            attention(c.gone),
            c.kept,
            c.same,
        )
        for e in entities
        for c in e.changes
        if c.filled or c.different or c.cleared
    ]
    return table(
        "Values that change in rows that stay: number of rows by column, or by part of a card;"
        " columns that are not listed do not change",
        "entity | column | was empty | was different | winner | cleared | values lost"
        " | empty in FileMaker, kept | equal",
        rows,
    )


def _respelt(entities: tuple[EntityPlan, ...]) -> Iterator[TextLine]:
    counts = {e.entity: respelt(e) for e in entities}
    if any(counts.values()):
        yield TextLine(
            "Of the equal values, these get FileMaker's blanks and line ends, or the newer form of"
            f" a card: {naming.counted(counts)}."
        )


def _misfits(entities: tuple[EntityPlan, ...]) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (
            naming.rows(e.entity),
            m.column,
            m.reason,
            attention(m.stays),
            attention(m.empty),
            m.derived,
            m.listed,
        )
        for e in entities
        for m in e.misfits
    ]
    return table(
        "Values of FileMaker that do not fit, and what is stored instead",
        "entity | column | reason | Nexus's value stays | empty | derived | for example",
        rows,
    )


def _over_budget(entities: tuple[EntityPlan, ...]) -> Iterator[TextLine]:
    """A line for each column that has more misfits than its budget allows."""
    for entity in entities:
        for fit in entity.fits:
            if fit.is_over:
                yield TextLine(
                    f"OVER: {naming.rows(entity.entity)}, {fit.column}: {fit.misfits:,} of"
                    f" {fit.held:,} values do not fit; the limit is {fit.budget:,}, and never"
                    " more than half of them.",
                    Tone.BAD,
                )


def _overridden(entities: tuple[EntityPlan, ...]) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (
            naming.rows(e.entity),
            naming.words(s.rule),
            s.column,
            s.rows,
            s.becomes,
            _override(s),
        )
        for e in entities
        for s in e.overridden
        if s.rows
    ]
    return table(
        "Values that named rules set",
        "entity | rule | column | rows | new value | decision",
        rows,
    )


def _override(rule: OverriddenRows) -> Cell:
    return _decision(rule.decision) if rule.asks else "always"


def _asked(value: Plan) -> Iterator[ShownTable | TextLine]:
    yield from _or_text(_by_hand(value), "No value has to be filled in by hand.")
    if gone := sum(kind.gone for kind in value.by_hand):
        values = wording.amount(gone, "value")
        yield TextLine(
            f"manual.xlsx: {values} not used, because the row does not exist any more.",
            Tone.ATTENTION,
        )
    if any(kind.waiting for kind in value.by_hand):
        yield TextLine(
            "To give a missing value: fill in manual.xlsx from the run's private folder, put it"
            " into the environment's private folder, and run 01_preflight again."
        )


def _by_hand(value: Plan) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (
            naming.words(b.kind),
            naming.rows(b.entity),
            b.given,
            b.used,
            b.there,
            attention(b.waiting),
        )
        for b in value.by_hand
    ]
    return table(
        "Values that only a person can give: manual.xlsx",
        "sheet | entity | values given | used | in Nexus already | rows without a value",
        rows,
    )


def _links(links: Iterable[LinkPlan]) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (
            naming.rows(p.attachment),
            p.rows,
            p.right_already,
            p.file.rows,
            p.elsewhere,
            p.owner_unknown,
            p.not_in_filemaker,
            p.reachable_before,
            p.reachable_after,
        )
        for p in links
    ]
    return table(
        "Documents and images",
        "attachment | rows | already correct | links to fix | linked to something else, unchanged"
        " | patient not in FileMaker | record not in FileMaker"
        " | linked to an existing patient before | after",
        rows,
    )


def _links_to_fix(links: Iterable[LinkPlan]) -> ShownTable:
    rows = [
        (naming.rows(p.attachment), why, count)
        for p in links
        for why, count in p.fixed.items()
        if count
    ]
    return table("Links to fix", "attachment | the link was | links", rows)


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


def _share(entity: EntityPlan) -> Marked:
    matched = sum(entity.matched.values())
    tone = Tone.ATTENTION if first_screen.is_not_recognised(entity) else Tone.PLAIN
    share = wording.share(matched, entity.loaded)
    return Marked(share, tone, matched / entity.loaded if entity.loaded else None)


def _decision(decision: str | None) -> Cell:
    return decision or Marked("UNDECIDED", Tone.BAD)


def _winner(change: ColumnChange) -> Cell:
    if not change.different:
        return ""
    return _WINNERS.get(change.decision or "", Marked("UNDECIDED", Tone.BAD))
