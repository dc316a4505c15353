"""Files exported from FileMaker, as a ``Source``.

A table is the name of a file in the folder of the exports: ``.xlsx``, ``.csv`` or ``.mer`` with
commas or semicolons and quotes, or ``.tab`` as FileMaker writes it. A file has no types: each
column is read by the type that the mapping expects.

Rows come in no particular order, and are given in that of their keys. Of a text file only the keys
and the places of its rows are in memory. A workbook cannot be read from its middle on: its rows are
in memory until the last one was given, about 80 MB for 15,000 rows of 40 columns. It can have
1,048,576.

A spreadsheet has no containers and no repeating fields, its numbers have 15 digits, and FileMaker
cuts long texts in it. In a text file the repetitions of a field are one value, with 0x1D between
them, and are given so: ``cleaning`` splits them.

Source: Claris FileMaker Pro Help, "Microsoft Excel format", "Comma-separated values format".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self

from nexus_reimport import disks, forms, wording
from nexus_reimport.errors import AGAIN, ExportError, SettingsError, SourceError
from nexus_reimport.filemaker import (
    Field,
    Meter,
    Origin,
    Product,
    ReadRequest,
    RecordPage,
    Remark,
    Usage,
    suggest,
)
from nexus_reimport.filemaker.cleaning import REPETITION
from nexus_reimport.filemaker.exports import columns, encoded, grid, kinds, spreadsheet, typed
from nexus_reimport.filemaker.exports.cells import EXPORT_AGAIN, Forms
from nexus_reimport.filemaker.exports.delimited import TAB, Delimited, DelimitedRows
from nexus_reimport.filemaker.exports.grid import Grid, Known
from nexus_reimport.filemaker.exports.typed import HowRead, Row
from nexus_reimport.files import private
from nexus_reimport.settings import Exports
from nexus_reimport.text import caseless, composed, may_be_a_copy

SUFFIXES = (".xlsx", ".csv", ".mer", ".tab")
TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class _File:
    """One file as it was read. ``grid`` is None after its rows were given."""

    path: Path
    origin: Origin
    forms: Forms
    columns: tuple[str, ...]
    count: int
    grid: Grid | None


class ExportedFiles:
    """The files in the folder of ``place``. A ``Source``; several threads may use it.

    ``known`` gives, by file name, what the mapping knows of the columns.
    """

    channel = "exports"

    def __init__(self, place: Exports, known: Mapping[str, Known]) -> None:
        self._place = place
        self._known = {composed(name): columns for name, columns in known.items()}
        self._files: dict[str, _File] = {}
        self._lock = threading.Lock()
        self._meter = Meter()

    def __repr__(self) -> str:
        return f"ExportedFiles({str(self._place.folder)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def product(self) -> Product:
        """A fixed name: there is no server that could name itself."""
        return Product("Exported files", "")

    def require(self, tables: Mapping[str, str]) -> None:
        """Check that the file of each source exists and can be read, before any is read.

        Raises:
            ExportError: the files that cannot be read, all at once. Nothing was read.
        """
        existing = self.tables()
        read = {caseless(name) for name in tables.values()}
        problems = [
            f"{source}: {problem}"
            for source, table in tables.items()
            if (problem := self._problem(table) or self._newer_beside(table, read))
        ]
        used = {composed(name) for name in (*tables.values(), *existing)}
        problems += [
            f"[filemaker.exports.files]: there is no file {name}; {suggest.phrase(name, existing)}"
            for name in self._place.files
            if name not in used
        ]
        if problems:
            raise ExportError(
                f"{wording.amount(len(problems), 'problem')} with the"
                f" {wording.amount(len(tables), 'exported file')}\n"
                + "\n".join(f"    {problem}" for problem in problems),
                where=f"channel={self.channel}, folder={self._place.folder}",
                next="export the files that are missing into the folder, or write their names"
                " under [filemaker.tables]; do what else a line says; then run 01_preflight again",
            )

    def _problem(self, table: str) -> str:
        """Why the file ``table`` cannot be read; ``""`` if no reason is known."""
        try:
            with self._path(table).open("rb") as file:
                return "" if file.read(1) else f"{table} is empty"
        except OSError as error:
            return f"{table} cannot be read: {error.strerror}"
        except SettingsError as error:  # of this file alone: the advice for all is not for it
            return f"{error.what}; {error.next}"
        except SourceError as error:
            return error.what

    def _newer_beside(self, table: str, read: set[str]) -> str:
        """What may be a newer export of ``table`` under another name; ``""`` if nothing is.

        A browser or a colleague saves the next one as ``Visits (1).xlsx``, or in another format.
        """
        path, folder = self._path(table), self._place.folder
        with _readable(self._where(table)):
            newer = [
                name
                for name in self.tables()
                if caseless(name) not in read
                and may_be_a_copy(Path(name).stem, path.stem)
                and (folder / name).stat().st_mtime > path.stat().st_mtime
            ]
        if not newer:
            return ""
        return (
            f"{wording.some(newer)} lies beside {table}, is newer, and would not be read; keep the"
            " one that counts, under this name, and move the other out of the folder"
        )

    def tables(self) -> tuple[str, ...]:
        """The names of all files in the folder that can be read."""
        # Other files may lie in the folder: they are not read, and not an error.
        return tuple(name for name in self._names() if Path(name).suffix.lower() in SUFFIXES)

    def _names(self) -> tuple[str, ...]:
        """The names of all files in the folder.

        Raises:
            SettingsError: it does not exist.
            ExportError: it cannot be read.
        """
        folder = self._place.folder
        with _readable(f"channel={self.channel}, folder={folder}", "the folder"):
            if folder.is_dir():
                return tuple(sorted(path.name for path in folder.iterdir() if path.is_file()))
        raise SettingsError(
            "the folder of the exported files does not exist",
            where=f"channel={self.channel}, folder={folder}",
            next="create it, mount it if it lies on another machine, or correct `folder` of"
            " [filemaker.exports]",
        )

    def fields(self, table: str) -> dict[str, Field]:
        """The columns of the file in their order, without those that have no name."""
        return {name: Field(name, "") for name in self._file(table).columns if name}

    def numbers_alone(self, table: str) -> bool:
        """Yes, but for tab-separated text: the other formats have no words in number fields."""
        return self._path(table).suffix.lower() != ".tab"

    def origin(self, table: str) -> Origin | None:
        """The file's name, size and digest when it was read."""
        return self._file(table).origin

    def count(self, table: str) -> int:
        """How many rows the file has."""
        return self._file(table).count

    def newest(self, table: str, field: str) -> str:
        """The greatest value of a column of timestamps; ``""`` if no row has one."""
        file = self._file(table, rows=True)
        stamps = self._typed(file, HowRead({field: TIMESTAMP}, file.forms))
        return max((forms.stamp(row.texts[0]) for row in stamps.rows()), default="")

    def records(self, request: ReadRequest, *, page: int = 1000) -> Iterator[RecordPage]:
        """Every row of a file in the order of its key, page by page, with the wanted fields.

        Raises:
            ExportError: a row has no key, or the key of an earlier row; a key lost digits; the file
                was changed while it was read. Nothing was written.
            MappingError: the file has no such column.
            SettingsError: it holds dates as text whose form is not declared, or declared wrongly.
        """
        with _readable(self._where(request.table)):
            yield from self._pages(request, page)

    def _pages(self, request: ReadRequest, page: int) -> Iterator[RecordPage]:
        file = self._file(request.table, rows=True)
        types = dict.fromkeys(request.keys, "text") | dict(request.types)
        rows = self._typed(file, HowRead(types, file.forms, {*request.keys, *request.ids}))
        keys = (
            (row.line, request.key_of(_named(request.keys, row)))
            for row in rows.rows(*request.keys)
        )
        order = typed.in_order(keys, self._where(request.table))
        for start in range(0, len(order), page):
            part = _page(
                rows.at(order[start : start + page]),
                tuple(types),
                offset=start + 1,
                separated=not file.forms.cut_at,
            )
            self._meter.add(repaired=part.repaired)
            yield part
        self._given(file)

    def versions(self, request: ReadRequest, *, page: int = 1000) -> Iterator[tuple[str, ...]]:
        """None: a file has no versions of its rows, and its digest shows every edit."""
        return iter(())

    def usage(self) -> Usage:
        """What was read so far; the bytes of each file count once."""
        return self._meter.read()

    def close(self) -> None:
        """Release what was read."""
        with self._lock:
            self._files.clear()

    def _file(self, table: str, *, rows: bool = False) -> _File:
        """The file ``table``, read if necessary; with its ``rows`` if they are needed."""
        with self._lock:
            file = self._files.get(table)
            if file is None:
                file = self._read(table)
                self._meter.add(bytes_read=file.origin.size)
            else:
                self._refuse_change(file)
                if rows and file.grid is None:
                    file = self._read(table)
            self._files[table] = file
            return file

    def _given(self, file: _File) -> None:
        """After all rows were given: check that the file is unchanged, and release them."""
        self._refuse_change(file)
        with self._lock:
            self._files[file.origin.name] = replace(file, grid=None)

    def _refuse_change(self, file: _File) -> None:
        # By its content: a program can change a file, and keep its date and size.
        with _readable(self._where(file.origin.name)):
            sha256 = private.sha256_of(file.path)
        if sha256 != file.origin.sha256:
            raise SourceError(
                f"{file.origin.name} was changed after it was first read",
                where=self._where(file.origin.name),
                next="run again once the exports are complete and nobody writes to them",
            )

    def _read(self, table: str) -> _File:
        path, where = self._path(table), self._where(table)
        with _readable(where):
            stat = path.stat()
            modified_at = datetime.fromtimestamp(stat.st_mtime, UTC)
            origin = Origin(table, stat.st_size, private.sha256_of(path), modified_at)
        if not origin.size:
            raise ExportError("the file is empty", where=where, next="export it again")
        with _readable(where):
            grid, forms = self._grid(path, table)
        return _File(path, origin, forms, grid.columns, len(grid.rows), grid)

    def _grid(self, path: Path, table: str) -> tuple[Grid, Forms]:
        where, declared = self._where(table), self._place.file(table)
        known = self._known.get(composed(table), Known())
        if declared.columns:
            known = replace(known, given=declared.columns)
        if path.suffix.lower() == ".xlsx":
            sheet = spreadsheet.opened(path.read_bytes(), where)
            sheet_forms = replace(self._forms(table), epoch=sheet.epoch, cut_at=spreadsheet.CUT_AT)
            return grid.read(sheet.lines, known, where, padded=True), sheet_forms
        if kind := kinds.of_file(path):
            raise ExportError(
                f"the file is named {path.suffix.lower()}, but it is {kind}",
                where=where,
                next=f"{EXPORT_AGAIN}, or give the file the right suffix",
            )
        text = encoded.opened(path, declared.encoding or self._place.encoding, where)
        is_tabs = path.suffix.lower() == ".tab"
        file = Delimited(text, TAB if is_tabs else declared.separator or ",")
        file.refuse_other_separator(partial(grid.may_begin_with, known))
        text_forms = replace(self._forms(table), between_repetitions=REPETITION)
        rows = grid.read(
            file.records(), known, where, padded=False, rows_of=lambda: DelimitedRows(file)
        )
        if is_tabs:
            columns.refuse_quotes(rows, where)
        return rows, text_forms

    def _forms(self, table: str) -> Forms:
        """How the file ``table`` is written, as declared."""
        declared = self._place.file(table)
        dates, decimal = declared.dates, declared.decimal
        if isinstance(dates, dict):
            return Forms(self._place.dates, decimal=decimal, by_column=dates)
        return Forms(dates, decimal=decimal)

    def _path(self, table: str) -> Path:
        """The path of ``table``: a file in the folder, of a kind that can be read."""
        existing, folder = self.tables(), self._place.folder.resolve()
        path = (folder / self._spelt(table, existing)).resolve()
        # After resolve(): a symbolic link in the folder may lead out of it, too.
        if not path.is_relative_to(folder):
            raise SettingsError(
                "the name of a file leads out of the exports folder",
                where=self._where(table),
                next="put the file into the folder, and write only its name",
            )
        if path.suffix.lower() not in SUFFIXES:
            known = kinds.SUFFIXES.get(path.suffix.lower(), "")
            raise SettingsError(
                f"{path.suffix or 'a file without a suffix'} cannot be read"
                + (f" ({known})" if known else ""),
                where=self._where(table),
                next=f"export the table as one of {', '.join(SUFFIXES)}",
            )
        if not path.is_file():
            missing = f"there is no file {table}; {self._nearest(table)}"
            raise ExportError(
                f"{table} is a folder, not a file" if path.is_dir() else missing,
                where=f"{self._where(table)}, folder={self._place.folder}",
                next="export it into the folder, or name the file under [filemaker.tables]",
            )
        return path

    def _nearest(self, table: str) -> str:
        """The files that ``table`` may be called instead, whatever they are."""
        names, stem = self._names(), Path(table).stem
        alike = [name for name in names if may_be_a_copy(name.partition(".")[0], stem)]
        return f"nearest: {wording.some(alike)}" if alike else suggest.phrase(table, names)

    def _spelt(self, table: str, existing: tuple[str, ...]) -> str:
        """The name of a file as the folder has it: macOS writes accented letters as two characters.

        Two files that differ only in case are one file on other disks: neither is chosen.
        """
        alike = [name for name in existing if caseless(name) == caseless(table)]
        if len(alike) > 1:
            named = " and ".join(ascii(name) if not name.isascii() else name for name in alike)
            raise SettingsError(
                f"{wording.amount(len(alike), 'file has', 'files have')} the name {table} if case"
                f" and the encoding of letters are ignored: {named}",
                where=f"{self._where(table)}, folder={self._place.folder}",
                next="remove the older one",
            )
        return next((name for name in alike if composed(name) == composed(table)), table)

    def _typed(self, file: _File, how: HowRead) -> typed.Table:
        if file.grid is None:
            raise TypeError("the rows of this file were already released")
        return typed.Table(file.grid, how, self._where(file.origin.name))

    def _where(self, table: str) -> str:
        return f"channel={self.channel}, file={table}"


def _named(names: tuple[str, ...], row: Row) -> dict[str, str]:
    return dict(zip(names, row.texts, strict=True))


def _page(rows: list[Row], names: tuple[str, ...], *, offset: int, separated: bool) -> RecordPage:
    return RecordPage(
        offset=offset,
        rows=tuple(_named(names, row) for row in rows),
        remarks=tuple(Remark(n, *what) for n, row in enumerate(rows) for what in row.remarks),
        separated=separated,
    )


@contextmanager
def _readable(where: str, what: str = "the file") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if disk := disks.failure(error):
            raise SourceError(disk.what, where=where, next=f"{disk.fix}, {AGAIN}") from None
        raise ExportError(
            f"{what} cannot be read: {error.strerror}",
            where=where,
            next="check that it exists and that we have the right to read it",
        ) from None
