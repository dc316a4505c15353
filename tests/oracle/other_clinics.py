"""Other clinics: tables, mappings, decisions, records and rows at random, and what a plan must be.

The columns are of any type, fed by any plain converter with any options. Keys are of one field or
of two, one source becomes two tables, links may miss, and there are rules of every kind.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from oracle import matching
from oracle.columns_of_any_type import KINDS, SITES, TIMES, Kind
from oracle.seen import ZONE
from oracle.texts import fold_blanks, ident
from oracle.values import Misfit
from support.by_itself import NOW, Written
from support.small_plan import decided

Row = dict[str, Any]
_CAUSES = ("not_in_filemaker", "left_out_by_rule", "no_filemaker_id")
_SIDES = ("filemaker", "nexus")
FREE = 100  # the next key of a table whose keys are numbers


@dataclass
class Fed:
    """One column, or key of the JSON column ``data``, and how the mapping feeds it."""

    name: str
    kind: Kind
    clears: bool = False
    side: str = ""  # who is right, as the mapping says
    folded: bool = False
    not_before: str = ""

    @property
    def field(self) -> str:
        """The field that feeds it."""
        return self.name.replace(".", "_")

    def line(self) -> str:
        """Its line in the mapping."""
        options = [f'from = "{self.field}"', self.kind.convert]
        options += ['when_empty = "clear"'] if self.clears else []
        options += [f'when_different = "{self.side}"'] if self.side else []
        options += ["folded = true"] if self.folded else []
        options += [f'not_before = "{self.not_before}"'] if self.not_before else []
        return f'"{self.name}" = {{ {", ".join(filter(None, options))} }}'


@dataclass
class Table:
    """One entity: its source, its columns and rules, its rows."""

    name: str
    source: str
    fed: list[Fed]
    owner: str = ""  # the entity that ``owner_id`` leads to
    may_miss: bool = False
    carries: bool = False  # FileMaker's id, in the column ``fid``
    is_numbered: bool = False  # by whole numbers, and not by UUIDs
    owner_is_numbered: bool = False
    by: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    left_out: list[Row] = field(default_factory=list)
    overrides: list[Row] = field(default_factory=list)
    new: Row = field(default_factory=dict)
    decided: Row = field(default_factory=dict)
    different: dict[str, str] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    loaded: dict[str, str] = field(default_factory=dict)  # FileMaker id -> id of its row
    pointed_at: set[str] = field(default_factory=set)

    def nexus_is_right(self, fed: Fed) -> bool:
        """Whether Nexus's value stays where FileMaker has another one."""
        return (fed.side or self.different.get(fed.name, self.different["*"])) == "nexus"

    @property
    def types(self) -> dict[str, str]:
        """Column -> its type."""
        key, owner = (
            "integer" if n else "uuid" for n in (self.is_numbered, self.owner_is_numbered)
        )
        types = {"id": key, "owner_id": owner, "fid": "text", "status": "text", "own": "text"}
        return types | {one.name: one.kind.type for one in self.fed} | {"data": "jsonb"}


@dataclass
class OtherClinic:
    """One clinic as a plan reads it, and as the oracle knows it."""

    written: Written
    tables: list[Table]
    records: Mapping[str, Sequence[Row]]  # by source
    keys: Mapping[str, Sequence[str]]  # source -> the fields of its key


def clinic(random: Random, folder: Path) -> OtherClinic:
    """A clinic at random."""
    sources = {"s0": ("id",), "s1": random.choice((("id",), ("owner", "number")))}
    tables = [_table(random, "t0", "s0", ""), _table(random, "t1", "s1", "t0")]
    tables.append(_table(random, "t2", random.choice(("s0", "s1")), ""))
    if tables[2].source == "s1" and random.random() < 0.5:
        tables[2].owner = random.choice(("t0", "t1"))
    tables[2].carries &= len(sources[tables[2].source]) == 1
    tables[1].carries &= len(sources["s1"]) == 1
    for table in tables:
        table.is_numbered = random.random() < 0.3
        table.owner_is_numbered = any(t.is_numbered for t in tables if t.name == table.owner)
        _identify(random, table)
    fields = {source: _fields(source, tables) for source in sources}
    records = {s: _records(random, s, fields[s], key) for s, key in sources.items()}
    for table in tables:
        _fill(random, table, tables, records[table.source])
    written = Written(
        folder,
        _mapping(sources, fields, tables),
        {table.name: table.types for table in tables},
        records={source: _texts(records[source]) for source in sources},
        rows={table.name: [_printed(row) for row in table.rows.values()] for table in tables},
        id_map=[(table.name, i, row) for table in tables for i, row in table.loaded.items()],
        pointed_at=[(table.name, row) for table in tables for row in table.pointed_at],
        lookups={"site.label": SITES},
        next_keys={table.name: (FREE, 10**9) for table in tables if table.is_numbered},
        decisions={t.name: decided(**t.decided, when_different=t.different) for t in tables},
    )
    return OtherClinic(written, tables, records, sources)


