"""Checks before: whether the values fit, and whether PostgreSQL will take the planned rows.

Each finding names FileMaker's ids, before anything is rehearsed, with the line of the mapping that
would leave those records out. What the rows alone cannot show (unique keys over expressions,
checks, foreign keys) is left to ``refused_rows``, which asks a restored copy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from nexus_reimport import parts, wording
from nexus_reimport.checks import Finding, check
from nexus_reimport.checks.before.subject import Before
from nexus_reimport.convert.columns import NO_BOOLEAN
from nexus_reimport.convert.moments import OTHER_FORM
from nexus_reimport.files import columns, rowfile
from nexus_reimport.model import Level
from nexus_reimport.nexus.structure.catalog import Column, UniqueKey
from nexus_reimport.planning import manual

PASTED = 200  # ids in one line of the mapping


@check(Before, Level.STOP, serves=("M3",))
def no_column_has_more_misfits_than_its_budget(before: Before) -> Finding:
    """In each column, at most the mapping's budget of values does not fit, and at most half.

    A column full of misfits is not the fault of its records: a declared form or field is wrong.
    """
    over, links, count = [], list[str](), 0
    for entity in before.plan.entities.values():
        fed = before.mapping.entities[entity.entity].columns
        for fit in entity.fits:
            if fit.is_over:
                links += [fit.column] if fed[fit.column].must_find else []
                reasons = {
                    m.reason: m.stays + m.empty for m in entity.misfits if m.column == fit.column
                }
                listed = ", ".join(f"{n:,} {reason}" for reason, n in reasons.items() if n)
                over.append(
                    f"{entity.entity}.{fit.column}: {fit.misfits:,} of"
                    f" {wording.amount(fit.held, 'value does', 'values do')} not fit, budget"
                    f" {fit.budget:,} ({listed})"
                )
                count += fit.misfits
    held = sum(fit.held for entity in before.plan.entities.values() for fit in entity.fits)
    return Finding(max(1, held), over, count=count, note=_declaring(over, links) if over else "")


def _declaring(over: Iterable[str], links: Iterable[str]) -> str:
    """What to declare, by the reasons for which values do not fit, and for links among them."""
    listed = "\n".join(over)
    ways = [
        f'{column}: leave such records out by a rule (unresolved = "{column}"), or say'
        " may_miss = true if the link may stay empty"
        for column in links
    ]
    if OTHER_FORM in listed:
        ways.append(
            "dates: declare the form that fits in [filemaker.exports], if a file is read; over a"
            " server, read a field of type date (a calculation with GetAsDate)"
        )
    if NO_BOOLEAN in listed:
        ways.append('words for yes and no: convert = "choice", choices = { t = ["…"], f = ["…"] }')
    others = "declare the form that fits, or" if not ways else "or"
    return "; ".join([*ways, f"{others} a `misfits_at_most` for the column in the mapping"])


@check(Before, Level.STOP, serves=("M3", "D1", "D2"), waivable=False)
def no_needed_column_stays_empty(before: Before) -> Finding:
    """Every planned row has a value in each column that must not be empty."""
    looked, count, gaps = 0, 0, []
    for name, plan in before.plan.entities.items():
        # PostgreSQL fills generated columns; Nexus's other defaults exist only in Python
        needed = [c for c in before.survey.columns[name] if c.not_null and not c.generated]
        empty = _empty(before, name, [column.name for column in needed])
        looked += plan.file.rows
        count += len(set().union(*empty.values()))  # a row counts once, however many it lacks
        if empty:
            records, misfits = records_of(before, name), _misfits(before, name, empty)
            gaps += [_Empty(name, c, keys, records, misfits[c]) for c, keys in empty.items()]
    lines = [
        f"{e.entity}.{e.column} would be empty: {rows_by_name(e.keys, e.records)}" for e in gaps
    ]
    advice = [
        text
        for e in gaps
        for text in (*_cleared(before, e.entity, e.column, e.keys), _advice(before, e))
    ]
    return Finding(max(1, looked), lines, count=count, note="; ".join(advice))


@check(Before, Level.STOP, serves=("A4", "M3"), waivable=False)
def every_planned_appointment_of_a_patient_has_an_end(before: Before) -> Finding:
    """Every planned appointment of a patient has an end: the calendar fails without one."""
    calendar = before.mapping.application.calendar
    name, key = calendar.entity, before.survey.keys[calendar.entity]
    file, keys = before.plan.entities[name].file, list[str]()
    # The file lacks a column that PostgreSQL makes.
    if file.rows and calendar.end in file.columns:
        rows = columns.read(before.folder, file, (key, calendar.end, calendar.patient))
        of_patients = rows.filter(rows[calendar.patient].is_valid())
        keys = columns.empty(of_patients, calendar.end, key)
    records = records_of(before, name) if keys else {}
    brought = [key for key in keys if records.get(key)]
    are_many = len(brought) > wording.SHOWN
    misfits = _misfits(before, name, [calendar.end])[calendar.end] if are_many else set()
    if are_many and {records[key] for key in brought} <= misfits:
        empty = _Empty(name, calendar.end, brought, records, misfits)
        advice = [_advice(before, empty)]  # one rule, and not a wall of ids
    else:
        advice = leaving_out(before, name, f"without_{calendar.end}", keys, records)
    advice = [*_cleared(before, name, calendar.end, keys), *advice]
    if not all(map(records.get, keys)):
        advice.append("give an appointment that FileMaker does not have its end in Nexus")
    return Finding(max(1, file.rows), sorted(_named(keys, records)), note="; ".join(advice))


@check(Before, Level.STOP, serves=("M2", "M3"), waivable=False)
def no_two_planned_rows_share_a_unique_key(before: Before) -> Finding:
    """No two planned rows have the same values in the columns of a unique key."""
    looked, twice_there, lines, advice = 0, set[tuple[str, str]](), [], []
    for name in before.plan.entities:
        # keys over expressions or conditions can only be judged by PostgreSQL
        keys = [k for k in before.survey.unique_keys.get(name, ()) if k.is_plain]
        twice = {key.name: _twice(before, name, key) for key in keys}
        looked += before.plan.entities[name].file.rows
        for key in keys:
            if twice[key.name]:
                records = records_of(before, name)
                same = [
                    sorted(rows, key=lambda r: (r not in records, records.get(r, r)))
                    for rows in twice[key.name]
                ]
                pairs = [" and ".join(_named(rows, records)) for rows in same]
                lines.append(f"{name}.{', '.join(key.columns)} ({key.name}): {_few(pairs)}")
                twice_there |= {(name, row) for rows in same for row in rows[1:]}
                advice.append(_of_duplicates(before, name, key.columns, same, records))
    return Finding(max(1, looked), lines, count=len(twice_there), note="; ".join(advice))


def _empty(before: Before, entity: str, needed: list[str]) -> dict[str, list[str]]:
    """The columns of ``needed`` that are null in some planned rows -> the keys of these."""
    file, key = before.plan.entities[entity].file, before.survey.keys[entity]
    empty: dict[str, list[str]] = defaultdict(list)
    for batch in rowfile.batches(before.folder, file):
        for column in needed:
            keys = batch.column(key)
            if column in file.columns:
                keys = keys.filter(batch.column(column).is_null())
            if len(keys):
                empty[column] += [value or "" for value in keys.to_pylist()]
    return empty


def _twice(before: Before, entity: str, key: UniqueKey) -> list[list[str]]:
    """The keys of the planned rows that share a unique key, those of one value together."""
    file, row_key = before.plan.entities[entity].file, before.survey.keys[entity]
    # A column that the file lacks is null in every row.
    held = [column for column in key.columns if column in file.columns]
    if not held or not (key.nulls_are_equal or len(held) == len(key.columns)):
        return []
    rows = columns.read(before.folder, file, tuple(dict.fromkeys((*held, row_key))))
    # In PostgreSQL two nulls differ, unless the key says NULLS NOT DISTINCT.
    shared = columns.repeated(rows.select(held), nulls_are_equal=key.nulls_are_equal)
    groups: dict[tuple[str | None, ...], list[str]] = defaultdict(list)
    for batch in rows.to_batches() if shared else ():
        values = zip(*(batch.column(name).to_pylist() for name in held), strict=True)
        for value, row in zip(values, batch.column(row_key).to_pylist(), strict=True):
            if value in shared:
                groups[value].append(row or "")
    return list(groups.values())


class _Empty(NamedTuple):
    """One needed column, and the keys of the rows that have no value for it."""

    entity: str
    column: str
    keys: list[str]
    records: Mapping[str, str]
    misfits: set[str]  # FileMaker's ids of the records whose value does not fit it


def records_of(before: Before, entity: str) -> dict[str, str]:
    """Nexus id -> FileMaker id of the rows of ``entity``."""
    id_map = rowfile.read(before.folder, before.plan.id_map)
    return {n or "": f or "" for e, f, n in id_map if e == entity}


def _named(keys: Iterable[str], records: Mapping[str, str]) -> list[str]:
    """Each row as a person knows it: by its FileMaker id, else by its Nexus id."""
    return [records.get(key) or f"Nexus id {key}" for key in keys]


def rows_by_name(keys: Iterable[str], records: Mapping[str, str]) -> str:
    """The rows with these ``keys``: the first few by name, and how many more."""
    return _few(_named(keys, records))


def _few(names: list[str]) -> str:
    return wording.some(sorted(names))


def _cleared(before: Before, entity: str, column: str, keys: list[str]) -> Iterator[str]:
    """How the rows keep a value that Nexus has, where the mapping takes it away from them."""
    fed = before.mapping.entities[entity].columns.get(column)
    if fed is None or fed.when_empty != "clear":
        return
    if have := len(columns.numbers_among(columns.of(keys), before.keys_now(entity))):
        yield (
            f'take when_empty = "clear" out of {entity}.{column} in the mapping, and'
            f" {wording.amount(have, 'row keeps', 'rows keep')} the value that Nexus has"
        )


def _advice(before: Before, empty: _Empty) -> str:
    """What to write into the mapping, for rows whose needed column would be empty."""
    spec = before.mapping.entities[empty.entity]
    fed = spec.columns.get(empty.column)
    if fed is None:
        column = next(c for c in before.survey.columns[empty.entity] if c.name == empty.column)
        return _of_no_feed(empty, column)
    records = {empty.records.get(key, "") for key in empty.keys} - {""}
    misfits, count = empty.misfits, len(empty.keys)
    if records & misfits:
        count = len(misfits | records)  # the rule also leaves out those whose row has a value
    if fed.entity:
        rule = f'name = "{empty.column}_unknown"', f'unresolved = "{empty.column}"'
    elif records & misfits:
        rule = f'name = "{empty.column}_does_not_fit"', f'misfit = "{empty.column}"'
    else:
        fields = ", ".join(f'"{field}"' for field in fed.fields_used[:1])
        rule = f'name = "without_{empty.column}"', f"empty = [{fields}]"
    total = before.plan.entities[empty.entity].source_rows
    if records & misfits and 2 * count > total:  # nobody means to leave out most of a table
        return f"correct what the mapping says of {empty.entity}.{empty.column}"
    return left_out_line(empty.entity, total, count, *rule)


def _misfits(before: Before, entity: str, asked: Collection[str]) -> dict[str, set[str]]:
    """Of each of these columns, FileMaker's ids of the records whose value does not fit it."""
    misfits: dict[str, set[str]] = {column: set() for column in asked}
    for e, c, _, f, _ in rowfile.read(before.folder, before.plan.misfits):
        if e == entity and c in misfits:
            misfits[c].add(f or "")
    return misfits


