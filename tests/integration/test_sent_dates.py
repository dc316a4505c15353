"""Dates as servers send them: an older Data API is recognised as a whole, or the read stops."""

from __future__ import annotations

import pytest

from nexus_reimport import forms, runbook, show
from nexus_reimport.errors import SourceError
from nexus_reimport.filemaker.dates import Sent, form_of, iso
from nexus_reimport.model import Drift
from support.channels import DEV, EXPORTS, read_by
from support.clinic import Clinic
from support.second_clinic import Second


def sent(**columns: tuple[str, ...]) -> Sent:
    """A table whose columns hold these dates."""
    found = Sent("T", dict.fromkeys(columns, "date"))
    for name, values in columns.items():
        found.add({name: values})
    return found


@pytest.mark.parametrize(
    ("columns", "form"),
    [
        ({"a": ()}, forms.ISO),
        ({"a": ("2025-06-30", "", "?"), "b": ("2025-06-30T09:00:00",)}, forms.ISO),
        ({"a": ("06/30/2025",)}, forms.US),
        ({"a": ("06/07/2025",), "b": ("06/30/2025 09:00:00",)}, forms.US),  # the other one proves
        ({"a": ("soon", "")}, forms.ISO),  # for its converter to tell
    ],
)
def test_a_server_is_recognised_from_all_its_columns(
    columns: dict[str, tuple[str, ...]], form: str
) -> None:
    assert form_of("data_api", [sent(**columns)]) == form


@pytest.mark.parametrize(
    "columns",
    [
        {"a": ("06/30/2025", "2025-06-30")},  # both in one column
        {"a": ("06/30/2025",), "b": ("2025-06-30",)},
        {"a": ("06/07/2025",), "b": ("2025-06-30",)},  # the server's other columns tell otherwise
        {"a": ("06/07/2025", "01/02/2025")},  # nothing proves which
        {"a": ("30/06/2025", "01/02/2025")},
        {"a": ("30/06/2025", "06/30/2025")},
        {"a": ("30.06.2025",)},
    ],
)
def test_what_may_mean_two_dates_stops_with_the_columns(
    columns: dict[str, tuple[str, ...]],
) -> None:
    with pytest.raises(SourceError, match="may mean two dates") as told:
        form_of("data_api", [sent(**columns)])
    assert "T.a" in told.value.where
    assert "19.6.1" in told.value.next
    assert "2025" not in str(told.value)


def test_odata_has_iso_dates_or_stops() -> None:
    assert form_of("odata", [sent(a=("2025-06-30",))]) == forms.ISO
    with pytest.raises(SourceError, match=r"channel=odata, T\.a") as told:
        form_of("odata", [sent(a=("06/30/2025", "07/31/2025"))])
    assert "2 as m/d/y" in told.value.what


def test_what_is_no_us_date_stays_for_its_converter() -> None:
    assert iso("06/30/2025") == "2025-06-30"
    assert iso("06/30/2025 14:05:00") == "2025-06-30 14:05:00"
    assert [iso(text) for text in ("", "?", "13/13/2025")] == ["", "?", "13/13/2025"]


def test_a_clinic_on_an_older_server_is_read_as_on_a_newer_one_and_the_page_says_so(
    clinic: Clinic,
) -> None:
    clinic.simulator.only_odata = ()
    read_by(clinic, 'channel = "data_api"', EXPORTS)
    newer = runbook.begin(DEV).snapshot()
    assert [use.dates for use in newer.channels] == [""]
    clinic.simulator.knows_dateformats = False
    book = runbook.begin(DEV)
    older = book.snapshot()
    of_dates = {
        n
        for n, s in book.mapping.sources.items()
        if any(f.type == "date" for f in s.fields.values())
    }
    for name, extract in older.extracts.items():
        assert extract.newest == newer.extracts[name].newest
        if name in of_dates and not book.mapping.sources[name].modified:
            assert extract.file.sha256 == newer.extracts[name].file.sha256, name
    assert [use.dates for use in older.channels] == ["m/d/y"]
    assert "the server sends dates as m/d/y" in repr(show.snapshot(older))
    assert "sends dates as" not in repr(show.snapshot(newer))
    assert not list(book.folder.glob("read_events.parquet")), "what was sent in US form is not kept"
    book.census()
    book.survey_and_backup()
    book.plan()
    assert not book.check_before().blocking
    assert book.drift() == Drift({}, ())
    with clinic.simulator.edit() as tables:
        tables["API_Contacts"].records[0].values["modificationTimestamp"] = "2026-01-02 00:00:00"
    assert book.drift() == Drift({"contacts": "1 record edited"}, ())


@pytest.fixture
def second(over_the_data_api: Second) -> Second:
    return over_the_data_api


def test_the_newest_stamp_is_the_latest_and_not_the_greatest_text(second: Second) -> None:
    second.simulator.knows_dateformats = False
    with second.simulator.edit() as tables:
        stamps = ("2024-12-31 08:00:00", "2025-02-01 08:00:00", "2025-01-30 08:00:00")
        for record, stamp in zip(tables["People"].records, stamps, strict=False):
            record.values["Changed"] = stamp
        tables["People"].records[3].values["Changed"] = ""
    book = runbook.begin("second")
    assert book.snapshot().extracts["people"].newest == "2025-02-01 08:00:00"
    assert book.drift() == Drift({}, ())


def test_a_stamp_that_is_none_is_not_the_newest_and_stands_in_no_record(second: Second) -> None:
    with second.simulator.edit() as tables:
        tables["People"].records[3].values["Changed"] = "zebra"
    book = runbook.begin("second")
    assert book.snapshot().extracts["people"].newest == "2025-10-03 08:00:00"
    assert "zebra" not in repr(show.snapshot(book.snapshot()))


def test_birth_dates_of_an_older_server_arrive(second: Second) -> None:
    second.simulator.knows_dateformats = False
    second.whole(dry=True)
    born = second.connection.execute(
        "SELECT legacy_no, born::text FROM practice.person WHERE legacy_no IS NOT NULL ORDER BY 1"
    ).fetchall()
    assert born == [("P1", "1960-02-01"), ("P2", "1970-03-05"), ("P3", "1980-04-05")]


def test_a_server_that_sends_one_table_in_another_form_stops(second: Second) -> None:
    before = second.state()
    with second.simulator.edit() as tables:
        for record in tables["People"].records:
            year, _, rest = str(record.values["Born"]).partition("-")
            if rest:
                record.values["Born"] = f"{rest.replace('-', '/')}/{year}"
    with pytest.raises(SourceError, match="asked for ISO dates") as told:
        second.planned()
    assert "People.Born" in told.value.where
    assert second.state() == before
