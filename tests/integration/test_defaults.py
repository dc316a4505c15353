"""What a new row has in a column that the mapping does not name."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.altered import altered
from support.second_installation import SCHEMA

ONE_VALUE = {
    "boolean DEFAULT true": "true",
    "text NOT NULL DEFAULT 'a%s{}é' || 'b'": "a%s{}éb",
    "varchar(3) DEFAULT 'abc'": "abc",
    "numeric(6, 2) DEFAULT 7": "7.00",
    "integer[] DEFAULT '{1,2}'": "{1,2}",
    "bytea DEFAULT '\\x00ff'": "\\x00ff",
    "jsonb NOT NULL DEFAULT '{}'": "{}",
    "practice.kind": "usual",
}
MANY_VALUES = (
    "uuid DEFAULT gen_random_uuid()",
    "bigint DEFAULT nextval('practice.numbers')",
    "text DEFAULT CURRENT_USER",
    "date DEFAULT CURRENT_DATE",
    "integer DEFAULT practice.counted()",
)


def schema(columns: dict[str, str]) -> str:
    more = "".join(f'"{name}" {kind}, ' for name, kind in columns.items())
    before = """
        CREATE SEQUENCE practice.numbers;
        CREATE DOMAIN practice.kind AS text DEFAULT 'usual';
        CREATE TABLE practice.calls (n integer);
        CREATE FUNCTION practice.counted() RETURNS integer STABLE LANGUAGE sql AS 'SELECT 1';
        CREATE TABLE practice.person ("""
    return SCHEMA.replace("CREATE TABLE practice.person (", before + more)


def test_a_new_row_has_the_database_s_defaults(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    columns = {f"c {n}": kind for n, kind in enumerate(ONE_VALUE)} | {
        "born here": "timestamptz DEFAULT now()"
    }
    with altered(postgres, s3, tmp_path, schema(columns)) as found:
        # a row that was there keeps what it has
        found.do("UPDATE practice.person SET \"c 0\" = NULL WHERE legacy_no = 'P1'")
        book = found.whole()
        assert book.run.verdict() == "COMPLETE"
        said = ", ".join(f'"c {n}"::text' for n in range(len(ONE_VALUE)))
        (new,) = found.rows(f"SELECT {said} FROM practice.person WHERE legacy_no = 'P3'")
        assert dict(zip(ONE_VALUE, new, strict=True)) == ONE_VALUE
        assert found.rows(
            'SELECT legacy_no, "c 0", "born here" IS NOT NULL FROM practice.person'
            " WHERE legacy_no IN ('P1', 'P3') ORDER BY 1"
        ) == [("P1", None, True), ("P3", True, True)]


def test_a_default_that_is_not_one_value_is_told_and_not_asked(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    columns = {f"c{n}": kind for n, kind in enumerate(MANY_VALUES)}
    with altered(postgres, s3, tmp_path, schema(columns)) as found:
        mapping = tmp_path / "second_installation.toml"
        lines = "[entities.people.new]"
        mapping.write_text(mapping.read_text().replace(lines, lines + '\nc2 = "us"'))
        was = found.rows("SELECT last_value FROM practice.numbers")
        _, report = found.checked()
        assert not report.blocking
        (told,) = [
            r
            for r in report.results
            if any("not the same for every row" in line for line in r.sample)
        ]
        named = {line.partition(":")[0] for line in told.sample}
        assert named == {"person.c0", "person.c1", "person.c3", "person.c4"}
        assert all("[entities.people.new]" in line for line in told.sample)
        assert found.rows("SELECT last_value FROM practice.numbers") == was


@pytest.mark.parametrize(
    "key",
    [
        "other.visit (p integer REFERENCES practice.person DEFERRABLE)",
        'other."No ""te" (p integer REFERENCES practice.person DEFERRABLE)',
        "practice.note (p text REFERENCES practice.person (card) DEFERRABLE)",
        "other.note (p text REFERENCES practice.person (card) DEFERRABLE)",
    ],
)
def test_a_row_that_any_foreign_key_points_at_stays(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, key: str
) -> None:
    column = "(card)" in key
    pointed = SCHEMA.replace("legacy_no text,", "legacy_no text, card text UNIQUE,").replace(
        "INSERT INTO practice.site",
        f"CREATE SCHEMA other; CREATE TABLE {key};INSERT INTO practice.site",
        1,
    ) + (
        "INSERT INTO practice.person (card, given, family, site_id) VALUES"
        " ('Card A', 'One', 'Kept', 1), ('Card B', 'Two', 'Gone', 1);"
        f"INSERT INTO {key.partition(' (')[0]}"
        f" SELECT {'card' if column else 'id'} FROM practice.person WHERE given = 'One'"
    )
    with altered(postgres, s3, tmp_path, pointed) as found:
        settings = tmp_path / "second.toml"
        text = settings.read_text()
        settings.write_text(text.replace('no_filemaker_id = "keep"', 'no_filemaker_id = "purge"'))
        book = found.whole(dry=True)
        assert book.run.verdict() == "COMPLETE"
        left = found.rows("SELECT given FROM practice.person WHERE card IS NOT NULL")
        assert left == [("One",)]
