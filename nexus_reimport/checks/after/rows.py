"""Wiped tables: every row is there, as planned, and what Nexus alone knows was carried over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nexus_reimport import convert, naming, strict_json
from nexus_reimport.checks import NOTHING_OF_THIS_KIND, Finding, check, one_by_one
from nexus_reimport.checks.after.subject import After, had
from nexus_reimport.files import columns, rowfile, side_by_side
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.mapping import Entity
from nexus_reimport.model import Level, Outcome
from nexus_reimport.nexus.connection.readings import Unread

if TYPE_CHECKING:
    from pyarrow import Table

_ROWS = (Outcome.NEW, Outcome.REPLACED, Outcome.KEPT)  # of what is a row afterwards


def _in_ledger(after: After, ledger: RowFile) -> Table:
    """Entity, outcome, FileMaker id and Nexus id of each record and row that is a row now."""
    names, few = ("entity", "outcome", "filemaker_id", "nexus_id"), ("entity", "outcome")
    return columns.read(after.folder, ledger, names, few, outcome=_ROWS)


def _outcomes(after: After, entity: str, *outcomes: Outcome) -> Table:
    """What had one of these outcomes."""
    known = after.once(_in_ledger, after.plan.ledger)
    return columns.where(known, entity={entity}, outcome=outcomes)


def _overrides(after: After, overrides: RowFile) -> set[tuple[str | None, ...]]:
    """Entity, key and column of each value that a person or a named rule has set."""
    return {line[:3] for line in rowfile.read(after.folder, overrides)}


def _filemaker_ids(after: After, entity: str) -> Finding:
    """Every loaded record of ``entity`` is a row now, under the id that the plan gave it."""
    key = after.survey.keys[entity]
    keys = columns.column(after.folder, had(after.now[entity]), key)
    loaded = _outcomes(after, entity, Outcome.NEW, Outcome.REPLACED)
    source = after.mapping.entities[entity].source
    plan = after.plan.entities[entity]
    in_filemaker = after.snapshot.extracts[source].rows - sum(plan.left_out.values())
    note = f"{in_filemaker:,} in FileMaker, {len(loaded):,} loaded, {plan.kept:,} kept beside them"
    missing = columns.missing(loaded, "nexus_id", keys, "filemaker_id")
    off = [*missing, *(["count"] if in_filemaker != len(loaded) else [])]
    empty = "" if after.snapshot.extracts[source].rows else f"FileMaker has no {entity}"
    return Finding(len(loaded), off, note=note, empty=empty)


@check(After, Level.STOP, serves=("A1", "R2", "D1"))
def every_patient_of_filemaker_is_there(after: After) -> Finding:
    """The patients that FileMaker has are in Nexus, each under its own id."""
    return _filemaker_ids(after, after.mapping.people())


@check(After, Level.STOP, serves=("A2", "R3", "D2"))
def every_appointment_of_filemaker_is_there(after: After) -> Finding:
    """The appointments that FileMaker has are in Nexus, each under its own id."""
    return _filemaker_ids(after, after.mapping.application.calendar.entity)


def _entities(after: After) -> Iterable[str]:
    return after.plan.entities


def _others(after: After) -> Iterable[str]:
    """What is wiped beside patients and appointments, which have a check each."""
    named = (after.mapping.people(), after.mapping.application.calendar.entity)
    return [entity for entity in after.plan.entities if entity not in named]


@check(After, Level.STOP, serves=("D3", "D4", "D5", "D6"))
@one_by_one(_others)
def every_other_record_of_filemaker_is_there(after: After, entity: str) -> Finding:
    """The notes, messages, letters and reminders that FileMaker has are in Nexus."""
    finding = _filemaker_ids(after, entity)
    return replace(finding, note=f"{naming.rows(entity)}: {finding.note}")


@check(After, Level.STOP, serves=("D1", "D2", "D3", "D4", "D5", "D6"))
@one_by_one(_entities)
def every_planned_row_came_from_somewhere(after: After, entity: str) -> Finding:
    """Every planned row is of FileMaker, or was there and was kept; every kept row is planned."""
    known = _outcomes(after, entity, *_ROWS)["nexus_id"]
    key, file = after.survey.keys[entity], after.plan.entities[entity].file
    rows = columns.read(after.folder, file, (key,))
    kept = _outcomes(after, entity, Outcome.KEPT)
    off = columns.missing(rows, key, known, key)
    off += columns.missing(kept, "nexus_id", rows[key], "nexus_id")
    return Finding(max(1, len(rows)), [f"{entity} {row}" for row in off])


@check(After, Level.STOP, serves=("R2", "R3"), waivable=False, links=True)
def the_next_keys_are_free(after: After) -> Finding:
    """What each sequence gives out next is free: the application can add rows.

    And none was moved, since the survey, past more values than it has left.
    """
    readings = had(after.next_keys)
    off = [str(reading) for reading in readings if not reading.is_free]
    note = "" if readings else "no key comes from a sequence"
    return Finding(max(1, len(readings)), off, note=note)


@check(After, Level.STOP, serves=("D1", "D2", "D3", "D4", "D5", "D6"))
@one_by_one(_entities)
def every_row_is_as_planned(after: After, entity: str) -> Finding:
    """Every row of every wiped table equals the plan's, value by value."""
    now, plan = after.now[entity], after.plan.entities[entity]
    if isinstance(now, Unread):
        return Finding(1, [now.why])
    key, json = after.survey.keys[entity], _json_columns(after, entity)
    gone = [c for c in plan.file.columns if c not in now.columns]
    off = [f"{plan.table}: there is no column {column}" for column in gone]
    rows = side_by_side.of(after.folder, plan.file, now, key)
    off += [f"{entity} {row_key}" for row_key in (*rows.gone, *rows.added)]
    names = [c for c in plan.file.columns if c in now.columns]
    for wanted, are in rows.batches():
        for row_key, planned, row in side_by_side.what_differs(wanted, are, key, names):
            if any(_differ(row[c], planned[c], c in json) for c in planned):
                off.append(f"{entity} {row_key}")
    return Finding(max(1, rows.both + len(rows.gone) + len(rows.added)), off)


