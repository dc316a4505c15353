"""Which columns of a run's private files hold what identifies a person: the mapping says it.

Names, birth dates, addresses and numbers are known by their columns; phones, e-mails and texts by
their shape, wherever they are.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from nexus_reimport.errors import is_of_system
from nexus_reimport.files import rowfile, textfile
from nexus_reimport.mapping import ColumnSpec, FieldMapping
from nexus_reimport.model import KEY, Backup, Snapshot, Survey
from nexus_reimport.model.snapshot import row_file
from nexus_reimport.record.run import Run, of
from nexus_reimport.record.sealed.chain import records
from nexus_reimport.record.search import identifiers
from nexus_reimport.record.search.identifiers import Identifiers, Kind
from nexus_reimport.settings import Settings
from nexus_reimport.text import fold

_JSON = ("{", "[")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')  # of JSON
_LINES = frozenset({"line1", "line2", "street", "street2", "full_address"})
_ID_TYPES = ("uuid", "integer", "bigint", "smallint")
_OTHER_NAMES = ("user", "file")  # not of people
_VALUE = frozenset({"value"})  # of a lookup
_BIRTH = "birth_date"  # the converter
_TEXTS = ("text", "character", "json", "citext")


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of one table, or the fields of one source, hold."""

    name: tuple[str, ...] = ()  # one person's, in its parts
    other_names: frozenset[str] = frozenset()
    births: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    passed_over: frozenset[str] = frozenset()  # labels, and what has a type of its own


def of_run(settings: Settings, mapping: FieldMapping | None, run: Run) -> Identifiers:
    """What today's data holds, as ``run`` has read it; of a rollback, as its backup has it.

    A run that stopped before it had read all of FileMaker is searched for what the run before it
    has read. Without a mapping nothing is known but the secrets. ``missing`` says what was not
    there to be searched for.
    """
    holders = [run] if run.has(Snapshot) else [run, *islice(_readers(settings, run), 1)]
    terms = Identifiers(holders[-1].private)
    identifiers.add_secrets(terms, settings)
    began = next((e.at.date() for e in run.events()), date.max)
    if mapping is None:
        terms.missing.append("the mapping")
        return terms
    for name, columns, parts in chain.from_iterable(_tables(mapping, one) for one in holders):
        for values in parts(columns):
            if values is None:
                terms.missing.append(name)
            else:
                take(terms, values, columns, began)
    return terms


def secrets(settings: Settings) -> Identifiers:
    """What the settings hold that must not be in a record, and nothing of any patient."""
    terms = Identifiers()
    identifiers.add_secrets(terms, settings)
    return terms


def newest(settings: Settings) -> Run | None:
    """The newest run that has read all of FileMaker, and whose private folder is there."""
    return next(_readers(settings), None)


def _readers(settings: Settings, but: Run | None = None) -> Iterator[Run]:
    """The runs that have read all of FileMaker and have their private folder, the newest first."""
    folders = records(settings.records_folder)[::-1]
    others = (of(settings, folder.name) for folder in folders)
    return (o for o in others if o != but and o.has(Snapshot) and o.private.is_dir())


def take(
    terms: Identifiers, values: Mapping[str, Sequence[str | None]], columns: Columns, began: date
) -> None:
    """Everything of some rows of one table, column by column, that identifies somebody.

    The parts of a name are row by row; of every other column each value needs to be there once.
    """
    parts = [values[name] for name in columns.name if name in values]
    for name in set(zip(*parts, strict=True)):
        identifiers.add_name(terms, *(part or "" for part in name))
    for column, held in values.items():
        several = {value for value in held if value}
        if column in columns.ids:
            terms.ids.update(several)
        elif column not in columns.passed_over and column not in columns.name:
            _take_column(terms, column, several, columns, began)


