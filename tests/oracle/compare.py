"""The run beside what it must be: every difference, in words."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Set
from datetime import date, datetime
from typing import Any

from oracle import cards, links
from oracle.expected import Expected, is_empty
from oracle.seen import ATTACHMENTS, CARDS, ENTITIES, SOURCES, TABLE, Row, Seen
from oracle.texts import ident, is_uuid

CHANGES = ("filled", "different", "cleared", "kept", "same")


def problems(seen: Seen) -> list[str]:
    """Everything in which the run is not as it must be."""
    expected = Expected(seen)
    each = (
        _rows,
        _ledger,
        _lines,
        _sums,
        _changes,
        _lists,
        _of_links,
        _protected,
        _accounts,
        _by_hand,
        cards.problems,
    )
    return [problem for look in each for problem in look(expected)]


def _rows(expected: Expected) -> Iterator[str]:
    for entity, wanted in expected.rows.items():
        rows = expected.seen.after.by_id(entity)
        yield from _sets(f"rows of {entity}", set(wanted), set(rows))
        for row_id in wanted.keys() & rows.keys():
            yield from _cells(f"{entity} {row_id}", wanted[row_id], rows[row_id], CARDS)


def _cells(what: str, wanted: Row, row: Row, without: Collection[str] = ()) -> Iterator[str]:
    for column, value in row.items():
        if column not in without and _comparable(value) != _comparable(wanted[column]):
            yield f"{what}: {column} is {value!r}, and must be {wanted[column]!r}"


def _comparable(value: Any) -> Any:
    """JSON by what its leaves say; what people may give by hand as they write it."""
    if isinstance(value, uuid.UUID | date) and not isinstance(value, datetime):
        return str(value)
    if isinstance(value, dict):
        return {key: _leaf(inner) for key, inner in value.items()}
    return value


def _leaf(value: Any) -> Any:
    if isinstance(value, dict):
        return _comparable(value)
    return ident(value) if isinstance(value, str) and is_uuid(value) else value


def _sets(what: str, wanted: Set[Any], has: Set[Any]) -> Iterator[str]:
    for one in sorted(wanted - has, key=repr):
        yield f"{what}: {one} is not there"
    for one in sorted(has - wanted, key=repr):
        yield f"{what}: {one} must not be there"


def _ledger(expected: Expected) -> Iterator[str]:
    """Each record has one line, which says what became of it; each row of Nexus, too."""
    seen = expected.seen
    yield from _sets("records without a line", set(), expected.forgotten)
    for entity in ENTITIES:
        source = ENTITIES[entity]["source"]
        lines = [line for line in seen.ledger if line["entity"] == entity]
        wanted = Counter(expected.left_out[entity].items())
        has = Counter(
            (ident(line["filemaker_id"]), line["why"])
            for line in lines
            if line["outcome"] == "left out" and line["source"] == source
        )
        yield from _sets(f"left out of {entity}", set(wanted.items()), set(has.items()))
        wanted_ids = set(expected.ids[entity].items())
        yield from _sets(f"ledger of {entity}", wanted_ids, set(expected.told[entity].items()))
        before, after = (set(nexus.by_id(entity)) for nexus in (seen.before, seen.after))
        of = {
            outcome: {line["nexus_id"] for line in lines if line["outcome"] == outcome}
            for outcome in ("new", "replaced", "kept", "purged")
        }
        yield from _sets(f"new in the ledger of {entity}", after - before, of["new"])
        yield from _sets(f"purged in the ledger of {entity}", before - after, of["purged"])
        stays = of["replaced"] | of["kept"]
        yield from _sets(f"what stays in the ledger of {entity}", before & after, stays)


def _lines(expected: Expected) -> Iterator[str]:
    """Each record has one line in the ledger for each use that is made of its source."""
    seen = expected.seen
    lines: dict[tuple[str, str], list[str]] = {}
    for line in seen.ledger:
        if line["outcome"] not in ("kept", "purged"):
            use = (line["source"], line["entity"] or "")
            lines.setdefault(use, []).append(ident(line["filemaker_id"]))
    for account in seen.plan.accounts:
        key = SOURCES[account.source]["key"]
        wanted = sorted(ident(record.get(key, "")) for record in seen.records(account.source))
        if wanted != sorted(lines.get((account.source, account.entity), ())):
            yield f"ledger: the lines of {account.source} are not those of its records"


def _sums(expected: Expected) -> Iterator[str]:
    for entity, planned in expected.seen.plan.entities.items():
        wanted = {
            **_unmatched(expected, entity),
            **{f"left out, {r}": n for r, n in Counter(expected.left_out[entity].values()).items()},
            "purged": sum(of == entity for of, _ in expected.purged),
            "rows before": len(expected.seen.before.tables[TABLE[entity]]),
            "rows after": len(expected.rows[entity]),
        }
        has = {
            **{f"unmatched, {one.cause}": one.count for one in planned.unmatched},
            **{f"left out, {rule}": count for rule, count in planned.left_out.items()},
            "purged": planned.purged,
            "rows before": planned.rows_before,
            "rows after": planned.rows_after,
        }
        yield from _counts(f"sums of {entity}", wanted, has)


def _unmatched(expected: Expected, entity: str) -> dict[str, int]:
    return {f"unmatched, {why}": n for (of, why), n in expected.causes.items() if of == entity}


def _counts(what: str, wanted: dict[str, int], has: dict[str, int]) -> Iterator[str]:
    for name in sorted(wanted.keys() | has.keys()):
        if wanted.get(name, 0) != has.get(name, 0):
            yield f"{what}: {name} is {has.get(name, 0)}, and must be {wanted.get(name, 0)}"


def _changes(expected: Expected) -> Iterator[str]:
    for entity, planned in expected.seen.plan.entities.items():
        for change in planned.changes:
            if change.column.split(".")[0] not in CARDS:
                wanted = {what: expected.changes[entity, change.column, what] for what in CHANGES}
                if "." not in change.column:
                    wanted |= _filled(expected.seen, entity, change.column)
                has = {what: getattr(change, what) for what in wanted}
                yield from _counts(f"changes of {entity}.{change.column}", wanted, has)


def _filled(seen: Seen, entity: str, column: str) -> dict[str, int]:
    """How many rows of all have a value in a column, before and after."""
    return {
        f"filled_{when}": sum(not is_empty(row[column]) for row in nexus.tables[TABLE[entity]])
        for when, nexus in (("before", seen.before), ("after", seen.after))
    }


def _lists(expected: Expected) -> Iterator[str]:
    """The lists of values that do not fit, that are derived, and that differ."""
    seen = expected.seen
    lines = {
        (m["became"] == "derived", m["entity"], m["column"], ident(m["filemaker_id"]))
        for m in seen.misfits
        if m["entity"] in ENTITIES and m["column"].split(".")[0] not in CARDS
    }
    wanted = {(False, *one) for one in expected.misfits} | {
        (True, *one) for one in expected.derived
    }
    yield from _sets("values that do not fit (False) or are derived (True)", wanted, lines)
    differ = {
        (d["entity"], d["nexus_id"], d["column"])
        for d in seen.differences
        if d["column"].split(".")[0].split(" ")[0] not in CARDS
    }
    yield from _sets("differences", expected.differences, differ)


def of_links_only(seen: Seen) -> list[str]:
    """Every difference of a run that fixes the links of documents and images, and nothing else."""
    owners = links.owners(seen, links.existing(seen))
    same = seen.before.tables.keys() - owners.keys()
    return [*_links(seen, owners), *_unchanged(seen, same)]


def _links(seen: Seen, owners: links.Owners) -> Iterator[str]:
    content_type = next(
        row["id"]
        for row in seen.before.tables["django_content_type"]
        if f"{row['app_label']}.{row['model']}" == ENTITIES["patients"]["model"]
    )
    for attachment in ATTACHMENTS.values():
        table, link = attachment.get("through", attachment)["table"], attachment["link"]
        rows = {row["id"]: row for row in seen.after.tables[table]}
        yield from _sets(
            f"rows of {table}", {r["id"] for r in seen.before.tables[table]}, set(rows)
        )
        for row in seen.before.tables[table]:
            wanted = dict(row)
            owner = owners[table].get(row["id"])
            if owner and not links.leads_elsewhere(seen, row, link, content_type):
                wanted |= {link["object"]: owner, link["content_type"]: content_type}
            if row["id"] in rows:
                yield from _cells(f"{table} {row['id']}", wanted, rows[row["id"]])


def _of_links(expected: Expected) -> Iterator[str]:
    yield from _links(expected.seen, expected.owners)


def _protected(expected: Expected) -> Iterator[str]:
    """Nothing else has changed."""
    tables = expected.seen.before.tables.keys() - TABLE.values() - expected.owners.keys()
    yield from _unchanged(expected.seen, tables)


def _unchanged(seen: Seen, tables: Set[str]) -> Iterator[str]:
    for table in tables:
        before, after = (sorted(map(repr, n.tables[table])) for n in (seen.before, seen.after))
        if before != after:
            yield f"{table}: a protected table has changed"


def _by_hand(expected: Expected) -> Iterator[str]:
    """What became of the values by hand, kind by kind."""
    for kind in expected.seen.plan.by_hand:
        what = ("waiting", "given", "used", "there", "gone")
        wanted = {one: expected.by_hand[kind.kind, one] for one in what}
        yield from _counts(f"by hand, {kind.kind}", wanted, {w: getattr(kind, w) for w in what})


def _accounts(expected: Expected) -> Iterator[str]:
    """The sums of the sources whose records become no rows of their own."""
    seen = expected.seen
    patients = expected.ids["patients"]
    details: Counter[str] = Counter()
    for record in seen.records(cards.SOURCE):
        if ident(record.get("id.key", "")) not in patients:
            details["owner_not_loaded"] += 1
        else:
            details["merged" if any(cards.entries(record)) else "holds_nothing"] += 1
    gone = {row_id for entity, row_id in expected.purged if entity == "patients"}
    staying = expected.converters.ids["patients"]
    wanted = {cards.SOURCE: details} | {
        spec["source"]: links.outcomes(seen, name, staying, gone)
        for name, spec in ATTACHMENTS.items()
    }
    for account in seen.plan.accounts:
        if account.records != len(seen.records(account.source)) or not account.adds_up:
            yield f"account of {account.source}: {account.records} records"
        if account.source in wanted and account.entity:
            has = {"merged": account.merged, "linked": account.linked, **account.left_out}
            yield from _counts(f"account of {account.source}", dict(wanted[account.source]), has)
