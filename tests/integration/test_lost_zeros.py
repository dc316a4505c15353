"""Ids that begin with zeros, in a file that a spreadsheet program has saved: 001 came as 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nexus_reimport.model import Result
from nexus_sandbox.filemaker import exports
from nexus_sandbox.filemaker.file import FileTable, Record
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.second_clinic import opened, result
from support.second_installation import EXPORTED, filemaker

LOST = "no_id_has_lost_its_zeros"
IN_NEXUS = "UPDATE practice.person SET legacy_no = replace(legacy_no, 'P', '00')"
Tables = dict[str, FileTable]
Judged = Callable[..., Result]


@pytest.fixture
def judged(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Judged]:
    """What the check says where the zeros are lost in the named tables."""
    with opened("exports", postgres, s3, tmp_path, monkeypatch) as second:
        second.connection.execute(IN_NEXUS)

        def of(*lost: str, also: Callable[[Tables], object] = lambda _: None) -> Result:
            zeros = {table.name: "" if table.name in lost else "00" for table in filemaker()}
            tables = {table.name: numbered(table, zeros[table.name]) for table in filemaker()}
            also(tables)
            for table, (name, style) in zip(tables.values(), EXPORTED, strict=True):
                as_texts = replace(style, number_ids=False)
                exports.write(table, second.folder / "exports" / name, as_texts)
            return result(second.checked()[1], LOST)

        yield of


def numbered(table: FileTable, zeros: str) -> FileTable:
    """A table whose people have numbers, ``zeros`` before each."""

    def changed(record: Record) -> Record:
        values = dict(record.values)
        for field in {"PersonNo", "Person"} & values.keys():
            values[field] = str(values[field]).replace("P", zeros)
        return replace(record, values=values)

    return FileTable(table.name, table.fields, [changed(record) for record in table.records])


def test_a_patient_who_would_come_a_second_time_is_named_with_both_ids(judged: Judged) -> None:
    found = judged("People", "Visits", "Scans", "Cares")
    assert found.blocks
    assert set(found.sample) == {
        "people: 1 is new, and the record of 001 in Nexus is gone",
        "people: 2 is new, and the record of 002 in Nexus is gone",
    }
    assert "export it again and open it in none" in found.note


def test_a_record_that_would_belong_to_nobody_is_named_with_both_ids(judged: Judged) -> None:
    found = judged("Visits")
    assert found.blocks
    assert set(found.sample) == {
        f"visits.Person: {one} is no id of people, and 00{one} is one" for one in (1, 2, 3)
    }


def test_the_table_itself_alone_is_told_on_both_sides(judged: Judged) -> None:
    found = judged("People")
    assert "people: 1 is new, and the record of 001 in Nexus is gone" in found.sample
    assert "visits.Person: 001 is no id of people, and 1 is one" in found.sample


def test_two_records_whose_ids_differ_in_zeros_are_two_as_long_as_filemaker_has_both(
    judged: Judged,
) -> None:
    """1 and 001 are different patients; a number that is not there with zeros is nobody's."""

    def and_two_more(tables: Tables) -> None:
        people = tables["People"].records
        for number, name in enumerate(("1", "7"), 9):
            people.append(Record(number, 1, {**people[0].values, "PersonNo": name}))

    assert judged().passed
    assert judged(also=and_two_more).passed
