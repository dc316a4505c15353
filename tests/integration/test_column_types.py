"""Columns of every type: a value is stored as it was planned, or the preflight refuses the column.

Rehearsals are dry runs, without a copy on which the verification would be rehearsed, too.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nexus_reimport.errors import MappingError, StopError
from nexus_reimport.files import rowfile
from nexus_reimport.stages import apply
from nexus_sandbox.filemaker.file import Field, FileTable
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.altered import Altered, altered
from support.second_installation import SCHEMA
from support.sheets import put_back
from support.values import plan_of

LONG = f"{'9' * 45}.{'8' * 45}"
# type -> FileMaker's texts, and what the rows of Nexus hold of them ("" is empty: it did not fit)
FORETOLD = {
    "double precision": (("7.50", "1e-7", "1.2345678901234567"), ("7.5", "1e-07", "")),
    "real": (("0.10", "41.5", "16777217"), ("0.1", "41.5", "")),
    "numeric": (("007.50", LONG, "1.5e3"), ("7.50", LONG, "1500")),
    "numeric(4,1)": (("41", LONG, "-0"), ("41.0", "", "0.0")),
    "char(5)": (("ab", "abcde", "abcdef"), ("ab   ", "abcde", "")),
    "bpchar": (("ab", "", "abc"), ("ab", "", "abc")),
    "time": (("9:00", "24:00:00", "99:00"), ("09:00:00", "24:00:00", "")),
    "timestamp": (("2026-01-31", "2026-01-31T09:00:00.50", "x"), None),
    "practice.mood": (("calm", "cross", ""), ("calm", "cross", "")),
    "practice.small": (("41", "41.50", "41.555"), ("41.00", "41.50", "")),
    "practice.word": (("ab", "abc", "abcd"), ("ab ", "abc", "")),
    "citext": (("Ab", "AB", "ab"), ("Ab", "AB", "ab")),
    "boolean": (("Yes", "0", "maybe"), ("t", "f", "")),
}
STAMPS = ("2026-01-31 00:00:00", "2026-01-31 09:00:00.5", "")
TYPES = """
CREATE EXTENSION IF NOT EXISTS citext;
CREATE TYPE practice.mood AS ENUM ('calm', 'cross');
CREATE DOMAIN practice.money AS numeric(5, 2);
CREATE DOMAIN practice.small AS practice.money CHECK (VALUE < 100);
CREATE DOMAIN practice.word AS char(3);
CREATE TYPE practice.pair AS (one integer, two integer);
CREATE DOMAIN practice.span AS interval;
CREATE DOMAIN practice.doc AS jsonb;
"""


def columns(found: Altered, types: dict[str, str], more: str = "") -> None:
    """Give visits a column of each type, fed by a field of the same name; no limit on misfits."""
    adds = ", ".join(f"ADD {name} {kind}" for name, kind in types.items())
    found.do(f"ALTER TABLE practice.visit {adds}")
    path = found.folder / "second_installation.toml"
    at = 'remark = { from = "Remark", convert = "paragraphs" }'
    fed = "".join(f'\n{n} = {{ from = "{n}", misfits_at_most = 1.0{more} }}' for n in types)
    fields = "".join(f'\n{name} = "text"' for name in types)
    text = path.read_text().replace(at, at + fed)
    path.write_text(text.replace('Remark = "text"', 'Remark = "text"' + fields))


def values(found: Altered, given: dict[str, tuple[str, ...]]) -> None:
    """Give the three visits that are loaded these values in fields of these names."""
    with found.simulator.edit() as tables:
        old = tables["Visits"]
        fields = (*old.fields, *(Field(name, "text") for name in given))
        for number, record in enumerate(old.records):
            texts = {n: several[number] if number < 3 else "" for n, several in given.items()}
            record.values.update(texts)
        tables["Visits"] = FileTable("Visits", fields, old.records)


def numbered(kinds: object) -> dict[str, str]:
    return {f"c{number}": kind for number, kind in enumerate(kinds)}


@pytest.fixture
def found(postgres: PostgresServer, s3: S3Server, tmp_path: Path):
    with altered(postgres, s3, tmp_path, SCHEMA, TYPES) as found:
        yield found


@pytest.mark.parametrize("write", ["differences", "all"])
def test_a_value_is_stored_as_it_was_planned_whatever_its_column_s_type(
    found: Altered, write: str
) -> None:
    types = numbered(FORETOLD)
    path = found.folder / "second.toml"
    path.write_text(f'write = "{write}"\n{path.read_text()}')
    columns(found, types)
    values(found, {name: FORETOLD[kind][0] for name, kind in types.items()})
    book = found.whole(dry=True)
    assert book.run.verdict() == "COMPLETE"
    printed = ", ".join(f"coalesce(format('%s', {name}), '')" for name in types)
    rows = found.rows(
        f"SELECT {printed} FROM practice.visit"
        " WHERE remark IS DISTINCT FROM 'made here' ORDER BY starts"
    )
    stored = dict(zip(types.values(), zip(*rows, strict=True), strict=True))
    assert stored == {kind: kept or STAMPS for kind, (_, kept) in FORETOLD.items()}
    misfits = {m.column: m.empty for m in plan_of(book).entities["visits"].misfits if m.empty}
    assert misfits == {
        name: 1
        for name, kind in types.items()
        if kind in stored
        for given, kept in [(FORETOLD[kind][0], stored[kind])]
        if any(text and not value for text, value in zip(given, kept, strict=True))
    }


def test_a_second_run_finds_every_value_as_it_is(found: Altered) -> None:
    types = numbered(FORETOLD)
    columns(found, types)
    values(found, {name: FORETOLD[kind][0] for name, kind in types.items()})
    found.whole(dry=True)
    book = found.whole(dry=True)
    assert book.run.verdict() == "COMPLETE"
    changes = plan_of(book).entities["visits"].changes
    assert not any(c.different or c.filled for c in changes if c.column in types)


REFUSED = {
    "interval": "interval",
    "bytea": "bytea",
    "text[]": "text[]",
    "numeric(2, -3)": "numeric(2,-3)",
    "time with time zone": "time with time zone",
    "time(0)": "time(0) without time zone",
    "money": "money",
    "inet": "inet",
    "bit(3)": "bit(3)",
    "name": "name",
    '"char"': '"char"',
    "xml": "xml",
    "daterange": "daterange",
    "tsvector": "tsvector",
    "practice.pair": "practice.pair",
    "practice.span": "practice.span",
    "practice.doc": "practice.doc",
    "practice.small[]": "practice.small[]",
}


def refusal(found: Altered) -> str:
    """What a preflight is refused with; Nexus is as it was."""
    before = found.state()
    with pytest.raises(MappingError) as refused:
        found.begun()
    assert found.state() == before
    assert "next: " in str(refused.value)
    return str(refused.value)


def test_a_column_whose_type_cannot_be_foretold_is_refused_in_the_preflight(
    found: Altered,
) -> None:
    types = numbered(REFUSED)
    columns(found, types)
    values(found, dict.fromkeys(types, ("", "", "")))
    text = refusal(found)
    assert f"{len(types)} problems" in text
    for name, kind in types.items():
        (line,) = (s for s in text.splitlines() if f"entities.visits.columns.{name}:" in s)
        assert f"its type is {REFUSED[kind]}: PostgreSQL may print such a value otherwise" in line
        assert "Take the column out of the mapping, or have the application change its type" in line
        assert line.strip().startswith("line ")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "ALTER TABLE practice.person ALTER born TYPE timestamptz",
            "people.columns.born: its type is timestamp with time zone, and convert ="
            ' "birth_date" gives no instant: take timestamp or moment or end_moment or dated;'
            ' "timestamp" makes midnight at the clinic of a date',
        ),
        (
            "ALTER TABLE practice.carer ALTER since TYPE timestamptz(0)",
            "carers.columns.since: its type is timestamp(0) with time zone: PostgreSQL may print",
        ),
        (
            "ALTER TABLE practice.visit ALTER starts TYPE timestamp",
            "visits.columns.starts: its type is timestamp without time zone, and convert ="
            ' "moment" needs timestamp with time zone',
        ),
        (
            "ALTER TABLE practice.visit ALTER ends TYPE date",
            'visits.columns.ends: its type is date, and convert = "end_moment" needs timestamp',
        ),
        (
            "ALTER TABLE practice.visit ALTER starts TYPE timestamptz(0)",
            'convert = "moment" needs timestamp with time zone',
        ),
        (
            "ALTER TABLE practice.document DROP CONSTRAINT document_patient_id_fkey,"
            " ALTER patient_id TYPE numeric(8, 2)",
            "scans.link.object: the type of patient_id is numeric(8,2), and an id needs",
        ),
        (
            "ALTER TABLE practice.carer ALTER id TYPE char(40)",
            "entities.carers.table: the type of id is character(40), and an id needs",
        ),
    ],
)
def test_a_column_whose_type_does_not_take_what_its_converter_gives_is_refused(
    found: Altered, change: str, told: str
) -> None:
    found.do(change)
    assert told in refusal(found)


@pytest.mark.parametrize(
    ("kind", "line", "told"),
    [
        ("numeric(4, 2)", 'c = "1.5"', "PostgreSQL prints it as '1.50': write it so"),
        ("boolean", 'c = "true"', "PostgreSQL prints it as 't': write it so"),
        ("char(3)", 'c = "a"', "PostgreSQL prints it as 'a  ': write it so"),
        ("varchar(3)", 'c = "abcd"', "longer than 3 characters"),
        ("interval", 'c = "1 hour"', "PostgreSQL prints it as '01:00:00': write it so"),
        ("bytea", 'c = "a"', r"PostgreSQL prints it as '\\x61': write it so"),
        ("integer[]", 'c = "{1, 2}"', "PostgreSQL prints it as '{1,2}': write it so"),
        ("timestamptz", 'c = "2026-01-31"', "prints it as '2026-01-31 00:00:00+00': write it so"),
        ("date", 'c = "31/12/2026"', "a column of type date cannot hold it: not a date"),
        ("inet", 'c = "x"', "a column of type inet cannot hold it: SQLSTATE 22P02"),
        ("integer", 'c = ""', "a column of type integer cannot hold it: it is empty"),
        ("char(40)", 'c = { rule = "as_of" }', "in which the moment of the plan would be stored"),
        ("date", 'c = { rule = "as_of" }', "in which the moment of the plan would be stored in"),
        (
            "timestamptz",
            'c = { rule = "from", from = "Day", convert = "date" }',
            'in which convert = "date" would be stored in another form',
        ),
        (
            "boolean",
            'c = { rule = "sent_if", column = "starts", past = "yes", future = "f" }',
            "visits.new.c.past: in a column of type boolean PostgreSQL prints it as 't'",
        ),
    ],
)
def test_a_value_of_the_mapping_that_would_be_stored_otherwise_is_refused(
    found: Altered, kind: str, line: str, told: str
) -> None:
    found.do(f"ALTER TABLE practice.visit ADD c {kind}")
    path = found.folder / "second_installation.toml"
    new = f"[entities.visits.new]\n{line}\n\n[entities.carers]\n"
    path.write_text(path.read_text().replace("[entities.carers]\n", new))
    assert told in refusal(found)


def test_values_of_the_mapping_in_the_form_that_is_printed_are_stored(found: Altered) -> None:
    given = {
        "interval": "01:00:00",
        "bytea": r"\\x61",
        "integer[]": "{1,2}",
        "char(3)": "a  ",
        "timestamptz": "2026-01-31 00:00:00+00",
        "numeric(4, 2)": "1.50",
    }
    adds = ", ".join(f"ADD {n} {kind}" for n, kind in numbered(given).items())
    found.do(f"ALTER TABLE practice.visit {adds}")
    lines = "".join(f'{n} = "{given[kind]}"\n' for n, kind in numbered(given).items())
    path = found.folder / "second_installation.toml"
    new = f"[entities.visits.new]\n{lines}\n[entities.carers]\n"
    path.write_text(path.read_text().replace("[entities.carers]\n", new))
    assert found.whole(dry=True).run.verdict() == "COMPLETE"


def test_a_value_by_hand_is_planned_as_it_is_printed(found: Altered) -> None:
    found.do("ALTER TABLE practice.person ADD fee float8, ADD seen timestamptz, ADD more jsonb")
    path = found.folder / "second_installation.toml"
    text = path.read_text()
    sheet = '[by_hand.fees]\nentity = "people"\ncolumns = { %s = "" }\nshow = ["family"]\n'
    for column in ("seen", "more"):
        path.write_text(text + "\n" + sheet % column)
        assert "which nobody can fill in by hand" in refusal(found)
    path.write_text(text + "\n" + sheet % "fee")
    target, book = put_back(found.begun())
    book["fees"].cell(2, 3).value = "7.50"
    book.save(target)
    assert found.whole(dry=True).run.verdict() == "COMPLETE"
    assert (7.5,) in found.rows("SELECT fee FROM practice.person")


def test_a_plan_in_another_form_than_the_printed_one_ends_a_dry_run(found: Altered) -> None:
    """Whatever the preflight did not know of a type: verification would fail after COMMIT."""
    columns(found, {"weight": "numeric(4, 1)", "height": "numeric(4, 1)"})
    values(found, {"weight": ("41", "7.5", ""), "height": ("", "9.5", "180")})
    book = found.begun()
    plan, before = plan_of(book), found.state()
    entity = plan.entities["visits"]
    file = entity.file
    planned = [list(row) for row in rowfile.read(book.folder, file)]
    at = file.columns.index("weight")
    assert sorted(filter(None, (row[at] for row in planned))) == ["41.0", "7.5"]
    forms = {"41.0": "41", "180.0": "180"}
    as_numbers = [[forms.get(value or "", value) for value in row] for row in planned]
    key = file.columns.index("id")
    with_a_zero = [*planned[0][:key], f"0{planned[0][key]}", *planned[0][key + 1 :]]
    for rows, told in (
        (as_numbers, "    visit.height: 1 row\n    visit.weight: 1 row\n"),
        ([with_a_zero, *planned[1:]], "    visit.id: 1 row\n"),
    ):
        written = rowfile.write(book.folder / "other.parquet", file.columns, rows)
        other = replace(plan, entities={**plan.entities, "visits": replace(entity, file=written)})
        request = apply.ApplyRequest(book.run.id, "second", book.intake(), other)
        with pytest.raises(StopError) as stopped:
            apply.apply(book.settings.postgres, request, book._check_inside, commit=False)
        said = "PostgreSQL stores planned values in another form than the plan's\n"
        assert said + told in str(stopped.value)
        assert "41" not in str(stopped.value)
    assert found.state() == before
    assert not list(book.folder.glob("printed_*"))


def test_texts_padded_with_blanks_are_found_by_ids_names_and_lookups(found: Altered) -> None:
    found.do(
        "ALTER TABLE practice.person ALTER legacy_no TYPE char(10), ALTER given TYPE char(20),"
        " ALTER family TYPE char(20); ALTER TABLE practice.site ALTER label TYPE char(12);"
        " ALTER TABLE practice.document ALTER scan_no TYPE char(8);"
        " ALTER TABLE practice.carer ALTER named TYPE char(9)"
    )
    path = found.folder / "second_installation.toml"
    path.write_text(path.read_text().replace('= ""', f'= "{20 * " "}"'))
    book = found.whole(dry=True)
    assert book.run.verdict() == "COMPLETE"
    plan = plan_of(book)
    assert plan.entities["people"].matched == {"legacy_no": 2}
    assert sum(plan.entities["carers"].matched.values()) == 1
    assert plan.links["scans"].placed == 3
    assert found.rows("SELECT given, site_id FROM practice.person WHERE legacy_no = 'P3'") == [
        (f"{'Eulalia':20}", 2)
    ]
    changes = {c.column: c for c in plan.entities["people"].changes}
    assert changes["given"].same == 2
    assert not any(changes[name].different for name in ("given", "family", "legacy_no"))