@check(After, Level.STOP, serves=("K7", "K8", "X4"))
@one_by_one(_entities)
def what_only_nexus_knows_was_carried_over(after: After, entity: str) -> Finding:
    """Columns, and keys in JSON columns, that FileMaker does not feed are what they were.

    Values that a person or a named rule has set, listed one by one in the plan, are left aside.
    """
    off = []
    overrides = after.once(_overrides, after.plan.overrides)
    spec = after.mapping.entities[entity]
    fed = set(spec.fed_columns())
    by_key = _fed_by_key(spec)
    key, json = after.survey.keys[entity], _json_columns(after, entity)
    was = after.survey.rows[entity]
    # A row that is new, or gone: every_row_is_as_planned says whether that is right.
    rows = side_by_side.of(after.folder, was, had(after.now[entity]), key)
    names = [c for c in was.columns if c not in fed or c in by_key]
    for before, now in rows.batches():
        for row_key, then, row in side_by_side.what_differs(before, now, key, names):
            differ = [c for c in then if c not in fed and _differ(row[c], then[c], c in json)]
            carried = all((entity, row_key, c) in overrides for c in differ)
            if not carried or not all(
                _is_carried_over(by_key[c], then[c], row[c]) for c in then if c in by_key
            ):
                off.append(f"{entity} {row_key}")
    empty = "no table held a row before the run" if after.was_empty(entity) else ""
    return Finding(rows.both, off, empty=empty)


def _json_columns(after: After, entity: str) -> set[str]:
    return {c.name for c in after.survey.columns[entity] if c.is_json}


@dataclass(frozen=True, slots=True)
class _Fed:
    """What of a JSON column FileMaker feeds: keys, and paths to what is deeper in it."""

    keys: frozenset[str]
    paths: tuple[str, ...]


