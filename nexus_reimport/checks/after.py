"""Checks after COMMIT, on a fresh connection, every row looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexus_reimport import strict_json
from nexus_reimport.checks import Finding, bucket, check
from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.intake import OfIntake, id_maps
from nexus_reimport.mapping import Entity
from nexus_reimport.model import Census, Level, Outcome, Plan
from nexus_reimport.nexus.fingerprint import Fingerprint, differing
from nexus_reimport.nexus.links import AttachmentState
from nexus_reimport.nexus.sequences import Reading
from nexus_reimport.nexus.tables import Role
from nexus_reimport.planning import attachments


@dataclass(frozen=True, slots=True)
class Answers:
    """What the application's own queries gave; keys of the rows that did not appear."""

    opened: int  # patients that open by their id
    not_opened: tuple[str, ...]
    shown: dict[str, int]  # attachments that the patients' pages show
    calendar_events: int
    calendar_broken: tuple[str, ...]  # appointments on which the calendar's code fails
    found_by_name: int
    not_found: tuple[str, ...]
    sample: str  # one patient drawn at random: its FileMaker id, and what its page shows


@dataclass(frozen=True, slots=True)
class After(OfIntake):
    """What the checks after look at: Nexus read afresh, beside what was planned."""

    plan: Plan
    census: Census
    now: dict[str, RowFile]  # each wiped table as it is
    attachments: dict[str, RowFile]
    states: dict[str, AttachmentState]
    fingerprints: dict[str, Fingerprint]
    census_now: Census
    answers: Answers
    next_keys: tuple[Reading, ...]  # of each sequence behind a wiped table
    schema_changes: tuple[str, ...]  # since the survey

    def was_empty(self, entity: str) -> bool:
        """Whether the table held no row before the run, by its fingerprint."""
        return not self.survey.tables[self.mapping.entities[entity].table].fingerprint.rows

    def rows(self, entity: str) -> Iterator[dict[str, str | None]]:
        """The rows of one entity as they are."""
        return rowfile.read_dicts(self.folder, self.now[entity])

    def attached(self, attachment: str) -> Iterator[dict[str, str | None]]:
        """The documents or images as they are, with what links and identifies each."""
        return rowfile.read_dicts(self.folder, self.attachments[attachment])


def _filemaker_ids(after: After, entity: str) -> Finding:
    """Every loaded record of ``entity`` is a row now, under the id that the plan gave it."""
    key = after.survey.keys[entity]
    there = {row[key] for row in after.rows(entity)}
    loaded = [
        (filemaker_id or "", nexus_id)
        for _, name, outcome, _, filemaker_id, nexus_id in rowfile.read(
            after.folder, after.plan.ledger
        )
        if name == entity and outcome in (Outcome.NEW, Outcome.REPLACED)
    ]
    source = after.mapping.entities[entity].source
    plan = after.plan.entities[entity]
    in_filemaker = after.snapshot.extracts[source].rows - sum(plan.left_out.values())
    note = f"{in_filemaker:,} in FileMaker, {len(loaded):,} loaded, {plan.kept:,} kept beside them"
    missing = [filemaker_id for filemaker_id, nexus_id in loaded if nexus_id not in there]
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


@check(After, Level.STOP, serves=("R2", "R3"), waivable=False)
def the_next_keys_are_free(after: After) -> Finding:
    """What each sequence gives out next is free: the application can add rows."""
    off = [str(reading) for reading in after.next_keys if not reading.is_free]
    note = "" if after.next_keys else "no key comes from a sequence"
    return Finding(max(1, len(after.next_keys)), off, note=note)


@check(After, Level.STOP, serves=("D1", "D2", "D3", "D4", "D5", "D6"))
def every_row_is_as_planned(after: After) -> Finding:
    """Every row of every wiped table equals the plan's, value by value."""
    looked, off = 0, []
    for entity, plan in after.plan.entities.items():
        key = after.survey.keys[entity]
        json = _json_columns(after, entity)
        planned = {r[key]: r for r in rowfile.read_dicts(after.folder, plan.file)}
        for row in after.rows(entity):
            looked += 1
            wanted = planned.pop(row[key], None)
            if wanted is None or any(_differ(row.get(c), wanted[c], c in json) for c in wanted):
                off.append(f"{entity} {row[key]}")
        off += [f"{entity} {missing}" for missing in planned]
        looked += len(planned)
    return Finding(looked, off)


