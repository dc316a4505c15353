"""Reads all of FileMaker once into row files, and proves that nothing is missing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from nexus_reimport import convert, forms, naming, progress, wording
from nexus_reimport.errors import MappingError, SourceError
from nexus_reimport.filemaker import Field, ReadRequest, RecordPage, dates, no_access, suggest
from nexus_reimport.filemaker.channels import Channels, TableSource
from nexus_reimport.filemaker.cleaning import Cleaner, apart, loses
from nexus_reimport.filemaker.keys import Keys
from nexus_reimport.files import columns, rowfile
from nexus_reimport.mapping import FieldMapping, SourceField, SourceTable
from nexus_reimport.model import KEY, VERSION, ChannelUse, Cleaned, Extract, FieldFound, Snapshot
from nexus_reimport.model.snapshot import row_file
from nexus_reimport.settings import Channel
from nexus_reimport.text import JOINT, caseless, clean, find, is_clean

_GIVEN_BY: Mapping[Channel, str] = {  # how a field comes into what is read
    "data_api": "put the field on the layout",
    "exports": "export the file again, with the field",
    "odata": "let the account see the field in its table",
}


def take(
    channels: Channels,
    mapping: FieldMapping,
    folder: Path,
    *,
    sources: Collection[str] = (),
    page: int = 0,
) -> Snapshot:
    """Every source of the mapping (or only those in ``sources``), read at one time.

    ``page`` is the number of records per page, if not the environment's.

    Raises:
        MappingError: a field is missing, global, a summary, or has another type. No record was
            read.
        SourceError: FileMaker refused, or counts and rows disagree. Nothing was written to Nexus.
    """
    began, at = time.monotonic(), datetime.now(UTC)
    chosen = {n: s for n, s in mapping.sources.items() if n in sources or not sources}
    channels.require(chosen)  # a missing file must not be found only after an hour of reading
    places = {name: channels.of(name) for name in chosen}
    with channels.each() as pool:
        metadata = pool(lambda name: places[name].source.fields(places[name].table), chosen)
        # Before any record: a field that is not there would be read as empty.
        fields = _fields(chosen, places, metadata)
        # Counted here and again at the end: what comes or goes in between shows.
        counts = pool(lambda name: places[name].source.count(places[name].table), chosen)
        done = _Counter(counts)

        cleaned: dict[str, list[tuple[str, str, str]]] = {}
        tasks = {
            n: _Task(n, s, places[n], fields[n], metadata[n], mapping.ids_of(n))
            for n, s in chosen.items()
        }

        size = page or channels.place.page

        def extract(name: str) -> Extract:
            with done.reading(name):
                taken, cleaned[name] = _extract(tasks[name], counts[name], folder, size, done)
            return taken

        # the largest tables first, so that no thread waits for one of them at the end
        largest_first = sorted(chosen, key=lambda name: -counts[name])
        try:
            extracts = pool(extract, largest_first)
        except BaseException:
            done.stop()
            raise
    orders = _orders(tasks.values())
    return Snapshot(
        database=channels.place.database,
        taken_at=at,
        seconds=time.monotonic() - began,
        channels=tuple(_use(channels, orders)),
        extracts={
            name: _with_iso_dates(extracts[name], tasks[name], folder)
            if orders.get(tasks[name].place.channel) == forms.US
            else extracts[name]
            for name in chosen
        },
        cleaned=rowfile.write(
            folder / "cleaned.parquet",
            ("source", "field", "what", "filemaker_id"),
            ((name, *line) for name in chosen for line in sorted(set(cleaned[name]))),
        ),
    )


def require_fields(channels: Channels, mapping: FieldMapping) -> None:
    """Stop unless FileMaker has every table and field that the mapping needs; no record is read.

    Raises:
        MappingError: names every field that is missing, global, a summary, or of another type.
        SourceError: FileMaker refused.
    """
    channels.require(mapping.sources)
    places = {name: channels.of(name) for name in mapping.sources}
    with channels.each() as pool:
        metadata = pool(lambda name: places[name].source.fields(places[name].table), places)
    _fields(mapping.sources, places, metadata)


def _orders(tasks: Iterable[_Task]) -> dict[Channel, str]:
    """Channel of a server -> the form of its dates, found from all tables that it sent.

    A FileMaker Server before 19.6.1 ignores the request for ISO dates.
    """
    by_channel: dict[Channel, list[dates.Sent]] = {}
    for task in tasks:
        if task.place.channel != "exports":  # the environment declares their forms
            by_channel.setdefault(task.place.channel, []).append(task.sent)
    return {channel: dates.form_of(channel, sent) for channel, sent in by_channel.items()}


def _with_iso_dates(extract: Extract, task: _Task, folder: Path) -> Extract:
    """``extract`` with an older server's dates in ISO form, as every channel gives them."""
    real = task.real
    stamped = [real.get(name) in task.sent.fields for name in extract.file.columns]
    path = folder / f"iso_{task.name}.parquet"
    rows = rowfile.read(folder, extract.file)
    file = rowfile.write(
        path,
        extract.file.columns,
        (
            [dates.iso(v or "") if s else v for v, s in zip(row, stamped, strict=True)]
            for row in rows
        ),
    )
    (folder / extract.file.name).unlink()  # else the run would keep the data twice
    return replace(extract, file=file)


