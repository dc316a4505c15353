"""The input of a plan: FileMaker's records and Nexus's rows, as one value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus_reimport import convert, ids, strict_json
from nexus_reimport.files import columns, rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.ids import Id
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import KEY, Snapshot, Survey

if TYPE_CHECKING:
    from pyarrow import ChunkedArray as Column

Row = Mapping[str, str | None]
IdMap = tuple[tuple[Id, str], ...]  # FileMaker id, Nexus id


class Record(dict[str, str]):
    """One record of FileMaker, or some of its fields: field -> text, empty as ``""``."""

    __slots__ = ()

    @property
    def id(self) -> Id:
        """Its own id."""
        return ids.of(self[KEY])

    def id_in(self, field: str) -> Id:
        """The id in ``field``, usually of another record."""
        return ids.of(self[field])


class Records(dict[str, list[str]]):
    """Some records of FileMaker, field by field: field -> its text in each of them."""

    __slots__ = ()

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self[KEY])

    def ids(self, field: str = KEY) -> list[Id]:
        """The ids of the records, or those in a field of each."""
        return list(map(ids.of, self[field]))

    def compared(self) -> list[str]:
        """The records' ids as ids compare."""
        return ids.compared(self[KEY])

    def rows(self, fields: Sequence[str]) -> list[tuple[str, ...]]:
        """The texts of some fields, record by record."""
        return list(zip(*(self[field] for field in fields), strict=True))

    def only(self, numbers: Iterable[int]) -> Records:
        """The ids alone of the records with these numbers, which are counted from 0."""
        return Records({KEY: [self[KEY][number] for number in numbers]})

    def without(self, numbers: Container[int]) -> Records:
        """The same without the records with these numbers, which are counted from 0."""
        stay = [number not in numbers for number in range(self.count)]
        return Records({field: [*compress(texts, stay)] for field, texts in self.items()})


@dataclass(frozen=True, slots=True)
class Intake:
    """The mapping, what was read of FileMaker and Nexus, and the folder of the row files.

    Each method that reads rows raises:
        RecordError: a row file is missing, or has changed since the stage wrote it.
    """

    mapping: FieldMapping
    snapshot: Snapshot
    survey: Survey
    folder: Path

    def pages(self, source: str, *fields: str) -> Iterator[Records]:
        """The records of ``source``, some thousands at a time; if named, with these fields alone.

        The key is always among them. To make Python's texts of all fields takes longest.
        """
        for batch in rowfile.batches(self.folder, self.snapshot.extracts[source].file):
            by_field = zip(batch.schema.names, batch.columns, strict=True)
            yield Records(
                {
                    name: [text or "" for text in held.to_pylist()]
                    for name, held in by_field
                    if not fields or name in (KEY, *fields)
                }
            )

    def records(self, source: str) -> Iterator[Record]:
        """The records of ``source``."""
        file = self.snapshot.extracts[source].file
        rows = rowfile.read_dicts(self.folder, file)
        return (Record({field: value or "" for field, value in row.items()}) for row in rows)

    def ids_in(self, source: str, field: str) -> Column:
        """The ids in a field of all records of ``source``, as ids compare, "" for none."""
        return _compared(columns.column(self.folder, self.snapshot.extracts[source].file, field))

    def rows(self, entity: str) -> Iterator[dict[str, str | None]]:
        """The rows of ``entity`` before the run: column -> PostgreSQL's text, NULL as None."""
        return rowfile.read_dicts(self.folder, self.survey.rows[entity])

    def attached(self, attachment: str) -> Iterator[dict[str, str | None]]:
        """The documents or images before the run, with their link and identity columns."""
        return rowfile.read_dicts(self.folder, self.survey.attachment_rows[attachment])

    def ids(self) -> dict[str, IdMap]:
        """Entity -> FileMaker ids and Nexus ids, as the last run loaded them."""
        loaded = id_maps(rowfile.read(self.folder, self.survey.id_map))
        return {**dict.fromkeys(self.mapping.entities, ()), **loaded}

    def pointed_at(self) -> dict[str, frozenset[str]]:
        """Entity -> ids of its rows that a row outside the wiped tables references."""
        keys: dict[str, set[str]] = defaultdict(set)
        for entity, key, _, _ in rowfile.read(self.folder, self.survey.pointed_at):
            keys[entity or ""].add(key or "")
        return {name: frozenset(keys[name]) for name in self.mapping.entities}


