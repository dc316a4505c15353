"""Exported files that went through other hands, and the columns that a mapping wants of them."""

from __future__ import annotations

import unicodedata

from nexus_reimport.filemaker.exports import ExportedFiles, Known
from nexus_reimport.settings import Exports
from support.exported_files import lines, workbook


def separated(folder, rows, suffix):
    """A file of ``rows``, whatever it is called."""
    if suffix == ".xlsx":
        return workbook(folder, *([cell or None for cell in row] for row in rows))
    separator = "," if suffix in (".csv", ".mer") else "\t"
    return lines(folder, *(separator.join(row) for row in rows), name=f"t{suffix}")


def decomposed(text):
    return unicodedata.normalize("NFD", text)


WANTED = tuple(map(frozenset, (("id",), ("remark", "a"), ("day",), ("-----",))))


def knowing(folder, name):
    """The files of ``folder``, of which the mapping wants some columns."""
    return ExportedFiles(Exports(folder=folder), {name: Known(wanted=WANTED)})
