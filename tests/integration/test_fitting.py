"""Values that do not fit, and rows that PostgreSQL would refuse: told by id before a rehearsal."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_reimport import convert, ids, mapping, show
from nexus_reimport.errors import MappingError, StopError
from nexus_reimport.files import rowfile
from nexus_reimport.model import ColumnFit, Level, Report
from nexus_sandbox.filemaker.file import Record
from support import SUPPORT
from support.clinic import Clinic, no_copies
from support.second_clinic import CARES, VISITS, Second, planned_rows, result
from support.sheets import put_back
from support.values import change, plan_of, shared

BUDGET = "no_column_has_more_misfits_than_its_budget"
ENDS = "every_planned_appointment_of_a_patient_has_an_end"
NEEDED = "no_needed_column_stays_empty"
UNIQUE = "no_two_planned_rows_share_a_unique_key"
GOOD = (
    ("V1", "P1", "6/30/2025", "09:00:00", "09:30:00", "first"),
    ("V2", "P2", "7/1/2025", "11:00:00", "", "second"),
)
BAD = ("V3", "P3", "2/31/2025", "11:00:00", "", "third")


# ---------------------------------------------------------------- budgets


@pytest.mark.parametrize(
    ("held", "misfits", "is_over"),
    [
        (0, 0, False),
        (1, 1, False),  # one record's fault
        (2, 1, False),
        (2, 2, True),
        (3, 2, True),
        (5, 5, True),
        (9, 5, True),
        (10, 5, False),
        (11, 6, True),
        (500, 5, False),
        (500, 6, True),
        (1_000, 10, False),
        (1_000, 11, True),
    ],
)
def test_few_values_may_not_fit_and_never_more_than_half(
    held: int, misfits: int, is_over: bool
) -> None:
    budget = max(5, -(-held // 100))
    assert ColumnFit("c", held, misfits, budget).is_over is is_over


def test_a_column_full_of_values_that_do_not_fit_stops_with_the_form_that_would(
    over_the_data_api: Second,
) -> None:
    second = over_the_data_api
    with second.simulator.edit() as tables:
        for record in tables["People"].records[:3]:
            record.values["Site"] = "Nowhere"
    before = second.state()
    book, report = second.checked()
    found = result(report, BUDGET)
    assert (found.level, found.offending, found.passed) == (Level.STOP, 3, False)
    assert found.sample == (
        "people.site_id: 3 of 3 values do not fit, budget 5 (3 names no row of site)",
    )
    with pytest.raises(StopError, match=r"people\.site_id: 3 of 3") as told:
        book.rehearse()
    assert "misfits_at_most" in str(told.value)
    assert second.state() == before
    page = repr(show.plan(plan_of(book)))
    assert "OVER" in page


def test_a_budget_is_the_mapping_s_and_a_waiver_names_the_check(over_the_data_api: Second) -> None:
    second = over_the_data_api
    with second.simulator.edit() as tables:
        for record in tables["People"].records[:3]:
            record.values["Site"] = "Nowhere"
    second.edit(
        "second_installation.toml",
        'match = "label" }] }',
        'match = "label" }], misfits_at_most = 1.0 }',
    )
    assert result(second.checked()[1], BUDGET).passed
    second.edit("second_installation.toml", "misfits_at_most = 1.0", "misfits_at_most = 0.0")
    assert not result(second.checked()[1], BUDGET).passed
    path = second.folder / "second.toml"
    path.write_text(
        path.read_text() + f'\n[[waivers]]\ncheck = "{BUDGET}"\nat_most = 3\n'
        'reason = "sites closed"\nwho = "x"\nuntil = "2099-01-01"\n'
    )
    found = result(second.checked()[1], BUDGET)
    assert found.passed
    assert found.waived == 3


def test_values_of_a_contact_card_count_one_by_one(clinic: Clinic) -> None:
    with clinic.simulator.edit() as tables:
        details = [r for r in tables["API_Contact_Details"].records if r.values.get("ph")]
        for record in details[:80]:
            record.values.update(type="Email", ph="nobody at example")
    book = clinic.planned_of_filemaker()
    (card,) = [f for f in plan_of(book).entities["patients"].fits if f.column == "contact_json"]
    assert card.held > card.misfits > 5
    assert card.is_over
    found = result(book.check_before(), BUDGET)
    assert any(line.startswith("patients.contact_json: ") for line in found.sample)


def test_records_of_phones_are_no_values_of_an_address_card(clinic: Clinic) -> None:
    book = clinic.planned()
    fits = plan_of(book).entities["patients"].fits
    (card,) = (fit for fit in fits if fit.column == "address_json")
    lines = ("address 1", "address 2", "suburb", "state", "post code")
    records = clinic.simulator.tables["API_Contact_Details"].records
    addresses = sum(any(r.values.get(line) for line in lines) for r in records)
    assert 0 < card.held <= addresses < len(records) / 2


def test_the_made_up_clinic_fits_with_the_budgets_of_the_shipped_mapping(clinic: Clinic) -> None:
    report = clinic.planned().check_before()
    assert result(report, BUDGET).passed
    assert result(report, BUDGET).looked_at > 1_000
    assert result(report, NEEDED).looked_at > 500


def test_a_column_of_words_that_are_no_choice_stops(clinic: Clinic) -> None:
    who = shared(clinic, 12)
    change(clinic, who, title="Sir")
    found = result(clinic.planned_of_filemaker().check_before(), BUDGET)
    assert [line.split(" ", 1)[0] for line in found.sample] == ["patients.title:"]


@pytest.mark.parametrize(
    ("funding", "reason", "note"),
    [
        ("", "not a date: the default of a new row is used", "Plan ends."),
        ("NDIS, self managed", "not a date", "NDIS, self managed"),
    ],
)
def test_a_date_that_is_none_is_put_into_no_text_and_takes_no_other_text_with_it(
    clinic: Clinic, funding: str, reason: str, note: str
) -> None:
    with clinic.simulator.edit() as tables:
        record = next(
            r
            for r in tables["@ Dates to Connect"].records
            if r.values.get("Contact_ID") and r.values.get("End_Date")
        )
        record.values |= {"End_Date": "13/13/2026 (not d/m/y)", "Funding": funding}
    book = clinic.planned_of_filemaker()
    (told,) = [m for m in plan_of(book).entities["reminders"].misfits if m.column == "note"]
    assert (told.reason, told.stays, told.empty) == (reason, *((1, 0) if funding else (0, 1)))
    rows = planned_rows(book, "reminders")
    assert not [r for r in rows if "13/13" in str(r["note"])]
    pairs = rowfile.read(book.folder, plan_of(book).id_map)
    (key,) = [
        k
        for _, filemaker_id, k in pairs
        if ids.of(filemaker_id) == ids.of(record.values["PrimaryKey"])
    ]
    assert next(r["note"] for r in rows if r["id"] == key) == note


# ---------------------------------------------------------------- needed columns


def test_a_start_that_is_no_date_is_told_by_id_with_the_rule_to_paste(second: Second) -> None:
    second.csv("Visits.csv", VISITS, *GOOD, BAD)
    before = second.state()
    book, report = second.checked()
    found = result(report, NEEDED)
    assert found.sample == ("visits.starts would be empty: V3",)
    line = '{ name = "starts_does_not_fit", at_most = 0.3333, misfit = "starts" }'
    assert line in found.note
    with pytest.raises(StopError, match="V3") as told:
        book.rehearse()
    assert line in str(told.value)
    assert "2/31" not in str(told.value)
    assert second.state() == before
    second.edit(
        "second_installation.toml",
        'left_out = [{ name = "nobody"',
        f'left_out = [{line}, {{ name = "nobody"',
    )
    book = second.whole(dry=True)
    account = next(a for a in plan_of(book).accounts if a.source == "visits")
    assert (account.left_out, account.budgets) == (
        {"starts_does_not_fit": 1},
        {"starts_does_not_fit": 1},
    )
    assert account.adds_up
    lines = [row for row in rowfile.read(book.folder, plan_of(book).ledger) if row[4] == "V3"]
    assert lines == [("visits", "visits", "left out", "starts_does_not_fit", "V3", None)]
    starts = second.connection.execute("SELECT starts::text FROM practice.visit ORDER BY id")
    assert len(starts.fetchall()) == 3


def test_a_question_mark_for_a_start_is_told_by_id(over_the_data_api: Second) -> None:
    second = over_the_data_api
    with second.simulator.edit() as tables:
        tables["Visits"].records[2].values["Day"] = "?"
    book, report = second.checked()
    found = result(report, NEEDED)
    assert found.sample == ("visits.starts would be empty: V3",)
    assert "misfit" in found.note
    with pytest.raises(StopError, match="V3"):
        book.rehearse()


def test_an_empty_start_is_told_with_the_rule_for_empty_fields(second: Second) -> None:
    second.csv("Visits.csv", VISITS, *GOOD, ("V3", "P3", "", "", "", ""))
    found = result(second.checked()[1], NEEDED)
    assert found.sample == ("visits.starts would be empty: V3",)
    assert '{ name = "without_starts", at_most = 0.3333, empty = ["Day"] }' in found.note


def test_a_time_without_its_date_is_told_as_a_value_that_does_not_fit(second: Second) -> None:
    second.csv("Visits.csv", VISITS, *GOOD, ("V3", "P3", "", "11:00:00", "", ""))
    book, report = second.checked()
    found = result(report, NEEDED)
    assert 'misfit = "starts" }' in found.note
    told = {m.column: m.reason for m in plan_of(book).entities["visits"].misfits if m.empty}
    assert told == {"starts": "a time without a date"}


def test_appointments_that_lack_their_end_are_told_by_id(over_the_data_api: Second) -> None:
    second = over_the_data_api
    with second.simulator.edit() as tables:
        tables["Visits"].records[1].values["To"] = "junk"
    second.connection.execute("UPDATE practice.visit SET ends = NULL WHERE remark = 'made here'")
    before = second.state()
    book, report = second.checked()
    found = result(report, ENDS)
    assert (found.offending, found.looked_at) == (2, 4)
    assert found.sample == ("Nexus id 3", "V2")
    line = '{ name = "without_ends", at_most = 0.25, records = ["V2"] }'
    assert line in found.note
    assert "give an appointment that FileMaker does not have its end in Nexus" in found.note
    with no_copies(second.server), pytest.raises(StopError, match=ENDS):
        book.rehearse()
    assert second.state() == before
    second.connection.execute("UPDATE practice.visit SET ends = starts WHERE ends IS NULL")
    second.edit(
        "second_installation.toml",
        'left_out = [{ name = "nobody"',
        f'left_out = [{line}, {{ name = "nobody"',
    )
    assert not second.checked()[1].blocking


def test_ends_that_are_all_typed_otherwise_are_a_matter_of_the_mapping_and_not_of_each_record(
    over_the_data_api: Second,
) -> None:
    second = over_the_data_api
    with second.simulator.edit() as tables:
        visits = tables["Visits"]
        for n in range(10, 20):
            values = {"VisitNo": f"V{n}", "Person": "P1", "Day": f"2025-07-{n}", "To": "junk"}
            visits.records.append(Record(n, 1, values))
    found = result(second.checked()[1], ENDS)
    assert found.offending == 10
    assert "correct what the mapping says of visits.ends" in found.note
    assert "V10" not in found.note
    assert "left_out" not in found.note, "nobody means to leave out most of a table"


def test_the_way_out_is_that_of_the_reason(over_the_data_api: Second) -> None:
    """Dates typed into a text field, and words for yes and no: no form can be declared for them."""
    second = over_the_data_api
    with second.simulator.edit() as tables:
        for record in tables["People"].records[:3]:
            record.values["Site"] = "30.4.1960"
    second.connection.execute("ALTER TABLE practice.visit ADD missed boolean")
    for old, new in (
        ('born = { from = "Born"', 'born = { from = "Site"'),
        ('remark = { from = "Remark"', 'missed = { from = "Person" }\nremark = { from = "Remark"'),
    ):
        second.edit("second_installation.toml", old, new)
    note = result(second.checked()[1], BUDGET).note
    assert 'words for yes and no: convert = "choice", choices = { t = ["…"], f = ["…"] }' in note
    assert "over a server, read a field of type date (a calculation with GetAsDate)" in note


def test_files_that_no_prefix_covers_are_not_another_bucket(over_the_data_api: Second) -> None:
    second = over_the_data_api
    second.edit("second.toml", 'prefixes = ["scans/", "uploads/"]', 'prefixes = ["documents/"]')
    found = result(second.checked()[1], "the_bucket_is_the_right_one")
    assert not found.passed
    assert "4 keys begin with no prefix of [s3] prefixes, so they were not looked for" in found.note


def test_a_rule_that_leaves_out_a_whole_table_speaks_of_the_mapping(
    over_the_data_api: Second,
) -> None:
    second = over_the_data_api
    second.edit(
        "second_installation.toml", 'owner = { field = "Person"', 'owner = { field = "ScanNo"'
    )
    found = result(second.checked()[1], "no_rule_leaves_out_more_than_its_budget")
    assert found.sample == ("scans, owner_not_loaded: 3 of 3, budget 0",)
    assert "the mapping reads a wrong field" in found.note


def test_an_appointment_of_nobody_needs_no_end(second: Second) -> None:
    second.connection.execute("ALTER TABLE practice.visit ALTER person_id DROP NOT NULL")
    second.connection.execute(
        "UPDATE practice.visit SET ends = NULL, person_id = NULL WHERE remark = 'made here'"
    )
    assert result(second.checked()[1], ENDS).passed


def test_a_row_of_which_no_time_says_whether_it_is_over_is_told(second: Second) -> None:
    second.connection.execute("ALTER TABLE practice.visit ADD COLUMN status text")
    path = second.folder / "second_installation.toml"
    path.write_text(
        path.read_text()
        + "\n[entities.visits.new]\n"
        + 'status = { rule = "completed_if_past", column = "ends", past = "over",'
        + ' future = "due" }\n'
    )
    rows = (
        ("V8", "P1", "3/3/2020", "9:00:00", "junk", ""),
        ("V9", "P1", "3/4/2020", "9:00:00", "", ""),
    )
    second.csv("Visits.csv", VISITS, *GOOD, *rows)
    book = second.planned()
    planned = {r["starts"]: r["status"] for r in planned_rows(book, "visits")}
    assert planned["2020-03-02 22:00:00+00"] == "due"
    assert planned["2020-03-03 22:00:00+00"] == "over"
    told = [m for m in plan_of(book).entities["visits"].misfits if m.column == "status"]
    assert [(m.reason, m.derived, m.sample) for m in told] == [
        ("no ends: taken as still to come", 1, ("V8",))
    ]
    (line,) = [m for m in (book.folder / "misfits.csv").read_text().splitlines() if "to come" in m]
    assert "To: junk" in line


def test_an_unknown_owner_is_told_with_the_rule_for_it(second: Second) -> None:
    second.csv("Cares.csv", CARES, ("P1", "C1", "1/1/2020"), ("P9", "C1", "1/2/2021"))
    found = result(second.checked()[1], NEEDED)
    assert found.sample == ("carers.person_id would be empty: P9+C1",)
    assert 'unresolved = "person_id" }' in found.note


def test_a_default_that_is_another_value_for_each_row_fills_no_needed_column(
    second: Second,
) -> None:
    second.connection.execute(
        "ALTER TABLE practice.visit ADD COLUMN kind text NOT NULL DEFAULT gen_random_uuid()::text"
    )
    found = result(second.checked()[1], NEEDED)
    assert found.sample == ("visits.kind would be empty: V3",)
    assert "kind = … under [entities.visits.new]" in found.note


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("CREATE VIEW practice.carer AS TABLE practice.base", "a view"),
        ("CREATE MATERIALIZED VIEW practice.carer AS TABLE practice.base", "a materialized view"),
        (
            "CREATE TABLE practice.root (LIKE practice.base) PARTITION BY LIST (id);"
            " CREATE TABLE practice.carer PARTITION OF practice.root DEFAULT;"
            " GRANT ALL ON practice.carer TO PUBLIC",
            "a partition",
        ),
    ],
)
def test_what_is_asked_like_a_table_and_is_none_is_told_by_its_kind(
    second: Second, change: str, kind: str
) -> None:
    second.connection.execute(f"ALTER TABLE practice.carer RENAME TO base; {change}")
    with pytest.raises(MappingError, match=f"no table carer: it is {kind}, so name the table"):
        second.planned()


def test_a_number_that_its_column_cannot_hold_does_not_fit(second: Second) -> None:
    second.connection.execute("ALTER TABLE practice.visit ADD COLUMN weight numeric(4,1)")
    second.connection.execute("ALTER TABLE practice.carer ADD COLUMN age smallint")
    second.edit(
        "second_installation.toml",
        'remark = { from = "Remark", convert = "paragraphs" }',
        'remark = { from = "Remark" }\nweight = { from = "Remark" }',
    )
    second.edit(
        "second_installation.toml",
        'since = { from = "Since", convert = "date" }',
        'age = { from = "Carer" }',
    )
    second.csv(
        "Visits.csv",
        VISITS,
        *[
            (f"V{n}", "P1", f"7/{n}/2025", "9:00", "", weight)
            for n, weight in enumerate(("71", "71.5", "1e2", "1000", "71.55", "n/a", "7.0"), 1)
        ],
    )
    second.csv(
        "Cares.csv", CARES, *[("P1", age, "1/1/2020") for age in ("7", "32767", "32768", "40.0")]
    )
    book = second.planned()
    weights = {r["remark"]: r["weight"] for r in planned_rows(book, "visits") if r["remark"]}
    assert weights == {
        "71": "71.0",
        "71.5": "71.5",
        "1e2": "100.0",
        "1000": None,
        "71.55": None,
        "n/a": None,
        "7.0": "7.0",
        "made here": None,
        "first": None,
    }
    reasons = {
        m.reason: m.count for m in plan_of(book).entities["visits"].misfits if m.column == "weight"
    }
    assert reasons == {
        "too large for numeric(4,1)": 1,
        "more than 1 digits after the point": 1,
        "not a number": 1,
    }
    ages = {r["named"]: r["age"] for r in planned_rows(book, "carers")}
    assert ages == {"C1": None, "7": "7", "32767": "32767", "32768": None, "40.0": "40"}


@pytest.mark.parametrize("value", ["1_000", "1,000", "١٢", "1e999999999", "0x10", "12 kg", "NaN"])
def test_what_only_python_takes_for_a_whole_number_is_none(value: str) -> None:
    with pytest.raises(convert.ConversionError):
        convert.whole(value)
    assert convert.whole("7.0") == convert.whole(" 7 ") == "7"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("30.06.2025", "in the form d/m/y"),
        ("03/04/2025", "in the form d/m/y or m/d/y"),
        ("2020.01.01 (not m/d/y)", "in the form y/m/d"),
        ("30/06/25", "two digits"),
        ("20250630", "not a date"),
        ("2025-W27-1", "not a date"),
        ("soon", "not a date"),
    ],
)
def test_what_is_no_date_says_under_which_form_it_would_be_one(value: str, told: str) -> None:
    with pytest.raises(convert.ConversionError, match=told) as misfit:
        convert.iso_date(value)
    assert value.split(maxsplit=1)[0] not in str(misfit.value)


def test_an_id_that_a_rule_names_and_no_record_has_is_told(second: Second) -> None:
    rule = '{ name = "named", at_most = 0.5, records = ["v2", "V77"] }'
    second.edit(
        "second_installation.toml",
        'left_out = [{ name = "nobody"',
        f'left_out = [{rule}, {{ name = "nobody"',
    )
    found = result(second.checked()[1], "no_rule_leaves_out_more_than_its_budget")
    assert found.passed
    assert found.note == "left_out names 1 id that no record has: V77 (visits, named)"


# ---------------------------------------------------------------- unique keys


def test_two_planned_rows_under_one_unique_key_are_told_by_both_ids(second: Second) -> None:
    second.connection.execute("ALTER TABLE practice.carer ADD UNIQUE (person_id, since)")
    second.csv(
        "Cares.csv",
        CARES,
        ("P1", "C1", "1/1/2020"),
        ("P1", "C2", "1/1/2020"),
        ("P1", "C3", ""),
        ("P1", "C4", ""),
    )
    before = second.state()
    book, report = second.checked()
    found = result(report, UNIQUE)
    assert found.offending == 1
    assert found.sample == ("carers.person_id, since (carer_person_id_since_key): P1+C1 and P1+C2",)
    line = '{ name = "same_since", at_most = 0.25, records = ["P1+C2"] }'
    assert line in found.note
    with pytest.raises(StopError, match="P1\\+C1 and P1\\+C2"):
        book.rehearse()
    assert second.state() == before
    second.edit(
        "second_installation.toml",
        'identity = [{ name = "person_and_carer"',
        f'left_out = [{line}]\nidentity = [{{ name = "person_and_carer"',
    )
    assert second.whole(dry=True).run.verdict() == "COMPLETE"


def test_nulls_that_count_as_equal_are_equal(second: Second) -> None:
    second.connection.execute(
        "CREATE UNIQUE INDEX one_open ON practice.carer (person_id, since) NULLS NOT DISTINCT"
    )
    second.csv("Cares.csv", CARES, ("P1", "C3", ""), ("P1", "C4", ""), ("P3", "C1", ""))
    found = result(second.checked()[1], UNIQUE)
    assert found.sample == ("carers.person_id, since (one_open): P1+C3 and P1+C4",)


def test_values_given_by_hand_that_share_a_unique_key_are_told(second: Second) -> None:
    second.connection.execute("ALTER TABLE practice.person ADD mrn text UNIQUE")
    path = second.folder / "second_installation.toml"
    path.write_text(
        path.read_text() + '\n[by_hand.numbers]\nentity = "people"\n'
        'columns = { mrn = "" }\nshow = ["family"]\n'
    )
    target, there = put_back(second.planned())
    for line in (2, 3):
        there["numbers"].cell(line, 3).value = "N-1"
    there.save(target)
    book, report = second.checked()
    found = result(report, UNIQUE)
    (line,) = found.sample
    assert line.startswith("people.mrn (person_mrn_key): ")
    assert "change mrn in manual.xlsx" in found.note
    assert "N-1" not in line + found.note
    with pytest.raises(StopError, match="person_mrn_key"):
        book.rehearse()


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("wide", "not a number"),
        ("9999999", "too large for numeric(4,1)"),
        ("41.55", "more than 1 digits after the point"),
        (41.55, "more than 1 digits after the point"),
    ],
)
def test_a_value_given_by_hand_that_its_column_cannot_hold_is_told_by_its_line(
    second: Second, value: object, problem: str
) -> None:
    second.connection.execute("UPDATE practice.person SET shoe_size = NULL WHERE id = 1")
    path = second.folder / "second_installation.toml"
    path.write_text(
        path.read_text() + '\n[by_hand.shoes]\nentity = "people"\n'
        'columns = { shoe_size = "" }\nshow = ["family"]\n'
    )
    target, there = put_back(second.planned())
    there["shoes"].cell(2, 3).value = value
    there.save(target)
    with pytest.raises(StopError, match="1 cell of manual") as told:
        second.planned()
    assert f"sheet shoes, line 2: Shoe size: {problem}" in str(told.value)


@pytest.mark.parametrize(
    ("written", "why"), [("never", "not a date"), ("", "no creationTimestamp")]
)
def test_a_new_row_whose_date_of_making_is_none_says_so(
    clinic: Clinic, written: str, why: str
) -> None:
    with clinic.simulator.edit() as tables:
        table = tables["API_Contacts"]
        made = Record(9_999, 0, {**table.records[0].values, "creationTimestamp": written})
        made.values["id"] = "0A0B0C0D-1111-4222-8333-444455556666"
        table.records.append(made)
    book = clinic.planned_of_filemaker()
    (told,) = [m for m in plan_of(book).entities["patients"].misfits if m.column == "created_at"]
    assert (told.reason, told.derived) == (f"{why}: the time of the plan is used", 1)
    assert told.sample == (str(made.values["id"]).lower(),)
    assert written in (book.folder / "misfits.csv").read_text()
    assert "never" not in (book.run.folder / "misfits.csv").read_text()


def test_a_row_of_nexus_alone_that_stands_in_the_way_is_told_by_its_own_id(second: Second) -> None:
    second.connection.execute("ALTER TABLE practice.person ADD UNIQUE (given, family)")
    second.connection.execute(
        "UPDATE practice.person SET given = 'Eulalia', family = 'Brandywine' WHERE id = 3"
    )
    found = result(second.checked()[1], UNIQUE)
    (line,) = found.sample
    assert line == "people.given, family (person_given_family_key): P3 and Nexus id 3"
    assert 'records = ["P3"]' in found.note
    assert "Eulalia" not in line + found.note


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ('{ name = "x", at_most = 0.1, misfit = "nothing" }', "no column nothing"),
        (
            '{ name = "x", at_most = 0.1, misfit = "starts", empty = ["Day"] }',
            "give exactly one of",
        ),
        ('{ name = "x", at_most = 0.1, records = [] }', "give exactly one of"),
    ],
)
def test_a_rule_that_names_no_reason_or_two_is_refused(
    tmp_path: Path, rule: str, told: str
) -> None:
    text = (SUPPORT / "second_installation.toml").read_text()
    (tmp_path / "own.toml").write_text(
        text.replace('left_out = [{ name = "nobody"', f'left_out = [{rule}, {{ name = "nobody"')
    )
    with pytest.raises(MappingError, match=told):
        mapping.load("own.toml", tmp_path)


def test_reports_are_saved_whole(second: Second) -> None:
    book, report = second.checked()
    assert book.run.load(Report, "checks_before") == report