@dataclass(frozen=True, slots=True)
class OfIntake:
    """A value with an intake, whose parts it gives as its own."""

    intake: Intake

    @property
    def mapping(self) -> FieldMapping:
        """The mapping."""
        return self.intake.mapping

    @property
    def snapshot(self) -> Snapshot:
        """What was read of FileMaker."""
        return self.intake.snapshot

    @property
    def survey(self) -> Survey:
        """What was read of Nexus."""
        return self.intake.survey

    @property
    def folder(self) -> Path:
        """The folder of the row files."""
        return self.intake.folder


@dataclass(frozen=True, slots=True)
class IdPairs:
    """FileMaker ids, as they are written and as they compare, and beside each the id of its row.

    As columns: an object for each id takes several times the memory.
    """

    written: Column
    compared: Column
    keys: Column
    # Made when they are first looked for.
    _indexed: list[tuple[columns.Index, Column]] = field(default_factory=list, compare=False)

    @classmethod
    def of(cls, pairs: Iterable[tuple[Id, str]]) -> IdPairs:
        """These pairs."""
        listed = list(pairs)
        written = columns.of(filemaker_id.written for filemaker_id, _ in listed)
        compared = columns.of(filemaker_id.compared for filemaker_id, _ in listed)
        keys = columns.of(key for _, key in listed)
        return cls(written, columns.shared(compared, written), keys)

    @classmethod
    def read(cls, folder: Path, id_map: RowFile, entity: str) -> IdPairs:
        """Those of one entity in an id map."""
        names = ("filemaker_id", "nexus_id")
        written, keys = columns.read(folder, id_map, names, entity={entity}).columns
        return cls(written, _compared(written), keys)

    def and_then(self, others: IdPairs) -> IdPairs:
        """These pairs, and after them others; of an id that comes twice the first one counts."""
        return IdPairs(
            columns.together([self.written, others.written]),
            columns.together([self.compared, others.compared]),
            columns.together([self.keys, others.keys]),
        )

    def find(self, wanted: Iterable[Id]) -> list[str | None]:
        """The id of each one's row; None if there is none."""
        if not self._indexed:
            index = columns.Index(self.compared)
            self._indexed.append((index, columns.in_one_piece(self.keys)))
        ((index, keys),) = self._indexed
        places = index.first([filemaker_id.compared for filemaker_id in wanted])
        return list(columns.values(columns.at(keys, places)))


def ids_of(written: Iterable[str]) -> Iterator[Id]:
    """The ids that are written so."""
    return map(ids.of, written)


def _compared(written: Column) -> Column:
    """Ids as they compare, "" for none."""
    chunks = ([value or "" for value in chunk.to_pylist()] for chunk in written.chunks)
    compared = columns.of(one for chunk in chunks for one in ids.compared(chunk))
    return columns.shared(compared, written)


def id_pairs(lines: Iterable[rowfile.Row]) -> Iterator[tuple[str, Id, str]]:
    """Entity, FileMaker id and Nexus id of each of ``lines``, one after the other."""
    for entity, filemaker_id, nexus_id in lines:
        yield entity or "", ids.of(filemaker_id or ""), nexus_id or ""


def id_maps(lines: Iterable[rowfile.Row]) -> dict[str, IdMap]:
    """Entity -> FileMaker ids and Nexus ids, from ``lines`` of entity and both ids."""
    maps: dict[str, list[tuple[Id, str]]] = defaultdict(list)
    for entity, filemaker_id, nexus_id in id_pairs(lines):
        maps[entity].append((filemaker_id, nexus_id))
    return {entity: tuple(pairs) for entity, pairs in maps.items()}


def stored_id(row: Row, place: str) -> Id:
    """The FileMaker id of a row, from ``place``: a column, or ``column.key`` of a JSON column."""
    column, _, path = place.partition(".")
    value: Any = row.get(column)
    if path and value:
        value = strict_json.loads(value)
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
    # In JSON 0 is an id as any other number; true and an object are none.
    is_id = not (value is None or isinstance(value, bool) or strict_json.is_nested(value))
    return ids.of(convert.identifier(str(value))) if is_id else ids.NONE
