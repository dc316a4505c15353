"""What taking a run back must leave: the rows of before it, and what was decided of newer ones.

Written from runbook/README.md, "Ways back".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from oracle import closure
from oracle.seen import ATTACHMENTS, TABLE, Nexus, Row


def problems(
    before: Nexus, after: Nexus, edited: Nexus, back: Nexus, *, keeps: bool
) -> Iterator[str]:
    """Everything in which the database is not as it must be, table by table.

    ``after`` the run people have written, which gave ``edited``; ``keeps`` if that is to stay.
    """
    links = _links(before, after, edited, keeps=keeps)
    wanted = {**edited.tables, **links}
    rows = _rows(before, after, edited, wanted, keeps=keeps)
    for entity, table in TABLE.items():
        wanted[table] = list(rows[entity].values())
    for table, each in wanted.items():
        left, right = (sorted(map(repr, of)) for of in (each, back.tables[table]))
        if left != right:
            gone, more = set(left) - set(right), set(right) - set(left)
            yield f"{table}: these must be there: {gone}, and these must not: {more}"
    if back.loaded != before.loaded:
        yield "what the run has loaded is still known"


def _links(
    before: Nexus, after: Nexus, edited: Nexus, *, keeps: bool
) -> Mapping[str, Sequence[Row]]:
    """The rows that link: as they are, but for the links that the run has fixed."""
    tables = {}
    for attachment in ATTACHMENTS.values():
        table = attachment.get("through", attachment)["table"]
        columns = tuple(attachment["link"].values())
        was, then = (
            {row["id"]: {c: row[c] for c in columns} for row in nexus.tables[table]}
            for nexus in (before, after)
        )
        tables[table] = [
            row | was[row["id"]] if _goes_back(row, was, then, keeps=keeps) else row
            for row in edited.tables[table]
        ]
    return tables


def _goes_back(row: Row, was: Mapping[str, Row], then: Mapping[str, Row], *, keeps: bool) -> bool:
    key = row["id"]
    is_fixed = key in was and key in then and was[key] != then[key]
    return is_fixed and (not keeps or row.items() >= then[key].items())


def _rows(
    before: Nexus,
    after: Nexus,
    edited: Nexus,
    wanted: Mapping[str, Sequence[Row]],
    *,
    keeps: bool,
) -> Mapping[str, dict[str, Row]]:
    """The rows of the entities, by id."""
    was, then, now = (
        {entity: nexus.by_id(entity) for entity in TABLE} for nexus in (before, after, edited)
    )
    rows = {entity: dict(each) for entity, each in was.items()}
    for entity, each in now.items():
        for key, row in each.items():
            if keeps and row != then[entity].get(key):
                rows[entity][key] = row
    for entity, key in _held(before, wanted, rows, now):
        rows[entity][key] = now[entity][key]
    return rows


def _held(
    before: Nexus,
    wanted: Mapping[str, Sequence[Row]],
    rows: Mapping[str, Mapping[str, Row]],
    now: Mapping[str, Mapping[str, Row]],
) -> closure.Rows:
    """The rows that the run has made and that stay, because another that stays points at them.

    What pointed at nothing before the run does not count.
    """
    references = closure.References(before)
    protected = [(t, row) for t, each in wanted.items() if t not in TABLE.values() for row in each]
    known = {repr(row) for each in before.tables.values() for row in each}
    pointing = [(t, row) for t, row in protected if repr(row) not in known]
    pointing += [(TABLE[entity], row) for entity, each in rows.items() for row in each.values()]
    held: closure.Rows = set()
    while pointing:
        table, row = pointing.pop()
        for entity, key in references.aims(table, row) - held:
            if entity and key in now[entity] and key not in rows[entity]:
                held.add((entity, key))
                pointing.append((TABLE[entity], now[entity][key]))
    return held
