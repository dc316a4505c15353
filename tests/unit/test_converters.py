"""A converter is declared once, and everything that must know of it does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from nexus_reimport import CHECKOUT, mapping
from nexus_reimport.convert import Partial
from nexus_reimport.convert.registry import CONVERTERS, Given, converter
from nexus_reimport.errors import MappingError
from nexus_reimport.files import rowfile
from nexus_reimport.intake import Intake, Records
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import KEY, Snapshot, Survey
from nexus_reimport.planning.feed import RecordConverter

MAPPING = """
version = 1
namespace = "0d0c1c5e-6f9b-5f7e-9a3c-2c1f6f3a7b11"
[sources.people]
table = "People"
key = "id"
fields = {{ id = "text", name = "text", nick = "text" }}
[entities.people]
table = "person"
source = "people"
identity = [{{ name = "its id", by = "filemaker_id" }}]
filemaker_id = "filemaker_id"
[entities.people.columns]
filemaker_id = {{ from = "id" }}
name = {{ from = "name", convert = "shouted"{beside} }}
[entities.visits]
table = "visit"
source = "people"
identity = []
[entities.visits.columns]
person_id = {{ from = "id", convert = "entity", entity = "people" }}
[application]
patient_name = ["name"]
search = ["name"]
calendar = {{ entity = "visits", start = "at", end = "till", patient = "person_id" }}
"""
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def shouted() -> Iterator[None]:
    @converter("shouted", needs=("called",), may=("times",), numbers=("times",))
    def shout(given: Given) -> str | None:
        often = int(given.named.get("times", "1"))
        return " ".join([f"{given.value} {given.beside('called')}!".upper()] * often)

    yield
    del CONVERTERS["shouted"]


def load(folder: Path, beside: str) -> FieldMapping:
    (folder / "own.toml").write_text(MAPPING.format(beside=beside))
    return mapping.load("own.toml", folder)


def refused(folder: Path, beside: str) -> str:
    with pytest.raises(MappingError) as told:
        load(folder, beside)
    return str(told.value)


def read(loaded: FieldMapping, folder: Path) -> Intake:
    """An intake of which nothing but the mapping is ever asked."""
    snapshot = Snapshot(database="", taken_at=NOW, seconds=0, channels=(), extracts={})
    nothing = rowfile.write(folder / "nothing.parquet", ("entity",), ())
    survey = Survey(
        database="",
        server_version="",
        taken_at=NOW,
        schema_digest="",
        content_types={},
        tables={},
        pointers=(),
        attachments={},
        problems=(),
        scanned_columns=0,
        rows={},
        attachment_rows={},
        lookups={},
        pointed_at=nothing,
        id_map=nothing,
        next_keys={},
        columns={},
        keys={},
        undo=(),
    )
    return Intake(loaded, snapshot, survey, folder)


@pytest.mark.usefixtures("shouted")
def test_a_converter_that_a_test_declares_is_fed(tmp_path: Path) -> None:
    loaded = load(tmp_path, ', with = { called = "nick", times = "2" }')
    column = loaded.entities["people"].columns["name"]
    assert column.fields_used == ("name", "nick"), "a number is no field"
    records = RecordConverter(read(loaded, tmp_path), zone=ZoneInfo("UTC"), as_of=NOW)
    record = Records({KEY: ["1"], "id": ["1"], "name": ["Anna"], "nick": ["an"]})
    assert records.convert("people", record, {}).values["name"] == ["ANNA AN! ANNA AN!"]


@pytest.mark.usefixtures("shouted")
@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ("", "shouted: `with` lacks called"),
        (', with = { called = "nick", loud = "x" }', "shouted: `with` does not know loud"),
        (', with = { called = "nick", times = "x" }', "times must be a whole number"),
        (', with = { called = "nicks" }', "people has no field nicks"),
        (', with = { called = "nick" }, entity = "people"', '`entity` is for convert = "entity"'),
    ],
)
def test_what_its_column_lacks_or_has_in_vain_is_told_with_its_place(
    tmp_path: Path, beside: str, said: str
) -> None:
    told = refused(tmp_path, beside)
    line = f'name = {{ from = "name", convert = "shouted"{beside} }}'
    number = MAPPING.format(beside=beside).splitlines().index(line) + 1
    assert f"line {number}, entities.people.columns.name: {said}" in told


def test_a_converter_that_nobody_declared_is_told_with_those_that_are(tmp_path: Path) -> None:
    told = refused(tmp_path, "")
    assert "entities.people.columns.name.convert: must be 'text', 'paragraphs', " in told
    assert "'html_pages' or 'sentence'" in told


def test_two_converters_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two converters are called moment"):
        converter("moment")(lambda given: given.value)


def test_the_plain_converters_are_those_that_need_nothing_else() -> None:
    plain = {name for name, one in CONVERTERS.items() if one.is_plain}
    assert plain == {"text", "paragraphs", "uuid", "whole", "date", "birth_date", "timestamp"}


UPPER = "0D0C1C5E-6F9B-5F7E-9A3C-2C1F6F3A7B11"
BESIDE = {"at": "09:30:00", "day": "2026-02-28", "starts": "10:00:00", "who": "a\rb", "no": " "}
ENDS = {"time": "at", "start_date": "day", "start_time": "starts", "minutes": "45"}


@pytest.mark.parametrize(
    ("name", "value", "beside", "result"),
    [
        ("text", " a\rb ", {}, "a\nb"),
        ("text", " ", {}, None),
        ("paragraphs", " a\rb ", {}, " a\nb "),
        ("paragraphs", " \r", {}, None),
        ("uuid", f" {UPPER} ", {}, UPPER.lower()),
        ("whole", "7.0", {}, "7"),
        ("date", " 2026-02-28 ", {}, "2026-02-28"),
        ("birth_date", "2026-03-01", {}, "2026-03-01"),
        ("timestamp", "2026-02-28 09:30:00", {}, "2026-02-28 09:30:00+00"),
        ("moment", "2026-02-28", {"time": "at"}, "2026-02-28 09:30:00+00"),
        ("end_moment", "2026-03-01", ENDS, "2026-03-01 09:30:00+00"),
        ("end_moment", "2026-02-28", {**ENDS, "time": "no"}, "2026-02-28 10:45:00+00"),
        ("end_moment", "", ENDS, "2026-02-28 10:45:00+00"),  # it would be before the start
        ("dated", "2026-02-27", {"timestamp": "day"}, "2026-02-27 00:00:00+00"),
        ("dated", "", {"timestamp": "day"}, "2026-02-28 00:00:00+00"),
        ("phone", " ", {"else": "who"}, "a\nb"),
        ("html_pages", "1 < 2", {"opening": "who"}, ["<p>a</p><p>b</p><p>1 &lt; 2</p>"]),
        ("html_pages", " \r", {"opening": "who"}, ["<p>a</p><p>b</p>"]),
        ("sentence", "", {"text": "Of {who} from {day}."}, "Of a\nb from 2026-02-28."),
        ("sentence", "", {"text": "Of {no}."}, None),
    ],
)
def test_what_a_mapping_gets_by_the_name_of_a_converter(
    name: str, value: str, beside: dict[str, str], result: object
) -> None:
    made = CONVERTERS[name].make(Given(ZoneInfo("UTC"), NOW, value, BESIDE, beside))
    assert (made.value if isinstance(made, Partial) else made) == result


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("keeps_text", "text paragraphs choice html_pages sentence"),
        ("is_id", "uuid entity"),
        ("is_json", "contact_card address_card html_pages"),
        ("is_instant", "timestamp moment end_moment dated"),
        ("parts", "contact_card address_card"),
        ("entry", "contact_card address_card"),
    ],
)
def test_what_is_declared_of_which_converters(what: str, names: str) -> None:
    assert {name for name, one in CONVERTERS.items() if getattr(one, what)} == {*names.split()}


def test_the_paper_has_every_converter_in_its_table_and_no_other() -> None:
    text = (CHECKOUT / "docs" / "mapping.md").read_text(encoding="utf-8")
    table = text.partition("| `convert` | takes | gives |")[2].partition("\n\n")[0]
    named = [
        n for line in table.splitlines()[2:] for n in re.findall(r"`(\w+)`", line.split("|")[1])
    ]
    assert sorted(named) == sorted(CONVERTERS)


def test_the_paper_has_all_that_a_converter_may_be_given_beside_its_field() -> None:
    text = (CHECKOUT / "docs" / "mapping.md").read_text(encoding="utf-8")
    rows = text.partition("| `convert` | `with` |")[2].partition("\n\n")[0].splitlines()[2:]
    for name, one in ((n, c) for n, c in CONVERTERS.items() if c.knows):
        row = next((row for row in rows if row.startswith(f"| `{name}` |")), "")
        assert row, f"{name} has no line in the table of `with`"
        given = re.findall(r"`(\w+)`( \*)?", row.split("|")[2])
        assert {word for word, _ in given} == one.knows, name
        assert {word for word, needed in given if needed} == {*one.needs}, name
