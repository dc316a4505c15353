"""The tables of the page that a person approves: one function for each."""

from __future__ import annotations

from collections.abc import Iterable

from nexus_reimport import naming, wording
from nexus_reimport.model import (
    Account,
    ColumnChange,
    EntityPlan,
    LinkPlan,
    OverriddenRows,
    Plan,
)
from nexus_reimport.record.notebooks.attention import is_not_recognised
from nexus_reimport.show.page import (
    Cell,
    Marked,
    ShownTable,
    Tone,
    attention,
    equal,
    listed,
    table,
)

_WINNERS = {"filemaker": "FileMaker's value", "nexus": "Nexus's value stays"}


def filemaker_side(value: Plan) -> ShownTable:
    """FileMaker's records by what became of them."""
    loaded = {e.entity: e for e in value.entities.values()}
    return table(
        "FileMaker's side: each record is loaded, merged into a row, linked, looked up or left out",
        "source | for | records | into its row | into a new row | merged | linked | looked up"
        " | left out | adds up",
        [
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
        ],
    )


def _loaded(entity: EntityPlan | None, account: Account) -> tuple[int, int]:
    """Two numbers: records that go into an existing row, and records that go into a new one."""
    if entity is None or not account.loaded:
        return 0, account.loaded
    return entity.replaced, entity.new


def nexus_side(entities: tuple[EntityPlan, ...]) -> ShownTable:
    """Nexus's rows before and after, entity by entity."""
    return table(
        "Nexus's side: rows before = replaced + kept + not decided + purged; rows after = rows"
        " before - purged + new",
        "entity | table | rows before | replaced | kept | not decided | purged | new | rows after"
        " | adds up",
        [
            (
                naming.rows(e.entity),
                e.table,
                Marked(e.rows_before, bar=_part(e.rows_before, e)),
                e.replaced,
                e.kept - e.undecided,
                attention(e.undecided),
                attention(e.purged),
                e.new,
                Marked(e.rows_after, bar=_part(e.rows_after, e)),
                equal(e.rows_before, e.replaced + e.kept + e.purged),
            )
            for e in entities
        ],
    )


def _part(rows: int, entity: EntityPlan) -> float:
    """How long the bar of ``rows`` is, beside that of the other side."""
    return rows / max(entity.rows_before, entity.rows_after, 1)


def left_out(value: Plan) -> ShownTable:
    """The records that a rule leaves out, and how many it may."""
    return table(
        "Records of FileMaker left out, by rule and budget",
        "source | for | rule | records | at most | within",
        [
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
        ],
    )


def _within(count: int, budget: int) -> Marked:
    return Marked("yes", Tone.GOOD) if count <= budget else Marked("OVER", Tone.BAD)


def recognised(entities: tuple[EntityPlan, ...]) -> ShownTable:
    """How many records were matched with rows, and by which rule."""
    return table(
        "How records of FileMaker were matched with rows of Nexus",
        "entity | by rule | matched | of | share",
        [
            (
                naming.rows(e.entity),
                listed(e.matched),
                sum(e.matched.values()),
                e.loaded,
                _share(e),
            )
            for e in entities
        ],
    )


def _share(entity: EntityPlan) -> Marked:
    matched = sum(entity.matched.values())
    tone = Tone.ATTENTION if is_not_recognised(entity) else Tone.PLAIN
    share = wording.share(matched, entity.loaded)
    return Marked(share, tone, matched / entity.loaded if entity.loaded else None)


def unmatched(entities: tuple[EntityPlan, ...]) -> ShownTable:
    """The rows that FileMaker does not bring back, and what becomes of them."""
    return table(
        "Rows that FileMaker does not bring back",
        "entity | cause | rows | decision | of these kept because a row references them",
        [
            (
                naming.rows(e.entity),
                naming.words(u.cause),
                u.count,
                _decision(u.decision),
                u.kept_by_closure,
            )
            for e in entities
            for u in e.unmatched
        ],
    )


def changes(entities: tuple[EntityPlan, ...]) -> ShownTable:
    """The values that change, column by column."""
    return table(
        "Values that change in rows that stay: number of rows by column, or by part of a card;"
        " columns that are not listed do not change",
        "entity | column | was empty | was different | winner | cleared | values lost"
        " | empty in FileMaker, kept | equal",
        [
            (
                naming.rows(e.entity),
                c.column,
                c.filled,
                c.different,
                _winner(c),
                c.cleared,
                c.lost if c.is_stamp else attention(c.lost),
                c.kept,
                c.same,
            )
            for e in entities
            for c in e.changes
            if c.filled or c.different or c.cleared or c.gone
        ],
    )


def _winner(change: ColumnChange) -> Cell:
    if not change.different:
        return ""
    return _WINNERS.get(change.decision or "", Marked("UNDECIDED", Tone.BAD))


def misfits(entities: tuple[EntityPlan, ...]) -> ShownTable:
    """The values that fit no column, and what is stored instead."""
    return table(
        "Values of FileMaker that do not fit, and what is stored instead",
        "entity | column | reason | another value stays | empty | derived | for example",
        [
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
        ],
    )


def overridden(entities: tuple[EntityPlan, ...]) -> ShownTable:
    """The values that named rules set."""
    return table(
        "Values that named rules set",
        "entity | rule | column | rows | new value | decision",
        [
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
        ],
    )


def unfed(entities: tuple[EntityPlan, ...]) -> ShownTable:
    """The columns that the mapping takes from nowhere in FileMaker, such as a status."""
    return table(
        "What FileMaker does not feed: a row that stays keeps Nexus's value, unless a named rule"
        " sets it; a new row gets this, and in a column that is not listed what the database gives",
        "entity | column | rows that stay | new rows | a new row gets | named rule",
        [
            (
                naming.rows(e.entity),
                column,
                e.replaced + e.kept,
                e.new,
                new,
                ", ".join(naming.words(o.rule) for o in e.overridden if o.column == column),
            )
            for e in entities
            for column, new in e.unfed.items()
        ],
    )


def _override(rule: OverriddenRows) -> Cell:
    return _decision(rule.decision) if rule.asks else "always"


def _decision(decision: str | None) -> Cell:
    return decision or Marked("UNDECIDED", Tone.BAD)


def by_hand(value: Plan) -> ShownTable:
    """The values that only a person can give."""
    return table(
        "Values that only a person can give: manual.xlsx",
        "sheet | entity | values given | used | in Nexus already | rows without a value",
        [
            (
                naming.words(b.kind),
                naming.rows(b.entity),
                b.given,
                b.used,
                b.there,
                attention(b.waiting),
            )
            for b in value.by_hand
        ],
    )


def links(links: Iterable[LinkPlan]) -> ShownTable:
    """The links of documents and images."""
    return table(
        "Documents and images",
        "attachment | rows | already correct | links to fix | linked to something else, unchanged"
        " | patient not in FileMaker | no record in FileMaker, or of two patients"
        " | linked to an existing patient before | after",
        [
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
        ],
    )


def links_to_fix(links: Iterable[LinkPlan]) -> ShownTable:
    """The links that are fixed, by what was wrong."""
    rows = [
        (naming.rows(p.attachment), why, count)
        for p in links
        for why, count in p.fixed.items()
        if count
    ]
    return table("Links to fix", "attachment | the link was | links", rows)