@check(After, Level.STOP, serves=("K7", "K8", "X4"))
def what_only_nexus_knows_was_carried_over(after: After) -> Finding:
    """Columns, and keys in JSON columns, that FileMaker does not feed are what they were.

    Values that a person or a named rule has set, listed one by one in the plan, are left aside.
    """
    looked, off = 0, []
    overrides = {line[:3] for line in rowfile.read(after.folder, after.plan.overrides)}
    for entity, spec in after.mapping.entities.items():
        fed = set(spec.fed_columns())
        by_key = {n.partition(".")[0] for n, c in spec.columns.items() if c.gather or "." in n}
        key, json = after.survey.keys[entity], _json_columns(after, entity)
        was = {r[key]: r for r in after.intake.rows(entity)}
        for row in after.rows(entity):
            then = was.get(row[key])
            if then is not None:
                looked += 1
                rest = (c for c in then if c not in fed)
                differ = [c for c in rest if _differ(row.get(c), then[c], c in json)]
                carried = all((entity, row[key], c) in overrides for c in differ)
                if not carried or not all(
                    strict_json.same_documents(
                        _unfed(spec, c, row.get(c)), _unfed(spec, c, then[c])
                    )
                    for c in by_key
                ):
                    off.append(f"{entity} {row[key]}")
    is_new = all(map(after.was_empty, after.mapping.entities))
    return Finding(looked, off, empty="no table held a row before the run" if is_new else "")


def _json_columns(after: After, entity: str) -> set[str]:
    return {c.name for c in after.survey.columns[entity] if c.type in ("json", "jsonb")}


def _unfed(spec: Entity, column: str, text: str | None) -> Any:
    """What of a JSON column FileMaker does not feed; all of it where it cannot be read."""
    try:
        document = strict_json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return text
    if not isinstance(document, dict):
        return {}
    for name, feed in spec.columns.items():
        base, _, path = name.partition(".")
        if base == column and feed.gather:
            dropped = {key for keys in feed.parts.values() for key in keys}
            document = {k: v for k, v in document.items() if k not in dropped}
        elif base == column and path:
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
    looked, off = 0, []
    key = after.survey.keys[entity]
    for row in after.rows(entity):
        looked += 1
        if column and not row[column]:
            off.append(row[key] or "")
    records = after.snapshot.extracts[after.mapping.entities[entity].source].rows
    empty = f"neither FileMaker nor Nexus has any {entity}"
    return Finding(looked, off, empty=empty if after.was_empty(entity) and not records else "")


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


def _hang_right(after: After, name: str) -> Finding:
    """Every attachment that FileMaker can place hangs on the patient that FileMaker names.

    Worked out afresh from FileMaker's records and Nexus's rows as they are, not from the plan.
    """
    spec = after.mapping.attachments.get(name)
    if spec is None:
        return Finding(1, note="not in this mapping")
    owner = spec.owner.entity
    loaded = id_maps(rowfile.read(after.folder, after.plan.id_map))
    owners = dict(loaded.get(owner, ()))
    placed = attachments.place(after.intake, name, after.attached(name), owners)
    model = after.mapping.entities[owner].model
    wanted_type = str(after.survey.content_types.get(model, "")) if spec.link.content_type else None
    wrong = [
        p.key
        for p in placed
        if p.owner and p.content_type in (None, wanted_type) and p.object != p.owner
    ]
    state, plan = after.states[name], after.plan.links[name]
    if state.linked != plan.reachable_after or len(placed) != plan.rows:
        wrong.append("count")
    note = (
        f"{state.linked:,} of {state.rows:,} on a live patient, {plan.reachable_before:,} before;"
        f" {state.linked_elsewhere:,} on something else, {state.dangling + state.unlinked:,} on"
        f" nothing"
    )
    return Finding(max(1, len(placed)), wrong, note=note)


@check(After, Level.STOP, serves=("A5", "R4", "R6", "K3"), links=True)
def every_document_hangs_on_its_patient(after: After) -> Finding:
    """Every document that FileMaker can place hangs on the patient that FileMaker names."""
    return _hang_right(after, "documents")


