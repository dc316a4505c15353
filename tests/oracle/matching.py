"""Which row of Nexus is of which record of FileMaker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from oracle.seen import Mapped, Row
from oracle.texts import fold_blanks, ident


class Lost(Protocol):
    """What of a time counts where FileMaker does not say all of it."""

    ways: Sequence[tuple[str, Callable[[Any], Any]]]

    def of(self, name: str, column: str) -> Sequence[tuple[str, Callable[[Any], Any]]]:
        """The ways in which the time of one record counts; none where all of it is said."""


def at(row: Row, place: str) -> Any:
    """The value of a column, or of a key in a JSON column."""
    column, *path = place.split(".")
    value = row[column]
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def carried(spec: Mapped, rows: Mapping[str, Row]) -> dict[str, list[str]]:
    """FileMaker id -> the ids of the rows that carry it."""
    found = defaultdict(list)
    if place := spec.get("filemaker_id"):
        for row_id, row in rows.items():
            if value := at(row, place):
                found[ident(str(value))].append(row_id)
    return found


def pairs(
    spec: Mapped,
    rows: Mapping[str, Row],
    values: Mapping[str, Row],
    loaded: Mapping[str, str],
    left_out: Collection[str],
    *,
    is_first: bool,
    lost: Lost,
) -> dict[str, str]:
    """FileMaker id -> the id of its row, of the records that have one; ``values`` by FileMaker id.

    First by the id that the row carries, then by what a run before has loaded, then by the rules.
    A run that is not the first knows its rows: what a rule finds must then be alike to the last. On
    the first one the rules are asked again of records whose time is ``lost``.
    """
    by_id = carried(spec, rows)
    found = {name: by_id[name][0] for name in values if len(by_id.get(name, ())) == 1}
    unpaired = rows.keys() - found.values()
    # A row of a record that is left out is of no other record.
    noted = {row_id: name for name, row_id in loaded.items()}
    carry = {row_id: name for name, ids in by_id.items() for row_id in ids}
    theirs = {i: carry.get(i) or noted.get(i, "") for i in unpaired}
    reserved = {
        i for i, name in theirs.items() if name in left_out and (i in carry or name not in by_id)
    }
    unpaired -= reserved
    found |= {n: loaded[n] for n in values if n not in found and loaded.get(n) in unpaired}
    for rule in spec["identity"]:
        if rule["by"] != "filemaker_id":
            free = {i: row for i, row in rows.items() if i not in {*found.values(), *reserved}}
            left = {name: row for name, row in values.items() if name not in found}
            found |= _by_rule(rule, free, left, is_first=is_first)
    for rule in spec["identity"] if is_first else ():
        if rule["by"] != "filemaker_id":
            taken = set(found.values()) | {i for ids in by_id.values() for i in ids}
            free = {i: row for i, row in rows.items() if i not in taken}
            left = {name: row for name, row in values.items() if name not in found}
            found |= _without_time(rule, free, left, lost)
    return found


def _without_time(
    rule: Mapped, rows: Mapping[str, Row], values: Mapping[str, Row], lost: Lost
) -> dict[str, str]:
    """Records whose time is lost: by what is left, where one record and one row have it."""
    of_records, of_rows = defaultdict(list), defaultdict(list)
    for column in (c for c in rule["by"] if any(lost.of(name, c) for name in values)):
        beside = {**rule, "by": [c for c in rule["by"] if c != column]}
        for key, names in _grouped(beside, values).items():
            for name in names:
                for how, compared in lost.of(name, column):
                    of_records[how, column, key, compared(values[name][column])].append(name)
        for key, ids in _grouped(beside, rows).items():
            for row_id in ids:
                for how, compared in lost.ways if rows[row_id][column] else ():
                    of_rows[how, column, key, compared(rows[row_id][column])].append(row_id)
    return {
        names[0]: of_rows[key][0]
        for key, names in of_records.items()
        if len(names) == len(of_rows[key]) == 1
    }


def _by_rule(
    rule: Mapped, rows: Mapping[str, Row], values: Mapping[str, Row], *, is_first: bool
) -> dict[str, str]:
    of_rows, of_values = _grouped(rule, rows), _grouped(rule, values)
    then = rule.get("then", ())
    found = {}
    for key in of_values.keys() & of_rows.keys():
        names = sorted(of_values[key], key=lambda name: (_beside(values[name], then), name))
        ids = sorted(of_rows[key], key=lambda row_id: (_beside(rows[row_id], then), row_id))
        for name in tuple(names):
            alike = [i for i in ids if _beside(rows[i], then) == _beside(values[name], then)]
            if alike:
                found[name] = alike[0]
                names.remove(name)
                ids.remove(alike[0])
        if is_first or not then:
            found |= dict(zip(names, ids, strict=False))
    return found


def _beside(row: Row, columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(row.get(column) or "") for column in columns)


def _grouped(rule: Mapped, rows: Mapping[str, Row]) -> dict[tuple[Any, ...], list[str]]:
    """What a rule compares -> the names of the rows that have it; not of those that lack a part."""
    folded = rule.get("folded", ())
    groups = defaultdict(list)
    for name, row in rows.items():
        key = tuple(fold_blanks(row[c]) if c in folded and row[c] else row[c] for c in rule["by"])
        if None not in key:
            groups[key].append(name)
    return groups
