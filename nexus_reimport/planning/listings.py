"""Lists for people: ids go into the record, values only into the private folder."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

from nexus_reimport.convert.registry import Given
from nexus_reimport.files import rowfile
from nexus_reimport.files.private import make_folder
from nexus_reimport.intake import Intake, Record
from nexus_reimport.mapping import ColumnSpec, DefaultRule, Entity
from nexus_reimport.model import KEY, Outcome, Plan, Snapshot
from nexus_reimport.planning import attachments, external_ids
from nexus_reimport.planning.gathered import Detail, Gathered

CLEANED = "cleaned.csv"
LEDGER, MISFITS, OVERRIDES = "ledger.csv", "misfits.csv", "overrides.csv"
EXTERNAL_IDS = "external_ids.csv"


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
    _external_ids(plan, intake)


def _external_ids(plan: Plan, intake: Intake) -> None:
    """Who has another id of another system in FileMaker than in Nexus, and which."""
    path = intake.folder / EXTERNAL_IDS
    path.unlink(missing_ok=True)  # of an earlier plan of the same run
    # A run that only re-links has read no records of an entity.
    planned = [n for n, s in intake.mapping.external_ids.items() if s.entity in plan.entities]
    lines = (
        (name, one.what, one.filemaker_id, one.nexus_id, one.in_filemaker, " | ".join(one.in_nexus))
        for name in planned
        for one in external_ids.compared(plan, intake, name)
        if one.what
    )
    if planned:
        header = ("name", "what", "filemaker_id", "nexus_id", "in_filemaker", "in_nexus")
        rowfile.write_csv(path, header, lines)


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

    def details(spec: Entity, record: Record, column: str) -> _Details:
        fed = spec.columns[column]
        (those,) = gathered[fed.gather].of([record.id])
        return _Details.of(fed, those, given)

    lines = (
        (entity, *line, became, record[KEY], held)
        for entity, by_id in wanted.items()
        for spec in (intake.mapping.entities[entity],)
        for record in intake.records(spec.source)
        if record[KEY] in by_id
        for (*line, became), held in _with_values(
            by_id[record[KEY]], record, spec, partial(details, spec, record)
        )
    )
    header = ("entity", "column", "reason", "became", "filemaker_id", "values")
    rowfile.write_csv(private / MISFITS, header, lines)


Line = tuple[str, str, str]  # column, reason, and what the column holds instead


def _with_values(
    lines: Sequence[Line], record: Record, spec: Entity, gathered: Callable[[str], _Details]
) -> Iterator[tuple[Line, str]]:
    """The lines of one record, each with the values that it is of."""
    left = Counter((column, reason) for column, reason, _ in lines)
    by_column: dict[str, _Details] = {}
    for line in lines:
        column, reason, _ = line
        fed = spec.columns.get(column)
        if fed is None or not fed.gather:
            yield line, _held(spec, column, record)
            continue
        if column not in by_column:
            by_column[column] = gathered(column)
        left[column, reason] -= 1
        yield line, by_column[column].taken(reason, is_last=not left[column, reason])


@dataclass(frozen=True, slots=True)
class _Details:
    """The records that are gathered into a card of one record, as texts, by what does not fit."""

    every: Sequence[str]
    by_reason: dict[str, deque[str]]

    @classmethod
    def of(cls, card: ColumnSpec, details: Sequence[Detail], given: Given) -> Self:
        """Those of one card."""
        every, by_reason = list[str](), defaultdict[str, deque[str]](deque)
        for one in details:
            every.append(_of_detail(card, one))
            for reason in _reasons(card, one, given):
                by_reason[reason].append(every[-1])
        return cls(every, dict(by_reason))

    def taken(self, reason: str, *, is_last: bool) -> str:
        """The next one for this reason, for its last line all that are left; else all of them.

        Not all in each line: of one person there may be thousands.
        """
        if reason not in self.by_reason:
            self.by_reason[reason] = deque(self.every)
        those = self.by_reason[reason]
        return " | ".join(those) if is_last or len(those) < 2 else those.popleft()


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
