"""Reads FileMaker once, wholly, into row files, and proves that it is all there is."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from nexus_reimport import rowfile
from nexus_reimport.errors import MappingError, SourceError
from nexus_reimport.mapping import Mapping, SourceField, SourceTable
from nexus_reimport.model import Extract, FieldFound, Snapshot
from nexus_reimport.source import Field, Source

Progress = Callable[[int, int], None]
Layouts = dict[str, str]  # source -> the table's name on this server
RECORD_ID = "_record_id"


def take(
    source: Source,
    mapping: Mapping,
    folder: Path,
    *,
    layouts: Layouts | None = None,
    sources: Collection[str] = (),
    database: str = "",
    workers: int = 4,
    page: int = 1000,
    progress: Progress | None = None,
) -> Snapshot:
    """Every source of the mapping (or those of ``sources``), read at one time, by ``workers``.

    Raises:
        MappingError: a field is missing, global, or of another type; nothing was read.
        SourceError: FileMaker refused, or counts and rows disagree. Nothing was written to Nexus.
    """
    began, at = time.monotonic(), datetime.now(UTC)
    chosen = {n: s for n, s in mapping.sources.items() if n in sources or not sources}
    tables = {name: (layouts or {}).get(name, s.table) for name, s in chosen.items()}
    product = source.product()
    fields = _fields(source, chosen, tables)
    counts = {name: source.count(table) for name, table in tables.items()}
    done = _Counter(sum(counts.values()), progress)
    with ThreadPoolExecutor(workers, thread_name_prefix="extract") as pool:
        futures = {
            name: pool.submit(
                _extract, source, name, spec, tables[name], fields[name], counts[name],
                folder, page, done,
            )
            for name, spec in sorted(chosen.items(), key=lambda s: -counts[s[0]])
        }  # fmt: skip
        try:
            extracts = {name: futures[name].result() for name in chosen}
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    usage = source.usage()
    return Snapshot(
        product=f"{product.name} {product.version}",
        channel=source.channel,
        database=database,
        taken_at=at,
        seconds=time.monotonic() - began,
        requests=usage.requests,
        retries=usage.retries,
        bytes_read=usage.bytes_read,
        extracts=extracts,
    )


class _Counter:
    """Adds up rows over the threads and tells the face; a lost update only moves a bar."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def add(self, rows: int) -> None:
        self._done += rows
        if self._progress:
            self._progress(self._done, self._total)


def _normal(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _fields(
    source: Source, chosen: dict[str, SourceTable], tables: dict[str, str]
) -> dict[str, tuple[FieldFound, ...]]:
    """Where each field of the mapping is found; all that is wrong in one message."""
    problems: list[str] = []
    found: dict[str, tuple[FieldFound, ...]] = {}
    for name, spec in chosen.items():
        live = source.fields(tables[name])
        found[name] = tuple(
            _find(live, field, wanted, f"{tables[name]}", problems)
            for field, wanted in spec.fields.items()
        )
    if problems:
        listed = "\n".join(f"    {problem}" for problem in problems)
        raise MappingError(
            f"FileMaker does not have what the mapping needs: {len(problems)} problem(s)\n{listed}",
            where=f"channel={source.channel}",
            next="put the field on the layout, or give its name in the mapping; then run again",
        )
    return found


def _find(
    live: dict[str, Field], name: str, wanted: SourceField, table: str, problems: list[str]
) -> FieldFound:
    by_name = {_normal(real): real for real in sorted(live, reverse=True)}
    tried = (name, *wanted.also)
    real = next((t for t in tried if t in live), None) or next(
        (by_name[_normal(t)] for t in tried if _normal(t) in by_name), None
    )
    if real is None:
        nearest = tuple(difflib.get_close_matches(name, live, n=3, cutoff=0.5))
        if not wanted.optional:
            hint = f"; nearest: {', '.join(nearest)}" if nearest else ""
            problems.append(f"{table}: no field {name}{hint}")
        return FieldFound(name, "", nearest)
    field = live[real]
    if field.is_global:
        problems.append(f"{table}.{real}: a global field, one value for the whole file")
    elif field.type != wanted.type:
        problems.append(f"{table}.{real}: is a {field.type}, the mapping expects a {wanted.type}")
    return FieldFound(name, real)


def _extract(
    source: Source,
    name: str,
    spec: SourceTable,
    table: str,
    fields: tuple[FieldFound, ...],
    expected: int,
    folder: Path,
    page: int,
    done: _Counter,
) -> Extract:
    began = time.monotonic()
    real = {f.name: f.found_as for f in fields}
    keys: set[str] = set()
    rows = without_key = 0
    newest = ""
    with rowfile.writer(folder / f"{name}.parquet", (*real, RECORD_ID)) as out:
        for part in source.records(table, sort=real[spec.key], page=page):
            for record_id, record in zip(part.record_ids, part.rows, strict=True):
                out.add((*(record.get(f, "") if f else "" for f in real.values()), record_id))
                key = record[real[spec.key]].strip()
                keys.add(key.casefold())
                without_key += not key
                if spec.modified:
                    newest = max(newest, record[real[spec.modified]])
                rows += 1
            done.add(len(part.rows))
    at_end = source.count(table)
    if not expected == rows == at_end == len(keys) or without_key:
        raise SourceError(
            f"{name}: {expected:,} in FileMaker at the start, {rows:,} in the extract"
            f" with {len(keys):,} distinct keys ({without_key:,} without), {at_end:,} at the end",
            where=f"channel={source.channel}, table={table}",
            next="run 01_preflight again; if the gap stays, someone is editing: freeze the source",
        )
    return Extract(
        source=name,
        table=table,
        count_at_start=expected,
        rows=rows,
        distinct_keys=len(keys),
        count_at_end=at_end,
        newest=newest,
        seconds=time.monotonic() - began,
        fields=fields,
        file=out.done(),
    )