def _take_column(
    terms: Identifiers, column: str, values: Iterable[str], columns: Columns, began: date
) -> None:
    leaves: set[tuple[str, str]] = set()
    for value in values:
        if value.startswith(_JSON):
            leaves.update(_leaves(value))
        elif column in columns.births:
            identifiers.add_birth_date(terms, value, began)
        elif column in columns.numbers:
            identifiers.add_number(terms, value, Kind.NUMBER)
        elif column in columns.addresses:
            identifiers.add_address(terms, value)
        elif column in columns.other_names:
            if value != value.lower():  # an account's name, such as admin, tells of nobody
                identifiers.add_names(terms, value)
        else:
            identifiers.add_text(terms, value)
    for leaf in leaves:
        is_label = f"{column}.{leaf[0]}" in columns.passed_over
        _take_leaf(terms, leaf, began, may_be_name=not is_label)


def _take_leaf(
    terms: Identifiers, leaf: tuple[str, str], began: date, *, may_be_name: bool
) -> None:
    key, value = leaf
    last = key.rpartition(".")[2]
    if _is_birth(last, None):
        identifiers.add_birth_date(terms, value, began)
    elif last in _LINES:
        identifiers.add_address(terms, value)
    elif _is_name(last) and may_be_name:
        identifiers.add_names(terms, value)
    else:
        identifiers.add_text(terms, value)


def _leaves(text: str) -> Iterator[tuple[str, str]]:
    """Each text of a JSON value with the keys that lead to it."""
    try:
        # An object as its pairs: a key of json, other than of jsonb, may stand there twice.
        value = json.loads(text, object_pairs_hook=tuple)
    except ValueError:
        yield "", text
        return
    except RecursionError:  # nested too deeply: every text in it, keys too
        yield from (("", json.loads(one)) for one in _TEXT.findall(text))
        return
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, tuple):
            waiting += [(f"{key}.{name}".lstrip("."), held) for name, held in value]
        elif isinstance(value, list):
            waiting += [(key, held) for held in value]
        elif isinstance(value, str) and value:
            yield key, value


# ---------------------------------------------------------------- the tables


_Values = Mapping[str, Sequence[str | None]]  # of some rows, by column
_Parts = Callable[[Columns], Iterator[_Values | None]]  # None: it cannot be read, or no further
_Table = tuple[str, Columns, _Parts]


def _tables(mapping: FieldMapping, run: Run) -> Iterator[_Table]:
    """Every table of a run's private folder: its name, what it holds, how its rows are read."""
    snapshot, seen = run.loaded(Snapshot), run.loaded(Survey)
    extracts = snapshot.extracts if snapshot else {}
    for source in mapping.sources:
        name = extracts[source].file.name if source in extracts else row_file(source)
        if source in extracts or (run.private / name).is_file():  # one that was cut short, maybe
            yield name, of_source(mapping, source), partial(_read, run.private / name)
    if seen is None:
        yield from _of_backup(mapping, run)
        return
    for entity, file in seen.rows.items():
        yield file.name, of_entity(mapping, entity, seen), partial(_read, run.private / file.name)
    for lookup, file in seen.lookups.items():
        if "fullname" in fold(lookup):
            yield file.name, Columns(other_names=_VALUE), partial(_read, run.private / file.name)


def _of_backup(mapping: FieldMapping, run: Run) -> Iterator[_Table]:
    """What a rollback, which makes no survey, has read: the CSV files of its backup."""
    for name in ("backup", "rollback_backup"):
        if (backup := run.loaded(Backup, name)) is not None:
            for csv_file in backup.csv_rows:
                entity = mapping.wiped_tables().get(Path(csv_file).stem, "")
                yield (
                    csv_file,
                    of_entity(mapping, entity),
                    partial(_read_csv, run.private / csv_file),
                )


def _read(path: Path, columns: Columns) -> Iterator[_Values | None]:
    try:
        yield from rowfile.distinct(path, columns.name)
    except (OSError, ValueError) as error:
        if is_of_system(error):  # what it holds would not be searched for
            raise
        yield None