def _table(random: Random, name: str, source: str, owner: str) -> Table:
    kinds = random.sample([*KINDS], k=random.randint(4, 8))
    fed = [Fed(f"data.{k}" if KINDS[k].in_json else k, KINDS[k]) for k in kinds]
    for one in fed:
        one.clears = random.random() < 0.3
        one.side = random.choice(("", "", *_SIDES))
        one.folded = one.kind.is_text and random.random() < 0.3
    times = [one for one in fed if one.name in TIMES]
    if len(times) > 1:
        late, early = random.sample(times, 2)
        late.not_before = early.name
    table = Table(name, source, fed, owner, may_miss=random.random() < 0.5)
    table.carries = random.random() < 0.6
    table.different = {n: random.choice(_SIDES) for n in ("*", random.choice(fed).name)}
    table.decided = {cause: random.choice(("keep", "purge")) for cause in _CAUSES}
    rules = [
        {"name": "empty", "empty": [one.field for one in random.sample(fed, 2)]},
        {"name": "named", "records": random.sample(("P1", "V2", "P3+1", "p4"), 2)},
        {"name": "misfit", "misfit": random.choice(fed).name},
        *([{"name": "nobody", "unresolved": "owner_id"}] if owner else []),
    ]
    table.left_out = random.sample(rules, k=random.randint(0, len(rules)))
    whole = [one for one in fed if not one.kind.in_json]
    if texts := [one for one in whole if one.kind.stored]:
        one = random.choice(texts)
        if random.random() < 0.7:
            table.new[one.name] = random.choice(one.kind.stored)
        was, becomes = (random.choice([v for v in one.kind.stored if v]) for _ in range(2))
        when = {"filled": random.choice(whole).name}
        if times and random.random() < 0.5:
            when = {"past": random.choice(times).name}
            table.new["status"] = {
                "rule": "completed_if_past",
                "column": random.choice(times).name,
                "past": "over",
                "future": "to come",
            }
        rule = {"name": "o", "column": one.name, "was": was, "becomes": becomes}
        table.overrides = [rule | when]
    return table


def _identify(random: Random, table: Table) -> None:
    names = [one.name for one in table.fed if one.kind.identifies]
    names = random.sample(names, k=len(names))
    table.by = (*(["owner_id"] if table.owner else []), *names[:1])
    table.then = tuple(names[1 : random.randint(1, 3)])


def _fields(source: str, tables: Sequence[Table]) -> dict[str, Kind]:
    return {one.field: one.kind for table in tables if table.source == source for one in table.fed}


def _records(
    random: Random, source: str, fields: Mapping[str, Kind], key: Sequence[str]
) -> list[Row]:
    records: dict[str, Row] = {}
    owners = ("P1", "P2", "P3", "P4", "NOBODY", *(("p2", "") if "id" in key else ()))
    for number in range(random.randint(1, 9)):
        name = f"P{number}" if source == "s0" else f"V{number}"
        of_key = {"id": name, "owner": random.choice(owners), "number": str(number % 4)}
        texts = {
            name: "" if random.random() < 0.25 else random.choice(kind.texts)
            for name, kind in fields.items()
        }
        if records and random.random() < 0.2:  # the same once more
            texts = random.choice([*records.values()])
        record = texts | of_key
        records["+".join(record[field] for field in key)] = record
    return [*records.values()]


