"""Whatever a schema holds, both ways of writing leave the same rows, and an undo is exact."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_reimport.errors import ROLLED_BACK, StopError
from nexus_reimport.record import Verdict
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.altered import Altered, altered
from support.clinic import taken_back
from support.second_installation import SCHEMA

WAYS = ("differences", "all")
# Values of types that no mapping feeds: a run carries them over. Columns that were dropped, that
# were added with a default, and that are called as our own aliases are; rows with long values; a
# row that points at itself.
ODD = """
SET CONSTRAINTS ALL IMMEDIATE;
CREATE TYPE practice.mood AS ENUM ('b', 'a');
CREATE DOMAIN practice.word AS text NOT NULL DEFAULT 'q' CHECK (VALUE <> 'z');
CREATE TYPE practice.pair AS (one integer, two text);
ALTER TABLE practice.visit DROP COLUMN room;
ALTER TABLE practice.visit ADD room text DEFAULT 'added', ADD mood practice.mood DEFAULT 'a',
    ADD word practice.word, ADD pair practice.pair DEFAULT '(,"")', ADD c1 interval
    DEFAULT '1 mon -30 days 24:00:00.000001', ADD c2 money DEFAULT '-1234.5', ADD c3 bit(3)
    DEFAULT '101', ADD c4 varbit DEFAULT '', ADD c5 text[] DEFAULT '[0:1]={NULL,"NULL"}',
    ADD c6 int4range DEFAULT 'empty', ADD c7 int4multirange DEFAULT '{[1,2),[4,)}',
    ADD c8 float8 DEFAULT '-0', ADD c9 real DEFAULT 0.1, ADD d1 numeric DEFAULT 1.500,
    ADD d2 timestamp DEFAULT 'infinity', ADD d3 timestamptz DEFAULT '0044-03-15 00:00+00 BC',
    ADD d4 date DEFAULT '-infinity', ADD d5 json DEFAULT '{"a":1, "a":2, "z":"\\u0000"}',
    ADD d6 jsonb DEFAULT '{"b":1e2,"a":1.0}', ADD d7 char(7) DEFAULT 'a', ADD d8 bytea
    DEFAULT '\\x00ff', ADD d9 text, ADD e1 point DEFAULT '(-0,1e300)', ADD e2 inet
    DEFAULT '10.0.0.1/8', ADD e3 tsvector DEFAULT 'a:1A b', ADD e4 timetz DEFAULT '24:00+10',
    ADD e5 name DEFAULT 'n', ADD e6 "char" DEFAULT 'x', ADD e7 pg_lsn DEFAULT '0/1',
    ADD e8 regclass DEFAULT 'practice.person', ADD h0 integer DEFAULT 1, ADD p integer, ADD w integer,
    ADD t integer, ADD key integer, ADD hash text, ADD place text, ADD version text, ADD what text,
    ADD chain integer UNIQUE, ADD self bigint REFERENCES practice.visit DEFERRABLE;
INSERT INTO practice.visit (person_id, starts, ends, remark, c8, d1)
    SELECT 3, s, s, 'kept', CASE n % 3 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity'
        ELSE 0.30000000000000004 END::float8, CASE n % 2 WHEN 0 THEN 'NaN' ELSE 'Infinity' END::numeric
    FROM generate_series(1, 4) n, LATERAL (SELECT timestamptz '2024-01-01' + n * interval '1 day') s (s);
UPDATE practice.visit SET chain = id, self = id, d9 = repeat('x', 1000000) || id;
"""  # noqa: E501


def there_and_back(found: Altered, write: str) -> dict[str, str]:
    """The state that a run leaves; it is undone, and then everything is as it was."""
    path = found.folder / "second.toml"
    path.write_text(f'write = "{write}"\n{path.read_text()}')
    before = found.state()
    assert found.whole(dry=True).run.verdict() is Verdict.COMPLETE
    after = found.state()
    assert after != before
    assert taken_back("second").passed
    assert found.state() == before
    return after


def test_values_of_every_type_are_carried_over_to_the_last_byte(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    states = []
    for write in WAYS:
        with altered(postgres, s3, tmp_path / write, SCHEMA + ODD) as found:
            states.append(there_and_back(found, write))
    assert states[0] == states[1]


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("how", ["STORED", "VIRTUAL"])
def test_a_column_that_the_database_fills_may_be_one_that_is_never_empty(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, write: str, how: str
) -> None:
    """The planned rows, which lack it, were refused by their own temporary table."""
    fed = "given text NOT NULL,"
    filled = f"shown text GENERATED ALWAYS AS (upper(given)) {how} NOT NULL,"
    with altered(postgres, s3, tmp_path, SCHEMA.replace(fed, f"{fed} {filled}")) as found:
        there_and_back(found, write)


def test_no_two_names_of_the_mapping_are_one_for_a_temporary_table(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    """PostgreSQL cuts names after 63 bytes; and an entity may be called as a link is."""
    long = "x" * 60
    with altered(postgres, s3, tmp_path) as found:
        for name in ("second.toml", "second_installation.toml"):
            path = found.folder / name
            text = path.read_text().replace("entities.carers", "entities.link_scans")
            for old, new in (("visits", f"{long}1"), ("people", f"{long}2")):
                for of in ("entities.", "decisions.", 'entity = "'):
                    text = text.replace(of + old, of + new)
            path.write_text(text)
        there_and_back(found, "differences")


# One document for each patient: links before the run, by document; FileMaker has 1, 2, 3 for them.
ONE_EACH = """
INSERT INTO practice.person (legacy_no, given, family, site_id) VALUES ('P9', 'Else', 'Where', 1);
UPDATE practice.document SET patient_id = NULL WHERE scan_no IS NOT NULL;
UPDATE practice.document SET patient_id = v.person FROM (VALUES {}) AS v (id, person)
    WHERE document.id = v.id;