@check(After, Level.STOP, serves=("A6", "R5", "R6", "K4", "K5"), links=True)
def every_image_hangs_on_its_patient(after: After) -> Finding:
    """Every image that FileMaker can place hangs, by its batch, on the patient it names."""
    return _hang_right(after, "images")


@check(After, Level.STOP, serves=("A7",), links=True)
def every_patient_opens_with_its_attachments(after: After) -> Finding:
    """Every patient opens, and the patients' pages show all linked documents and images."""
    answers = after.answers
    off = list(answers.not_opened)
    off += [name for name, shown in answers.shown.items() if shown != after.states[name].linked]
    return Finding(answers.opened + len(answers.not_opened), off, note=answers.sample)


@check(After, Level.STOP, serves=("A8",))
def the_calendar_shows_every_appointment(after: After) -> Finding:
    """The calendar's query gives every appointment, and none on which the calendar fails."""
    calendar = after.mapping.application.calendar
    planned = after.plan.entities[calendar.entity].rows_after
    off = list(after.answers.calendar_broken)
    if after.answers.calendar_events != planned:
        off.append("count")
    note = f"{after.answers.calendar_events:,} events, {planned:,} appointments"
    return Finding(max(1, planned), off, note=note)


@check(After, Level.STOP, serves=("A9",))
def search_finds_every_patient_by_name(after: After) -> Finding:
    """The application's search finds every patient by its own name."""
    answers = after.answers
    return Finding(answers.found_by_name + len(answers.not_found), answers.not_found)


@check(After, Level.REVIEW, serves=("K6", "K7", "K8", "K9", "K10", "K11", "K12", "K13"), links=True)
def protected_tables_are_as_they_were(after: After) -> Finding:
    """Protected tables hold what they held, volatile columns aside.

    The run itself wrote to none of them: that is checked inside the transaction. What differs here
    was written by others in the meantime.
    """
    before = after.survey.fingerprints(Role.PROTECTED)
    differ = [t for t in differing(before, after.fingerprints) if before[t].digest]
    skipped = sum(not f.digest for f in before.values())
    note = f"{skipped} tables are volatile as a whole and only counted" if skipped else ""
    return Finding(len(before), differ, note=note)


@check(After, Level.REVIEW, serves=("M1",), links=True)
def the_schema_is_as_surveyed(after: After) -> Finding:
    """The schema of the mapped tables, and what points at them, is what it was.

    Until COMMIT that is certain; what differs here was changed by others after it.
    """
    return Finding(max(1, len(after.survey.schema)), after.schema_changes)


@check(After, Level.STOP, serves=("K1", "K2"), links=True)
def no_file_was_lost(after: After) -> Finding:
    """Every file that was in S3 before is there, unchanged."""
    before = dict(_sized(after.folder, after.census.file))
    now = dict(_sized(after.folder, after.census_now.file))
    wanted = attachments.kept_files(after.intake)
    stored = bucket.stored(after.census, after.folder)
    ours = [real for keys in wanted.values() for key in keys if (real := stored.real(key))]
    lost = sum(key not in now or not _unchanged(before[key], now[key]) for key in ours)
    return Finding(max(1, len(ours)), count=lost, note=f"{len(now):,} objects in the bucket")


def _sized(folder: Path, file: RowFile) -> Iterator[tuple[str, tuple[str, str]]]:
    for key, size, etag in rowfile.read(folder, file):
        yield key or "", (size or "", etag or "")


def _unchanged(before: tuple[str, str], now: tuple[str, str]) -> bool:
    """Whether size and etag are the same; an etag that the server does not tell is no other one."""
    (size, etag), (size_now, etag_now) = before, now
    return size == size_now and (etag == etag_now or not etag or not etag_now)


@check(After, Level.REVIEW, serves=("K1", "K2"), links=True)
def no_more_files_are_missing(after: After) -> Finding:
    """Every document and image has its file in S3."""
    there = bucket.stored(after.census_now, after.folder)
    wanted = attachments.kept_files(after.intake)
    keys = [key for listed in wanted.values() for key in listed]
    return Finding(max(1, len(keys)), count=sum(not there.real(key) for key in keys))
