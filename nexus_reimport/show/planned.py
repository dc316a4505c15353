"""The page that a person approves: what will be done, and why, entity by entity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nexus_reimport import wording
from nexus_reimport.model import (
    Account,
    ColumnChange,
    EntityPlan,
    LinkPlan,
    OverriddenRows,
    Plan,
    Scope,
)
from nexus_reimport.show.page import (
    Cell,
    Marked,
    Page,
    ShownTable,
    TextLine,
    Tone,
    attention,
    equal,
    listed,
    table,
)

_WINS = {"filemaker": "FileMaker's value", "nexus": "Nexus's value stays"}


def plan(value: Plan) -> Page:
    """Everything decided, nothing done."""
    if value.scope is Scope.RELINK:
        return _links_alone(value)
    entities = tuple(value.entities.values())
    return Page(
        "The plan",
        (
            TextLine(_as_of(value)),
            _filemaker_side(value),
            *_some("Every record of FileMaker is used.", _left_out(value)),
            _nexus_side(entities),
            _recognised(entities),
            *_some("FileMaker brings back every row of Nexus.", _unreturned(entities)),
            *_some("FileMaker changes no value of a row that stays.", _changes(entities)),
            *_respelt(entities),
            *_some("Every value fits its column.", _misfits(entities)),
            *_over_budget(entities),
            *_some("No named rule changes a value.", _overridden(entities)),
            *_asked(value),
            _links(value.links.values()),
            *_some("No link has to be fixed.", _mended(value.links.values())),
            TextLine(
                "Id by id in ledger.csv and misfits.csv. With their values, in the run's private"
                " folder alone: left_out, misfits.csv, and in differences.csv the"
                f" {value.differences.rows:,} values of Nexus that FileMaker has otherwise or"
                " clears."
            ),
            *_ambiguous(entities),
            *_undecided(value),
            TextLine(f"Plan {value.digest}"),
        ),
    )


def _as_of(value: Plan) -> str:
    return f"As of {value.as_of:%Y-%m-%d %H:%M:%S} UTC. This is what is to be done, not what was."


def _links_alone(value: Plan) -> Page:
    return Page(
        "The plan: links alone",
        (
            TextLine(_as_of(value)),
            TextLine("No row is wiped or loaded; only links of documents and images are written."),
            *_some("Every record of FileMaker that was read is used.", _left_out(value)),
            _links(value.links.values()),
            *_some("No link has to be fixed.", _mended(value.links.values())),
            TextLine(f"Plan {value.digest}"),
        ),
    )


def plan_text(value: Plan) -> str:
    """The same page as plain text."""
    return repr(plan(value))


def changed(entity: EntityPlan) -> int:
    """How many values of rows that stay will be others than before."""
    return sum(
        c.filled + c.cleared + (c.different if c.decision == "filemaker" else 0)
        for c in entity.changes
    )


def respelt(entity: EntityPlan) -> int:
    """How many values of rows that stay say the same as before, and are written otherwise."""
    return sum(c.respelt for c in entity.changes)


def _filemaker_side(value: Plan) -> ShownTable:
    loaded = {e.entity: e for e in value.entities.values()}
    rows: list[tuple[Cell, ...]] = [
        (
            a.source,
            a.entity,
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
            e.entity,
            e.table,
            e.rows_before,
            e.replaced,
            e.kept,
            attention(e.purged),
            e.new,
            e.rows_after,
            equal(e.rows_before, e.replaced + e.kept + e.purged),
        )
        for e in entities
    ]
    return table(
        "Nexus's side: rows before = replaced + kept + purged; rows after = replaced + kept + new",
        "entity | table | rows before | replaced | kept | purged | new | rows after | adds up",
        rows,
    )


def _loaded(entity: EntityPlan | None, account: Account) -> tuple[int, int]:
    """Records that go into a row that is there, and into a new one."""
    if entity is None or not account.loaded:
        return 0, account.loaded
    return entity.replaced, entity.new


def _left_out(value: Plan) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (a.source, a.entity, rule, count, a.budgets[rule], _within(count, a.budgets[rule]))
        for a in value.accounts
        for rule, count in a.left_out.items()
    ]
    return table(
        "Records of FileMaker left out, by rule and budget",
        "source | for | rule | records | at most | within",
        rows,
    )


def _within(count: int, budget: int) -> Marked:
    return Marked("yes", Tone.GOOD) if count <= budget else Marked("OVER", Tone.BAD)


def _recognised(entities: tuple[EntityPlan, ...]) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (e.entity, listed(e.matched), sum(e.matched.values()), e.loaded, _share(e))
        for e in entities
    ]
    return table(
        "How records of FileMaker were recognised in Nexus",
        "entity | by rule | recognised | of | part",
        rows,
    )


def _unreturned(entities: tuple[EntityPlan, ...]) -> ShownTable:
    rows = [
        (e.entity, u.cause, u.count, _decision(u.decision), u.kept_by_closure)
        for e in entities
        for u in e.unmatched
    ]
    return table(
        "Rows that FileMaker does not bring back",
        "entity | cause | rows | decision | of these kept since something points at them",
        rows,
    )


def _changes(entities: tuple[EntityPlan, ...]) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (
            e.entity,
            c.column,
            c.filled,
            c.different,
            _wins(c),
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
        "Values that change in rows that stay: rows by column, or by part of a card; what is not"
        " here keeps all",
        "entity | column | was empty | was another | winner | cleared | values that go"
        " | empty in FileMaker, kept | equal",
        rows,
    )


def _respelt(entities: tuple[EntityPlan, ...]) -> Iterator[TextLine]:
    found = {e.entity: respelt(e) for e in entities}
    if any(found.values()):
        yield TextLine(
            "Of the equal ones, these get FileMaker's blanks and line ends, or a card's newer"
            f" shape: {listed(found)}."
        )


def _misfits(entities: tuple[EntityPlan, ...]) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (e.entity, m.column, m.reason, attention(m.stays), attention(m.empty), m.derived, m.listed)
        for e in entities
        for m in e.misfits
    ]
    return table(
        "Values of FileMaker that do not fit, and what became of them",
        "entity | column | reason | Nexus's value stays | empty | derived | for example",
        rows,
    )


def _over_budget(entities: tuple[EntityPlan, ...]) -> Iterator[TextLine]:
    """The columns of which too many values do not fit."""
    for entity in entities:
        for fit in entity.fits:
            if fit.is_over:
                yield TextLine(
                    f"OVER {entity.entity}.{fit.column}: {fit.misfits:,} of {fit.held:,} values do"
                    f" not fit, and {fit.budget:,} or half of them may.",
                    Tone.BAD,
                )


def _overridden(entities: tuple[EntityPlan, ...]) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (e.entity, s.rule, s.column, s.rows, s.becomes, _override(s))
        for e in entities
        for s in e.overridden
        if s.rows
    ]
    return table(
        "Values that named rules give",
        "entity | rule | column | rows | becomes | decision",
        rows,
    )


def _override(rule: OverriddenRows) -> Cell:
    return _decision(rule.decision) if rule.asks else "always"


def _asked(value: Plan) -> Iterator[ShownTable | TextLine]:
    yield from _some("Nothing is asked of a person.", _by_hand(value))
    if gone := sum(kind.gone for kind in value.by_hand):
        values = wording.amount(gone, "value")
        yield TextLine(
            f"{values} of the sheet: of rows that are not there any more.", Tone.ATTENTION
        )
    if any(kind.waiting for kind in value.by_hand):
        yield TextLine(
            "To give such a value: fill in the run's private manual.xlsx, put it into the"
            " environment's private folder, and run 01_preflight again."
        )


def _by_hand(value: Plan) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (b.kind, b.entity, b.given, b.used, b.there, attention(b.waiting)) for b in value.by_hand
    ]
    return table(
        "What only a person knows: manual.xlsx",
        "sheet | entity | values given | used | in Nexus already | rows that still lack one",
        rows,
    )


def _links(links: Iterable[LinkPlan]) -> ShownTable:
    rows: list[tuple[Cell, ...]] = [
        (
            p.attachment,
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
        "attachment | rows | right already | links to fix | on something else, left alone"
        " | patient not in FileMaker | record not in FileMaker"
        " | on a live patient before | after",
        rows,
    )


def _mended(links: Iterable[LinkPlan]) -> ShownTable:
    rows = [(p.attachment, why, count) for p in links for why, count in p.mended.items() if count]
    return table("Links to fix", "attachment | it was | links", rows)


def _ambiguous(entities: tuple[EntityPlan, ...]) -> Iterator[TextLine]:
    for e in entities:
        if e.ambiguous:
            ids = wording.some(e.ambiguous)
            yield TextLine(f"{e.entity}: two rows of Nexus claim one record: {ids}", Tone.BAD)


def _undecided(value: Plan) -> Iterator[TextLine]:
    lines = value.undecided()
    if lines:
        yield TextLine("To be decided in the environment's file before this can go on:", Tone.BAD)
    yield from (TextLine(f"  {line}", Tone.BAD) for line in lines)


def _some(otherwise: str, found: ShownTable) -> tuple[ShownTable | TextLine, ...]:
    return (found,) if found.rows else (TextLine(otherwise),)


def _share(entity: EntityPlan) -> str:
    return wording.share(sum(entity.matched.values()), entity.loaded)


def _decision(decision: str | None) -> Cell:
    return decision or Marked("UNDECIDED", Tone.BAD)


def _wins(change: ColumnChange) -> Cell:
    if not change.different:
        return ""
    return _WINS.get(change.decision or "", Marked("UNDECIDED", Tone.BAD))