def _of_no_feed(empty: _Empty, column: Column) -> str:
    default = " (its default in the database is not the same value for every row)"
    return (
        f"give new rows a value: {column.name} = … under [entities.{empty.entity}.new]"
        f"{default if column.filled_by_database else ''}"
    )


def _of_duplicates(
    before: Before,
    entity: str,
    columns: tuple[str, ...],
    groups: list[list[str]],
    records: Mapping[str, str],
) -> str:
    """What to do about rows with one unique key: change a person's value, or leave out records."""
    keys = {key for rows in groups for key in rows}
    by_hand = {
        n
        for e, n, c, why in rowfile.read(before.folder, before.plan.overrides)
        if e == entity and c in columns and why == manual.BY_HAND
    }
    if keys & by_hand:
        return f"values given by hand are among them: change {', '.join(columns)} in manual.xlsx"
    # one row of each group can stay
    surplus = [[records[r] for r in rows if records.get(r)][-(len(rows) - 1) :] for rows in groups]
    later = [record for rows in surplus for record in rows]
    if not later:
        return "none of them is a record of FileMaker: fix it in Nexus"
    total = before.plan.entities[entity].source_rows
    return left_out_records(entity, total, f"same_{columns[-1]}", later)


def leaving_out(
    before: Before, entity: str, name: str, keys: Iterable[str], records: Mapping[str, str]
) -> list[str]:
    """The line of the mapping that leaves out those of the rows that FileMaker brings, if any."""
    brought = [records[key] for key in keys if records.get(key)]
    total = before.plan.entities[entity].source_rows
    return [left_out_records(entity, total, name, brought)] if brought else []


def left_out_records(entity: str, total: int, name: str, records: Iterable[str]) -> str:
    """The line of the mapping that leaves out these records, by their ids; ``total`` has all.

    Of more than a person pastes there is none: it would be all that a page and a journal hold.
    """
    listed = sorted(set(records))
    if len(listed) > PASTED:
        count = wording.amount(len(listed), "record is", "records are")
        return (
            f"fix it in FileMaker: {count} too many to be left out of [entities.{entity}] by the"
            " ids; or leave them out by what they have in common (`empty`, `misfit`)"
        )
    ids = ", ".join(f'"{record}"' for record in listed)
    return left_out_line(entity, total, len(listed), f'name = "{name}"', f"records = [{ids}]")


def left_out_line(entity: str, total: int, count: int, name: str, condition: str) -> str:
    """The line of the mapping that leaves out ``count`` of the ``total`` records of an entity."""
    return (
        f"fix it in FileMaker, or paste into left_out of [entities.{entity}]:"
        f" {{ {name}, at_most = {parts.proposed(count, total)}, {condition} }}"
    )