def _use(channels: Channels, orders: dict[Channel, str]) -> Iterator[ChannelUse]:
    for channel, source in channels.opened.items():
        product, usage = source.product(), source.usage()
        yield ChannelUse(
            channel=channel,
            product=f"{product.name} {product.version}".strip(),
            requests=usage.requests,
            retries=usage.retries,
            renewals=usage.renewals,
            bytes_read=usage.bytes_read,
            dates="" if orders.get(channel, forms.ISO) == forms.ISO else orders[channel],
        )


class _Stopped(Exception):
    """Another table could not be read, so reading this one stops too."""


class _Counter:
    """Adds up the rows of all threads and tells how many there are, which need not be exact."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._done, self._total, self._listener = 0, sum(counts.values()), progress.listener()
        self._reading: list[str] = []
        self._stopped = False

    def stop(self) -> None:
        """Stop reading every table at its next page."""
        self._stopped = True

    def add(self, rows: int) -> None:
        if self._stopped:
            raise _Stopped
        self._done += rows
        self._tell()

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """While a thread reads this source."""
        self._reading.append(name)
        self._tell()
        try:
            yield
        finally:
            self._reading.remove(name)

    def _tell(self) -> None:
        self._listener(self._done, self._total, ", ".join(map(naming.rows, self._reading)))


def _fields(
    chosen: dict[str, SourceTable],
    places: dict[str, TableSource],
    metadata: dict[str, dict[str, Field]],
) -> dict[str, tuple[FieldFound, ...]]:
    """Source -> its fields as FileMaker has them.

    Raises:
        MappingError: names every field that is missing, global, a summary, or of another type.
    """
    fields: dict[str, tuple[FieldFound, ...]] = {}
    problems = _names_of_several(places)
    for name, spec in chosen.items():
        of_channel = problems.setdefault(places[name].channel, [])
        fields[name] = tuple(
            _find(metadata[name], field, wanted, places[name].table, of_channel)
            for field, wanted in spec.fields.items()
        )
        of_channel += _found_twice(fields[name], places[name].table)
    if every := [problem for of_channel in problems.values() for problem in of_channel]:
        listed = "\n".join(f"    {problem}" for problem in every)
        lacking = sorted(channel for channel, of_channel in problems.items() if of_channel)
        raise MappingError(
            "FileMaker does not have what the mapping needs:"
            f" {wording.amount(len(every), 'problem')}\n{listed}",
            where=f"channel={', '.join(lacking)}",
            next="correct the field's name or its type in the mapping, or"
            f" {', or '.join(_GIVEN_BY[channel] for channel in lacking)}; then run again",
        )
    return fields


def _names_of_several(places: Mapping[str, TableSource]) -> dict[Channel, list[str]]:
    """Channel -> the tables that share their name: a layout need not have one of its own."""
    problems: dict[Channel, list[str]] = {}
    for channel, source in {place.channel: place.source for place in places.values()}.items():
        names = Counter(map(caseless, source.tables()))
        called = {place.table for place in places.values() if place.channel == channel}
        problems[channel] = [
            f"{table}: {wording.amount(names[caseless(table)], 'layout has', 'layouts have')} this"
            " name, and one of them answers: rename the others"
            for table in sorted(called)
            if names[caseless(table)] > 1
        ]
    return problems


def _found_twice(fields: tuple[FieldFound, ...], table: str) -> Iterator[str]:
    """The fields of FileMaker that two of the mapping were found as: both would get its values."""
    names: dict[str, list[str]] = {}
    for one in fields:
        names.setdefault(one.found_as, []).append(one.name)
    for real, several in names.items():
        if real and len(several) > 1:
            both = " and ".join(several)
            yield f"{table}: {both} are both found as {real}, whose values would stand for each"


def _find(
    live: dict[str, Field], name: str, wanted: SourceField, table: str, problems: list[str]
) -> FieldFound:
    tried = (name, *wanted.also)
    alike = next(
        ((t,) for t in tried if t in live), next(filter(None, (find(t, live) for t in tried)), ())
    )
    if len(alike) > 1:
        problems.append(
            f"{table}: {name} may be any of {', '.join(alike)}: write the exact name in the mapping"
        )
        return FieldFound(name, "", alike)
    real = next(iter(alike), None)
    if real is None:
        nearest = suggest.names(name, live)
        if not wanted.optional:
            hint = f"; nearest: {', '.join(nearest)}" if nearest else ""
            problems.append(f"{table}: no field {name}{hint}")
        return FieldFound(name, "", nearest)
    field = live[real]
    if field.is_global:
        # a read returns the session's value in every record: it would look like data
        problems.append(f"{table}.{real}: a global field, one value for the whole file")
    elif field.is_summary:
        problems.append(f"{table}.{real}: a summary field, one value for all records")
    elif field.type and field.type != wanted.type:
        problems.append(f"{table}.{real}: is a {field.type}, the mapping expects a {wanted.type}")
    if field.hidden:
        # They can hold what nobody would miss: records are counted only by what arrives.
        problems.append(
            f"{table}.{real}: has {field.repetitions} repetitions, and the layout hides"
            f" {field.hidden} of them, which can neither be read nor counted: show all of them"
        )
    return FieldFound(name, real)


@dataclass(frozen=True, slots=True)
class _Task:
    """One table to read."""

    name: str
    spec: SourceTable
    place: TableSource
    fields: tuple[FieldFound, ...]
    present: Mapping[str, Field]  # every field of the table
    ids: frozenset[str]
    sent: dates.Sent = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sent", dates.Sent(self.place.table, self.wanted.types))

    @property
    def real(self) -> dict[str, str]:
        """Field of the mapping -> its name in FileMaker, "" if it has none there."""
        return {f.name: f.found_as for f in self.fields}

    @property
    def numbers_alone(self) -> tuple[str, ...]:
        """The mapping's names of fields of which only numbers arrive, and words are not seen."""
        if not self.place.source.numbers_alone(self.place.table):
            return ()
        # A calculation whose result is a number holds nothing that somebody has typed.
        return tuple(
            name
            for name, real in self.real.items()
            if real
            and self.spec.fields[name].type == "number"
            and not self.present[real].is_calculation
        )

    @property
    def calculated(self) -> tuple[str, ...]:
        """The fields, by FileMaker's names, in which nobody types: it computes them."""
        return tuple(name for name, field in self.present.items() if field.is_calculation)

    @property
    def unread(self) -> tuple[str, ...]:
        """The fields in which people enter something, and which the mapping does not name."""
        used = {*self.real.values()}
        return tuple(
            f"{name} (container)" if field.type == "container" else name
            for name, field in self.present.items()
            if name and name not in used and not (field.is_global or field.is_calculation)
        )

    @property
    def wanted(self) -> ReadRequest:
        """What to read of the table, in FileMaker's names."""
        types = {real: self.spec.fields[name].type for name, real in self.real.items() if real}
        key, *beside = (self.real[name] for name in self.spec.key)
        ids = frozenset(self.real[name] for name in self.ids if name in self.real)
        return ReadRequest(self.place.table, key, types, tuple(beside), ids)


