"""Tables of Nexus whose rows a run names by one column must have that column as their key."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_reimport.errors import MappingError
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.altered import altered

# Whom a document is shown for: two rows of one document are told apart by `kind` alone.
JOINING = """
CREATE TABLE practice.shown_for (
    document_id integer REFERENCES practice.document DEFERRABLE,
    person_id integer REFERENCES practice.person DEFERRABLE INITIALLY DEFERRED,
    kind text, PRIMARY KEY (document_id, kind));
INSERT INTO practice.shown_for SELECT id, patient_id, 'of' FROM practice.document;
INSERT INTO practice.shown_for VALUES (2, 3, 'copy to');
"""
SITE = "ALTER TABLE practice.person DROP CONSTRAINT person_site_id_fkey;"
NONE = f"{SITE} ALTER TABLE practice.site DROP CONSTRAINT site_pkey;"
SEVERAL = f"{NONE} ALTER TABLE practice.site ADD PRIMARY KEY (id, label);"
OF_ITSELF = 'link = { object = "patient_id" }'
THROUGH = """link = { object = "person_id" }
through = { table = "shown_for", column = "id" }"""
NEEDED = "needs a primary key of one column"


@pytest.mark.parametrize(
    ("change", "links", "place"),
    [
        (JOINING, THROUGH, "attachments.scans.through.table: shown_for"),
        (
            "ALTER TABLE practice.document DROP CONSTRAINT document_pkey;",
            OF_ITSELF,
            "attachments.scans.table: document",
        ),
        (NONE, OF_ITSELF, "entities.people.columns.site_id.lookup.0: site"),
        (SEVERAL, OF_ITSELF, "entities.people.columns.site_id.lookup.0: site"),
    ],
)
def test_a_table_whose_rows_no_one_column_names_is_told_with_its_line(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, change: str, links: str, place: str
) -> None:
    """By a part of its key two rows were one, and a link was written into both."""
    with altered(postgres, s3, tmp_path) as found:
        path = found.folder / "second_installation.toml"
        path.write_text(path.read_text().replace(OF_ITSELF, links))
        found.do(f"SET CONSTRAINTS ALL IMMEDIATE; {change}")
        found.do("GRANT ALL ON ALL TABLES IN SCHEMA practice TO nexus_reimport")
        before = found.state()
        with pytest.raises(MappingError, match=f"{place}: {NEEDED}"):
            found.begun()
        assert found.state() == before
