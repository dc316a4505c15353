"""Checks before: the values fit, and the columns that the calendar needs are filled."""

from __future__ import annotations

from nexus_reimport import wording
from nexus_reimport.checks import NOTHING_OF_THIS_KIND, Finding, check, merged
from nexus_reimport.checks.before.subject import LOADED, Before
from nexus_reimport.filemaker.cleaning import loses
from nexus_reimport.files import columns
from nexus_reimport.model import KEY, Level


@check(Before, Level.REVIEW, serves=("M3",))
def every_value_fits(before: Before) -> Finding:
    """Every FileMaker value fits the column that it feeds; one that does not counts as empty."""
    misfits = [
        (e.entity, m, m.not_stored) for e in before.plan.entities.values() for m in e.misfits
    ]
    keys = [f"{entity}.{m.column}: {m.reason} ({count:,})" for entity, m, count in misfits if count]
    extracts = before.snapshot.extracts.values()
    lost = [(e.source, c) for e in extracts for c in e.cleaned if loses(c.what)]
    keys += [f"{source}.{c.field}: {c.what} ({c.records:,})" for source, c in lost]
    derived = sum(m.derived for _, m, _ in misfits)
    looked = sum(fit.held for e in before.plan.entities.values() for fit in e.fits)
    unseen = sum(len(e.numbers_alone) for e in extracts)
    more = wording.amount(derived, "more is", "more are")
    notes = [f"{more} derived from another value"] if derived else []
    if unseen:
        fields = wording.amount(unseen, "number field")
        notes.append(f"words in {fields} do not arrive: no count of them is possible")
    note = "; ".join(notes)
    count = sum(count for *_, count in misfits) + sum(c.records for _, c in lost)
    return Finding(looked, keys, count=count, note=note)


def _without(before: Before, entity: str, column: str) -> Finding:
    if not column:
        return Finding(0, empty=NOTHING_OF_THIS_KIND)
    missing: list[str] = []
    key, file = before.survey.keys[entity], before.plan.entities[entity].file
    if file.rows:
        missing = columns.empty(columns.read(before.folder, file, (key, column)), column, key)
    return Finding(file.rows, missing, empty=before.neither_side(entity))


@check(Before, Level.STOP, serves=("B3", "X5"))
def every_planned_patient_has_a_clinic(before: Before) -> Finding:
    """Every planned patient has a clinic.

    Without one the calendar cannot place the patient; fix it in FileMaker or waive this check.
    """
    application = before.mapping.application
    return _without(before, before.mapping.people(), application.patient_clinic)


@check(Before, Level.STOP, serves=("B4",))
def every_planned_appointment_has_a_clinic(before: Before) -> Finding:
    """Every planned appointment has a clinic.

    The application's page of a day fails if one of its appointments has none.
    """
    calendar = before.mapping.application.calendar
    return _without(before, calendar.entity, calendar.clinic)


@check(Before, Level.STOP, serves=("B4", "X4"))
def every_planned_appointment_has_a_clinician(before: Before) -> Finding:
    """Every planned appointment has a clinician; FileMaker has no field for it."""
    calendar = before.mapping.application.calendar
    return _without(before, calendar.entity, calendar.clinician)


@check(Before, Level.STOP, serves=("B4", "X4"))
def every_planned_appointment_has_a_type(before: Before) -> Finding:
    """Every planned appointment has a type; FileMaker has no field for it."""
    calendar = before.mapping.application.calendar
    return _without(before, calendar.entity, calendar.type)


@check(Before, Level.REVIEW, serves=("P5", "F1", "X5"))
def filemaker_names_a_clinic_for_every_patient(before: Before) -> Finding:
    """In FileMaker every patient has a clinic that Nexus knows."""
    return _fed_by(before, before.mapping.people(), before.mapping.application.patient_clinic)


@check(Before, Level.REVIEW, serves=("P6", "F4", "X4"))
def filemaker_names_clinic_clinician_and_type(before: Before) -> Finding:
    """In FileMaker every appointment has clinic, clinician and type; each is counted by itself."""
    calendar = before.mapping.application.calendar
    named = filter(None, (calendar.clinic, calendar.clinician, calendar.type))
    return merged(_fed_by(before, calendar.entity, column) for column in named)


def _fed_by(before: Before, entity: str, column: str) -> Finding:
    """Loaded records whose value for ``column`` is empty, or is a name that Nexus does not have."""
    if not column:
        return Finding(0, empty=NOTHING_OF_THIS_KIND)
    feed = before.mapping.entities[entity].columns.get(column)
    if feed is None:  # a column that nothing feeds is missing in every record
        rows = before.plan.entities[entity].loaded
        note = f"FileMaker has no field for {column}"
        return Finding(rows, count=rows, note=note, empty=before.neither_side(entity))
    source = before.mapping.entities[entity].source
    loaded = before.lines("filemaker_id", entity={entity}, outcome=LOADED)["filemaker_id"].unique()
    fields = feed.fields_used
    records = before.intake.records(source)
    bare = columns.of(r[KEY] for r in records if not any(r[f].strip() for f in fields))
    empty = list(columns.texts(bare.filter(columns.among(bare, loaded))))
    unknown = sum(
        m.stays + m.empty for m in before.plan.entities[entity].misfits if m.column == column
    )
    note = f"{len(empty):,} empty, {unknown:,} unknown to Nexus"
    return Finding(
        len(loaded), empty, count=len(empty) + unknown, note=note, empty=before.neither_side(entity)
    )


@check(Before, Level.REVIEW, serves=("X1", "X2", "X3", "F2"))
def asked_for_fields_exist(before: Before) -> Finding:
    """Every field that the clinic asks for exists in FileMaker."""
    fields = [(e.table, f) for e in before.snapshot.extracts.values() for f in e.fields]
    absent = [
        f"{table}.{f.name}" + (f" (nearest: {', '.join(f.nearest)})" if f.nearest else "")
        for table, f in fields
        if not f.found_as
    ]
    return Finding(len(fields), absent, note="Nexus keeps what it has" if absent else "")
