"""Lists for people: ids go into the record, values only into the private folder."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from zoneinfo import ZoneInfo

from nexus_reimport.convert.registry import Given
from nexus_reimport.files import rowfile
from nexus_reimport.files.private import make_folder
from nexus_reimport.intake import Intake, Record
from nexus_reimport.mapping import ColumnSpec, DefaultRule, Entity
from nexus_reimport.model import KEY, Outcome, Plan, Snapshot
from nexus_reimport.planning import attachments
from nexus_reimport.planning.gathered import Detail, Gathered

CLEANED = "cleaned.csv"
LEDGER, MISFITS, OVERRIDES = "ledger.csv", "misfits.csv", "overrides.csv"


def ids(plan: Plan, private: Path, record: Path) -> None:
    """The outcomes id by id, for the record: the ledger without its routine lines."""
    rowfile.to_csv(
        private,
        plan.ledger,
        record / LEDGER,
        lambda line: line[2] not in _ROUTINE or bool(line[3]),
    )
    rowfile.to_csv(private, plan.misfits, record / MISFITS, lambda line: True)
    rowfile.to_csv(private, plan.overrides, record / OVERRIDES, lambda line: True)
    files = [link.unplaced for link in plan.links.values() if link.unplaced]
    lines = (line for file in files for line in rowfile.read(private, file))
    rowfile.write_csv(record / "unplaced.csv", attachments.UNPLACED_COLUMNS, lines)


def cleaned(snapshot: Snapshot, private: Path, record: Path) -> None:
    """The records whose texts were cleaned, id by id."""
    (record / CLEANED).unlink(missing_ok=True)  # of an earlier reading by the same run
    if snapshot.cleaned and snapshot.cleaned.rows:
        rowfile.to_csv(private, snapshot.cleaned, record / CLEANED, lambda line: True)


# These lines are most of the ledger, and say only that a record was used.
_ROUTINE = frozenset({Outcome.REPLACED, Outcome.MERGED, Outcome.LINKED, Outcome.LOOKED_UP})


def values(plan: Plan, intake: Intake, zone: ZoneInfo) -> None:
    """Lists with values: records left out, values that do not fit, values that differ."""
    private = intake.folder
    rowfile.to_csv(private, plan.differences, private / "differences.csv", lambda line: True)
    _left_out(plan, intake)
    _misfits(plan, intake, zone)


def _left_out(plan: Plan, intake: Intake) -> None:
    """One file per source: rule, what the source is for, and the whole record."""
    private, folder = intake.folder, intake.folder / "left_out"
    for path in folder.glob("*.csv"):  # of an earlier plan of the same run
        path.unlink()
    rules: dict[str, dict[str, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for source, entity, outcome, why, filemaker_id, _ in rowfile.read(private, plan.ledger):
        if outcome == Outcome.LEFT_OUT:
            rules[source or ""][filemaker_id or ""].append((why or "", entity or ""))
    for source, by_id in rules.items():
        fields = tuple(intake.mapping.sources[source].fields)
        lines = (
            (why, entity, *(record[f] for f in fields))
            for record in intake.records(source)
            for why, entity in by_id.get(record[KEY], ())
        )
        make_folder(folder)
        rowfile.write_csv(folder / f"{source}.csv", ("rule", "for", *fields), lines)


def _misfits(plan: Plan, intake: Intake, zone: ZoneInfo) -> None:
    """Each value that does not fit, as FileMaker has it."""
    private = intake.folder
    wanted: dict[str, dict[str, list[tuple[str, str, str]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for entity, column, reason, filemaker_id, became in rowfile.read(private, plan.misfits):
        wanted[entity or ""][filemaker_id or ""].append((column or "", reason or "", became or ""))
    gathered = {
        source: Gathered.read(intake, source)
        for entity in wanted
        for source in intake.mapping.entities[entity].gathered()
    }
    given = Given(zone, plan.as_of)

    def held(spec: Entity, column: str, reason: str, record: Record) -> str:
        fed = spec.columns.get(column)
        if fed is None or not fed.gather:
            return _held(spec, column, record)
        (details,) = gathered[fed.gather].of([record.id])
        those = [one for one in details if reason in _reasons(fed, one, given)]
        return " | ".join(_of_detail(fed, one) for one in those or details)

    lines = (
        (entity, column, reason, became, record[KEY], held(spec, column, reason, record))
        for entity, by_id in wanted.items()
        for spec in (intake.mapping.entities[entity],)
        for record in intake.records(spec.source)
        for column, reason, became in by_id.get(record[KEY], ())
    )
    header = ("entity", "column", "reason", "became", "filemaker_id", "values")
    rowfile.write_csv(private / MISFITS, header, lines)


def _reasons(card: ColumnSpec, detail: Detail, given: Given) -> tuple[str, ...]:
    """What does not fit, or was replaced, of one of the records that are gathered into a card."""
    named = {name: detail[field] for name, field in card.with_.items()}
    partial = card.converter.make(given._replace(named=card.with_, details=(named,)))
    return (*partial.misfits, *partial.derived)


def _of_detail(card: ColumnSpec, detail: Detail) -> str:
    """One of these records: its source, its id, and the values that the card takes of it."""
    fields = dict.fromkeys(card.with_.values())
    held = "; ".join(f"{field}: {detail[field]}" for field in fields if detail[field].strip())
    return f"{card.gather} {detail[KEY]}: {held}"


def _held(spec: Entity, column: str, record: Record) -> str:
    """FileMaker's values for a column, or for the one by which a rule decides it."""
    rule = spec.new.get(column)
    by = rule if isinstance(rule, DefaultRule) else None
    fed = spec.columns.get(column) or (spec.columns.get(by.column) if by else None)
    fields = fed.fields_used if fed else (by.source_field,) if by and by.source_field else ()
    return "; ".join(f"{field}: {record[field]}" for field in fields)