def _read_csv(path: Path, columns: Columns) -> Iterator[_Values | None]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = textfile.csv_reader(file)
            header = next(reader)
            while rows := list(islice(reader, rowfile.BATCH)):
                yield dict(zip(header, zip(*rows, strict=True), strict=True))
    except (OSError, ValueError, csv.Error, StopIteration) as error:
        if is_of_system(error):
            raise
        yield None


# ---------------------------------------------------------------- what a column holds


def of_source(mapping: FieldMapping, source: str) -> Columns:
    """What the fields of a source hold."""
    spec = mapping.sources[source]
    feeds = [
        (name, column, entity)
        for entity, wiped in mapping.entities.items()
        if wiped.source == source
        for name, column in wiped.columns.items()
    ]
    cards = [
        column.with_
        for wiped in mapping.entities.values()
        for column in wiped.columns.values()
        if column.gather == source
    ]
    labels = {step.source_field for _, column, _ in feeds for step in column.lookup}
    labels |= {column.source_field for _, column, _ in feeds if column.choices}
    labels |= {card[name] for card in cards for name in ("kind", "label") if name in card}
    births = {column.source_field for name, column, _ in feeds if _is_birth(name, column)}
    own = {name: column for name, column, entity in feeds if entity == mapping.people()}
    named = {column.source_field for name, column, _ in feeds if _is_name(name)}
    return Columns(
        name=_fields(own, mapping.application.patient_name),
        other_names=frozenset(named | {n for n in spec.fields if _is_name(n)}) - labels,
        births=frozenset(births),
        numbers=frozenset(_fields(own, _numbers(mapping))),
        addresses=frozenset(c[n] for c in cards for n in ("line1", "line2") if n in c),
        ids=mapping.ids_of(source) | {KEY},
        passed_over=frozenset(labels | {n for n, f in spec.fields.items() if f.type != "text"})
        - births,
    )


def of_entity(mapping: FieldMapping, entity: str, seen: Survey | None = None) -> Columns:
    """What the columns of a wiped table hold; ``seen`` knows their types."""
    columns = mapping.entities[entity].columns if entity in mapping.entities else {}
    types = {c.name: c.type for c in seen.columns.get(entity, ())} if seen else {}
    is_people = entity == mapping.people()
    chosen = {step.source_field for column in columns.values() for step in column.lookup}
    labels = {n for n, c in columns.items() if c.lookup or c.choices or c.source_field in chosen}
    births = frozenset(n for n in {*types, *columns} if _is_birth(n, columns.get(n)))
    return Columns(
        name=mapping.application.patient_name if is_people else (),
        other_names=frozenset(
            name
            for name in {*types, *columns}
            if _is_name(name) or (name in columns and _is_name(columns[name].source_field))
        )
        - labels,
        births=births,
        numbers=frozenset(_numbers(mapping)) if is_people else frozenset(),
        ids=frozenset(n for n, kind in types.items() if kind.startswith(_ID_TYPES)),
        passed_over=frozenset(labels | {n for n, t in types.items() if not t.startswith(_TEXTS)})
        - births,
    )


def _fields(columns: Mapping[str, ColumnSpec], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(columns[name].source_field for name in names if name in columns)


def _numbers(mapping: FieldMapping) -> tuple[str, ...]:
    """What people search patients by, besides their names."""
    asked = mapping.application
    return tuple(name for name in asked.search if name not in asked.patient_name)


def _is_name(name: str) -> bool:
    folded = _folded(name.rpartition(".")[2])
    return "name" in folded and not any(other in folded for other in _OTHER_NAMES)


def _is_birth(name: str, column: ColumnSpec | None) -> bool:
    folded = _folded(name.rpartition(".")[2])
    return folded == "dob" or "birth" in folded or (column is not None and column.convert == _BIRTH)


@lru_cache(maxsize=4096)
def _folded(name: str) -> str:
    """A name as names compare: it is asked for every value of a JSON column."""
    return fold(name)
