"""Lists for people: ids go into the record, values into the private folder alone."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from nexus_reimport import manual, rowfile
from nexus_reimport.mapping import Mapping
from nexus_reimport.model import KEY, Outcome, Plan, Snapshot, Survey
from nexus_reimport.plan import BY_HAND

Record = dict[str, str | None]


def ids(plan: Plan, private: Path, record: Path) -> None:
    """What became of what, id by id, for the record: the ledger but for its longest part."""
    rowfile.to_csv(
        private, plan.ledger, record / "ledger.csv", lambda line: line[2] not in _AS_A_MATTER
    )
    rowfile.to_csv(private, plan.misfits, record / "misfits.csv", lambda line: True)
    rowfile.to_csv(private, plan.beyond, record / "beyond.csv", lambda line: True)


_AS_A_MATTER = frozenset({Outcome.REPLACED, Outcome.MERGED, Outcome.LINKED, Outcome.LOOKED_UP})


def values(plan: Plan, snapshot: Snapshot, mapping: Mapping, private: Path) -> None:
    """With values: records left out, values that do not fit, values that differ."""
    rowfile.to_csv(private, plan.differences, private / "differences.csv", lambda line: True)
    _left_out(plan, snapshot, mapping, private)
    _misfits(plan, snapshot, mapping, private)


def _left_out(plan: Plan, snapshot: Snapshot, mapping: Mapping, private: Path) -> None:
    """One file per source: rule, what the source is for, and the whole record."""
    rules: dict[str, dict[str, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for source, entity, outcome, why, filemaker_id, _ in rowfile.read(private, plan.ledger):
        if outcome == Outcome.LEFT_OUT:
            rules[source or ""][filemaker_id or ""].append((why or "", entity or ""))
    for source, by_id in rules.items():
        fields = tuple(mapping.sources[source].fields)
        with _csv(private / "left_out" / f"{source}.csv", ("rule", "for", *fields)) as add:
            for filemaker_id, record in _records(source, snapshot, private):
                for why, entity in by_id.get(filemaker_id, ()):
                    add((why, entity, *(record[f] for f in fields)))


def _misfits(plan: Plan, snapshot: Snapshot, mapping: Mapping, private: Path) -> None:
    """Each value that does not fit, as FileMaker has it; of a card, the ids alone."""
    wanted: dict[str, dict[str, list[tuple[str, str, str]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for entity, column, reason, filemaker_id, became in rowfile.read(private, plan.misfits):
        wanted[entity or ""][filemaker_id or ""].append((column or "", reason or "", became or ""))
    header = ("entity", "column", "reason", "became", "filemaker_id", "values")
    with _csv(private / "misfits.csv", header) as add:
        for entity, by_id in wanted.items():
            spec = mapping.entities[entity]
            for filemaker_id, record in _records(spec.source, snapshot, private):
                for column, reason, became in by_id.get(filemaker_id, ()):
                    used = spec.columns[column].fields_used
                    held = "; ".join(f"{f}: {record[f] or ''}" for f in used)
                    add((entity, column, reason, became, filemaker_id, held))


def _records(source: str, snapshot: Snapshot, private: Path) -> Iterator[tuple[str, Record]]:
    for record in rowfile.read_dicts(private, snapshot.extracts[source].file):
        yield record[KEY] or "", record


@contextmanager
def _csv(path: Path, header: Iterable[str]) -> Iterator[Any]:
    """What adds a line to a new file that its owner alone can read."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
        written = csv.writer(out)
        written.writerow(header)
        yield written.writerow


def sheet(
    plan: Plan, survey: Survey, mapping: Mapping, zone: ZoneInfo, private: Path, path: Path
) -> dict[str, int]:
    """The workbook of what only a person knows; how many lines each of its sheets has.

    Listed are the rows that lack a value, and those that have one from the sheet before.
    """
    kinds = manual.kinds(mapping, survey, private)
    entities = {e for k in kinds for e in (k.spec.entity, *_shown_through(k, mapping))}
    rows = {name: _planned(plan, survey, name, private) for name in entities}
    shower = manual.Shower(mapping, survey.columns, zone, lambda e, key: rows[e].get(key))
    given: dict[tuple[str, str], set[str]] = defaultdict(set)
    for entity, key, column, why in rowfile.read(private, plan.beyond):
        if why == BY_HAND:
            given[entity or "", key or ""].add(column or "")
    lines = {}
    for kind in kinds:
        entity = kind.spec.entity
        found = []
        for key, row in rows[entity].items():
            by_hand = given[entity, key].intersection(kind.columns)
            line = shower.line(kind, key)
            if line and (by_hand or manual.lacks(kind.spec, row)):
                found.append(replace(line, given=frozenset(by_hand)))
        lines[kind.name] = sorted(found, key=lambda line: (line.shown, line.key))
    return manual.write(path, kinds, lines)


def _shown_through(kind: manual.Kind, mapping: Mapping) -> Iterator[str]:
    """The entities through which a line shows whose it is."""
    columns = mapping.entities[kind.spec.entity].columns
    yield from (columns[p.partition(".")[0]].entity for p in kind.spec.show if "." in p)


def _planned(plan: Plan, survey: Survey, entity: str, private: Path) -> dict[str, Record]:
    rows = rowfile.read_dicts(private, plan.entities[entity].file)
    return {row[survey.keys[entity]] or "": row for row in rows}
