"""A mapping is checked when it is loaded; all that is wrong comes at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nexus_reimport import PACKAGE, mapping
from nexus_reimport.errors import MappingError
from nexus_reimport.files import toml_places

SHIPPED = PACKAGE / "mappings" / "nexus.toml"


def broken(tmp_path: Path, *changes: tuple[str, str]) -> str:
    text = SHIPPED.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(MappingError) as told:
        mapping.load("own.toml", tmp_path)
    return str(told.value)


def text_line(text: str) -> int:
    """The line of the shipped mapping on which ``text`` stands."""
    return SHIPPED.read_text().partition(text)[0].count("\n") + 1


def test_the_shipped_mapping_covers_what_is_deleted() -> None:
    shipped = mapping.load("nexus")
    served = {e.serves for e in shipped.entities.values()}
    assert served == {"D1", "D2", "D3", "D4", "D5", "D6"}
    assert shipped.people() == "patients"


def test_a_field_that_no_source_declares_is_told(tmp_path: Path) -> None:
    told = broken(tmp_path, ('first_name = { from = "nameFirst" }', 'first_name = { from = "x" }'))
    line = text_line('first_name = { from = "nameFirst" }')
    place = f"line {line}, entities.patients.columns.first_name"
    assert f"{place}: contacts has no field x" in told


def test_the_column_of_filemakers_id_is_fed_by_the_key(tmp_path: Path) -> None:
    """Else the next run would find no row by what this one has put there."""
    told = broken(
        tmp_path,
        (
            '"filemaker_metadata.filemaker_id" = { from = "id"',
            '"filemaker_metadata.filemaker_id" = { from = "CYS_ID"',
        ),
    )
    assert "filemaker_metadata.filemaker_id holds FileMaker's id" in told
    assert "the key of contacts (id) must feed it" in told


def test_a_name_with_an_umlaut_that_stands_without_quotes_is_told(tmp_path: Path) -> None:
    told = broken(tmp_path, ('gender = "text"', 'Geschl\u00e4cht = "text"'))
    assert "is not valid TOML" in told
    assert "stands in quotes" in told


def test_all_problems_come_in_one_message(tmp_path: Path) -> None:
    told = broken(
        tmp_path,
        ('last_name = { from = "nameLast" }', 'last_name = { from = "y" }'),
        ('convert = "entity", entity = "patients" }', 'convert = "entity", entity = "people" }'),
    )
    assert "has no field y" in told
    assert "people must be an entity listed before" in told


def test_an_external_id_names_what_is_there(tmp_path: Path) -> None:
    told = broken(
        tmp_path,
        ('field = "_kf_XeroContactID"', 'field = "Xero"'),
        ('table = "xero_contact_links"', 'table = "patients"'),
    )
    assert "external_ids.xero_contacts.field: contacts has no field Xero" in told
    assert "external_ids.xero_contacts.table: patients is wiped" in told
    told = broken(
        tmp_path,
        ('[external_ids.xero_contacts]\nentity = "patients"', "[external_ids.x]\nentity = 'p'"),
    )
    assert "external_ids.x.entity: no entity is called p" in told


def test_a_mistyped_key_is_told(tmp_path: Path) -> None:
    assert "matched_at_lest" in broken(tmp_path, ("matched_at_least", "matched_at_lest"))


def test_a_converter_that_lacks_its_parts_is_told(tmp_path: Path) -> None:
    told = broken(tmp_path, (', with = { time = "startTime" } }', " }"))
    assert "`with` lacks time" in told


def test_a_mapping_that_is_nowhere_is_told(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="neither shipped nor a file"):
        mapping.load("none.toml", tmp_path)


def test_another_text_has_another_digest(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(SHIPPED.read_text() + "\n")
    assert mapping.load("own.toml", tmp_path).digest != mapping.load("nexus").digest


PATIENT = 'patient_id = { from = "id_Contact", convert = "entity", entity = "patients" }'
MOBILE = 'keys = ["phones", "emails", "email"], replaces = ["phone", "mobile"]'


@pytest.mark.parametrize(
    ("old", "new", "place", "told"),
    [
        # sources
        (
            'to = "contacts", resolves',
            'to = "contcts", resolves',
            "sources.events.links.0.to",
            "no source is called contcts",
        ),
        (
            'field = "id_Contact", to',
            'field = "id_Cntct", to',
            "sources.events.links.0.field",
            "events has no field id_Cntct",
        ),
        (
            'modified = "modificationTimestamp"',
            'modified = "modified"',
            "sources.contacts.modified",
            "contacts has no field modified",
        ),
        (
            'modified = "modificationTimestamp"',
            'modified = "Area"',
            "sources.contacts.modified",
            "Area is a text: name a date or a timestamp",
        ),
        (
            "resolves_at_least = 0.9 }",
            "resolves_at_least = 90 }",
            "sources.events.links.0.resolves_at_least",
            "less than or equal to 1",
        ),
        ('key = "id"', 'key = "ids"', "sources.contacts.key", "contacts has no field ids"),
        (
            'key = "id"',
            'columns = ["id", "x"]\nkey = "id"',
            "sources.contacts.columns",
            "the field title is missing",
        ),
        # entities
        (
            'source = "events"',
            'source = "evnts"',
            "entities.appointments.source",
            "no source is called evnts",
        ),
        (
            'table = "appointments"\n',
            'table = "patients"\n',
            "entities.patients.table",
            "patients is already the table of appointments",
        ),
        (
            'filemaker_id = "filemaker_event_id"',
            'filemaker_id = "event_id"',
            "entities.appointments.filemaker_id",
            "no column event_id is fed",
        ),
        (
            'by = ["patient_id", "start_time"]',
            'by = ["patient_id", "started"]',
            "entities.appointments.identity.1.by",
            "no column started is fed as a whole",
        ),
        (
            'by = ["patient_id", "start_time"]',
            "by = []",
            "entities.appointments.identity.1.by",
            "at least 1 item",
        ),
        (
            'folded = ["content"]',
            'folded = ["text"]',
            "entities.notes.identity.0.folded",
            "text is not one of the columns in `by`",
        ),
        (
            'then = ["note_type", "created_by", "created_at"]',
            'then = ["typ"]',
            "entities.notes.identity.0.then",
            "no column typ",
        ),
        (
            "matched_at_least = 0.9",
            "matched_at_least = 90",
            "entities.patients.matched_at_least",
            "less than or equal to 1",
        ),
        (
            'empty = ["id_Contact"]',
            'empty = ["id_Cntct"]',
            "entities.appointments.left_out.0.empty",
            "events has no field id_Cntct",
        ),
        (
            'at_most = 0.02, unresolved = "patient_id"',
            'at_most = 0.02, unresolved = "clinic_id"',
            "entities.appointments.left_out.1.unresolved",
            "clinic_id is a lookup",
        ),
        (
            'at_most = 0.02, unresolved = "patient_id"',
            'at_most = 0.02, unresolved = "pat"',
            "entities.appointments.left_out.1.unresolved",
            "no column pat",
        ),
        (
            'name = "without_start_date"',
            'name = "without_patient"',
            "entities.appointments.left_out",
            "2 rules are called without_patient",
        ),
        # columns
        (
            PATIENT,
            PATIENT.replace('entity = "patients"', 'entity = "people"'),
            "entities.appointments.columns.patient_id.entity",
            "people must be an entity listed",
        ),
        (
            PATIENT,
            PATIENT.replace('convert = "entity", ', ""),
            "entities.appointments.columns.patient_id",
            '`entity` is for convert = "entity"',
        ),
        (
            PATIENT,
            PATIENT.replace(" }", ', with = { time = "startTime" } }'),
            "entities.appointments.columns.patient_id",
            "`with` does not know time",
        ),
        (
            'Dr = ["dr", "doctor"]',
            'Dr = ["dr", "doctor", "MR."]',
            "entities.patients.columns.title",
            "choices: MR. is a spelling of two of them",
        ),
        (
            'minutes = "30"',
            'minutes = "thirty"',
            "entities.appointments.columns.end_time",
            "minutes must be a whole number",
        ),
        (
            'not_before = "plan_start_date"',
            'not_before = "plan_start"',
            "entities.patients.columns.plan_end_date.not_before",
            "no column plan_start",
        ),
        (
            'through = "calendars"',
            'through = "calendar"',
            "entities.appointments.columns.clinic_id.lookup.1.through",
            "no source is called calendar",
        ),
        (
            'take = "name"',
            'take = "nam"',
            "entities.appointments.columns.clinic_id.lookup.1.take",
            "calendars has no field nam",
        ),
        (
            'table = "clinics", match = "filemaker_id"',
            'table = "patients", match = "id"',
            "entities.patients.columns.clinic_id.lookup.0.table",
            "patients is wiped",
        ),
        (
            '"filemaker_metadata.area" =',
            "filemaker_metadata =",
            'entities.patients.columns."filemaker_metadata.filemaker_id"',
            "already fed as a whole",
        ),
        (
            '"filemaker_metadata.area" =',
            '"contact_json.email" =',
            'entities.patients.columns."contact_json.email"',
            "already has this key",
        ),
        (
            'gather = "contact_details", convert = "contact_card"',
            'gather = "details", convert = "contact_card"',
            "entities.patients.columns.contact_json.gather",
            "no source is called details",
        ),
        (
            'default_email = "Email default"',
            'default_email = "Email"',
            "entities.patients.columns.contact_json.with",
            "contact_details has no field Email",
        ),
        (
            '[{ field = "id.key", to = "contacts", covers_at_least = 0.9 }]',
            "[]",
            "sources.contact_details.links",
            "the first link must lead to contacts",
        ),
        (
            MOBILE,
            MOBILE.replace('"email"]', '"email", "fax"]'),
            "entities.patients.columns.contact_json",
            "contact_card does not make fax",
        ),
        (
            MOBILE,
            MOBILE.replace('"emails", ', ""),
            "entities.patients.columns.contact_json",
            "email without emails",
        ),
        (
            'gather = "contact_details", convert = "contact_card"',
            'gather = "contact_details", convert = "text"',
            "entities.patients.columns.contact_json",
            "`gather` and the converters contact_card",
        ),
        (
            MOBILE,
            MOBILE + ', kinds = { phone = ["Fest"], fax = ["Fax"] }',
            "entities.patients.columns.contact_json",
            "kinds: fax is none of address, email, mobile, phone",
        ),
        (
            MOBILE,
            MOBILE + ', kinds = { phone = ["Tel."], mobile = ["tel"] }',
            "entities.patients.columns.contact_json",
            "kinds: tel is a spelling of two of them",
        ),
        (
            PATIENT,
            PATIENT.replace(" }", ", kinds = { phone = [] } }"),
            "entities.appointments.columns.patient_id",
            "`keys`, `replaces` and `kinds` are only for cards",
        ),
        # forms of values, in the words of a mapping
        (
            'convert = "birth_date"',
            'convert = "birthdate"',
            "entities.patients.columns.dob.convert",
            "did you mean birth_date?",
        ),
        (
            'last_name = { from = "nameLast" }',
            'last_name = "nameLast"',
            "entities.patients.columns.last_name",
            "must be a table, in { }",
        ),
        (
            'empty = ["nameFirst", "nameLast"]',
            'empty = "nameFirst"',
            "entities.patients.left_out.0.empty",
            "must be a list, in [ ]",
        ),
        (
            'minutes = "30"',
            "minutes = 30",
            "entities.appointments.columns.end_time.with.minutes",
            'must be a text, in " "',
        ),
        (
            'key = "id"\nmodified',
            "key = []\nmodified",
            "sources.contacts.key",
            "must have at least 1 item",
        ),
        (
            'name = "filemaker_id", by = "filemaker_id"',
            'name = "filemaker_id", by = "id"',
            "entities.patients.identity.0.by",
            "must be 'filemaker_id', or a list, in [ ]",
        ),
        (
            'rule = "completed_if_past", column = "end_time"',
            'rule = "completed_when_past", column = "end_time"',
            "entities.appointments.new.status.rule",
            "did you mean completed_if_past?",
        ),
        # new
        (
            'from = "creationTimestamp", convert = "timestamp" }',
            'from = "created", convert = "timestamp" }',
            "entities.patients.new.created_at.from",
            "contacts has no field created",
        ),
        (
            '{ rule = "completed_if_past", column = "end_time", ',
            '{ rule = "completed_if_past", ',
            "entities.appointments.new.status",
            "completed_if_past: lacks column",
        ),
        # attachments, references, by hand, the application, volatile
        (
            'source = "docs"',
            'source = "doc"',
            "attachments.documents.source",
            "no source is called",
        ),
        (
            'owner = { field = "id_Contact", entity = "patients" }',
            'owner = { field = "id_Contact", entity = "people" }',
            "attachments.documents.owner.entity",
            "no entity is called people",
        ),
        (
            'exported = "NexusExportDate"',
            'exported = "Exported"',
            "attachments.documents.exported",
            "docs has no field Exported",
        ),
        (
            r"images-bulk-dump/(\d+)",
            r"images-bulk-dump/(\d+",
            "attachments.images.identity.1.pattern",
            "is not a regular expression",
        ),
        (
            r"images-bulk-dump/(\d+)",
            r"images-bulk-dump/\d+",
            "attachments.images.identity.1.pattern",
            "has 0 groups",
        ),
        (
            'table = "documents_document"\nsource',
            'table = "notes"\nsource',
            "attachments.documents.table",
            "notes is wiped",
        ),
        (
            'model = "patients.patient"\n',
            "",
            "attachments.documents.link.content_type",
            "needs `content_types`",
        ),
        (
            'entities = ["patients", "appointments"]',
            'entities = ["patients", "visits"]',
            "references.6.entities",
            "no entity is called visits",
        ),
        (
            'object = "appointment_id"\nentities = ["appointments"]',
            'object = "appointment_id"',
            "references.5",
            "points at nothing",
        ),
        (
            '[by_hand.funding]\nentity = "patients"',
            '[by_hand.funding]\nentity = "people"',
            "by_hand.funding.entity",
            "no entity is called people",
        ),
        (
            '"patient_id.last_name"',
            '"patient.last_name"',
            "by_hand.appointments.show",
            "patient is not a column that leads to an entity",
        ),
        (
            'columns = { funding_type_id = "funding_sources.name" }',
            'columns = { funding_type_id = "funding_sources" }',
            "by_hand.funding.columns.funding_type_id",
            "write table.column",
        ),
        ("[by_hand.funding]", '[by_hand."a/b"]', 'by_hand."a/b"', "cannot be the name of a sheet"),
        (
            'calendar = { entity = "appointments"',
            'calendar = { entity = "visits"',
            "application.calendar.entity",
            "no entity is called visits",
        ),
        (
            'patient = "patient_id"',
            'patient = "clinic_id"',
            "application.calendar.patient",
            "clinic_id is not a column that leads to an entity",
        ),
        # attachments: which of two would say whose a row is? A rollback could put neither back.
        (
            'through = { table = "images_batch"',
            'through = { table = "documents_document"',
            "attachments.images.link",
            "documents has its links in documents_document, too",
        ),
        (
            "[volatile]\n",
            '[volatile]\nnotes = ["*"]\n',
            "volatile.notes",
            "the run writes this table",
        ),
    ],
)
def test_a_name_of_nothing_is_told_with_its_place(
    tmp_path: Path, old: str, new: str, place: str, told: str
) -> None:
    said = broken(tmp_path, (old, new))
    assert any(
        f", {place}: " in line and told in line and line.lstrip().startswith("line ")
        for line in said.splitlines()
    ), said


def test_a_mistyped_key_does_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    told = broken(
        tmp_path,
        ("matched_at_least = 0.9", "matched_at_lest = 0.9"),
        ('source = "events"', 'source = "evnts"'),
        ('exported = "NexusExportDate"', 'exported = "Exported"'),
    )
    for part in (
        "3 problems",
        "entities.patients.matched_at_lest: is not a known name",
        "no source is called evnts",
        "docs has no field Exported",
    ):
        assert part in told


def test_the_line_of_everything_in_the_shipped_mapping_is_found() -> None:
    text = SHIPPED.read_text()
    lines, rows = toml_places.lines(text), text.splitlines()
    looked = 0
    for path in walked(tomllib.loads(text)):
        line = toml_places.line_of(path, lines)
        looked += 1
        if isinstance(path[-1], str) and len(path) > 1:
            assert path[-1] in rows[line - 1], path
    assert looked > 1000


def walked(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from walked(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from walked(inner, (*path, number))


def test_lines_are_those_of_the_file_whatever_is_in_its_texts() -> None:
    text = 'a = """\n[b]\nc = 1\n"""  # "\n[d."e.f"]\ng = [\n  { h = "]" },  # }\n  { i = 2 },\n]\n'
    lines = toml_places.lines(text)
    assert toml_places.line_of(("a",), lines) == 1
    assert toml_places.line_of(("d", "e.f"), lines) == 5
    assert toml_places.line_of(("d", "e.f", "g", 1, "i"), lines) == 8
    assert toml_places.dotted(("d", "e.f", "g", 1)) == 'd."e.f".g.1'
