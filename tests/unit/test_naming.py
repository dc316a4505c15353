"""What people call entities, tables, stages and rules, wherever they are shown."""

from __future__ import annotations

import re

from nexus_reimport import mapping, naming, show
from nexus_reimport.runbook.steps import ORDER
from support.shown import PLAN


def test_an_entity_its_table_and_its_attachments_have_the_names_that_people_use() -> None:
    assert naming.rows("sms_messages") == "SMS messages"
    assert naming.rows("sms_inbound") == "SMS replies"
    assert naming.rows("letters_patientletter") == "letters"
    assert naming.rows("note_entries") == "note entries"
    assert naming.rows("patients") == "patients"


def test_no_name_of_the_shipped_mapping_is_shown_with_its_underscores() -> None:
    shipped = mapping.load("nexus")
    names = [*shipped.entities, *shipped.attachments, *shipped.by_hand]
    names += [entity.table for entity in shipped.entities.values()]
    assert [name for name in names if "_" in naming.rows(name)] == []


def test_rows_are_counted_in_the_singular_where_there_is_one() -> None:
    counts = {"patients": 2_842, "sms_inbound": 1, "sms_messages": 1, "notes": 0, "images_batch": 1}
    assert naming.counted(counts) == "2,842 patients, 1 SMS reply, 1 SMS message, 1 image batch"
    assert naming.counted({"patients": 0}) == "nothing"
    assert naming.links({"documents": 1, "images": 5}) == "1 link of documents, 5 links of images"
    assert naming.links({"documents": 0}) == "nothing"
    counts = {"patients": {"dob": 28, "title": 2}, "notes": {"content": 1}, "letters": {}}
    assert naming.values(counts) == (
        "30 values of patients (dob 28, title 2), 1 value of notes (content)"
    )


def test_rules_causes_and_stages_are_read_in_words() -> None:
    assert naming.words("not_in_filemaker") == "not in FileMaker"
    assert naming.words("ndis_plan_start_date") == "NDIS plan start date"
    assert naming.stage("survey_and_backup") == "read Nexus and back it up"
    assert [name for name in ORDER if "_" in naming.stage(name)] == []


def test_a_plan_shows_technical_names_only_of_columns_tables_files_and_lines_to_paste() -> None:
    columns = {c.column.partition(".")[0] for e in PLAN.entities.values() for c in e.changes}
    text = re.sub(r"^  decisions\..*$", "", repr(show.plan(PLAN)), flags=re.MULTILINE)
    found = {w for w in re.findall(r"\w*_\w*", text) if not re.fullmatch(r"\d+_\w+", w)}
    columns |= {m.column for e in PLAN.entities.values() for m in e.misfits}
    assert found - columns - {"left_out"} == set()  # a folder


def test_a_long_name_goes_on_between_its_words_and_no_tag_and_no_field_is_touched() -> None:
    html = (
        '<title>a_long_name</title><a href="/01_pre_flight.html">every_patient_has</a>, e.g. x_1'
        "<textarea>my_own_words</textarea> dev.toml 127.0.0.1"
    )
    assert naming.breakable(html) == (
        '<title>a_long_name</title><a href="/01_pre_flight.html">every_<wbr>patient_<wbr>has</a>,'
        " e.g. x_1<textarea>my_own_words</textarea> dev.<wbr>toml 127.0.0.1"
    )
