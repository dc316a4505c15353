"""What becomes of values that do not fit, all told: column by column, id by id, fate by fate."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from nexus_reimport import CHECKOUT, show, wording
from nexus_reimport.files import rowfile
from nexus_sandbox.filemaker.file import Record
from support.clinic import ROLE, Clinic, planned
from support.values import DEV, change, lines, misfits, nexus_id, plan_of, rows, shared


def test_values_that_do_not_fit_are_told_by_column_id_and_what_became_of_them(
    clinic: Clinic,
) -> None:
    who = shared(clinic, 6)
    change(clinic, who[:2], title="Sir")
    change(clinic, who[2:3], title="Lady Mayoress")
    change(clinic, who[3:4], DOB="2199-01-01")
    change(clinic, who[4:5], **{"Health Number": "9" * 51})
    change(clinic, who[5:6], id_Clinic="", Clinic_Name="No such place")
    book = clinic.planned_of_filemaker()
    found = misfits(book, "patients")
    title = found["title", "not one of the choices"]
    assert (title.count, title.stays, title.empty) == (3, 3, 0)
    assert set(title.sample) == {str(r.values["id"]).lower() for r in who[:3]}
    assert found["dob", "a birth date in the future"].stays == 1
    assert found["health_number", "longer than 50 characters"].count == 1
    assert found["clinic_id", "names no row of clinics"].stays == 1
    was = dict(clinic.rows("SELECT id::text, dob::text FROM patients"))
    key = nexus_id(book, "patients", who[3].values["id"])
    assert rows(book, "patients")[key]["dob"] == was[key]
    private = lines(book.folder / "misfits.csv")
    assert "title: Sir" in {line["values"] for line in private}
    public = (book.run.folder / "misfits.csv").read_text()
    assert "Sir" not in public
    assert str(who[0].values["id"]).lower() in public
    page = repr(show.plan(plan_of(book)))
    assert "not one of the choices" in page
    assert "Lady Mayoress" not in page


def test_a_new_patient_whose_value_does_not_fit_gets_none(clinic: Clinic) -> None:
    with clinic.simulator.edit() as tables:
        table = tables["API_Contacts"]
        made = Record(9_999, 0, {**table.records[0].values, "gender": "unclear"})
        made.values["id"] = "0A0B0C0D-1111-4222-8333-444455556666"
        table.records.append(made)
    book = clinic.planned_of_filemaker()
    found = misfits(book, "patients")["sex", "not one of the choices"]
    assert (found.stays, found.empty) == (0, 1)
    key = nexus_id(book, "patients", made.values["id"])
    assert rows(book, "patients")[key]["sex"] is None


def test_a_new_row_that_gets_its_default_has_no_value_of_nexus_that_stays(clinic: Clinic) -> None:
    with clinic.simulator.edit() as tables:
        table = tables["API_Notes"]
        old = next(r for r in table.records if r.values.get("Note"))
        made = Record(9_999, 0, {**old.values, "Note": "made for this", "Note Type": "a poem"})
        made.values["id"] = "0A0B0C0D-1111-4222-8333-444455556666"
        table.records.append(made)
    book = clinic.planned_of_filemaker()
    reason = "not one of the choices: the default of a new row is used"
    found = misfits(book, "notes")["note_type", reason]
    assert (found.stays, found.empty, found.derived) == (0, 1, 0)
    key = nexus_id(book, "notes", made.values["id"])
    assert rows(book, "notes")[key]["note_type"] == "clinical_notes"


def test_a_name_that_two_rows_have_chooses_neither(clinic: Clinic) -> None:
    name = clinic.value("SELECT min(name) FROM clinics")
    clinic.do(
        "INSERT INTO clinics SELECT (jsonb_populate_record(c, jsonb_build_object("
        "'id', gen_random_uuid(), 'name', upper(name) || ' ', 'filemaker_id', NULL))).*"
        " FROM clinics c WHERE name = %s",
        "dev",
        name,
    )
    who = shared(clinic, 1)
    change(clinic, who, id_Clinic="", Clinic_Name=name)
    found = misfits(planned(), "patients")
    assert found["clinic_id", "names several rows of clinics"].stays == 1


def test_the_first_field_that_names_a_row_counts_and_what_the_others_say_is_told(
    clinic: Clinic,
) -> None:
    clinics = clinic.rows(
        "SELECT id::text, filemaker_id::text, name FROM clinics"
        " WHERE filemaker_id IS NOT NULL ORDER BY id"
    )
    (first, fid, _), (_, _, name), *_ = clinics
    who = shared(clinic, 2)
    change(clinic, who[:1], id_Clinic=fid, Clinic_Name=name)
    change(clinic, who[1:], id_Clinic="no such id", Clinic_Name=name)
    book = clinic.planned_of_filemaker()
    reasons = (
        "names different rows of clinics: the first field that names one row counts",
        "names no row of clinics in one field: the next field counts",
    )
    told = {*rowfile.read(book.folder, plan_of(book).misfits)}
    for one, reason in zip(who, reasons, strict=True):
        filemaker_id = str(one.values["id"]).lower()
        assert ("patients", "clinic_id", reason, filemaker_id, "derived") in told
    row = rows(book, "patients")[nexus_id(book, "patients", who[0].values["id"])]
    assert row["clinic_id"] == first


def test_an_appointment_without_a_time_is_at_midnight_and_marked_as_derived(
    clinic: Clinic,
) -> None:
    with clinic.simulator.edit() as tables:
        known = tables["API_Contacts"].records[0].values["id"]
        made = Record(
            9_999,
            0,
            {
                "id": "0A0B0C0D-1111-4222-8333-444455556666",
                "id_Contact": known,
                "startDate": "2025-07-02",
                "endDate": "2025-07-02",
                "endTime": "10:00:00",
            },
        )
        tables["API_event"].records.append(made)
    book = clinic.planned_of_filemaker()
    told = misfits(book, "appointments")["start_time", "no time: set to midnight"]
    assert (told.count, told.derived, told.sample) == (1, 1, (str(made.values["id"]).lower(),))
    row = rows(book, "appointments")[nexus_id(book, "appointments", made.values["id"])]
    assert row["start_time"] == "2025-07-01 14:00:00+00"


def test_a_plan_that_ends_before_it_starts_does_not_fit(clinic: Clinic) -> None:
    who = shared(clinic, 1)
    change(
        clinic, who, **{"NDIS Plan Start Date": "2025-07-01", "NDIS Plan End Date": "2025-06-30"}
    )
    book = clinic.planned_of_filemaker()
    found = misfits(book, "patients")
    assert found["plan_end_date", "before plan_start_date"].count == 1
    assert found["ndis_plan_end_date", "before ndis_plan_start_date"].count == 1
    row = rows(book, "patients")[nexus_id(book, "patients", who[0].values["id"])]
    assert row["plan_start_date"] == "2025-07-01"
    assert (row["plan_end_date"] or "9") > "2025-06-30"


def test_a_start_and_a_making_that_a_clock_change_skips_are_marked_as_derived(
    clinic: Clinic,
) -> None:
    skipped = "a time that a clock change skips: moved forward"
    with clinic.simulator.edit() as tables:
        contacts = tables["API_Contacts"]
        made = Record(9_999, 0, {**contacts.records[0].values})
        made.values["id"] = "0A0B0C0D-1111-4222-8333-444455556666"
        made.values["creationTimestamp"] = "2025-10-05 02:10:00"
        contacts.records.append(made)
        event = next(
            r
            for r in tables["API_event"].records
            if r.values.get("id_Contact") == contacts.records[0].values["id"]
        )
        event.values.update(startDate="2025-10-05", startTime="02:30:00", endDate="", endTime="")
    book = clinic.planned_of_filemaker()
    start, making = (
        misfits(book, "appointments")["start_time", skipped],
        misfits(book, "patients")["created_at", skipped],
    )
    assert (start.derived, start.not_stored) == (1, 0)
    assert start.sample == (str(event.values["id"]).lower(),)
    assert (making.derived, making.sample) == (1, (str(made.values["id"]).lower(),))
    row = rows(book, "appointments")[nexus_id(book, "appointments", event.values["id"])]
    assert row["start_time"] == "2025-10-04 16:30:00+00"


def test_an_appointment_without_an_end_is_marked_as_derived(clinic: Clinic) -> None:
    with clinic.simulator.edit() as tables:
        events = [
            r
            for r in tables["API_event"].records
            if r.values.get("id_Contact") and r.values.get("startTime") == "09:00:00"
        ]
        known = {str(r.values["id"]).lower() for r in tables["API_Contacts"].records}
        chosen = [e for e in events if str(e.values["id_Contact"]).lower() in known][:2]
        for number, event in enumerate(chosen):  # new ones: Nexus has no end of them
            event.values["id"] = f"0A0B0C0D-1111-4222-8333-44445555666{number}"
            event.values["startDate"] = "2031-03-04"
        chosen[0].values.update(endTime="", endDate="")
        chosen[1].values.update(endDate="", endTime="08:00:00")
    book = clinic.planned_of_filemaker()
    found = misfits(book, "appointments")
    assert found["end_time", "no end: set to 30 minutes after the start"].derived >= 1
    assert (
        found["end_time", "an end before the start: set to 30 minutes after the start"].derived == 1
    )
    for event in chosen:
        row = rows(book, "appointments")[nexus_id(book, "appointments", event.values["id"])]
        assert row["end_time"] is not None
        assert row["start_time"] is not None
        assert minutes(row) == timedelta(minutes=30)


def minutes(row: dict[str, str | None]) -> timedelta:
    from datetime import datetime

    start, end = (datetime.fromisoformat(row[c] or "") for c in ("start_time", "end_time"))
    return end - start


def test_a_message_that_was_sent_is_never_pending(clinic: Clinic) -> None:
    with clinic.simulator.edit() as tables:
        people = tables["API_Contacts"].records
        named = {r.values["id"] for r in people if r.values.get("nameLast")}
        sent = [
            r
            for r in tables["API_Messages"].records
            if r.values.get("_kf_ContactID") in named and r.values.get("MessageBody")
        ]
        for record in sent[:5]:
            record.values["MessageStatus"] = "Pending"
        sent[5].values.update(MessageStatus="Pending", SentTimestamp="")
    book = clinic.planned_of_filemaker()
    messages = rows(book, "sms_messages")
    for record in sent[:5]:
        key = nexus_id(book, "sms_messages", record.values["_kp_MessageID"])
        assert messages[key]["status"] == "sent"
    (rule,) = plan_of(book).entities["sms_messages"].overridden
    assert (rule.rule, rule.rows >= 5, rule.asks) == ("sent_is_not_pending", True, False)
    from_filemaker = {
        n for e, _, n in rowfile.read(book.folder, plan_of(book).id_map) if e == "sms_messages"
    }
    assert not [
        k
        for k in from_filemaker & messages.keys()
        if messages[k]["status"] == "pending" and messages[k]["sent_at"]
    ]


@pytest.mark.parametrize("decision", [None, "keep", "completed"])
def test_what_is_over_and_still_scheduled_is_for_a_person_to_decide(
    clinic: Clinic, decision: str | None
) -> None:
    said = "" if decision is None else f'past_scheduled = "{decision}"\n'
    clinic.edit(DEV, 'past_scheduled = "keep"\n', said)
    over = clinic.value(
        "SELECT count(*) FROM appointments WHERE status = 'scheduled' AND end_time < now()"
        " AND filemaker_event_id IS NOT NULL"
    )
    assert over > 0
    book = clinic.planned_anew()
    made = plan_of(book)
    (rule,) = made.entities["appointments"].overridden
    assert rule.rows >= over
    asked = [line for line in made.undecided() if "past_scheduled" in line]
    assert bool(asked) is (decision is None)
    was = dict(clinic.rows("SELECT id::text, status FROM appointments"))
    changed = {
        k for k, r in rows(book, "appointments").items() if k in was and r["status"] != was[k]
    }
    assert bool(changed) is (decision == "completed")
    overrides = {
        line[1] for line in rowfile.read(book.folder, made.overrides) if line[3] == "past_scheduled"
    }
    assert overrides == changed
    if decision == "completed":
        assert {rows(book, "appointments")[k]["status"] for k in changed} == {"completed"}


def test_what_a_named_rule_sets_is_executed_and_is_no_alarm(clinic: Clinic) -> None:
    clinic.edit(DEV, 'past_scheduled = "keep"', 'past_scheduled = "completed"')
    clinic.whole(dry=True)
    left = clinic.value(
        "SELECT count(*) FROM appointments WHERE status = 'scheduled' AND end_time < now()"
        " - interval '1 day' AND filemaker_event_id IS NOT NULL AND patient_id IS NOT NULL"
        " AND id IN (SELECT nexus_id::uuid FROM nexus_reimport.loaded"
        " WHERE entity = 'appointments')",
        role=ROLE,
    )
    assert left == 0


def set_card(clinic: Clinic, record: Record, card: object) -> str:
    """Give a contact's patient this card in Nexus; the patient's id."""
    (key,) = clinic.rows(
        "UPDATE patients SET contact_json = %s::jsonb"
        " WHERE lower(filemaker_metadata->>'filemaker_id') = lower(%s) RETURNING id::text",
        "dev",
        json.dumps(card),
        record.values["id"],
    )[0]
    return str(key)


def set_details(clinic: Clinic, record: Record, *details: tuple[str, str]) -> None:
    """Give a contact these contact details alone: kind and value."""
    with clinic.simulator.edit() as tables:
        table = tables["API_Contact_Details"]
        blank = dict.fromkeys(table.records[0].values, "")
        table.records[:] = [r for r in table.records if r.values["id.key"] != record.values["id"]]
        table.records += [
            Record(
                80_000 + len(table.records) + n,
                0,
                {
                    **blank,
                    "id": f"D-{len(table.records)}-{n}",
                    "id.key": record.values["id"],
                    "type": kind,
                    "ph": value,
                    "modificationTimestamp": "2025-10-01 08:00:00",
                },
            )
            for n, (kind, value) in enumerate(details)
        ]


def test_a_number_that_only_nexus_has_goes_neither_unseen_nor_undecided(clinic: Clinic) -> None:
    clinic.edit(
        DEV,
        '[decisions.patients]\nnot_in_filemaker = "keep"\nleft_out_by_rule = "keep"\n'
        'no_filemaker_id = "keep"\nwhen_different = { "*" = "filemaker" }',
        '[decisions.patients]\nnot_in_filemaker = "keep"\nleft_out_by_rule = "keep"\n'
        'no_filemaker_id = "keep"\nwhen_different = { "contact_json.emails" = "nexus" }',
    )
    phones = {"phones": [{"type": "mobile", "number": "0491 570 001", "label": "Mum"}]}
    emails = {"emails": [{"address": "old@b.example", "label": ""}], "email": "old@b.example"}
    who = shared(clinic, 3)
    keys = [set_card(clinic, r, c) for r, c in zip(who, (phones, phones, emails), strict=True)]
    set_details(clinic, who[0], ("Email", "a@b.example"), ("Address", "0491 570 002"))
    set_details(clinic, who[1], ("Mobile", "0491 570 009"))
    set_details(clinic, who[2], ("Email", "new@b.example"), ("Email", "no address"))
    book = planned()
    made, cards = plan_of(book), rows(book, "patients")
    after = [json.loads(cards[key]["contact_json"] or "") for key in keys]
    assert after[0]["phones"] == phones["phones"], "FileMaker holds no phone: Nexus's stay"
    assert after[2] == emails, "decided for this part alone"
    differ = [line for line in lines(book.folder / "differences.csv") if line["nexus_id"] in keys]
    assert [(d["column"], d["nexus"], d["filemaker"]) for d in differ] == [
        ("contact_json.phones", "0491 570 001 (Mum)", "0491 570 009"),
        ("contact_json.emails", "first: old@b.example", "first: new@b.example"),
        ("contact_json.emails", "old@b.example", "new@b.example"),
    ]
    asked = [line for line in made.undecided() if "contact_json" in line]
    changes = {c.column: c for c in made.entities["patients"].changes}
    counted = changes["contact_json.phones"]
    assert asked == [
        'decisions.patients.when_different: "contact_json.phones" = filemaker or nexus'
        f" ({wording.amount(counted.different, 'row')})"
    ]
    assert counted.gone >= counted.different >= 1
    assert changes["contact_json.emails"].gone == 0
    assert changes["contact_json.phones"].kept >= 1
    unfit = misfits(book, "patients")
    assert unfit["contact_json", "an e-mail without @"].stays >= 1
    assert unfit["contact_json", "a phone or an e-mail in the record of an address"].stays == 1


def test_cards_of_every_shape_go_the_whole_way(clinic: Clinic) -> None:
    shapes: list[Any] = [
        "0491 570 001, a@b.example",
        ["0491 570 001", {"address": "a@b.example"}],
        None,
        7,
        {"phones": "0491 570 001", "emails": None, "email": {"work": "a@b.example"}},
    ]
    who = shared(clinic, len(shapes) + 1)
    keys = [set_card(clinic, record, card) for record, card in zip(who, shapes, strict=False)]
    clinic.do(
        "UPDATE patients SET filemaker_metadata = filemaker_metadata || '{\"ndis\": null}',"
        " address_json = '\"2 Other Rd\"' WHERE id = %s",
        "dev",
        keys[0],
    )
    for record in who[:-1]:
        set_details(clinic, record, ("Mobile", "0491570001"))
    clinic.whole(dry=True)
    after = dict(clinic.rows("SELECT id::text, contact_json FROM patients"))
    assert {json.dumps(after[key]["phones"][0]["number"]) for key in keys} == {'"0491570001"'}
    assert ["a@b.example" in json.dumps(after[key]) for key in keys] == [
        True,
        True,
        False,
        False,
        True,
    ]
    again = planned()
    changed = [
        c
        for c in plan_of(again).entities["patients"].changes
        if c.filled or c.different or c.cleared
    ]
    assert changed == []


def events_with_an_hour(clinic: Clinic, count: int) -> list[tuple[Record, str]]:
    """Events of FileMaker, and the appointment of each, which ends 75 minutes after its start."""
    keys = dict(
        clinic.rows(
            "UPDATE appointments SET end_time = start_time + interval '75 minutes'"
            " WHERE filemaker_event_id IS NOT NULL AND patient_id IS NOT NULL"
            " AND to_char(start_time AT TIME ZONE 'Australia/Sydney', 'HH24') > '07'"
            " RETURNING filemaker_event_id::text, id::text"
        )
    )
    events = [
        (r, keys[str(r.values["id"]).lower()])
        for r in clinic.simulator.tables["API_event"].records
        if str(r.values["id"]).lower() in keys and r.values.get("id_Contact")
    ]
    known = {r.values["id"] for r in clinic.simulator.tables["API_Contacts"].records}
    return [(r, key) for r, key in events if r.values["id_Contact"] in known][:count]


def times(clinic: Clinic, keys: list[str]) -> dict[str, tuple[str, str]]:
    """The start and end of appointments in Nexus."""
    held = clinic.rows(
        "SELECT id::text, start_time, end_time FROM appointments WHERE id = ANY(%s::uuid[])",
        "dev",
        keys,
    )
    return {key: tuple(f"{at:%Y-%m-%d %H:%M:%S}+00" for at in both) for key, *both in held}


def test_a_time_that_filemaker_does_not_say_stays_as_nexus_has_it(clinic: Clinic) -> None:
    """An appointment at 9:45 for an hour and a quarter is not one at midnight for 30 minutes."""
    chosen = events_with_an_hour(clinic, 7)
    keys = [key for _, key in chosen]
    no_end, no_start, neither, two_days, early, before, moved = (r for r, _ in chosen)
    with clinic.simulator.edit():
        no_end.values.update(endTime="")
        no_start.values.update(startTime="", endTime="23:00:00", endDate="")
        neither.values.update(startTime="", endDate="", endTime="")
        two_days.values.update(endDate="2099-01-01", endTime="")
        early.values.update(endDate="", endTime="00:30:00")
        before.values.update(startTime="", endDate="", endTime="00:45:00")
        moved.values.update(startTime="06:00:00", endDate="", endTime="")
    was = times(clinic, keys)
    book = planned()
    after = {k: (r["start_time"], r["end_time"]) for k, r in rows(book, "appointments").items()}
    for key in (keys[0], keys[2], keys[3], keys[4], keys[5]):
        assert after[key] == was[key]
    assert after[keys[1]][0] == was[keys[1]][0]
    assert after[keys[1]][1] != was[keys[1]][1]  # FileMaker's own end counts
    assert after[keys[6]][0] != was[keys[6]][0]  # and so does its own start
    assert minutes(rows(book, "appointments")[keys[6]]) == timedelta(minutes=75)
    told = {
        (column, reason)
        for entity, column, reason, filemaker_id, _ in rowfile.read(
            book.folder, plan_of(book).misfits
        )
        if filemaker_id in {str(r.values["id"]).lower() for r, _ in chosen} and "_time" in column
    }
    assert told == {
        ("end_time", "an end before the start: Nexus's end stays"),
        ("end_time", "no end: it lasts as long as in Nexus"),
    }
    differing = {
        (key, column)
        for _, key, column, *_ in rowfile.read(book.folder, plan_of(book).differences)
        if key in keys and "_time" in column
    }
    assert differing == {
        (keys[1], "end_time"),
        (keys[6], "start_time"),
        (keys[6], "end_time"),
    }


def test_a_date_on_another_day_counts_and_an_end_that_nobody_has_is_assumed(clinic: Clinic) -> None:
    (other_day, first), (endless, second) = events_with_an_hour(clinic, 2)
    clinic.do("UPDATE appointments SET end_time = NULL WHERE id = %s", "dev", second)
    with clinic.simulator.edit():
        other_day.values.update(startDate="2031-03-04", startTime="", endDate="", endTime="")
        endless.values.update(startTime="", endDate="", endTime="")
    was = clinic.value("SELECT start_time FROM appointments WHERE id = %s", "dev", second)
    book = planned()
    after = rows(book, "appointments")
    assert after[first]["start_time"] == "2031-03-03 13:00:00+00"
    assert after[first]["end_time"] == "2031-03-03 14:15:00+00"  # as long as in Nexus
    assert after[second]["start_time"] == f"{was:%Y-%m-%d %H:%M:%S}+00"
    assert minutes(after[second]) == timedelta(minutes=30)
    found = misfits(book, "appointments")
    sample = found["start_time", "no time: set to midnight"].sample
    assert str(other_day.values["id"]).lower() in sample


def test_a_time_in_a_repeated_hour_is_nexus_s_second_one_where_the_clock_shows_it(
    clinic: Clinic,
) -> None:
    (second, key), (other, _) = events_with_an_hour(clinic, 2)
    clinic.do(
        "UPDATE appointments SET start_time = '2025-04-05 16:30+00', end_time ="
        " '2025-04-05 17:30+00' WHERE id = %s",
        "dev",
        key,
    )
    with clinic.simulator.edit():
        for event in (second, other):
            event.values.update(
                startDate="2025-04-06", startTime="02:30:00", endDate="", endTime="03:30:00"
            )
    book = planned()
    after = rows(book, "appointments")
    assert after[key]["start_time"] == "2025-04-05 16:30:00+00"
    found = misfits(book, "appointments")
    told = found["start_time", "a time that a clock change repeats: taken as the first of the two"]
    assert told.sample == (str(other.values["id"]).lower(),)
    assert told.derived == 1


def test_a_note_beside_a_time_that_cannot_be_read_keeps_its_time_of_that_day(
    clinic: Clinic,
) -> None:
    held = clinic.rows("SELECT content, id::text FROM notes")
    texts = {" ".join(content.split()): key for content, key in held}
    folded = [
        (r, " ".join(str(r.values.get("Note", "")).split()))
        for r in clinic.simulator.tables["API_Notes"].records
    ]
    once = {text for text, count in Counter(text for _, text in folded).items() if count == 1}
    chosen = [(r, texts[text]) for r, text in folded if text in texts and text in once]
    (unread, first), (empty, second) = chosen[:2]
    clinic.do(
        "UPDATE notes SET created_at = '2024-03-04 05:06:07+00' WHERE id = ANY(%s::uuid[])",
        "dev",
        [first, second],
    )
    with clinic.simulator.edit():
        unread.values.update(Date="2024-03-04", creationTimestamp="2024-03-04 99:99:99")
        empty.values.update(Date="2024-03-04", creationTimestamp="")
    book = planned()
    notes = rows(book, "notes")
    assert notes[first]["created_at"] == "2024-03-04 05:06:07+00"
    assert notes[second]["created_at"] == "2024-03-04 05:06:07+00"
    told = [line for line in rowfile.read(book.folder, plan_of(book).misfits) if line[0] == "notes"]
    reason = "a date beside a time that cannot be read: Nexus's time stays"
    wanted = ("notes", "created_at", reason, str(unread.values["id"]).lower(), "derived")
    assert wanted in told
    assert not any(line[3] == str(empty.values["id"]).lower() for line in told)


@pytest.mark.parametrize("when_empty", ["keep", "clear"])
def test_a_letter_without_a_text_keeps_its_pages_and_a_new_one_has_its_opening(
    clinic: Clinic, when_empty: str
) -> None:
    """A page with the opening alone came into the place of Nexus's letter.

    Where the mapping clears them, they went in one run, and the opening came in the next.
    """
    feeds = 'with = { opening = "Dear" }'
    text = (CHECKOUT / "nexus_reimport" / "mappings" / "nexus.toml").read_text()
    changed = text.replace(feeds, f'{feeds}, when_empty = "{when_empty}"')
    (clinic.folder / "clinic.toml").write_text(changed)
    clinic.edit(DEV, 'mapping = "nexus"', 'mapping = "clinic.toml"')
    patient, key = clinic.rows(
        "SELECT filemaker_metadata->>'filemaker_id', p.id::text FROM patients p"
        " WHERE filemaker_metadata ? 'filemaker_id' ORDER BY p.id LIMIT 1"
    )[0]
    held = '["<p>Dear Ann,</p><p>all of it</p>"]'
    clinic.do(
        "INSERT INTO letters_patientletter SELECT (jsonb_populate_record(l, jsonb_build_object("
        "'id', gen_random_uuid(), 'patient_id', %s::text, 'subject', 'held', 'pages', %s::jsonb,"
        " 'created_at', '2024-03-03 13:00:00+00'))).* FROM letters_patientletter l LIMIT 1",
        "dev",
        key,
        held,
    )
    with clinic.simulator.edit() as tables:
        letters = tables["@Letters"]
        for number, title in enumerate(("held", "new")):
            values = {**letters.records[0].values, "id.key": patient.upper(), "Title": title}
            values |= {"Dear": "Dear Ann,", "Body": " \r", "Date": "2024-03-04"}
            values |= {
                "creationTimestamp": "",
                "id": f"0A0B0C0D-1111-4222-8333-44445555777{number}",
            }
            letters.records.append(Record(9_990 + number, 0, values))
    book = planned()
    pages = {row["subject"]: row["pages"] for row in rows(book, "letters").values()}
    kept = when_empty == "keep"
    assert json.loads(pages["held"] or "") == (json.loads(held) if kept else ["<p>Dear Ann,</p>"])
    assert json.loads(pages["new"] or "") == ["<p>Dear Ann,</p>"]
    told = misfits(book, "letters")["pages", "no text: the opening alone"]
    ids = [f"0a0b0c0d-1111-4222-8333-44445555777{number}" for number in range(2)]
    assert (told.derived, told.sample) == (len(ids[kept:]), tuple(ids[kept:]))