"""


def one_each(links: str, how: str = "UNIQUE") -> str:
    """A schema in which a unique key is over the link of documents."""
    schema = SCHEMA.replace("'scans/2.pdf', 1)", "'scans/2.pdf', NULL)")
    schema = schema.replace("patient_id integer REFERENCES", f"patient_id integer {how} REFERENCES")
    return schema + ONE_EACH.format(links)


def one_is_kept(found: Altered) -> None:
    path = found.folder / "second.toml"
    head = "[decisions.people]\n"
    path.write_text(path.read_text().replace(head, f'{head}not_in_filemaker = "keep"\n'))


@pytest.mark.parametrize(
    ("links", "how"),
    [
        ("(1, NULL), (2, 1), (3, 2)", "UNIQUE"),
        ("(1, 2), (2, 4), (3, NULL)", "UNIQUE"),
        ("(1, 2), (2, 1), (3, NULL)", "UNIQUE DEFERRABLE"),
    ],
)
def test_links_under_a_unique_key_follow_each_other_there_and_back(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, links: str, how: str
) -> None:
    """One UPDATE of all was refused, or not, by the order in which the rows happen to lie."""
    with altered(postgres, s3, tmp_path, one_each(links, how)) as found:
        one_is_kept(found)
        there_and_back(found, "differences")


@pytest.mark.parametrize(
    "key",
    [
        "CREATE UNIQUE INDEX one ON practice.document (patient_id) WHERE path LIKE 'scans/%'",
        "CREATE UNIQUE INDEX one ON practice.document ((patient_id % 100))",
        "CREATE UNIQUE INDEX one ON practice.document ((1)) WHERE patient_id = 2",
        "ALTER TABLE practice.document ADD EXCLUDE USING btree (patient_id WITH =)",
        "ALTER TABLE practice.document ADD EXCLUDE USING gist"
        " (int4range(patient_id, patient_id, '[]') WITH &&) WHERE (patient_id IS NOT NULL)",
        "ALTER TABLE practice.document ADD half integer GENERATED ALWAYS AS (patient_id * 2) STORED"
        " UNIQUE",
    ],
)
@pytest.mark.parametrize("links", ["(1, NULL), (2, 1), (3, 2)", "(1, 2), (2, 4), (3, NULL)"])
def test_links_follow_each_other_under_a_key_of_any_form(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, key: str, links: str
) -> None:
    schema = f"{one_each(links, '')} SET CONSTRAINTS ALL IMMEDIATE; {key}"
    with altered(postgres, s3, tmp_path, schema) as found:
        one_is_kept(found)
        there_and_back(found, "differences")


@pytest.mark.parametrize(
    ("how", "key", "name"),
    [
        ("UNIQUE", "", "document_patient_id_key"),
        ("", "CREATE UNIQUE INDEX one ON practice.document ((patient_id % 100));", "one"),
    ],
)
def test_links_that_are_exchanged_under_a_unique_key_are_told_and_the_advice_helps(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, how: str, key: str, name: str
) -> None:
    schema = f"{one_each('(1, 2), (2, 1), (3, NULL)', how)} SET CONSTRAINTS ALL IMMEDIATE; {key}"
    with altered(postgres, s3, tmp_path, schema) as found:
        one_is_kept(found)
        before = found.state()
        with pytest.raises(StopError, match="links of scans cannot be written") as told:
            found.approved(dry=True)
        assert told.value.where == f"table document, constraint {name}"
        assert told.value.state == ROLLED_BACK
        assert "take one of both off its patient in Nexus" in told.value.next
        assert found.state() == before
        found.do("UPDATE practice.document SET patient_id = NULL WHERE id = 1")
        there_and_back(found, "differences")


def test_a_newer_link_that_has_the_place_of_an_old_one_is_said_to_be_in_the_way(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    with altered(postgres, s3, tmp_path, one_each("(1, 4), (2, NULL), (3, NULL)")) as found:
        one_is_kept(found)
        found.whole(dry=True)
        found.do("INSERT INTO practice.document (path, patient_id) VALUES ('uploads/4.pdf', 4)")
        now = found.state()
        with pytest.raises(StopError, match="cannot be put back: a newer row") as told:
            taken_back("second")
        assert told.value.where == "table document, constraint document_patient_id_key"
        assert found.state() == now