def _keys(wanted: ReadRequest, records: Sequence[dict[str, str]]) -> tuple[list[str], set[int]]:
    """The keys of records, UUIDs in lower case, and which of them lost something by cleaning.

    A key without one of its characters could be the key of another record.
    """
    keys, odd = wanted.keys_of(records), set()
    if not is_clean(keys):
        cleaned = [clean(key) for key in keys]
        keys = [key for key, _ in cleaned]
        odd = {number for number, (_, done) in enumerate(cleaned) if any(map(loses, done))}
    if JOINT not in "".join(keys):
        return convert.identifiers(keys), odd
    return [JOINT.join(convert.identifiers(key.split(JOINT))) for key in keys], odd


def _names(page: RecordPage) -> Sequence[str]:
    """The name of each record of ``page`` in messages: its record id, else its number."""
    return page.record_ids or [str(page.offset + n) for n in range(len(page.rows))]


def _extract(
    task: _Task, expected: int, folder: Path, page: int, done: _Counter
) -> tuple[Extract, list[tuple[str, str, str]]]:
    """One table as read, and the texts that were cleaned: field, what was done, FileMaker id."""
    began = time.monotonic()
    source, wanted, real = task.place.source, task.wanted, task.real
    modified = real.get(task.spec.modified, "")
    keys, cleaner = Keys(wanted.keys), Cleaner(real, task.present, task.calculated)
    rows = repaired = 0
    newest, where = "", f"channel={task.place.channel}, table={wanted.table}"
    with (
        rowfile.writer(folder / row_file(task.name), (KEY, *real)) as out,
        rowfile.writer(folder / f"versions_{task.name}.parquet", (VERSION,)) as versions,
    ):
        for part in source.records(wanted, page=page):
            # FileMaker could not compute these values (a bare `?`): the manifest tells how many.
            repaired += part.repaired
            keys.record = "record id" if part.record_ids else "number"
            # By column: a call for each value took two thirds of the time.
            records = tuple(map(apart, part.rows)) if part.separated else part.rows
            written, odd = _keys(wanted, records)
            texts = cleaner.columns(records, written)
            cleaner.note(part.remarks, written)
            no_access.refuse_known(task.name, real, texts, where)
            out.add_columns([written, *texts])
            versions.add_columns([part.versions])
            keys.add(written, _names(part), odd)
            by_field = dict(zip(real.values(), texts, strict=True))
            if modified:
                newest = max(newest, forms.newest(by_field[modified]))
            task.sent.add(by_field)
            rows += len(records)
            done.add(len(records))
    at_end = source.count(wanted.table)  # a record that was added meanwhile may be missing
    if not expected == rows == at_end:
        raise SourceError(
            f"{task.name}: {expected:,} in FileMaker at the start, {rows:,} in the extract,"
            f" {at_end:,} at the end",
            where=where,
            next="run 01_preflight again; if that fails too, someone is editing: freeze the source",
        )
    file = out.done()
    keys.compare(lambda: columns.texts(columns.column(folder, file, KEY)))
    if fault := keys.fault():
        raise SourceError(f"{task.name}: {fault.what}", where=where, next=fault.next)
    extract = Extract(
        source=task.name,
        channel=task.place.channel,
        table=wanted.table,
        count_at_start=expected,
        rows=rows,
        distinct_keys=keys.distinct,
        count_at_end=at_end,
        newest=newest,
        versions=versions.done(),
        seconds=time.monotonic() - began,
        fields=task.fields,
        fields_there=len(task.present),
        file=file,
        repaired=repaired + cleaner.not_computed,
        origin=source.origin(wanted.table),
        cleaned=tuple(Cleaned(*line) for line in cleaner.counted()),
        numbers_alone=task.numbers_alone,
        unread=task.unread,
    )
    return extract, cleaner.changed
