"""What the oracle looks at: FileMaker, Nexus before and after, and what the run has told."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import dict_row

from nexus_reimport import CHECKOUT
from nexus_reimport.model import Plan

Row = dict[str, Any]
Mapped = Mapping[str, Any]
MAPPING_FILE = CHECKOUT / "nexus_reimport" / "mappings" / "nexus.toml"
MAPPING: Mapped = tomllib.loads(MAPPING_FILE.read_text(encoding="utf-8"))
ENTITIES: Mapping[str, Mapped] = MAPPING["entities"]
ATTACHMENTS: Mapping[str, Mapped] = MAPPING["attachments"]
SOURCES: Mapping[str, Mapped] = MAPPING["sources"]
TABLE = {entity: spec["table"] for entity, spec in ENTITIES.items()}
ZONE = ZoneInfo("Australia/Sydney")  # of the made-up clinic
CARDS = ("contact_json", "address_json")

_TABLES = """
SELECT relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE nspname = 'public' AND relkind = 'r' ORDER BY 1
"""
_COLUMNS = """
SELECT table_name AS of, column_name AS name, character_maximum_length AS most,
  data_type IN ('json', 'jsonb') AS is_json
FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, ordinal_position
"""
_FOREIGN_KEYS = """
SELECT c.conrelid::regclass::text AS of, a.attname AS name, c.confrelid::regclass::text AS target
FROM pg_constraint AS c JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = conkey[1]
WHERE contype = 'f'
"""


@dataclass(frozen=True, slots=True)
class Nexus:
    """All rows of Nexus, and what its catalog says of them."""

    tables: Mapping[str, Sequence[Row]]
    columns: Mapping[str, Mapping[str, Row]]
    foreign_keys: Sequence[Row]
    loaded: Mapping[tuple[str, str], str]  # (entity, FileMaker id) -> id of the row of a run before

    def by_id(self, entity: str) -> dict[str, Row]:
        """The rows of an entity by their ids."""
        return {str(row["id"]): row for row in self.tables[TABLE[entity]]}


@dataclass(frozen=True, slots=True)
class Seen:
    """One run: all that went in, and all that came out."""

    filemaker: Mapping[str, Sequence[Row]]  # by table
    before: Nexus
    after: Nexus
    plan: Plan
    entities: Mapping[str, Mapped]  # of the mapping that the run had
    decisions: Mapping[str, Mapping[str, Any]]  # entity -> what is decided -> how
    ledger: Sequence[Row]
    misfits: Sequence[Row]
    differences: Sequence[Row]
    given: Mapping[tuple[str, str, str], str]  # by hand: kind, Nexus id, column -> the value

    def records(self, source: str) -> Sequence[Row]:
        """The records of a source of the mapping."""
        return self.filemaker[SOURCES[source]["table"]]


def nexus(application: psycopg.Connection[Any], ours: psycopg.Connection[Any]) -> Nexus:
    """Nexus as it is; ``ours`` may read the tables of the package."""
    with application.cursor(row_factory=dict_row) as cursor:
        tables = {
            row["relname"]: cursor.execute(f'SELECT * FROM "{row["relname"]}"').fetchall()
            for row in cursor.execute(_TABLES).fetchall()
        }
        columns: dict[str, dict[str, Row]] = {}
        for row in cursor.execute(_COLUMNS).fetchall():
            columns.setdefault(row["of"], {})[row["name"]] = row
        foreign_keys = cursor.execute(_FOREIGN_KEYS).fetchall()
    exists = ours.execute("SELECT to_regclass('nexus_reimport.loaded')").fetchone()[0]
    query = "SELECT entity, filemaker_id, nexus_id FROM nexus_reimport.loaded"
    loaded = ours.execute(query).fetchall() if exists else []
    return Nexus(
        tables, columns, foreign_keys, {(entity, of): str(row) for entity, of, row in loaded}
    )