def _fed_by_key(spec: Entity) -> dict[str, _Fed]:
    """JSON column -> what of it FileMaker feeds, for those that it does not feed whole."""
    keys, paths = defaultdict[str, set[str]](set), defaultdict[str, list[str]](list)
    for name, feed in spec.columns.items():
        column, _, path = name.partition(".")
        if feed.gather:
            keys[column].update(key for several in feed.parts.values() for key in several)
        elif "." in path:
            paths[column].append(path)
        elif path:
            keys[column].add(path)
    return {c: _Fed(frozenset(keys[c]), tuple(paths[c])) for c in {**keys, **paths}}


def _is_carried_over(fed: _Fed, text: str | None, now: str | None) -> bool:
    """Whether a JSON column still says what FileMaker does not feed.

    What the top level of a card said of its first address may have moved to that one's entry.
    """
    was, holds = _unfed(fed, text), _unfed(fed, now)
    if was == holds or not (isinstance(was, dict) and isinstance(holds, dict) and now):
        return bool(was == holds)
    listed = strict_json.held(now).get("addresses") if "addresses" in fed.keys else None
    moved = {
        key
        for key in convert.OF_AN_ADDRESS & was.keys() - holds.keys()
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, dict) and one.get(key) == was[key]
    }
    return {key: value for key, value in was.items() if key not in moved} == holds


def _unfed(fed: _Fed, text: str | None) -> Any:
    """What of a JSON column FileMaker does not feed; all of it where it cannot be read."""
    try:
        document = strict_json.held(text) if text else {}
    # Compared as the text that it is: what cannot be parsed must not change either.
    except (ValueError, RecursionError):
        return text
    if not isinstance(document, dict):
        return {}
    document = {key: value for key, value in document.items() if key not in fed.keys}
    for path in fed.paths:
        document = _pruned(document, path)
    return document


def _pruned(document: dict[str, Any], path: str) -> dict[str, Any]:
    """``document`` without ``path``, nor an object that has nothing else."""
    head, _, rest = path.partition(".")
    inner = document.get(head)
    if rest and isinstance(inner, dict):
        inner = _pruned(inner, rest)
        return {**document, head: inner} if inner else _pruned(document, head)
    if rest and inner not in (None, "", []):
        return document
    return {k: v for k, v in document.items() if k != head}


def _differ(now: str | None, wanted: str | None, is_json: bool) -> bool:
    if now == wanted:
        return False
    return not (is_json and strict_json.same(now, wanted))


def _without(after: After, entity: str, column: str) -> Finding:
    if not column:
        return Finding(0, empty=NOTHING_OF_THIS_KIND)
    off: list[str] = []
    key, file = after.survey.keys[entity], had(after.now[entity])
    if file.rows:
        off = columns.empty(columns.read(after.folder, file, (key, column)), column, key)
    records = after.snapshot.extracts[after.mapping.entities[entity].source].rows
    empty = f"neither FileMaker nor Nexus has any {entity}"
    is_empty = after.was_empty(entity) and not records
    return Finding(file.rows, off, empty=empty if is_empty else "")


@check(After, Level.STOP, serves=("A3", "X5"), twin="every_planned_patient_has_a_clinic")
def every_patient_has_a_clinic(after: After) -> Finding:
    """Every patient has a clinic."""
    return _without(after, after.mapping.people(), after.mapping.application.patient_clinic)


@check(After, Level.STOP, serves=("A4",), twin="every_planned_appointment_has_a_clinic")
def every_appointment_has_a_clinic(after: After) -> Finding:
    """Every appointment has a clinic."""
    calendar = after.mapping.application.calendar
    return _without(after, calendar.entity, calendar.clinic)


@check(After, Level.STOP, serves=("A4", "X4"), twin="every_planned_appointment_has_a_clinician")
def every_appointment_has_a_clinician(after: After) -> Finding:
    """Every appointment has a clinician."""
    calendar = after.mapping.application.calendar
    return _without(after, calendar.entity, calendar.clinician)


@check(After, Level.STOP, serves=("A4", "X4"), twin="every_planned_appointment_has_a_type")
def every_appointment_has_a_type(after: After) -> Finding:
    """Every appointment has a type."""
    calendar = after.mapping.application.calendar
    return _without(after, calendar.entity, calendar.type)