def _fill(random: Random, table: Table, tables: Sequence[Table], records: Sequence[Row]) -> None:
    """Rows of Nexus, some of which say what a record says, and who has loaded them."""
    for number in range(random.randint(0, 8)):
        key = f"00000000-0000-4000-8000-{table.name[1]}{number:011d}"
        key = str(7 * number + 1) if table.is_numbered else key
        record = random.choice([*records, {}])
        row = dict.fromkeys(table.types) | {"id": key, "own": f"own {number}"}
        for one in table.fed:
            value = random.choice((None, *one.kind.stored, *one.kind.stored))
            try:
                if random.random() < 0.6 and record:
                    value = one.kind.make(record[one.field])
            except Misfit:
                pass
            _put_at(row, one.name, value) if one.kind.in_json else row.update({one.name: value})
        if random.random() < 0.1:
            row["data"] = random.choice((None, "x", {"key": {"a": 1}}, [1]))
        if table.owner:
            owners = next(t for t in tables if t.name == table.owner)
            row["owner_id"] = random.choice((None, *owners.rows))
        if table.carries and random.random() < 0.6:
            row["fid"] = random.choice((f"P{number}", f"V{number}", f"p{number}", f"G{number}"))
        if random.random() < 0.15:
            table.pointed_at.add(key)
        table.rows[key] = row
    if random.random() < 0.5:
        ids = ["G1", "G2", *(r["id"] for r in records)]
        rows = random.sample([*table.rows], k=len(table.rows) // 2)
        table.loaded = dict(zip(random.sample(ids, k=len(ids)), rows, strict=False))


def _put_at(row: Row, place: str, value: Any) -> None:
    if value is not None:
        row["data"] = (row["data"] or {}) | {place.partition(".")[2]: value}


def _mapping(
    sources: Mapping[str, Sequence[str]],
    fields: Mapping[str, Mapping[str, Kind]],
    tables: Sequence[Table],
) -> str:
    lines = ["version = 1", 'namespace = "0d0c1c5e-6f9b-5f7e-9a3c-2c1f6f3a7b11"']
    for source, key in sources.items():
        of = {"id": "text", "owner": "text", "number": "text"}
        of |= {name: kind.field for name, kind in fields[source].items()}
        lines += [f"[sources.{source}]", f'table = "{source}"', f"key = {json.dumps(key)}"]
        lines += [f"fields = {_inline(of)}"]
    for table in tables:
        lines += _entity(table)
    lines += ["[application]", 'patient_name = ["own"]', 'search = ["own"]']
    lines += ['calendar = { entity = "t1", start = "own", end = "own", patient = "owner_id" }']
    return "\n".join(lines)


def _entity(table: Table) -> Iterator[str]:
    rule = {"name": "alike", "by": table.by, "then": table.then}
    identity = [{"name": "its id", "by": "filemaker_id"}] if table.carries else []
    identity += [rule] if table.by else []
    texts = {one.name for one in table.fed if one.kind.is_text}
    if table.by and (folded := [name for name in table.by if name in texts]):
        rule["folded"] = folded[:1]
    yield f"[entities.{table.name}]"
    yield f'table = "{table.name}"'
    yield f'source = "{table.source}"'
    yield 'filemaker_id = "fid"' if table.carries else ""
    yield f"identity = [{', '.join(map(_inline, identity))}]"
    yield f"left_out = [{', '.join(_inline({'at_most': 1.0, **r}) for r in table.left_out)}]"
    yield f"overrides = [{', '.join(map(_inline, table.overrides))}]"
    yield f"[entities.{table.name}.columns]"
    yield 'fid = { from = "id" }' if table.carries else ""
    if table.owner:
        more = ", may_miss = true" if table.may_miss else ""
        yield f'owner_id = {{ from = "owner", convert = "entity", entity = "{table.owner}"{more} }}'
    yield from (one.line() for one in table.fed)
    yield f"[entities.{table.name}.new]"
    for name, value in table.new.items():
        yield f"{name} = {_inline(value) if isinstance(value, dict) else json.dumps(value)}"


def _inline(value: Mapping[str, Any]) -> str:
    return f"{{ {', '.join(f'{name} = {json.dumps(v)}' for name, v in value.items() if v != ())} }}"


def _texts(records: Sequence[Row]) -> list[dict[str, str]]:
    return [{name: str(value) for name, value in record.items()} for record in records]


def _printed(row: Row) -> dict[str, str | None]:
    data = None if row["data"] is None else json.dumps(row["data"])
    return {**{n: v for n, v in row.items() if "." not in n}, "data": data}


# ------------------------------------------------------------------ what must be


@dataclass
class Must:
    """What a plan must be; the ids of new rows are those that its ledger says."""

    rows: dict[str, dict[str, Row]] = field(default_factory=dict)
    left_out: set[tuple[str, str, str]] = field(default_factory=set)  # entity, FileMaker id, rule
    paired: set[tuple[str, str, str]] = field(default_factory=set)  # entity, FileMaker id, row
    purged: set[tuple[str, str]] = field(default_factory=set)
    misfits: set[tuple[str, str, str]] = field(default_factory=set)  # entity, column, FileMaker id
    derived: set[tuple[str, str, str]] = field(default_factory=set)
    differences: set[tuple[str, str, str]] = field(default_factory=set)  # entity, row, column


class _Never:
    """No time of these clinics is lost."""

    ways: Sequence[Any] = ()

    def of(self, *_: str) -> Sequence[Any]:
        """No way."""
        return ()


def expected(of: OtherClinic, new: Mapping[tuple[str, str], str]) -> Must:
    """What must be planned; ``new`` has the ids of new rows by entity and FileMaker id."""
    must, found, to_go = Must(), {}, {}
    for table in of.tables:
        key, records = of.keys[table.source], of.records[table.source]
        named = {"+".join(record[k] for k in key): record for record in records}
        to_go[table.name], found[table.name] = _one_table(must, table, named, found, new)
    _purge(must, of.tables, to_go)
    return must


def _one_table(
    must: Must,
    table: Table,
    named: Mapping[str, Row],
    found: Mapping[str, Mapping[str, str]],
    new: Mapping[tuple[str, str], str],
) -> tuple[set[str], dict[str, str]]:
    """The rows that go unless others point at them; FileMaker id -> its row, to be looked up."""
    values: dict[str, Row] = {}
    gone = set()
    for name, record in named.items():
        converted, misfits, unresolved = _converted(table, record, found)
        rules = (r for r in table.left_out if _leaves_out(r, name, record, misfits, unresolved))
        if rule := next(rules, None):
            must.left_out.add((table.name, name, rule["name"]))
            gone.add(ident(name))
            continue
        must.misfits |= {(table.name, column, name) for column in misfits}
        values[name] = converted
    pairs = _pairs(table, values, gone)
    must.paired |= {(table.name, name, row) for name, row in pairs.items()}
    rows = must.rows[table.name] = {}
    for name, record_values in values.items():
        row_id = pairs.get(name) or new.get((table.name, name), f"a new row of {name}")
        old = table.rows.get(row_id) if name in pairs else None
        rows[row_id] = _merged(must, table, (name, row_id), old, record_values)
    ids, to_go = {ident(n): pairs.get(n) or new.get((table.name, n)) for n in values}, set()
    for row_id in sorted(
        table.rows.keys() - pairs.values(), key=lambda i: not table.rows[i]["fid"]
    ):
        why, its_id = _cause(table, row_id, gone)
        rows[row_id] = copy.deepcopy(table.rows[row_id])
        if table.decided[why] == "purge" and row_id not in table.pointed_at:
            to_go.add(row_id)
        elif its_id:
            ids.setdefault(its_id, row_id)
    return to_go, ids


def _cause(table: Table, row_id: str, left_out: set[str]) -> tuple[str, str]:
    """Why no record brings a row, and its FileMaker id."""
    carried = {ident(row["fid"] or "") for row in table.rows.values()}
    noted = (ident(i) for i, row in table.loaded.items() if row == row_id)
    noted = next((one for one in noted if one not in carried), "")
    its_id = ident(table.rows[row_id]["fid"] or "") or noted
    if not its_id:
        return "no_filemaker_id", ""
    return ("left_out_by_rule" if its_id in left_out else "not_in_filemaker"), its_id


def _converted(
    table: Table, record: Row, found: Mapping[str, Mapping[str, str]]
) -> tuple[Row, set[str], bool]:
    values: Row = {"fid": record["id"]} if table.carries else {}
    misfits, is_unresolved = set(), False
    if table.owner:
        values["owner_id"] = found[table.owner].get(ident(record["owner"]))
        is_unresolved = values["owner_id"] is None
        misfits |= {"owner_id"} if is_unresolved and record["owner"] else set()
    for one in table.fed:
        values[one.name] = None
        try:
            values[one.name] = one.kind.make(record[one.field])
        except Misfit:
            misfits.add(one.name)
    for one in table.fed:
        first, value = values.get(one.not_before), values[one.name]
        if first and value and is_before(value, first):
            values[one.name] = None
            misfits.add(one.name)
    return values, misfits, is_unresolved


def _leaves_out(rule: Row, name: str, record: Row, misfits: set[str], is_unresolved: bool) -> bool:
    if "empty" in rule:
        return not any(record[each].strip() for each in rule["empty"])
    if "records" in rule:
        return ident(name) in map(ident, rule["records"])
    return rule["misfit"] in misfits if "misfit" in rule else is_unresolved


def _pairs(table: Table, values: Mapping[str, Row], left_out: set[str]) -> dict[str, str]:
    identity = [{"name": "alike", "by": table.by, "then": table.then}] if table.by else []
    texts = {one.name for one in table.fed if one.kind.is_text}
    for rule in identity:
        rule["folded"] = [name for name in table.by if name in texts][:1]
    spec = {"identity": identity, "filemaker_id": "fid" if table.carries else ""}
    spelt = {ident(name): name for name in values}
    loaded = {ident(name): row for name, row in table.loaded.items()}
    pairs = matching.pairs(
        spec,
        table.rows,
        {ident(name): row for name, row in values.items()},
        loaded,
        left_out,
        is_first=not loaded,
        lost=_Never(),
    )
    return {spelt[name]: row for name, row in pairs.items()}


def _merged(must: Must, table: Table, place: tuple[str, str], old: Row | None, values: Row) -> Row:
    name, row_id = place
    constants = {n: v for n, v in table.new.items() if isinstance(v, str)}
    row = copy.deepcopy(old) or {**dict.fromkeys(table.types), **constants, "id": row_id}
    before = copy.deepcopy(row) if old else {}
    plain = KINDS["words"]
    every = [Fed("owner_id", plain)] if table.owner else []
    every += [Fed("fid", plain)] if table.carries else []
    for one in (*every, *table.fed):
        value, new, nexus = values[one.name], table.new.get(one.name), table.nexus_is_right(one)
        what = _put(row, one, value, new, nexus=nexus, is_new=not old)
        if what == "blocked":
            must.misfits.add((table.name, one.name, name))
        if what:
            must.differences.add((table.name, row_id, one.name))
    for one in table.fed if old else ():
        if one.not_before:
            was, now = ([r.get(c) for c in (one.name, one.not_before)] for r in (before, row))
            if all(now) and is_before(*now) and was != now:
                must.derived.add((table.name, one.name, name))
    for column, rule in table.new.items() if not old else ():
        if isinstance(rule, dict):
            at = row[rule["column"]]
            row[column] = rule["past" if is_over(at) else "future"]
            must.derived |= set() if at else {(table.name, column, name)}
    for rule in table.overrides:
        holds = is_over(row[rule["past"]]) if "past" in rule else bool(row[rule["filled"]])
        if row[rule["column"]] == rule["was"] and holds:
            row[rule["column"]] = rule["becomes"]
            if before.get(rule["column"]) == rule["becomes"]:  # it is as it was, after all
                must.differences.discard((table.name, row_id, rule["column"]))
    return row


def _put(row: Row, one: Fed, value: Any, new: Any, *, nexus: bool, is_new: bool) -> str:
    """Put a value into a row; what a list must say of it, if anything."""
    holder, key = (row, one.name) if "." not in one.name else (row["data"], one.name[5:])
    if holder and not isinstance(holder, dict):
        return "blocked" if value is not None else ""
    was = (holder or {}).get(key)
    if value is None:
        if is_new or was in (None, "", new) or not one.clears:
            return ""
        if holder is row:
            row[key] = new
        else:
            row["data"] = {k: v for k, v in (holder or {}).items() if k != key}
        return "cleared"
    said = ""
    if not is_new and was not in (None, "", [], {}):
        alike = str(was).strip() == str(value).strip()
        same = fold_blanks(was) == fold_blanks(value) if one.folded else alike
        said = "" if same else "different"
        if (nexus and not (one.folded and same)) or (same and not isinstance(was, str)):
            return said
    if holder is row:
        row[key] = value
    else:
        row["data"] = {**(holder or {}), key: value}
    return said


def _moment(text: str) -> tuple[datetime | None, bool]:
    """A date or a time on the clinic's clock, and whether it is a date alone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None, False
    return (at.astimezone(ZONE).replace(tzinfo=None) if at.tzinfo else at), ":" not in text


def is_before(value: str, other: str) -> bool:
    """Whether one is before the other; of a date and a time the days count."""
    (one, is_day), (two, is_other_day) = _moment(value), _moment(other)
    if one is None or two is None:
        return False
    return one.date() < two.date() if is_day or is_other_day else one < two


def is_over(value: str | None) -> bool:
    """Whether it is before the plan."""
    return bool(value) and is_before(value or "", NOW.astimezone(UTC).isoformat(" "))


def _purge(must: Must, tables: Sequence[Table], to_go: dict[str, set[str]]) -> None:
    """Take out the rows that go: none that a row which stays points at."""
    owners = {table.name: table.owner for table in tables}
    while True:
        held = {
            (owner, row["owner_id"])
            for name, owner in owners.items()
            for row_id, row in must.rows[name].items()
            if owner and row_id not in to_go[name]
        }
        saved = {(name, row) for name, rows in to_go.items() for row in rows} & held
        if not saved:
            break
        for name, row_id in saved:
            to_go[name].remove(row_id)
    must.purged = {(name, row) for name, rows in to_go.items() for row in rows}
    for name, row_id in must.purged:
        del must.rows[name][row_id]
