"""What the plan cannot tell: PostgreSQL refuses in the rehearsal, and the rows are named by id."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from nexus_reimport import settings
from nexus_reimport.errors import StopError, TargetError
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.stages import refused_rows
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.clinic import copies, no_copies
from support.second_clinic import CARES, VISITS, Second, opened
from support.sheets import put_back
from support.values import plan_of

ROWS = (
    ("V1", "P1", "6/30/2025", "09:00:00", "09:30:00", "first"),
    ("V2", "P2", "7/1/2025", "11:00:00", "", "second"),
    ("V3", "P3", "7/3/2025", "11:00:00", "", "zebra"),
)


@pytest.fixture
def second(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Second]:
    with opened("exports", postgres, s3, tmp_path, monkeypatch) as found:
        found.csv("Visits.csv", VISITS, *ROWS)
        yield found


def refused(second: Second) -> str:
    """What a run stops with in its rehearsal; the database is as it was, and no copy is left."""
    # A copy of a test before may just be on its way out.
    before, earlier = second.state(), set(copies(second.server))
    book, report = second.checked()
    assert not report.blocking, report.blocking
    with pytest.raises(StopError) as told:
        book.rehearse()
    text = str(told.value)
    assert second.state() == before
    assert "zebra" not in text
    assert "Eulalia" not in text
    assert set(copies(second.server)) <= earlier
    for part in ("where: ", "state: ", "next: "):
        assert part in text
    return text


def rule_in(text: str) -> str:
    """The line that a message gives to paste."""
    (line,) = re.findall(r"{ name = .*records = \[.*\] }", text)
    return str(line)


def test_a_check_that_fails_is_told_by_id_and_the_line_given_leads_to_complete(
    second: Second,
) -> None:
    second.connection.execute(
        "ALTER TABLE practice.visit ADD CONSTRAINT calm CHECK (remark NOT LIKE 'zeb%')"
    )
    text = refused(second)
    assert "PostgreSQL would refuse 1 planned row\n" in text
    assert "visits, constraint calm: V3" in text
    line = rule_in(text)
    assert line == '{ name = "refused", at_most = 0.3333, records = ["V3"] }'
    second.edit(
        "second_installation.toml",
        'left_out = [{ name = "nobody"',
        f'left_out = [{line}, {{ name = "nobody"',
    )
    book = second.whole(dry=True)
    assert book.run.verdict() == "COMPLETE"
    account = next(a for a in plan_of(book).accounts if a.source == "visits")
    assert account.left_out == {"refused": 1}


def test_a_check_that_fails_on_a_value_given_by_hand_names_the_sheet(second: Second) -> None:
    second.connection.execute("UPDATE practice.person SET shoe_size = NULL WHERE id = 1")
    second.connection.execute("ALTER TABLE practice.person ADD CHECK (shoe_size < 100)")
    path = second.folder / "second_installation.toml"
    path.write_text(
        path.read_text() + '\n[by_hand.shoes]\nentity = "people"\n'
        'columns = { shoe_size = "" }\nshow = ["family"]\n'
    )
    target, there = put_back(second.planned())
    there["shoes"].cell(2, 3).value = 412
    there.save(target)
    assert "some of these rows have values given by hand: check manual.xlsx too" in refused(second)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "CREATE TYPE practice.mood AS ENUM ('first', 'second', 'made here');"
            " ALTER TABLE practice.visit ALTER remark TYPE practice.mood"
            " USING remark::practice.mood",
            "visits, column remark (InvalidTextRepresentation): V3",
        ),
        (
            "CREATE DOMAIN practice.word AS text CONSTRAINT short CHECK (VALUE !~ '^z');"
            " ALTER TABLE practice.visit ALTER remark TYPE practice.word",
            "visits, constraint short: V3",
        ),
        (
            "CREATE UNIQUE INDEX same ON practice.visit (left(remark, 0))"
            " WHERE remark ~ '^(zeb|sec)'",
            "visits, unique key same: V2, V3",
        ),
        (
            "CREATE EXTENSION citext SCHEMA practice; CREATE UNIQUE INDEX same ON practice.visit"
            " ((replace(replace(remark, 'second', 'X'), 'zebra', 'x')::practice.citext))",
            "visits, unique key same: V2, V3",
        ),
        (
            "ALTER TABLE practice.visit ADD CONSTRAINT apart EXCLUDE USING btree"
            " ((left(remark, 0)) WITH =) WHERE (remark ~ '^(zeb|sec)')",
            "visits, unique key apart: V2, V3",
        ),
        (
            "ALTER TABLE practice.visit ADD size integer GENERATED ALWAYS AS"
            " (100 / (length(remark) - 5 + (remark <> 'zebra')::integer)) STORED",
            "visits, SQLSTATE 22012 (DivisionByZero): V3",
        ),
        (
            "CREATE FUNCTION practice.calm(said text) RETURNS boolean LANGUAGE plpgsql AS"
            " $$BEGIN IF said = 'zebra' THEN RAISE EXCEPTION 'no % of Eulalia', said; END IF;"
            " RETURN true; END$$; ALTER TABLE practice.visit ADD CHECK (practice.calm(remark))",
            "visits, SQLSTATE P0001 (RaiseException): V3",
        ),
        (
            "CREATE TABLE practice.word (word text PRIMARY KEY); INSERT INTO practice.word VALUES"
            " ('first'), ('second'), ('made here'); ALTER TABLE practice.visit ADD CONSTRAINT known"
            " FOREIGN KEY (remark) REFERENCES practice.word DEFERRABLE INITIALLY DEFERRED",
            "visits, foreign key known: V3",
        ),
    ],
)
def test_relatives_of_a_failed_check_are_told_by_id(second: Second, change: str, told: str) -> None:
    second.connection.execute(change)
    text = refused(second)
    assert told in text
    assert 'records = ["V3"] }' in rule_in(text)


def test_a_unique_expression_with_rows_of_nexus_alone_names_both(
    second: Second,
) -> None:
    second.connection.execute("CREATE UNIQUE INDEX one_family ON practice.person (lower(family))")
    second.connection.execute("UPDATE practice.person SET family = 'BRANDYWINE' WHERE id = 3")
    text = refused(second)
    assert "people, unique key one_family: Nexus id 3, P3" in text
    assert rule_in(text) == '{ name = "refused", at_most = 0.25, records = ["P3"] }'


def test_rows_are_found_among_many_and_only_the_first_are_named(second: Second) -> None:
    second.connection.execute(
        "ALTER TABLE practice.carer ADD CONSTRAINT odd CHECK (named !~ '[05]$')"
    )
    second.csv("Cares.csv", CARES, *[("P1", f"C{n}", "1/1/2020") for n in range(1, 1_001)])
    text = refused(second)
    assert "would refuse 50 planned rows (the first 50 are named)" in text
    assert "carers, constraint odd: P1+C" in text
    assert "and 45 more" in text
    second.csv("Cares.csv", CARES, *[("P1", f"C{n}", "1/1/2020") for n in range(1, 10)])
    assert "carers, constraint odd: P1+C5" in refused(second)


def test_thousands_of_rows_with_one_key_are_not_compared_each_with_each(second: Second) -> None:
    """Ten thousand rows that a unique key takes for the same are a hundred million pairs."""
    many = [("P1", f"C{number}", "1/1/2020") for number in range(20_000)]
    second.csv("Cares.csv", CARES, *many, ("P2", "x", "1/1/2020"))
    book, place = second.planned(), settings.load("second").postgres
    second.connection.execute("CREATE UNIQUE INDEX one ON practice.carer ((named = 'x'))")
    began = time.monotonic()
    found = refused_rows.ask(place, book.mapping, plan_of(book), book.folder)
    assert time.monotonic() - began < 30
    assert len(found) == refused_rows.MOST
    assert {one.by for one in found} == {"unique key one"}
    assert sum(one.is_first for one in found) <= 1


def test_asking_writes_to_no_table_and_holds_nothing(second: Second) -> None:
    second.connection.execute(
        "ALTER TABLE practice.visit ADD CONSTRAINT calm CHECK (remark NOT LIKE 'zeb%')"
    )
    book = second.planned()
    before = second.state()
    place = settings.load("second").postgres
    found = refused_rows.ask(place, book.mapping, plan_of(book), book.folder)
    assert [(one.entity, one.by) for one in found] == [("visits", "constraint calm")]
    assert second.state() == before
    with connected(place) as connection:
        left = connection.execute("SELECT count(*) FROM pg_class WHERE relname ~ '^(like|texts)_'")
        assert left.fetchone() == (0,)


def test_where_no_copy_can_be_made_rows_are_named_all_the_same(
    second: Second, postgres: PostgresServer
) -> None:
    second.connection.execute(
        "ALTER TABLE practice.visit ADD CONSTRAINT calm CHECK (remark NOT LIKE 'zeb%')"
    )
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute("ALTER ROLE nexus NOCREATEDB")
        try:
            assert "visits, constraint calm: V3" in refused(second)
        finally:
            connection.execute("ALTER ROLE nexus CREATEDB")


def test_an_error_that_is_of_no_row_stays_what_it_is(second: Second) -> None:
    book = second.planned()
    rest = (settings.load("second").postgres, book.mapping, plan_of(book), book.folder, "")
    refused_rows.explain(TargetError("the connection was lost"), *rest)
    of_rows = TargetError("refused, and by now every row would be taken")
    of_rows.sqlstate = "23514"
    refused_rows.explain(of_rows, *rest)


# ---------------------------------------------------------------- encodings


@pytest.fixture(params=["LATIN1", "WIN1252", "EUC_CN"])
def encoded(
    request: pytest.FixtureRequest,
    postgres: PostgresServer,
    s3: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[str, Second]]:
    """The installation in a database with another encoding than UTF8."""
    encoding, template = request.param, "of_another_encoding"
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {template} TEMPLATE template0 ENCODING '{encoding}'"
            " LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    try:
        with opened("exports", postgres, s3, tmp_path, monkeypatch, template) as found:
            yield encoding, found
    finally:
        postgres.drop_database(template)


def test_characters_that_the_encoding_lacks_are_told_by_id_before_a_rehearsal(
    encoded: tuple[str, Second],
) -> None:
    encoding, second = encoded
    check = "every_planned_character_is_in_the_database_s_encoding"
    more = ("V3", "P3", "7/3/2025", "11:00:00", "", "\u017babka")
    second.csv("Visits.csv", VISITS, *ROWS[:2], more)
    before = second.state()
    book, report = second.checked()
    (refused,) = report.blocking
    assert refused.check == check
    with no_copies(second.server), pytest.raises(StopError, match=check):
        book.rehearse()
    assert second.state() == before
    assert "the encoding UTF8" in refused.note
    if encoding == "EUC_CN":
        assert refused.sample == (encoding,)
        return
    assert refused.sample == ("visits.remark: V3",)
    line = f'{{ name = "not_in_{encoding}", at_most = 0.3333, records = ["V3"] }}'
    assert line in refused.note
    second.csv("Visits.csv", VISITS, *ROWS[:2], (*more[:-1], "caf\xe9"))
    assert second.whole(dry=True).run.verdict() == "COMPLETE"
